//! Voting: who gets this server's vote, and who does not.

use super::{Consensus, RoleState};
use crate::message::{RequestVote, VoteRefusal, VoteReply};
use crate::replica::Role;
use crate::seeded::{self, Bug};
use crate::types::NodeId;

impl Consensus {
    /// Answers a candidate. The answer leaves once the vote is durable.
    pub(crate) fn handle_request_vote(&mut self, from: &NodeId, request: &RequestVote) -> VoteReply {
        let refusal = self.reason_to_refuse(from, request);
        if seeded::is(Bug::PreVoteBumpsTerm) && request.pre_vote && request.term > self.term() {
            self.adopt_term(request.term, None, "a candidate is in a later term");
        }
        if refusal.is_none() && !request.pre_vote {
            if request.term > self.term() {
                self.adopt_term(request.term, None, "a candidate is in a later term");
            }
            self.grant(from);
        } else if !request.pre_vote && request.term > self.term() && !self.keeps_its_term(refusal.as_ref()) {
            // Refused for its log alone: the term counts all the same (paper §5.1).
            self.adopt_term(request.term, None, "a candidate is in a later term");
        }
        let term = if request.pre_vote && refusal.is_none() { request.term } else { self.term() };
        VoteReply { term, pre_vote: request.pre_vote, refusal }
    }

    /// Whether a candidate's later term means nothing to this server. Where its disk hangs it is in no hurry
    /// to take up a term that it cannot store, unless it has to stop leading.
    fn keeps_its_term(&self, refusal: Option<&VoteRefusal>) -> bool {
        match refusal {
            Some(VoteRefusal::LeaderAlive { .. } | VoteRefusal::NotAdmitted) => true,
            Some(VoteRefusal::CannotStore) => self.role() != Role::Leader,
            _ => false,
        }
    }

    fn grant(&mut self, candidate: &NodeId) {
        assert!(
            self.hard_state.voted_for.as_ref().is_none_or(|voted_for| voted_for == candidate)
                || seeded::is(Bug::VoteTwice),
            "one vote a term (paper §5.2)"
        );
        if self.hard_state.voted_for.as_ref() != Some(candidate) {
            self.hard_state.voted_for = Some(candidate.clone());
            self.hard_state_changed = true;
        }
        self.reset_election_deadline();
    }

    fn reason_to_refuse(&self, from: &NodeId, request: &RequestVote) -> Option<VoteRefusal> {
        if !self.admission.is_admitted() {
            return Some(VoteRefusal::NotAdmitted);
        }
        if self.disk.is_hung() {
            return Some(VoteRefusal::CannotStore);
        }
        if request.term < self.term() || (request.pre_vote && request.term == self.term()) {
            return Some(VoteRefusal::OldTerm);
        }
        if !request.transfer
            && let Some(leader) = self.living_leader()
        {
            return Some(VoteRefusal::LeaderAlive { leader: leader.clone() });
        }
        if !request.pre_vote
            && request.term == self.term()
            && let Some(candidate) = self.hard_state.voted_for.as_ref().filter(|voted_for| *voted_for != from)
            && !(seeded::is(Bug::VoteTwice) && matches!(self.role, RoleState::Follower(_)))
        {
            return Some(VoteRefusal::VotedFor { candidate: candidate.clone() });
        }
        if !self.log.is_up_to_date(request.last_log_term, request.last_log_index)
            && !seeded::is(Bug::NoUpToDateCheck)
        {
            let (last_log_index, last_log_term) = (self.log.last_index(), self.log.last_term());
            return Some(VoteRefusal::LogBehind { last_log_index, last_log_term });
        }
        None
    }

    /// The leader, while it was heard within the shortest election timeout: a server that cannot hear it
    /// must not depose it (dissertation §4.2.3). A leader counts itself: check-quorum makes it step down when
    /// it has lost its majority.
    fn living_leader(&self) -> Option<&NodeId> {
        match (&self.role, self.leader_heard) {
            (RoleState::Leader(_), _) => Some(&self.id),
            (_, Some(heard)) if self.now.since(heard) < self.timing.election_timeout_min => self.leader(),
            _ => None,
        }
    }
}
