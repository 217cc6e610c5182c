//! Elections: when a server stands, and how it wins (paper §5.2, dissertation §9.6).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use rand_chacha::rand_core::Rng;

use super::{Consensus, Following, RoleState, Votes};
use crate::message::{Message, RequestVote, VoteReply};
use crate::replica::{Notice, Role};
use crate::seeded::{self, Bug};
use crate::types::{NodeId, Term};

/// After a leader's process died, the follower with the lowest id stands at once, the next one this much
/// later, and so on: long enough for the first to win, so that they do not split the vote.
const STAGGER: Duration = Duration::from_millis(12);

impl Consensus {
    /// Draws a new election timeout (paper §5.2: randomised, so that split votes are rare).
    pub(super) fn reset_election_deadline(&mut self) {
        let (min, max) = (self.timing.election_timeout_min, self.timing.election_timeout_max);
        let spread = u64::try_from((max - min).as_micros()).unwrap_or(u64::MAX).max(1);
        let timeout = min + Duration::from_micros(self.rng.next_u64() % spread);
        self.election_deadline = self.now + timeout + self.reluctance();
    }

    /// How much longer this server waits until it stands: one whose disk is full should not lead if another
    /// can.
    fn reluctance(&self) -> Duration {
        if self.disk.is_full() { self.timing.election_timeout_max } else { Duration::ZERO }
    }

    /// It does not stand yet: who votes is still on its way from its snapshot.
    pub(crate) fn put_election_off(&mut self) {
        if self.now >= self.election_deadline {
            self.reset_election_deadline();
        }
    }

    /// No leader was heard in time.
    pub(super) fn election_timeout(&mut self) {
        self.reset_election_deadline();
        if self.disk.is_hung() {
            return;
        }
        if !self.may_stand() {
            return self.lose_the_leader();
        }
        if let RoleState::PreCandidate(votes) | RoleState::Candidate(votes) = &mut self.role {
            self.last_refusals = core::mem::take(&mut votes.refused);
        }
        self.leader_heard = None;
        self.stand(Role::PreCandidate, false);
        if let Some(until) = self.eager_until {
            let again = self.now + STAGGER * u32::try_from(self.configuration().voter_count()).unwrap_or(1);
            if again < until {
                self.election_deadline = self.election_deadline.min(again);
            } else {
                self.eager_until = None;
            }
        }
    }

    /// A server that may not stand waits for the next leader to speak.
    fn lose_the_leader(&mut self) {
        self.leader_heard = None;
        match &mut self.role {
            RoleState::Follower(following) => following.leader = None,
            RoleState::Leader(_) => {}
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => {
                self.adopt_term(self.term(), None, "it is no voter any more");
            }
        }
    }

    /// Becomes a pre-candidate or candidate and asks every voter.
    pub(super) fn stand(&mut self, role: Role, transfer: bool) {
        let votes = Votes { granted: [self.id.clone()].into(), refused: BTreeMap::new(), transfer };
        let term = self.term().next();
        if role == Role::Candidate {
            self.reset_election_deadline();
            self.hard_state.term = term;
            self.hard_state.voted_for = Some(self.id.clone());
            self.hard_state_changed = true;
            self.role = RoleState::Candidate(votes);
        } else {
            self.role = RoleState::PreCandidate(votes);
        }
        let reason = match role {
            Role::Candidate if transfer => "the leader hands over",
            Role::Candidate => "a majority would vote for it",
            _ => "no leader was heard",
        };
        self.notify(Notice::RoleChanged { role, term: self.term(), reason });
        let request = RequestVote {
            term,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
            pre_vote: role == Role::PreCandidate,
            transfer,
        };
        let voters: Vec<NodeId> =
            self.others().into_iter().filter(|id| self.configuration().votes(id)).collect();
        for peer in voters {
            self.send(&peer, Message::RequestVote(request.clone()));
        }
        self.count_votes();
    }

    /// A voter has answered.
    pub(super) fn handle_vote_reply(&mut self, from: &NodeId, reply: VoteReply) {
        if reply.refusal.is_some() && reply.term > self.term() {
            return self.adopt_term(reply.term, None, "a voter is in a later term");
        }
        let asked = match self.role {
            RoleState::PreCandidate(_) => reply.pre_vote,
            RoleState::Candidate(_) => !reply.pre_vote,
            _ => false,
        };
        // A granted pre-vote repeats the term asked about; every other answer carries the voter's own.
        let expected =
            if reply.pre_vote && reply.refusal.is_none() { self.term().next() } else { self.term() };
        let is_current = reply.term == expected || seeded::is(Bug::StaleVoteCounted);
        if !asked || (reply.refusal.is_none() && !is_current) {
            return;
        }
        if let RoleState::PreCandidate(votes) | RoleState::Candidate(votes) = &mut self.role {
            match reply.refusal {
                None => {
                    votes.refused.remove(from);
                    votes.granted.insert(from.clone());
                }
                Some(refusal) => {
                    votes.refused.insert(from.clone(), refusal);
                }
            }
        }
        self.count_votes();
    }

    fn count_votes(&mut self) {
        let (RoleState::PreCandidate(votes) | RoleState::Candidate(votes)) = &self.role else { return };
        if !self.configuration().has_majority(|id| votes.granted.contains(id)) {
            return;
        }
        let transfer = votes.transfer;
        match self.role() {
            Role::PreCandidate => self.stand(Role::Candidate, transfer),
            _ => self.become_leader(),
        }
    }

    /// Follows the latest term (paper §5.1: "if a server's current term is smaller, it updates it").
    pub(super) fn adopt_term(&mut self, term: Term, leader: Option<&NodeId>, reason: &'static str) {
        assert!(term >= self.term(), "terms only grow");
        if term > self.term() {
            self.hard_state.term = term;
            self.hard_state.voted_for = None;
            self.hard_state_changed = true;
            self.leader_heard = None;
        }
        if !matches!(self.role, RoleState::Follower(_)) {
            self.notify(Notice::RoleChanged { role: Role::Follower, term, reason });
            self.reset_election_deadline();
        }
        self.role = RoleState::Follower(Following { leader: leader.cloned(), ..Following::default() });
        if let Some(leader) = leader {
            self.eager_until = None;
            self.last_refusals.clear();
            self.notify(Notice::Following { leader: leader.clone(), term });
        }
    }

    /// How many voters stand before this one, once `leader` is gone: those of higher priority, and of the
    /// same one those with a lower id.
    fn rank_without(&self, leader: &NodeId) -> usize {
        let current = self.configuration();
        let place = |id: &NodeId| {
            let priority = current.member(id).map_or(0, |member| member.priority);
            (core::cmp::Reverse(priority), id.clone())
        };
        let own = place(&self.id);
        current.voters().filter(|id| *id != leader && place(id) < own).count()
    }

    /// A stream with a peer ended. A leader whose process died will not speak again: its followers need
    /// not wait the timeout out. Safety does not rest on this: standing early is always allowed.
    pub(crate) fn peer_disconnected(&mut self, peer: &NodeId, process_died: bool) {
        self.connected.remove(peer);
        self.admission.disconnected(peer);
        if !process_died || self.leader() != Some(peer) {
            return;
        }
        let wait = STAGGER * u32::try_from(self.rank_without(peer)).unwrap_or(0);
        self.leader_heard = None;
        if let RoleState::Follower(following) = &mut self.role {
            following.leader = None;
        }
        self.eager_until = Some(self.now + self.timing.election_timeout_max);
        self.election_deadline = self.now + wait + self.reluctance();
    }
}
