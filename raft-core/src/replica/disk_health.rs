//! A disk that does not answer.
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

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Action, Notice, Role};
use super::storage::Storage;
use super::{Replica, Time};
use crate::message::Message;
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId};

/// How a server's disk does, as far as its replica can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskHealth {
    /// It answers.
    #[default]
    Well,
    /// It has not answered for an election timeout.
    Hung {
        /// When it was given what it has not answered for.
        since: Time,
    },
}

impl DiskHealth {
    /// Whether what has to be stored now may have to wait for nobody knows how long.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        matches!(self, DiskHealth::Hung { .. })
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

    /// When the batch that is under way has taken too long.
    pub(super) fn disk_deadline(&self) -> Option<Time> {
        let in_flight = self.storage.in_flight.as_ref().filter(|_| !self.consensus.disk.is_hung())?;
        Some(in_flight.since + self.disk_patience())
    }

    /// Looks how long the batch that is under way has taken.
    pub(super) fn watch_disk(&mut self) {
        let Some(in_flight) = &self.storage.in_flight else { return };
        let (since, owed, patience) = (in_flight.since, in_flight.last_entry, self.disk_patience());
        let waited = self.now.since(since);
        if waited < patience {
            return;
        }
        if !self.consensus.disk.is_hung() {
            self.consensus.disk = DiskHealth::Hung { since };
            self.consensus.notify(Notice::DiskHangs { waited });
        }
        self.yield_leadership(owed, since + patience * 2);
    }

    /// Gets rid of what a server cannot do whose disk hangs: to lead, and to stand.
    fn yield_leadership(&mut self, owed: LogIndex, deadline: Time) {
        let consensus = &mut self.consensus;
        let is_alone = consensus.others().is_empty();
        match consensus.role() {
            Role::Leader if is_alone || seeded::is(Bug::HungDiskLeads) => {}
            Role::Leader if self.now < deadline => consensus.begin_transfer_past(owed, deadline),
            Role::Leader | Role::Candidate | Role::PreCandidate => consensus.step_down("its disk hangs"),
            Role::Follower | Role::Learner => {}
        }
    }

    /// The disk has answered.
    pub(super) fn disk_answered(&mut self) {
        if let DiskHealth::Hung { since } = core::mem::take(&mut self.consensus.disk) {
            self.consensus.notify(Notice::DiskAnswers { waited: self.now.since(since) });
        }
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
