//! Lays a snapshot out: pieces in, the bytes of whole chunks out. The same pieces give the same bytes,
//! however they come in.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use lz4_flex::block::{compress_into, get_maximum_output_size};
use xxhash_rust::xxh3::Xxh3;

use super::Piece;
use super::format::{CHUNK_BYTES, CHUNK_PREFIX, END, Header, chunk_crc, u32_at};

/// See the [module](self).
#[derive(Clone)]
pub struct Writer {
    header_crc: u32,
    /// The number of the next chunk.
    number: u64,
    /// Of the contents of the chunks so far.
    length: u64,
    checksum: Xxh3,
    /// What is in no chunk yet: less than one.
    pending: Vec<u8>,
    /// Laid out, and not taken yet.
    out: Vec<u8>,
    /// What was taken.
    taken: u64,
}

impl Writer {
    /// Begins a snapshot with its header.
    #[must_use]
    pub fn new(header: &Header) -> Writer {
        let out = header.encode();
        Writer {
            header_crc: u32_at(&out, 16),
            number: 0,
            length: 0,
            checksum: Xxh3::new(),
            pending: Vec::with_capacity(CHUNK_BYTES),
            out,
            taken: 0,
        }
    }

    /// Adds a piece.
    ///
    /// # Panics
    /// When it has 4 GiB or more.
    pub fn piece(&mut self, piece: &Piece) {
        let (kind, bytes) = match piece {
            Piece::Sessions(bytes) => (0, bytes),
            Piece::Machine(bytes) => (1, bytes),
        };
        let length = u32::try_from(bytes.len()).expect("a piece is far below 4 GiB");
        self.content(&[kind]);
        self.content(&length.to_le_bytes());
        self.content(bytes);
    }

    fn content(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.pending.len();
            let (fits, rest) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(fits);
            bytes = rest;
            if self.pending.len() == CHUNK_BYTES {
                self.chunk();
            }
        }
    }

    fn chunk(&mut self) {
        let content = core::mem::take(&mut self.pending);
        self.checksum.update(&content);
        self.length += content.len() as u64;
        let mut room = vec![0; get_maximum_output_size(content.len())];
        let stored = match compress_into(&content, &mut room) {
            Ok(length) if length < content.len() => &room[..length],
            _ => &content[..],
        };
        self.part(content.len(), stored, stored.len());
        self.pending = content;
        self.pending.clear();
    }

    /// Lays out a chunk, or the end.
    fn part(&mut self, content: usize, stored: &[u8], stored_length: usize) {
        let mut lengths = [0; 8];
        lengths[..4].copy_from_slice(&(stored_length as u32).to_le_bytes());
        lengths[4..].copy_from_slice(&(content as u32).to_le_bytes());
        let crc = chunk_crc(self.header_crc, self.number, &lengths, stored);
        self.out.reserve(CHUNK_PREFIX + stored.len());
        self.out.extend_from_slice(&lengths);
        self.out.extend_from_slice(&crc.to_le_bytes());
        self.out.extend_from_slice(stored);
        self.number += 1;
    }

    /// All pieces were added: lays out what is left, and the end.
    pub fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.chunk();
        }
        let mut end = [0; END];
        end[..8].copy_from_slice(&self.number.to_le_bytes());
        end[8..16].copy_from_slice(&self.length.to_le_bytes());
        end[16..].copy_from_slice(&self.checksum.digest().to_le_bytes());
        self.part(0, &end, 0);
    }

    /// Takes the bytes that are laid out: they follow those taken before.
    pub fn take(&mut self) -> Bytes {
        self.taken += self.out.len() as u64;
        core::mem::take(&mut self.out).into()
    }

    /// How many bytes are laid out and not taken.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.out.len()
    }

    /// How many bytes were taken: where the next go.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }
}
