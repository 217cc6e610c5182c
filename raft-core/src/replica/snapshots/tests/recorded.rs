//! A recording is done again with the log as it is by then, which may begin later than it did.

use alloc::boxed::Box;
use core::time::Duration;

use super::super::super::{Beginning, Event, Task, Token};
use super::servers::{Server, connect, elect, exchange, node, set, snapshot_file};
use crate::disk::SnapshotFile;
use crate::entry::Command;
use crate::kv::Store;
use crate::message::{InstallReply, Message, Received, Round};
use crate::record::{Summary, replay};
use crate::types::EntryId;

/// What the second follower does meanwhile.
#[derive(PartialEq, Eq)]
enum Other {
    Follows,
    /// It is not heard of any more.
    Lags,
    /// It would rather go on with an earlier snapshot than the leader has by the end.
    HasAPart,
    /// With one that the leader still has then.
    HasAPartOfTheNext,
}

struct Cluster {
    leader: Server,
    follower: Server,
    other: Option<Server>,
    keys: u64,
}

impl Cluster {
    fn exchange(&mut self) {
        exchange(&mut self.leader, &mut self.follower, u64::MAX);
        if let Some(other) = &mut self.other {
            exchange(&mut self.leader, other, u64::MAX);
        }
    }

    fn work(&mut self) {
        for _ in 0..3 {
            self.keys += 1;
            let (token, deadline) = (Token(self.keys), self.leader.now + Duration::from_secs(5));
            let command = Command { session: None, data: set(self.keys, 10) };
            self.leader.happens(Event::Propose { token, deadline, command });
            self.exchange();
        }
    }

    fn take_snapshot(&mut self) -> EntryId {
        let before = self.leader.replica.snapshots().index;
        self.keys += 1;
        let (token, deadline) = (Token(self.keys), self.leader.now + Duration::from_secs(5));
        self.leader.happens(Event::Administer { token, deadline, task: Task::Snapshot });
        for _ in 0..4 {
            self.exchange();
        }
        assert!(self.leader.replica.snapshots().index > before, "it has another");
        self.leader.replica.consensus().latest_snapshot().expect("it has one")
    }
}

/// A leader takes a snapshot in its first file, and another in its second; then comes a third file.
fn done_again(what: &Other) -> Summary {
    let first = snapshot_file(20, 100);
    let (mut leader, mut follower) = (Server::leader("n1", &first), Server::fresh("n2"));
    let mut other = Server::fresh("n3");
    connect(&mut leader, &mut follower);
    connect(&mut leader, &mut other);
    elect(&mut leader);
    let mut cluster = Cluster { leader, follower, other: Some(other), keys: 100 };
    cluster.exchange();
    if *what == Other::Lags {
        cluster.leader.happens(Event::Disconnected { peer: node("n3"), process_died: false });
        cluster.other = None;
    }
    cluster.leader.record();
    cluster.work();
    let next = cluster.take_snapshot();
    cluster.leader.record();
    cluster.work();
    let part = match what {
        Other::HasAPart => Some(first.0),
        Other::HasAPartOfTheNext => Some(next),
        Other::Follows | Other::Lags => None,
    };
    if let Some(snapshot) = part {
        let term = cluster.leader.replica.consensus().term();
        let reply = InstallReply { term, round: Round(0), snapshot, received: Received::Unknown };
        cluster.leader.receives("n3", Message::InstallReply(reply));
    }
    cluster.take_snapshot();
    cluster.leader.record();
    cluster.work();

    let leader = &cluster.leader;
    let log = leader.replica.consensus().log();
    assert!(log.base().index > first.0.index, "its log begins later");
    let beginning = Beginning {
        base: log.base(),
        entries: log.range(log.first_index()..=log.last_index()).cloned().collect(),
        snapshot: leader
            .files
            .get(&SnapshotFile::Whole(log.base().index).file_name())
            .cloned()
            .map(Into::into),
    };
    let (_, files) = leader.recording.as_ref().expect("it was recorded");
    let mut machine = || -> Box<dyn crate::state_machine::StateMachine> { Box::new(Store::new()) };
    let again = replay(&files.concat(), Some(beginning), "1", &mut machine, &mut |_, _| {});
    let summary = again.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.applied_hash, leader.replica.applied_hash());
    summary
}

#[test]
fn a_file_from_when_the_log_began_earlier_is_done_again_where_nobody_misses_that() {
    assert_eq!(done_again(&Other::Follows).passed_over, 1, "but for one before the snapshot");
    assert_eq!(done_again(&Other::HasAPartOfTheNext).passed_over, 1, "that can be sent on");
    assert_eq!(done_again(&Other::Lags).passed_over, 2, "entries were sent");
    assert_eq!(done_again(&Other::HasAPart).passed_over, 2, "a snapshot was sent on");
}
