//! The disk of a node without one.

use raft_core::disk::DiskBatch;

use super::{Completion, Disk};

/// Keeps nothing and reports every batch at once, in the call that hands it over. A node on it has lost its
/// disk once it stops, and is to its peers a member that was wiped.
pub struct MemoryDisk {
    completions: Box<dyn Fn(Completion) + Send>,
}

impl MemoryDisk {
    /// A disk that reports to `completions`, which must not submit from within the call.
    #[must_use]
    pub fn new(completions: impl Fn(Completion) + Send + 'static) -> MemoryDisk {
        MemoryDisk { completions: Box::new(completions) }
    }
}

impl Disk for MemoryDisk {
    fn submit(&self, batch: DiskBatch) {
        (self.completions)(Completion::Persisted(batch.seq));
    }
}
