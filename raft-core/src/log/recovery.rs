//! Finds the log again: reads the segments from the first on, frame by frame, to where they end.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::entries::{Entries, Settled};
use super::error::RecoveryError;
use super::format::{FrameSeq, SEGMENT_HEADER, SegmentNumber};
use super::identity::{IDENTITY_FILE, Identity};
use super::records::{self, Unreadable};
use super::repair::{Tail, search, settle};
use super::segment::{Frame, Segment};
use super::standing::Standing;
use super::writer::{End, Extents, Writer};
use super::{LogOptions, Record, segments_among};
use crate::disk::{DiskOp, FileName, ReadDisk, SnapshotFile, Unrecorded};
use crate::entry::Entry;
use crate::seeded::{self, Bug};
use crate::snapshot::{self, Reader};
use crate::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, Term};

/// What a data directory held.
#[derive(Clone, Debug)]
pub enum Recovery {
    /// No server: nothing, or what an interrupted [`create`](super::create) left. Create it (anew).
    Empty,
    /// A server's log.
    Found(Box<Recovered>),
}

/// A log found again.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Whose it is.
    pub identity: Identity,
    /// Where the log goes on. To be used only once the repairs have been carried out.
    pub writer: Writer,
    /// The last hard state stored.
    pub hard_state: HardState,
    /// The entry before the first of `entries`.
    pub base: EntryId,
    /// The log after the base, without a gap.
    pub entries: Vec<Entry>,
    /// The last entry that the latest snapshot holds: not before the base, not beyond the log. Its file is
    /// there, and has yet to be read.
    pub snapshot: Option<EntryId>,
    /// A lower bound of the commit index, not beyond the last entry.
    pub commit_hint: LogIndex,
    /// The peers' incarnations.
    pub peers: BTreeMap<NodeId, Incarnation>,
    /// Whether the server may vote.
    pub admitted: bool,
    /// Whole snapshots before that one that the log goes on from as well, the oldest first: a follower may be
    /// in the midst of receiving one.
    pub earlier: Vec<EntryId>,
    /// The files of later snapshots, which no record tells of, the earliest first: a beginning that was
    /// received, to which the rest may yet come.
    pub later: Vec<Unrecorded>,
    /// Other files of snapshots. They are of no more use and may be removed at leisure.
    pub leftovers: Vec<FileName>,
    /// What was cut off the end, if anything. Worth a line in the log; nothing acknowledged was in it.
    pub torn: Option<TornTail>,
    /// To be carried out, as one synced batch, before anything that was recovered is acted upon. It clears
    /// what was cut off, and writes once more what an earlier process wrote but may not have flushed: that
    /// was read from the system's cache and might still be lost with it.
    pub repairs: Vec<DiskOp>,
}

impl Recovered {
    /// The log's last entry; its base where there is none.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(self.base, |last| EntryId { index: last.index, term: last.term })
    }
}

/// The end of a log that a crash left half written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: FileName,
    /// Where it was cut, in bytes.
    pub offset: u64,
    /// How many bytes were given up, in this segment and those after it.
    pub dropped_bytes: u64,
    /// How many frames were recognised among them.
    pub frames: u64,
}

/// Reads a data directory. Changes nothing: see [`Recovered::repairs`].
///
/// # Errors
/// When anything is missing, damaged or out of place that a crash does not explain, or the directory is not
/// `node_id`'s. The server must not start from it.
pub fn recover(
    disk: &dyn ReadDisk,
    node_id: &NodeId,
    options: LogOptions,
) -> Result<Recovery, RecoveryError> {
    let recovery = read(disk, node_id, options)?;
    if let Recovery::Found(found) = &recovery {
        let last = found.last();
        let (entry, term) = (last.index, found.hard_state.term);
        if last.term > term && !seeded::is(Bug::HardStateNeverWritten) {
            return Err(RecoveryError::EntryAhead { entry, found: last.term, term });
        }
    }
    Ok(recovery)
}

