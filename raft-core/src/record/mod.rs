//! The flight recorder: all that goes into a replica, as bytes, so that it can be done again at a desk.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `frame` | how are bytes framed, and what is a torn end? |
//! | `recorder` | what is written while a node runs? |
//! | `replay` | is what is done again the same? |
//!
//! A recording is a row of frames (`frame.rs`). A file of it begins with a checkpoint of the replica, and
//! goes on with a frame for each turn: what was stepped through, how many actions the drain gave, and where
//! the replica stood then. Any file can be the first of a replay; those after it go on from it, and their
//! checkpoints are compared too. The entries before the first checkpoint, and the snapshot that they go on
//! from, come as frames of their own, or from a data directory. Where these begin later than a file does, or
//! a leader had to send what they lack, that file is passed over.
//!
//! A recording holds the keys and values that went through the node.

mod frame;
mod recorder;
mod replay;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::replica::{Replica, Role};
use crate::types::{Applied, LogIndex, NodeId, Term};

pub use recorder::{Recorder, prologue, prologue_snapshot};
pub use replay::{ReplayError, Summary, Told, replay};

/// Version of what frames hold. Also what a replica does with an event belongs to it: another version of the
/// program may do something else, and says so.
pub const FORMAT_VERSION: u8 = 2;

/// Who recorded, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The program's version.
    pub program: String,
    /// The server.
    pub node_id: NodeId,
    /// What the replica's time zero was on the machine's clock, in milliseconds since 1970.
    pub began_unix_ms: u64,
}

/// A piece of a turn. `E` is an event or a reference to one: the bytes are the same.
#[derive(Debug, Serialize, Deserialize)]
enum Piece<E> {
    /// An event, so many microseconds after the one before.
    Step { after: u64, event: E },
    /// The end of the turn.
    Drained {
        actions: u64,
        /// Where that has changed.
        mark: Option<Mark>,
    },
}

/// Where a replica stands: what has to be the same when all is done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its term.
    pub term: Term,
    /// Its role.
    pub role: Role,
    /// The highest log index it takes for committed.
    pub commit_index: LogIndex,
    /// How far it has applied its log, and its state hash there.
    pub applied: Applied,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { term, role, commit_index, applied: Applied { index, hash } } = self;
        write!(
            f,
            "stands as {role:?} in term {term}, committed {commit_index}, applied {index} with state hash \
             {hash}"
        )
    }
}

impl Mark {
    fn of(replica: &Replica) -> Mark {
        let consensus = replica.consensus();
        Mark {
            term: consensus.term(),
            role: consensus.role(),
            commit_index: consensus.commit_index(),
            applied: Applied { index: replica.last_applied(), hash: replica.applied_hash() },
        }
    }
}
