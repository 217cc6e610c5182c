//! Replaying a recording at a desk: from a file, or from the directory of a node that has died.

use std::any::Any;
use std::fs;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use raft_core::disk::SnapshotFile;
use raft_core::kv::Store;
use raft_core::log::{IDENTITY_FILE, Identity, LogOptions, Recovery, recover};
use raft_core::record;
use raft_core::replica::Beginning;
use raft_core::state_machine::StateMachine;
use raft_core::types::Time;

pub use raft_core::record::{Summary, Told};

use super::ring::{Which, read_pieces};
use crate::disk::ReadOnlyDir;

/// Why a recording was not replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// In the operating system's words.
        error: io::Error,
    },
    /// A directory that is not a node's.
    #[error("{path} is neither a recording nor a data directory")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A data directory without a recording.
    #[error("{path} holds no such recording: the node recorded nothing, or has not been started since")]
    Nothing {
        /// Which.
        path: PathBuf,
    },
    /// The data directory's log, with which the recording begins, is of no use.
    #[error("{path}: {reason}")]
    Log {
        /// Which directory.
        path: PathBuf,
        /// In words.
        reason: String,
    },
    /// The recording is of no use.
    #[error("{path}: {error}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// With the place.
        error: record::ReplayError,
    },
    /// The replica did something else than when it was recorded.
    #[error("{0}")]
    Differs(record::ReplayError),
    /// The replica broke down, as one does that a failed assertion ends.
    #[error("the replica broke down at {} s: {reason}", at.as_micros() as f64 / 1e6)]
    BrokeDown {
        /// Whether it broke down in the same turn when it was recorded: then the replay did as it should.
        as_recorded: bool,
        /// The time of the last event.
        at: Time,
        /// What it said.
        reason: String,
    },
}

/// Replays a saved recording, or the one in a data directory, which is only read. `tell` hears what happens,
/// one thing after the other.
///
/// # Errors
/// See [`ReplayError`]. An end that is torn, because the process died while it wrote, is none.
pub fn replay(
    path: &Path,
    which: Which,
    tell: &mut dyn FnMut(Time, Told<'_>),
) -> Result<Summary, ReplayError> {
    replay_on(path, which, &mut || Box::new(Store::new()), tell)
}

/// Likewise, on an empty state machine of another kind.
pub(crate) fn replay_on(
    path: &Path,
    which: Which,
    machine: &mut dyn FnMut() -> Box<dyn StateMachine>,
    tell: &mut dyn FnMut(Time, Told<'_>),
) -> Result<Summary, ReplayError> {
    let (bytes, base) = read(path, which)?;
    let (mut at, mut as_recorded) = (Time::ZERO, false);
    let mut watch = |time, told: Told<'_>| {
        at = time;
        as_recorded |= matches!(told, Told::BreaksOff);
        tell(time, told);
    };
    let program = env!("CARGO_PKG_VERSION");
    let replayed =
        catch_unwind(AssertUnwindSafe(|| record::replay(&bytes, base, program, machine, &mut watch)));
    match replayed {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(error @ record::ReplayError::Differs { .. })) => Err(ReplayError::Differs(error)),
        Ok(Err(error)) => Err(ReplayError::Unusable { path: path.to_owned(), error }),
        Err(panic) => Err(ReplayError::BrokeDown { as_recorded, at, reason: words_of(&*panic) }),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

/// The bytes of a recording, and the log where it is not among them.
fn read(path: &Path, which: Which) -> Result<(Vec<u8>, Option<Beginning>), ReplayError> {
    let unreadable = |error| ReplayError::Unreadable { path: path.to_owned(), error };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok((fs::read(path).map_err(unreadable)?, None));
    }
    let beginning = read_log(path)?;
    let bytes = read_pieces(path, which).map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(ReplayError::Nothing { path: path.to_owned() });
    }
    Ok((bytes, Some(beginning)))
}

fn read_log(path: &Path) -> Result<Beginning, ReplayError> {
    let text = fs::read(path.join(IDENTITY_FILE)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ReplayError::Foreign { path: path.to_owned() },
        _ => ReplayError::Unreadable { path: path.join(IDENTITY_FILE), error },
    })?;
    let unusable = |reason: String| ReplayError::Log { path: path.to_owned(), reason };
    let identity =
        Identity::decode(&text).map_err(|error| unusable(format!("{IDENTITY_FILE} is {error}")))?;
    let found = match recover(&ReadOnlyDir::new(path), &identity.node_id, LogOptions::default()) {
        Ok(Recovery::Found(found)) => found,
        Ok(Recovery::Empty) => return Ok(Beginning::default()),
        Err(error) => return Err(unusable(error.to_string())),
    };
    // The oldest: so that as much as possible of the recording comes after it.
    let snapshot = match found.earlier.first().copied().or(found.snapshot) {
        Some(oldest) => {
            let file = path.join(SnapshotFile::Whole(oldest.index).file_name());
            Some(fs::read(&file).map_err(|error| ReplayError::Unreadable { path: file, error })?.into())
        }
        None => None,
    };
    Ok(Beginning { base: found.base, entries: found.entries, snapshot })
}
