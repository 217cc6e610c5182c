//! This node's snapshots as files: where the log begins, and backups.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use bytes::Bytes;
use raft_core::disk::SnapshotFile;
use raft_core::replica::{SnapshotProgress, TaskRefused};
use raft_core::types::{EntryId, LogIndex};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::{Consistency, Input, Life, Node};
use crate::config::Storage;
use crate::disk::MemoryFiles;
use crate::error::RequestError;

/// Bytes read at a time.
const READ: usize = 256 << 10;

/// A snapshot's file, open for reading: it may be removed meanwhile.
#[derive(Debug)]
pub(crate) enum SnapshotSource {
    /// In a data directory.
    File(std::fs::File),
    /// In memory.
    Memory(Bytes),
}

impl SnapshotSource {
    /// The bytes from an offset on, as many as are read at a time; none at its end. Read where nobody waits
    /// for it.
    pub(crate) async fn part(self, offset: u64) -> io::Result<(SnapshotSource, Vec<u8>)> {
        spawn_blocking(move || {
            let part = self.read(offset)?;
            Ok((self, part))
        })
        .await?
    }

    fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        match self {
            SnapshotSource::File(file) => {
                let mut part = vec![0; READ];
                let mut length = 0;
                while length < READ {
                    match file.read_at(&mut part[length..], offset + length as u64)? {
                        0 => break,
                        read => length += read,
                    }
                }
                part.truncate(length);
                Ok(part)
            }
            SnapshotSource::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[start..bytes.len().min(start + READ)].to_vec())
            }
        }
    }
}

/// What a node knows of its snapshots besides what its replica does.
#[derive(Debug)]
pub(super) struct Kept {
    /// The files of a node without a directory.
    pub(super) in_memory: MemoryFiles,
    /// How far it is, as the driver last saw it.
    pub(super) progress: watch::Sender<SnapshotProgress>,
}

/// The state at one log index as a file, chunk by chunk: `raft-server restore` makes a cluster of it.
#[derive(Debug)]
pub struct Backup {
    index: LogIndex,
    /// None at its end.
    source: Option<SnapshotSource>,
    offset: u64,
}

impl Backup {
    /// The log index whose state it holds.
    #[must_use]
    pub fn index(&self) -> LogIndex {
        self.index
    }

    /// The name that the file has in a data directory.
    #[must_use]
    pub fn file_name(&self) -> String {
        SnapshotFile::Whole(self.index).file_name()
    }

    /// The next bytes; none at its end.
    ///
    /// # Errors
    /// `Failed` where the file cannot be read. What came so far is not a whole backup.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        let Some(source) = self.source.take() else { return Ok(None) };
        let unreadable = |error| RequestError::Failed { reason: format!("cannot read a snapshot: {error}") };
        let (source, part) = source.part(self.offset).await.map_err(unreadable)?;
        if part.is_empty() {
            return Ok(None);
        }
        self.offset += part.len() as u64;
        self.source = Some(source);
        Ok(Some(part.into()))
    }
}

impl Node {
    /// Begins to read a snapshot of the whole store: a fresh one that holds all that was acknowledged before
    /// this call, or a stale one, the newest that this node has.
    ///
    /// # Errors
    /// As [`Node::snapshot`]; `Declined` also where this node cannot write its own. `NoSnapshot` where a
    /// stale one is asked for and there is none.
    pub async fn backup(
        &self,
        consistency: Consistency,
        timeout: Option<Duration>,
    ) -> Result<Backup, RequestError> {
        if consistency == Consistency::Stale {
            return self.open_kept(LogIndex(1)).ok_or(RequestError::NoSnapshot);
        }
        let end = Instant::now() + timeout.unwrap_or(self.config().request_timeout);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let index = self.snapshot(Some(left)).await?.index;
            let waited = timeout_at(end, self.has_snapshot(index)).await;
            let SnapshotProgress { missed, problem, .. } =
                waited.map_err(|_| RequestError::TaskUnknown)??;
            if let Some(backup) = self.open_kept(index) {
                return Ok(backup);
            }
            if let Some(reason) = problem.filter(|_| missed >= index) {
                return Err(RequestError::Declined(TaskRefused::SnapshotFailed { reason }));
            }
            // This node was busy with an earlier one, and skipped it.
        }
    }

    /// Waits until this node has a snapshot of the index or a later one, or will have none.
    async fn has_snapshot(&self, index: LogIndex) -> Result<SnapshotProgress, RequestError> {
        let mut snapshots = self.shared.snapshots.progress.subscribe();
        let mut life = self.shared.life.clone();
        let settled = snapshots.wait_for(|progress| progress.index >= index || progress.missed >= index);
        tokio::select! {
            Ok(progress) = settled => Ok(progress.clone()),
            _ = life.wait_for(|life| *life != Life::Running) => Err(self.gone()),
        }
    }

    /// Opens the newest snapshot that this node has, if that is of the index or a later one.
    fn open_kept(&self, least: LogIndex) -> Option<Backup> {
        let mut tried = LogIndex::ZERO;
        loop {
            let index = self.shared.snapshots.progress.borrow().index;
            if index < least || index == tried {
                return None;
            }
            // Where it has just been removed, another one has taken its place.
            if let Some(source) = self.open_snapshot(index) {
                return Some(Backup { index, source: Some(source), offset: 0 });
            }
            tried = index;
        }
    }

    fn open_snapshot(&self, index: LogIndex) -> Option<SnapshotSource> {
        let name = SnapshotFile::Whole(index).file_name();
        match &self.config().storage {
            Storage::Directory(directory) => {
                std::fs::File::open(directory.join(name)).ok().map(SnapshotSource::File)
            }
            Storage::Ephemeral => {
                let file = self.shared.snapshots.in_memory.lock().get(&name).cloned();
                file.map(|file| SnapshotSource::Memory(file.into()))
            }
        }
    }

    /// The entry before the first that the log holds, and the file of the oldest snapshot that it goes on
    /// from.
    pub(crate) async fn beginning(&self) -> Result<(EntryId, Option<SnapshotSource>), RequestError> {
        loop {
            let (respond, answer) = oneshot::channel();
            if self.shared.inbox.send(Input::Beginning { respond }).await.is_err() {
                return Err(self.gone());
            }
            let Ok((base, oldest)) = answer.await else { return Err(self.gone()) };
            let Some(oldest) = oldest else { return Ok((base, None)) };
            // Where it has just been removed, another one has taken its place.
            if let Some(source) = self.open_snapshot(oldest.index) {
                return Ok((base, Some(source)));
            }
        }
    }
}