/// As [`recover`], whatever the terms of the last entry and of the hard state.
pub(super) fn read(
    disk: &dyn ReadDisk,
    node_id: &NodeId,
    options: LogOptions,
) -> Result<Recovery, RecoveryError> {
    let names = disk.list()?;
    let numbers = segments_among(&names);
    if !names.iter().any(|name| name == IDENTITY_FILE) {
        return no_identity(disk, &numbers);
    }
    let identity = Identity::decode(&disk.read(IDENTITY_FILE)?)
        .map_err(|problem| RecoveryError::Identity { problem })?;
    if identity.node_id != *node_id {
        return Err(RecoveryError::WrongNode { found: identity.node_id, expected: node_id.clone() });
    }
    // Even an empty log has its first segment.
    let first = numbers.first().copied().unwrap_or(SegmentNumber::FIRST);
    let last = numbers.last().copied().unwrap_or(SegmentNumber::FIRST);
    let mut walk = Walk::new(first);
    // Segments from the one the last frame was found in: where the log ends is not known before the last.
    let mut tail: Vec<Segment> = Vec::new();
    let mut offset = SEGMENT_HEADER;
    let mut unmade = None;
    let mut expected = first;
    for number in numbers {
        check_present(number, expected)?;
        expected = number.next();
        let segment = Segment::load(disk, number, identity.incarnation)?;
        if let Err(error) = segment.check_header() {
            check_unmade(&segment, (first, last), error)?;
            unmade = Some(number);
            continue;
        }
        let highest = walk.extents.take_highest();
        let end = walk.segment(&segment)?;
        if end.is_none() {
            walk.extents.note(highest);
        }
        if let Some(end) = end {
            for passed in tail.drain(..) {
                // All that is found is durable once the repairs are carried out.
                walk.extents.close(passed.number, highest, FrameSeq(0));
            }
            offset = end;
        }
        tail.push(segment);
        // Told early, so that a log damaged near its start is not held in memory as a whole.
        search(&tail, offset, walk.last.next())?;
    }
    if tail.is_empty() {
        return Err(RecoveryError::SegmentMissing { file: last.file_name() });
    }
    let snapshots = names.iter().filter_map(|name| SnapshotFile::from_file_name(name)).collect();
    finish(disk, identity, options, walk, Tail { segments: tail, offset, unmade }, snapshots)
}

fn check_present(found: SegmentNumber, expected: SegmentNumber) -> Result<(), RecoveryError> {
    if found == expected {
        return Ok(());
    }
    Err(RecoveryError::SegmentMissing { file: expected.file_name() })
}

/// Without an identity there may be the first segment of a creation that was interrupted, and no more.
fn no_identity(disk: &dyn ReadDisk, numbers: &[SegmentNumber]) -> Result<Recovery, RecoveryError> {
    let Some(&last) = numbers.last() else { return Ok(Recovery::Empty) };
    let unused = last == SegmentNumber::FIRST
        && Segment::load(disk, last, Incarnation(0)).map(|segment| segment.is_unused())?;
    if unused { Ok(Recovery::Empty) } else { Err(RecoveryError::IdentityMissing { file: last.file_name() }) }
}

/// A segment that is not what it should be may be one whose preparation was interrupted: the last, never
/// the first, and nothing was written to it.
fn check_unmade(
    segment: &Segment,
    (first, last): (SegmentNumber, SegmentNumber),
    error: RecoveryError,
) -> Result<(), RecoveryError> {
    let explained =
        matches!(error, RecoveryError::SegmentHeader { .. } | RecoveryError::SegmentLength { .. });
    let in_use = segment.number == first || segment.number != last || !segment.is_unused();
    if explained && !in_use { Ok(()) } else { Err(error) }
}

/// What was read so far.
struct Walk {
    first_segment: SegmentNumber,
    last: FrameSeq,
    last_crc: u32,
    /// The highest frame some frame says was durable.
    proven: FrameSeq,
    /// Frames beyond `proven`, as the writes that wrote them.
    unproven: VecDeque<(FrameSeq, DiskOp)>,
    standing: Standing,
    entries: Entries,
    extents: Extents,
}

impl Walk {
    fn new(first_segment: SegmentNumber) -> Walk {
        Walk {
            first_segment,
            last: FrameSeq(0),
            last_crc: 0,
            proven: FrameSeq(0),
            unproven: VecDeque::new(),
            standing: Standing::default(),
            entries: Entries::from(first_segment),
            extents: Extents::default(),
        }
    }

