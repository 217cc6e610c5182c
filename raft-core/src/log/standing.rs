//! What the log knows besides its entries: repeated at the start of every segment, so that the segments
//! before it can go once a snapshot holds their entries.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::types::{EntryId, HardState, Incarnation, LogIndex, NodeId};

/// The latest of each record that replaces the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) hard_state: HardState,
    pub(super) admitted: bool,
    pub(super) peers: BTreeMap<NodeId, Incarnation>,
    pub(super) commit_hint: LogIndex,
    pub(super) snapshot: Option<EntryId>,
}

impl Standing {
    /// Takes note of a record.
    pub(super) fn note(&mut self, record: &Record) {
        match record {
            Record::HardState(hard_state) => self.hard_state = hard_state.clone(),
            Record::Peer { node_id, incarnation } => {
                self.peers.insert(node_id.clone(), *incarnation);
            }
            Record::Admitted => self.admitted = true,
            Record::CommitHint(index) => self.commit_hint = self.commit_hint.max(*index),
            Record::Snapshot { index, term } => {
                let snapshot = EntryId { index: *index, term: *term };
                if self.snapshot.is_none_or(|known| known.index < snapshot.index) {
                    self.snapshot = Some(snapshot);
                }
            }
            Record::Entry(_) => {}
        }
    }

    /// The records that say all this again, hard state first.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::with_capacity(4 + self.peers.len());
        records.push(Record::HardState(self.hard_state.clone()));
        if self.admitted {
            records.push(Record::Admitted);
        }
        for (node_id, incarnation) in &self.peers {
            records.push(Record::Peer { node_id: node_id.clone(), incarnation: *incarnation });
        }
        if self.commit_hint > LogIndex::ZERO {
            records.push(Record::CommitHint(self.commit_hint));
        }
        if let Some(EntryId { index, term }) = self.snapshot {
            records.push(Record::Snapshot { index, term });
        }
        records
    }
}
