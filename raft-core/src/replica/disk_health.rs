//! A disk that does not answer, or has no room.
//!
//! A batch that has not been answered for an election timeout counts as hung. What is appended meanwhile may
//! well be committed, by the disks of the others; but nothing that this server would have to store first can
//! be said, and nobody knows whether the disk will ever answer. So a server whose disk hangs
//!
//! - hands over, if it leads, to a follower whose disk has answered for what its own owes (dissertation
//!   §3.10: the order to stand rests on no new hard state), and steps down where that does not succeed
//!   within another election timeout;
//! - does not stand and gives no vote, since it could store neither;
//! - goes on passing its clients' requests to the leader, which rests on nothing stored either;
//! - says so, and is as before once the disk answers.
//!
//! A disk without room for the log's next segment has lost nothing and goes on taking what the segment in use
//! has room for. So a server whose disk is full votes and follows as far as that goes. If it leads, it has a
//! snapshot taken, which may make room, and hands over; where nobody takes over it goes on leading, answers
//! questions, and takes no more commands. It stands only after all others had the time to, and declines to be
//! handed leadership. Where a snapshot had no room, another is wanted as soon as there is room again.

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Action, Notice, Role};
use super::storage::Storage;
use super::{Replica, Time};
use crate::message::Message;
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId};

/// How long a leader without room waits, where nobody has taken over, until it tries again.
const MAKE_WAY_AGAIN: Duration = Duration::from_secs(2);

/// The log before the last snapshot but one is dispensable: so many give room that the first alone does not.
const SNAPSHOTS_FOR_ROOM: u8 = 2;

/// How a server's disk does, as far as its replica can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskHealth {
    /// When it was given what it has not answered for, once that took an election timeout.
    pub hung_since: Option<Time>,
    /// What it has no room for, in words for the operator.
    pub full: Option<String>,
    /// When a leader whose disk is full next tries to make room and to hand over.
    make_way_at: Time,
    /// Snapshots that it may yet have taken to make room.
    snapshots_left: u8,
}

impl DiskHealth {
    /// Whether what has to be stored now may have to wait for nobody knows how long.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        self.hung_since.is_some()
    }

    /// Whether there is no room for the log's next segment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.is_some()
    }
}

impl Replica {
    /// How this server's disk does.
    #[must_use]
    pub fn disk_health(&self) -> &DiskHealth {
        &self.consensus.disk
    }

    /// How long a disk may take for a batch. The longest election timeout: the others would wait no longer
    /// for a leader that is silent.
    fn disk_patience(&self) -> Duration {
        self.consensus.timing.election_timeout_max
    }

    /// When the batch that is under way has taken too long, or a leader may try again to make room.
    pub(super) fn disk_deadline(&self) -> Option<Time> {
        let disk = &self.consensus.disk;
        if disk.is_hung() {
            return None;
        }
        let too_long = self.storage.in_flight.as_ref().map(|batch| batch.since + self.disk_patience());
        let leads = self.consensus.role() == Role::Leader;
        let make_way = (leads && disk.is_full() && disk.snapshots_left > 0).then_some(disk.make_way_at);
        too_long.into_iter().chain(make_way).min()
    }

    /// Looks how long the batch that is under way has taken.
    pub(super) fn watch_disk(&mut self) {
        self.make_way_for_room();
        let Some(in_flight) = &self.storage.in_flight else { return };
        let (since, owed, patience) = (in_flight.since, in_flight.last_entry, self.disk_patience());
        let waited = self.now.since(since);
        if waited < patience {
            return;
        }
        if !self.consensus.disk.is_hung() {
            self.consensus.disk.hung_since = Some(since);
            self.consensus.notify(Notice::DiskHangs { waited });
        }
        self.yield_leadership(owed, since + patience * 2);
    }

