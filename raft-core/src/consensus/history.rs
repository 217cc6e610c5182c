//! Which configuration is in force: the latest in the log, committed or not (paper §6). A part of the log
//! that is removed takes its configurations with it, and the one before is in force again.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Configuration;
use crate::entry::{Entry, Payload};
use crate::seeded::{self, Bug};
use crate::types::LogIndex;

/// The configurations that the log holds, with the one before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct History {
    /// What the server was started with (index 0), or the last one before the log begins.
    base: (LogIndex, Configuration),
    /// Those of the log, in its order.
    in_log: Vec<(LogIndex, Configuration)>,
}

/// The configuration that an entry brings, if it brings one.
pub(crate) fn brought_by(entry: &Entry) -> Option<&Configuration> {
    match &entry.payload {
        Payload::Genesis(genesis) => Some(&genesis.configuration),
        Payload::Configuration(configuration) => Some(configuration),
        _ => None,
    }
}

impl History {
    /// Of an empty log.
    pub(crate) fn new(start: Configuration) -> History {
        History { base: (LogIndex::ZERO, start), in_log: Vec::new() }
    }

    /// A snapshot tells what was in force at its end, and where that stands: all up to there is committed.
    pub(crate) fn restore(&mut self, snapshot: LogIndex, index: LogIndex, configuration: Configuration) {
        self.in_log.retain(|(at, _)| *at > snapshot);
        self.base = (index, configuration);
    }

    /// An entry was added to the log.
    pub(crate) fn note(&mut self, entry: &Entry) {
        if let Some(configuration) = brought_by(entry) {
            assert!(entry.index > self.index(), "configurations come in the order of the log");
            self.in_log.push((entry.index, configuration.clone()));
        }
    }

    /// The log was cut: `from` and all after it are gone.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        if !seeded::is(Bug::ConfigurationOutlivesTruncation) {
            self.in_log.retain(|(index, _)| *index < from);
        }
    }

    /// The log was compacted: it begins after `up_to`.
    pub(crate) fn compact(&mut self, up_to: LogIndex) {
        let gone = self.in_log.iter().take_while(|(index, _)| *index <= up_to).count();
        if let Some(last) = self.in_log.drain(..gone).next_back() {
            self.base = last;
        }
    }

    /// The configuration in force.
    pub(crate) fn current(&self) -> &Configuration {
        &self.in_log.last().unwrap_or(&self.base).1
    }

    /// Where it stands in the log; 0 before there is one in it.
    pub(crate) fn index(&self) -> LogIndex {
        self.in_log.last().unwrap_or(&self.base).0
    }

    /// The latest configuration at or before an index, and its own index.
    pub(crate) fn at(&self, index: LogIndex) -> (LogIndex, &Configuration) {
        let (at, configuration) = self.in_log.iter().rev().find(|(at, _)| *at <= index).unwrap_or(&self.base);
        (*at, configuration)
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::format;

    use super::*;
    use crate::types::{NodeId, Term};

    fn of(n: usize) -> Configuration {
        Configuration::new((0..n).map(|i| NodeId::new(&format!("n{i}")).unwrap()))
    }

    fn history(indexes: &[u64]) -> History {
        let mut history = History::new(of(1));
        for index in indexes {
            let payload = Payload::Configuration(Box::new(of(usize::try_from(*index).unwrap())));
            history.note(&Entry { index: LogIndex(*index), term: Term(1), payload });
        }
        history
    }

    fn voters(configuration: &Configuration) -> usize {
        configuration.voter_count()
    }

    #[test]
    fn the_latest_in_the_log_is_in_force() {
        let history = history(&[3, 7]);
        assert_eq!((history.index(), voters(history.current())), (LogIndex(7), 7));
        for (index, at, count) in [(2, 0, 1), (3, 3, 3), (6, 3, 3), (7, 7, 7), (99, 7, 7)] {
            let (found, configuration) = history.at(LogIndex(index));
            assert_eq!((found, voters(configuration)), (LogIndex(at), count), "at {index}");
        }
    }

    #[test]
    fn what_is_cut_off_brings_the_one_before_back() {
        let mut history = history(&[3, 7]);
        history.truncate(LogIndex(8));
        assert_eq!(history.index(), LogIndex(7));
        history.truncate(LogIndex(7));
        assert_eq!((history.index(), voters(history.current())), (LogIndex(3), 3));
        history.truncate(LogIndex(1));
        assert_eq!((history.index(), voters(history.current())), (LogIndex::ZERO, 1));
    }

    #[test]
    fn what_a_snapshot_carries_takes_the_place_of_what_was_before_its_end() {
        let mut history = history(&[3, 7]);
        history.restore(LogIndex(5), LogIndex(4), of(4));
        assert_eq!((history.at(LogIndex(6)).0, voters(history.at(LogIndex(6)).1)), (LogIndex(4), 4));
        assert_eq!((history.index(), voters(history.current())), (LogIndex(7), 7));
        // What the log says where the snapshot ends need not have been committed.
        history.restore(LogIndex(7), LogIndex(7), of(1));
        assert_eq!((history.index(), voters(history.current())), (LogIndex(7), 1));
        history.restore(LogIndex(9), LogIndex(8), of(2));
        assert_eq!((history.index(), voters(history.current())), (LogIndex(8), 2));
    }

    #[test]
    fn what_a_snapshot_replaced_is_kept_as_the_base() {
        let mut history = history(&[3, 5, 7]);
        history.compact(LogIndex(2));
        assert_eq!(history.at(LogIndex(2)).0, LogIndex::ZERO);
        history.compact(LogIndex(6));
        assert_eq!((history.at(LogIndex(6)).0, history.index()), (LogIndex(5), LogIndex(7)));
        assert_eq!((history.base.0, history.in_log.len()), (LogIndex(5), 1), "those before are let go of");
        history.truncate(LogIndex(7));
        assert_eq!((history.index(), voters(history.current())), (LogIndex(5), 5));
    }
}
