//! The follower's side: what it takes, what it says of it, and when it gives it up.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::super::restoring::Restoring;
use super::interrupted::{Snapshot, follower_with_a_part, restarted};
use super::noop;
use super::servers::{Server, connect, elect, node, round, snapshot_file};
use crate::disk::{AsideError, AsideErrorKind, AsideOp, SnapshotFile};
use crate::kv::Store;
use crate::log::checksum;
use crate::message::{AppendEntries, InstallSnapshot, Message, Received, Round, SnapshotChunk};
use crate::replica::sessions::Sessions;
use crate::replica::{Action, Event, Notice};
use crate::types::{EntryId, Incarnation, LogIndex, Term};

/// Bytes of a chunk.
const CHUNK: usize = 256 << 10;

/// Without a chunk, from a leader that has sent so much of it.
fn offer(term: u64, snapshot: EntryId, sent: u64) -> Message {
    let install = InstallSnapshot { term: Term(term), round: Round(1), snapshot, sent, chunk: None };
    Message::InstallSnapshot(install)
}

/// With the chunk that begins there.
fn chunk(term: u64, (snapshot, file): &Snapshot, offset: u64) -> Message {
    let start = usize::try_from(offset).expect("small");
    let end = file.len().min(start + CHUNK);
    let data = Bytes::copy_from_slice(&file[start..end]);
    let (checksum, is_last) = (checksum(&data), end == file.len());
    let chunk = Some(SnapshotChunk { offset, checksum, data, is_last });
    let (snapshot, sent) = (*snapshot, end as u64);
    let install = InstallSnapshot { term: Term(term), round: Round(1), snapshot, sent, chunk };
    Message::InstallSnapshot(install)
}

/// Entries up to here, of which the leader has committed all.
fn log_up_to(term: u64, last: LogIndex) -> Message {
    Message::AppendEntries(AppendEntries {
        term: Term(term),
        prev_log_index: LogIndex(0),
        prev_log_term: Term(0),
        entries: (1..=last.0).map(|index| noop(index, 1)).collect(),
        leader_commit: last,
        round: Round(0),
    })
}

/// The snapshot that it is receiving, and how much of it is there.
fn part(server: &Server) -> Option<(LogIndex, u64)> {
    server.replica.snapshots().receiving.map(|part| (part.index, part.bytes))
}

fn not_received(server: &Server) -> Vec<&Notice> {
    server.notices.iter().filter(|notice| matches!(notice, Notice::SnapshotNotReceived { .. })).collect()
}

#[test]
fn a_server_reads_its_own_snapshot_before_it_receives_one() {
    let (own, offered) = (snapshot_file(40, 30_000), snapshot_file(200, 10).0);
    let server = Server::leader("n2", &own);
    let mut server = Server { answers_aside: false, ..Server::start(&server.id, server.files) };
    server.happens(Event::Tick);
    server.receives("n1", offer(2, offered, 0));
    let answers = server.takes(&node("n1"));
    let [Message::InstallReply(answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.received, part(&server)), (Received::Unknown, None));
    server.answers_aside_again();
    server.receives("n1", offer(2, offered, 0));
    assert_eq!(part(&server), Some((offered.index, 0)));
}

/// What a server has a part of, the sender may have the rest of. A chunk from the start says that it has not.
#[test]
fn another_snapshot_is_taken_from_its_start_alone() {
    let (older, newer) = (snapshot_file(20, 30_000), snapshot_file(40, 30_000));
    let mut follower = follower_with_a_part(&older, 300_000);
    let had = part(&follower).expect("a part");
    follower.receives("n3", chunk(3, &newer, had.1));
    assert_eq!((part(&follower), follower.written()), (Some(had), had.1));
    follower.receives("n3", chunk(3, &newer, 0));
    assert_eq!(part(&follower), Some((newer.0.index, 0)));

    for (offset, taken) in [(had.1, &older), (0, &newer)] {
        let mut follower = restarted(follower_with_a_part(&older, 300_000));
        follower.receives("n3", chunk(3, &newer, offset));
        assert_eq!(part(&follower).map(|part| part.0), Some(taken.0.index), "after a chunk at {offset}");
    }
}

