//! The trait behind which the replicated state lives.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::types::LogIndex;

/// A committed command, on its way into the state machine.
#[derive(Clone, Copy, Debug)]
pub struct Committed<'a> {
    /// Its place in the log: the same on every server, growing from call to call.
    pub index: LogIndex,
    /// The command, in the state machine's own encoding.
    pub command: &'a Bytes,
}

/// A deterministic state machine (paper §2): the same commands in the same order give the same state and
/// the same answers on every server. It may not look at a clock, a random source or anything else outside.
pub trait StateMachine: Send {
    /// Applies a batch, in order, and gives one answer for each command.
    ///
    /// A command that the state machine cannot read must have no effect and an answer that says so: it is
    /// already in the log, and must mean the same everywhere.
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes>;

    /// Answers a question without changing anything.
    fn query(&self, query: &Bytes) -> Bytes;
}
