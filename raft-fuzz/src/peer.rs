//! A peer: whatever it says on its stream, into a live replica.
//!
//! The first byte says how the replica begins; chunks follow, of the kinds of [`Kind`]: bytes as they come
//! over the stream, payloads in frames whose length and checksum are right, messages with numbers near the
//! replica's, heads of requests for a stream, and what the world does in between.
//!
//! - Nothing panics, the replica's own assertions included.
//! - What a frame holds is what was put into it, however the stream is cut.
//! - Who is let in by the handshake is another member, and meant this node.
//! - What is committed stays, in the same order, across a restart too; it is executed in order and once;
//!   terms and the commit index never fall; one vote a term; no message leaves before what it rests on is
//!   on the disk (`world/checks.rs`).

use arbitrary::Unstructured;
use bytes::BytesMut;
use raft_core::message::Message;
use raft_core::types::{Incarnation, NodeId};
use raft_node::Config;
use raft_node::config::parse_peers;
use raft_node::fuzzing::{self, HeaderMap, header};

use crate::chunks::{Chunk, Chunks};
use crate::message;
use crate::world::{Beginning, World, incarnation, member};

/// What a chunk is. Its byte's low bits say which; the highest says which of the two peers it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of the peer's stream.
    Stream,
    /// A message's encoding, to be framed.
    Payload,
    /// A message by its difference from what the replica has.
    Near,
    /// The head of the peer's request for a stream.
    Handshake,
    /// Time passes; the byte says how much.
    Wait,
    /// The disk carries out so many batches.
    Persist,
    /// A stream opens or ends.
    Link,
    /// A client asks for something.
    Client,
    /// The disk fails, the node stops, or an operator wants another leader.
    End,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Stream,
        Kind::Payload,
        Kind::Near,
        Kind::Handshake,
        Kind::Wait,
        Kind::Persist,
        Kind::Link,
        Kind::Client,
        Kind::End,
    ];

    /// The byte of such a chunk about a peer, 1 or 2.
    #[must_use]
    pub fn byte(self, peer: u8) -> u8 {
        self as u8 | if peer == 2 { 0x80 } else { 0 }
    }
}

/// A peer's stream as this node has it.
struct Stream {
    from: NodeId,
    incarnation: Incarnation,
    received: BytesMut,
}

impl Stream {
    fn of(peer: u8) -> Stream {
        Stream { from: member(peer), incarnation: incarnation(peer), received: BytesMut::new() }
    }
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&beginning, input)) = input.split_first() else { return };
    let mut world = World::new(beginning_of(beginning));
    let mut streams = [1, 2].map(Stream::of);
    for chunk in Chunks::of(input) {
        let peer = 1 + (chunk.kind >> 7);
        take(&mut world, &mut streams[usize::from(peer - 1)], peer, chunk);
    }
    world.restart();
}

pub(crate) fn beginning_of(byte: u8) -> Beginning {
    match byte % 4 {
        0 => Beginning::New,
        1 => Beginning::Leader,
        _ => Beginning::Member,
    }
}

fn take(world: &mut World, stream: &mut Stream, peer: u8, chunk: Chunk<'_>) {
    let Chunk { kind, data } = chunk;
    let kind = Kind::ALL[usize::from(kind & 0x7f) % Kind::ALL.len()];
    match kind {
        Kind::Stream => {
            stream.received.extend_from_slice(data);
            read_all(world, stream, peer);
        }
        Kind::Payload => {
            if let Ok(message) = postcard::from_bytes::<Message>(data) {
                deliver(world, stream, &message);
            }
            assert_unreadable_is_refused(data);
        }
        Kind::Near => {
            let mut from = Unstructured::new(data);
            while let Ok(message) = message::read(&mut from, world.replica()) {
                deliver(world, stream, &message);
                if from.is_empty() {
                    break;
                }
            }
        }
        Kind::Handshake => handshake(stream, data),
        Kind::End if data.first().is_some_and(|byte| byte % 2 == 0) => world.stop(),
        Kind::End if data.first() == Some(&0xff) => world.administer(data.get(1).copied()),
        Kind::End => world.fail_disk(),
        Kind::Wait | Kind::Persist | Kind::Link | Kind::Client => around(world, kind, peer, data),
    }
}

