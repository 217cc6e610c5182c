//! Snapshots of a server that is alone: taken, given up, and what a restart makes of them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Marks, SnapshotEvery};
use crate::consensus::{Configuration, Timing};
use crate::disk::{AsideError, AsideOp};
use crate::disk::{AsideErrorKind, AsideSeq, DiskOp, FileName, SnapshotFile};
use crate::entry::{ClientId, Command, Entry, Payload, Sequence, SessionStep};
use crate::hash;
use crate::kv::{self, Query, QueryAnswer, Store};
use crate::log::{Identity, LogOptions, Recovery, create, recover};
use crate::replica::{
    Action, Administered, Event, Notice, Options, Outcome, Replica, Reply, Role, Stored, Task, TaskRefused,
    Token,
};
use crate::snapshot::Reader;
use crate::state_machine::{Committed, StateMachine};
use crate::types::{Incarnation, LogIndex, NodeId, Term, Time};

mod written;

const LOG: LogOptions = LogOptions { segment_size: 4096 };

const EVERY: SnapshotEvery = SnapshotEvery { bytes: 10_000, entries: 1000 };

/// A server with its disk.
struct Server {
    files: BTreeMap<FileName, Vec<u8>>,
    replica: Replica,
    now: Time,
    /// What is to be done aside, and is not while the disk is held up.
    aside: VecDeque<(AsideSeq, AsideOp)>,
    is_held_up: bool,
    /// What the next operations aside come to, but for those that succeed.
    failures: VecDeque<Option<AsideErrorKind>>,
    notices: Vec<Notice>,
    replies: Vec<Reply>,
    /// Snapshots that were asked for.
    asked: u64,
}

fn name() -> NodeId {
    NodeId::new("n1").unwrap()
}

fn carry_out(op: DiskOp, files: &mut BTreeMap<FileName, Vec<u8>>) {
    match op {
        DiskOp::Prepare { file, size, head } => {
            let mut content = head.to_vec();
            content.resize(usize::try_from(size).unwrap(), 0);
            files.insert(file, content);
        }
        DiskOp::Write { file, offset, data } => {
            let offset = usize::try_from(offset).unwrap();
            files.get_mut(&file).unwrap()[offset..offset + data.len()].copy_from_slice(&data);
        }
        DiskOp::Replace { file, content } => drop(files.insert(file, content.to_vec())),
        DiskOp::Remove { file } => drop(files.remove(&file)),
    }
}

impl Server {
    fn new(every: SnapshotEvery) -> Server {
        Server::fresh(every, Box::new(Store::new()))
    }

    /// One whose state machine takes no snapshots.
    fn mute() -> Server {
        Server::fresh(EVERY, Box::new(Mute))
    }

    fn fresh(every: SnapshotEvery, machine: Box<dyn StateMachine>) -> Server {
        let identity = Identity::new(name(), Incarnation(1));
        let (writer, ops) = create(&identity, LOG);
        let mut files = BTreeMap::new();
        ops.into_iter().for_each(|op| carry_out(op, &mut files));
        Server::start(files, Stored::fresh(identity, writer), every, machine)
    }

    fn start(
        files: BTreeMap<FileName, Vec<u8>>,
        stored: Stored,
        snapshot_every: SnapshotEvery,
        machine: Box<dyn StateMachine>,
    ) -> Server {
        let options = Options {
            configuration: Configuration::new([name()]),
            timing: Timing::default(),
            seed: 1,
            snapshot_every,
            now: Time::ZERO,
        };
        let mut server = Server {
            files,
            replica: Replica::new(stored, machine, options),
            now: Time::ZERO,
            aside: VecDeque::new(),
            is_held_up: false,
            failures: VecDeque::new(),
            notices: vec![],
            replies: vec![],
            asked: 0,
        };
        // It stands once its state is back, and leads, being alone.
        while server.replica.consensus().role() != Role::Leader {
            server.now = server.now + Duration::from_millis(100);
            assert!(server.now < Time::ZERO + Duration::from_secs(9), "it does not lead");
            server.happens(Event::Tick);
        }
        server
    }

