//! The pieces of a recording: new ones come, the oldest go.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::types::LogIndex;

use super::buffer::{Part, Start};

/// Pieces kept: the one that is being recorded, and those before it.
pub(super) const PIECES: usize = 4;

/// In the data directory.
pub(crate) const DIRECTORY: &str = "recording";
/// In it, what this process records.
const CURRENT: &str = "current";
/// In it, what the process before it recorded.
const PREVIOUS: &str = "previous";
/// Ends the name of a piece that does not follow the one before.
const AFTER_GAP: &str = "-after-gap";

/// A piece to be read from its beginning.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) base: LogIndex,
    pub(super) content: Content,
}

/// Where a piece's bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// Read until `left` bytes have come: what is behind them was written later.
    File {
        file: File,
        left: u64,
    },
    Memory(VecDeque<Bytes>),
}

/// Where pieces are kept.
#[derive(Debug)]
pub(super) enum Ring {
    Files(Files),
    Memory(VecDeque<(LogIndex, VecDeque<Bytes>)>),
}

/// Pieces that are files of one directory.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// The oldest first.
    kept: VecDeque<(LogIndex, PathBuf)>,
    /// The last of them.
    open: Option<File>,
    begun: u64,
}

impl Ring {
    /// A ring in a data directory. What the process before left there becomes the previous recording.
    pub(super) fn in_directory(data_dir: &Path) -> io::Result<Ring> {
        let current = current(data_dir);
        if current.exists() {
            let previous = previous(data_dir);
            match fs::remove_dir_all(&previous) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => fs::rename(&current, &previous)?,
            }
        }
        fs::create_dir_all(&current)?;
        Ok(Ring::Files(Files { directory: current, kept: VecDeque::new(), open: None, begun: 0 }))
    }

    /// A ring in memory.
    pub(super) fn in_memory() -> Ring {
        Ring::Memory(VecDeque::new())
    }

    /// Adds to the last piece, or begins a new one. One that follows a gap replaces all before it: a replay
    /// cannot go from them to it.
    pub(super) fn add(&mut self, part: &Part<'_>) -> io::Result<()> {
        match (self, part.start) {
            (Ring::Files(files), start) => {
                if let Some(start) = start {
                    files.begin(start)?;
                }
                let Some(open) = &mut files.open else { return Ok(()) };
                open.write_all(part.bytes)?;
                files.forget(start.map_or(PIECES, keeps))
            }
            (Ring::Memory(pieces), start) => {
                if let Some(start) = start {
                    pieces.push_back((start.base, VecDeque::new()));
                    while pieces.len() > keeps(start) {
                        pieces.pop_front();
                    }
                }
                if let Some((_, last)) = pieces.back_mut() {
                    last.push_back(Bytes::copy_from_slice(part.bytes));
                }
                Ok(())
            }
        }
    }

    /// All pieces as they are, the oldest first. They can be read while the ring goes on.
    pub(super) fn pieces(&self) -> io::Result<VecDeque<Piece>> {
        match self {
            Ring::Files(files) => files.kept.iter().map(|(base, path)| open_piece(*base, path)).collect(),
            Ring::Memory(pieces) => {
                let piece = |(base, parts): &(LogIndex, VecDeque<Bytes>)| Piece {
                    base: *base,
                    content: Content::Memory(parts.clone()),
                };
                Ok(pieces.iter().map(piece).collect())
            }
        }
    }
}

/// How many pieces there are at most once one has started so.
fn keeps(start: Start) -> usize {
    if start.after_gap { 1 } else { PIECES }
}

impl Files {
    fn begin(&mut self, start: Start) -> io::Result<()> {
        self.begun += 1;
        let gap = if start.after_gap { AFTER_GAP } else { "" };
        let path = self.directory.join(format!("piece-{:020}{gap}", self.begun));
        self.open = Some(OpenOptions::new().append(true).create_new(true).open(&path)?);
        self.kept.push_back((start.base, path));
        Ok(())
    }

    /// Removes the oldest until there are no more than so many.
    fn forget(&mut self, most: usize) -> io::Result<()> {
        while self.kept.len() > most {
            if let Some((_, path)) = self.kept.pop_front() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn open_piece(base: LogIndex, path: &Path) -> io::Result<Piece> {
    let file = File::open(path)?;
    let left = file.metadata()?.len();
    Ok(Piece { base, content: Content::File { file, left } })
}

impl Content {
    /// The next bytes, at most so many where they come from a file; none at the end.
    pub(super) fn next(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        match self {
            Content::Memory(parts) => Ok(parts.pop_front()),
            Content::File { left: 0, .. } => Ok(None),
            Content::File { file, left } => {
                let mut bytes = vec![0; usize::try_from(*left).unwrap_or(usize::MAX).min(most)];
                file.read_exact(&mut bytes)?;
                *left -= bytes.len() as u64;
                Ok(Some(bytes.into()))
            }
        }
    }
}

fn current(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY).join(CURRENT)
}

fn previous(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY).join(PREVIOUS)
}

/// Reads what a data directory holds of a recording, from the last gap on: what a replay takes. Empty where
/// nothing was recorded.
///
/// # Errors
/// When the files cannot be read.
pub fn read_pieces(data_dir: &Path, which: Which) -> io::Result<Vec<u8>> {
    let directory = match which {
        Which::Current => current(data_dir),
        Which::Previous => previous(data_dir),
    };
    let names = match fs::read_dir(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = names.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("piece-")));
    paths.sort_unstable();
    let is_gap = |path: &PathBuf| path.to_string_lossy().ends_with(AFTER_GAP);
    let first = paths.iter().rposition(is_gap).unwrap_or(0);
    let mut bytes = Vec::new();
    for path in &paths[first..] {
        File::open(path)?.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Which recording of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of the process that runs, or ran last.
    Current,
    /// Of the one before it.
    Previous,
}
