//! The disk of a node without one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use raft_core::disk::{AsideOp, AsideSeq, DiskBatch, FileName};

use super::{Completion, Disk};

/// Keeps nothing but snapshots, for others to be sent them, and reports every batch at once, in the call that
/// hands it over. A node on it has lost its disk once it stops, and is to its peers a member that was wiped.
pub struct MemoryDisk {
    completions: Box<dyn Fn(Completion) + Send>,
    snapshots: MemoryFiles,
}

/// Files in memory.
pub(crate) type MemoryFiles = Arc<Mutex<BTreeMap<FileName, Vec<u8>>>>;

impl MemoryDisk {
    /// A disk that reports to `completions`, which must not submit from within the call.
    #[must_use]
    pub fn new(completions: impl Fn(Completion) + Send + 'static) -> MemoryDisk {
        MemoryDisk { completions: Box::new(completions), snapshots: MemoryFiles::default() }
    }

    /// The snapshots' files.
    pub(crate) fn snapshots(&self) -> MemoryFiles {
        self.snapshots.clone()
    }
}

impl Disk for MemoryDisk {
    fn submit(&self, batch: DiskBatch) {
        (self.completions)(Completion::Persisted(batch.seq));
    }

    fn submit_aside(&self, seq: AsideSeq, op: AsideOp) {
        let outcome = op.carry_out(&mut self.snapshots.lock());
        (self.completions)(Completion::Aside { seq, outcome });
    }
}
