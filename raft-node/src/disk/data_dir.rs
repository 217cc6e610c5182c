//! The data directory: found or made, locked, and known to be ours.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::disk::{DiskOp, FileName, ReadDisk, ReadError, SnapshotFile};
use raft_core::log::{IDENTITY_FILE, SegmentNumber};

use super::DiskFailure;
use super::files::Files;
use super::prepare::prepare;
use super::reserve::RESERVE_FILE;
use crate::{offline, record};

const LOCK_FILE: &str = "lock";

/// Ends the name of a file that is being made and not yet in its place.
const UNFINISHED: &str = ".tmp";

/// A server's directory, locked against any other process for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Open for flushing the names in it.
    directory: File,
    /// Holds the lock.
    _lock: File,
}

/// Why a directory cannot be used. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Something else has its name, or the name of a directory above it.
    #[error("{path} cannot be the data directory: {blocker} is a file. Move it, or choose another directory")]
    NotADirectory {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        blocker: PathBuf,
    },
    /// The user that runs the server may not write there.
    #[error(
        "no permission to {what} {path}: give the user that runs the server read and write permission on it, \
         or choose another data directory"
    )]
    Permission {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
    },
    /// The file system was mounted for reading only.
    #[error("{path} is on a read-only file system: mount it writable, or choose another data directory")]
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// Another process uses it.
    #[error(
        "{path} is in use by {holder}: a data directory serves one server at a time. Stop that one, or \
         give this one a directory of its own"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// `process 123`, as far as it is known.
        holder: String,
    },
    /// It holds things, and they are not a server's.
    #[error("{path} is not a data directory: it holds {found}. Choose an empty or a new directory")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The names of some of what is there.
        found: String,
    },
    /// Anything else the operating system said.
    #[error("cannot {what} {path}: {source}. Check the disk, or choose another data directory")]
    System {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the directory if there is none, locks it, and makes sure that it is a server's or empty and can
    /// be written to. A disk that is full does not matter here: a log that exists has room to start in.
    ///
    /// # Errors
    /// When any of that is not so.
    pub fn open(path: impl Into<PathBuf>) -> Result<DataDir, DataDirError> {
        let path = path.into();
        let fault = |what| {
            let path = path.clone();
            move |error| explain(path, what, error)
        };
        create_durably(&path).map_err(fault("create"))?;
        let directory = File::open(&path).map_err(fault("open"))?;
        check_ours(&path)?;
        let lock = lock(&path)?;
        check_writable(&path).map_err(fault("write to"))?;
        remove_unfinished(&path).map_err(fault("clean up"))?;
        if offline::complete(&path).map_err(fault("complete the recovery of"))? {
            tracing::warn!(path = %path.display(), "completed a recovery that was interrupted");
        }
        // The process before may have died between making a file and flushing its name.
        directory.sync_all().map_err(fault("flush"))?;
        Ok(DataDir { path, directory, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Carries operations out in order and makes them durable before it returns: for the creation of a log
    /// and for the repairs of recovery, before a [`DiskThread`](super::DiskThread) takes over.
    ///
    /// # Errors
    /// The first operation that failed; those behind it were not begun. Give the directory up after that.
    pub fn apply(&self, ops: &[DiskOp]) -> Result<(), DiskFailure> {
        let mut files = Files::default();
        for op in ops {
            match op {
                DiskOp::Prepare { file, size, head } => {
                    files.forget(file);
                    self.with_reserve(|| prepare(self, file, *size, head))?;
                }
                op => self.with_reserve(|| files.apply(self, op))?,
            }
        }
        files.flush(self)
    }

    /// Tries once more without the reserve, if it was room that lacked and there is one.
    fn with_reserve(&self, mut attempt: impl FnMut() -> Result<(), DiskFailure>) -> Result<(), DiskFailure> {
        match attempt() {
            Err(failure) if failure.disk_full && self.release_reserve() => attempt(),
            outcome => outcome,
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where a file is made before it gets its name.
    pub(super) fn unfinished(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{UNFINISHED}"))
    }

    /// Makes the names in the directory durable.
    pub(super) fn flush_names(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

impl ReadDisk for DataDir {
    fn list(&self) -> Result<Vec<FileName>, ReadError> {
        list(&self.path)
    }

    fn read(&self, file: &str) -> Result<Bytes, ReadError> {
        read(&self.path, file)
    }

    fn read_start(&self, file: &str, length: usize) -> Result<Bytes, ReadError> {
        read_start(&self.path, file, length)
    }
}

/// A data directory that is only read, by somebody who is not its server.
#[derive(Clone, Debug)]
pub struct ReadOnlyDir(PathBuf);

impl ReadOnlyDir {
    /// The directory at a path, which is neither locked nor checked.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> ReadOnlyDir {
        ReadOnlyDir(path.into())
    }
}

impl ReadDisk for ReadOnlyDir {
    fn list(&self) -> Result<Vec<FileName>, ReadError> {
        list(&self.0)
    }

    fn read(&self, file: &str) -> Result<Bytes, ReadError> {
        read(&self.0, file)
    }

    fn read_start(&self, file: &str, length: usize) -> Result<Bytes, ReadError> {
        read_start(&self.0, file, length)
    }
}

fn list(directory: &Path) -> Result<Vec<FileName>, ReadError> {
    let names = names(directory).map_err(|error| unreadable(directory, &error))?;
    Ok(names.into_iter().filter(|name| is_log_file(name)).collect())
}

fn read(directory: &Path, file: &str) -> Result<Bytes, ReadError> {
    let path = directory.join(file);
    fs::read(&path).map(Bytes::from).map_err(|error| unreadable(&path, &error))
}

fn read_start(directory: &Path, file: &str, length: usize) -> Result<Bytes, ReadError> {
    let path = directory.join(file);
    let read = || {
        let mut start = Vec::new();
        File::open(&path)?.take(length as u64).read_to_end(&mut start)?;
        Ok(Bytes::from(start))
    };
    read().map_err(|error| unreadable(&path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> ReadError {
    ReadError { file: path.display().to_string(), reason: error.to_string() }
}

/// A file that the replica reads and writes.
pub(crate) fn is_log_file(name: &str) -> bool {
    name == IDENTITY_FILE
        || SegmentNumber::from_file_name(name).is_some()
        || SnapshotFile::from_file_name(name).is_some()
}

fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED).is_some_and(|name| is_log_file(name) || name == RESERVE_FILE)
}

/// The names of all files; one that is not text is given as far as it is.
fn names(path: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Creates the directory and those above it that are missing, each one's name durable.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn check_ours(path: &Path) -> Result<(), DataDirError> {
    let names = names(path).map_err(|error| explain(path.to_owned(), "list", error))?;
    if names.iter().any(|name| name == IDENTITY_FILE) {
        return Ok(());
    }
    // A file system's root has its lost+found from the day it was made. Recordings may outlive a log.
    let known = |name: &str| {
        is_log_file(name)
            || is_unfinished(name)
            || [LOCK_FILE, RESERVE_FILE, record::DIRECTORY, "lost+found"].contains(&name)
            || record::is_saved(name)
            || offline::is_exchange(name)
    };
    let mut strangers: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known(name)).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    strangers.sort_unstable();
    let more = if strangers.len() > 3 { format!(" and {} more", strangers.len() - 3) } else { String::new() };
    strangers.truncate(3);
    let found = format!("{:?}{more}", strangers.iter().collect::<Vec<_>>());
    Err(DataDirError::Foreign { path: path.to_owned(), found })
}

/// Takes the lock and leaves this process's id in the file, for the one who finds it taken.
fn lock(path: &Path) -> Result<File, DataDirError> {
    let name = path.join(LOCK_FILE);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name);
    let file = open.map_err(|error| explain(name.clone(), "open", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataDirError::Locked { path: path.to_owned(), holder: holder(&file) });
        }
        Err(TryLockError::Error(error)) => return Err(explain(name, "lock", error)),
    }
    // Of one length, so that a disk that is full takes it too where there was one before.
    let pid = format!("{:<10}\n", std::process::id());
    tolerate_full(file.write_all_at(pid.as_bytes(), 0)).map_err(|error| explain(name, "write to", error))?;
    Ok(file)
}

fn holder(lock: &File) -> String {
    let mut text = [0; 11];
    let read = lock.read_at(&mut text, 0).unwrap_or(0);
    let pid = String::from_utf8_lossy(&text[..read]);
    match pid.trim().parse::<u32>() {
        Ok(pid) if pid == std::process::id() => format!("this very process ({pid})"),
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    }
}

/// Where the lock file was there already, nothing so far has shown that a file can be made.
fn check_writable(path: &Path) -> io::Result<()> {
    let probe = path.join(format!("{IDENTITY_FILE}{UNFINISHED}"));
    tolerate_full(File::create(&probe).map(drop))
}

fn remove_unfinished(path: &Path) -> io::Result<()> {
    for name in names(path)?.iter().filter(|name| is_unfinished(name)) {
        fs::remove_file(path.join(name))?;
    }
    Ok(())
}

fn tolerate_full(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_full(&error) => Ok(()),
        other => other,
    }
}

/// Whether room is all that lacks.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

pub(super) fn explain(path: PathBuf, what: &'static str, error: io::Error) -> DataDirError {
    match error.kind() {
        ErrorKind::PermissionDenied => DataDirError::Permission { path, what },
        ErrorKind::ReadOnlyFilesystem => DataDirError::ReadOnly { path },
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            let blocker = path.ancestors().find(|p| p.is_file()).unwrap_or(&path).to_owned();
            DataDirError::NotADirectory { path, blocker }
        }
        _ => DataDirError::System { path, what, source: error },
    }
}
