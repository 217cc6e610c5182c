//! Behind the last frame that continues the log: torn tail or damage, and how a torn tail is cleared.
//!
//! Let n be the frame that is missing there. A frame's header that says frame n was durable when it was laid
//! out proves that n was lost since: nothing a crash can do. Its header is enough, whatever became of its
//! payload: it has a checksum of its own and is bound to its place, and asking for a whole frame would
//! overlook a damaged frame n whose only follower was torn by the crash that came next. Conversely, without
//! such a witness n may have been in flight, and so may everything after it, however whole it is.
//!
//! The tail is cleared from its end: segments first, the last before the one before it, then the bytes in
//! the segment where the log ends. A crash between any two steps, or in the middle of one, leaves frame n
//! as missing as it was and no gap among the segments, so recovery cuts at the same place again. Nothing
//! is written behind the cut before all of it is durable, so no left-over can continue a new frame.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::error::RecoveryError;
use super::format::{FrameSeq, SEGMENT_HEADER, SegmentNumber};
use super::recovery::TornTail;
use super::segment::Segment;
use crate::disk::{DiskOp, FileName};

/// What lies behind the log's last frame.
pub(super) struct Tail {
    /// The segment the log ends in, and all after it. Never empty.
    pub(super) segments: Vec<Segment>,
    /// Where in the first of them the log ends.
    pub(super) offset: usize,
    /// A segment after those that was being made.
    pub(super) unmade: Option<SegmentNumber>,
}

/// How a tail is dealt with.
pub(super) struct Settled {
    pub(super) torn: Option<TornTail>,
    pub(super) removals: Vec<DiskOp>,
    pub(super) clearing: Option<DiskOp>,
    /// Length of the segment after the log's end, if it is ready for use.
    pub(super) prepared: Option<u64>,
}

/// Decides what the tail behind frame `last` is.
pub(super) fn settle(tail: &Tail, last: FrameSeq) -> Result<Settled, RecoveryError> {
    let missing = last.next();
    let Tail { segments, offset, unmade } = tail;
    let frames = search(segments, *offset, missing)?;
    let (ending, later) = (&segments[0], &segments[1..]);
    let used = ending.used_until(*offset) - offset;
    let used_later: usize = later.iter().map(|s| s.used_until(SEGMENT_HEADER) - SEGMENT_HEADER).sum();
    let dropped_bytes = (used + used_later) as u64;
    let torn = (dropped_bytes > 0).then(|| {
        let file = ending.file();
        TornTail { file, offset: *offset as u64, dropped_bytes, frames }
    });

    let keep = later.first().filter(|segment| segment.is_unused());
    let remove = later.iter().skip(usize::from(keep.is_some())).map(|segment| segment.number);
    let removals = unmade.iter().copied().chain(remove.rev());
    let clearing = (used > 0).then(|| DiskOp::Write {
        file: ending.file(),
        offset: *offset as u64,
        data: Bytes::from(vec![0; used]),
    });
    Ok(Settled {
        torn,
        removals: removals.map(|number| DiskOp::Remove { file: number.file_name() }).collect(),
        clearing,
        prepared: keep.map(|segment| segment.bytes.len() as u64),
    })
}

/// Looks through a log's last segments, from where it ends in the first of them, for a witness that frame
/// `missing` had been durable. Gives the number of frames seen.
pub(super) fn search(segments: &[Segment], end: usize, missing: FrameSeq) -> Result<u64, RecoveryError> {
    let mut frames = 0;
    for (nth, segment) in segments.iter().enumerate() {
        let from = if nth == 0 { end } else { SEGMENT_HEADER };
        for (offset, header) in segment.headers_from(from) {
            let offset = offset as u64;
            if header.seq < missing {
                let (file, found) = (segment.file(), header.seq);
                return Err(RecoveryError::FrameGap { file, offset, found, expected: missing });
            }
            if header.synced >= missing {
                let (file, place) = place_of_missing(segments, end);
                let witness = Box::new((segment.file(), offset));
                return Err(RecoveryError::Damaged { file, offset: place, frame: missing, witness });
            }
            frames += 1;
        }
    }
    Ok(frames)
}

/// Where the missing frame must have been: behind the last one, unless all is blank there and the next
/// segment is in use.
fn place_of_missing(segments: &[Segment], end: usize) -> (FileName, u64) {
    let blank = segments[0].used_until(end) == end;
    match segments.get(1) {
        Some(next) if blank && !next.is_unused() => (next.file(), SEGMENT_HEADER as u64),
        _ => (segments[0].file(), end as u64),
    }
}
