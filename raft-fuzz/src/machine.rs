//! The shipped store, with a record of what it was told.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::kv::Store;
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::LogIndex;

/// What a store has executed and nobody has looked at yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<(LogIndex, Bytes)>>>);

impl Records {
    /// Takes what is new.
    pub(crate) fn take(&self) -> Vec<(LogIndex, Bytes)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A [`Store`] that keeps [`Records`].
#[derive(Debug)]
pub(crate) struct RecordedStore {
    store: Store,
    records: Records,
}

impl RecordedStore {
    pub(crate) fn new(records: &Records) -> RecordedStore {
        RecordedStore { store: Store::new(), records: records.clone() }
    }
}

impl StateMachine for RecordedStore {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let executed = batch.iter().map(|committed| (committed.index, committed.command.clone()));
        self.records.0.lock().unwrap_or_else(PoisonError::into_inner).extend(executed);
        self.store.apply(batch)
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.store.query(query)
    }

    fn digest(&self) -> u64 {
        self.store.digest()
    }
}
