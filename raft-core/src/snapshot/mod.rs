//! Snapshots: the state at a log index, so that the log before it is needed no longer (paper §7).
//!
//! | file | what it answers |
//! | --- | --- |
//! | `frozen` | how is a map told of as it was, while it changes? |
//! | [`format`] | what do the bytes of a snapshot's file mean? |
//! | `writer` | which bytes are written? |
//! | `reader` | what do bytes that were read tell, and are they as they were written? |
//!
//! A snapshot of a log index is the same on every server, byte by byte: the header, the sessions and the
//! state machine's pieces follow from the log, and where a chunk ends from them. So a server that receives
//! one may go on with another sender where the first was cut off.

mod error;
pub mod format;
mod frozen;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::SnapshotError;
pub use format::{FORMAT_VERSION, Header, LONGEST_HEADER};
pub(crate) use frozen::{Discarded, Frozen, Told};
pub use reader::Reader;
pub use writer::Writer;

use bytes::Bytes;

/// About how long a piece of a state is, in bytes, where a single item is not longer.
pub const PIECE_BYTES: usize = 64 << 10;

/// A piece of what is in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of the sessions that recognise a command's repetition.
    Sessions(Bytes),
    /// Of the state machine, in its own encoding.
    Machine(Bytes),
}

impl Piece {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        let (Piece::Sessions(bytes) | Piece::Machine(bytes)) = self;
        bytes
    }
}
