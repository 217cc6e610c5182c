use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::consensus::{Configuration, Timing};
use crate::disk::{FileName, SnapshotFile};
use crate::entry::{Command, Entry};
use crate::kv::{self, Key, Store, Value};
use crate::log::{Identity, LogOptions, create};
use crate::replica::{
    Action, Beginning, Event, Options, Replica, ResumeError, SnapshotEvery, Stored, Task, Token,
};
use crate::types::{Incarnation, Time};

/// A server that is alone, with a disk that answers in the next turn, and all that it records.
struct Alone {
    replica: Replica,
    recorder: Recorder,
    now: Time,
    answered: Vec<Event>,
    requests: u64,
    files: Vec<Vec<u8>>,
    snapshots: BTreeMap<FileName, Vec<u8>>,
}

fn header() -> Header {
    Header { program: "1.2.3".to_string(), node_id: NodeId::new("n1").unwrap(), began_unix_ms: 1 }
}

impl Alone {
    fn new() -> Alone {
        let id = NodeId::new("n1").unwrap();
        let identity = Identity::new(id.clone(), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let options = Options {
            configuration: Configuration::new([id]),
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        let mut alone = Alone {
            replica,
            recorder: Recorder::new(),
            now: Time::ZERO,
            answered: Vec::new(),
            requests: 0,
            files: Vec::new(),
            snapshots: BTreeMap::new(),
        };
        // A checkpoint is made after a drain.
        let actions = alone.replica.drain();
        alone.carry_out(actions);
        alone.new_file();
        alone
    }

    fn new_file(&mut self) {
        self.files.push(self.recorder.begin(&header(), &self.replica.checkpoint()).to_vec());
    }

    fn record(&mut self, event: Event) {
        self.recorder.step(self.now, &event);
        self.replica.step(self.now, event);
    }

    fn turn(&mut self) {
        // Alone, a leader waits for nothing.
        let soon = self.now + Duration::from_secs(1);
        self.now = self.now.max(self.replica.deadline().min(soon)) + Duration::from_millis(1);
        for event in core::mem::take(&mut self.answered) {
            self.record(event);
        }
        self.record(Event::Tick);
        let actions = self.replica.drain();
        let bytes = self.recorder.drained(&self.replica, actions.len()).to_vec();
        self.files.last_mut().unwrap().extend(bytes);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Disk(batch) => {
                    self.answered.extend(batch.sync.then_some(Event::Persisted(batch.seq)));
                }
                Action::Aside { seq, op } => {
                    let outcome = op.carry_out(&mut self.snapshots);
                    self.answered.push(Event::AsideDone { seq, outcome });
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, value: u64) {
        let command =
            kv::Command::Set { key: Key::new("k").unwrap(), value: Value::Json(value.to_string().into()) };
        let command = Command { session: None, data: command.encode() };
        self.requests += 1;
        let (token, deadline) = (Token(self.requests), self.now + Duration::from_secs(5));
        self.record(Event::Propose { token, deadline, command });
    }

    /// A turn with a command that is no command, and more of it than all before.
    fn record_large(&mut self, data: Vec<u8>) {
        let data = [&data[..], &data, &[0; 5000]].concat();
        let command = Command { session: None, data: data.into() };
        let (token, deadline) = (Token(9999), self.now + Duration::from_secs(5));
        self.record(Event::Propose { token, deadline, command });
        self.turn();
    }

    fn work(&mut self, sets: u64) {
        (0..3).for_each(|_| self.turn());
        for value in 0..sets {
            self.set(value);
            self.turn();
        }
    }

    fn take_snapshot(&mut self) {
        self.requests += 1;
        let (token, deadline) = (Token(self.requests), self.now + Duration::from_secs(5));
        let taken = self.replica.snapshots().taken;
        self.record(Event::Administer { token, deadline, task: Task::Snapshot });
        while self.replica.snapshots().taken == taken || !self.replica.has_checkpoint() {
            self.turn();
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let log = self.replica.consensus().log();
        log.range(log.first_index()..=log.last_index()).cloned().collect()
    }
}

fn again(bytes: &[u8], base: Option<Vec<Entry>>) -> Result<Summary, ReplayError> {
    replay(bytes, base.map(Beginning::of), "1.2.3", &mut || Box::new(Store::new()), &mut |_, _| {})
}

#[test]
fn what_was_recorded_is_done_again() {
    let mut alone = Alone::new();
    alone.work(100);
    let mut story = Vec::<String>::new();
    let mut said = |_: Time, told: Told<'_>| story.push(told.to_string());
    let summary = replay(&alone.files[0], None, "1.2.3", &mut || Box::new(Store::new()), &mut said).unwrap();
    assert_eq!(summary.applied_hash, alone.replica.applied_hash());
    assert_eq!(summary.last_applied, alone.replica.last_applied());
    assert!(summary.last_applied > LogIndex(90) && summary.compared > 90, "{summary:?}");
    assert_eq!((summary.header, summary.torn_bytes), (header(), 0));
    for expected in
        ["request 7: a command", "  request 7 is done at", "  becomes Leader", "  stands as Leader"]
    {
        assert!(story.iter().any(|line| line.starts_with(expected)), "{expected}: {story:#?}");
    }
    // Where it stands is told at first, and then where that has changed.
    let mut stands: Vec<&String> = story.iter().filter(|line| line.starts_with("  stands as")).collect();
    assert_eq!(stands.len() as u64, 1 + summary.compared);
    stands.dedup();
    assert_eq!(stands.len() as u64, 1 + summary.compared);
}

#[test]
fn every_file_can_be_the_first() {
    let mut alone = Alone::new();
    for _ in 0..4 {
        alone.work(20);
        alone.new_file();
    }
    alone.work(20);
    let hash = alone.replica.applied_hash();
    let compared = |bytes: &[u8]| again(bytes, Some(alone.entries())).unwrap().compared;
    let each: u64 = alone.files.iter().map(|file| compared(file)).sum();
    assert_eq!(compared(&alone.files.concat()), each + 4, "and the checkpoints between them");
    for first in 0..alone.files.len() {
        let files = alone.files[first..].concat();
        let from_disk = again(&files, Some(alone.entries())).unwrap();
        assert_eq!(from_disk.applied_hash, hash);
        // In a file of its own, the entries stand before all else, in pieces.
        let mut whole = Vec::new();
        alone.entries().chunks(7).for_each(|some| prologue(some, &mut whole));
        whole.extend(files);
        assert_eq!(again(&whole, None).unwrap(), from_disk);
    }
    let late = again(&alone.files[2], None).unwrap_err();
    assert!(matches!(late, ReplayError::Resume(_)), "{late}");
    let skipped = again(&[&alone.files[0][..], &alone.files[2]].concat(), None).unwrap_err();
    assert!(matches!(skipped, ReplayError::Differs { .. }), "{skipped}");
    let begin = frame::read(&alone.files[2], 0);
    let frame::Found::Frame { kind: frame::Kind::Begin, next, .. } = begin else { panic!("{begin:?}") };
    let skipped = again(&[&alone.files[0], &alone.files[2][..next]].concat(), None).unwrap_err();
    let expected = "the state is not that of the file which begins here";
    assert!(skipped.to_string().ends_with(expected), "{skipped}");
    let mut other = alone.entries();
    other[5].payload = crate::entry::Payload::Noop;
    let other = again(&alone.files[4], Some(other)).unwrap_err();
    assert!(matches!(other, ReplayError::Resume(_)), "{other}");
}

#[test]
fn a_checkpoint_needs_the_entries_up_to_its_base() {
    let mut alone = Alone::new();
    alone.work(20);
    let base = alone.replica.checkpoint().base();
    alone.new_file();
    alone.work(5);
    let resumed = |last: LogIndex| {
        let entries = alone.entries().into_iter().filter(|entry| entry.index <= last).collect();
        again(&alone.files[1], Some(entries))
    };
    assert_eq!(resumed(base).unwrap().applied_hash, alone.replica.applied_hash());
    let have = LogIndex(base.0 - 1);
    let missing = ReplayError::Resume(ResumeError::LogMissing { needed: base, have });
    assert_eq!(resumed(have).unwrap_err(), missing);
}

#[test]
fn where_the_log_goes_on_from_a_snapshot_so_does_a_replay() {
    let mut alone = Alone::new();
    for _ in 0..3 {
        alone.work(20);
        // The log does not say yet that it is there, and then it does.
        alone.take_snapshot();
        alone.new_file();
        alone.work(5);
        alone.new_file();
    }
    let base = alone.replica.consensus().log().base();
    assert!(base.index > LogIndex(40), "the log begins after {}", base.index);
    let snapshot = &alone.snapshots[&SnapshotFile::Whole(base.index).file_name()];
    let mut start = Vec::new();
    snapshot.chunks(100).for_each(|part| prologue_snapshot(base, part, &mut start));
    prologue(&alone.entries(), &mut start);
    let from = |first: usize| again(&[&start[..], &alone.files[first..].concat()].concat(), None);
    // Of the files that began earlier, nothing is done again.
    let whole = from(0).unwrap();
    assert_eq!((whole.applied_hash, whole.passed_over), (alone.replica.applied_hash(), 4));
    assert_eq!(from(4).unwrap(), Summary { passed_over: 0, ..whole.clone() });
    assert!(from(5).unwrap().turns < whole.turns);
    for (early, made) in [(0, 0), (3, 22)] {
        let error = again(&[&start[..], &alone.files[early]].concat(), None).unwrap_err();
        let too_old = ResumeError::TooOld { made: LogIndex(made), begins: base.index };
        assert_eq!(error, ReplayError::Resume(too_old));
    }
}

#[test]
fn an_end_may_be_torn_and_nothing_else() {
    let mut alone = Alone::new();
    let first = alone.files[0].len();
    alone.work(5);
    let whole = alone.files[0].clone();
    alone.turn();
    let bytes = &alone.files[0];
    for end in whole.len()..bytes.len() {
        let summary = again(&bytes[..end], None).unwrap();
        assert_eq!(summary.torn_bytes, (end - whole.len()) as u64);
    }
    // A file may be longer before its bytes are there.
    for place in whole.len()..bytes.len() {
        let mut torn = bytes.clone();
        torn[place] ^= 4;
        let summary = again(&torn, None).unwrap();
        assert_eq!(summary.torn_bytes, (bytes.len() - whole.len()) as u64, "{place}");
    }
    for place in 0..whole.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 4;
        match again(&damaged, None).unwrap_err() {
            ReplayError::NotARecording => assert!(place < first, "{place} is not in the first frame"),
            ReplayError::Damaged { offset, .. } => {
                assert!((first as u64..=place as u64).contains(&offset), "{offset} {place}");
            }
            other => panic!("{place}: {other}"),
        }
    }
    for nothing in [&b""[..], b"{}", &[0; 100]] {
        assert_eq!(again(nothing, None).unwrap_err(), ReplayError::NotARecording);
    }
    let turns = again(&bytes[first..], None).unwrap_err();
    let why = "a turn stands before the first checkpoint";
    assert_eq!(turns, ReplayError::Damaged { offset: 0, why });
}

#[test]
fn a_turn_that_was_broken_off_is_there() {
    let mut alone = Alone::new();
    alone.work(3);
    assert!(alone.recorder.broken_off().is_empty());
    alone.set(9);
    let bytes = alone.recorder.broken_off().to_vec();
    alone.files[0].extend(bytes);
    let mut last = Vec::<String>::new();
    let mut said = |_: Time, told: Told<'_>| last.push(told.to_string());
    let result = replay(&alone.files[0], None, "1.2.3", &mut || Box::new(Store::new()), &mut said);
    // Here it was not the replica that broke down.
    assert!(matches!(result, Err(ReplayError::Differs { turn: 7, .. })), "{result:?}");
    let end = last[last.len() - 2..].concat();
    assert!(end.starts_with("in what comes now, the replica broke downrequest 4: a command"), "{end}");
}

#[test]
fn another_version_is_refused_at_once() {
    let mut alone = Alone::new();
    alone.work(3);
    let other =
        replay(&alone.files[0], None, "1.2.4", &mut || Box::new(Store::new()), &mut |_, _| {}).unwrap_err();
    let (found, ours) = ("1.2.3".to_string(), "1.2.4".to_string());
    assert_eq!(other, ReplayError::OtherProgram { found, ours });
    let mut newer = Vec::new();
    frame::begin(&mut newer);
    frame::end(&mut newer, 0, frame::Kind::Begin);
    newer[4] = FORMAT_VERSION + 1;
    let check = (crate::hash::of_bytes(&newer[..10]) as u16).to_le_bytes();
    newer[10..12].copy_from_slice(&check);
    assert_eq!(again(&newer, None).unwrap_err(), ReplayError::OtherVersion { found: FORMAT_VERSION + 1 });
}

#[test]
fn a_value_may_hold_a_recording() {
    let mut alone = Alone::new();
    alone.work(3);
    let recording = alone.files[0].clone();
    alone.record_large(recording);
    let whole = alone.files[0].clone();
    alone.turn();
    assert!(again(&whole, None).is_ok());
    let inside = whole.len() - 5000;
    let torn = again(&whole[..inside], None).unwrap();
    assert!(torn.torn_bytes > 0, "{torn:?}");
}

#[test]
fn a_replica_that_does_something_else_is_noticed() {
    let mut alone = Alone::new();
    alone.work(10);
    // An event that the replica never saw.
    let (now, token) = (alone.now, Token(1000));
    alone.recorder.step(now, &Event::Stop { deadline: now });
    alone.recorder.step(now, &Event::Called { token, from: NodeId::new("x").unwrap(), call: vote() });
    alone.turn();
    let differs = again(&alone.files[0], None).unwrap_err();
    assert!(matches!(&differs, ReplayError::Differs { turn: 14, .. }), "{differs}");
    // One that did as much, and came to stand elsewhere.
    let (mut alone, mut other) = (Alone::new(), Alone::new());
    alone.work(10);
    other.work(12);
    let bytes = alone.recorder.drained(&other.replica, alone.replica.drain().len()).to_vec();
    alone.files[0].extend(bytes);
    let differs = again(&alone.files[0], None).unwrap_err();
    let ReplayError::Differs { turn: 14, what, .. } = differs else { panic!("{differs}") };
    assert!(what.starts_with("the replica stands as Leader in term 1, committed 1"), "{what}");
}

fn vote() -> crate::replica::Call {
    crate::replica::Call::RequestVote(crate::message::RequestVote {
        term: Term(1),
        last_log_index: LogIndex(0),
        last_log_term: Term(0),
        pre_vote: true,
        transfer: false,
    })
}

#[test]
fn a_checkpoint_is_small_however_long_the_log() {
    let mut alone = Alone::new();
    alone.work(10);
    alone.new_file();
    alone.work(500);
    alone.new_file();
    let (early, late) = (alone.files[1].len(), alone.files[2].len());
    assert!(late < 1000, "{early} bytes at first, {late} in the end");
}
