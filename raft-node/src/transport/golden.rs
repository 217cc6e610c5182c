//! Streams of each version are kept, in `raft-node/tests/golden/stream`, and read by every later one: the
//! request that opens one, and a frame for each kind of message. `raft-core/tests/golden` says how.

#[path = "../../../raft-core/tests/golden/files.rs"]
mod files;
#[path = "../../../raft-core/tests/golden/members.rs"]
mod members;
mod messages;

use std::fmt::Write as _;

use bytes::BytesMut;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use raft_core::message::Message;
use tokio::sync::{mpsc, watch};

use self::files::{CONTENT, Files, Golden};
use self::members::{incarnation, node};
use super::dial::{Caller, Dialler};
use super::links::LinkStates;
use super::{accept, frame};
use crate::config::Config;

/// The head of the request that opens a stream.
const HANDSHAKE: &str = "handshake.txt";

/// A frame a line, in hexadecimal.
const FRAMES: &str = "frames.txt";

fn handshake() -> String {
    let dialler = Dialler {
        caller: Caller { id: node(1), incarnation: incarnation(1) },
        peer: node(0),
        addresses: watch::channel(Vec::new()).1,
        states: LinkStates::default(),
        inbox: mpsc::channel(1).0,
        queue: mpsc::channel(1).1,
    };
    let request = dialler.request("10.0.0.0:12000").expect("a request");
    let mut head = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let _ = writeln!(head, "{name}: {}", value.to_str().expect("text"));
    }
    head
}

fn written() -> Files {
    let mut frames = String::new();
    for message in messages::all() {
        let mut frame = Vec::new();
        frame::encode(&message, &mut frame).expect("a message can always be encoded");
        let hex: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(frames, "{}", hex.concat());
    }
    let mut files = Files::from([
        (HANDSHAKE.to_owned(), handshake().into_bytes()),
        (FRAMES.to_owned(), frames.into_bytes()),
    ]);
    files.insert(CONTENT.to_owned(), told(frame::VERSION, &files).into_bytes());
    files
}

/// Who calls, then a message a line.
fn told(version: u32, files: &Files) -> String {
    let text = |name: &str| String::from_utf8_lossy(&files[name]).into_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in text(HANDSHAKE).lines().filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a header's name");
        headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    let (from, known) = accept::check(&headers, &Config::new(node(0), 1)).expect("it may call");
    let mut told = format!("{from} by {known} calls\n");
    for line in text(FRAMES).lines() {
        let _ = writeln!(told, "{:?}", read(version, line));
    }
    told
}

fn read(version: u32, hex: &str) -> Message {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let mut received = BytesMut::from(&frame[..]);
    let message = match version {
        frame::VERSION => frame::decode(&mut received),
        other => panic!("nothing reads streams of version {other}"),
    };
    let message = message.unwrap_or_else(|error| panic!("{error}: {hex}")).expect("all of a frame");
    assert!(received.is_empty(), "more than a frame: {hex}");
    message
}

#[test]
fn streams_are_written_as_they_were_and_read() {
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), "stream");
    golden.check(frame::VERSION, &written());
    golden.check_read(told);
}

#[test]
fn every_kind_of_message_is_among_them() {
    let mut kinds: Vec<usize> = messages::all().iter().map(messages::kind).collect();
    kinds.dedup();
    assert_eq!(kinds, (0..messages::KINDS).collect::<Vec<_>>());
}
