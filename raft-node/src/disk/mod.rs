//! The real disk: carries out on files what the replica asks of the abstract one.
//!
//! [`DataDir`] is the locked directory; recovery reads it. [`DiskThread`] then takes it and carries out batch
//! after batch, flushing once for all that queued up while the last flush ran (group commit). A failure ends
//! it for good: after a failed flush the kernel may drop what it could not write and call the next flush a
//! success, so neither trying again nor reporting anything durable afterwards would be honest. A file that
//! could not be prepared because there was no room is another matter, since nothing rested on it: it is
//! tried again until there is. Snapshot files are made and read aside of that, by a thread that holds up no
//! batch.

use std::fmt;

use raft_core::disk::{AsideOp, AsideOutcome, AsideSeq, DiskBatch, WriteSeq};

mod aside;
mod data_dir;
mod files;
mod memory;
mod prepare;
mod reserve;
mod thread;

#[cfg(test)]
mod tests;

pub(crate) use data_dir::is_log_file;
pub use data_dir::{DataDir, DataDirError, ReadOnlyDir};
pub use memory::MemoryDisk;
pub(crate) use memory::MemoryFiles;
pub use thread::{DiskHandle, DiskThread};

/// Where batches go. Batches are carried out in the order they are handed over.
pub trait Disk: Send {
    /// Hands a batch over and returns at once. After a failure it does nothing.
    fn submit(&self, batch: DiskBatch);

    /// Has an operation carried out aside of the batches, and returns at once.
    fn submit_aside(&self, seq: AsideSeq, op: AsideOp);
}

/// What a disk reports of the batches it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// All batches up to this one were carried out. Of these, those that asked for `sync` are durable, with
    /// everything handed over before them.
    Persisted(WriteSeq),
    /// An operation aside of the batches was carried out, or failed. Neither says anything of the batches.
    Aside {
        /// Its number.
        seq: AsideSeq,
        /// What came of it.
        outcome: AsideOutcome,
    },
    /// There is no room for a file that is to be prepared. Nothing is lost: what was prepared before is
    /// written as ever, and what waits for the file is carried out once there is room.
    Full(DiskFailure),
    /// There is room again, and to spare.
    HasRoom,
    /// An operation of a batch failed. Nothing is carried out or reported any more.
    Failed(DiskFailure),
}

/// An operation that failed, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {file}: {error}{}", if *.disk_full { FULL } else { "" })]
pub struct DiskFailure {
    /// The file, with its directory.
    pub file: String,
    /// What was tried.
    pub operation: Operation,
    /// The operating system's words.
    pub error: String,
    /// Whether room is all that lacks: no space, a quota, a limit on the size of files.
    pub disk_full: bool,
}

const FULL: &str = ". Make room on this disk: nothing acknowledged is lost";

/// What a disk does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opens it.
    Open,
    /// Makes a new segment of zeros.
    Prepare,
    /// Writes to it.
    Write,
    /// Waits until it is durable.
    Flush,
    /// Gives it new content.
    Replace,
    /// Removes it.
    Remove,
    /// Anything else: the disk's thread came to an end by itself.
    Work,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Open => "open",
            Operation::Prepare => "prepare",
            Operation::Write => "write to",
            Operation::Flush => "flush",
            Operation::Replace => "replace",
            Operation::Remove => "remove",
            Operation::Work => "go on working on",
        })
    }
}
