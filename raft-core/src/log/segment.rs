//! One segment as it lies on the disk, with what can be said about it alone.

use bytes::Bytes;

use super::error::RecoveryError;
use super::format::{
    ALIGNMENT, BadHeader, FRAME_HEADER, FRAME_MAGIC, FrameHeader, Place, SEGMENT_HEADER, SegmentHeader,
    SegmentNumber, align,
};
use crate::disk::{FileName, ReadDisk};
use crate::seeded::{self, Bug};
use crate::types::Incarnation;

/// A segment's whole content.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) number: SegmentNumber,
    pub(super) incarnation: Incarnation,
    pub(super) bytes: Bytes,
}

/// A frame whose every byte is right.
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    pub(super) crc: u32,
    pub(super) payload: Bytes,
    /// Where the next frame starts.
    pub(super) end: usize,
}

impl Segment {
    pub(super) fn load(
        disk: &dyn ReadDisk,
        number: SegmentNumber,
        incarnation: Incarnation,
    ) -> Result<Segment, RecoveryError> {
        let bytes = disk.read(&number.file_name())?;
        Ok(Segment { number, incarnation, bytes })
    }

    pub(super) fn file(&self) -> FileName {
        self.number.file_name()
    }

    /// Whether the segment is what its name and its directory say.
    pub(super) fn check_header(&self) -> Result<(), RecoveryError> {
        let file = self.file();
        let header = match SegmentHeader::decode(&self.bytes) {
            Ok(header) => header,
            Err(BadHeader::Version(found)) => return Err(RecoveryError::Version { file, found }),
            Err(BadHeader::Damaged) => return Err(RecoveryError::SegmentHeader { file }),
        };
        if header.incarnation != self.incarnation {
            let (found, expected) = (header.incarnation, self.incarnation);
            return Err(RecoveryError::WrongIncarnation { file, found, expected });
        }
        if header.number != self.number {
            return Err(RecoveryError::SegmentNumber { file, found: header.number.0 });
        }
        if header.size != self.bytes.len() as u64 {
            let length = self.bytes.len() as u64;
            return Err(RecoveryError::SegmentLength { file, length, expected: header.size });
        }
        Ok(())
    }

    /// The header of a frame written for this very place.
    pub(super) fn frame_header(&self, offset: usize) -> Option<(FrameHeader, u32)> {
        let place = Place {
            incarnation: self.incarnation,
            segment: self.number,
            offset: u64::try_from(offset).ok()?,
        };
        FrameHeader::decode(place, self.bytes.get(offset..)?)
    }

    /// The frame at a place, if all of it is there.
    pub(super) fn frame(&self, offset: usize) -> Option<Frame> {
        let (header, crc) = self.frame_header(offset)?;
        let start = offset + FRAME_HEADER;
        let length = usize::try_from(header.length).ok().filter(|&length| length <= self.bytes.len())?;
        let end = start + align(length);
        let padding = self.bytes.get(start + length..end)?;
        let payload = self.bytes.slice(start..start + length);
        let whole =
            super::format::checksum(&payload) == header.payload_crc && padding.iter().all(|&b| b == 0);
        (whole || seeded::is(Bug::ChecksumIgnored)).then_some(Frame { header, crc, payload, end })
    }

    /// All places from an offset on where a frame's header is to be read, with what it says.
    pub(super) fn headers_from(&self, offset: usize) -> impl Iterator<Item = (usize, FrameHeader)> + '_ {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let candidates = rest.chunks(ALIGNMENT).enumerate();
        candidates.filter(|(_, chunk)| chunk.starts_with(&FRAME_MAGIC)).filter_map(move |(nth, _)| {
            let at = offset + nth * ALIGNMENT;
            self.frame_header(at).map(|(header, _)| (at, header))
        })
    }

    /// Where the last byte from an offset on that is not zero ends; the offset itself if all are.
    pub(super) fn used_until(&self, offset: usize) -> usize {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        rest.iter().rposition(|&b| b != 0).map_or(offset, |last| offset + last + 1)
    }

    /// Whether nothing was ever written to it.
    pub(super) fn is_unused(&self) -> bool {
        self.used_until(SEGMENT_HEADER) == SEGMENT_HEADER
    }
}
