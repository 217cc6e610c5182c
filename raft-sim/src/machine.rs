//! The shipped store, with a record of what it was told.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::kv::Store;
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::LogIndex;

/// One command that took effect, and the store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    /// Its place in the log.
    pub(crate) index: LogIndex,
    /// In the store's encoding.
    pub(crate) command: Bytes,
    /// In the store's encoding.
    pub(crate) answer: Bytes,
}

/// What a store has executed and nobody has looked at yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Executed>>>);

impl Record {
    /// Takes what is new.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<Executed> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A [`Store`] that keeps a [`Record`].
#[derive(Debug)]
pub(crate) struct RecordedStore {
    store: Store,
    record: Record,
}

impl RecordedStore {
    /// An empty store.
    #[must_use]
    pub(crate) fn new(record: &Record) -> RecordedStore {
        RecordedStore { store: Store::new(), record: record.clone() }
    }
}

impl StateMachine for RecordedStore {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let answers = self.store.apply(batch);
        let executed = batch.iter().zip(&answers).map(|(committed, answer)| Executed {
            index: committed.index,
            command: committed.command.clone(),
            answer: answer.clone(),
        });
        self.record.0.lock().unwrap_or_else(PoisonError::into_inner).extend(executed);
        answers
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.store.query(query)
    }

    fn digest(&self) -> u64 {
        self.store.digest()
    }
}
