//! The bytes of a segment: its header, and the header of a frame.
//!
//! ```text
//! segment  magic "RAFTLOG\n" · version u32 · crc u32 · number u64 · incarnation u64 · size u64 · zeros to 64
//! frame    magic "RFrm" · crc u32 · length u64 · payload crc u32 · previous crc u32 · seq u64 · synced u64
//!          · payload · zeros to a multiple of 8
//! ```
//!
//! Numbers are little-endian, checksums CRC-32C. A segment's crc covers its 64 bytes without the crc itself.
//! A frame's crc covers its header from `length` on, and where the frame lies (incarnation, segment, offset),
//! so that a copy of a frame elsewhere, say inside a client's value, is not a frame. `previous crc` is the
//! header crc of the frame before: what is left of another course of the log does not continue this one.

use alloc::format;
use core::fmt;

use bytes::Bytes;
use crc::{CRC_32_ISCSI, Crc, Table};
use serde::{Deserialize, Serialize};

use crate::disk::FileName;
use crate::types::Incarnation;

/// The version of the data directory this build writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Length of a segment in bytes, unless a batch needs a longer one.
pub const DEFAULT_SEGMENT_SIZE: u64 = 16 << 20;

/// Where a segment's first frame starts.
pub(super) const SEGMENT_HEADER: usize = 64;

/// Length of a frame's header.
pub(super) const FRAME_HEADER: usize = 40;

/// Frames start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"RAFTLOG\n";
pub(super) const FRAME_MAGIC: [u8; 4] = *b"RFrm";

pub(crate) static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// CRC-32C of some bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

/// Numbers the frames of a log: from 1, without a gap, through all its segments. 0 is "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameSeq(pub u64);

impl FrameSeq {
    /// The number after this one.
    pub(super) fn next(self) -> FrameSeq {
        FrameSeq(self.0 + 1)
    }
}

impl fmt::Display for FrameSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers the segments: from 1, without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentNumber(pub u64);

impl SegmentNumber {
    /// Where every log starts.
    pub const FIRST: SegmentNumber = SegmentNumber(1);

    pub(super) fn next(self) -> SegmentNumber {
        SegmentNumber(self.0 + 1)
    }

    pub(super) fn prev(self) -> SegmentNumber {
        SegmentNumber(self.0.saturating_sub(1).max(1))
    }

    /// The name of its file: `log-` and twenty digits.
    #[must_use]
    pub fn file_name(self) -> FileName {
        format!("log-{:020}", self.0)
    }

    /// The segment a file holds by its name; `None` for the name of anything else.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<SegmentNumber> {
        let digits = name.strip_prefix("log-")?;
        if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|&number| number > 0).map(SegmentNumber)
    }
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: SegmentNumber,
    pub(super) incarnation: Incarnation,
    /// Length of the whole file in bytes: a shorter one was cut off by somebody.
    pub(super) size: u64,
}

/// Why 64 bytes are not a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Bytes {
        let mut raw = [0; SEGMENT_HEADER];
        raw[..8].copy_from_slice(&SEGMENT_MAGIC);
        raw[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        raw[16..24].copy_from_slice(&self.number.0.to_le_bytes());
        raw[24..32].copy_from_slice(&self.incarnation.0.to_le_bytes());
        raw[32..40].copy_from_slice(&self.size.to_le_bytes());
        let crc = segment_crc(&raw);
        raw[12..16].copy_from_slice(&crc.to_le_bytes());
        Bytes::copy_from_slice(&raw)
    }

    pub(super) fn decode(file: &[u8]) -> Result<SegmentHeader, BadHeader> {
        let raw = file.first_chunk::<SEGMENT_HEADER>().ok_or(BadHeader::Damaged)?;
        // Magic, version and crc stay where they are in every version, so that a newer one is recognised.
        if raw[..8] != SEGMENT_MAGIC || u32_at(raw, 12) != segment_crc(raw) {
            return Err(BadHeader::Damaged);
        }
        match u32_at(raw, 8) {
            FORMAT_VERSION => Ok(SegmentHeader {
                number: SegmentNumber(u64_at(raw, 16)),
                incarnation: Incarnation(u64_at(raw, 24)),
                size: u64_at(raw, 32),
            }),
            version => Err(BadHeader::Version(version)),
        }
    }
}

fn segment_crc(raw: &[u8; SEGMENT_HEADER]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&raw[..12]);
    digest.update(&raw[16..]);
    digest.finalize()
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) incarnation: Incarnation,
    pub(super) segment: SegmentNumber,
    /// Bytes from the start of the segment.
    pub(super) offset: u64,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of payload, without the padding.
    pub(super) length: u64,
    pub(super) payload_crc: u32,
    /// `crc` of the frame before; 0 in the first.
    pub(super) previous: u32,
    pub(super) seq: FrameSeq,
    /// The last frame known durable when this one was laid out. Less than `seq`.
    pub(super) synced: FrameSeq,
}

impl FrameHeader {
    /// The header's bytes for a place, and their crc.
    pub(super) fn encode(&self, place: Place) -> ([u8; FRAME_HEADER], u32) {
        let mut raw = [0; FRAME_HEADER];
        raw[..4].copy_from_slice(&FRAME_MAGIC);
        raw[8..16].copy_from_slice(&self.length.to_le_bytes());
        raw[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        raw[20..24].copy_from_slice(&self.previous.to_le_bytes());
        raw[24..32].copy_from_slice(&self.seq.0.to_le_bytes());
        raw[32..40].copy_from_slice(&self.synced.0.to_le_bytes());
        let crc = frame_crc(place, &raw);
        raw[4..8].copy_from_slice(&crc.to_le_bytes());
        (raw, crc)
    }

    /// The header at the start of `bytes`, if one that was written for this place is there, and its crc.
    pub(super) fn decode(place: Place, bytes: &[u8]) -> Option<(FrameHeader, u32)> {
        let raw = bytes.first_chunk::<FRAME_HEADER>()?;
        let crc = u32_at(raw, 4);
        if raw[..4] != FRAME_MAGIC || crc != frame_crc(place, raw) {
            return None;
        }
        let header = FrameHeader {
            length: u64_at(raw, 8),
            payload_crc: u32_at(raw, 16),
            previous: u32_at(raw, 20),
            seq: FrameSeq(u64_at(raw, 24)),
            synced: FrameSeq(u64_at(raw, 32)),
        };
        (header.synced < header.seq).then_some((header, crc))
    }
}

fn frame_crc(place: Place, raw: &[u8; FRAME_HEADER]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&place.incarnation.0.to_le_bytes());
    digest.update(&place.segment.0.to_le_bytes());
    digest.update(&place.offset.to_le_bytes());
    digest.update(&raw[8..]);
    digest.finalize()
}

/// Rounds up to where the next frame may start.
pub(super) fn align(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

fn u32_at<const N: usize>(raw: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}

fn u64_at<const N: usize>(raw: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(raw, at)) | u64::from(u32_at(raw, at + 4)) << 32
}
