//! What is done aside of the log: snapshot files, one operation at a time.
//!
//! None of it holds up a write to the log, and nothing that a client waits for rests on it. So an operation
//! that fails ends what it belongs to, a snapshot being written, say, and not the replica.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::FileName;

/// Numbers the replica's operations aside of the log, from 1, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AsideSeq(pub u64);

/// One operation. The next is asked for only when the last was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AsideOp {
    /// Makes `file`, or empties it. Its name is durable once something of it was flushed.
    Create {
        /// The file.
        file: FileName,
    },
    /// Writes a part of a file that is there. What was not flushed may be lost with the power, in any part.
    Write {
        /// The file.
        file: FileName,
        /// Where, in bytes from its start: at most its length.
        offset: u64,
        /// What.
        data: Bytes,
        /// Whether to flush (fdatasync) this write and all before it. Some megabytes unflushed at most: the
        /// log's own flushes may have to wait for them.
        sync: bool,
    },
    /// Makes a file of exactly this length durable and gives it another name atomically: after a crash either
    /// name holds all of it.
    Finish {
        /// The file.
        file: FileName,
        /// Bytes that are kept: at most its length.
        length: u64,
        /// The name that it gets; a file of that name is replaced.
        name: FileName,
    },
    /// Reads a part of a file: fewer bytes than asked for where the file ends, none behind its end.
    Read {
        /// The file.
        file: FileName,
        /// Where, in bytes from its start.
        offset: u64,
        /// How many bytes.
        length: u32,
    },
    /// Removes a file, durably.
    Remove {
        /// The file. Its absence is not an error.
        file: FileName,
    },
}

impl AsideOp {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &FileName {
        match self {
            AsideOp::Create { file }
            | AsideOp::Write { file, .. }
            | AsideOp::Finish { file, .. }
            | AsideOp::Read { file, .. }
            | AsideOp::Remove { file } => file,
        }
    }

    /// Carries it out on a directory in memory, where everything is durable at once.
    ///
    /// # Errors
    /// As a disk's: when the file is not there, or too short.
    pub fn carry_out(&self, files: &mut BTreeMap<FileName, Vec<u8>>) -> AsideOutcome {
        let missing = || AsideError { kind: AsideErrorKind::NotFound, reason: "no such file".to_string() };
        match self {
            AsideOp::Create { file } => drop(files.insert(file.clone(), Vec::new())),
            AsideOp::Write { file, offset, data, .. } => {
                let content = files.get_mut(file).ok_or_else(missing)?;
                let offset = within(*offset, content)?;
                let end = offset + data.len();
                content.resize(content.len().max(end), 0);
                content[offset..end].copy_from_slice(data);
            }
            AsideOp::Finish { file, length, name } => {
                let content = files.get(file).ok_or_else(missing)?;
                let length = within(*length, content)?;
                let mut content = files.remove(file).unwrap_or_default();
                content.truncate(length);
                files.insert(name.clone(), content);
            }
            AsideOp::Read { file, offset, length } => {
                let content = files.get(file).ok_or_else(missing)?;
                let start = usize::try_from(*offset).unwrap_or(usize::MAX).min(content.len());
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                let end = start.saturating_add(length).min(content.len());
                return Ok(Bytes::copy_from_slice(&content[start..end]));
            }
            AsideOp::Remove { file } => drop(files.remove(file)),
        }
        Ok(Bytes::new())
    }
}

/// An offset as far as it lies within a file.
fn within(offset: u64, content: &[u8]) -> Result<usize, AsideError> {
    usize::try_from(offset).ok().filter(|&offset| offset <= content.len()).ok_or_else(|| AsideError {
        kind: AsideErrorKind::Other,
        reason: format!("byte {offset} is beyond the end of the file, which has {}", content.len()),
    })
}

/// What came of an operation: the bytes that were read, none of any other kind.
pub type AsideOutcome = Result<Bytes, AsideError>;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct AsideError {
    /// What kind of failure.
    pub kind: AsideErrorKind,
    /// In words for the operator, with the file.
    pub reason: String,
}

/// Kinds of failure that are dealt with differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AsideErrorKind {
    /// The file is not there.
    NotFound,
    /// The disk is full, or a quota is used up: there may be room later.
    NoRoom,
    /// Anything else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "snapshot-1.part";

    fn write(offset: u64, data: &'static [u8]) -> AsideOp {
        AsideOp::Write { file: FILE.into(), offset, data: Bytes::from_static(data), sync: false }
    }

    fn read(file: &str, offset: u64, length: u32) -> AsideOp {
        AsideOp::Read { file: file.into(), offset, length }
    }

    #[test]
    fn a_file_is_written_finished_and_read() {
        let mut files = BTreeMap::new();
        let mut done = |op: AsideOp| op.carry_out(&mut files);
        for op in [AsideOp::Create { file: FILE.into() }, write(0, b"abcd"), write(2, b"xyz")] {
            assert_eq!(done(op), Ok(Bytes::new()));
        }
        assert_eq!(done(read(FILE, 1, 3)), Ok(Bytes::from_static(b"bxy")));
        assert_eq!(done(read(FILE, 4, 9)), Ok(Bytes::from_static(b"z")), "no more than there is");
        assert_eq!(done(read(FILE, 9, u32::MAX)), Ok(Bytes::new()));
        let finish = |length| AsideOp::Finish { file: FILE.into(), length, name: "snapshot-1".into() };
        assert_eq!(done(finish(6)).unwrap_err().kind, AsideErrorKind::Other, "longer than it is");
        assert_eq!(done(finish(4)), Ok(Bytes::new()));
        assert_eq!(done(read("snapshot-1", 0, 9)), Ok(Bytes::from_static(b"abxy")));
        assert_eq!(done(read(FILE, 0, 1)).unwrap_err().kind, AsideErrorKind::NotFound);
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let mut files = BTreeMap::new();
        let mut kind = |op: AsideOp| op.carry_out(&mut files).err().map(|error| error.kind);
        assert_eq!(kind(write(0, b"a")), Some(AsideErrorKind::NotFound));
        assert_eq!(kind(AsideOp::Create { file: FILE.into() }), None);
        assert_eq!(kind(write(1, b"a")), Some(AsideErrorKind::Other), "it would leave a hole");
        assert_eq!(kind(AsideOp::Remove { file: FILE.into() }), None);
        assert_eq!(kind(AsideOp::Remove { file: FILE.into() }), None, "its absence is not an error");
        assert!(files.is_empty());
    }
}
