//! Why a data directory cannot be used.

use alloc::boxed::Box;

use super::format::{FORMAT_VERSION, FrameSeq, SEGMENT_HEADER};
use super::identity::IdentityError;
use crate::disk::{FileName, ReadError};
use crate::types::{Incarnation, LogIndex, NodeId, Term};

/// A data directory that must not be used as it is. Each text names the file, the place where there is one,
/// and what to do. Nothing on the disk is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The operating system would not hand a file out.
    #[error(
        "{0}. Nothing was changed. Make the file readable and start again; if the disk is failing, {ADVICE}"
    )]
    Read(#[from] ReadError),

    /// The identity file is damaged or from another version.
    #[error("identity: {problem}. {}", advice_for_identity(problem))]
    Identity {
        /// What is wrong with it.
        problem: IdentityError,
    },

    /// The directory is another server's.
    #[error(
        "this directory belongs to {found}, and the server is configured as {expected}: \
         give {expected} a data directory of its own, or start the server as {found}"
    )]
    WrongNode {
        /// Whose it is.
        found: NodeId,
        /// Who wants it.
        expected: NodeId,
    },

    /// There is a log and nothing that says whose.
    #[error("identity is missing beside {file}, which holds data. {ADVICE}")]
    IdentityMissing {
        /// A segment.
        file: FileName,
    },

    /// Another version of the program wrote it.
    #[error(
        "{file} is written in format {found}; this build reads format {FORMAT_VERSION}. \
         Start the version of the program that wrote it, or one that reads both"
    )]
    Version {
        /// The segment.
        file: FileName,
        /// Its format.
        found: u32,
    },

    /// A segment that must be there is not.
    #[error("{file} is missing. {ADVICE}")]
    SegmentMissing {
        /// The segment.
        file: FileName,
    },

    /// The log begins in its midst, and no snapshot reaches up to there.
    #[error(
        "{file} is missing: the log begins with entry {first}, and the last snapshot ends with entry \
         {snapshot}. {ADVICE}"
    )]
    BeginningMissing {
        /// The segment before the first that is there.
        file: FileName,
        /// The first entry that is there.
        first: LogIndex,
        /// The last entry that a snapshot holds.
        snapshot: LogIndex,
    },

    /// A snapshot on which the log rests is not there.
    #[error("{file} is missing, and the log says that it was complete. {ADVICE}")]
    SnapshotMissing {
        /// The snapshot's file.
        file: FileName,
    },

    /// The first segment of a log that begins in its midst has no readable frame.
    #[error(
        "{file} is damaged at offset {SEGMENT_HEADER}: its first frame is unreadable, and the segments \
         before it are gone. {ADVICE}"
    )]
    FirstFrame {
        /// The segment.
        file: FileName,
    },

    /// A segment in use whose first bytes cannot be read.
    #[error("{file} is damaged at offset 0: its header is unreadable. {ADVICE}")]
    SegmentHeader {
        /// The segment.
        file: FileName,
    },

    /// A segment in use that somebody made shorter or longer.
    #[error("{file} is {length} bytes long and was made with {expected}. {ADVICE}")]
    SegmentLength {
        /// The segment.
        file: FileName,
        /// Its length in bytes.
        length: u64,
        /// What its header says.
        expected: u64,
    },

    /// A segment under another name than its own.
    #[error("{file} holds segment {found}: it was renamed or copied. {ADVICE}")]
    SegmentNumber {
        /// The segment.
        file: FileName,
        /// The number inside.
        found: u64,
    },

    /// A segment of another data directory.
    #[error(
        "{file} comes from another data directory (incarnation {found}, this one is {expected}). {ADVICE}"
    )]
    WrongIncarnation {
        /// The segment.
        file: FileName,
        /// Whose it is.
        found: Incarnation,
        /// Whose directory it lies in.
        expected: Incarnation,
    },

    /// A frame that had been durable cannot be read any more.
    #[error(
        "{file} is damaged at offset {offset}: frame {frame} is unreadable, and {} at offset {} \
         shows that it had been stored safely. {ADVICE}", .witness.0, .witness.1
    )]
    Damaged {
        /// The segment.
        file: FileName,
        /// Where the frame starts, in bytes.
        offset: u64,
        /// The frame.
        frame: FrameSeq,
        /// File and offset of a later frame that tells so.
        witness: Box<(FileName, u64)>,
    },

    /// A sound frame where another belongs.
    #[error("{file} holds frame {found} at offset {offset}, where frame {expected} belongs. {ADVICE}")]
    FrameGap {
        /// The segment.
        file: FileName,
        /// Where, in bytes.
        offset: u64,
        /// What is there.
        found: FrameSeq,
        /// What should be.
        expected: FrameSeq,
    },

    /// A sound frame with records this build does not know.
    #[error(
        "{file}: the frame at offset {offset} is whole, but holds records this build cannot read. \
         Start the version of the program that wrote it"
    )]
    UnknownRecord {
        /// The segment.
        file: FileName,
        /// Where the frame starts, in bytes.
        offset: u64,
    },

    /// An entry that does not continue the log.
    #[error(
        "{file}: the frame at offset {offset} holds entry {found}, and the log before it ends with \
         entry {last}. {ADVICE}"
    )]
    EntryGap {
        /// The segment.
        file: FileName,
        /// Where the frame starts, in bytes.
        offset: u64,
        /// The entry.
        found: LogIndex,
        /// The last one before it.
        last: LogIndex,
    },

    /// A term that no server can have stored there: along the entries they never fall, and none gets that
    /// high.
    #[error(
        "{file}: the frame at offset {offset} holds term {found} where the log before it allows {least} to \
         {most}. {ADVICE}"
    )]
    Term {
        /// The segment.
        file: FileName,
        /// Where the frame starts, in bytes.
        offset: u64,
        /// The term.
        found: Term,
        /// The least it could be.
        least: Term,
        /// The most it could be.
        most: Term,
    },

    /// An entry of a term that the server never got to: its vote in that term has been lost.
    #[error(
        "entry {entry} is of term {found}, and this server's stored term is {term}: a vote has been lost. \
         {ADVICE}"
    )]
    EntryAhead {
        /// The last entry.
        entry: LogIndex,
        /// Its term.
        found: Term,
        /// The hard state's.
        term: Term,
    },
}

const ADVICE: &str = "Do not delete or edit single files: restore this server's whole data directory from \
    its original disk, or move the directory away and let the cluster replace the member";

fn advice_for_identity(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::Damaged(_) => ADVICE,
        IdentityError::Version { .. } => "Start the version of the program that wrote it",
    }
}
