//! Two servers and a snapshot between them: restored at a start, sent, cut off everywhere, and installed.

mod interrupted;
mod outcomes;
mod receiving;
mod recorded;
mod sending;
mod servers;
mod starting;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::super::{Action, Beginning, Event, Notice, Replica, ResumeError, Task, Token};
use crate::disk::{AsideError, AsideErrorKind, FileName, SnapshotFile};
use crate::entry::{Command, Entry, Payload};
use crate::kv::{self, Store};
use crate::log::{Record, Recovery, recover};
use crate::message::{AppendEntries, Message, Round};
use crate::types::{EntryId, LogIndex, StateHash, Term};
use servers::{LOG, Server, connect, disk, elect, exchange, node, round, set, snapshot_file};

fn noop(index: u64, term: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(term), payload: Payload::Noop }
}

#[test]
fn a_state_is_restored_from_the_servers_own_snapshot() {
    let snapshot = snapshot_file(40, 30_000);
    let server = Server::leader("n1", &snapshot);
    let consensus = server.replica.consensus();
    assert_eq!(server.replica.last_applied(), snapshot.0.index);
    assert_eq!(server.replica.applied_hash(), StateHash(40));
    assert_eq!((consensus.commit_index(), consensus.log().base()), (snapshot.0.index, snapshot.0));
    assert_ne!(server.get(39), server.get(40), "one is there, the other is not");
}

#[test]
fn nothing_is_applied_or_read_before_the_state_is_restored() {
    use super::super::{Consistency, Reply, Token};
    let snapshot = snapshot_file(40, 30_000);
    let mut server = Server::leader("n1", &snapshot);
    server = Server { answers_aside: false, ..server };
    let mut server = Server { answers_aside: false, ..Server::start(&server.id, server.files) };
    server.happens(Event::Tick);
    let append = AppendEntries {
        term: Term(2),
        prev_log_index: snapshot.0.index,
        prev_log_term: snapshot.0.term,
        entries: vec![noop(42, 2)],
        leader_commit: LogIndex(42),
        round: Round(0),
    };
    server.receives("n2", Message::AppendEntries(append));
    assert_eq!(server.replica.consensus().commit_index(), LogIndex(42), "it follows");
    let query = kv::Query::Get { key: kv::Key::new("k1").expect("a key") }.encode();
    let (token, consistency) = (Token(1), Consistency::Stale);
    server.replica.step(
        server.now,
        Event::Query { token, deadline: server.now + Duration::from_secs(9), consistency, query },
    );
    let answered = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Answer { reply: Reply::Found(_), .. }))
    };
    assert!(!answered(&server.replica.drain()));
    assert_eq!((server.replica.last_applied(), server.replica.has_checkpoint()), (LogIndex(0), false));
    assert!(server.replica.deadline() > server.now, "it waits for the disk without spinning");
    // The disk answers after all.
    let mut all = Vec::new();
    let mut seq = 1;
    while server.replica.last_applied() < LogIndex(42) {
        let outcome = server.asked.last().expect("a read").carry_out(&mut server.files);
        server.replica.step(server.now, Event::AsideDone { seq: crate::disk::AsideSeq(seq), outcome });
        for _ in 0..50 {
            let actions = server.replica.drain();
            server.asked.extend(actions.iter().filter_map(|action| match action {
                Action::Aside { op, .. } => Some(op.clone()),
                _ => None,
            }));
            all.extend(actions);
        }
        seq += 1;
    }
    assert!(answered(&all));
}

#[test]
fn a_damaged_snapshot_keeps_a_server_from_starting() {
    let (id, mut file) = snapshot_file(40, 30_000);
    file[600_000] ^= 1;
    let server = Server::leader("n1", &(id, file));
    let reason = server.replica.failed().expect("it has failed");
    let expected = "the state cannot be restored: snapshot-00000000000000000041 is damaged at offset ";
    assert!(reason.starts_with(expected), "{reason}");
    assert!(reason.contains("the checksum of a chunk is wrong. Do not delete"), "{reason}");
}

