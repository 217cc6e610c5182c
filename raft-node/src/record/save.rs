//! Writing a recording to a file of the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Recording, RecordingError};
use tokio::task::spawn_blocking;

/// Begins the name of a recording that somebody asked for.
const ASKED_FOR: &str = "recording-";
/// Begins the name of a recording that a failed node leaves.
const FAILED: &str = "failed-";
/// Ends the names of both.
const SUFFIX: &str = ".raftrec";
/// Recordings of failures kept: a node that is restarted again and again must not fill its disk.
const FAILURES_KEPT: usize = 3;

/// Whether a file of a data directory is a saved recording.
pub(crate) fn is_saved(name: &str) -> bool {
    name.ends_with(SUFFIX) && (name.starts_with(ASKED_FOR) || name.starts_with(FAILED))
}

/// Why a recording is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    AskedFor,
    Failure,
}

/// Writes all of it to a new file, and makes it durable.
pub(super) async fn save(
    mut recording: Recording,
    directory: PathBuf,
    occasion: Occasion,
) -> Result<PathBuf, RecordingError> {
    if occasion == Occasion::Failure {
        remove_old_failures(&directory);
    }
    let (mut file, path) = create(&directory, occasion)?;
    let unwritable = |error: std::io::Error, path: &Path| RecordingError::Unwritable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    loop {
        let next = recording.next().await;
        let Some(bytes) = next.inspect_err(|_| drop(fs::remove_file(&path)))? else { break };
        let written = spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await;
        file = match written.map_err(std::io::Error::other).flatten() {
            Ok(file) => file,
            Err(error) => {
                // A part of a recording would look like a torn one.
                let _ = fs::remove_file(&path);
                return Err(unwritable(error, &path));
            }
        };
    }
    let flushed = spawn_blocking(move || file.sync_all()).await;
    flushed.map_err(std::io::Error::other).flatten().map_err(|error| unwritable(error, &path))?;
    Ok(path)
}

fn create(directory: &Path, occasion: Occasion) -> Result<(File, PathBuf), RecordingError> {
    let prefix = match occasion {
        Occasion::AskedFor => ASKED_FOR,
        Occasion::Failure => FAILED,
    };
    let mut stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    loop {
        let path = directory.join(format!("{prefix}{stamp}{SUFFIX}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => stamp += 1,
            Err(error) => return Err(RecordingError::Unwritable { path, reason: error.to_string() }),
        }
    }
}

/// Leaves room for one more. What cannot be removed is left.
fn remove_old_failures(directory: &Path) {
    let Ok(names) = fs::read_dir(directory) else { return };
    let is_failure = |name: &str| name.starts_with(FAILED) && is_saved(name);
    let mut paths: Vec<PathBuf> = names
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| is_failure(&name.to_string_lossy())))
        .collect();
    paths.sort_unstable();
    while paths.len() >= FAILURES_KEPT {
        let _ = fs::remove_file(paths.remove(0));
    }
}
