//! A recording: what a server was told from its start on. It is replayed by the version that recorded it, so
//! a later one says which version that is.

use std::time::Duration;

use raft_core::consensus::{Configuration, Timing};
use raft_core::entry::Command;
use raft_core::kv::Store;
use raft_core::log::{Identity, create};
use raft_core::record::{FORMAT_VERSION, Header, Recorder, ReplayError, replay};
use raft_core::replica::{Action, Consistency, Event, Options, Replica, SnapshotEvery, Stored, Token};
use raft_core::types::{Incarnation, Time};

use super::files::{CONTENT, Files, Golden};
use super::log::{LOG, json, set};
use super::members::node;

const FILE: &str = "recording.raftrec";
const PROGRAM: &str = "golden";

/// A server alone, with a disk that answers in the next turn, and what was recorded of it.
struct Recorded {
    replica: Replica,
    recorder: Recorder,
    now: Time,
    bytes: Vec<u8>,
    answered: Vec<Event>,
}

impl Recorded {
    fn start() -> Recorded {
        let identity = Identity::new(node(0), Incarnation(0x10));
        let (writer, _) = create(&identity, LOG);
        let options = Options {
            configuration: Configuration::new([node(0)]),
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let mut replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        let actions = replica.drain();
        let mut recorder = Recorder::new();
        let header = Header { program: PROGRAM.to_owned(), node_id: node(0), began_unix_ms: 1 };
        let bytes = recorder.begin(&header, &replica.checkpoint()).to_vec();
        let answered = answers(&actions);
        Recorded { replica, recorder, now: Time::ZERO, bytes, answered }
    }

    fn turn(&mut self, events: impl IntoIterator<Item = Event>) {
        self.now = self.now.max(self.replica.deadline().min(self.now + Duration::from_secs(1)));
        let answered = std::mem::take(&mut self.answered);
        for event in answered.into_iter().chain([Event::Tick]).chain(events) {
            self.recorder.step(self.now, &event);
            self.replica.step(self.now, event);
        }
        let actions = self.replica.drain();
        self.bytes.extend_from_slice(self.recorder.drained(&self.replica, actions.len()));
        self.answered = answers(&actions);
    }
}

fn answers(actions: &[Action]) -> Vec<Event> {
    let answer = |action: &Action| match action {
        Action::Disk(batch) if batch.sync => Some(Event::Persisted(batch.seq)),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

fn written() -> Files {
    let mut server = Recorded::start();
    (0..4).for_each(|_| server.turn([]));
    for (number, value) in (1..).zip(["1", "\"two\""]) {
        let (token, deadline) = (Token(number), server.now + Duration::from_secs(5));
        let command = Command { session: None, data: set("key", json(value)) };
        server.turn([Event::Propose { token, deadline, command }]);
    }
    let query = raft_core::kv::Query::Get { key: raft_core::kv::Key::new("key").expect("a key") }.encode();
    let (token, deadline) = (Token(9), server.now + Duration::from_secs(5));
    let consistency = Consistency::Linearizable;
    server.turn([Event::Query { token, deadline, consistency, query }]);
    (0..3).for_each(|_| server.turn([]));
    let mut files = Files::from([(FILE.to_owned(), server.bytes)]);
    files.insert(CONTENT.to_owned(), told(FORMAT_VERSION.into(), &files).into_bytes());
    files
}

fn told(version: u32, files: &Files) -> String {
    match replay(&files[FILE], None, PROGRAM, &mut || Box::new(Store::new()), &mut |_, _| {}) {
        Ok(summary) => format!(
            "{} of {}: {} events in {} turns, {} times compared\n{:?} of term {}, committed {}, applied {} \
             with state hash {}\n",
            summary.header.node_id,
            summary.header.program,
            summary.events,
            summary.turns,
            summary.compared,
            summary.role,
            summary.term,
            summary.commit_index,
            summary.last_applied,
            summary.applied_hash,
        ),
        Err(ReplayError::OtherVersion { found }) if u32::from(found) == version => {
            String::from_utf8_lossy(&files[CONTENT]).into_owned()
        }
        Err(error) => panic!("v{version}: {error}"),
    }
}

#[test]
fn a_recording_is_written_as_it_was_and_replayed() {
    let golden = Golden::of(env!("CARGO_MANIFEST_DIR"), "recording");
    golden.check(FORMAT_VERSION.into(), &written());
    golden.check_read(told);
}