#[test]
fn a_follower_without_a_log_gets_a_snapshot() {
    let snapshot = snapshot_file(200, 30_000);
    let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    exchange(&mut leader, &mut follower, u64::MAX);
    let consensus = follower.replica.consensus();
    assert_eq!((consensus.log().base(), consensus.latest_snapshot()), (snapshot.0, Some(snapshot.0)));
    assert_eq!(consensus.log().last_index(), LogIndex(202), "the log goes on after it");
    assert_eq!(follower.get(199), leader.get(199));
    assert_eq!(follower.written(), snapshot.1.len() as u64, "every byte came once");
    assert!(follower.notices.contains(&Notice::SnapshotInstalled { index: snapshot.0.index }));
    let name = SnapshotFile::Whole(snapshot.0.index).file_name();
    assert_eq!(follower.files[&name], snapshot.1);
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
    // It outlives a restart.
    let mut again = follower.restart();
    again.drain();
    assert!(again.replica.last_applied() >= snapshot.0.index);
    assert_eq!(again.get(199), leader.get(199));
    assert_eq!(again.replica.consensus().log().base(), snapshot.0);
}

/// The follower's process is killed, the leader's, or the stream ends: never is a byte sent again that was
/// durable.
#[test]
fn a_transfer_that_is_cut_off_goes_on_where_it_was() {
    let snapshot = snapshot_file(200, 30_000);
    let length = snapshot.1.len() as u64;
    for cut in 0..12 {
        let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
        connect(&mut leader, &mut follower);
        elect(&mut leader);
        let at = length / 12 * cut + 1;
        exchange(&mut leader, &mut follower, at);
        assert!(follower.replica.last_applied() == LogIndex(0), "not yet, after {at}");
        follower = match cut % 3 {
            0 => follower.restart(),
            1 => {
                for (server, peer) in [(&mut leader, "n2"), (&mut follower, "n1")] {
                    server.happens(Event::Disconnected { peer: node(peer), process_died: false });
                }
                follower
            }
            _ => {
                leader = Server::leader("n1", &snapshot);
                follower.happens(Event::Disconnected { peer: node("n1"), process_died: true });
                elect(&mut leader);
                follower
            }
        };
        leader.sent.clear();
        follower.sent.clear();
        leader.happens(Event::Disconnected { peer: node("n2"), process_died: true });
        connect(&mut leader, &mut follower);
        exchange(&mut leader, &mut follower, u64::MAX);
        assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
        let twice = follower.written() - length;
        assert!(twice <= 64 << 10, "{twice} bytes were written again after a cut at {at}");
    }
}

#[test]
fn an_older_snapshot_replaces_nothing() {
    use crate::message::{InstallSnapshot, SnapshotChunk};
    let snapshot = snapshot_file(5, 10);
    let mut follower = Server::fresh("n2");
    let entries = (1..=9).map(|index| noop(index, 1)).collect();
    let append = AppendEntries {
        term: Term(1),
        prev_log_index: LogIndex(0),
        prev_log_term: Term(0),
        entries,
        leader_commit: LogIndex(6),
        round: Round(0),
    };
    follower.receives("n1", Message::AppendEntries(append));
    let data = Bytes::from(snapshot.1);
    let chunk = Some(SnapshotChunk { offset: 0, checksum: crate::log::checksum(&data), data, is_last: true });
    let install = InstallSnapshot { term: Term(1), round: Round(1), snapshot: snapshot.0, sent: 0, chunk };
    follower.sent.clear();
    follower.receives("n1", Message::InstallSnapshot(install));
    assert_eq!(follower.written(), 0);
    assert_eq!(follower.replica.last_applied(), LogIndex(6));
    let answer = follower.takes(&node("n1"));
    assert!(matches!(&answer[..], [Message::AppendReply(_)]), "{answer:?}");
}

/// Paper §7: entries that follow the snapshot's last one are kept.
#[test]
fn a_log_that_holds_the_snapshots_last_entry_keeps_what_follows() {
    for (term_here, kept) in [(1, true), (0, false)] {
        let snapshot = snapshot_file(200, 30_000);
        let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
        let entries = (1..=210).map(|index| noop(index, term_here)).collect();
        let append = AppendEntries {
            term: Term(1),
            prev_log_index: LogIndex(0),
            prev_log_term: Term(0),
            entries,
            leader_commit: LogIndex(0),
            round: Round(0),
        };
        follower.receives("n3", Message::AppendEntries(append));
        assert_eq!(follower.replica.consensus().log().last_index(), LogIndex(210));
        connect(&mut leader, &mut follower);
        elect(&mut leader);
        // Its first probe is refused, and what it would need next is not kept.
        exchange(&mut leader, &mut follower, u64::MAX);
        let consensus = follower.replica.consensus();
        assert_eq!(consensus.commit_index(), LogIndex(202));
        assert_eq!(consensus.log().last_index(), LogIndex(202), "the leader's log");
        assert_eq!(follower.written() > 0, !kept, "one that holds it needs no snapshot");
    }
}

