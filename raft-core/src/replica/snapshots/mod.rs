//! Snapshots on this server, and what of the log they make dispensable (paper §7).
//!
//! | file | what it answers |
//! | --- | --- |
//! | `taking` | when is a snapshot taken, and how is it written? |
//! | `asked` | who asked for one now, and what is he told? |
//! | `restoring` | how does a state come back from a snapshot? |
//! | `sending` | how does a leader read what it sends? |
//! | `receiving` | what does a follower do with what comes? |
//!
//! A snapshot is *kept* once its file is whole and a record of the log that says so is durable. The latest
//! two are, and the log after the first of them: a follower that needs longer for a snapshot than it takes to
//! make the next can go on with it, with whatever server leads. A leader keeps one that it is sending longer,
//! with the log after it, and that log until the follower has it, so that a follower never has to begin with
//! another. The bounds: so many at most, and not for a follower that gets no further
//! (`consensus/snapshots.rs`). A server that is started keeps what it finds until the next is whole: it may
//! come to lead.

mod asked;
mod receiving;
mod restoring;
mod sending;
mod taking;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Replica;
use super::aside::Purpose;
use crate::consensus::ChunkRead;
use crate::disk::{AsideOp, AsideOutcome, SnapshotFile, Unrecorded, WriteSeq};
use crate::log::Record;
use crate::seeded::{self, Bug};
use crate::types::{EntryId, NodeId};

pub(super) use asked::AwaitedSnapshot;
use receiving::Receiving;
use restoring::OwnRestoring;
pub(super) use taking::Frozen;
use taking::{Marks, Taking};
pub use taking::{SnapshotEvery, SnapshotPart, SnapshotProgress};

/// Snapshots that are kept.
const KEPT: usize = 2;

/// Snapshots that are kept while a follower needs the first of them.
const MOST_KEPT: usize = 8;

/// What is done about snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshots {
    /// When one is taken.
    pub(super) marks: Marks,
    /// This server's state is being written.
    #[serde(skip)]
    pub(super) taking: Option<Taking>,
    /// Its file is whole, and the log does not say so yet.
    pub(super) whole: Option<EntryId>,
    /// The log says so with these batches.
    pub(super) recorded: VecDeque<(EntryId, WriteSeq)>,
    /// Whether a segment is being removed.
    pub(super) is_removing: bool,
    /// Whether the last one could not be removed.
    pub(super) is_stuck: bool,
    /// Files of snapshots that an earlier process left, later than any that was taken or received since.
    pub(super) later: Vec<Unrecorded>,
    /// This server's own is being read, at a start.
    #[serde(skip)]
    pub(super) own: Option<OwnRestoring>,
    /// One comes from a leader.
    #[serde(skip)]
    pub(super) receiving: Option<Receiving>,
    /// How many have come.
    pub(super) receivings: u64,
    /// A part is read to be sent.
    pub(super) reading: Option<ChunkRead>,
    /// For whom a part was read last.
    pub(super) read_for: Option<NodeId>,
}

impl Snapshots {
    pub(super) fn new(every: SnapshotEvery, later: Vec<Unrecorded>) -> Snapshots {
        Snapshots { marks: Marks::new(every), later, ..Snapshots::default() }
    }

    /// Whether there is more to take into the state machine, without anything having to come first.
    pub(super) fn has_more(&self) -> bool {
        self.own.as_ref().is_some_and(OwnRestoring::has_more)
            || self.receiving.as_ref().is_some_and(Receiving::has_more)
            || self.taking.as_ref().is_some_and(Taking::has_more)
    }

    /// Whether a state is on its way into the state machine or out of it: what the machine keeps for that
    /// is in no checkpoint.
    pub(super) fn is_under_way(&self) -> bool {
        self.own.is_some() || self.receiving.is_some() || self.taking.is_some()
    }
}