    /// Gets rid of what a server cannot do whose disk hangs: to lead, and to stand.
    fn yield_leadership(&mut self, owed: LogIndex, deadline: Time) {
        let is_alone = self.is_only_voter();
        let consensus = &mut self.consensus;
        match consensus.role() {
            Role::Leader if is_alone || seeded::is(Bug::HungDiskLeads) => {}
            Role::Leader if self.now < deadline => consensus.begin_transfer_past(owed, deadline),
            Role::Leader | Role::Candidate | Role::PreCandidate => consensus.step_down("its disk hangs"),
            Role::Follower | Role::Learner => {}
        }
    }

    /// The disk has answered.
    pub(super) fn disk_answered(&mut self) {
        if let Some(since) = self.consensus.disk.hung_since.take() {
            self.consensus.notify(Notice::DiskAnswers { waited: self.now.since(since) });
        }
    }

    /// The disk has no room for the next segment, as `reason` says.
    pub(super) fn disk_full(&mut self, reason: String) {
        let disk = &mut self.consensus.disk;
        if disk.full.replace(reason.clone()).is_none() {
            (disk.make_way_at, disk.snapshots_left) = (self.now, SNAPSHOTS_FOR_ROOM);
            self.consensus.notify(Notice::DiskFull { reason });
            self.make_way_for_room();
        }
    }

    /// The disk has room again.
    pub(super) fn disk_has_room(&mut self) {
        if self.consensus.disk.full.take().is_some() {
            self.consensus.notify(Notice::DiskHasRoom);
            if self.snapshots.marks.has_failed() {
                self.snapshots.marks.want();
            }
        }
    }

    /// Has a snapshot taken and hands over, if this server leads and its disk is full: what the snapshot
    /// makes dispensable of the log may be room enough.
    fn make_way_for_room(&mut self) {
        let leads = self.consensus.role() == Role::Leader && !self.consensus.is_transferring();
        let disk = &mut self.consensus.disk;
        if !leads || !disk.is_full() || disk.is_hung() || disk.make_way_at > self.now {
            return;
        }
        disk.make_way_at = self.now + MAKE_WAY_AGAIN;
        if disk.snapshots_left > 0 {
            disk.snapshots_left -= 1;
            self.snapshots.marks.want();
            self.mark_snapshot();
        }
        if !self.is_only_voter() {
            // Where nobody is there, somebody may be the next time.
            let _ = self.consensus.begin_transfer(None, self.now + self.disk_patience());
        }
    }

    fn is_only_voter(&self) -> bool {
        self.consensus.configuration().voters().all(|id| *id == self.consensus.id)
    }
}

impl Storage {
    /// What of the messages that wait for the disk need not, and may leave while it hangs.
    pub(super) fn take_unfounded(&mut self) -> impl Iterator<Item = Action> {
        let (may_leave, held) = core::mem::take(&mut self.held)
            .into_iter()
            .partition::<alloc::vec::Vec<_>, _>(|(.., message)| rests_on_nothing(message));
        self.held = held.into();
        may_leave.into_iter().map(|(_, to, message)| Action::Send { to, message })
    }

    /// Lets go of a message that waits and that a later one to the same peer makes pointless: nobody knows
    /// how long the disk will hang.
    pub(super) fn forget_outdated(&mut self, later: &Message, peer: &NodeId) {
        let is_outdated = |message: &Message| {
            matches!(
                (message, later),
                (Message::AppendReply(_), Message::AppendReply(_))
                    | (Message::VoteReply(_), Message::VoteReply(_))
                    | (Message::Welcome { .. }, Message::Welcome { .. })
            )
        };
        self.held.retain(|(_, to, message)| to != peer || !is_outdated(message));
    }
}

