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
    /// Applies a batch, in order, and gives one answer for each command. Where a batch ends says nothing, and
    /// differs from server to server; none goes beyond a log index that is a multiple of 64.
    ///
    /// A command that the state machine cannot read must have no effect and an answer that says so: it is
    /// already in the log, and must mean the same everywhere.
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes>;

    /// Answers a question without changing anything.
    fn query(&self, query: &Bytes) -> Bytes;

    /// Stands for the state as it is now: equal states have equal digests, whatever way led to them. Asked
    /// for after every 64th log index, so it should be kept up as the state changes, not computed when asked.
    ///
    /// It goes into the state hash chain, by which a replica whose state differs from the others' is found.
    /// Without one (the default), only a state that shows in an answer is.
    fn digest(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mute;

    impl StateMachine for Mute {
        fn apply(&mut self, _: &[Committed<'_>]) -> Vec<Bytes> {
            Vec::new()
        }

        fn query(&self, _: &Bytes) -> Bytes {
            Bytes::new()
        }
    }

    /// It is folded into the state hash, which servers of different builds compare.
    #[test]
    fn without_a_digest_it_is_zero_in_every_build() {
        assert_eq!(Mute.digest(), 0);
    }
}
