//! Why nothing is done to directories at rest.

use std::io;
use std::path::PathBuf;

use raft_core::log::{Contradiction, RecoveryError, RefoundError};
use raft_core::types::{ClusterId, NodeId};

use super::snapshot::CopyError;
use crate::disk::{DataDirError, DiskFailure};

/// Why directories were not read, or not made into others. Each text is one line that says what to do. Unless
/// it says otherwise nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No server's directory.
    #[error("{path} is not a data directory: there is no identity file in it")]
    NoDataDirectory {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be opened: a node that runs has it, or the operating system objects.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// Its log is damaged.
    #[error(
        "{path}: {error}. To recover without this member, leave its directory out", path = path.display()
    )]
    Damaged {
        /// Which directory.
        path: PathBuf,
        /// The damage.
        error: Box<RecoveryError>,
    },
    /// A member that never heard of its cluster.
    #[error(
        "{path} holds no entry of any cluster: {node_id} had not met the others. Leave it out",
        path = path.display()
    )]
    Blank {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        node_id: NodeId,
    },
    /// One member twice.
    #[error(
        "{} and {} are both directories of {node_id}: give the one it used last",
        paths.0.display(), paths.1.display()
    )]
    Twice {
        /// The member.
        node_id: NodeId,
        /// Both directories.
        paths: Box<(PathBuf, PathBuf)>,
    },
    /// Members of two clusters.
    #[error(
        "{} belong to different clusters, {} and {}: give those of one cluster", list(&.0), .0[0].1, .0[1].1
    )]
    OtherCluster(Box<[(PathBuf, ClusterId); 2]>),
    /// A recovery was interrupted after it had given some directories to the new cluster.
    #[error(
        "a recovery of these directories was interrupted before it was the turn of {}: the same command with \
         --yes completes it", .path.display()
    )]
    Interrupted {
        /// A directory that was not reached.
        path: PathBuf,
    },
    /// Logs that cannot be of one cluster.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A log without a beginning.
    #[error("{path}: {error}", path = path.display())]
    Useless {
        /// Which directory.
        path: PathBuf,
        /// What it lacks.
        error: RefoundError,
    },
    /// A snapshot that is not whole or cannot be read.
    #[error("{}: {error}", path.display())]
    Backup {
        /// Its file, or the directory it is in.
        path: PathBuf,
        /// What is wrong.
        error: CopyError,
    },
    /// A directory that holds a node's data already.
    #[error("{} holds the data of a node already: a backup is restored into a new directory", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A new member that has no directory here.
    #[error(
        "{node_id} is to be a member, and no --data-dir is its directory: a new cluster starts with members \
         that hold everything; take {node_id} off the list and add it once the cluster runs"
    )]
    NoDirectoryOf {
        /// Which.
        node_id: NodeId,
    },
    /// There is nothing to recover from.
    #[error(
        "{} of the cluster's {members} members are here, which is a majority: start them, they go on by \
         themselves and lose nothing. If they cannot go on and you know why, give --force",
        here
    )]
    Majority {
        /// How many were given.
        here: usize,
        /// Of how many.
        members: usize,
    },
    /// The new directory could not be written.
    #[error("{0}. The directories are as they were")]
    Write(#[from] DiskFailure),
    /// The operating system objected on the way.
    #[error("cannot {what} {path}: {source}. {then}", path = path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What was said.
        source: io::Error,
        /// What that leaves.
        then: &'static str,
    },
}

fn list(two: &[(PathBuf, ClusterId); 2]) -> String {
    format!("{} and {}", two[0].0.display(), two[1].0.display())
}
