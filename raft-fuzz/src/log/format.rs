//! The bytes of segments and frames, written a second time from their description in
//! `raft-core/src/log/format.rs`: a mistake would have to be made twice to go unseen.

/// Length of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Length of a frame's header.
pub(super) const FRAME_HEADER: usize = 40;
/// Frames start at multiples of this.
const ALIGNMENT: usize = 8;

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) incarnation: u64,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// What stands in a frame's header besides checksums and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) previous: u32,
    pub(super) seq: u64,
    pub(super) synced: u64,
}

/// A segment's header.
pub(super) fn segment_header(number: u64, incarnation: u64, size: u64) -> [u8; SEGMENT_HEADER] {
    let mut raw = [0; SEGMENT_HEADER];
    raw[..8].copy_from_slice(b"RAFTLOG\n");
    raw[8..12].copy_from_slice(&1u32.to_le_bytes());
    raw[16..24].copy_from_slice(&number.to_le_bytes());
    raw[24..32].copy_from_slice(&incarnation.to_le_bytes());
    raw[32..40].copy_from_slice(&size.to_le_bytes());
    seal_segment(&mut raw);
    raw
}

/// Makes the checksum of a segment's header right.
pub(super) fn seal_segment(raw: &mut [u8; SEGMENT_HEADER]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&raw[..12]), &raw[16..]);
    raw[12..16].copy_from_slice(&crc.to_le_bytes());
}

/// A whole frame, padding and all, and its header's checksum.
pub(super) fn frame(place: Place, numbers: Numbers, payload: &[u8]) -> (Vec<u8>, u32) {
    let mut raw = vec![0; (FRAME_HEADER + payload.len()).next_multiple_of(ALIGNMENT)];
    raw[..4].copy_from_slice(b"RFrm");
    raw[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    raw[20..24].copy_from_slice(&numbers.previous.to_le_bytes());
    raw[24..32].copy_from_slice(&numbers.seq.to_le_bytes());
    raw[32..40].copy_from_slice(&numbers.synced.to_le_bytes());
    raw[FRAME_HEADER..FRAME_HEADER + payload.len()].copy_from_slice(payload);
    let crc = seal_frame(place, &mut raw);
    (raw, crc)
}

/// Makes both checksums of the frame at the start of `raw` right, as far as it reaches.
fn seal_frame(place: Place, raw: &mut [u8]) -> u32 {
    let length = u64_at(raw, 8);
    let payload = usize::try_from(length)
        .ok()
        .and_then(|length| raw.get(FRAME_HEADER..FRAME_HEADER.checked_add(length)?));
    if let Some(payload) = payload {
        let crc = crc32c::crc32c(payload);
        raw[16..20].copy_from_slice(&crc.to_le_bytes());
    }
    let place = [place.incarnation, place.segment, place.offset].map(u64::to_le_bytes).concat();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&place), &raw[8..FRAME_HEADER]);
    raw[4..8].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Makes every checksum of a segment right, and each frame name the one before it.
pub(super) fn seal(segment: &mut [u8], number: u64, incarnation: u64, previous: &mut u32) {
    if let Some(header) = segment.first_chunk_mut::<SEGMENT_HEADER>() {
        seal_segment(header);
    }
    let mut offset = SEGMENT_HEADER;
    while let Some(raw) = segment.get_mut(offset..).filter(|rest| rest.len() >= FRAME_HEADER) {
        if raw.starts_with(b"RFrm") {
            raw[20..24].copy_from_slice(&previous.to_le_bytes());
            let place = Place { incarnation, segment: number, offset: offset as u64 };
            *previous = seal_frame(place, raw);
        }
        offset += ALIGNMENT;
    }
}

fn u64_at(raw: &[u8], at: usize) -> u64 {
    raw[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