/// Where the log was enough after all, whether the part is of this process or an earlier one.
#[test]
fn a_part_of_what_is_committed_is_of_no_use() {
    let (older, newer) = (snapshot_file(20, 30_000), snapshot_file(40, 30_000));
    let file = SnapshotFile::Part(older.0.index).file_name();
    let mut follower = follower_with_a_part(&older, 300_000);
    assert!(follower.files.contains_key(&file) && !follower.replica.has_checkpoint());
    follower.receives("n3", log_up_to(3, older.0.index));
    assert_eq!((part(&follower), follower.files.contains_key(&file)), (None, false));
    assert!(follower.replica.has_checkpoint());

    let mut follower = restarted(follower_with_a_part(&older, 300_000));
    follower.receives("n3", log_up_to(3, older.0.index));
    follower.receives("n3", offer(3, newer.0, 0));
    assert_eq!(part(&follower), Some((newer.0.index, 0)), "it does not begin with that");
}

/// The disk may still be at work for one that was given up.
#[test]
fn what_becomes_of_an_earlier_part_is_nothing_to_a_later_one() {
    let (older, newer) = (snapshot_file(20, 30_000), snapshot_file(40, 30_000));
    let mut follower = follower_with_a_part(&older, 300_000);
    let had = part(&follower).expect("a part");
    follower.answers_aside = false;
    follower.receives("n1", chunk(2, &older, had.1));
    assert!(matches!(follower.asked.last(), Some(AsideOp::Write { .. })));
    follower.receives("n3", chunk(3, &newer, 0));
    follower.answers_aside = true;
    let full = AsideError { kind: AsideErrorKind::NoRoom, reason: "no space left".into() };
    follower.happens(Event::AsideDone { seq: follower.replica.aside.last, outcome: Err(full) });
    assert_eq!((part(&follower), not_received(&follower)), (Some((newer.0.index, 0)), vec![]));
}

/// So that it does not send on and on to one whose state machine is slow. All that has come is durable here.
#[test]
fn a_leader_hears_of_what_the_state_machine_keeps_up_with() {
    let snapshot = snapshot_file(200, 30_000);
    let mut follower = Server::fresh("n2");
    follower.receives("n1", offer(2, snapshot.0, 0));
    let (from, incarnation, now) = (node("n1"), Incarnation(1), follower.now);
    let arrives = |message| Event::Received { from: from.clone(), incarnation, message };
    for nth in 0..20 {
        follower.replica.step(now, arrives(chunk(2, &snapshot, nth * CHUNK as u64)));
    }
    let mut written = 0;
    while written < 20 {
        for action in follower.replica.drain() {
            if let Action::Aside { seq, op } = action {
                let outcome = op.carry_out(&mut follower.files);
                follower.replica.step(now, Event::AsideDone { seq, outcome });
                written += 1;
            }
        }
    }
    assert_eq!(follower.replica.deadline(), now, "it comes back to the rest of itself");
    let sent = 20 * CHUNK as u64;
    follower.replica.step(now, arrives(offer(2, snapshot.0, sent)));
    let said = follower.replica.drain().into_iter().find_map(|action| match action {
        Action::Send { message: Message::InstallReply(reply), .. } => Some(reply.received),
        _ => None,
    });
    let Some(Received::UpTo(told)) = said else { panic!("{said:?}") };
    assert!((3 << 20..5 << 20).contains(&told), "{told} of {sent} bytes");
    follower.drain();
    follower.sent.clear();
    follower.receives("n1", offer(2, snapshot.0, sent));
    let answers = follower.takes(&node("n1"));
    let [Message::InstallReply(answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(answer.received, Received::UpTo(sent));
}

/// Its file never gets the name of one that is whole.
#[test]
fn a_snapshot_that_ends_too_early_is_refused() {
    let snapshot = snapshot_file(40, 30_000);
    let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
    let name = SnapshotFile::Whole(snapshot.0.index).file_name();
    leader.files.get_mut(&name).expect("its file").truncate(snapshot.1.len() - 10);
    connect(&mut leader, &mut follower);
    elect(&mut leader);
    while not_received(&follower).is_empty() {
        round(&mut leader, &mut follower, u64::MAX);
    }
    assert!(!follower.asked.iter().any(|op| matches!(op, AsideOp::Finish { .. })));
    let told: Vec<_> = not_received(&follower).into_iter().map(crate::story::notice).collect();
    let expected = "snapshot-00000000000000000041.part ends before its end mark";
    assert!(told[0].contains(expected), "{told:?}");
}

#[test]
fn little_is_taken_in_at_a_time() {
    let (_, file) = snapshot_file(40, 30_000);
    let (mut machine, mut sessions) = (Store::new(), Sessions::new());
    let mut restoring = Restoring::new("the snapshot".into());
    restoring.feed(file.into());
    while restoring.has_more() {
        let before = restoring.verified();
        assert!(restoring.work(&mut machine, &mut sessions).is_ok());
        let taken = restoring.verified() - before;
        assert!(taken < 200 << 10, "{taken} bytes");
    }
    assert!(restoring.is_whole());
}