    /// Takes the frames that continue the log; tells where the last ends, or that there was none.
    fn segment(&mut self, segment: &Segment) -> Result<Option<usize>, RecoveryError> {
        let mut offset = SEGMENT_HEADER;
        if segment.number == self.first_segment && segment.number != SegmentNumber::FIRST {
            self.begin_in_the_midst(segment)?;
        }
        while let Some(frame) = self.continuation(segment, offset)? {
            self.frame(segment, offset, &frame)?;
            offset = frame.end;
        }
        Ok((offset > SEGMENT_HEADER).then_some(offset))
    }

    /// The segments before this one were removed, which happens only once its first frame is durable.
    fn begin_in_the_midst(&mut self, segment: &Segment) -> Result<(), RecoveryError> {
        let Some(first) = segment.frame(SEGMENT_HEADER) else {
            return Err(RecoveryError::FirstFrame { file: segment.file() });
        };
        self.last = FrameSeq(first.header.seq.0.saturating_sub(1));
        self.last_crc = first.header.previous;
        Ok(())
    }

    fn continuation(&self, segment: &Segment, offset: usize) -> Result<Option<Frame>, RecoveryError> {
        let expected = self.last.next();
        // Behind a frame only the next one is ever written. A segment's first is told by `settle` if it is
        // not the next: those before it may have been in flight.
        if offset > SEGMENT_HEADER
            && let Some((header, _)) = segment.frame_header(offset)
            && header.seq != expected
        {
            let (file, found) = (segment.file(), header.seq);
            return Err(RecoveryError::FrameGap { file, offset: offset as u64, found, expected });
        }
        let continues =
            |frame: &Frame| frame.header.seq == expected && frame.header.previous == self.last_crc;
        let is_last = |frame: &Frame| segment.frame(frame.end).is_none();
        let cut = |frame: &Frame| seeded::is(Bug::TailCutTooFar) && is_last(frame);
        Ok(segment.frame(offset).filter(continues).filter(|frame| !cut(frame)))
    }

