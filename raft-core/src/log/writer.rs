//! Lays records out: which bytes go where. Carries nothing out.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::{
    ALIGNMENT, FRAME_HEADER, FrameHeader, FrameSeq, Place, SEGMENT_HEADER, SegmentHeader, SegmentNumber,
    align, checksum,
};
use super::identity::Identity;
use super::records::{self, RECORD_VERSION};
use super::standing::Standing;
use super::{LogOptions, Record};
use crate::disk::{DiskOp, FileName};
use crate::seeded::{self, Bug};
use crate::types::{Incarnation, LogIndex};

/// Lays out the log's frames, one after the other.
///
/// It rests on the operations being carried out in the order they were given, and on a flush covering
/// everything given before it, whatever the file. After a failed operation the writer is of no more use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Writer {
    incarnation: Incarnation,
    segment_size: u64,
    /// The segment in use, its length, and where in it the next frame goes: a multiple of 8, at most `size`.
    segment: SegmentNumber,
    size: u64,
    offset: u64,
    /// Length of the segment after it, if that has been asked for.
    prepared: Option<u64>,
    /// The last frame laid out, and its header's crc.
    last: FrameSeq,
    last_crc: u32,
    /// `durable <= last`.
    durable: FrameSeq,
    standing: Standing,
    extents: Extents,
}

/// How far the entries of each segment reach, truncated ones too: what decides when it may go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Extents {
    /// The segments before the one in use, the oldest first.
    closed: VecDeque<Closed>,
    /// The highest entry index in the segment in use; zero without any.
    highest: LogIndex,
}

/// A segment that is full.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Closed {
    number: SegmentNumber,
    /// Its highest entry index; zero without any.
    highest: LogIndex,
    /// The first frame of the segment after it, which says again what stands besides the entries.
    next: FrameSeq,
}

impl Extents {
    /// The segment in use holds an entry.
    pub(super) fn note(&mut self, index: LogIndex) {
        self.highest = self.highest.max(index);
    }

    /// Another segment begins: how far the entries of the one in use reach.
    pub(super) fn take_highest(&mut self) -> LogIndex {
        core::mem::take(&mut self.highest)
    }

    /// A segment is full, and the one after it begins with this frame.
    pub(super) fn close(&mut self, number: SegmentNumber, highest: LogIndex, next: FrameSeq) {
        self.closed.push_back(Closed { number, highest, next });
    }
}

/// Where recovery found the end of the log.
pub(super) struct End {
    pub(super) segment: SegmentNumber,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) prepared: Option<u64>,
    pub(super) last: FrameSeq,
    pub(super) last_crc: u32,
    pub(super) extents: Extents,
}

/// Makes a new log: the operations to carry out as one synced batch, and the writer to use after that.
///
/// The identity comes last. A directory without one, whose first segment holds no frame, is taken by
/// [`recover`](super::recover) for what an interrupted attempt left, and made anew.
#[must_use]
pub fn create(identity: &Identity, options: LogOptions) -> (Writer, Vec<DiskOp>) {
    let size = segment_size(options);
    let first = SegmentNumber::FIRST;
    let end = End {
        segment: first,
        size,
        offset: SEGMENT_HEADER as u64,
        prepared: None,
        last: FrameSeq(0),
        last_crc: 0,
        extents: Extents::default(),
    };
    let writer = Writer::resume(identity.incarnation, options, end, Standing::default());
    // The zeros change nothing. A write waits for its file, so that the identity comes after the segment
    // even where segments are prepared aside: an identity without a segment then means that one was lost.
    let wait = DiskOp::Write {
        file: first.file_name(),
        offset: writer.offset,
        data: Bytes::from_static(&[0; ALIGNMENT]),
    };
    let mut ops = vec![writer.prepare(first, size), wait, identity.store()];
    if seeded::is(Bug::IdentityFirst) {
        ops.rotate_right(1);
    }
    (writer, ops)
}

impl Writer {
    /// Goes on where a log ends. All of it is durable by the time the first frame is written.
    pub(super) fn resume(
        incarnation: Incarnation,
        options: LogOptions,
        end: End,
        standing: Standing,
    ) -> Writer {
        let End { segment, size, offset, prepared, last, last_crc, extents } = end;
        let writer = Writer {
            incarnation,
            segment_size: segment_size(options),
            segment,
            size,
            offset,
            prepared,
            last,
            last_crc,
            durable: last,
            standing,
            extents,
        };
        writer.check();
        writer
    }

