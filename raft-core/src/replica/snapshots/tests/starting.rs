//! A server whose own snapshot is still being read.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::servers::{Server, disk, node, snapshot_file};
use crate::consensus::Configuration;
use crate::disk::{AsideSeq, SnapshotFile};
use crate::entry::{Entry, Payload};
use crate::log::Record;
use crate::message::{AppendEntries, Message, Round};
use crate::replica::{Event, Role};
use crate::types::{EntryId, LogIndex, Term};

/// With a snapshot, of which nothing is read yet, and this log after it.
fn reading(name: &str, (snapshot, file): (EntryId, Vec<u8>), log: &[Record]) -> Server {
    let id = node(name);
    let EntryId { index, term } = snapshot;
    let records: Vec<Record> = [Record::Snapshot { index, term }].iter().chain(log).cloned().collect();
    let mut files = disk(&id, &records);
    files.insert(SnapshotFile::Whole(index).file_name(), file);
    let mut server = Server { answers_aside: false, ..Server::start(&id, files) };
    server.drain();
    server
}

fn reads_on(server: &mut Server) {
    server.answers_aside = true;
    let outcome = server.asked.last().expect("a read").carry_out(&mut server.files);
    server.happens(Event::AsideDone { seq: AsideSeq(1), outcome });
}

/// Neither when no leader is heard nor at its leader's word: it could not lead. Not even where the log after
/// the snapshot tells who votes.
#[test]
fn a_server_does_not_stand_before_it_has_its_state() {
    let (snapshot, file) = snapshot_file(40, 900);
    let members = Box::new(Configuration::new(["n1", "n2", "n3"].map(node)));
    let (index, term) = (snapshot.index.next(), snapshot.term);
    let tells = Record::Entry(Entry { index, term, payload: Payload::Configuration(members) });
    for log in [vec![], vec![tells]] {
        let mut server = reading("n1", (snapshot, file.clone()), &log);
        let role = |server: &Server| server.replica.consensus().role();
        assert_eq!(server.replica.consensus().knows_configuration(), !log.is_empty());
        let (prev_log_index, prev_log_term) = (LogIndex(snapshot.index.0 + log.len() as u64), term);
        let heard = AppendEntries {
            term: Term(2),
            prev_log_index,
            prev_log_term,
            entries: vec![],
            leader_commit: snapshot.index,
            round: Round(1),
        };
        server.receives("n2", Message::AppendEntries(heard));
        server.receives("n2", Message::TimeoutNow { term: Term(2) });
        assert_eq!(role(&server), Role::Follower, "its leader wants it to");
        for _ in 0..3 {
            server.now = server.now + Duration::from_millis(400);
            server.happens(Event::Tick);
            assert_eq!(role(&server), Role::Follower, "no leader is heard");
        }
        reads_on(&mut server);
        assert!(server.replica.consensus().knows_configuration());
        server.now = server.now + Duration::from_millis(400);
        server.happens(Event::Tick);
        assert_eq!(role(&server), Role::PreCandidate);
    }
}
