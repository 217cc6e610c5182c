//! A snapshot of this server's state is taken (paper §7), while it goes on serving.
//!
//! All servers take theirs at the same places: a leader puts marks into the log, and whoever applies one
//! freezes its state there. So the files of one log index are the same everywhere. From then on each turn of
//! the replica asks for a bounded number of bytes, and hands them to the disk aside of the log. A server that
//! is not done with the snapshot before skips a mark; one that cannot write gives its snapshot up, keeps the
//! log, and takes the next.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Replica;
use super::super::administration::Task;
use super::super::aside::Purpose;
use super::super::event::{Notice, Role};
use super::receiving::Receiving;
use crate::disk::{AsideError, AsideOp, AsideOutcome, SnapshotFile};
use crate::entry::{Entry, Payload};
use crate::snapshot::{Header, Piece, Writer};
use crate::types::{EntryId, LogIndex, StateHash, Term, Time};

/// Bytes of pieces asked for in one turn at most, unless a single piece is longer.
const TURN_BYTES: usize = 128 << 10;

/// Bytes that are written in one operation, but for the last.
const WRITE_BYTES: usize = 64 << 10;

/// Bytes after which what was written is flushed: a flush of the log may have to wait for those that are not.
const FLUSH_EVERY: u64 = 1 << 20;

/// When a leader has a snapshot taken: once the log has grown by either of these since the last mark, and by
/// more than the last snapshot was long. So what is written for snapshots is at most as much as for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvery {
    /// Bytes of entries.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for SnapshotEvery {
    /// 64 MiB, or a million entries.
    fn default() -> SnapshotEvery {
        SnapshotEvery { bytes: 64 << 20, entries: 1_000_000 }
    }
}

/// How far this server is with its snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotProgress {
    /// The log index of the last one whose file is complete; 0 where there is none.
    pub index: LogIndex,
    /// The length of its file in bytes; 0 where this process neither took nor received it.
    pub bytes: u64,
    /// The log index of the one that is being taken.
    pub taking: Option<LogIndex>,
    /// Snapshots taken by this process.
    pub taken: u64,
    /// How long the last of them took, from the frozen state to the whole file.
    pub took: Duration,
    /// Why the last attempt was given up, in words, where none has succeeded since.
    pub problem: Option<String>,
    /// The one that comes from a leader.
    pub receiving: Option<SnapshotPart>,
    /// The last mark of which this process took no snapshot: it was busy with another, or could not.
    pub missed: LogIndex,
}

/// How much of a snapshot is on another disk than its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// The log index whose state it holds.
    pub index: LogIndex,
    /// Bytes of its file that are there, from its start without a gap.
    pub bytes: u64,
}

/// What has come since the last mark.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Growth {
    bytes: u64,
    entries: u64,
}

/// When snapshots are taken, and what came of those that were.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Marks {
    every: SnapshotEvery,
    growth: Growth,
    /// A mark that this server put into the log as leader, and that is not applied.
    put: Option<EntryId>,
    /// Somebody asked for a snapshot now.
    is_wanted: bool,
    /// The length of the last snapshot.
    pub(super) bytes: u64,
    taken: u64,
    problem: Option<String>,
    /// These two are for who looks on: nothing that the replica does depends on them.
    #[serde(skip)]
    took: Duration,
    #[serde(skip)]
    missed: LogIndex,
}

impl Marks {
    pub(in super::super) fn new(every: SnapshotEvery) -> Marks {
        Marks { every, ..Marks::default() }
    }

    /// The next mark is due now.
    pub(in super::super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Whether the last snapshot could not be written.
    pub(in super::super) fn has_failed(&self) -> bool {
        self.problem.is_some()
    }

    /// An entry was applied, and if it was a mark, maybe the state was frozen there.
    pub(in super::super) fn applied(&mut self, entry: &Entry, is_frozen: bool) {
        if entry.payload == Payload::Snapshot {
            self.growth = Growth::default();
            if !is_frozen {
                self.missed = entry.index;
            }
        } else {
            self.growth.bytes += entry.cost() as u64;
            self.growth.entries += 1;
        }
    }

    fn is_due(&self) -> bool {
        let Growth { bytes, entries } = self.growth;
        let has_grown = bytes > self.every.bytes || entries > self.every.entries;
        self.is_wanted || (has_grown && bytes > self.bytes)
    }

    /// Whether a mark of this leader's term may still be applied.
    fn is_put(&self, term: Term, applied: LogIndex) -> bool {
        self.put.is_some_and(|put| put.term == term && put.index > applied)
    }
}

/// A state that was frozen when a mark was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Frozen {
    pub(in super::super) at: EntryId,
    pub(in super::super) state_hash: StateHash,
}

