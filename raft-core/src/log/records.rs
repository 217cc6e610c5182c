//! The payload of a frame: a version byte, then records in postcard's encoding, one after the other.

use alloc::vec::Vec;

use super::Record;

/// The version of the encoding of records. New kinds of record may be added at the end of the enum within it.
pub(super) const RECORD_VERSION: u8 = 1;

/// Appends a record's encoding.
pub(super) fn encode(record: &Record, to: Vec<u8>) -> Vec<u8> {
    // Invariant: postcard fails only on a full buffer or a sequence of unknown length, and neither occurs.
    postcard::to_extend(record, to).expect("a record can always be encoded")
}

/// Room to reserve for a record, in bytes: rather too much than too little.
pub(super) fn size_hint(record: &Record) -> usize {
    match record {
        Record::Entry(entry) => entry.cost(),
        Record::HardState(_) | Record::Peer { .. } => 88,
        Record::Admitted | Record::CommitHint(_) => 16,
        Record::Snapshot { .. } => 24,
    }
}

/// Why a payload whose checksum is right cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Version(u8),
    Record,
}

/// Takes a payload apart, giving each record to `each`.
pub(super) fn decode<E: From<Unreadable>>(
    payload: &[u8],
    mut each: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let Some((&version, mut rest)) = payload.split_first() else { return Err(Unreadable::Record.into()) };
    if version != RECORD_VERSION {
        return Err(Unreadable::Version(version).into());
    }
    while !rest.is_empty() {
        let (record, after) = postcard::take_from_bytes(rest).map_err(|_| Unreadable::Record)?;
        rest = after;
        each(record)?;
    }
    Ok(())
}
