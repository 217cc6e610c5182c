//! A server's log as it is laid out frame by frame: one of each thing that a data directory can hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::consensus::MemberRole;
use raft_core::disk::{DiskOp, FileName};
use raft_core::entry::{ClientId, Command, Entry, Genesis, Payload, Sequence, SessionStep};
use raft_core::kv::{self, Key, Value};
use raft_core::log::{Identity, LogOptions, Record, Writer, create};
use raft_core::types::{ClusterId, EntryId, HardState, LogIndex, Term};

use super::members::{changes, configuration, incarnation, member, node};
use super::scenario::disk::Disk;

/// The smallest there can be, so that a few records fill several.
pub(crate) const LOG: LogOptions = LogOptions { segment_size: LogOptions::MIN_SEGMENT_SIZE };

pub(crate) const CLUSTER: ClusterId = ClusterId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

/// A log and its disk.
pub(crate) struct Log {
    writer: Writer,
    disk: Disk,
    last: EntryId,
}

impl Log {
    pub(crate) fn files(&self) -> &BTreeMap<FileName, Vec<u8>> {
        self.disk.files()
    }

    /// One frame, durable before the next.
    pub(crate) fn frame(&mut self, records: &[Record]) {
        let (frame, ops) = self.writer.append(records);
        self.disk.apply_all(&ops);
        self.writer.note_durable(frame);
    }

    pub(crate) fn entry(&mut self, term: u64, payload: Payload) {
        self.last = EntryId { index: self.last.index.next(), term: Term(term) };
        let EntryId { index, term } = self.last;
        self.frame(&[Record::Entry(Entry { index, term, payload })]);
    }

    /// The segments that a snapshot makes dispensable go.
    pub(crate) fn compact(&mut self, up_to: LogIndex) {
        while let Some(file) = self.writer.oldest_dispensable(up_to) {
            self.disk.apply_all(&[DiskOp::Remove { file }]);
            self.writer.segment_removed();
        }
    }
}

/// A command's bytes.
pub(crate) fn set(key: &str, value: Value) -> Bytes {
    kv::Command::Set { key: Key::new(key).expect("a valid key"), value }.encode()
}

pub(crate) fn json(text: &str) -> Value {
    Value::Json(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn step(client: &str, sequence: Sequence) -> Option<Box<SessionStep>> {
    Some(Box::new(SessionStep { client: ClientId::new(client.as_bytes()).expect("a valid id"), sequence }))
}

fn command(session: Option<Box<SessionStep>>, data: Bytes) -> Payload {
    Payload::Command(Command { session, data })
}

/// The log of `node_0` from its first entry on.
pub(crate) fn whole() -> Log {
    let mut identity = Identity::new(node(0), incarnation(0));
    let (writer, ops) = create(&identity, LOG);
    let mut log = Log { writer, disk: Disk::default(), last: EntryId::default() };
    log.disk.apply_all(&ops);
    log.frame(&[
        Record::Peer { node_id: node(1), incarnation: incarnation(1) },
        Record::Peer { node_id: node(2), incarnation: incarnation(2) },
        Record::Admitted,
    ]);
    log.frame(&[Record::HardState(HardState { term: Term(1), voted_for: Some(node(0)) })]);
    let voters = (0..3).map(|number| member(number, MemberRole::Voter)).collect::<Vec<_>>();
    log.entry(
        1,
        Payload::Genesis(Box::new(Genesis {
            cluster_id: CLUSTER,
            configuration: configuration(&voters, &[]),
        })),
    );
    identity.cluster_id = Some(CLUSTER);
    log.disk.apply_all(&[identity.store()]);
    log.entry(1, command(None, set("name", json("\"Raft Cluster\""))));
    log.entry(1, command(None, set("größe", json("{\"a\":1.50,\"b\":[null,true]}"))));
    log.entry(1, command(None, set("bytes", Value::Bytes(Bytes::from_static(&[0, 1, 0x7f, 0x80, 0xff])))));
    log.entry(1, command(None, set("long", json(&format!("\"{}\"", "abc".repeat(200))))));
    log.entry(1, command(step("client", Sequence::Open), Bytes::new()));
    let number = |number, answered_below| step("client", Sequence::Number { number, answered_below });
    log.entry(1, command(number(1, 1), set("count", json("1"))));
    log.entry(1, command(number(2, 2), set("count", json("2"))));
    log.entry(1, command(step("order-17", Sequence::Only), set("order", json("17"))));
    let [learner, heard, joint, ..] = changes();
    log.entry(1, Payload::Configuration(Box::new(learner)));
    log.entry(1, Payload::Configuration(Box::new(heard)));
    // Another leader does not have this one, and writes its own in its place.
    let before = log.last;
    log.entry(1, command(None, set("name", json("\"lost\""))));
    log.frame(&[Record::HardState(HardState { term: Term(2), voted_for: None })]);
    log.last = before;
    log.entry(2, Payload::Noop);
    log.frame(&[Record::HardState(HardState { term: Term(3), voted_for: Some(node(0)) })]);
    log.entry(3, Payload::Noop);
    log.entry(3, Payload::Configuration(Box::new(joint)));
    log.entry(3, Payload::Snapshot);
    go_on(&mut log);
    log
}

/// What comes after the mark.
fn go_on(log: &mut Log) {
    let [.., replaced, leaving, alone] = changes();
    log.entry(3, Payload::Configuration(Box::new(replaced)));
    log.entry(3, command(None, kv::Command::Delete { key: Key::new("order").expect("a key") }.encode()));
    log.entry(3, Payload::Configuration(Box::new(leaving)));
    log.entry(3, Payload::Configuration(Box::new(alone)));
    log.entry(3, command(None, set("after", json("\"the mark\""))));
    log.frame(&[Record::CommitHint(log.last.index)]);
}

/// Commands that were given before: each must be known again.
pub(crate) fn repeated() -> [(&'static str, Command); 3] {
    let number = step("client", Sequence::Number { number: 2, answered_below: 2 });
    let open = Command { session: step("client", Sequence::Open), data: Bytes::new() };
    let second = Command { session: number, data: set("count", json("2")) };
    let order = Command { session: step("order-17", Sequence::Only), data: set("order", json("17")) };
    [("open client", open), ("client 2", second), ("order-17", order)]
}
