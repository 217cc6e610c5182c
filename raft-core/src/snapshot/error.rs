//! Why a snapshot's file cannot be used.

use super::format::FORMAT_VERSION;
use crate::disk::FileName;

/// A snapshot that must not be used. Each text names the file, the place where there is one, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A part of it is not as it was written.
    #[error("{file} is damaged at offset {offset}: {what}. {ADVICE}")]
    Damaged {
        /// The snapshot.
        file: FileName,
        /// Where the part begins that is damaged, in bytes.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Its end is missing.
    #[error("{file} ends at offset {length}, before its end mark. {ADVICE}")]
    CutShort {
        /// The snapshot.
        file: FileName,
        /// How many bytes there are.
        length: u64,
    },
    /// Another version of the program wrote it.
    #[error(
        "{file} is written in snapshot format {found}; this build reads format {FORMAT_VERSION}. \
         Start the version of the program that wrote it, or one that reads both"
    )]
    Version {
        /// The snapshot.
        file: FileName,
        /// Its format.
        found: u32,
    },
}

const ADVICE: &str = "Do not delete or edit single files: restore this server's whole data directory from \
    its original disk, or move the directory away and let the cluster replace the member";
