//! Transfers that are cut off, taken up by others, or overtaken by later snapshots.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::servers::{Server, connect, disk, elect, exchange, node, round, set, snapshot_file};
use crate::disk::SnapshotFile;
use crate::entry::{Command, Entry, Payload};
use crate::log::Record;
use crate::message::{AppendEntries, AppendReply, AppendResult, Message, Round, VoteRefusal, VoteReply};
use crate::replica::{Event, Notice, Role, Token};
use crate::types::{Applied, EntryId, LogIndex, Term};

pub(super) type Snapshot = (EntryId, Vec<u8>);

fn record((snapshot, _): &Snapshot) -> Record {
    let EntryId { index, term } = *snapshot;
    Record::Snapshot { index, term }
}

/// The log since a snapshot, until after another one.
fn log_between(older: &Snapshot, newer: &Snapshot) -> Vec<Record> {
    let entries = (older.0.index.0 + 1..=newer.0.index.0 + 1).map(|index| {
        let data = set(index - 2, 30_000);
        let payload = Payload::Command(Command { session: None, data });
        Record::Entry(Entry { index: LogIndex(index), term: Term(1), payload })
    });
    [record(older)].into_iter().chain(entries).collect()
}

fn server_from(name: &str, log: &[Record], snapshots: &[&Snapshot]) -> Server {
    let id = node(name);
    let mut files = disk(&id, log);
    for (snapshot, file) in snapshots {
        files.insert(SnapshotFile::Whole(snapshot.index).file_name(), file.clone());
    }
    let mut server = Server::start(&id, files);
    server.drain();
    server
}

/// Has two snapshots and the log since the earlier one.
fn server_with(name: &str, older: &Snapshot, newer: &Snapshot) -> Server {
    let mut log = log_between(older, newer);
    log.push(record(newer));
    server_from(name, &log, &[older, newer])
}

/// Elects it in a term above 2 with the votes of n1.
pub(super) fn lead_after_another(server: &mut Server) {
    let ahead = VoteReply { term: Term(2), pre_vote: false, refusal: Some(VoteRefusal::OldTerm) };
    server.receives("n1", Message::VoteReply(ahead));
    server.now = server.now + Duration::from_millis(400);
    server.happens(Event::Tick);
    for pre_vote in [true, false] {
        let vote = VoteReply { term: Term(3), pre_vote, refusal: None };
        server.receives("n1", Message::VoteReply(vote));
    }
    assert_eq!(
        (server.replica.consensus().role(), server.replica.consensus().term()),
        (Role::Leader, Term(3))
    );
}

/// n2 with a part of a snapshot of which it was sent so many bytes, and whose leader's process has died.
pub(super) fn follower_with_a_part(snapshot: &Snapshot, bytes: u64) -> Server {
    let mut follower = Server::fresh("n2");
    let mut first = Server::leader("n1", snapshot);
    connect(&mut first, &mut follower);
    elect(&mut first);
    exchange(&mut first, &mut follower, bytes);
    follower.happens(Event::Disconnected { peer: node("n1"), process_died: true });
    follower.sent.clear();
    follower
}

/// Its process was killed, and another has read what it left.
pub(super) fn restarted(server: Server) -> Server {
    let mut server = server.restart();
    server.drain();
    server
}

fn begun(server: &Server) -> Vec<(u64, u64)> {
    let begins = |notice: &Notice| match notice {
        Notice::ReceivingSnapshot { index, bytes, .. } => Some((index.0, *bytes)),
        _ => None,
    };
    server.notices.iter().filter_map(begins).collect()
}

/// Whether or not the follower's process was killed in between.
#[test]
fn another_leader_goes_on_with_the_snapshot_that_a_follower_has_a_part_of() {
    let (older, newer) = (snapshot_file(200, 30_000), snapshot_file(220, 30_000));
    for is_restarted in [false, true] {
        let mut follower = follower_with_a_part(&older, 3_000_000);
        if is_restarted {
            follower = restarted(follower);
        }
        let mut second = server_with("n3", &older, &newer);
        connect(&mut second, &mut follower);
        lead_after_another(&mut second);
        let before = follower.written();
        exchange(&mut second, &mut follower, u64::MAX);
        assert_eq!(follower.replica.consensus().latest_snapshot(), Some(older.0), "it went on with that");
        assert!(follower.written() - before <= older.1.len() as u64 - 2_900_000, "and not from its start");
        assert_eq!(follower.get(219), second.get(219), "the log did the rest");
    }
}

