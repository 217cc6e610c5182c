//! The log's tests, and what they share.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::recovery::read;
use super::{Identity, LogOptions, Record, Recovered, Recovery, RecoveryError};
use crate::entry::{Command, Entry, Payload};
use crate::types::{EntryId, HardState, Incarnation, LogIndex, NodeId, Term};

mod cases;
mod compaction;
mod crash;
mod damage;
mod disk;
mod golden;

use disk::TornDisk;

/// Small segments, so that a short log has several.
const OPTIONS: LogOptions = LogOptions { segment_size: 2048 };

fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("a valid name")
}

fn identity() -> Identity {
    Identity::new(node("node_1"), Incarnation(0x00C0_FFEE))
}

fn entry(index: u64, term: u64, data: impl Into<Bytes>) -> Record {
    let payload = Payload::Command(Command { session: None, data: data.into() });
    Record::Entry(Entry { index: LogIndex(index), term: Term(term), payload })
}

/// The tests of layout and damage leave the hard state out where it does not matter.
fn recover_any(disk: &TornDisk) -> Result<Recovery, RecoveryError> {
    read(disk, &node("node_1"), OPTIONS)
}

fn recover_found(disk: &TornDisk) -> Recovered {
    match recover_any(disk) {
        Ok(Recovery::Found(found)) => *found,
        Ok(Recovery::Empty) => panic!("the directory was taken for empty"),
        Err(error) => panic!("refused: {error}"),
    }
}

/// What the log should hold, by a way of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    hard_state: HardState,
    base: EntryId,
    entries: Vec<Entry>,
    commit_hint: LogIndex,
    peers: BTreeMap<NodeId, Incarnation>,
    admitted: bool,
    snapshot: EntryId,
}

impl Model {
    fn take(&mut self, record: &Record) {
        match record.clone() {
            Record::HardState(hard_state) => self.hard_state = hard_state,
            Record::Entry(entry) => {
                self.entries.retain(|e| e.index < entry.index);
                self.entries.push(entry);
            }
            Record::Peer { node_id, incarnation } => drop(self.peers.insert(node_id, incarnation)),
            Record::Admitted => self.admitted = true,
            Record::CommitHint(index) => self.commit_hint = self.commit_hint.max(index),
            Record::Snapshot { index, term } => {
                self.snapshot = EntryId { index, term };
                if self.id_at(index) != Some(self.snapshot) {
                    self.base = self.snapshot;
                    self.entries.clear();
                }
            }
        }
    }

    /// The entry at an index, of those that were never given up.
    fn id_at(&self, index: LogIndex) -> Option<EntryId> {
        let ids = self.entries.iter().map(|entry| EntryId { index: entry.index, term: entry.term });
        ids.chain([self.base]).find(|id| id.index == index)
    }

    fn last(&self) -> LogIndex {
        self.entries.last().map_or(self.base.index, |last| last.index)
    }

    fn assert_is(&self, found: &Recovered) {
        let kept = self.entries.iter().filter(|entry| entry.index > found.base.index);
        assert!(kept.eq(&found.entries), "{:?} after {}", found.entries, found.base);
        assert_eq!(self.id_at(found.base.index), Some(found.base));
        assert!(found.base.index <= self.snapshot.index, "nothing is missing before {}", found.base);
        assert_eq!(found.snapshot.unwrap_or_default(), self.snapshot);
        assert_eq!(self.hard_state, found.hard_state);
        assert_eq!(self.peers, found.peers);
        assert_eq!(self.admitted, found.admitted);
        assert_eq!(self.commit_hint.max(self.snapshot.index).min(self.last()), found.commit_hint);
        assert_eq!(found.identity, identity());
    }
}
