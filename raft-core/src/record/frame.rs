//! Frames: pieces of a recording that are whole or not there.
//!
//! ```text
//! magic "Rrec" · version u8 · kind u8 · zeros u16 · length u32 · checksum u32 · payload
//! ```
//!
//! Numbers are little-endian. The checksum is the lower half of an XXH3 of all but itself and the magic: it
//! has to be cheap, and to find accidents only.

use alloc::vec::Vec;

use serde::Serialize;

use super::VERSION;
use crate::hash;

const MAGIC: [u8; 4] = *b"Rrec";
const HEADER: usize = 16;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Entries of the log before the first checkpoint.
    Entries = 1,
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
    /// A frame that another version wrote.
    OtherVersion(u8),
    /// No whole frame.
    Bad,
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
    (header[4], header[5]) = (VERSION, kind as u8);
    header[8..12].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(header, payload);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
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
    let Some((header, rest)) = bytes.split_at_checked(HEADER).filter(|(header, _)| header[..4] == MAGIC)
    else {
        return Found::Bad;
    };
    let number = |from: usize| {
        u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
    };
    let length = usize::try_from(number(8)).unwrap_or(usize::MAX);
    let Some(payload) = rest.get(..length).filter(|payload| number(12) == checksum(header, payload)) else {
        return Found::Bad;
    };
    if header[4] != VERSION {
        return Found::OtherVersion(header[4]);
    }
    let kind = match header[5] {
        1 => Kind::Entries,
        2 => Kind::Begin,
        3 => Kind::Turn,
        _ => return Found::Bad,
    };
    Found::Frame { kind, payload, next: at + HEADER + length }
}

/// Whether a whole frame lies anywhere after a place: then what is bad there is no torn end.
pub(super) fn any_after(bytes: &[u8], at: usize) -> bool {
    let is_frame = |&place: &usize| matches!(read(bytes, place), Found::Frame { .. });
    (at + 1..bytes.len()).filter(|&place| bytes[place..].starts_with(&MAGIC)).any(|place| is_frame(&place))
}

/// Of what the header says from the version on, and of the payload.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let hash = hash::of_words([hash::of_bytes(&header[4..12]), hash::of_bytes(payload)]);
    (hash & u64::from(u32::MAX)) as u32
}