#[test]
fn what_is_damaged_on_its_way_is_not_taken() {
    let snapshot = snapshot_file(200, 30_000);
    let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
    let name = SnapshotFile::Whole(snapshot.0.index).file_name();
    leader.files.get_mut(&name).expect("its file")[2_000_000] ^= 1;
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    let is_refused = |notice: &Notice| matches!(notice, Notice::SnapshotNotReceived { .. });
    while !follower.notices.iter().any(is_refused) {
        round(&mut leader, &mut follower, u64::MAX);
    }
    let told: Vec<String> = follower.notices.iter().map(crate::story::notice).collect();
    let refused = "gives up the snapshot 201: snapshot-00000000000000000201.part is damaged at offset ";
    assert!(told.iter().any(|line| line.starts_with(refused)), "{told:?}");
    assert_eq!((follower.replica.last_applied(), follower.replica.failed()), (LogIndex(0), None));
    let part = follower.files.get(&SnapshotFile::Part(snapshot.0.index).file_name());
    assert!(part.is_none_or(Vec::is_empty), "nothing of it is kept");
    // The leader's disk heals, and its patience is over.
    leader.files.get_mut(&name).expect("its file")[2_000_000] ^= 1;
    exchange(&mut leader, &mut follower, u64::MAX);
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
}

#[test]
fn a_full_disk_ends_the_attempt_and_not_the_server() {
    let snapshot = snapshot_file(200, 30_000);
    let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    follower.answers_aside = false;
    while follower.asked.is_empty() {
        round(&mut leader, &mut follower, u64::MAX);
    }
    let full = AsideError { kind: AsideErrorKind::NoRoom, reason: "no space left".into() };
    follower.answers_aside = true;
    follower.happens(Event::AsideDone { seq: crate::disk::AsideSeq(1), outcome: Err(full) });
    let is_it = |reason: &str| reason == "no space left";
    let told =
        |notice: &Notice| matches!(notice, Notice::SnapshotNotReceived { reason, .. } if is_it(reason));
    assert!(follower.notices.iter().any(told), "{:?}", follower.notices);
    exchange(&mut leader, &mut follower, u64::MAX);
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
}

/// A snapshot that was taken here: the log says so once it is durable up to there, and goes with it.
#[test]
fn a_snapshot_that_is_whole_makes_the_log_begin_later() {
    let id = node("n1");
    let mut server = Server::start(&id, disk(&id, &[]));
    let append = |prev: u64, entries: Vec<Entry>| {
        let last = LogIndex(prev + entries.len() as u64);
        Message::AppendEntries(AppendEntries {
            term: Term(1),
            prev_log_index: LogIndex(prev),
            prev_log_term: Term(u64::from(prev > 0)),
            entries,
            leader_commit: last,
            round: Round(0),
        })
    };
    let entry = |index: u64| {
        let payload = Payload::Command(Command { session: None, data: set(index, 900) });
        Entry { index: LogIndex(index), term: Term(1), payload }
    };
    for index in 0..120 {
        server.receives("n2", append(index, vec![entry(index + 1)]));
    }
    let segments = |server: &Server| server.files.keys().filter(|name| name.starts_with("log-")).count();
    let before = segments(&server);
    for (nth, index) in [40, 80, 120].into_iter().enumerate() {
        let snapshot = EntryId { index: LogIndex(index), term: Term(1) };
        server.files.insert(SnapshotFile::Whole(snapshot.index).file_name(), vec![1]);
        server.replica.snapshot_whole(snapshot);
        server.drain();
        assert_eq!(server.replica.consensus().latest_snapshot(), Some(snapshot));
        // The log goes on after the last but one.
        let base = [40, 40, 80][nth];
        assert_eq!(server.replica.consensus().log().base().index, LogIndex(base));
    }
    assert!(segments(&server) < before / 2, "{} of {before} segments", segments(&server));
    let kept: Vec<&FileName> = server.files.keys().filter(|name| name.starts_with("snapshot-")).collect();
    assert_eq!(
        kept,
        [80, 120].map(|index| SnapshotFile::Whole(LogIndex(index)).file_name()).iter().collect::<Vec<_>>()
    );
    let Ok(Recovery::Found(found)) = recover(&server.files, &id, LOG) else { panic!("it is refused") };
    assert_eq!((found.earlier.len(), found.snapshot.unwrap_or_default().index), (1, LogIndex(120)));
    assert_eq!(found.last().index, LogIndex(120));
}