/// What the world does.
pub(crate) fn around(world: &mut World, kind: Kind, peer: u8, data: &[u8]) {
    let byte = data.first().copied().unwrap_or_default();
    match kind {
        Kind::Wait if byte == 0 => world.wait_for_deadline(),
        Kind::Wait => world.wait(u64::from(byte) * 2),
        Kind::Persist if byte == 0 => world.settle(),
        Kind::Persist => (0..byte % 4).for_each(|_| world.persist()),
        Kind::Link if byte % 2 == 0 => world.connect(member(peer)),
        Kind::Link => world.disconnect(member(peer), byte & 2 != 0),
        Kind::Client if byte % 4 == 0 => world.query(byte, byte & 4 != 0),
        Kind::Client => world.propose(byte, data.get(1).copied()),
        _ => {}
    }
}

/// Reads what has come, as the node does: a stream that holds anything but messages ends.
fn read_all(world: &mut World, stream: &mut Stream, peer: u8) {
    loop {
        match fuzzing::next_message(&mut stream.received) {
            Ok(Some(message)) => world.receive(stream.from.clone(), stream.incarnation, message),
            Ok(None) => return,
            Err(error) => {
                assert!(!error.is_empty());
                *stream = Stream::of(peer);
                return world.disconnect(stream.from.clone(), true);
            }
        }
    }
}

/// Sends a message through frame and decoder, in two pieces.
fn deliver(world: &mut World, stream: &Stream, message: &Message) {
    let frame = fuzzing::frame(message);
    let mut received = BytesMut::new();
    let (first, second) = frame.split_at(frame.len() / 2);
    received.extend_from_slice(first);
    assert_eq!(fuzzing::next_message(&mut received), Ok(None), "half a frame is no message");
    received.extend_from_slice(second);
    let read = fuzzing::next_message(&mut received).expect("a sound frame").expect("a whole frame");
    assert!(read == *message && received.is_empty(), "what was sent is what is read");
    world.receive(stream.from.clone(), stream.incarnation, read);
}

/// A payload in a sound frame is a message exactly if its encoding is one.
fn assert_unreadable_is_refused(payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("inputs are small").to_le_bytes();
    let mut received = BytesMut::from(&length[..]);
    received.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    received.extend_from_slice(payload);
    let expected = postcard::from_bytes::<Message>(payload).ok();
    match fuzzing::next_message(&mut received) {
        Ok(message) => assert!(message.is_some() && message == expected),
        Err(_) => assert_eq!(expected, None),
    }
}

/// Lines `name: value`, as in the head of a request.
pub(crate) fn headers(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = header::HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = header::HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn handshake(stream: &mut Stream, text: &[u8]) {
    let mut config = Config::new(member(0), 12000);
    config.peers = parse_peers("node_0=127.0.0.1:12000,node_1=127.0.0.1:12001,node_2=127.0.0.1:12002")
        .expect("a sound list");
    let headers = headers(text);
    match fuzzing::handshake(&headers, &config) {
        Ok((from, incarnation)) => {
            assert!(from != member(0), "{from} is let in");
            assert_eq!(headers.get("raft-to").map(|to| to.as_bytes()), Some(member(0).as_str().as_bytes()));
            (stream.from, stream.incarnation) = (from, incarnation);
            stream.received.clear();
        }
        Err(refusal) => {
            assert!(matches!(refusal.status, 400 | 403), "{refusal:?}");
            serde_json::from_slice::<serde_json::Value>(&refusal.document).expect("a problem is JSON");
        }
    }
}
