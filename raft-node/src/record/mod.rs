//! The flight recorder: a bounded recording of all that goes into the replica, to be replayed at a desk.
//!
//! The replica is a pure state machine, so its events are all there is to know. The driver encodes them
//! (`tape`) and appends each turn to a buffer; the thread `raft-record` takes the buffer some twenty times a
//! second and writes it to a ring of pieces: files, without a flush, or memory. The driver never waits for
//! it: where the buffer is full the recording has a gap, and goes on with a new piece once there is room. A
//! write that fails ends the recording, not the node.
//!
//! Each piece begins with a checkpoint, so a replay can begin with any of them. What the bytes mean is
//! `raft_core::record`'s: nothing here looks inside.

mod buffer;
mod desk;
mod export;
mod ring;
mod save;
mod tape;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::{Config, Storage};
use crate::error::RequestError;
use crate::node::Node;

#[cfg(test)]
pub(crate) use desk::replay_on;
pub use desk::{ReplayError, Summary, Told, replay};
pub use export::Recording;
pub(crate) use ring::DIRECTORY;
use ring::{PIECES, Ring};
pub use ring::{Which, read_pieces};
use save::Occasion;
pub(crate) use save::is_saved;
pub(crate) use tape::Tape;
use writer::Keeper;

/// Recordings that may be read from a node at a time.
const READERS: usize = 2;

/// Why there is no recording. Each message is one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The node was told to record nothing.
    #[error("this node records nothing: start it with record_mib above 0")]
    Off,
    /// Nothing could be recorded.
    #[error("this node has recorded nothing yet, or cannot write it: then its log says why")]
    GivenUp,
    /// Others are reading it.
    #[error("{READERS} recordings are being read already: try again later")]
    Busy,
    /// It is kept in memory, and there is no place for a file.
    #[error(
        "an ephemeral node has no directory to save a recording in: fetch it with raft-server client record"
    )]
    NoDirectory,
    /// The recording cannot be read.
    #[error("cannot read the recording: {0}")]
    Unreadable(String),
    /// The file cannot be written.
    #[error("cannot write the recording to {path}: {reason}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// In the operating system's words.
        reason: String,
    },
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] RequestError),
}

/// The recording of a running node, for those who want to read it.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    keeper: Arc<Keeper>,
    readers: Arc<Semaphore>,
}

/// What records a node's replica, and what reads the recording. Where there can be none, the node does
/// without.
pub(crate) fn open(config: &Config) -> (Tape, Option<Archive>) {
    if config.record_mib == 0 {
        return (Tape::default(), None);
    }
    let ring = match &config.storage {
        Storage::Directory(directory) => Ring::in_directory(directory),
        Storage::Ephemeral => Ok(Ring::in_memory()),
    };
    match ring.and_then(Keeper::start) {
        Ok((keeper, writer)) => {
            let piece_bytes = (config.record_mib << 20) / PIECES;
            let archive = Archive { keeper: keeper.clone(), readers: Arc::new(Semaphore::new(READERS)) };
            let tape = Tape::new(config.node_id.clone(), piece_bytes, keeper, writer);
            (tape, Some(archive))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot write a recording: nothing is recorded");
            (Tape::default(), None)
        }
    }
}

impl Archive {
    /// Begins to read all that has been recorded so far.
    pub(crate) async fn read(&self, node: Node) -> Result<Recording, RecordingError> {
        let permit = self.readers.clone().try_acquire_owned().map_err(|_| RecordingError::Busy)?;
        Recording::begin(node, self.keeper.clone(), permit).await
    }

    /// Saves all that has been recorded so far in the data directory, and gives the file.
    pub(crate) async fn save(&self, node: Node, failed: bool) -> Result<PathBuf, RecordingError> {
        let Storage::Directory(directory) = node.config().storage.clone() else {
            return Err(RecordingError::NoDirectory);
        };
        let occasion = if failed { Occasion::Failure } else { Occasion::AskedFor };
        save::save(self.read(node).await?, directory, occasion).await
    }
}
