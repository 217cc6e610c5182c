//! Directories exchanged, cut off at every step.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use raft_core::consensus::Configuration;
use raft_core::disk::SnapshotFile;
use raft_core::entry::{Command, Entry, Genesis, Payload};
use raft_core::log::{Identity, LogOptions, Record, Recovered, Recovery, create, recover};
use raft_core::snapshot::{Header, Piece, Reader, Writer};
use raft_core::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, StateHash, Term};
use tempfile::TempDir;

use super::exchange::{FileSystem, Moves, complete_with, decide};
use super::*;
use crate::disk::DataDir;

const OLD: ClusterId = ClusterId(7);

fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn entry(index: u64, term: u64, payload: Payload) -> Record {
    Record::Entry(Entry { index: LogIndex(index), term: Term(term), payload })
}

fn command(index: u64) -> Record {
    let data = format!("of {index}").into();
    entry(index, 2, Payload::Command(Command { session: None, data }))
}

/// The directory of a member of a cluster of three, its log as long as said, in term 2.
fn member(at: &Path, name: &str, cluster_id: ClusterId, length: u64, committed: u64) -> PathBuf {
    let path = at.join(name);
    let mut identity = Identity::new(id(name), Incarnation(3));
    identity.cluster_id = Some(cluster_id);
    let (mut writer, mut ops) = create(&identity, LogOptions { segment_size: 4096 });
    let configuration = Configuration::new(["a", "b", "c"].map(id));
    let mut records = vec![Record::HardState(HardState { term: Term(2), voted_for: None })];
    if length > 0 {
        records.push(entry(1, 1, Payload::Genesis(Box::new(Genesis { cluster_id, configuration }))));
    }
    records.extend((2..=length).map(command));
    records.push(Record::CommitHint(LogIndex(committed)));
    ops.extend(writer.append(&records).1);
    DataDir::open(&path).unwrap().apply(&ops).unwrap();
    path
}

fn found(path: &Path) -> Recovered {
    let dir = DataDir::open(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    match recover(&dir, &id(name), LogOptions::default()) {
        Ok(Recovery::Found(found)) => *found,
        other => panic!("{path:?}: {other:?}"),
    }
}

fn cluster_of(path: &Path) -> ClusterId {
    found(path).genesis().unwrap().cluster_id
}

fn peers(names: &[&str]) -> BTreeMap<NodeId, String> {
    (1..).zip(names).map(|(port, name)| (id(name), format!("h:{port}"))).collect()
}

#[test]
fn the_most_up_to_date_of_two_survivors_makes_the_new_cluster() {
    let at = TempDir::new().unwrap();
    let (a, b) = (member(at.path(), "a", OLD, 5, 4), member(at.path(), "b", OLD, 9, 3));
    // Other settings and recordings of a node lie there too.
    fs::create_dir_all(a.join("recording/current")).unwrap();
    fs::write(a.join("recording-1.raftrec"), "saved").unwrap();
    let dirs = [a.clone(), b.clone()];

    let survey = Survey::of(&dirs, false).unwrap();
    let told: Vec<_> = survey.survivors().iter().map(|s| (s.node_id.as_str(), s.last.index.0)).collect();
    assert_eq!(told, [("b", 9), ("a", 5)]);
    assert_eq!(survey.missing().collect::<Vec<_>>(), [&id("c")]);
    assert!(survey.is_majority());
    let refused = survey.refound(&peers(&["a", "b"]), false).unwrap_err();
    assert!(matches!(refused, OfflineError::Majority { here: 2, members: 3 }), "{refused}");
    assert_eq!((cluster_of(&a), cluster_of(&b)), (OLD, OLD), "nothing was changed");

    let founded = Survey::of(&dirs, false).unwrap().refound(&peers(&["a", "b"]), true).unwrap();
    assert_eq!(founded.last_index, LogIndex(9));
    let (one, other) = (found(&a), found(&b));
    assert_eq!(one.entries, other.entries);
    assert_eq!(one.entries.len(), 9);
    for (this, that) in [(&one, &other), (&other, &one)] {
        assert_eq!(this.identity.cluster_id, Some(founded.cluster_id));
        assert_eq!(this.peers[&that.identity.node_id], that.identity.incarnation);
        assert!(this.admitted);
    }
    let kept = a.join(format!("replaced-{}", founded.cluster_id));
    assert!(kept.join("identity").exists() && kept.join("recording/current").exists());
    assert!(a.join("recording-1.raftrec").exists());
    assert!(!a.join("installing").exists() && !a.join("refounding").exists());
}

#[test]
fn one_survivor_of_three_goes_on_alone() {
    let at = TempDir::new().unwrap();
    let a = member(at.path(), "a", OLD, 5, 4);
    let dirs = [a.clone()];
    let refused = Survey::of(&dirs, false).unwrap().refound(&peers(&["a", "d"]), false).unwrap_err();
    assert!(matches!(&refused, OfflineError::NoDirectoryOf { node_id } if *node_id == id("d")), "{refused}");
    let founded = Survey::of(&dirs, false).unwrap().refound(&peers(&["a"]), false).unwrap();
    let alone = Configuration::with_addresses(peers(&["a"]));
    assert_eq!(found(&a).configuration(), Some(&alone));
    assert_ne!(founded.cluster_id, OLD);
    // A second time, it is a cluster of one that has its majority.
    assert!(Survey::of(&dirs, false).unwrap().is_majority());
}

#[test]
fn what_is_not_a_cluster_s_is_refused() {
    let at = TempDir::new().unwrap();
    let path = |name: &str| at.path().join(name);
    let of = |paths: &[&PathBuf]| {
        Survey::of(&paths.iter().map(|p| (*p).clone()).collect::<Vec<_>>(), false).unwrap_err().to_string()
    };
    let a = member(at.path(), "a", OLD, 3, 1);
    let b = member(at.path(), "b", ClusterId(8), 3, 1);
    assert!(of(&[&a, &b]).contains("different clusters"));
    assert!(of(&[&path("nothing")]).contains("not a data directory"));
    assert!(!path("nothing").exists());
    assert!(of(&[&member(at.path(), "c", OLD, 0, 0)]).contains("Leave it out"));
    assert!(of(&[&a, &a]).contains("in use by this very process"));
    let copy = path("copy");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&a).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    assert!(of(&[&a, &copy]).contains("both directories of a"));
    let running = DataDir::open(&a).unwrap();
    assert!(of(&[&a]).contains("in use"));
    drop(running);
    let log = copy.join("log-00000000000000000001");
    let mut bytes = fs::read(&log).unwrap();
    bytes[0] ^= 1;
    fs::write(&log, bytes).unwrap();
    assert!(of(&[&copy]).contains("log-00000000000000000001"), "{}", of(&[&copy]));
}

