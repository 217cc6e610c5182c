//! Frames: pieces of a recording that are whole or not there.
//!
//! ```text
//! magic "Rrec" · version u8 · kind u8 · length u32 · checksum of these u16 · payload checksum u32 · payload
//! ```
//!
//! Numbers are little-endian. The checksums are the lower bits of XXH3: they have to be cheap, and to find
//! accidents only. The header has its own, so that a frame which is cut short is known for one, whatever
//! its payload looks like: a client may well have stored a recording.

use alloc::vec::Vec;

use serde::Serialize;

use super::FORMAT_VERSION;
use crate::hash;

const MAGIC: [u8; 4] = *b"Rrec";
const HEADER: usize = 16;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Entries of the log before the first checkpoint.
    Entries = 1,
    /// A part of the snapshot that these go on from, before them: the entry before the first of them, and
    /// bytes of the file.
    Snapshot = 4,
    /// A header and a checkpoint.
    Begin = 2,
    /// A turn.
    Turn = 3,
}

/// What is found at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Frame {
        kind: Kind,
        payload: &'a [u8],
        /// Where the next one begins.
        next: usize,
    },
    /// The bytes end here.
    End,
    /// A frame that the bytes end within.
    Torn,
    /// A frame that another version wrote.
    OtherVersion(u8),
    /// No frame, or not as it was written.
    Bad {
        /// Where another one may begin.
        next: usize,
    },
}

/// Begins a frame at the end of `out`; returns where.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; HEADER]);
    at
}

/// Ends the frame that was begun there.
pub(super) fn end(out: &mut [u8], at: usize, kind: Kind) {
    let (header, payload) = out[at..].split_at_mut(HEADER);
    let length = u32::try_from(payload.len()).expect("a frame of less than 4 GiB");
    header[..4].copy_from_slice(&MAGIC);
    (header[4], header[5]) = (FORMAT_VERSION, kind as u8);
    header[6..10].copy_from_slice(&length.to_le_bytes());
    let check = (hash::of_bytes(&header[..10]) as u16).to_le_bytes();
    header[10..12].copy_from_slice(&check);
    header[12..].copy_from_slice(&checksum(payload).to_le_bytes());
}

/// Adds something to a frame.
pub(super) fn put(out: &mut Vec<u8>, thing: &impl Serialize) {
    // Writing to memory has no way to fail: every length is known and every type is ours.
    *out = postcard::to_extend(thing, core::mem::take(out)).expect("encoding into memory");
}

/// Looks at the frame at a place.
pub(super) fn read(bytes: &[u8], at: usize) -> Found<'_> {
    let bytes = &bytes[at..];
    if bytes.is_empty() {
        return Found::End;
    }
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Found::Torn };
    let check = (hash::of_bytes(&header[..10]) as u16).to_le_bytes();
    if header[..4] != MAGIC || header[10..12] != check {
        return Found::Bad { next: at + 1 };
    }
    if header[4] != FORMAT_VERSION {
        return Found::OtherVersion(header[4]);
    }
    let number = |from: usize| {
        u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
    };
    let length = usize::try_from(number(6)).unwrap_or(usize::MAX);
    let Some(payload) = rest.get(..length) else { return Found::Torn };
    let next = at + HEADER + length;
    let kind = match header[5] {
        1 => Kind::Entries,
        2 => Kind::Begin,
        3 => Kind::Turn,
        4 => Kind::Snapshot,
        _ => return Found::Bad { next },
    };
    if number(12) != checksum(payload) {
        return Found::Bad { next };
    }
    Found::Frame { kind, payload, next }
}

/// Whether a whole frame lies anywhere from a place on: then what is bad before it is no torn end.
pub(super) fn any_from(bytes: &[u8], at: usize) -> bool {
    let is_frame = |place: usize| matches!(read(bytes, place), Found::Frame { .. });
    (at..bytes.len()).filter(|&place| bytes[place..].starts_with(&MAGIC)).any(is_frame)
}

fn checksum(payload: &[u8]) -> u32 {
    hash::of_bytes(payload) as u32
}
