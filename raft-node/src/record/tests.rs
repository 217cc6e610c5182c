use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use raft_core::consensus::{Configuration, Timing};
use raft_core::entry::{Command, Entry};
use raft_core::kv::{self, Key, Store, Value};
use raft_core::log::{Identity, LogOptions, create};
use raft_core::record::{Summary, replay};
use raft_core::replica::{Action, Beginning, Event, Options, Replica, SnapshotEvery, Stored, Token};
use raft_core::types::{Incarnation, LogIndex, NodeId, Time};

use super::Tape;
use super::buffer::{Batch, Buffer, Part, Start};
use super::ring::{PIECES, Piece, Ring, Which, read_pieces};
use super::writer::Keeper;

fn start(base: u64) -> Start {
    Start { base: LogIndex(base), after_gap: false }
}

fn part(start: Option<Start>, bytes: &[u8]) -> Part<'_> {
    Part { start, bytes }
}

fn content(piece: Piece) -> (u64, Vec<u8>) {
    let Piece { base, mut content } = piece;
    let mut bytes = Vec::new();
    while let Some(some) = content.next(3).unwrap() {
        bytes.extend(some);
    }
    (base.0, bytes)
}

fn contents(ring: &Ring) -> Vec<(u64, Vec<u8>)> {
    ring.pieces().unwrap().into_iter().map(content).collect()
}

fn on_disk(directory: &Path, which: Which) -> String {
    String::from_utf8(read_pieces(directory, which).unwrap()).unwrap()
}

#[test]
fn a_batch_knows_where_pieces_start() {
    let buffer = Buffer::new();
    let mut batch = Batch::default();
    assert!(batch.parts().next().is_none());
    assert!(buffer.append(b"end of one"));
    buffer.start(start(7), b"begin");
    assert!(buffer.append(b" and go on"));
    buffer.start(start(9), b"another");
    buffer.take(&mut batch);
    let parts: Vec<Part<'_>> = batch.parts().collect();
    let expected = [
        part(None, b"end of one"),
        part(Some(start(7)), b"begin and go on"),
        part(Some(start(9)), b"another"),
    ];
    assert_eq!(parts, expected);
    batch.clear();
    buffer.take(&mut batch);
    assert!(batch.is_empty());
}

#[test]
fn what_waits_is_bounded_and_a_gap_waits_for_room() {
    let buffer = Buffer::new();
    let turn = vec![0; 1 << 20];
    let taken = (0..100).take_while(|_| buffer.append(&turn)).count();
    assert_eq!(taken, 8);
    assert!(!buffer.has_room());
    buffer.take(&mut Batch::default());
    assert!(buffer.has_room() && buffer.append(&turn));
}

#[test]
fn both_rings_keep_the_last_pieces() {
    let directory = tempfile::tempdir().unwrap();
    for mut ring in [Ring::in_memory(), Ring::in_directory(directory.path()).unwrap()] {
        assert!(contents(&ring).is_empty());
        for number in 0..10 {
            ring.add(&part(Some(start(number)), b"piece ")).unwrap();
            ring.add(&part(None, number.to_string().as_bytes())).unwrap();
        }
        let kept: Vec<(u64, Vec<u8>)> =
            (10 - PIECES as u64..10).map(|number| (number, format!("piece {number}").into_bytes())).collect();
        assert_eq!(contents(&ring), kept);
        // From a piece before a gap no replay gets any further.
        ring.add(&part(Some(Start { base: LogIndex(20), after_gap: true }), b"new")).unwrap();
        assert_eq!(contents(&ring), [(20, b"new".to_vec())]);
    }
    assert_eq!(on_disk(directory.path(), Which::Current), "new");
}