fn header(cluster_id: ClusterId, index: u64) -> Header {
    Header {
        cluster_id,
        index: LogIndex(index),
        term: Term(2),
        state_hash: StateHash(77),
        configuration_index: LogIndex(1),
        configuration: Configuration::new(["a", "b", "c"].map(id)),
    }
}

/// What a node would have written: pieces that take several chunks.
fn snapshot(header: &Header) -> Vec<u8> {
    let mut writer = Writer::new(header);
    pieces().iter().for_each(|piece| writer.piece(piece));
    writer.finish();
    writer.take().to_vec()
}

fn pieces() -> Vec<Piece> {
    let noise = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>();
    vec![Piece::Sessions("s".into()), Piece::Machine(noise.into()), Piece::Machine("m".into())]
}

fn content(file: &Path) -> (Header, Vec<Piece>) {
    let mut reader = Reader::new("file".into());
    reader.feed(fs::read(file).unwrap().into());
    let mut found = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        found.push(piece);
    }
    (reader.finish().unwrap(), found)
}

fn snapshot_file(index: u64) -> String {
    SnapshotFile::Whole(LogIndex(index)).file_name()
}

/// A member whose log begins after a snapshot at index 6, and is as long as said.
fn compacted(at: &Path, name: &str, length: u64) -> PathBuf {
    let path = at.join(name);
    let mut identity = Identity::new(id(name), Incarnation(3));
    identity.cluster_id = Some(OLD);
    let (mut writer, mut ops) = create(&identity, LogOptions { segment_size: 4096 });
    let mut records = vec![
        Record::HardState(HardState { term: Term(2), voted_for: None }),
        Record::Snapshot { index: LogIndex(6), term: Term(2) },
    ];
    records.extend((7..=length).map(command));
    ops.extend(writer.append(&records).1);
    let dir = DataDir::open(&path).unwrap();
    fs::write(path.join(snapshot_file(6)), snapshot(&header(OLD, 6))).unwrap();
    dir.apply(&ops).unwrap();
    path
}

#[test]
fn a_log_that_begins_after_a_snapshot_makes_a_new_cluster_too() {
    let at = TempDir::new().unwrap();
    // The other one still has its log from the beginning.
    let (a, b) = (compacted(at.path(), "a", 9), member(at.path(), "b", OLD, 8, 3));
    let dirs = [a.clone(), b.clone()];
    let survey = Survey::of(&dirs, false).unwrap();
    assert_eq!(survey.members().collect::<Vec<_>>(), [&id("a"), &id("b"), &id("c")]);
    assert_eq!((survey.cluster_id(), survey.survivors()[0].committed), (OLD, LogIndex(6)));
    let founded = survey.refound(&peers(&["a", "b"]), true).unwrap();
    assert_eq!(founded.last_index, LogIndex(9));
    for path in [&a, &b] {
        let new = found(path);
        assert_eq!((new.base.index, new.last().index, new.entries.len()), (LogIndex(6), LogIndex(9), 3));
        assert!(new.admitted);
        let (header, told) = content(&path.join(snapshot_file(6)));
        assert_eq!((header.cluster_id, header.state_hash), (founded.cluster_id, StateHash(77)));
        assert_eq!(header.configuration, Configuration::with_addresses(peers(&["a", "b"])));
        assert_eq!(told, pieces());
        assert!(path.join(format!("replaced-{}", founded.cluster_id)).join("identity").exists());
    }
    assert!(Survey::of(&dirs, false).unwrap().is_majority());
}