/// The log may say it of the later one at once: the one before is of no more use.
#[test]
fn a_snapshot_that_is_overtaken_before_the_log_says_that_it_is_there_is_removed() {
    let mut server = Server::fresh("n1");
    server.writes_log = false;
    for index in [40, 80, 80] {
        let snapshot = EntryId { index: LogIndex(index), term: Term(1) };
        server.files.insert(SnapshotFile::Whole(snapshot.index).file_name(), vec![1]);
        server.replica.snapshot_whole(snapshot);
        server.drain();
    }
    let kept: Vec<&FileName> = server.files.keys().filter(|name| name.starts_with("snapshot-")).collect();
    assert_eq!(kept, [&SnapshotFile::Whole(LogIndex(80)).file_name()]);
}

/// The log says that a snapshot is there once the entries up to it are on the disk: none of them may follow.
#[test]
fn a_snapshot_that_overtakes_its_entries_is_recorded_after_them() {
    use crate::message::{InstallSnapshot, SnapshotChunk};
    let snapshot = snapshot_file(5, 10);
    let mut follower = Server::fresh("n2");
    let append = |prev: u64, entries: Vec<Entry>| {
        Message::AppendEntries(AppendEntries {
            term: Term(1),
            prev_log_index: LogIndex(prev),
            prev_log_term: Term(u64::from(prev > 0)),
            entries,
            leader_commit: LogIndex(0),
            round: Round(0),
        })
    };
    follower.writes_log = false;
    follower.receives("n1", append(0, vec![noop(1, 1)]));
    follower.receives("n1", append(1, (2..=9).map(|index| noop(index, 1)).collect()));
    let data = Bytes::from(snapshot.1);
    let install =
        |chunk| InstallSnapshot { term: Term(1), round: Round(1), snapshot: snapshot.0, sent: 0, chunk };
    follower.receives("n1", Message::InstallSnapshot(install(None)));
    let chunk = SnapshotChunk { offset: 0, checksum: crate::log::checksum(&data), data, is_last: true };
    follower.receives("n1", Message::InstallSnapshot(install(Some(chunk))));
    assert!(follower.notices.contains(&Notice::SnapshotInstalled { index: snapshot.0.index }));
    follower.writes_log_again();
    let again = follower.restart();
    let consensus = again.replica.consensus();
    assert_eq!(again.replica.failed(), None);
    assert_eq!((consensus.latest_snapshot(), consensus.log().last_index()), (Some(snapshot.0), LogIndex(9)));
}

/// Another is whole before the log could say so of this one.
#[test]
fn a_snapshot_that_is_overtaken_before_it_is_recorded_is_removed() {
    let mut server = Server::fresh("n2");
    let append = AppendEntries {
        term: Term(1),
        prev_log_index: LogIndex(0),
        prev_log_term: Term(0),
        entries: (1..=9).map(|index| noop(index, 1)).collect(),
        leader_commit: LogIndex(9),
        round: Round(0),
    };
    server.writes_log = false;
    server.receives("n1", Message::AppendEntries(append));
    let file = |index: u64| SnapshotFile::Whole(LogIndex(index)).file_name();
    for index in [5, 7, 7] {
        server.files.insert(file(index), vec![1]);
        server.replica.snapshot_whole(EntryId { index: LogIndex(index), term: Term(1) });
        server.drain();
    }
    let there = [5, 7].map(|index| server.files.contains_key(&file(index)));
    assert_eq!((there, server.replica.consensus().latest_snapshot()), ([false, true], None));
    server.writes_log_again();
    assert_eq!(server.replica.consensus().latest_snapshot().map(|kept| kept.index), Some(LogIndex(7)));
}

