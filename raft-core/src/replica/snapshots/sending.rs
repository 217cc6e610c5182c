//! A leader's side: parts of the file are read aside, one at a time, and sent.

use super::super::Replica;
use super::super::aside::Purpose;
use crate::consensus::ChunkRead;
use crate::disk::{AsideOp, AsideOutcome, SnapshotFile};

/// Bytes of a snapshot's file in one message.
pub(super) const CHUNK_BYTES: u32 = 256 << 10;

impl Replica {
    /// Has the next chunk read, if a follower has room for one.
    pub(in super::super) fn send_snapshots(&mut self) {
        if self.snapshots.reading.is_some() {
            return;
        }
        let Some(chunk) = self.consensus.next_chunk(self.snapshots.read_for.as_ref()) else { return };
        let file = SnapshotFile::Whole(chunk.snapshot.index).file_name();
        let op = AsideOp::Read { file, offset: chunk.offset, length: CHUNK_BYTES };
        self.snapshots.read_for = Some(chunk.to.clone());
        self.snapshots.reading = Some(chunk);
        self.aside.ask(Purpose::Sending, op);
    }

    /// The chunk was read.
    pub(in super::super) fn chunk_read(&mut self, outcome: AsideOutcome) {
        let Some(chunk) = self.snapshots.reading.take() else { return };
        match outcome {
            Ok(data) => {
                let is_last = data.len() < CHUNK_BYTES as usize;
                self.consensus.send_chunk(chunk, data, is_last);
            }
            Err(error) => {
                let ChunkRead { to, .. } = chunk;
                self.consensus.chunk_unreadable(&to, &error);
            }
        }
    }
}
