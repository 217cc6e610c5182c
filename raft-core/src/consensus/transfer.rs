//! Handing leadership over (dissertation §3.10).

use serde::{Deserialize, Serialize};

use super::{Consensus, RoleState};
use crate::message::Message;
use crate::replica::{Role, TaskRefused};
use crate::types::{LogIndex, NodeId, Term, Time};

/// A handover under way: no command is taken until it succeeds or its time is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(super) target: NodeId,
    pub(super) told: bool,
    pub(super) deadline: Time,
}

impl Consensus {
    /// Starts to hand over to a voter that is there: to the one that is named, or to the one that has most of
    /// the log. Where a server has been told to stand already, to that one, since two would split the vote.
    /// Says to whom.
    ///
    /// # Panics
    /// When this server does not lead.
    pub(crate) fn begin_transfer(
        &mut self,
        to: Option<&NodeId>,
        deadline: Time,
    ) -> Result<NodeId, TaskRefused> {
        if let Some(node_id) = to.filter(|to| !self.configuration().contains(to)).cloned() {
            return Err(TaskRefused::NoSuchMember { node_id });
        }
        if let Some(node_id) = to.filter(|to| !self.configuration().is_voter(to)).cloned() {
            return Err(TaskRefused::NotAVoter { node_id });
        }
        let RoleState::Leader(leadership) = &mut self.role else { unreachable!("only a leader hands over") };
        if let Some(told) = leadership.transfer.as_mut().filter(|transfer| transfer.told) {
            told.deadline = deadline;
            return Ok(told.target.clone());
        }
        let current = self.configurations.current();
        let is_meant = |id: &NodeId| to.is_none_or(|to| to == id) && current.is_voter(id);
        let there = leadership
            .progress
            .iter()
            .filter(|(id, progress)| is_meant(id) && self.connected.contains(*id) && progress.answered);
        let priority = |id: &NodeId| current.member(id).map_or(0, |member| member.priority);
        let best = there.max_by_key(|(id, progress)| (progress.match_index, priority(id)));
        let best = best.map(|(id, _)| id.clone());
        let Some(target) = best else {
            leadership.transfer = None;
            return Err(match to.cloned() {
                Some(node_id) => TaskRefused::NotConnected { node_id },
                None => TaskRefused::NobodyThere,
            });
        };
        leadership.transfer = Some(Transfer { target: target.clone(), told: false, deadline });
        Ok(target)
    }

    /// To whom leadership is being handed over.
    pub(crate) fn transfer_target(&self) -> Option<&NodeId> {
        self.leadership()?.transfer.as_ref().map(|transfer| &transfer.target)
    }

    /// Starts to hand over to a voter whose disk has answered for the log up to `stored`, if one is there and
    /// nothing of the kind is under way.
    pub(crate) fn begin_transfer_past(&mut self, stored: LogIndex, deadline: Time) {
        let Some(leadership) = self.leadership().filter(|leadership| leadership.transfer.is_none()) else {
            return;
        };
        let able = leadership.progress.iter().filter(|(id, progress)| {
            let is_there = self.connected.contains(*id) && progress.answered;
            is_there && progress.match_index >= stored && self.configuration().is_voter(id)
        });
        let best = able.max_by_key(|(_, progress)| progress.match_index).map(|(id, _)| id.clone());
        if let Some(best) = best {
            let begun = self.begin_transfer(Some(&best), deadline);
            debug_assert!(begun.is_ok(), "it is a voter and is there");
        }
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
        let disk_is_able = !self.disk.is_hung() && !self.disk.is_full();
        let is_able = matches!(self.role, RoleState::Follower(_)) && self.may_stand() && disk_is_able;
        if term == self.term() && is_able && self.leader() == Some(from) {
            self.stand(Role::Candidate, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::tests::{named, start};
    use super::super::{Configuration, Member, MemberRole, Start};
    use super::*;

    /// To whom `n2` hands over that has `n1` besides, as it is told, when its disk owes all after 5.
    fn successor(role: MemberRole, is_connected: bool, answered: bool, matched: u64) -> Option<NodeId> {
        let members = [("n1", role), ("n2", MemberRole::Voter)]
            .map(|(id, role)| (named(id), Member { role, ..Member::default() }));
        let configuration = Configuration { members: members.into(), ..Configuration::default() };
        let mut consensus = Consensus::new(Start { admitted: true, ..start(configuration) });
        consensus.become_leader();
        if is_connected {
            consensus.peer_connected(&named("n1"));
        }
        let RoleState::Leader(leadership) = &mut consensus.role else { unreachable!("it leads") };
        let progress = leadership.progress.get_mut(&named("n1")).unwrap();
        (progress.answered, progress.match_index) = (answered, LogIndex(matched));
        consensus.begin_transfer_past(LogIndex(5), Time::ZERO);
        consensus.transfer_target().cloned()
    }

    #[test]
    fn a_disk_that_hangs_leaves_the_lead_to_a_voter_that_is_there_and_has_what_it_owes() {
        let (voter, learner) = (MemberRole::Voter, MemberRole::Learner);
        for matched in [5, 6] {
            assert_eq!(successor(voter, true, true, matched), Some(named("n1")));
        }
        for (role, is_connected, answered, matched) in [
            (voter, false, true, 6),
            (voter, true, false, 6),
            (voter, false, false, 6),
            (voter, true, true, 4),
            (voter, false, false, 4),
            (learner, true, true, 6),
        ] {
            let found = successor(role, is_connected, answered, matched);
            assert_eq!(found, None, "{role:?}, connected {is_connected}, answered {answered}, {matched}");
        }
    }
}
