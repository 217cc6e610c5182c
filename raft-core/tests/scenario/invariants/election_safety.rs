//! Election Safety: at most one leader can be elected in a given term (paper §5.2).

use std::collections::BTreeMap;

use raft_core::consensus::Consensus;
use raft_core::replica::Role;
use raft_core::types::{NodeId, Term};

#[derive(Default)]
pub(crate) struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
}

impl ElectionSafety {
    /// Returns whether this server has just become leader.
    pub(crate) fn check(&mut self, id: &NodeId, consensus: &Consensus) -> bool {
        if consensus.role() != Role::Leader {
            return false;
        }
        let term = consensus.term();
        match self.leaders.insert(term, id.clone()) {
            None => true,
            Some(leader) => {
                assert_eq!(leader, *id, "Election Safety: two leaders in term {term}");
                false
            }
        }
    }
}