    /// The process is killed, and started again.
    fn restart(self) -> Server {
        let recovery = recover(&self.files, &name(), LOG).unwrap();
        let Recovery::Found(found) = recovery else { panic!("an empty directory") };
        let mut files = self.files;
        found.repairs.iter().cloned().for_each(|op| carry_out(op, &mut files));
        Server::start(files, (*found).into(), EVERY, Box::new(Store::new()))
    }

    /// Lets something happen, and goes on until nothing is left to do but to wait.
    fn happens(&mut self, event: Event) {
        self.replica.step(self.now, event);
        loop {
            let mut events = vec![];
            for action in self.replica.drain() {
                match action {
                    Action::Disk(batch) => {
                        batch.ops.into_iter().for_each(|op| carry_out(op, &mut self.files));
                        events.extend(batch.sync.then_some(Event::Persisted(batch.seq)));
                    }
                    Action::Aside { seq, op } => self.aside.push_back((seq, op)),
                    Action::Notice(notice) => self.notices.push(notice),
                    Action::Answer { reply, .. } => self.replies.push(reply),
                    _ => {}
                }
            }
            if !self.is_held_up {
                while let Some((seq, op)) = self.aside.pop_front() {
                    events.push(self.aside_done(seq, &op));
                }
            }
            if events.is_empty() && self.replica.deadline() > self.now {
                return;
            }
            events.push(Event::Tick);
            events.into_iter().for_each(|event| self.replica.step(self.now, event));
        }
    }

    fn aside_done(&mut self, seq: AsideSeq, op: &AsideOp) -> Event {
        let outcome = match self.failures.pop_front().flatten() {
            Some(kind) => Err(AsideError { kind, reason: "as the test wants".to_string() }),
            None => op.carry_out(&mut self.files),
        };
        Event::AsideDone { seq, outcome }
    }

    fn propose(&mut self, session: Option<Box<SessionStep>>, command: &kv::Command) {
        let (token, deadline) = (Token(1), self.now + Duration::from_secs(9));
        let command = Command { session, data: command.encode() };
        self.happens(Event::Propose { token, deadline, command });
    }

    /// Writes so many values of 100 bytes, to a few hundred keys.
    fn write(&mut self, values: u64) {
        for n in 0..values {
            let key = kv::Key::new(&format!("{}", n * 7 % 300)).unwrap();
            let value = kv::Value::Bytes(Bytes::from(vec![n as u8; 100]));
            self.propose(None, &kv::Command::Set { key, value });
        }
    }

    /// Stands for all that the store has.
    fn content(&self) -> (u64, u64) {
        let list = Query::List { prefix: String::new(), after: None, limit: u32::MAX, values: true };
        let answer = self.replica.query_machine(&list.encode());
        let QueryAnswer::Page(page) = QueryAnswer::decode(&answer) else { panic!("not a page") };
        (page.keys, hash::of_bytes(&answer))
    }

    fn first_index(&self) -> u64 {
        self.replica.consensus().log().first_index().0
    }

    fn taken(&self) -> Vec<u64> {
        let taken = self.notices.iter().filter_map(|notice| match notice {
            Notice::SnapshotTaken { index, .. } => Some(index.0),
            _ => None,
        });
        taken.collect()
    }

    fn snapshot_files(&self) -> Vec<FileName> {
        self.files.keys().filter(|name| name.starts_with("snapshot-")).cloned().collect()
    }

    /// What must be the same after a restart.
    fn state(&self) -> (u64, String, (u64, u64)) {
        let (applied, hash) = (self.replica.last_applied(), self.replica.applied_hash());
        (applied.0, hash.to_string(), self.content())
    }
}

