//! Reads a snapshot: bytes in, at any split, and pieces out. What is not as it was written is refused.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::Xxh3;

use super::Piece;
use super::error::SnapshotError;
use super::format::{
    CHUNK_BYTES, CHUNK_PREFIX, END, FORMAT_VERSION, Header, MAGIC, MAX_HEADER, PIECE_PREFIX, PREFIX,
    chunk_crc, header_crc, u32_at,
};
use crate::disk::FileName;
use crate::seeded::{self, Bug};

/// Reads the file of a snapshot from its first byte on.
///
/// A piece that comes out is as it was written; whether it is all of the snapshot, [`Reader::finish`] says.
#[derive(Clone)]
pub struct Reader {
    file: FileName,
    /// What was fed and is not read.
    fed: VecDeque<Bytes>,
    fed_length: usize,
    /// Where in the file that begins: all before it was found as it was written.
    offset: u64,
    header: Option<(Header, u32)>,
    /// The number of the next chunk.
    number: u64,
    length: u64,
    checksum: Xxh3,
    /// Content that is no whole piece yet.
    content: Vec<u8>,
    /// How much of it has been given out.
    given: usize,
    is_whole: bool,
}

impl Reader {
    /// A reader of a file, whose name is for its errors.
    #[must_use]
    pub fn new(file: FileName) -> Reader {
        Reader {
            file,
            fed: VecDeque::new(),
            fed_length: 0,
            offset: 0,
            header: None,
            number: 0,
            length: 0,
            checksum: Xxh3::new(),
            content: Vec::new(),
            given: 0,
            is_whole: false,
        }
    }

    /// Hands in the bytes of the file that follow those handed in before. They are read when a piece is asked
    /// for.
    pub fn feed(&mut self, bytes: Bytes) {
        self.fed_length += bytes.len();
        if !bytes.is_empty() {
            self.fed.push_back(bytes);
        }
    }

