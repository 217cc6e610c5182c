//! Handing leadership over (dissertation §3.10).

use serde::{Deserialize, Serialize};

use super::{Consensus, RoleState};
use crate::message::Message;
use crate::replica::Role;
use crate::types::{LogIndex, NodeId, Term, Time};

/// A handover under way: no command is taken until it succeeds or its time is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(super) target: NodeId,
    pub(super) told: bool,
    pub(super) deadline: Time,
}

impl Consensus {
    /// Starts to hand over to the follower that has most of the log, if this server leads and one is there.
    pub(crate) fn begin_transfer(&mut self, deadline: Time) -> bool {
        let RoleState::Leader(leadership) = &mut self.role else { return false };
        let candidates =
            leadership.progress.iter().filter(|(id, p)| self.connected.contains(*id) && p.answered);
        let best = candidates.max_by_key(|(_, progress)| progress.match_index).map(|(id, _)| id.clone());
        leadership.transfer = best.map(|target| Transfer { target, told: false, deadline });
        leadership.transfer.is_some()
    }

    /// Whether commands are held back because leadership is being handed over.
    pub(crate) fn is_transferring(&self) -> bool {
        self.leadership().is_some_and(|leadership| leadership.transfer.is_some())
    }

    /// Tells the target to stand once it has the whole log.
    pub(super) fn pursue_transfer(&mut self) {
        let (term, last) = (self.term(), self.log.last_index());
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let Some(transfer) = leadership.transfer.as_mut().filter(|transfer| !transfer.told) else { return };
        let matched = leadership.progress.get(&transfer.target).map_or(LogIndex::ZERO, |p| p.match_index);
        if matched == last {
            transfer.told = true;
            let target = transfer.target.clone();
            self.send(&target, Message::TimeoutNow { term });
        }
    }

    /// The leader asks this server to stand, at once and without a pre-vote.
    pub(super) fn handle_timeout_now(&mut self, from: &NodeId, term: Term) {
        if term == self.term() && self.role() == Role::Follower && self.leader() == Some(from) {
            self.stand(Role::Candidate, true);
        }
    }
}