#[test]
fn a_reader_has_what_was_there_when_it_came() {
    let directory = tempfile::tempdir().unwrap();
    for mut ring in [Ring::in_memory(), Ring::in_directory(directory.path()).unwrap()] {
        ring.add(&part(Some(start(1)), b"early")).unwrap();
        let pieces = ring.pieces().unwrap();
        ring.add(&part(None, b" late")).unwrap();
        for number in 2..10 {
            ring.add(&part(Some(start(number)), b"later")).unwrap();
        }
        let read: Vec<(u64, Vec<u8>)> = pieces.into_iter().map(content).collect();
        assert_eq!(read, [(1, b"early".to_vec())]);
    }
}

#[test]
fn the_recording_of_the_process_before_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    for (process, before) in [("first", ""), ("second", "first"), ("third", "second")] {
        let mut ring = Ring::in_directory(directory.path()).unwrap();
        assert_eq!(on_disk(directory.path(), Which::Current), "");
        ring.add(&part(Some(start(0)), process.as_bytes())).unwrap();
        assert_eq!(on_disk(directory.path(), Which::Current), process);
        assert_eq!(on_disk(directory.path(), Which::Previous), before);
    }
}

#[test]
fn pieces_before_a_gap_that_a_crash_left_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let current = directory.path().join("recording/current");
    fs::create_dir_all(&current).unwrap();
    for (name, text) in [
        ("piece-00000000000000000003", "before"),
        ("piece-00000000000000000004-after-gap", "after "),
        ("piece-00000000000000000005", "and on"),
        ("other", "no piece"),
    ] {
        fs::write(current.join(name), text).unwrap();
    }
    assert_eq!(on_disk(directory.path(), Which::Current), "after and on");
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_thread_writes_by_itself_and_to_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let (keeper, writer) = Keeper::start(Ring::in_directory(directory.path()).unwrap()).unwrap();
    keeper.buffer.start(start(0), b"a");
    keeper.buffer.nudge();
    until("the beginning is written", || on_disk(directory.path(), Which::Current) == "a");
    assert!(keeper.buffer.append(b"b"));
    keeper.buffer.nudge();
    until("it goes on", || on_disk(directory.path(), Which::Current) == "ab");
    // Without a nudge, as in the middle of a turn: who reads has it all the same.
    assert!(keeper.buffer.append(b"c"));
    let read: Vec<(u64, Vec<u8>)> = keeper.pieces().unwrap().into_iter().map(content).collect();
    assert_eq!(read, [(0, b"abc".to_vec())]);
    assert!(keeper.buffer.append(b"d"));
    drop(writer);
    assert_eq!(on_disk(directory.path(), Which::Current), "abcd");
}

#[test]
fn a_write_that_fails_ends_the_recording_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (keeper, writer) = Keeper::start(Ring::in_directory(directory.path()).unwrap()).unwrap();
    fs::remove_dir_all(directory.path().join("recording")).unwrap();
    keeper.buffer.start(start(0), b"a");
    keeper.buffer.nudge();
    until("it is turned off", || !keeper.buffer.is_on());
    assert!(keeper.pieces().unwrap().is_empty());
    drop(writer);
}

/// A replica that is alone, on a disk that answers in the next turn, with the tape that records it.
struct Recorded {
    replica: Replica,
    tape: Tape,
    now: Time,
    answers: Vec<Event>,
    requests: u64,
}

