//! Whose log is the best, when only some servers of a cluster are left; and what each of the others has that
//! the best one lacks.

use core::cmp::Ordering;

use super::Recovered;
use crate::consensus::Configuration;
use crate::entry::{Entry, Genesis, Payload};
use crate::types::{LogIndex, NodeId};

/// How the log of one server compares with the most up-to-date one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The last index at which both have the same entry: all before it are the same too (paper §5.3).
    pub common: LogIndex,
    /// How many entries of the other log the best one does not have.
    pub discarded: u64,
}

/// Two logs that cannot be of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Both have an entry of one index and term, and it is not the same.
    #[error(
        "{0} and {1} have different entries at index {2}: they are not of one cluster, or one is damaged"
    )]
    DifferentEntry(NodeId, NodeId, LogIndex),
    /// What one knows as committed, the most up-to-date log has not, or has another entry there.
    #[error(
        "{knows} knows entry {index} as committed, and {best}, whose log is the most up to date, does not \
         have it: one of them was damaged or restored from a copy"
    )]
    CommittedIsMissing {
        /// Who knows.
        knows: NodeId,
        /// Whose log is the best.
        best: NodeId,
        /// Its commit index, or a lower bound of it.
        index: LogIndex,
    },
}

impl Recovered {
    /// Compares which log is more up to date: term, then index of the last entry (paper §5.4.1). Of equal
    /// ones, the one that knows more of it as committed.
    #[must_use]
    pub fn compare_up_to_date(&self, other: &Recovered) -> Ordering {
        let by = |log: &Recovered| (log.last().term, log.last().index, log.known_committed());
        by(self).cmp(&by(other))
    }

    /// Up to here all is known to be committed. What a snapshot holds is.
    #[must_use]
    pub fn known_committed(&self) -> LogIndex {
        self.commit_hint.max(self.snapshot.unwrap_or_default().index)
    }

    /// The cluster's members, as the entries have them last, committed or not: a server goes by them (paper
    /// §6). None where only the snapshot says it.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        self.entries.iter().rev().find_map(|entry| match &entry.payload {
            Payload::Configuration(configuration) => Some(&**configuration),
            Payload::Genesis(genesis) => Some(&genesis.configuration),
            Payload::Noop | Payload::Command(_) | Payload::Snapshot => None,
        })
    }

    /// What founded the cluster: its id and first members. None where a snapshot holds it.
    #[must_use]
    pub fn genesis(&self) -> Option<&Genesis> {
        match self.entries.first() {
            Some(Entry { payload: Payload::Genesis(genesis), .. }) => Some(genesis),
            _ => None,
        }
    }

    /// Compares another server's log with this one, the most up-to-date of all.
    ///
    /// # Errors
    /// When they cannot be of one cluster.
    pub fn overlap(&self, other: &Recovered) -> Result<Overlap, Contradiction> {
        let last = self.last().index.min(other.last().index);
        let ours = self.entries.iter().take_while(|entry| entry.index <= last);
        let pairs = ours.filter_map(|ours| Some((ours, other.entry_at(ours.index)?)));
        // What lies before a base is committed, so it is in both.
        let mut common = self.base.index.max(other.base.index).min(last);
        for (ours, theirs) in pairs {
            if ours.term != theirs.term {
                break;
            }
            if ours != theirs {
                let (this, that) = (self.identity.node_id.clone(), other.identity.node_id.clone());
                return Err(Contradiction::DifferentEntry(this, that, ours.index));
            }
            common = ours.index;
        }
        if other.known_committed() > common {
            let (knows, best) = (other.identity.node_id.clone(), self.identity.node_id.clone());
            return Err(Contradiction::CommittedIsMissing { knows, best, index: other.known_committed() });
        }
        Ok(Overlap { common, discarded: other.last().index.0.saturating_sub(common.0) })
    }

    fn entry_at(&self, index: LogIndex) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.base.index.next().0)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }
}
