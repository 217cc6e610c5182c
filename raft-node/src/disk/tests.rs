//! The real disk, on a real file system. `/dev/full` stands in for a disk without room, behind a link.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use raft_core::disk::{DiskBatch, DiskOp, ReadDisk, WriteSeq};
use raft_core::entry::{Entry, Payload};
use raft_core::log::{Identity, LogOptions, Record, Recovered, Recovery, SegmentNumber, create, recover};
use raft_core::types::{HardState, Incarnation, LogIndex, NodeId, Term};
use tempfile::TempDir;

use super::{Completion, DataDir, DataDirError, Disk, DiskHandle, DiskThread, MemoryDisk, Operation};

const OPTIONS: LogOptions = LogOptions { segment_size: 4096 };
const PATIENCE: Duration = Duration::from_secs(20);

fn node_1() -> NodeId {
    NodeId::new("node_1").expect("valid")
}

fn identity() -> Identity {
    Identity::new(node_1(), Incarnation(77))
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(path: &Path) -> DataDir {
    DataDir::open(path).expect("a usable directory")
}

fn refusal(path: &Path) -> String {
    let text = DataDir::open(path).expect_err("was taken").to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

fn spawn(dir: DataDir) -> (DiskHandle, Receiver<Completion>) {
    let (sender, completions) = mpsc::channel();
    let handle = DiskThread::spawn(dir, move |completion| drop(sender.send(completion)));
    (handle.expect("a thread"), completions)
}

fn batch(seq: u64, ops: Vec<DiskOp>) -> DiskBatch {
    DiskBatch { seq: WriteSeq(seq), ops, sync: true }
}

fn prepare(file: &str) -> DiskOp {
    DiskOp::Prepare { file: file.to_owned(), size: 4096, head: Bytes::from_static(b"head") }
}

fn write(file: &str, offset: u64, data: &'static [u8]) -> DiskOp {
    DiskOp::Write { file: file.to_owned(), offset, data: Bytes::from_static(data) }
}

fn segment(number: u64) -> String {
    SegmentNumber(number).file_name()
}

fn found(dir: &DataDir) -> Recovered {
    match recover(dir, &node_1(), OPTIONS) {
        Ok(Recovery::Found(found)) => *found,
        other => panic!("{other:?}"),
    }
}

/// The failure, which must be the last thing reported.
fn failure(handle: DiskHandle, completions: &Receiver<Completion>) -> super::DiskFailure {
    let reported = completions.recv_timeout(PATIENCE).expect("a report");
    handle.submit(batch(99, vec![prepare(&segment(9))]));
    drop(handle);
    assert_eq!(completions.try_iter().count(), 0, "something was reported after the failure");
    match reported {
        Completion::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_written_by_the_thread_is_found_again() {
    let root = temporary();
    let path = root.path().join("not/yet/there");
    let (mut writer, ops) = create(&identity(), OPTIONS);
    {
        let dir = open(&path);
        assert!(matches!(recover(&dir, &node_1(), OPTIONS), Ok(Recovery::Empty)));
        dir.apply(&ops).expect("created");
    }
    let mut entries = Vec::new();
    let mut last = 0;
    for _life in 0..3 {
        let (disk, completions) = spawn(open(&path));
        for _ in 0..100 {
            last += 1;
            let entry = Entry { index: LogIndex(last), term: Term(1), payload: Payload::Noop };
            entries.push(entry.clone());
            let peer = Record::Peer { node_id: node_1(), incarnation: Incarnation(last) };
            let term = Record::HardState(HardState { term: Term(1), voted_for: None });
            let (frame, ops) = writer.append(&[term, Record::Entry(entry), peer]);
            disk.submit(batch(last, ops));
            if last % 7 == 0 {
                while completions.recv_timeout(PATIENCE) != Ok(Completion::Persisted(WriteSeq(last))) {}
                writer.note_durable(frame);
            }
        }
        drop(disk);
        assert_eq!(completions.iter().last(), Some(Completion::Persisted(WriteSeq(last))));
        let dir = open(&path);
        let again = found(&dir);
        assert_eq!(again.entries, entries);
        assert_eq!(again.torn, None);
        dir.apply(&again.repairs).expect("repaired");
        writer = again.writer;
    }
    assert!(writer.segment() > SegmentNumber(3), "the log has one segment");
}

/// The creation goes through the thread as well: the write in it waits for the segment.
#[test]
fn a_creation_can_be_submitted() {
    let root = temporary();
    let (disk, completions) = spawn(open(root.path()));
    let (_, ops) = create(&identity(), OPTIONS);
    disk.submit(batch(1, ops));
    assert_eq!(completions.recv_timeout(PATIENCE), Ok(Completion::Persisted(WriteSeq(1))));
    drop(disk);
    assert_eq!(found(&open(root.path())).identity, identity());
}

#[test]
fn operations_do_what_they_say() {
    let root = temporary();
    let (disk, completions) = spawn(open(root.path()));
    let (one, two) = (segment(1), segment(2));
    let replace = |content| DiskOp::Replace { file: "identity".into(), content: Bytes::from_static(content) };
    disk.submit(batch(1, vec![prepare(&one), prepare(&two), write(&two, 4090, b"ending")]));
    disk.submit(batch(2, vec![replace(b"old"), replace(b"new"), write(&one, 2, b"ARD")]));
    // Made again: the open file must not be the old one.
    disk.submit(batch(3, vec![prepare(&two), write(&two, 4, b"!")]));
    disk.submit(batch(4, vec![DiskOp::Remove { file: segment(7) }, prepare(&segment(3))]));
    disk.submit(batch(5, vec![DiskOp::Remove { file: segment(3) }]));
    drop(disk);
    assert_eq!(completions.iter().last(), Some(Completion::Persisted(WriteSeq(5))));
    let dir = open(root.path());
    let read = |file: &str| dir.read(file).expect("readable");
    let padded = |text: &[u8]| [text, &vec![0; 4096 - text.len()]].concat();
    assert_eq!(read(&one), padded(b"heARD"));
    assert_eq!(read(&two), padded(b"head!"));
    assert_eq!(read("identity"), &b"new"[..]);
    let mut names = dir.list().expect("listed");
    names.sort();
    assert_eq!(names, ["identity".to_owned(), one, two]);
}

#[test]
fn what_queues_up_during_a_flush_is_reported_at_once() {
    let root = temporary();
    let (reports, completions) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    let disk = DiskThread::spawn(open(root.path()), move |completion| {
        let _ = reports.send(completion);
        let _ = gate.lock().recv();
    });
    let disk = disk.expect("a thread");
    disk.submit(batch(1, vec![prepare(&segment(1))]));
    assert_eq!(completions.recv_timeout(PATIENCE), Ok(Completion::Persisted(WriteSeq(1))));
    for seq in 2..=50 {
        disk.submit(DiskBatch { sync: seq % 3 == 0, ..batch(seq, vec![write(&segment(1), seq * 8, b"x")]) });
    }
    drop(go);
    drop(disk);
    assert_eq!(completions.iter().collect::<Vec<_>>(), [Completion::Persisted(WriteSeq(50))]);
}

#[test]
fn a_directory_serves_one_at_a_time() {
    let root = temporary();
    let first = open(root.path());
    let text = refusal(root.path());
    assert!(text.contains(&format!("is in use by this very process ({})", std::process::id())), "{text}");
    let (disk, _completions) = spawn(first);
    assert!(matches!(DataDir::open(root.path()), Err(DataDirError::Locked { .. })));
    drop(disk);
    drop(open(root.path()));

    let lock = File::options().write(true).open(root.path().join("lock")).expect("the lock file");
    lock.try_lock().expect("free again");
    lock.write_all_at(b"4242      \n", 0).expect("written");
    assert!(refusal(root.path()).contains("is in use by process 4242: "));
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let root = temporary();
    for name in ["photo.jpg", "letter.txt", "a", "b"] {
        fs::write(root.path().join(name), b"mine").expect("written");
    }
    let text = refusal(root.path());
    assert!(text.contains(r#"it holds ["a", "b", "letter.txt"] and 1 more"#), "{text}");
    assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 4, "something was left there");

    fs::write(root.path().join("identity"), identity().encode()).expect("written");
    assert_eq!(open(root.path()).list().expect("listed"), ["identity"]);
}

#[test]
fn what_is_in_the_way_is_named() {
    let root = temporary();
    let file = root.path().join("file");
    fs::write(&file, b"").expect("written");
    for path in [file.clone(), file.join("below")] {
        let text = refusal(&path);
        assert!(text.contains(&format!("{} is a file", file.display())), "{text}");
    }
    let says = |kind: ErrorKind| super::data_dir::explain("/x".into(), "write to", kind.into()).to_string();
    assert!(says(ErrorKind::PermissionDenied).starts_with("no permission to write to /x: give"));
    assert!(says(ErrorKind::ReadOnlyFilesystem).starts_with("/x is on a read-only file system"));
    assert!(says(ErrorKind::StorageFull).starts_with("cannot write to /x: "));
}

#[test]
fn left_overs_are_removed_and_a_full_disk_can_be_opened() {
    let root = temporary();
    let (_, ops) = create(&identity(), OPTIONS);
    open(root.path()).apply(&ops).expect("created");
    let left_over = root.path().join(format!("{}.tmp", segment(2)));
    fs::write(&left_over, b"half").expect("written");
    fs::remove_file(root.path().join("lock")).expect("removed");
    symlink("/dev/full", root.path().join("lock")).expect("linked");
    symlink("/dev/full", root.path().join("identity.tmp")).expect("linked");
    let dir = open(root.path());
    assert!(!left_over.exists());
    assert_eq!(found(&dir).identity, identity());
}

#[test]
fn a_file_that_is_gone_is_a_failure() {
    let root = temporary();
    let (disk, completions) = spawn(open(root.path()));
    disk.submit(batch(1, vec![write(&segment(1), 0, b"x")]));
    let failure = failure(disk, &completions);
    assert_eq!(failure.operation, Operation::Open);
    assert!(!failure.disk_full);
    assert!(failure.file.ends_with(&segment(1)));
}

#[test]
fn a_write_beyond_the_end_is_a_failure() {
    let root = temporary();
    let (disk, completions) = spawn(open(root.path()));
    disk.submit(batch(1, vec![prepare(&segment(1)), write(&segment(1), 4095, b"xy")]));
    assert_eq!(failure(disk, &completions).operation, Operation::Write);
}

#[test]
fn a_flush_that_fails_ends_it() {
    let root = temporary();
    let dir = open(root.path());
    // A device that cannot be flushed; a write of nothing marks it as written to.
    symlink("/dev/full", root.path().join(segment(1))).expect("linked");
    let (disk, completions) = spawn(dir);
    disk.submit(batch(1, vec![write(&segment(1), 0, b"")]));
    let failure = failure(disk, &completions);
    assert_eq!((failure.operation, failure.disk_full), (Operation::Flush, false));
    assert!(!root.path().join(segment(9)).exists(), "it went on after the failure");
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    let root = temporary();
    let dir = open(root.path());
    symlink("/dev/full", root.path().join("identity.tmp")).expect("linked");
    let (disk, completions) = spawn(dir);
    disk.submit(batch(
        1,
        vec![DiskOp::Replace { file: "identity".into(), content: Bytes::from_static(b"x") }],
    ));
    let failure = failure(disk, &completions);
    assert_eq!((failure.operation, failure.disk_full), (Operation::Replace, true));
    assert!(failure.to_string().contains("Make room on this disk"), "{failure}");
}

/// The link to the full device goes away with the first attempt: as if room had been made.
fn without_room_once(root: &TempDir, name: &str) {
    symlink("/dev/full", root.path().join(format!("{name}.tmp"))).expect("linked");
}

#[test]
fn a_preparation_without_room_is_tried_again_when_it_is_needed() {
    let root = temporary();
    let dir = open(root.path());
    without_room_once(&root, &segment(1));
    let (disk, completions) = spawn(dir);
    disk.submit(batch(1, vec![prepare(&segment(1)), write(&segment(1), 4, b"!")]));
    assert_eq!(completions.recv_timeout(PATIENCE), Ok(Completion::Persisted(WriteSeq(1))));
    drop(disk);
    assert_eq!(fs::read(root.path().join(segment(1))).expect("readable")[..6], *b"head!\0");
}

#[test]
fn a_disk_without_room_is_told_ahead_of_need_and_so_is_room() {
    let root = temporary();
    let dir = open(root.path());
    without_room_once(&root, &segment(1));
    let (disk, completions) = spawn(dir);
    disk.submit(batch(1, vec![prepare(&segment(1))]));
    assert_eq!(completions.recv_timeout(PATIENCE), Ok(Completion::Persisted(WriteSeq(1))));
    match completions.recv_timeout(PATIENCE) {
        Ok(Completion::Full(failure)) => {
            assert_eq!((failure.operation, failure.disk_full), (Operation::Prepare, true));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(completions.recv_timeout(PATIENCE), Ok(Completion::HasRoom));
    assert!(root.path().join("reserve").exists() && root.path().join(segment(1)).exists());
}

#[test]
fn a_start_without_room_gives_the_reserve_up() {
    let root = temporary();
    let dir = open(root.path());
    fs::write(root.path().join("reserve"), b"room").expect("written");
    without_room_once(&root, &segment(1));
    let (_, ops) = create(&identity(), OPTIONS);
    dir.apply(&ops).expect("there is room without the reserve");
    assert!(!root.path().join("reserve").exists());
    drop(dir);
    fs::write(root.path().join("reserve.tmp"), b"half").expect("written");
    let dir = open(root.path());
    // Looked at before the disk thread runs, which makes the new reserve under this name.
    assert!(!root.path().join("reserve.tmp").exists());
    let (disk, _completions) = spawn(dir);
    drop(disk);
    assert!(root.path().join("reserve").exists(), "it is taken again");
}

#[test]
fn a_preparation_that_fails_is_a_failure_of_the_write_that_needs_it() {
    let root = temporary();
    let dir = open(root.path());
    fs::create_dir(root.path().join(format!("{}.tmp", segment(1)))).expect("made");
    let (disk, completions) = spawn(dir);
    disk.submit(batch(1, vec![prepare(&segment(1)), write(&segment(1), 4, b"!")]));
    let failure = failure(disk, &completions);
    assert_eq!((failure.operation, failure.disk_full), (Operation::Prepare, false));
}

#[test]
fn memory_reports_at_once() {
    let (sender, completions) = mpsc::channel();
    let disk = MemoryDisk::new(move |completion| drop(sender.send(completion)));
    disk.submit(batch(1, vec![write("nowhere", 0, b"x")]));
    assert_eq!(completions.try_recv(), Ok(Completion::Persisted(WriteSeq(1))));
}
