//! How much a turn of the replica's thread takes up. While it lasts nothing else is, so what others send by
//! the megabyte comes in portions; all else is short, and goes to the disk together.

use std::time::Duration;

use raft_core::message::Message;

/// After this time a turn takes up no more of a snapshot: what follows from its parts takes time too.
const SLICE: Duration = Duration::from_millis(2);

/// Log entries that a turn takes up, but for those of one message: to lay them out for the disk and to apply
/// them takes several times as long as to take them up.
const ENTRIES: usize = 1024;

/// What a turn has taken up so far.
#[derive(Debug, Default)]
pub(super) struct Portion {
    entries: usize,
}

/// What of a message counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Entries of a leader's log; of most messages none.
    Entries(usize),
    /// A part of a snapshot.
    Part,
}

impl Weight {
    pub(super) fn of(message: &Message) -> Weight {
        match message {
            Message::InstallSnapshot(_) => Weight::Part,
            Message::AppendEntries(append) => Weight::Entries(append.entries.len()),
            _ => Weight::Entries(0),
        }
    }
}

impl Portion {
    /// Counts what was taken up, so long after the turn began; whether that is enough for one turn.
    pub(super) fn is_full_with(&mut self, weight: Weight, after: impl FnOnce() -> Duration) -> bool {
        match weight {
            Weight::Part => after() > SLICE,
            Weight::Entries(0) => false,
            Weight::Entries(entries) => {
                self.entries += entries;
                self.entries >= ENTRIES
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_takes_up_a_bounded_number_of_entries() {
        let mut portion = Portion::default();
        let long = || Duration::from_secs(1);
        assert!(!portion.is_full_with(Weight::Entries(ENTRIES - 1), long));
        assert!(!portion.is_full_with(Weight::Entries(0), long));
        assert!(portion.is_full_with(Weight::Entries(1), || Duration::ZERO));
        assert!(portion.is_full_with(Weight::Entries(1), || Duration::ZERO));
        assert!(!portion.is_full_with(Weight::Entries(0), long), "heartbeats wait for nothing");
    }

    #[test]
    fn a_turn_takes_up_parts_of_a_snapshot_for_a_while() {
        let mut portion = Portion::default();
        assert!(!portion.is_full_with(Weight::Part, || SLICE));
        assert!(portion.is_full_with(Weight::Part, || SLICE + Duration::from_micros(1)));
    }
}
