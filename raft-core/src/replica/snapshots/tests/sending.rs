//! The leader's side: who gets which part, and when it is not sent.

use alloc::vec::Vec;

use super::servers::{Server, connect, elect, node, round, snapshot_file};
use crate::consensus::Timing;
use crate::disk::{AsideOp, SnapshotFile};
use crate::message::{AppendReply, AppendResult, InstallReply, Message, Received, Round};
use crate::replica::{Event, Notice};
use crate::types::{Applied, EntryId, LogIndex, NodeId, Term};

/// A follower says what it has of a snapshot.
fn says(leader: &mut Server, peer: &str, snapshot: EntryId, received: Received) {
    let term = leader.replica.consensus().term();
    let reply = InstallReply { term, round: Round(0), snapshot, received };
    leader.receives(peer, Message::InstallReply(reply));
}

/// A follower with an empty log is connected, and has nothing of the snapshot.
fn begins(leader: &mut Server, peer: &str, snapshot: EntryId) {
    leader.happens(Event::Connected { peer: node(peer) });
    let (term, rejected) = (leader.replica.consensus().term(), snapshot.index);
    let result = AppendResult::Conflict { rejected, hint_index: LogIndex(0), hint_term: Term(0) };
    let refusal = AppendReply { term, round: Round(0), result, applied: Applied::default() };
    leader.receives(peer, Message::AppendReply(refusal));
    says(leader, peer, snapshot, Received::UpTo(0));
}

/// The chunks that were sent: to whom, and from which byte on.
fn chunks(leader: &Server) -> Vec<(NodeId, u64)> {
    let chunk = |(to, message): &(NodeId, Message)| match message {
        Message::InstallSnapshot(install) => Some((to.clone(), install.chunk.as_ref()?.offset)),
        _ => None,
    };
    leader.sent.iter().filter_map(chunk).collect()
}

/// A leader of whom the disk is reading the first chunk for n2.
fn leader_that_reads(snapshot: &(EntryId, Vec<u8>)) -> Server {
    let mut leader = Server::leader("n1", snapshot);
    elect(&mut leader);
    leader.answers_aside = false;
    begins(&mut leader, "n2", snapshot.0);
    assert!(matches!(leader.asked.last(), Some(AsideOp::Read { offset: 0, .. })));
    leader
}

#[test]
fn followers_get_their_chunks_by_turns() {
    let snapshot = snapshot_file(40, 30_000);
    let mut leader = leader_that_reads(&snapshot);
    begins(&mut leader, "n3", snapshot.0);
    leader.answers_aside_again();
    let sent = chunks(&leader);
    assert_eq!(sent.len(), 10, "all of it, to both");
    for (nth, (to, offset)) in (0..).zip(sent) {
        assert_eq!((to, offset), (node(["n2", "n3"][nth % 2]), (nth as u64 / 2) << 18));
    }
}

/// Much can happen while the disk reads.
#[test]
fn a_chunk_that_nobody_wants_any_more_is_not_sent() {
    let snapshot = snapshot_file(40, 30_000);
    let is_gone = || Event::Disconnected { peer: node("n2"), process_died: false };
    type Meanwhile<'a> = &'a dyn Fn(&mut Server);
    let cases: [(&str, Meanwhile<'_>); 4] = [
        ("another part is wanted", &|leader| says(leader, "n2", snapshot.0, Received::From(100))),
        ("all is refused", &|leader| says(leader, "n2", snapshot.0, Received::Refused)),
        ("the stream ends", &|leader| leader.happens(is_gone())),
        ("another stream begins", &|leader| {
            leader.happens(is_gone());
            leader.happens(Event::Connected { peer: node("n2") });
        }),
    ];
    for (case, meanwhile) in cases {
        let mut leader = leader_that_reads(&snapshot);
        meanwhile(&mut leader);
        leader.aside_is_done();
        assert_eq!(chunks(&leader), [], "{case}");
    }
}

/// Neither what cannot be read here nor what the follower will not have is tried over and over.
#[test]
fn a_snapshot_that_cannot_be_sent_is_tried_again_after_ten_election_timeouts() {
    let snapshot = snapshot_file(40, 30_000);
    let name = SnapshotFile::Whole(snapshot.0.index).file_name();
    for is_damaged in [false, true] {
        let (mut leader, mut follower) = (Server::leader("n1", &snapshot), Server::fresh("n2"));
        connect(&mut leader, &mut follower);
        elect(&mut leader);
        leader.files.remove(&name);
        if is_damaged {
            let mut damaged = snapshot.1.clone();
            damaged[600_000] ^= 1;
            leader.files.insert(name.clone(), damaged);
        }
        let fails = |notice: &Notice| {
            matches!(notice, Notice::SnapshotNotSent { .. } | Notice::SnapshotNotReceived { .. })
        };
        while !leader.notices.iter().chain(&follower.notices).any(fails) {
            round(&mut leader, &mut follower, u64::MAX);
        }
        let told = leader.notices.iter().any(|notice| matches!(notice, Notice::SnapshotNotSent { .. }));
        assert_eq!(told, !is_damaged);
        leader.files.insert(name.clone(), snapshot.1.clone());
        let (before, since) = (follower.written(), leader.now);
        while follower.written() == before {
            round(&mut leader, &mut follower, u64::MAX);
        }
        assert_eq!(leader.now.since(since), Timing::default().election_timeout_max * 10);
    }
}
