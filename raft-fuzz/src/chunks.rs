//! An input as a list of chunks, each of a kind: bytes that can be mutated anywhere and still be read.

/// The length that says that two more bytes hold the length.
const LONG: u8 = u8::MAX;

/// A piece of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// What it is, to whoever reads it.
    pub kind: u8,
    /// What it holds. Shorter than it says where the input ends early.
    pub data: &'a [u8],
}

/// Cuts an input into chunks: kind, length (one byte, or 255 and two bytes, little-endian), content.
#[derive(Clone, Debug)]
pub struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    /// The chunks of an input.
    #[must_use]
    pub fn of(input: &'a [u8]) -> Chunks<'a> {
        Chunks(input)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let kind = self.byte()?;
        let length = match self.byte().unwrap_or(0) {
            LONG => usize::from(u16::from_le_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])),
            short => usize::from(short),
        };
        let (data, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(Chunk { kind, data })
    }
}

/// Appends a chunk. What is longer than 65,535 bytes is cut off there.
pub fn push(input: &mut Vec<u8>, kind: u8, data: &[u8]) {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    input.push(kind);
    match u8::try_from(length) {
        Ok(short) if short < LONG => input.push(short),
        _ => {
            input.push(LONG);
            input.extend_from_slice(&length.to_le_bytes());
        }
    }
    input.extend_from_slice(&data[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_and_any_bytes_are_chunks() {
        let parts: [&[u8]; 4] = [b"", b"abc", &[7; 255], &[9; 70_000]];
        let mut input = Vec::new();
        for (kind, data) in (0..).zip(parts) {
            push(&mut input, kind, data);
        }
        let found: Vec<_> = Chunks::of(&input).map(|chunk| (chunk.kind, chunk.data.len())).collect();
        assert_eq!(found, [(0, 0), (1, 3), (2, 255), (3, 65_535)]);
        for cut in 0..input.len().min(300) {
            assert!(Chunks::of(&input[..cut]).map(|chunk| chunk.data.len()).sum::<usize>() <= cut);
        }
    }
}
