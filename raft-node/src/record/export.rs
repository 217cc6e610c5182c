//! A recording in one piece of bytes: the log that its first checkpoint leaves out, then the ring.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::types::{EntryId, LogIndex};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::RecordingError;
use super::ring::Piece;
use super::writer::Keeper;
use crate::node::{Node, SnapshotSource};

/// Bytes read from the ring at a time.
const READ: usize = 256 << 10;

/// A self-contained recording, chunk by chunk. It ends with what had been recorded when it was asked for.
#[derive(Debug)]
pub struct Recording {
    node: Node,
    /// The snapshot that the prologue begins with, and how much of it was read.
    snapshot: Option<(SnapshotSource, u64)>,
    /// The entry before the first of the prologue.
    base: EntryId,
    /// The next entry of the prologue.
    next: LogIndex,
    last: LogIndex,
    pieces: VecDeque<Piece>,
    _permit: OwnedSemaphorePermit,
}

impl Recording {
    pub(super) async fn begin(
        node: Node,
        keeper: Arc<Keeper>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Recording, RecordingError> {
        let pieces = blocking(move || keeper.pieces()).await?;
        let (base, snapshot) = node.beginning().await?;
        // Pieces from before the log's beginning are passed over: the first of use is not known here.
        let first = if base.index > LogIndex::ZERO { pieces.back() } else { pieces.front() };
        let last = first.ok_or(RecordingError::GivenUp)?.base;
        let snapshot = snapshot.map(|source| (source, 0));
        Ok(Recording { node, snapshot, base, next: LogIndex::ZERO, last, pieces, _permit: permit })
    }

    /// The next bytes; none at its end.
    ///
    /// # Errors
    /// When the node ends, or its files cannot be read. What came so far is not a whole recording.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RecordingError> {
        if let Some((source, offset)) = self.snapshot.take() {
            let read = source.part(offset).await;
            let (source, part) = read.map_err(|error| RecordingError::Unreadable(error.to_string()))?;
            if !part.is_empty() {
                let mut bytes = Vec::new();
                raft_core::record::prologue_snapshot(self.base, &part, &mut bytes);
                self.snapshot = Some((source, offset + part.len() as u64));
                return Ok(Some(bytes.into()));
            }
        }
        // The prologue is there even where the log is empty.
        if self.next == LogIndex::ZERO || self.next <= self.last {
            return self.prologue().await.map(Some);
        }
        while let Some(mut piece) = self.pieces.pop_front() {
            let (piece, bytes) = blocking(move || {
                let bytes = piece.content.next(READ)?;
                Ok((piece, bytes))
            })
            .await?;
            if let Some(bytes) = bytes {
                self.pieces.push_front(piece);
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    async fn prologue(&mut self) -> Result<Bytes, RecordingError> {
        self.next = self.next.max(self.base.index.next());
        let entries = match self.next <= self.last {
            true => self.node.entries(self.next, self.last).await?,
            false => Vec::new(),
        };
        if let Some(entry) = entries.last() {
            self.next = entry.index.next();
        }
        let mut bytes = Vec::new();
        raft_core::record::prologue(entries.iter(), &mut bytes);
        Ok(bytes.into())
    }
}

/// Files are read where nobody waits for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, RecordingError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| RecordingError::Unreadable(error.to_string())),
        Err(error) => Err(RecordingError::Unreadable(error.to_string())),
    }
}