    /// Lays the records out as the next frame. The operations go to the disk in this order and after those
    /// of every earlier call; whether the batch is flushed is the caller's choice.
    ///
    /// Once a flush has come back that started after these operations, tell [`Writer::note_durable`].
    ///
    /// # Panics
    /// When a snapshot's record follows an entry: a segment begins with what stands after all of a frame, and
    /// no entry that follows that may be one of the snapshot's.
    pub fn append(&mut self, records: &[Record]) -> (FrameSeq, Vec<DiskOp>) {
        let mut ops = Vec::with_capacity(2);
        let mut after_entries = records.iter().skip_while(|record| !matches!(record, Record::Entry(_)));
        let is_snapshot = |record: &Record| matches!(record, Record::Snapshot { .. });
        assert!(!after_entries.any(is_snapshot), "a snapshot is recorded before a frame's entries");
        for record in records {
            self.standing.note(record);
        }
        let mut frame = start_frame(records.iter().map(records::size_hint).sum());
        if self.starts_segment() {
            frame = self.encode_standing(frame);
        }
        for record in records {
            frame = records::encode(record, frame);
        }
        if !self.fits(&frame) {
            frame = self.move_on(frame, &mut ops);
        }
        for record in records {
            if let Record::Entry(entry) = record {
                self.extents.note(entry.index);
            }
        }
        let length = frame.len() - FRAME_HEADER;
        frame.resize(align(frame.len()), 0);
        let header = FrameHeader {
            length: length as u64,
            payload_crc: checksum(&frame[FRAME_HEADER..FRAME_HEADER + length]),
            previous: self.last_crc,
            seq: self.last.next(),
            synced: self.durable,
        };
        let place = Place { incarnation: self.incarnation, segment: self.segment, offset: self.offset };
        let (raw, crc) = header.encode(place);
        frame[..FRAME_HEADER].copy_from_slice(&raw);

        self.last = header.seq;
        self.last_crc = crc;
        self.offset += frame.len() as u64;
        ops.push(DiskOp::Write {
            file: self.segment.file_name(),
            offset: place.offset,
            data: Bytes::from(frame),
        });
        if self.prepared.is_none() && self.offset >= self.size / 2 {
            ops.push(self.prepare_next(self.segment_size));
        }
        self.check();
        (self.last, ops)
    }

    /// All frames up to this one have reached the disk: a flush that began after their operations came back.
    /// What is said here decides, after a crash, whether an unreadable frame was merely in flight; so an
    /// unsynced batch that was answered says nothing.
    pub fn note_durable(&mut self, frame: FrameSeq) {
        assert!(frame <= self.last, "frame {frame} is durable and was never laid out");
        self.durable = self.durable.max(frame);
    }

    /// The last frame laid out.
    #[must_use]
    pub fn last_frame(&self) -> FrameSeq {
        self.last
    }

    /// The last frame known durable.
    #[must_use]
    pub fn durable_frame(&self) -> FrameSeq {
        self.durable
    }

    /// The segment the last frame went to.
    #[must_use]
    pub fn segment(&self) -> SegmentNumber {
        self.segment
    }

    /// The oldest segment, if it holds nothing but entries before `up_to`, and the one after it is known to
    /// begin with a durable frame. It may be removed, by itself and before any other, once the record of a
    /// snapshot that reaches at least as far is durable. Then tell [`Writer::segment_removed`]. What stands
    /// besides the entries, later segments say again.
    ///
    /// # Panics
    /// When no snapshot that reaches so far was recorded.
    #[must_use]
    pub fn oldest_dispensable(&self, up_to: LogIndex) -> Option<FileName> {
        let snapshot = self.standing.snapshot.unwrap_or_default();
        assert!(up_to <= snapshot.index, "what is removed is in a snapshot");
        let oldest = self.extents.closed.front()?;
        (oldest.highest < up_to && oldest.next <= self.durable).then(|| oldest.number.file_name())
    }

    /// The oldest segment has been removed, durably.
    pub fn segment_removed(&mut self) {
        self.extents.closed.pop_front();
    }

    fn starts_segment(&self) -> bool {
        self.offset == SEGMENT_HEADER as u64
    }

    fn fits(&self, frame: &[u8]) -> bool {
        self.offset + align(frame.len()) as u64 <= self.size
    }

    fn encode_standing(&self, mut frame: Vec<u8>) -> Vec<u8> {
        for record in self.standing.records() {
            frame = records::encode(&record, frame);
        }
        frame
    }

    /// Takes a frame that does not fit to the next segment, which it starts.
    fn move_on(&mut self, frame: Vec<u8>, ops: &mut Vec<DiskOp>) -> Vec<u8> {
        let frame = if self.starts_segment() {
            frame
        } else {
            let records = &frame[FRAME_HEADER + 1..];
            let mut longer = self.encode_standing(start_frame(records.len() + 256));
            longer.extend_from_slice(records);
            longer
        };
        let needed = (SEGMENT_HEADER + align(frame.len())) as u64;
        if self.prepared.is_none_or(|size| size < needed) {
            // The one that is there already is made again, longer: nothing was written to it.
            ops.push(self.prepare_next(needed.max(self.segment_size)));
        }
        let highest = self.extents.take_highest();
        self.extents.close(self.segment, highest, self.last.next());
        self.segment = self.segment.next();
        self.size = self.prepared.take().unwrap_or(needed);
        self.offset = SEGMENT_HEADER as u64;
        frame
    }

    fn prepare_next(&mut self, size: u64) -> DiskOp {
        self.prepared = Some(size);
        self.prepare(self.segment.next(), size)
    }

    fn prepare(&self, number: SegmentNumber, size: u64) -> DiskOp {
        let head = SegmentHeader { number, incarnation: self.incarnation, size }.encode();
        DiskOp::Prepare { file: number.file_name(), size, head }
    }

    fn check(&self) {
        assert!(self.offset >= SEGMENT_HEADER as u64 && self.offset <= self.size, "beyond the segment");
        assert!(self.offset.is_multiple_of(ALIGNMENT as u64), "a frame that is not aligned");
        assert!(self.durable <= self.last, "a durable frame that was never laid out");
    }
}

/// Room for the header, and the version of the records that follow.
fn start_frame(hint: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_HEADER + 1 + hint + ALIGNMENT);
    frame.resize(FRAME_HEADER, 0);
    frame.push(RECORD_VERSION);
    frame
}

fn segment_size(options: LogOptions) -> u64 {
    options.segment_size.max(LogOptions::MIN_SEGMENT_SIZE).next_multiple_of(ALIGNMENT as u64)
}