/// What a leader does not keep is begun anew with what it does, and nothing is left of the part.
#[test]
fn a_part_to_which_nobody_has_the_rest_is_given_up() {
    let (older, newer) = (snapshot_file(200, 30_000), snapshot_file(220, 30_000));
    for is_restarted in [false, true] {
        let mut follower = follower_with_a_part(&older, 3_000_000);
        if is_restarted {
            follower = restarted(follower);
        }
        let mut second = Server::leader("n3", &newer);
        connect(&mut second, &mut follower);
        lead_after_another(&mut second);
        exchange(&mut second, &mut follower, u64::MAX);
        assert_eq!(follower.replica.consensus().latest_snapshot(), Some(newer.0));
        let kept: Vec<_> = follower.files.keys().filter(|name| name.starts_with("snapshot-")).collect();
        assert_eq!(kept, [&SnapshotFile::Whole(newer.0.index).file_name()]);
        let refused = |notice: &Notice| matches!(notice, Notice::SnapshotNotReceived { .. });
        assert!(!follower.notices.iter().any(refused), "the state machine has forgotten the part");
        assert_eq!(follower.replica.applied_hash(), second.replica.applied_hash());
    }
}

/// A file that cannot be told from its header is removed at a start and asked for from its beginning.
#[test]
fn a_part_with_a_damaged_header_is_begun_anew() {
    let snapshot = snapshot_file(200, 30_000);
    let mut follower = follower_with_a_part(&snapshot, 3_000_000);
    let part = SnapshotFile::Part(snapshot.0.index).file_name();
    follower.files.get_mut(&part).expect("a part")[30] ^= 1;
    follower = restarted(follower);
    assert!(!follower.files.contains_key(&part));
    let mut second = Server::leader("n3", &snapshot);
    connect(&mut second, &mut follower);
    lead_after_another(&mut second);
    exchange(&mut second, &mut follower, u64::MAX);
    assert_eq!(begun(&follower), [(201, 0)]);
    assert_eq!(follower.replica.applied_hash(), second.replica.applied_hash());
}

/// Lets n3 say that it has all of a leader's log: so that commits without n2.
fn third_agrees(leader: &mut Server) {
    let consensus = leader.replica.consensus();
    let (term, match_index) = (consensus.term(), consensus.log().last_index());
    let result = AppendResult::Matched { match_index };
    let applied = Applied::default();
    leader.receives("n3", Message::AppendReply(AppendReply { term, round: Round(0), result, applied }));
}

/// A leader's log grows, and it takes a snapshot.
fn grow(leader: &mut Server) {
    let before = leader.replica.consensus().latest_snapshot();
    let deadline = leader.now + Duration::from_secs(60);
    for _ in 0..3 {
        let key = leader.replica.consensus().log().last_index().0;
        let command = Command { session: None, data: set(key, 3_000) };
        leader.happens(Event::Propose { token: Token(key), deadline, command });
    }
    leader.replica.snapshots.marks.want();
    leader.happens(Event::Tick);
    third_agrees(leader);
    assert_ne!(leader.replica.consensus().latest_snapshot(), before, "one more is kept");
}

fn leader_of(snapshot: &Snapshot, follower: &mut Server) -> Server {
    let mut leader = Server::leader("n1", snapshot);
    connect(&mut leader, follower);
    elect(&mut leader);
    third_agrees(&mut leader);
    leader
}

/// A snapshot that is being sent outlives several that are made meanwhile, and the log after it too, until
/// the follower has that. Then both go.
#[test]
fn a_slow_follower_needs_no_second_snapshot() {
    let snapshot = snapshot_file(200, 9_000);
    let mut follower = Server::fresh("n2");
    let mut leader = leader_of(&snapshot, &mut follower);
    for part in 1..=5 {
        exchange(&mut leader, &mut follower, 200_000);
        assert_eq!(follower.replica.last_applied(), LogIndex(0), "not yet, in part {part}");
        grow(&mut leader);
    }
    let installed = |server: &Server| server.replica.consensus().latest_snapshot() == Some(snapshot.0);
    for _ in 0..50 {
        if !installed(&follower) {
            round(&mut leader, &mut follower, u64::MAX);
        }
    }
    assert!(installed(&follower));
    // What was sent of the log is lost with the stream.
    for (server, peer) in [(&mut leader, "n2"), (&mut follower, "n1")] {
        server.sent.clear();
        server.happens(Event::Disconnected { peer: node(peer), process_died: false });
    }
    connect(&mut leader, &mut follower);
    grow(&mut leader);
    exchange(&mut leader, &mut follower, u64::MAX);
    assert_eq!(begun(&follower), [(snapshot.0.index.0, 0)], "one, from its start");
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
    grow(&mut leader);
    assert_eq!(leader.replica.consensus().snapshots.len(), 2);
    assert!(leader.replica.consensus().log().base().index > snapshot.0.index);
}

/// What is kept for a follower that has gone, or gets no further, is bounded.
#[test]
fn an_abandoned_transfer_keeps_no_files_for_ever() {
    let snapshot = snapshot_file(200, 9_000);
    let mut follower = Server::fresh("n2");
    let mut leader = leader_of(&snapshot, &mut follower);
    exchange(&mut leader, &mut follower, 200_000);
    leader.happens(Event::Disconnected { peer: node("n2"), process_died: false });
    let kept: Vec<usize> = (0..5)
        .map(|_| {
            grow(&mut leader);
            leader.replica.consensus().snapshots.len()
        })
        .collect();
    assert_eq!(kept, [2, 3, 4, 2, 2]);
}

