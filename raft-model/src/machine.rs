//! A state machine that is its own history.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::LogIndex;

/// A command that was applied, and where it stood in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Applied {
    pub(crate) index: LogIndex,
    pub(crate) command: Bytes,
}

/// What was applied, in order; shared with the replica that applies.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Applied>>>);

impl History {
    pub(crate) fn applied(&self) -> Vec<Applied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One that has applied the same and is not shared.
    pub(crate) fn fork(applied: &[Applied]) -> History {
        History(Arc::new(Mutex::new(applied.to_vec())))
    }
}

/// Every query is answered with the index of the last command applied.
impl StateMachine for History {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        applied.extend(batch.iter().map(|c| Applied { index: c.index, command: c.command.clone() }));
        batch.iter().map(|c| c.command.clone()).collect()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        let applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = applied.last().map_or(0, |last| last.index.0);
        Bytes::copy_from_slice(&last.to_le_bytes())
    }
}

/// Reads an answer back.
pub(crate) fn last_seen(answer: &Bytes) -> LogIndex {
    LogIndex(u64::from_le_bytes(answer.as_ref().try_into().expect("eight bytes")))
}
