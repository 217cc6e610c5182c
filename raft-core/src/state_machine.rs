//! The trait behind which the replicated state lives.

use alloc::string::String;
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
///
/// # Snapshots (paper §7)
///
/// A machine that implements none of the methods from [`StateMachine::takes_snapshots`] on works, and its
/// log is kept in full: on the disk and in memory, and applied anew at each start.
///
/// One that does tells its whole state in *pieces* of bytes, which another one, or a later one, takes in
/// again. Both are done while the node goes on serving:
///
/// - *taking*: [`freeze`](StateMachine::freeze), then [`next_piece`](StateMachine::next_piece) until there is
///   none, then [`thaw`](StateMachine::thaw). In between `apply` and `query` are called as ever; the pieces
///   still tell of the state at the freeze. `thaw` may also come early: nobody wants the rest.
/// - *restoring*: [`restore_piece`](StateMachine::restore_piece) for each piece, in order, then
///   [`restored`](StateMachine::restored), from which on the state is the one that the pieces told of. Until
///   then `query` answers from the state before. Where the rest does not come,
///   [`abandon_restore`](StateMachine::abandon_restore).
///
/// The pieces, and where one ends, must follow from the state at the freeze alone: every server's snapshot of
/// a log index is the same, byte by byte, so that a server can take parts of it from several others. Each
/// call keeps the node waiting; none should take longer than a few milliseconds, however large the state.
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

    /// Whether it takes snapshots: then it has to have all of the methods below. The same on every server.
    fn takes_snapshots(&self) -> bool {
        false
    }

    /// From now on the pieces tell of the state as it is now. Not called again before
    /// [`thaw`](StateMachine::thaw).
    fn freeze(&mut self) {}

    /// The next piece of the state at the freeze, about 64 KiB of it; none when all is told. An empty one
    /// says that the next took too long to find for one call, and is not part of the snapshot.
    fn next_piece(&mut self) -> Option<Bytes> {
        None
    }

    /// The frozen state is needed no longer.
    fn thaw(&mut self) {}

    /// Takes in the next piece of a state that is to replace this one.
    ///
    /// # Errors
    /// When it is no such piece, or does not follow those before. The restoring is abandoned then.
    fn restore_piece(&mut self, piece: &Bytes) -> Result<(), RestoreError> {
        let _ = piece;
        Err(RestoreError::new("this state machine takes no snapshots"))
    }

    /// All pieces were taken in: from now on the state is the one they told of. A machine that is frozen
    /// thaws.
    ///
    /// # Errors
    /// When they do not make a state. The state before is still there, and the restoring is abandoned.
    fn restored(&mut self) -> Result<(), RestoreError> {
        Err(RestoreError::new("this state machine takes no snapshots"))
    }

    /// The pieces taken in since the last [`restored`](StateMachine::restored) are forgotten, if there are
    /// any.
    fn abandon_restore(&mut self) {}
}

/// Why pieces cannot be made a state again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RestoreError {
    reason: String,
}

impl RestoreError {
    /// In words for the operator, without a full stop.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> RestoreError {
        RestoreError { reason: reason.into() }
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

    #[test]
    fn without_snapshots_it_says_so_and_takes_none_in() {
        let mut mute = Mute;
        assert!(!mute.takes_snapshots());
        mute.freeze();
        assert_eq!(mute.next_piece(), None);
        assert!(mute.restore_piece(&Bytes::new()).is_err() && mute.restored().is_err());
    }
}