    /// The next piece; none where more bytes are needed first, or all were given. A call reads little more
    /// than that piece.
    ///
    /// # Errors
    /// When the bytes are not as they were written.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, SnapshotError> {
        loop {
            if let Some(piece) = self.take_piece()? {
                return Ok(Some(piece));
            }
            if !self.read_on()? {
                return Ok(None);
            }
        }
    }

    /// What the snapshot says of itself, once so much was fed.
    ///
    /// # Errors
    /// When the bytes are not as they were written.
    pub fn header(&mut self) -> Result<Option<&Header>, SnapshotError> {
        if self.header.is_none() {
            self.read_header()?;
        }
        Ok(self.header.as_ref().map(|(header, _)| header))
    }

    /// Up to here, in bytes from its start, the file has been found to be as it was written.
    #[must_use]
    pub fn verified(&self) -> u64 {
        self.offset
    }

    /// Forgets what was fed beyond that: what is fed next follows there.
    pub fn forget_unread(&mut self) {
        self.fed.clear();
        self.fed_length = 0;
    }

    /// Whether the end was found, and all before it is as it was written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Ends the reading, after the last piece.
    ///
    /// # Errors
    /// When the end is missing.
    pub fn finish(mut self) -> Result<Header, SnapshotError> {
        while self.next_piece()?.is_some() {}
        match self.header {
            Some((header, _)) if self.is_whole => Ok(header),
            _ => {
                let length = self.offset + self.fed_length as u64;
                Err(SnapshotError::CutShort { file: self.file, length })
            }
        }
    }

    fn take_piece(&mut self) -> Result<Option<Piece>, SnapshotError> {
        let content = &self.content[self.given..];
        if content.len() < PIECE_PREFIX {
            return Ok(None);
        }
        let length = u32_at(content, 1) as usize;
        let Some(bytes) = content[PIECE_PREFIX..].get(..length) else { return Ok(None) };
        let bytes = Bytes::copy_from_slice(bytes);
        let piece = match content[0] {
            0 => Piece::Sessions(bytes),
            1 => Piece::Machine(bytes),
            _ => return Err(self.damaged("it holds a piece of a kind that this build does not know")),
        };
        self.given += PIECE_PREFIX + length;
        Ok(Some(piece))
    }

    /// Reads the header or a chunk; whether there was one.
    fn read_on(&mut self) -> Result<bool, SnapshotError> {
        let Some((_, header_crc)) = self.header else { return self.read_header() };
        if self.is_whole {
            return if self.fed_length == 0 {
                Ok(false)
            } else {
                Err(self.damaged("it goes on after its end"))
            };
        }
        let Some(prefix) = self.peek(CHUNK_PREFIX) else { return Ok(false) };
        let (stored, content) = (u32_at(&prefix, 0) as usize, u32_at(&prefix, 4) as usize);
        let is_end = (stored, content) == (0, 0);
        if !is_end && !(1..=CHUNK_BYTES).contains(&content) || stored > content || (stored == 0) != is_end {
            return Err(self.damaged("a chunk has lengths that none has"));
        }
        let length = if is_end { END } else { stored };
        let Some(chunk) = self.peek(CHUNK_PREFIX + length) else { return Ok(false) };
        let stored = chunk.slice(CHUNK_PREFIX..);
        let is_sound = u32_at(&chunk, 8) == chunk_crc(header_crc, self.number, &chunk[..8], &stored);
        if !is_sound && !seeded::is(Bug::SnapshotChecksumsIgnored) {
            return Err(self.damaged("the checksum of a chunk is wrong"));
        }
        if is_end {
            self.end(&stored)?;
        } else {
            self.chunk(&stored, content)?;
        }
        self.number += 1;
        self.skip(chunk.len());
        Ok(true)
    }

    fn chunk(&mut self, stored: &[u8], length: usize) -> Result<(), SnapshotError> {
        self.content.drain(..self.given);
        self.given = 0;
        let start = self.content.len();
        if stored.len() == length {
            self.content.extend_from_slice(stored);
        } else {
            self.content.resize(start + length, 0);
            let room = &mut self.content[start..];
            if lz4_flex::block::decompress_into(stored, room).ok() != Some(length) {
                return Err(self.damaged("a chunk cannot be decompressed"));
            }
        }
        self.checksum.update(&self.content[start..]);
        self.length += length as u64;
        Ok(())
    }

    fn end(&mut self, end: &[u8]) -> Result<(), SnapshotError> {
        let expected = [self.number, self.length, self.checksum.digest()];
        let is_sound = end == expected.map(u64::to_le_bytes).as_flattened();
        if !is_sound && !seeded::is(Bug::SnapshotChecksumsIgnored) {
            return Err(self.damaged("its chunks are not those that its end mark tells of"));
        }
        if self.given < self.content.len() {
            return Err(self.damaged("it ends within a piece"));
        }
        self.is_whole = true;
        Ok(())
    }

    /// Whether the header was there to be read.
    fn read_header(&mut self) -> Result<bool, SnapshotError> {
        let Some(prefix) = self.peek(PREFIX) else { return Ok(false) };
        // Magic, version and crc stay where they are in every version, so that a newer one is recognised.
        let (version, length) = (u32_at(&prefix, 8), u32_at(&prefix, 12) as usize);
        if prefix[..8] != MAGIC || length > MAX_HEADER {
            return Err(self.damaged("it does not begin like a snapshot"));
        }
        let Some(all) = self.peek(PREFIX + length) else { return Ok(false) };
        let crc = u32_at(&all, 16);
        if crc != header_crc(&all[..16], &all[PREFIX..]) {
            return Err(self.damaged("the checksum of its header is wrong"));
        }
        if version != FORMAT_VERSION {
            return Err(SnapshotError::Version { file: self.file.clone(), found: version });
        }
        match postcard::take_from_bytes(&all[PREFIX..]) {
            Ok((header, [])) => self.header = Some((header, crc)),
            _ => return Err(self.damaged("its header cannot be read")),
        }
        self.skip(all.len());
        Ok(true)
    }

    /// The next so many bytes, if they are there.
    fn peek(&mut self, length: usize) -> Option<Bytes> {
        if self.fed_length < length {
            return None;
        }
        if self.fed.front()?.len() < length {
            let mut joined = Vec::with_capacity(length);
            while joined.len() < length {
                let next = self.fed.front_mut()?;
                let part = next.split_to(next.len().min(length - joined.len()));
                if next.is_empty() {
                    self.fed.pop_front();
                }
                joined.extend_from_slice(&part);
            }
            self.fed.push_front(joined.into());
        }
        self.fed.front().map(|first| first.slice(..length))
    }

    /// Lets go of bytes that were peeked at.
    fn skip(&mut self, length: usize) {
        if let Some(first) = self.fed.front_mut() {
            first.advance(length);
            if first.is_empty() {
                self.fed.pop_front();
            }
        }
        self.fed_length -= length;
        self.offset += length as u64;
    }

    fn damaged(&self, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged { file: self.file.clone(), offset: self.offset, what }
    }
}