    fn frame(&mut self, segment: &Segment, offset: usize, frame: &Frame) -> Result<(), RecoveryError> {
        let failed = |reason| reason_at(segment.file(), offset as u64, reason);
        records::decode(&frame.payload, |record| self.record(record)).map_err(failed)?;
        self.last = frame.header.seq;
        self.last_crc = frame.crc;
        self.proven = self.proven.max(frame.header.synced);
        let data = segment.bytes.slice(offset..frame.end);
        let again = DiskOp::Write { file: segment.file(), offset: offset as u64, data };
        self.unproven.push_back((frame.header.seq, again));
        while self.unproven.front().is_some_and(|(seq, _)| *seq <= self.proven) {
            self.unproven.pop_front();
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), Refused> {
        if let Record::HardState(hard_state) = &record {
            Refused::check_term(hard_state.term, Term(0))?;
        }
        self.standing.note(&record);
        match record {
            Record::Snapshot { index, term } => self.entries.snapshot(EntryId { index, term }),
            Record::Entry(entry) => {
                self.extents.note(entry.index);
                self.entries.entry(entry)
            }
            _ => Ok(()),
        }
    }
}

/// No server gets there: its peers' messages stop at [`Term::MAX`], and its own elections add one each.
const HIGHEST_TERM: Term = Term(2 * Term::MAX.0);

pub(super) enum Refused {
    Unreadable(Unreadable),
    Gap { found: LogIndex, last: LogIndex },
    Term { found: Term, least: Term, most: Term },
}

impl Refused {
    pub(super) fn check_term(found: Term, least: Term) -> Result<(), Refused> {
        let most = HIGHEST_TERM;
        if (least..=most).contains(&found) { Ok(()) } else { Err(Refused::Term { found, least, most }) }
    }
}

impl From<Unreadable> for Refused {
    fn from(unreadable: Unreadable) -> Refused {
        Refused::Unreadable(unreadable)
    }
}

fn reason_at(file: FileName, offset: u64, reason: Refused) -> RecoveryError {
    match reason {
        Refused::Unreadable(Unreadable::Version(found)) => {
            RecoveryError::Version { file, found: u32::from(found) }
        }
        Refused::Unreadable(Unreadable::Record) => RecoveryError::UnknownRecord { file, offset },
        Refused::Gap { found, last } => RecoveryError::EntryGap { file, offset, found, last },
        Refused::Term { found, least, most } => RecoveryError::Term { file, offset, found, least, most },
    }
}

fn finish(
    disk: &dyn ReadDisk,
    identity: Identity,
    options: LogOptions,
    walk: Walk,
    tail: Tail,
    snapshots: Vec<SnapshotFile>,
) -> Result<Recovery, RecoveryError> {
    let settled = settle(&tail, walk.last)?;
    let found = walk.entries.settle()?;
    let Files { earlier, later, leftovers } =
        Files::tell_apart(snapshots, &found, |file| unrecorded(disk, file, identity.cluster_id))?;
    let Settled { base, entries, snapshot } = found;
    let again = walk.unproven.into_iter().map(|(_, write)| write);
    let again = again.filter(|_| !seeded::is(Bug::RepairsSkipped));
    let repairs = settled.removals.into_iter().chain(settled.clearing).chain(again).collect();
    let ending = &tail.segments[0];
    let end = End {
        segment: ending.number,
        size: ending.bytes.len() as u64,
        offset: tail.offset as u64,
        prepared: settled.prepared,
        last: walk.last,
        last_crc: walk.last_crc,
        extents: walk.extents,
    };
    let standing = walk.standing;
    let last_index = LogIndex(base.index.0 + entries.len() as u64);
    let unclamped = seeded::is(Bug::CommitIndexAheadOfLog);
    let known = standing.commit_hint.max(snapshot.unwrap_or_default().index);
    Ok(Recovery::Found(Box::new(Recovered {
        hard_state: standing.hard_state.clone(),
        base,
        commit_hint: if unclamped { known } else { known.min(last_index) },
        peers: standing.peers.clone(),
        admitted: standing.admitted,
        writer: Writer::resume(identity.incarnation, options, end, standing),
        entries,
        snapshot,
        earlier,
        later,
        leftovers,
        torn: settled.torn,
        repairs,
        identity,
    })))
}

/// Snapshot files, told apart.
struct Files {
    earlier: Vec<EntryId>,
    later: Vec<Unrecorded>,
    leftovers: Vec<FileName>,
}

impl Files {
    /// The one of the latest snapshot has to be there. Of a later one it is asked what the file is.
    fn tell_apart(
        mut files: Vec<SnapshotFile>,
        settled: &Settled,
        unrecorded: impl Fn(SnapshotFile) -> Option<Unrecorded>,
    ) -> Result<Files, RecoveryError> {
        let latest = settled.snapshot.unwrap_or_default().index;
        let whole = SnapshotFile::Whole(latest);
        if settled.snapshot.is_some() && !files.contains(&whole) {
            return Err(RecoveryError::SnapshotMissing { file: whole.file_name() });
        }
        files.sort_unstable_by_key(|file| (file.index(), *file));
        let mut told = Files { earlier: Vec::new(), later: Vec::new(), leftovers: Vec::new() };
        for file in files {
            match (file, settled.term_at(file.index())) {
                _ if file.index() > latest => match unrecorded(file) {
                    Some(later) => told.later.push(later),
                    None => told.leftovers.push(file.file_name()),
                },
                _ if file == whole => {}
                (SnapshotFile::Whole(index), Some(term)) => told.earlier.push(EntryId { index, term }),
                _ => told.leftovers.push(file.file_name()),
            }
        }
        Ok(told)
    }
}

/// The snapshot to which a file belongs that no record tells of; none where that cannot be told, or it is
/// another cluster's. Such a file was never relied on: it is no reason to refuse a start.
fn unrecorded(disk: &dyn ReadDisk, file: SnapshotFile, cluster_id: Option<ClusterId>) -> Option<Unrecorded> {
    let name = file.file_name();
    let start = disk.read_start(&name, snapshot::LONGEST_HEADER).ok()?;
    let mut reader = Reader::new(name);
    reader.feed(start);
    let header = reader.header().ok()??;
    let is_ours = cluster_id.is_none_or(|ours| ours == header.cluster_id) && header.index == file.index();
    let snapshot = EntryId { index: header.index, term: header.term };
    is_ours.then_some(Unrecorded { file, snapshot })
}
