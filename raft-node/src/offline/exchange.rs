//! Exchanges what a data directory holds for what was made beside it: after a crash at any moment it is the
//! old directory or the new one.
//!
//! The new one is made in `refounding/` within the data directory. Each step from there is a rename, durable
//! before the next:
//!
//! 1. `refounding/` becomes `refounded/`: it is decided;
//! 2. what was there before moves to `replaced-<new cluster id>/`, where it is kept;
//! 3. `refounded/` becomes `installing/`: nothing old is left, so all that lies there from now on is new;
//! 4. what is in `installing/` moves out, the identity last.
//!
//! Whoever opens the directory next completes what was decided. Nobody uses it before.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use raft_core::log::{IDENTITY_FILE, Identity};

use crate::disk::is_log_file;
use crate::record;

const UNDECIDED: &str = "refounding";
const DECIDED: &str = "refounded";
const INSTALLING: &str = "installing";
const REPLACED: &str = "replaced-";

/// Whether it is the name of something that an exchange leaves in a data directory.
pub(crate) fn is_exchange(name: &str) -> bool {
    [UNDECIDED, DECIDED, INSTALLING].contains(&name) || name.starts_with(REPLACED)
}

/// The file operations of an exchange, each durable when it returns.
pub(super) trait Moves {
    /// Gives a file or directory another name.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a directory, if it is not there.
    fn create_dir(&mut self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &Path) -> io::Result<()>;
}

/// The real ones.
pub(super) struct FileSystem;

impl Moves for FileSystem {
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        flush_name(to)?;
        flush_name(from)
    }

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => flush_name(path),
        }
    }

    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)?;
        flush_name(path)
    }
}

fn flush_name(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the new directory is made. What an attempt before has left there is removed.
pub(super) fn undecided(dir: &Path) -> io::Result<PathBuf> {
    let path = dir.join(UNDECIDED);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

/// The identity of a new directory that is whole and waits to be decided upon.
pub(super) fn waiting(dir: &Path) -> Option<Identity> {
    let text = fs::read(dir.join(UNDECIDED).join(IDENTITY_FILE)).ok()?;
    Identity::decode(&text).ok()
}

/// Decides that the new directory replaces the old one.
pub(super) fn decide(dir: &Path, moves: &mut dyn Moves) -> io::Result<()> {
    moves.rename(&dir.join(UNDECIDED), &dir.join(DECIDED))
}

/// Whether an exchange was decided upon and is not complete.
pub(super) fn is_decided(dir: &Path) -> bool {
    dir.join(DECIDED).exists() || dir.join(INSTALLING).exists()
}

/// Completes the exchange that was decided upon in a directory, which the caller has locked. Tells whether
/// there was one.
pub(crate) fn complete(dir: &Path) -> io::Result<bool> {
    complete_with(dir, &mut FileSystem)
}

pub(super) fn complete_with(dir: &Path, moves: &mut dyn Moves) -> io::Result<bool> {
    let (decided, installing) = (dir.join(DECIDED), dir.join(INSTALLING));
    let any = is_decided(dir);
    if decided.exists() {
        put_aside(dir, &decided, moves)?;
        moves.rename(&decided, &installing)?;
    }
    if installing.exists() {
        install(dir, &installing, moves)?;
    }
    Ok(any)
}

/// Moves what belongs to the old server away. Recordings go with the log that they begin in.
fn put_aside(dir: &Path, decided: &Path, moves: &mut dyn Moves) -> io::Result<()> {
    let identity = Identity::decode(&fs::read(decided.join(IDENTITY_FILE))?)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
    let cluster_id = identity.cluster_id.map_or("none".to_owned(), |id| id.to_string());
    let kept = dir.join(format!("{REPLACED}{cluster_id}"));
    moves.create_dir(&kept)?;
    for name in names(dir)? {
        if is_log_file(&name) || name == record::DIRECTORY {
            moves.rename(&dir.join(&name), &kept.join(&name))?;
        }
    }
    Ok(())
}

fn install(dir: &Path, installing: &Path, moves: &mut dyn Moves) -> io::Result<()> {
    let mut new = names(installing)?;
    // The lock is the outer directory's. The identity makes the directory a server's: it comes last.
    new.retain(|name| is_log_file(name));
    new.sort_by_key(|name| name == IDENTITY_FILE);
    for name in new {
        moves.rename(&installing.join(&name), &dir.join(&name))?;
    }
    for rest in names(installing)? {
        fs::remove_file(installing.join(rest))?;
    }
    moves.remove_dir(installing)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