impl Recorded {
    fn new(tape: Tape) -> Recorded {
        let id = NodeId::new("n1").unwrap();
        let identity = Identity::new(id.clone(), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let options = Options {
            configuration: Configuration::new([id]),
            timing: Timing::default(),
            seed: 1,
            now: Time::ZERO,
            snapshot_every: SnapshotEvery::default(),
        };
        let replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        let mut recorded = Recorded { replica, tape, now: Time::ZERO, answers: Vec::new(), requests: 0 };
        recorded.drain();
        (0..5).for_each(|_| recorded.turn(None));
        recorded
    }

    fn step(&mut self, event: Event) {
        self.tape.step(self.now, &event);
        self.replica.step(self.now, event);
    }

    fn drain(&mut self) {
        let actions = self.replica.drain();
        self.tape.drained(&self.replica, actions.len());
        for action in actions {
            if let Action::Disk(batch) = action {
                self.answers.push(Event::Persisted(batch.seq));
            }
        }
        self.tape.nudge();
    }

    fn turn(&mut self, value_bytes: Option<usize>) {
        self.now = self.now + Duration::from_millis(200);
        for answer in std::mem::take(&mut self.answers) {
            self.step(answer);
        }
        self.step(Event::Tick);
        if let Some(bytes) = value_bytes {
            let value = Value::Bytes(vec![7; bytes].into());
            let data = kv::Command::Set { key: Key::new("k").unwrap(), value }.encode();
            self.requests += 1;
            let (token, deadline) = (Token(self.requests), self.now + Duration::from_secs(5));
            self.step(Event::Propose { token, deadline, command: Command { session: None, data } });
        }
        self.drain();
    }

    fn entries(&self) -> Vec<Entry> {
        let log = self.replica.consensus().log();
        log.range(LogIndex(1)..=log.last_index()).cloned().collect()
    }

    /// Replays these pieces, which must come to where the replica is.
    fn again(&self, pieces: Vec<(u64, Vec<u8>)>) -> Summary {
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|(_, bytes)| bytes).collect();
        let (program, beginning) = (env!("CARGO_PKG_VERSION"), Beginning::of(self.entries()));
        let summary =
            replay(&bytes, Some(beginning), program, &mut || Box::new(Store::new()), &mut |_, _| {}).unwrap();
        assert_eq!(summary.applied_hash, self.replica.applied_hash());
        assert_eq!((summary.last_applied, summary.torn_bytes), (self.replica.last_applied(), 0));
        summary
    }
}

fn read(keeper: &Keeper) -> Vec<(u64, Vec<u8>)> {
    keeper.pieces().unwrap().into_iter().map(content).collect()
}

#[test]
fn a_disk_that_hangs_makes_a_gap_and_the_recording_goes_on_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let (keeper, writer) = Keeper::start(Ring::in_directory(directory.path()).unwrap()).unwrap();
    let tape = Tape::new(NodeId::new("n1").unwrap(), 1 << 30, keeper.clone(), writer);
    let mut recorded = Recorded::new(tape);
    recorded.turn(Some(1000));
    assert_eq!(recorded.again(read(&keeper)).from, Time::ZERO);

    // Who holds the ring keeps the thread from writing; the driver goes on.
    let hung = keeper.ring.lock();
    for _ in 0..20 {
        recorded.turn(Some(1 << 20));
    }
    drop(hung);
    until("there is room again", || keeper.buffer.has_room());
    // Events between the two ends of the gap are not there, and what came of them is.
    recorded.turn(None);
    recorded.turn(Some(10));
    recorded.turn(None);
    let pieces = read(&keeper);
    assert_eq!(pieces.len(), 1, "what is before the gap is of no use any more");
    let summary = recorded.again(pieces);
    assert!(summary.from > Time::from_micros(5_000_000) && summary.turns == 2, "{summary:?}");
    let on_disk = read_pieces(directory.path(), Which::Current).unwrap();
    assert_eq!(on_disk, read(&keeper).remove(0).1);
}

#[test]
fn a_piece_that_is_full_is_followed_by_another() {
    let (keeper, writer) = Keeper::start(Ring::in_memory()).unwrap();
    let tape = Tape::new(NodeId::new("n1").unwrap(), 10_000, keeper.clone(), writer);
    let mut recorded = Recorded::new(tape);
    for turn in 1..40 {
        recorded.turn(Some(1000));
        let pieces = read(&keeper);
        assert_eq!(pieces.len(), PIECES.min(1 + turn * 1000 / 10_000), "after {turn} turns");
        assert!(pieces.iter().all(|(_, bytes)| bytes.len() < 14_000));
        // Each piece can be the first.
        for first in 0..pieces.len() {
            recorded.again(pieces[first..].to_vec());
        }
    }
}