/// An earlier process left the file of the same snapshot, and the log did not say so yet.
#[test]
fn what_an_earlier_process_left_is_no_reason_to_remove_what_was_taken_since() {
    use crate::message::InstallSnapshot;
    let id = node("n2");
    let command = |index: u64| Payload::Command(Command { session: None, data: set(index, 900) });
    let entry = |index: u64, payload| Record::Entry(Entry { index: LogIndex(index), term: Term(1), payload });
    let mut log: Vec<Record> = (1..=40).map(|index| entry(index, command(index))).collect();
    log.push(entry(41, Payload::Snapshot));
    let mut files = disk(&id, &log);
    let whole = SnapshotFile::Whole(LogIndex(41)).file_name();
    files.insert(whole.clone(), snapshot_file(40, 900).1);
    let mut follower = Server::start(&id, files);
    let heartbeat = AppendEntries {
        term: Term(1),
        prev_log_index: LogIndex(41),
        prev_log_term: Term(1),
        entries: vec![],
        leader_commit: LogIndex(41),
        round: Round(0),
    };
    follower.receives("n1", Message::AppendEntries(heartbeat));
    let taken = |notice: &Notice| matches!(notice, Notice::SnapshotTaken { index: LogIndex(41), .. });
    assert!(follower.notices.iter().any(taken), "{:?}", follower.notices);
    let snapshot = snapshot_file(200, 10).0;
    let install = InstallSnapshot { term: Term(1), round: Round(1), snapshot, sent: 0, chunk: None };
    follower.receives("n1", Message::InstallSnapshot(install));
    let receives = |notice: &Notice| matches!(notice, Notice::ReceivingSnapshot { .. });
    assert!(follower.notices.iter().any(receives), "{:?}", follower.notices);
    assert!(follower.files.contains_key(&whole), "{:?}", follower.files.keys());
    let again = follower.restart();
    assert_eq!(again.replica.failed(), None);
    assert_eq!(again.replica.consensus().latest_snapshot().map(|kept| kept.index), Some(LogIndex(41)));
}

/// A recording of a server whose log begins after a snapshot.
#[test]
fn a_replica_is_resumed_after_a_snapshot() {
    let snapshot = snapshot_file(40, 30_000);
    let server = Server::leader("n1", &snapshot);
    let log = server.replica.consensus().log();
    let beginning = |file: &[u8]| Beginning {
        base: log.base(),
        entries: log.range(LogIndex(1)..=log.last_index()).cloned().collect(),
        snapshot: Some(Bytes::copy_from_slice(file)),
    };
    let resumed =
        |file: &[u8]| Replica::resume(server.replica.checkpoint(), beginning(file), Box::new(Store::new()));
    let again = resumed(&snapshot.1).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.applied_hash(), server.replica.applied_hash());
    assert_eq!(again.checkpoint().base(), server.replica.checkpoint().base());
    let later = resumed(&snapshot_file(41, 10).1).err();
    let (made, begins) = (snapshot.0.index, LogIndex(42));
    assert_eq!(later, Some(ResumeError::TooOld { made, begins }));
    let other = resumed(&snapshot_file(39, 10).1).err();
    assert!(
        matches!(other, Some(ResumeError::OtherState { .. } | ResumeError::LogMissing { .. })),
        "{other:?}"
    );
    let damaged = resumed(&snapshot.1[..snapshot.1.len() - 1]).err();
    assert!(matches!(damaged, Some(ResumeError::Snapshot { .. })), "{damaged:?}");
}

/// A follower whose snapshot had no room asks its leader for another mark once there is room.
#[test]
fn a_follower_takes_the_snapshot_that_had_no_room_once_there_is() {
    let snapshot = snapshot_file(20, 1000);
    let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    exchange(&mut leader, &mut follower, u64::MAX);
    follower.answers_aside = false;
    let (token, deadline) = (Token(1), leader.now + Duration::from_secs(5));
    leader.happens(Event::Administer { token, deadline, task: Task::Snapshot });
    while follower.replica.snapshots().taking.is_none() {
        round(&mut leader, &mut follower, u64::MAX);
    }
    let had = leader.replica.snapshots().index;
    let full = AsideError { kind: AsideErrorKind::NoRoom, reason: "no space left".into() };
    let seq = follower.replica.aside.last;
    follower.answers_aside = true;
    follower.happens(Event::AsideDone { seq, outcome: Err(full) });
    follower.happens(Event::DiskFull { reason: "no space left".into() });
    exchange(&mut leader, &mut follower, u64::MAX);
    assert_eq!(follower.replica.snapshots().problem.as_deref(), Some("no space left"));
    follower.happens(Event::DiskHasRoom);
    for _ in 0..4 {
        round(&mut leader, &mut follower, u64::MAX);
    }
    let (theirs, ours) = (leader.replica.snapshots().index, follower.replica.snapshots());
    assert!(theirs > had);
    assert_eq!((ours.index, ours.problem), (theirs, None));
}
