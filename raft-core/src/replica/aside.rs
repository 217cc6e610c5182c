//! What the replica does aside of the log: one operation at a time, in the order in which they were asked
//! for.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Replica;
use super::event::Action;
use crate::disk::{AsideOp, AsideOutcome, AsideSeq, FileName};
use crate::types::LogIndex;

/// Whose operation it is: who is told how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Files that are of no more use are removed.
    Removal,
    /// The oldest segment of the log is removed.
    Segment,
    /// This server's own snapshot is read, at a start.
    Restoring,
    /// A snapshot that a leader sends, counted by this process, is kept.
    Receiving(u64),
    /// The snapshot of this log index is written.
    Taking(LogIndex),
    /// A part of a snapshot is read to be sent.
    Sending,
}

/// The operation under way, and those that wait for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Aside {
    pub(super) last: AsideSeq,
    pub(super) in_flight: Option<Purpose>,
    pub(super) waiting: VecDeque<(Purpose, AsideOp)>,
}

impl Aside {
    /// Asks for an operation, after those that were asked for before.
    pub(super) fn ask(&mut self, purpose: Purpose, op: AsideOp) {
        self.waiting.push_back((purpose, op));
    }

    /// What waits for this purpose need not be done any more.
    pub(super) fn forget(&mut self, purpose: Purpose) {
        self.waiting.retain(|(other, _)| *other != purpose);
    }
}

impl Replica {
    /// Asks for the removal of files, one after the other.
    pub(super) fn remove_aside(&mut self, files: impl IntoIterator<Item = FileName>) {
        for file in files {
            self.aside.ask(Purpose::Removal, AsideOp::Remove { file });
        }
    }

    /// Begins the next operation, if none is under way.
    pub(super) fn start_aside(&mut self) {
        if self.aside.in_flight.is_some() {
            return;
        }
        let Some((purpose, op)) = self.aside.waiting.pop_front() else { return };
        let seq = AsideSeq(self.aside.last.0 + 1);
        self.aside.last = seq;
        self.aside.in_flight = Some(purpose);
        self.actions.push(Action::Aside { seq, op });
    }

    /// An operation has been carried out, or has failed.
    pub(super) fn aside_done(&mut self, seq: AsideSeq, outcome: AsideOutcome) {
        let Some(purpose) = self.aside.in_flight.take_if(|_| seq == self.aside.last) else { return };
        match purpose {
            // What could not be removed takes up room until the next start, which tries again.
            Purpose::Removal => drop(outcome),
            Purpose::Segment => self.segment_removed(&outcome),
            Purpose::Restoring => self.own_read(outcome),
            Purpose::Receiving(number) => self.received_aside(number, outcome),
            Purpose::Taking(index) => self.taken_aside(index, outcome),
            Purpose::Sending => self.chunk_read(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_is_given_up_is_not_carried_out_and_all_else_is() {
        let mut aside = Aside::default();
        let purposes = [
            Purpose::Receiving(1),
            Purpose::Segment,
            Purpose::Receiving(1),
            Purpose::Receiving(2),
            Purpose::Removal,
        ];
        for purpose in purposes {
            aside.ask(purpose, AsideOp::Remove { file: "x".into() });
        }
        aside.forget(Purpose::Receiving(1));
        let left: Vec<Purpose> = aside.waiting.iter().map(|(purpose, _)| *purpose).collect();
        assert_eq!(left, [Purpose::Segment, Purpose::Receiving(2), Purpose::Removal]);
    }
}