/// The log of a server that takes snapshots does not grow for ever, and it comes back from what is left.
#[test]
fn the_log_begins_after_a_snapshot_and_the_state_comes_back_from_it() {
    let mut server = Server::new(EVERY);
    server.write(1000);
    let taken = server.taken();
    assert!(taken.len() > 4, "{taken:?}");
    let progress = server.replica.snapshots();
    assert_eq!((progress.index.0, progress.taken), (*taken.last().unwrap(), taken.len() as u64));
    assert_eq!((progress.taking, progress.problem), (None, None));
    let kept = &taken[taken.len() - 2..];
    assert_eq!(server.first_index(), kept[0] + 1);
    let (told_at, _) = server.replica.consensus().configuration_at(LogIndex::ZERO);
    assert_eq!(told_at, LogIndex(1), "nothing is kept of what was before that");
    let names = kept.iter().map(|index| SnapshotFile::Whole(LogIndex(*index)).file_name());
    assert_eq!(server.snapshot_files(), names.collect::<Vec<_>>());
    assert_eq!(server.files.get(&server.snapshot_files()[1]).unwrap().len() as u64, progress.bytes);
    let segments = server.files.keys().filter(|name| name.starts_with("log-")).count();
    assert!(segments * 4096 < 8 * 10_000, "{segments} segments");

    let (applied, _, content) = server.state();
    let mut again = server.restart();
    assert_eq!(again.content(), content);
    assert_eq!(again.replica.last_applied().0, applied + 1, "a new term has its first entry");
    again.write(200);
    let state = again.state();
    assert_eq!(again.restart().content(), state.2);
}

/// The state hash goes on where the snapshot was taken: a server that started from one and one that applied
/// the whole log agree.
#[test]
fn the_state_hash_goes_on_from_a_snapshot() {
    let mut server = Server::new(EVERY);
    server.write(300);
    let disk = server.files.clone();
    let snapshot = server.snapshot_files().pop().unwrap();
    let mut reader = Reader::new(snapshot.clone());
    reader.feed(Bytes::from(disk[&snapshot].clone()));
    let header = reader.finish().unwrap();
    let ours = server.replica.snapshots().index;
    assert_eq!((header.index, header.configuration_index), (ours, LogIndex(1)));
    let mut plain = Server::new(SnapshotEvery { bytes: u64::MAX, entries: u64::MAX });
    let mut marks = server.taken();
    for n in 0..300 {
        if marks.first() == Some(&(plain.replica.last_applied().0 + 1)) {
            marks.remove(0);
            plain.replica.consensus.append_own(Payload::Snapshot);
            plain.happens(Event::Tick);
        }
        let key = kv::Key::new(&format!("{}", n * 7 % 300)).unwrap();
        let value = kv::Value::Bytes(Bytes::from(vec![n as u8; 100]));
        plain.propose(None, &kv::Command::Set { key, value });
    }
    assert_eq!(plain.state(), server.state());
    let restarted = server.restart();
    assert_eq!(restarted.content(), plain.content());
}

#[test]
fn sessions_outlive_the_log() {
    let mut server = Server::new(EVERY);
    let client = ClientId::new(b"order 17").unwrap();
    let step = Some(Box::new(SessionStep { client, sequence: Sequence::Only }));
    let delete = kv::Command::Delete { key: kv::Key::new("gone").unwrap() };
    server.propose(step.clone(), &delete);
    let Some(Reply::Done(first)) = server.replies.last().cloned() else { panic!("no answer") };
    server.write(1000);
    assert!(server.first_index() > first.index.0);
    let mut again = server.restart();
    again.propose(step, &delete);
    let Some(Reply::Done(Outcome { index, result })) = again.replies.last() else { panic!("no answer") };
    assert_eq!((index, result), (&first.index, &first.result), "executed once");
}

