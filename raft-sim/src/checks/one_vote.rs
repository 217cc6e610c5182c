//! Each server votes for at most one candidate in a given term (paper §5.2), whatever crashes and wiped disks
//! lie between. What counts is what it has said.

use std::collections::BTreeMap;

use raft_core::message::Message;
use raft_core::types::{Incarnation, NodeId, Term};

use super::Server;

#[derive(Default)]
pub(crate) struct OneVote {
    /// By voter, term and data directory: one that lost its disk is let in again only by a change of the
    /// members that was committed without it, and votes then as a new server does.
    votes: BTreeMap<(NodeId, Term, Incarnation), NodeId>,
}

impl OneVote {
    pub(crate) fn sends(&mut self, from: &Server<'_>, to: &NodeId, message: &Message) {
        match message {
            Message::RequestVote(request) if !request.pre_vote => self.vote(from, request.term, from.id),
            Message::VoteReply(reply) if !reply.pre_vote && reply.refusal.is_none() => {
                self.vote(from, reply.term, to);
            }
            _ => {}
        }
    }

    fn vote(&mut self, voter: &Server<'_>, term: Term, candidate: &NodeId) {
        let (id, incarnation) = (voter.id.clone(), voter.replica.consensus().incarnation());
        let first = self.votes.entry((id, term, incarnation)).or_insert_with(|| candidate.clone());
        assert_eq!(first, candidate, "One Vote: {} voted twice in term {term}", voter.id);
    }

    /// Whether a server has said that it votes for this candidate.
    pub(crate) fn has_voted(&self, voter: &NodeId, term: Term, candidate: &NodeId) -> bool {
        let any = (voter.clone(), term, Incarnation(0))..=(voter.clone(), term, Incarnation(u64::MAX));
        self.votes.range(any).any(|(_, voted_for)| voted_for == candidate)
    }
}