#[test]
fn a_backup_makes_the_first_member_of_a_new_cluster() {
    let at = TempDir::new().unwrap();
    let backup = at.path().join("backup");
    let whole = snapshot(&header(OLD, 6));
    let x = at.path().join("x");
    let refused = |bytes: &[u8]| {
        fs::write(&backup, bytes).unwrap();
        restore(&backup, &id("x"), &x, "h:1").unwrap_err().to_string()
    };
    // Whatever is wrong with the file, no directory is made into a node's.
    for wrong in
        [&whole[..whole.len() - 1], &whole[..50], b"", b"something else, and long enough for a header"]
    {
        refused(wrong);
        assert!(!x.join("identity").exists());
    }
    let mut damaged = whole.clone();
    damaged[20_000] ^= 1;
    assert!(refused(&damaged).contains("damaged at offset"));

    fs::write(&backup, &whole).unwrap();
    let restored = restore(&backup, &id("x"), &x, "h:1").unwrap();
    assert_eq!((restored.from, restored.at), (OLD, EntryId { index: LogIndex(6), term: Term(2) }));
    assert_ne!(restored.cluster_id, OLD);
    let log = found(&x);
    assert_eq!((log.base, log.entries.len(), log.admitted), (restored.at, 0, true));
    assert_eq!((log.identity.cluster_id, log.hard_state.term), (Some(restored.cluster_id), Term(2)));
    let (header, told) = content(&x.join(snapshot_file(6)));
    assert_eq!((header.cluster_id, header.state_hash, told), (restored.cluster_id, StateHash(77), pieces()));
    let alone = Configuration::with_addresses([(id("x"), "h:1".to_owned())]);
    assert_eq!((header.configuration_index, header.configuration), (LogIndex(1), alone));
    assert!(refused(&whole).contains("holds the data of a node already"));
}

/// Carries so many operations out, then none.
struct Interrupted {
    left: usize,
}

impl Interrupted {
    fn then(&mut self, go_on: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("interrupted"))?;
        go_on()
    }
}

impl Moves for Interrupted {
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.then(|| FileSystem.rename(from, to))
    }

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.then(|| FileSystem.create_dir(path))
    }

    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.then(|| FileSystem.remove_dir(path))
    }
}

#[test]
fn an_exchange_cut_off_anywhere_is_the_old_directory_or_the_new_one() {
    for steps in 0.. {
        let at = TempDir::new().unwrap();
        let a = member(at.path(), "a", OLD, 5, 4);
        fs::create_dir_all(a.join("recording/current")).unwrap();
        let new = at.path().join("made");
        fs::create_dir(&new).unwrap();
        fs::rename(member(&new, "a", ClusterId(8), 7, 7), a.join("refounding")).unwrap();

        let mut hands = Interrupted { left: steps };
        let outcome = decide(&a, &mut hands).and_then(|()| complete_with(&a, &mut hands));
        // And the completion is cut off likewise, once.
        for again in 0..3 {
            drop(complete_with(&a, &mut Interrupted { left: again }));
        }
        let now = found(&a);
        let (expected, length) = if steps == 0 { (OLD, 5) } else { (ClusterId(8), 7) };
        assert_eq!((now.identity.cluster_id, now.entries.len()), (Some(expected), length), "{steps} steps");
        let kept = a.join(format!("replaced-{}", ClusterId(8)));
        if steps > 0 {
            let names: Vec<_> = ["identity", "log-00000000000000000001", "recording"]
                .into_iter()
                .filter(|name| kept.join(name).exists())
                .collect();
            assert_eq!(names.len(), 3, "{steps} steps: what was there is kept");
            assert!(!a.join("installing").exists() && !a.join("refounded").exists());
        }
        if outcome.is_ok() {
            assert!(steps > 5);
            return;
        }
    }
}

#[test]
fn a_recovery_that_reached_only_one_directory_is_completed() {
    let at = TempDir::new().unwrap();
    let (a, b) = (member(at.path(), "a", OLD, 5, 4), member(at.path(), "b", OLD, 9, 3));
    let dirs = [a.clone(), b.clone()];
    Survey::of(&dirs, false).unwrap().refound(&peers(&["a", "b"]), true).unwrap();
    // As it was before the turn of b: the new directory beside the old one.
    let new = cluster_of(&a);
    let kept = b.join(format!("replaced-{new}"));
    fs::create_dir(b.join("refounding")).unwrap();
    for name in ["identity", "log-00000000000000000001"] {
        fs::rename(b.join(name), b.join("refounding").join(name)).unwrap();
        fs::rename(kept.join(name), b.join(name)).unwrap();
    }
    assert_eq!(cluster_of(&b), OLD);
    let refused = Survey::of(&dirs, false).unwrap_err();
    assert!(matches!(&refused, OfflineError::Interrupted { path } if *path == b), "{refused}");
    let survey = Survey::of(&dirs, true).unwrap();
    assert_eq!(survey.completed(), std::slice::from_ref(&b));
    assert_eq!(survey.cluster_id(), new);
    drop(survey);
    assert_eq!((cluster_of(&a), cluster_of(&b)), (new, new));
}