/// Writes are applied and answered while nothing of the snapshot gets to the disk; what is told is the state
/// at the mark.
#[test]
fn writes_go_on_while_a_snapshot_is_taken() {
    let mut server = Server::new(EVERY);
    server.is_held_up = true;
    server.write(400);
    assert_eq!(server.replies.len(), 400);
    let at = server.replica.snapshots().taking.expect("one is being taken");
    assert!(server.taken().is_empty(), "and no other is begun");
    let marks = |server: &Server| {
        let log = server.replica.consensus().log();
        log.range(LogIndex(1)..=log.last_index()).filter(|entry| entry.payload == Payload::Snapshot).count()
    };
    assert_eq!(marks(&server), 1);
    assert_eq!(server.replica.snapshots().missed, LogIndex::ZERO);
    server.is_held_up = false;
    server.happens(Event::Tick);
    assert_eq!(server.taken()[0], at.0);
    let state = server.state();
    assert_eq!(server.restart().content(), state.2);
}

/// Whatever fails first: the file goes, the log stays, and the next mark's snapshot is taken.
#[test]
fn a_snapshot_that_cannot_be_written_is_given_up() {
    for failing in 0..3 {
        let mut server = Server::new(EVERY);
        server.failures = vec![None; failing].into_iter().chain([Some(AsideErrorKind::NoRoom)]).collect();
        while server.replica.snapshots().problem.is_none() {
            server.write(1);
        }
        let index = server.replica.consensus().log().last_index();
        assert!(matches!(server.notices.last(), Some(Notice::SnapshotNotTaken { reason, .. })
            if reason == "as the test wants"));
        assert_eq!((server.snapshot_files(), server.first_index()), (vec![], 1), "operation {failing}");
        assert_eq!(server.replica.failed(), None);
        assert!(server.replica.snapshots().missed > LogIndex::ZERO);
        server.write(300);
        assert!(server.taken()[0] > index.0);
        assert_eq!(server.replica.snapshots().problem, None);
        let state = server.state();
        assert_eq!(server.restart().content(), state.2);
    }
}

/// A crash while one is written leaves a part, which the next start removes.
#[test]
fn half_a_snapshot_is_no_snapshot() {
    let mut server = Server::new(EVERY);
    server.is_held_up = true;
    server.write(200);
    let (seq, op) = server.aside.pop_front().unwrap();
    let done = server.aside_done(seq, &op);
    server.happens(done);
    assert_eq!(server.snapshot_files().len(), 1);
    let (content, mark) = (server.content(), server.replica.snapshots().taking.unwrap());
    let mut again = server.restart();
    assert_eq!(again.content(), content);
    assert_eq!(again.taken()[0], mark.0, "the mark is still there, and was applied again");
    assert_eq!(again.snapshot_files()[0], SnapshotFile::Whole(mark).file_name());
    again.write(300);
    let state = again.state();
    assert_eq!(again.restart().content(), state.2);
}

/// Answers every command with nothing, and takes no snapshots.
struct Mute;

impl StateMachine for Mute {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        vec![Bytes::new(); batch.len()]
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }
}

#[test]
fn a_machine_without_snapshots_keeps_its_log() {
    let mut server = Server::mute();
    server.write(1000);
    assert_eq!((server.taken(), server.first_index()), (vec![], 1));
    let last = server.replica.consensus().log().last_index();
    assert_eq!(last, LogIndex(1001), "and no mark is put into it");
}

/// Its state is nothing; three calls in a row have not found that out yet.
struct Slow(u32);

impl StateMachine for Slow {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        vec![Bytes::new(); batch.len()]
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn takes_snapshots(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.0 = 3;
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        self.0 = self.0.checked_sub(1)?;
        Some(Bytes::new())
    }
}

/// A turn that lays nothing out is followed by the next, though nothing else happens.
#[test]
fn a_piece_that_takes_long_to_find_is_looked_for_on_and_on() {
    let mut server = Server::fresh(EVERY, Box::new(Slow(0)));
    server.ask_for_snapshot();
    assert_eq!(server.taken(), [2]);
}

