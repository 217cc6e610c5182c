//! Servers that have applied equally far have the same state hash, whatever restarts lie before, and no
//! server is taken for diverged whose memory is sound. That is State Machine Safety (paper §5.4.3) as the
//! servers themselves watch over it.

use std::collections::BTreeMap;

use raft_core::types::{LogIndex, StateHash};

use super::super::cluster::Node;

#[derive(Default)]
pub(crate) struct StateHashes {
    known: BTreeMap<LogIndex, StateHash>,
    /// Whether a server may take itself for diverged: one with damaged memory may outvote the others.
    expected: bool,
}

impl StateHashes {
    pub(crate) fn expect_divergence(&mut self) {
        self.expected = true;
    }

    pub(crate) fn check(&mut self, node: &Node) {
        let Some(replica) = &node.replica else { return };
        self.expected |= node.memory.is_damaged();
        if !self.expected {
            assert_eq!(replica.diverged(), None, "{} takes itself for diverged", node.id);
        }
        if !node.memory.is_damaged() {
            let (index, hash) = (replica.last_applied(), replica.applied_hash());
            let known = *self.known.entry(index).or_insert(hash);
            assert_eq!(known, hash, "{} has another state hash at {index}", node.id);
        }
    }
}