/// Whether a message says nothing that this server would have to remember after a crash.
fn rests_on_nothing(message: &Message) -> bool {
    matches!(
        message,
        Message::Hello(_)
            | Message::Forward { .. }
            | Message::ReadIndex { .. }
            | Message::Administer { .. }
            | Message::TimeoutNow { .. }
    )
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::*;
    use crate::consensus::{Configuration, Timing};
    use crate::entry::{Command, Payload};
    use crate::kv::Store;
    use crate::log::{Identity, LogOptions, create};
    use crate::replica::{Event, Options, Refused, Reply, SnapshotEvery, Stored, Token};
    use crate::types::Incarnation;

    /// A server on its own, which leads.
    fn leader() -> Replica {
        let id = NodeId::new("n1").unwrap();
        let identity = Identity::new(id.clone(), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let options = Options {
            configuration: Configuration::new([id]),
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let mut replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        settle(&mut replica);
        while replica.consensus.role() != Role::Leader {
            let due = replica.deadline();
            replica.step(due, Event::Tick);
            settle(&mut replica);
        }
        replica
    }

    /// The disk answers for all that it is given in the log; what is said to clients comes back.
    fn settle(replica: &mut Replica) -> Vec<Reply> {
        let mut said = Vec::new();
        loop {
            let actions = replica.drain();
            let written = actions.iter().any(|action| matches!(action, Action::Disk(batch) if batch.sync));
            for action in actions {
                match action {
                    Action::Disk(batch) if batch.sync => {
                        replica.step(replica.now, Event::Persisted(batch.seq))
                    }
                    Action::Answer { reply, .. } => said.push(reply),
                    _ => {}
                }
            }
            if !written {
                return said;
            }
        }
    }

    fn marks(replica: &Replica) -> usize {
        let log = replica.consensus.log();
        log.range(log.first_index()..=log.last_index())
            .filter(|entry| entry.payload == Payload::Snapshot)
            .count()
    }

    #[test]
    fn a_leader_without_room_has_a_snapshot_taken_and_takes_no_commands() {
        let mut replica = leader();
        assert_eq!(marks(&replica), 0);
        replica.step(replica.now, Event::DiskFull { reason: "no room".into() });
        settle(&mut replica);
        assert_eq!(marks(&replica), 1);
        let command = Command { session: None, data: Bytes::new() };
        let deadline = replica.now + Duration::from_secs(9);
        replica.step(replica.now, Event::Propose { token: Token(1), deadline, command: command.clone() });
        assert_eq!(settle(&mut replica), [Reply::Refused(Refused::DiskFull)]);
        replica.step(replica.now, Event::DiskHasRoom);
        replica.step(replica.now, Event::Propose { token: Token(2), deadline, command });
        assert!(matches!(settle(&mut replica)[..], [Reply::Done(_)]));
    }

    /// Those before the last two are all that it can do without.
    #[test]
    fn a_leader_without_room_tries_twice_to_make_some() {
        let mut replica = leader();
        assert_eq!(replica.disk_deadline(), None);
        let mut now = replica.now;
        replica.step(now, Event::DiskFull { reason: "no room".into() });
        settle(&mut replica);
        assert_eq!(replica.consensus.disk.snapshots_left, 1);
        assert_eq!(replica.disk_deadline(), Some(now + MAKE_WAY_AGAIN));
        for _ in 0..3 {
            now = now + MAKE_WAY_AGAIN;
            replica.step(now, Event::Tick);
            settle(&mut replica);
            assert_eq!(replica.consensus.disk.snapshots_left, 0);
            assert_eq!(replica.disk_deadline(), None, "there is nothing to come back for");
        }
    }

    #[test]
    fn a_server_on_its_own_leads_however_long_its_disk_hangs() {
        let mut replica = leader();
        let since = replica.now;
        let command = Command { session: None, data: Bytes::new() };
        let deadline = since + Duration::from_secs(9);
        replica.step(since, Event::Propose { token: Token(1), deadline, command });
        let batches = replica.drain();
        for times in 1..=3 {
            replica.step(since + replica.disk_patience() * times, Event::Tick);
            assert!(replica.disk_health().is_hung());
            assert_eq!(replica.consensus.role(), Role::Leader, "after {times} election timeouts");
        }
        let given = batches.iter().find_map(|action| match action {
            Action::Disk(batch) => Some(batch.seq),
            _ => None,
        });
        replica.step(replica.now, Event::Persisted(given.expect("the command is written")));
        assert!(matches!(settle(&mut replica)[..], [Reply::Done(_)]));
    }
}