/// Of entries or of bytes, and of bytes by more than the last snapshot was long.
#[test]
fn a_mark_is_due_once_the_log_has_grown_by_more_than_was_set() {
    let entry = |payload| Entry { index: LogIndex(1), term: Term(1), payload };
    let data = Bytes::from(vec![0; 100]);
    let command = entry(Payload::Command(Command { session: None, data }));
    let cost = command.cost() as u64;
    let by_entries = |entries| SnapshotEvery { bytes: u64::MAX, entries };
    let by_bytes = |bytes| SnapshotEvery { bytes, entries: u64::MAX };
    let cases = [
        (by_entries(3), 0, 4),
        (by_bytes(3 * cost), 0, 4),
        (by_entries(1), 5 * cost, 6),
        (by_bytes(cost), 5 * cost, 6),
    ];
    for (every, last, due) in cases {
        let mut marks = Marks { bytes: last, ..Marks::new(every) };
        for _ in 0..2 {
            let mut grows = || {
                marks.applied(&command, false);
                marks.is_due()
            };
            assert_eq!((1..10).find(|_| grows()), Some(due), "{every:?}, after one of {last} bytes");
            marks.applied(&entry(Payload::Snapshot), true);
            assert!(!marks.is_due(), "the next begins from there");
        }
    }
}

/// As many bytes are written for snapshots as for the log, at most, however large the state.
#[test]
fn a_large_state_is_not_written_more_often_than_it_changes() {
    let mut server = Server::new(SnapshotEvery { bytes: 1, entries: 1 });
    let mut noise = 1_u64;
    for n in 0..600_u64 {
        let value: Vec<u8> = (0..100)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            })
            .collect();
        let key = kv::Key::new(&format!("{n}")).unwrap();
        server.propose(None, &kv::Command::Set { key, value: kv::Value::Bytes(value.into()) });
    }
    let bytes = server.notices.iter().map(|notice| match notice {
        Notice::SnapshotTaken { bytes, .. } => *bytes,
        _ => 0,
    });
    let (written, log) = (bytes.sum::<u64>(), 600 * 150);
    assert!(server.taken().len() > 3 && written < 2 * log, "{written} bytes for {log} of log");
}

impl Server {
    fn ask_for_snapshot(&mut self) {
        self.ask_for_snapshot_within(Duration::from_secs(9));
    }

    fn ask_for_snapshot_within(&mut self, time: Duration) {
        self.asked += 1;
        let (token, deadline) = (Token(100 + self.asked), self.now + time);
        self.happens(Event::Administer { token, deadline, task: Task::Snapshot });
    }

    fn last_index(&self) -> LogIndex {
        self.replica.consensus().log().last_index()
    }
}

#[test]
fn one_that_is_asked_for_is_taken_at_once() {
    let mut server = Server::new(EVERY);
    server.write(10);
    server.ask_for_snapshot();
    let index = server.last_index();
    let file = &server.files[&SnapshotFile::Whole(index).file_name()];
    let (bytes, took) = (file.len() as u64, Duration::ZERO);
    let done = Administered::SnapshotTaken { index, bytes, took };
    assert_eq!(server.replies.last(), Some(&Reply::Administered(done)));
    assert_eq!(server.replica.snapshots().index, index);
    let state = server.state();
    assert_eq!(server.restart().content(), state.2);
}

/// What was acknowledged while one was written is in no snapshot before the next.
#[test]
fn one_that_is_being_taken_is_not_the_one_that_is_asked_for() {
    let mut server = Server::new(EVERY);
    server.is_held_up = true;
    server.ask_for_snapshot();
    let first = server.last_index();
    server.write(10);
    let acknowledged = server.last_index();
    server.ask_for_snapshot();
    server.now = server.now + Duration::from_millis(70);
    server.happens(Event::Tick);
    assert_eq!(server.replies.len(), 10, "neither is answered");
    assert_eq!(server.last_index(), acknowledged, "and the second has no mark");
    server.is_held_up = false;
    server.happens(Event::Tick);
    let told = server.replies[10..].iter().map(|reply| match reply {
        Reply::Administered(Administered::SnapshotTaken { index, took, .. }) => (*index, took.as_millis()),
        other => panic!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), [(first, 70), (acknowledged.next(), 0)]);
}

