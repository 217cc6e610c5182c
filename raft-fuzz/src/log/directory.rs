//! Data directories in memory: from raw bytes, and with payloads of any bytes in sound frames.

use std::collections::BTreeMap;

use raft_core::disk::{DiskOp, FileName};
use raft_core::log::{IDENTITY_FILE, Identity, SegmentNumber};
use raft_core::types::Incarnation;

use super::format::{self, Numbers, Place, SEGMENT_HEADER};
use super::node;
use crate::chunks::{self, Chunks};

/// File names, and what the files hold.
pub type Directory = BTreeMap<FileName, Vec<u8>>;

/// Of every directory made here.
pub(super) const INCARNATION: u64 = 0x00C0_FFEE;

/// Whose directory it is, as its identity says.
pub(super) fn identity() -> Identity {
    Identity::new(node(), Incarnation(INCARNATION))
}

/// Carries an operation out, as the file system would.
pub fn apply(directory: &mut Directory, op: &DiskOp) {
    let to_usize = |number: u64| usize::try_from(number).expect("directories here are small");
    match op {
        DiskOp::Prepare { file, size, head } => {
            let mut content = vec![0; to_usize(*size)];
            content[..head.len()].copy_from_slice(head);
            directory.insert(file.clone(), content);
        }
        DiskOp::Write { file, offset, data } => {
            let content = directory.get_mut(file).expect("a write to a file that was not prepared");
            let offset = to_usize(*offset);
            content[offset..offset + data.len()].copy_from_slice(data);
        }
        DiskOp::Replace { file, content } => drop(directory.insert(file.clone(), content.to_vec())),
        DiskOp::Remove { file } => drop(directory.remove(file)),
    }
}

/// The names a raw directory may have files under: 0 to 7.
fn name(kind: u8) -> FileName {
    match kind % 8 {
        0 => IDENTITY_FILE.to_owned(),
        7 => "log-1".to_owned(),
        6 => SegmentNumber(u64::MAX).file_name(),
        number => SegmentNumber(u64::from(number)).file_name(),
    }
}

/// Every chunk is a file: its kind is the name.
pub(super) fn raw(input: &[u8]) -> Directory {
    Chunks::of(input).map(|chunk| (name(chunk.kind), chunk.data.to_vec())).collect()
}

/// The input of which [`raw`] makes this directory, but for files under other names.
pub(super) fn raw_input(directory: &Directory) -> Vec<u8> {
    let mut input = Vec::new();
    for kind in 0..8 {
        if let Some(content) = directory.get(&name(kind)) {
            chunks::push(&mut input, kind, content);
        }
    }
    input
}

/// Every chunk is a frame's payload. Its kind may turn the numbers of the frame's header a little wrong.
pub(super) fn forged(input: &[u8]) -> Directory {
    let mut directory = Directory::new();
    directory.insert(IDENTITY_FILE.to_owned(), identity().encode().into_bytes());
    let (mut number, mut seq, mut synced, mut previous) = (1_u64, 0_u64, 0_u64, 0);
    let mut segment = vec![0; SEGMENT_HEADER];
    for chunk in Chunks::of(input) {
        if chunk.kind & 1 != 0 && segment.len() > SEGMENT_HEADER {
            put(&mut directory, number, std::mem::replace(&mut segment, vec![0; SEGMENT_HEADER]));
            number += 1;
        }
        seq += 1;
        // Mostly what a writer does: frame by frame, each known durable by the next, or some behind.
        synced = match chunk.kind >> 1 & 3 {
            0 => seq - 1,
            1 => synced,
            2 => seq.saturating_sub(2).max(synced),
            _ => u64::from(chunk.kind >> 5),
        };
        let shown = if chunk.kind & 8 != 0 { seq + u64::from(chunk.kind >> 4 & 1) } else { seq };
        let place = Place { incarnation: INCARNATION, segment: number, offset: segment.len() as u64 };
        let (frame, crc) = format::frame(place, Numbers { previous, seq: shown, synced }, chunk.data);
        previous = crc;
        segment.extend_from_slice(&frame);
    }
    put(&mut directory, number, segment);
    directory
}

fn put(directory: &mut Directory, number: u64, mut segment: Vec<u8>) {
    // Some room behind, so that the log may go on in it.
    segment.resize(segment.len() + 64, 0);
    let size = segment.len() as u64;
    segment[..SEGMENT_HEADER].copy_from_slice(&format::segment_header(number, INCARNATION, size));
    directory.insert(SegmentNumber(number).file_name(), segment);
}
