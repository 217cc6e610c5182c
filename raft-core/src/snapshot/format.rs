//! The bytes of a snapshot's file.
//!
//! ```text
//! header   magic "RAFTSNAP" · version u32 · length u32 · crc u32 · length bytes of header (postcard)
//! chunk    stored u32 · content u32 · crc u32 · stored bytes
//! …
//! end      0 u32 · 0 u32 · crc u32 · chunks u64 · content of all chunks, in bytes, u64 · checksum u64
//! ```
//!
//! Numbers are little-endian, `crc` is a CRC-32C. The header's covers all of it but the crc itself. A chunk's
//! covers the header's crc, the chunk's number, counted from 0, its two lengths and its stored bytes: a chunk
//! of another snapshot, or at another place, is no chunk. It is stored as an LZ4 block, or as it is where
//! that would not be shorter; then both lengths are the same. The end is numbered like a chunk; its checksum
//! is the XXH3 with 64 bits of the contents of all chunks.
//!
//! The contents of all chunks together are a row of pieces, cut every 64 KiB:
//!
//! ```text
//! piece    kind u8 (0 sessions, 1 state machine) · length u32 · length bytes
//! ```

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::consensus::Configuration;
use crate::log::CRC32C;
use crate::types::{ClusterId, LogIndex, StateHash, Term};

/// The version of the files this build writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The content of every chunk but the last, in bytes, before compression.
pub const CHUNK_BYTES: usize = 64 << 10;

pub(super) const MAGIC: [u8; 8] = *b"RAFTSNAP";

/// Length of what comes before the encoded header.
pub(super) const PREFIX: usize = 20;

/// The longest encoded header: many times what a configuration takes.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// So many bytes from the start of a file hold its header, whatever that says.
pub const LONGEST_HEADER: usize = PREFIX + MAX_HEADER;

/// Length of what comes before a chunk's stored bytes.
pub(super) const CHUNK_PREFIX: usize = 12;

/// Length of what follows the prefix of the end.
pub(super) const END: usize = 24;

/// Length of what comes before a piece's bytes.
pub(super) const PIECE_PREFIX: usize = 5;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The cluster whose state it is.
    pub cluster_id: ClusterId,
    /// The last log index that the state includes.
    pub index: LogIndex,
    /// The term of the entry there.
    pub term: Term,
    /// The state hash there, by which the chain goes on.
    pub state_hash: StateHash,
    /// Where the configuration stands in the log; 0 where it is the one that the servers were started with.
    pub configuration_index: LogIndex,
    /// The cluster's members there, the latest at or before `index`.
    pub configuration: Configuration,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Encoding into memory has no way to fail: every length is known and every type is ours.
        let header = postcard::to_allocvec(self).expect("encoding into memory");
        let length = u32::try_from(header.len()).expect("a header is far below 4 GiB");
        let mut out = Vec::with_capacity(PREFIX + header.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        let crc = header_crc(&out, &header);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header);
        out
    }
}

/// Of the sixteen bytes before the crc, and of those after it.
pub(super) fn header_crc(before: &[u8], header: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(before);
    digest.update(header);
    digest.finalize()
}

/// The checksum of a chunk or of the end.
pub(super) fn chunk_crc(header: u32, number: u64, lengths: &[u8], stored: &[u8]) -> u32 {
    let mut digest = CRC32C.digest();
    digest.update(&header.to_le_bytes());
    digest.update(&number.to_le_bytes());
    digest.update(lengths);
    digest.update(stored);
    digest.finalize()
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