/// Nobody wants it any more. The one before him is waited for as it was.
#[test]
fn one_for_which_nobody_waits_any_more_is_not_taken() {
    let mut server = Server::new(EVERY);
    server.is_held_up = true;
    server.ask_for_snapshot();
    let mark = server.last_index();
    server.write(1);
    server.ask_for_snapshot_within(Duration::from_millis(10));
    server.now = server.now + Duration::from_millis(20);
    server.happens(Event::Tick);
    assert_eq!(server.replies.len(), 2, "the write is done, and one waits no longer");
    server.is_held_up = false;
    server.happens(Event::Tick);
    let last = server.replies.last();
    assert!(matches!(last, Some(Reply::Administered(Administered::SnapshotTaken { index, .. }))
        if *index == mark));
    assert_eq!(server.taken(), [mark.0]);
}

/// Its file is whole a flush before: not even then would a start find it.
#[test]
fn who_asked_for_one_hears_of_it_once_the_log_says_so() {
    let mut server = Server::new(EVERY);
    server.is_held_up = true;
    server.ask_for_snapshot();
    loop {
        let (seq, op) = server.aside.pop_front().expect("it is being taken");
        let done = server.aside_done(seq, &op);
        if matches!(op, AsideOp::Finish { .. }) {
            server.replica.step(server.now, done);
            break;
        }
        server.happens(done);
    }
    let mut batches = vec![];
    for action in server.replica.drain() {
        match action {
            Action::Disk(batch) => batches.push(batch),
            Action::Answer { .. } => panic!("it is answered"),
            _ => {}
        }
    }
    let [batch] = &batches[..] else { panic!("{batches:?}") };
    server.happens(Event::Persisted(batch.seq));
    assert!(matches!(server.replies[..], [Reply::Administered(_)]), "{:?}", server.replies);
}

#[test]
fn who_asked_for_one_that_cannot_be_written_is_told_why() {
    let mut server = Server::new(EVERY);
    server.failures = [None, Some(AsideErrorKind::NoRoom)].into();
    server.ask_for_snapshot();
    let reason = TaskRefused::SnapshotFailed { reason: "as the test wants".to_string() };
    assert_eq!(server.replies, [Reply::Declined(reason)]);
    server.ask_for_snapshot();
    assert!(matches!(server.replies[1], Reply::Administered(_)), "it may be asked for again");
}

#[test]
fn a_machine_without_snapshots_declines_to_take_one() {
    let mut server = Server::mute();
    server.ask_for_snapshot();
    assert_eq!(server.replies, [Reply::Declined(TaskRefused::NoSnapshots)]);
    assert_eq!(server.last_index(), LogIndex(1));
}

/// A snapshot that had no room is taken as soon as there is room, not when the log has grown.
#[test]
fn one_that_had_no_room_is_taken_once_there_is() {
    let mut server = Server::new(EVERY);
    server.failures = [None, Some(AsideErrorKind::NoRoom)].into();
    server.happens(Event::DiskFull { reason: "no room".to_string() });
    assert_eq!(server.replica.snapshots().problem.as_deref(), Some("as the test wants"));
    server.happens(Event::DiskHasRoom);
    assert_eq!((server.taken().len(), server.replica.snapshots().problem), (1, None));
    server.happens(Event::DiskFull { reason: "no room".to_string() });
    let taken = server.taken().len();
    server.happens(Event::DiskHasRoom);
    assert_eq!(server.taken().len(), taken, "one that succeeded is not taken again");
}