/// A snapshot that is being taken.
#[derive(Clone)]
pub(in super::super) struct Taking {
    at: EntryId,
    since: Time,
    writer: Writer,
    source: Source,
    /// Whether the disk has been asked for something and has not answered.
    is_busy: bool,
    unflushed: u64,
}

/// What is asked for pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Sessions,
    Machine,
    /// All was told, and the end is laid out.
    Told,
    /// All was written, and the file gets its name.
    Finishing,
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Taking { at, writer, source, is_busy, since: _, unflushed: _ } = self;
        let taken = writer.taken();
        write!(f, "Taking {{ at: {at}, source: {source:?}, taken: {taken}, is_busy: {is_busy} }}")
    }
}

impl Taking {
    fn new(at: EntryId, since: Time, header: &Header) -> Taking {
        let writer = Writer::new(header);
        Taking { at, since, writer, source: Source::Sessions, is_busy: true, unflushed: 0 }
    }

    fn part(&self) -> SnapshotFile {
        SnapshotFile::Part(self.at.index)
    }

    /// Whether there is work at hand: nothing has to come from the disk first.
    pub(in super::super) fn has_more(&self) -> bool {
        !self.is_busy
    }

    /// The next operation, if so much is laid out.
    fn operation(&mut self) -> Option<AsideOp> {
        let file = self.part().file_name();
        if self.source == Source::Told && self.writer.ready() == 0 {
            self.source = Source::Finishing;
            let name = SnapshotFile::Whole(self.at.index).file_name();
            return Some(AsideOp::Finish { file, length: self.writer.taken(), name });
        }
        if self.source != Source::Told && self.writer.ready() < WRITE_BYTES {
            return None;
        }
        let offset = self.writer.taken();
        let data = self.writer.take();
        self.unflushed += data.len() as u64;
        let sync = self.unflushed >= FLUSH_EVERY;
        if sync {
            self.unflushed = 0;
        }
        Some(AsideOp::Write { file, offset, data, sync })
    }
}

impl Replica {
    /// Puts a mark into the log of this leader, where one is due.
    pub(in super::super) fn mark_snapshot(&mut self) {
        let leads = self.consensus.role() == Role::Leader && !self.consensus.is_transferring();
        let marks = &self.snapshots.marks;
        let is_free = self.snapshots.taking.is_none() && !self.is_restoring();
        let is_put = marks.is_put(self.consensus.term(), self.last_applied);
        let is_due = marks.is_due() || self.is_snapshot_asked_for();
        if !leads || !is_free || is_put || !is_due || !self.machine.takes_snapshots() {
            return;
        }
        let index = self.consensus.append_own(Payload::Snapshot);
        let mark = EntryId { index, term: self.consensus.term() };
        let marks = &mut self.snapshots.marks;
        (marks.put, marks.is_wanted) = (Some(mark), false);
        self.asked_for_marked(mark);
    }

    /// Has the leader put a mark, where this server, which follows, wants one.
    pub(in super::super) fn ask_leader_for_mark(&mut self) {
        let has_room = !self.consensus.disk.is_full();
        if self.snapshots.marks.is_wanted && has_room && self.ask_leader_alone(&Task::Snapshot) {
            self.snapshots.marks.is_wanted = false;
        }
    }

    /// Whether the state that was frozen at this mark is being written.
    pub(super) fn is_taking(&self, at: EntryId) -> bool {
        self.snapshots.taking.as_ref().is_some_and(|taking| taking.at == at)
    }

    /// Whether the state is to be frozen when a mark is applied.
    pub(in super::super) fn may_freeze(&self) -> bool {
        self.snapshots.taking.is_none() && self.machine.takes_snapshots()
    }

    /// The state was frozen: from now on its pieces are written.
    pub(in super::super) fn begin_taking(&mut self, frozen: Frozen) {
        let Frozen { at, state_hash } = frozen;
        // Entry 1 of every log names the cluster.
        let Some(cluster_id) = self.consensus.cluster_id else { return self.thaw() };
        let (configuration_index, configuration) = self.consensus.configuration_at(at.index);
        let header = Header {
            cluster_id,
            index: at.index,
            term: at.term,
            state_hash,
            configuration_index,
            configuration: configuration.clone(),
        };
        // What an earlier process left of this snapshot goes first, or it would go after this one is whole.
        let later = core::mem::take(&mut self.snapshots.later).into_iter();
        let (left, later): (Vec<_>, Vec<_>) = later.partition(|later| later.file.index() <= at.index);
        self.snapshots.later = later;
        self.remove_aside(left.into_iter().map(|left| left.file.file_name()));
        let taking = Taking::new(at, self.now, &header);
        let file = taking.part().file_name();
        self.snapshots.taking = Some(taking);
        self.consensus.next_snapshot = Some(at);
        self.aside.ask(Purpose::Taking(at.index), AsideOp::Create { file });
    }

