//! Servers that have applied the log up to one index have the same state hash there, whatever crashes and
//! batches lie between (the chain of `raft_core::replica`): a difference would be a divergence that is
//! none, or one unnoticed.

use std::collections::BTreeMap;

use raft_core::types::{LogIndex, StateHash};

use super::Server;

#[derive(Default)]
pub(crate) struct EqualHashes {
    known: BTreeMap<LogIndex, StateHash>,
}

impl EqualHashes {
    /// The state hash at an index, where a server's step ended there.
    pub(crate) fn at(&self, index: LogIndex) -> Option<StateHash> {
        self.known.get(&index).copied()
    }

    pub(crate) fn check(&mut self, server: &Server<'_>) {
        let (applied, hash) = (server.replica.last_applied(), server.replica.applied_hash());
        // Memory that fails may make a difference: the others have to find out, see `world/memory.rs`.
        if server.memory.is_damaged() || server.spoiled.is_some_and(|entry| entry.index <= applied) {
            return;
        }
        let first = *self.known.entry(applied).or_insert(hash);
        assert_eq!(first, hash, "State Hash: {} has another state at {applied}", server.id);
    }
}
