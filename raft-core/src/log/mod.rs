//! The durable log: its format, where records go, and how they are found again after a crash.
//!
//! A data directory holds a small text file, `identity`, and segments `log-00000000000000000001` and on.
//! A segment is made in full before it is used, zeros behind a header ([`format`]), so that a write to it
//! changes no metadata of the file system. The records of one batch make one *frame*. Frames are numbered
//! without a gap across segments, and each names the last frame known durable when it was laid out.
//!
//! That last number is what tells a torn tail from a damaged log. A crash may keep any part of what was
//! not yet flushed: an unreadable frame is no news as long as it may have been in flight. Once a later
//! frame testifies that it *was* durable, it has been lost since, and [`recover`] refuses to go on.
//!
//! A log need not begin with segment 1. Once a snapshot is recorded as durable, segments all of whose entries
//! are dispensable are removed, the oldest first. Every segment begins with what stands besides the entries:
//! hard state, peers, the latest snapshot. So nothing is lost with those before it, and recovery begins with
//! whatever segment is the first, and asks that a snapshot hold what came before.
//!
//! [`Writer`] turns records into disk operations and [`recover`] files into records. Neither touches a file.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::types::{HardState, Incarnation, LogIndex, NodeId, Term};

mod entries;
mod error;
mod format;
mod identity;
mod records;
mod recovery;
mod refound;
mod repair;
mod segment;
mod standing;
mod survivors;
mod writer;

pub use error::RecoveryError;
pub(crate) use format::{CRC32C, checksum};
pub use format::{DEFAULT_SEGMENT_SIZE, FORMAT_VERSION, FrameSeq, SegmentNumber};
pub use identity::{IDENTITY_FILE, Identity, IdentityError};
pub use recovery::{Recovered, Recovery, TornTail, recover};
pub use refound::{Inheritance, RefoundError, Refounded, Refounding, refound};
pub use survivors::{Contradiction, Overlap};
pub use writer::{Writer, create};

#[cfg(test)]
mod tests;

/// One thing the log remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Replaces the hard state before it.
    HardState(HardState),
    /// Adds an entry. One whose index is not beyond the last first removes that index and all after it
    /// (paper §5.3: a follower's conflicting entries).
    Entry(Entry),
    /// The incarnation by which this server knows a peer.
    Peer {
        /// The peer.
        node_id: NodeId,
        /// Its incarnation when it introduced itself first.
        incarnation: Incarnation,
    },
    /// Enough members have taken note of this server's incarnation: it may vote.
    Admitted,
    /// A lower bound of the commit index. A hint: clamped to the log, lost without harm.
    CommitHint(LogIndex),
    /// The file of this snapshot is complete and durable: the log may begin after it (paper §7). Where the
    /// log holds the entry that it ends with, it keeps all its entries; else it gives up all of them and
    /// goes on after it. No later entry has an index up to this one.
    Snapshot {
        /// Index of the last entry that it holds.
        index: LogIndex,
        /// Term of that entry.
        term: Term,
    },
}

/// How a log is laid out on this node. Segments of any size are read, whatever is set here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Length of a new segment in bytes: rounded up to a multiple of 8, at least
    /// [`LogOptions::MIN_SEGMENT_SIZE`].
    pub segment_size: u64,
}

impl LogOptions {
    /// The least useful segment: below it every batch would have one of its own.
    pub const MIN_SEGMENT_SIZE: u64 = 512;
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_size: DEFAULT_SEGMENT_SIZE }
    }
}

/// A directory's file names, told apart: the segments among them, in order.
fn segments_among(names: &[alloc::string::String]) -> Vec<SegmentNumber> {
    let mut found: Vec<SegmentNumber> =
        names.iter().filter_map(|name| SegmentNumber::from_file_name(name)).collect();
    found.sort_unstable();
    found
}