    /// Has the next bytes of the snapshot that is being taken written.
    pub(in super::super) fn take_snapshot(&mut self) {
        let Some(mut taking) = self.snapshots.taking.take_if(|taking| !taking.is_busy) else { return };
        self.lay_out(&mut taking);
        if let Some(op) = taking.operation() {
            taking.is_busy = true;
            self.aside.ask(Purpose::Taking(taking.at.index), op);
        }
        self.snapshots.taking = Some(taking);
    }

    /// Asks for pieces until it is enough for a turn.
    fn lay_out(&mut self, taking: &mut Taking) {
        let mut bytes = 0;
        while bytes < TURN_BYTES && taking.writer.ready() < WRITE_BYTES {
            let piece = match taking.source {
                Source::Sessions => self.sessions.next_piece().map(Piece::Sessions),
                Source::Machine => self.machine.next_piece().map(Piece::Machine),
                Source::Told | Source::Finishing => return,
            };
            match piece {
                // The next one takes long to find: in another turn.
                Some(piece) if piece.bytes().is_empty() => return,
                Some(piece) => {
                    bytes += piece.bytes().len();
                    taking.writer.piece(&piece);
                }
                None if taking.source == Source::Sessions => taking.source = Source::Machine,
                None => {
                    taking.source = Source::Told;
                    taking.writer.finish();
                    self.thaw();
                }
            }
        }
    }

    /// The disk has answered.
    pub(in super::super) fn taken_aside(&mut self, index: LogIndex, outcome: AsideOutcome) {
        let Some(taking) = self.snapshots.taking.as_mut().filter(|taking| taking.at.index == index) else {
            return;
        };
        match outcome {
            Err(error) => self.taking_failed(&error),
            Ok(_) if taking.source == Source::Finishing => {
                let (at, bytes, took) = (taking.at, taking.writer.taken(), self.now.since(taking.since));
                self.snapshots.taking = None;
                let marks = &mut self.snapshots.marks;
                (marks.bytes, marks.took, marks.problem) = (bytes, took, None);
                marks.taken += 1;
                self.snapshot_whole(at);
                self.asked_for_whole(at, bytes);
                self.consensus.notify(Notice::SnapshotTaken { index, bytes });
            }
            Ok(_) => taking.is_busy = false,
        }
    }

    fn taking_failed(&mut self, error: &AsideError) {
        let Some(Taking { at, .. }) = self.snapshots.taking else { return };
        let reason = alloc::format!("{error}");
        self.abandon_taking();
        self.asked_for_failed(at, &reason);
        let marks = &mut self.snapshots.marks;
        (marks.missed, marks.problem) = (at.index, Some(reason.clone()));
        self.consensus.notify(Notice::SnapshotNotTaken { index: at.index, reason });
    }

    /// Gives up the snapshot that is being taken, if one is.
    pub(in super::super) fn abandon_taking(&mut self) {
        if let Some(taking) = self.snapshots.taking.take() {
            self.thaw();
            self.consensus.next_snapshot = None;
            self.aside.forget(Purpose::Taking(taking.at.index));
            self.remove_aside([taking.part().file_name()]);
        }
    }

    fn thaw(&mut self) {
        self.machine.thaw();
        self.sessions.thaw();
    }

    /// How far this server is with its snapshots.
    #[must_use]
    pub fn snapshots(&self) -> SnapshotProgress {
        let marks = &self.snapshots.marks;
        SnapshotProgress {
            index: self.consensus.snapshots.back().map_or(LogIndex::ZERO, |last| last.index),
            bytes: marks.bytes,
            taking: self.snapshots.taking.as_ref().map(|taking| taking.at.index),
            taken: marks.taken,
            took: marks.took,
            problem: marks.problem.clone(),
            receiving: self.snapshots.receiving.as_ref().map(Receiving::part),
            missed: marks.missed,
        }
    }
}

#[cfg(test)]
mod tests;