/// However steadily it gets on: one that takes longer than that never catches up.
#[test]
fn a_transfer_that_takes_too_long_is_begun_anew() {
    let snapshot = snapshot_file(200, 30_000);
    let mut follower = Server::fresh("n2");
    let mut leader = leader_of(&snapshot, &mut follower);
    let mut most = 0;
    while leader.replica.consensus().oldest_snapshot() == Some(snapshot.0) {
        exchange(&mut leader, &mut follower, 100_000);
        grow(&mut leader);
        most = most.max(leader.replica.consensus().snapshots.len());
    }
    assert_eq!((most, leader.replica.consensus().snapshots.len()), (8, 2));
    exchange(&mut leader, &mut follower, u64::MAX);
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
}

/// A leader that is started again has what it was sending, if it leads once more.
#[test]
fn a_leader_that_is_started_again_goes_on_with_an_old_snapshot() {
    let snapshot = snapshot_file(200, 9_000);
    let mut follower = Server::fresh("n2");
    let mut leader = leader_of(&snapshot, &mut follower);
    exchange(&mut leader, &mut follower, 400_000);
    (0..3).for_each(|_| grow(&mut leader));
    let now = leader.now;
    leader = leader.restart();
    leader.drain();
    leader.now = now;
    follower.happens(Event::Disconnected { peer: node("n1"), process_died: true });
    follower.sent.clear();
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    third_agrees(&mut leader);
    exchange(&mut leader, &mut follower, u64::MAX);
    let sent = leader.notices.iter().filter_map(|notice| match notice {
        Notice::SendingSnapshot { index, bytes, .. } => Some((*index, *bytes)),
        _ => None,
    });
    let [(index, from)] = sent.collect::<Vec<_>>()[..] else { panic!("once: {:?}", leader.notices) };
    assert_eq!(index, snapshot.0.index);
    assert!(from >= 300_000, "from {from}");
    assert_eq!(follower.replica.applied_hash(), leader.replica.applied_hash());
}

/// A follower's part may be of a snapshot that the next leader is still taking: that is waited for.
#[test]
fn a_leader_that_is_not_done_with_a_snapshot_goes_on_with_it_later() {
    let (older, newer) = (snapshot_file(200, 9_000), snapshot_file(220, 9_000));
    let mut follower = follower_with_a_part(&newer, 800_000);
    let mut second = server_with("n3", &older, &newer);
    // That the one before is whole it hears when it has begun.
    second.replica.consensus.snapshots.clear();
    second.replica.consensus.next_snapshot = Some(newer.0);
    second.replica.consensus.keep_snapshot(older.0);
    connect(&mut second, &mut follower);
    lead_after_another(&mut second);
    let before = follower.written();
    for _ in 0..20 {
        round(&mut second, &mut follower, u64::MAX);
    }
    assert_eq!(follower.written(), before, "nothing is sent");
    second.replica.consensus.keep_snapshot(newer.0);
    exchange(&mut second, &mut follower, u64::MAX);
    assert_eq!(begun(&follower).len(), 2, "from the two leaders");
    assert!(begun(&follower)[1].1 >= 700_000, "{:?}", begun(&follower));
    assert_eq!(follower.replica.applied_hash(), second.replica.applied_hash());
}

/// Likewise one at whose index the next leader has yet to arrive. Where it has been there, and took none, it
/// will not.
#[test]
fn a_leader_that_may_take_a_snapshot_yet_is_waited_for() {
    let (older, newer) = (snapshot_file(200, 9_000), snapshot_file(220, 9_000));
    for (applied, may_take_it) in [(201, true), (221, false), (222, false)] {
        let mut follower = follower_with_a_part(&newer, 800_000);
        let mut second = server_from("n3", &log_between(&older, &newer), &[&older]);
        let heartbeat = AppendEntries {
            term: Term(2),
            prev_log_index: LogIndex(222),
            prev_log_term: Term(1),
            entries: vec![],
            leader_commit: LogIndex(applied),
            round: Round(0),
        };
        second.receives("n1", Message::AppendEntries(heartbeat));
        assert_eq!(second.replica.last_applied(), LogIndex(applied));
        connect(&mut second, &mut follower);
        lead_after_another(&mut second);
        let before = follower.written();
        for _ in 0..20 {
            round(&mut second, &mut follower, u64::MAX);
        }
        assert_eq!(follower.written() == before, may_take_it, "where {applied} is applied");
        let installed = follower.replica.consensus().latest_snapshot();
        assert_eq!(installed, (!may_take_it).then_some(older.0));
    }
}
