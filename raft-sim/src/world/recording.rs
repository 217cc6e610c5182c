//! The flight recorder of `raft_core::record` on one server at a time: from a moment on, until that process
//! ends, all that goes into its replica is recorded; then it is done again, and has to do the same and come
//! to the same state, to the last byte.

use bytes::Bytes;
use raft_core::disk::SnapshotFile;
use raft_core::kv::Store;
use raft_core::record::{Header, Recorder, ReplayError, Told, replay};
use raft_core::replica::{Action, Beginning, Event, Replica, ResumeError};
use raft_core::state_machine::StateMachine;
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
    /// How many of these come before each file.
    files: Vec<usize>,
}

impl Tape {
    pub(crate) fn step(&mut self, now: Time, event: &Event) {
        self.recorder.step(now, event);
    }

    fn begin(&mut self, node: &Node) {
        let checkpoint = node.replica.as_ref().expect("it is up").checkpoint();
        self.bytes.extend_from_slice(self.recorder.begin(&header(&node.id), &checkpoint));
        self.files.push(self.actions.len());
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
        let (base, recorder) = (self.beginning_at(at), Recorder::new());
        let mut tape = Tape { recorder, bytes: Vec::new(), base, actions: Vec::new(), files: Vec::new() };
        tape.begin(&self.nodes[at]);
        self.now_tell(|| format!("n{} is recorded from here on", at + 1));
        self.nodes[at].tape = Some(tape);
    }

    /// What a process has of its log, and the state that this goes on from.
    fn beginning_at(&self, at: usize) -> Beginning {
        let log = self.nodes[at].replica.as_ref().expect("it is up").consensus().log();
        let entries = log.range(log.first_index()..=log.last_index()).cloned().collect();
        Beginning { base: log.base(), entries, snapshot: self.snapshot_at(at) }
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
        // Who reads it later finds the log as it is by then.
        let is_late = self.recording_dice.one_in(2);
        let base = if is_late { self.beginning_at(at) } else { tape.base };
        let mut machine = || -> Box<dyn StateMachine> { Box::new(Store::new()) };
        let mut again = Vec::new();
        let mut listen = |_: Time, told: Told<'_>| {
            if let Told::Action(action) = told {
                again.push(action.clone());
            }
        };
        let summary = match replay(&tape.bytes, Some(base), PROGRAM, &mut machine, &mut listen) {
            Ok(summary) => summary,
            // Nothing that was recorded is of any use with a log that begins so late.
            Err(ReplayError::Resume(ResumeError::TooOld { .. })) if is_late => return,
            Err(error) => panic!("Replay: of n{}, {error}", at + 1),
        };
        assert!(is_late || summary.passed_over == 0, "Replay: n{}'s log is as it was", at + 1);
        let recorded = &tape.actions[tape.files[summary.passed_over]..];
        let other = recorded.iter().zip(&again).find(|(then, now)| then != now);
        assert_eq!(other, None, "Replay: n{} does something else", at + 1);
        assert_eq!(recorded.len(), again.len(), "Replay: n{} does as much", at + 1);
        assert_eq!(summary.torn_bytes, 0, "Replay: what was recorded is whole");
        self.counts.replayed += summary.events;
    }
}
