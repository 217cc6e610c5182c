//! How messages look on a stream between nodes: length, checksum, the message itself.
//!
//! The version of this format is agreed when the stream is opened, not repeated in every frame.

use bytes::{Buf, BytesMut};
use raft_core::message::Message;

/// The version of the stream's format, as offered in the handshake. It covers the messages and what they mean
/// to both sides, so also how the state hash is made. A node takes streams of its own version only: nodes of
/// different ones form no cluster, and each says so of the other in `/api/why`. Version 2 added the state
/// hash, version 3 what operators ask for and the members in the log.
pub(super) const VERSION: u32 = 3;

/// The longest message, in bytes: a batch of entries or one entry of the largest value, with room to spare.
const MAX_LENGTH: usize = 32 << 20;

/// Room made at once for a message that is announced: the rest as it comes, or eight bytes would take 32 MiB.
const RESERVED: usize = 1 << 20;

/// Length and CRC-32C of the message, little-endian.
const HEADER: usize = 8;

/// A stream that does not hold messages.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a message of {length} bytes was announced; the most there can be is {MAX_LENGTH}")]
    TooLong { length: usize },
    #[error("a message does not match its checksum")]
    Checksum,
    #[error("a message cannot be read: {0}")]
    Unreadable(postcard::Error),
}

/// Appends a message to what is to be sent.
pub(super) fn encode(message: &Message, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    // A vector is extended by slices; `BytesMut` would be byte by byte.
    *out = postcard::to_extend(message, std::mem::take(out))?;
    let body = &out[start + HEADER..];
    let (length, checksum) = (body.len() as u32, crc32c::crc32c(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Takes the next message out of what was received, if it is there in full.
pub(super) fn decode(received: &mut BytesMut) -> Result<Option<Message>, FrameError> {
    let Some(header) = received.first_chunk::<HEADER>() else { return Ok(None) };
    let [l0, l1, l2, l3, checksum @ ..] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_LENGTH {
        return Err(FrameError::TooLong { length });
    }
    if received.len() < HEADER + length {
        received.reserve((HEADER + length - received.len()).min(RESERVED));
        return Ok(None);
    }
    received.advance(HEADER);
    let body = received.split_to(length);
    if crc32c::crc32c(&body) != u32::from_le_bytes(checksum) {
        return Err(FrameError::Checksum);
    }
    postcard::from_bytes(&body).map(Some).map_err(FrameError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::types::Term;

    fn sent(terms: &[u64]) -> BytesMut {
        let mut out = Vec::new();
        for term in terms {
            encode(&Message::TimeoutNow { term: Term(*term) }, &mut out).unwrap();
        }
        BytesMut::from(&out[..])
    }

    #[test]
    fn messages_arrive_however_the_stream_is_cut() {
        let whole = sent(&[1, 300, 70_000]);
        for piece in 1..=whole.len() {
            let (mut received, mut terms) = (BytesMut::new(), Vec::new());
            for part in whole.chunks(piece) {
                received.extend_from_slice(part);
                while let Some(message) = decode(&mut received).unwrap() {
                    terms.extend(message.term());
                }
            }
            assert_eq!(terms, [Term(1), Term(300), Term(70_000)], "in pieces of {piece}");
        }
    }

    #[test]
    fn damage_is_noticed() {
        for position in 0..sent(&[9]).len() {
            let mut received = sent(&[9]);
            received[position] ^= 0x40;
            assert!(!matches!(decode(&mut received), Ok(Some(_))), "byte {position}");
        }
    }

    #[test]
    fn what_is_only_announced_takes_little_memory() {
        let mut received = BytesMut::new();
        received.extend_from_slice(&(MAX_LENGTH as u32).to_le_bytes());
        received.extend_from_slice(&[0; 4]);
        for _ in 0..3 {
            assert!(matches!(decode(&mut received), Ok(None)));
            assert!(received.capacity() >= RESERVED && received.capacity() < 2 * RESERVED);
        }
    }

    #[test]
    fn a_stranger_cannot_make_us_wait_for_gigabytes() {
        let mut received = BytesMut::from(&b"GET / HTTP/1.1\r\n"[..]);
        assert!(matches!(decode(&mut received), Err(FrameError::TooLong { .. })));
    }
}
