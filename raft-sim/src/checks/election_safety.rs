//! Election Safety: at most one leader can be elected in a given term (paper §5.2), and by the votes of a
//! majority; while voters change, of both (§6).

use std::collections::BTreeMap;

use raft_core::consensus::Consensus;
use raft_core::replica::Role;
use raft_core::types::{NodeId, Term};

use super::one_vote::OneVote;
use super::quorum;

#[derive(Default)]
pub(crate) struct ElectionSafety {
    leaders: BTreeMap<Term, usize>,
}

impl ElectionSafety {
    /// Who won this term.
    pub(crate) fn leader_of(&self, term: Term) -> Option<usize> {
        self.leaders.get(&term).copied()
    }

    /// Returns whether this server has just become leader.
    pub(crate) fn check(&mut self, at: usize, id: &NodeId, consensus: &Consensus, votes: &OneVote) -> bool {
        if consensus.role() != Role::Leader {
            return false;
        }
        let term = consensus.term();
        match self.leaders.insert(term, at) {
            None => {
                let has = |voter: &NodeId| voter == id || votes.has_voted(voter, term, id);
                let configuration = consensus.configuration();
                assert!(
                    quorum::decides(configuration, has),
                    "Election Safety: {id} leads term {term}, and no majority voted for it: {configuration:?}"
                );
                true
            }
            Some(leader) => {
                assert_eq!(leader, at, "Election Safety: {id} is a second leader in term {term}");
                false
            }
        }
    }
}