impl Replica {
    /// The file of a snapshot that was taken or received here is whole and durable.
    pub(super) fn snapshot_whole(&mut self, snapshot: EntryId) {
        if let Some(before) = self.snapshots.whole.replace(snapshot)
            && before.index != snapshot.index
        {
            self.remove_aside([SnapshotFile::Whole(before.index).file_name()]);
        }
    }

    /// Has the log say that a snapshot is whole, once everything up to there is durable in it.
    pub(super) fn record_snapshot(&mut self) {
        let durable = self.consensus.log().durable();
        if let Some(snapshot) = self.snapshots.whole.take_if(|whole| whole.index <= durable) {
            self.log_snapshot(snapshot);
        }
    }

    /// None of the entries that it holds may be written after it.
    fn log_snapshot(&mut self, EntryId { index, term }: EntryId) {
        let durable = self.consensus.log().durable();
        assert!(
            index <= durable,
            "the snapshot {index} goes before its entries, of which {durable} are safe"
        );
        self.consensus.record(Record::Snapshot { index, term });
        let early = seeded::is(Bug::LogRemovedFirst);
        let batch = if early { WriteSeq(0) } else { self.state_needed() };
        self.snapshots.recorded.push_back((EntryId { index, term }, batch));
    }

    /// A batch is durable: the log may begin later.
    pub(super) fn snapshot_recorded(&mut self) {
        let durable = self.storage.durable_seq;
        while let Some((snapshot, _)) = self.snapshots.recorded.pop_front_if(|(_, seq)| *seq <= durable) {
            self.consensus.keep_snapshot(snapshot);
            self.compact();
        }
        self.remove_segment();
    }

    /// Lets go of snapshots before the last ones, and of the log before those.
    pub(super) fn compact(&mut self) {
        let base = self.consensus.log().base().index;
        while let Some(oldest) = self.consensus.snapshots.front().copied() {
            let kept = self.consensus.snapshots.len();
            let next = self.consensus.snapshots.get(1).map_or(oldest.index, |next| next.index);
            let is_used = kept <= KEPT || (kept <= MOST_KEPT && self.consensus.needs_kept(oldest, next));
            if oldest.index >= base && is_used {
                break;
            }
            self.consensus.snapshots.pop_front();
            self.remove_aside([SnapshotFile::Whole(oldest.index).file_name()]);
        }
        self.consensus.send_only_kept();
        self.begin_log_later();
    }

    /// Lets go of the log before the oldest snapshot that is kept.
    pub(super) fn begin_log_later(&mut self) {
        if let Some(oldest) = self.consensus.snapshots.front() {
            self.consensus.log.compact(oldest.index);
            let base = self.consensus.log().base().index;
            self.consensus.configurations_compacted(base);
        }
        self.snapshots.is_stuck = false;
        self.remove_segment();
    }

    /// Has the oldest segment removed, if it is dispensable: one after the other, so that a crash leaves no
    /// gap.
    fn remove_segment(&mut self) {
        let Some(oldest) = self.consensus.snapshots.front() else { return };
        if self.snapshots.is_removing || self.snapshots.is_stuck {
            return;
        }
        if let Some(file) = self.storage.writer.oldest_dispensable(oldest.index) {
            self.snapshots.is_removing = true;
            self.aside.ask(Purpose::Segment, AsideOp::Remove { file });
        }
    }

    /// The oldest segment is gone. Where it could not be removed, the next snapshot tries again.
    pub(super) fn segment_removed(&mut self, outcome: &AsideOutcome) {
        self.snapshots.is_removing = false;
        self.snapshots.is_stuck = outcome.is_err();
        if outcome.is_ok() {
            self.storage.writer.segment_removed();
            self.remove_segment();
        }
    }

    /// Takes a little more of a state in, and has the next part of one read.
    pub(super) fn work_on_snapshots(&mut self) {
        self.restore_own();
        self.restore_received();
        self.take_snapshot();
        self.send_snapshots();
    }
}
