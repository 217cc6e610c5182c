//! The shipped store, with a record of what it was told.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::kv::Store;
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::LogIndex;

/// One command that took effect, and the store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) index: LogIndex,
    pub(crate) command: Bytes,
    pub(crate) answer: Bytes,
}

/// What a store has executed, in order.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Executed>>>);

impl History {
    pub(crate) fn since(&self, from: usize) -> Vec<Executed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[from..].to_vec()
    }
}

pub(crate) struct RecordedStore {
    store: Store,
    history: History,
}

impl RecordedStore {
    pub(crate) fn new(history: &History) -> RecordedStore {
        RecordedStore { store: Store::new(), history: history.clone() }
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
        self.history.0.lock().unwrap_or_else(PoisonError::into_inner).extend(executed);
        answers
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.store.query(query)
    }
}
