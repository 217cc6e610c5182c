//! Each server votes for at most one candidate in a given term (paper §5.2), whatever crashes and wiped disks
//! lie between. What counts is what it has said.

use std::collections::BTreeMap;

use raft_core::message::Message;
use raft_core::types::{NodeId, Term};

#[derive(Default)]
pub(crate) struct OneVote {
    votes: BTreeMap<(NodeId, Term), NodeId>,
}

impl OneVote {
    pub(crate) fn sends(&mut self, from: &NodeId, to: &NodeId, message: &Message) {
        match message {
            Message::RequestVote(request) if !request.pre_vote => self.vote(from, request.term, from),
            Message::VoteReply(reply) if !reply.pre_vote && reply.refusal.is_none() => {
                self.vote(from, reply.term, to);
            }
            _ => {}
        }
    }

    fn vote(&mut self, voter: &NodeId, term: Term, candidate: &NodeId) {
        let first = self.votes.entry((voter.clone(), term)).or_insert_with(|| candidate.clone());
        assert_eq!(first, candidate, "One Vote: {voter} voted twice in term {term}");
    }

    /// Whether a server has said that it votes for this candidate.
    pub(crate) fn has_voted(&self, voter: &NodeId, term: Term, candidate: &NodeId) -> bool {
        self.votes.get(&(voter.clone(), term)) == Some(candidate)
    }
}
