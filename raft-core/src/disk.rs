//! The abstract disk: what the replica asks of the world's, as plain data, and what recovery reads.
//!
//! `raft-node` carries the operations out on files; the simulator on a disk that forgets and tears.
//! [`DiskOp`] is for the log and what goes with it, in order; [`AsideOp`] for snapshots, aside of it.

mod aside;
mod snapshot_file;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use aside::{AsideError, AsideErrorKind, AsideOp, AsideOutcome, AsideSeq};
pub use snapshot_file::{SnapshotFile, Unrecorded};

/// A file of the data directory, without its folder: `identity`, `log-00000000000000000001`.
pub type FileName = String;

/// Numbers the replica's batches of disk operations, from 1, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriteSeq(pub u64);

/// One operation. A batch's operations are carried out in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskOp {
    /// Makes `file`, `size` zero bytes long with `head` at its start, durable together with its name in
    /// the directory. It may be done aside, while later operations run and later batches are answered, so
    /// long as one that names `file` waits for it, and preparations keep their order. A file of that name
    /// left by an interrupted attempt, or never written to, is made anew.
    Prepare {
        /// The new file.
        file: FileName,
        /// Its length in bytes.
        size: u64,
        /// Its first bytes.
        head: Bytes,
    },
    /// Overwrites a part of a prepared file. Never beyond its length.
    Write {
        /// The file.
        file: FileName,
        /// Where, in bytes from its start.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// Gives `file` this whole content atomically: after a crash it has the old or the new, never a mix.
    Replace {
        /// The file, which need not exist yet.
        file: FileName,
        /// All of it.
        content: Bytes,
    },
    /// Removes a file, durably.
    Remove {
        /// The file. Its absence is not an error.
        file: FileName,
    },
}

/// What goes to the disk together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskBatch {
    /// Its number; answered by `Event::Persisted` with the same number once all of it is durable.
    pub seq: WriteSeq,
    /// In order.
    pub ops: Vec<DiskOp>,
    /// Whether to flush (fdatasync) what was written, by this batch and by all before it. A hint that may
    /// be lost does without, and is answered as soon as it was handed to the operating system.
    pub sync: bool,
}

/// Why a disk could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {file}: {reason}")]
pub struct ReadError {
    /// The file, or the directory.
    pub file: String,
    /// In the operating system's words.
    pub reason: String,
}

/// A disk as recovery sees it: at rest.
pub trait ReadDisk {
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> Result<Vec<FileName>, ReadError>;

    /// A whole file.
    ///
    /// # Errors
    /// When it cannot be read, or is not there.
    fn read(&self, file: &str) -> Result<Bytes, ReadError>;

    /// The first so many bytes of a file, or all of a shorter one.
    ///
    /// # Errors
    /// When it cannot be read, or is not there.
    fn read_start(&self, file: &str, length: usize) -> Result<Bytes, ReadError> {
        self.read(file).map(|mut content| content.split_to(length.min(content.len())))
    }
}

/// A directory in memory: file names and what the files hold.
impl ReadDisk for BTreeMap<FileName, Vec<u8>> {
    fn list(&self) -> Result<Vec<FileName>, ReadError> {
        Ok(self.keys().cloned().collect())
    }

    fn read(&self, file: &str) -> Result<Bytes, ReadError> {
        match self.get(file) {
            Some(content) => Ok(Bytes::copy_from_slice(content)),
            None => Err(ReadError { file: file.into(), reason: "no such file".into() }),
        }
    }
}
