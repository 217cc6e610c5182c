//! The flight recorder of `raft_core::record` on one server at a time: from a moment on, until that process
//! ends, all that goes into its replica is recorded; then it is done again, and has to do the same and come
//! to the same state, to the last byte.

use bytes::Bytes;
use raft_core::disk::SnapshotFile;
use raft_core::kv::Store;
use raft_core::record::{Header, Recorder, Told, replay};
use raft_core::replica::{Action, Beginning, Event, Replica};
use raft_core::types::{NodeId, Time};

use super::World;
use super::node::Node;

/// A process is recorded from one turn in so many on, in worlds that record at all.
const RARITY: u64 = 400;

/// A new file begins at one turn in so many.
const FILE_RARITY: u64 = 50;

const PROGRAM: &str = "the simulator's";

/// A recording under way.
pub(crate) struct Tape {
    recorder: Recorder,
    bytes: Vec<u8>,
    /// The log before the first file.
    base: Beginning,
    /// What the replica wanted done.
    actions: Vec<Action>,
}

impl Tape {
    pub(crate) fn step(&mut self, now: Time, event: &Event) {
        self.recorder.step(now, event);
    }

    fn begin(&mut self, node: &Node) {
        let replica = node.replica.as_ref().expect("it is up");
        let header = header(&node.id);
        self.bytes.extend_from_slice(self.recorder.begin(&header, &replica.checkpoint()));
    }
}

fn header(node_id: &NodeId) -> Header {
    Header { program: PROGRAM.to_owned(), node_id: node_id.clone(), began_unix_ms: 0 }
}

impl World {
    /// A server's turn is over, and gave these actions. The recording goes on, or begins.
    pub(super) fn record_turn(&mut self, at: usize, actions: &[Action]) {
        if !self.is_recorded {
            return;
        }
        let Some(mut tape) = self.nodes[at].tape.take() else {
            // What damaged memory does, no replay repeats.
            let is_whole = !self.nodes[at].memory.is_damaged();
            let is_whole = is_whole && self.nodes[at].replica.as_ref().is_some_and(Replica::has_checkpoint);
            if is_whole && self.recording_dice.one_in(RARITY) {
                self.begin_recording(at);
            }
            return;
        };
        let replica = self.nodes[at].replica.as_ref().expect("it is up");
        tape.bytes.extend_from_slice(tape.recorder.drained(replica, actions.len()));
        tape.actions.extend_from_slice(actions);
        if self.recording_dice.one_in(FILE_RARITY) && replica.has_checkpoint() {
            tape.begin(&self.nodes[at]);
        }
        self.nodes[at].tape = Some(tape);
    }

    fn begin_recording(&mut self, at: usize) {
        let log = self.nodes[at].replica.as_ref().expect("it is up").consensus().log();
        let entries = log.range(log.first_index()..=log.last_index()).cloned().collect();
        let snapshot = self.snapshot_at(at);
        let base = Beginning { base: log.base(), entries, snapshot };
        let mut tape = Tape { recorder: Recorder::new(), bytes: Vec::new(), base, actions: Vec::new() };
        tape.begin(&self.nodes[at]);
        self.now_tell(|| format!("n{} is recorded from here on", at + 1));
        self.nodes[at].tape = Some(tape);
    }

    /// The file of the oldest snapshot that a process keeps.
    fn snapshot_at(&self, at: usize) -> Option<Bytes> {
        let oldest = self.nodes[at].replica.as_ref().expect("it is up").consensus().oldest_snapshot()?;
        let name = SnapshotFile::Whole(oldest.index).file_name();
        Some(self.nodes[at].disk.seen().remove(&name).expect("a snapshot that is kept is there").into())
    }

    /// A process ends: what was recorded of it is done again.
    pub(super) fn end_recording(&mut self, at: usize) {
        let Some(mut tape) = self.nodes[at].tape.take() else { return };
        // What it begins with must be what the replay has come to.
        if self.nodes[at].replica.as_ref().is_some_and(Replica::has_checkpoint) {
            tape.begin(&self.nodes[at]);
        }
        let machine = Box::new(Store::new());
        let mut actions = tape.actions.iter();
        let mut compare = |_: Time, told: Told<'_>| {
            if let Told::Action(again) = told {
                let action = actions.next();
                assert_eq!(action, Some(again), "Replay: n{} does something else", at + 1);
            }
        };
        let result = replay(&tape.bytes, Some(tape.base), PROGRAM, machine, &mut compare);
        let summary = result.unwrap_or_else(|error| panic!("Replay: of n{}, {error}", at + 1));
        assert_eq!(summary.torn_bytes, 0, "Replay: what was recorded is whole");
        self.counts.replayed += summary.events;
    }
}
