//! A leader commits by counting only entries of its own term (paper §5.4.2, Figure 8). Breaking that does
//! harm only in rare courses; so the rule itself is checked.

use raft_core::consensus::Consensus;
use raft_core::replica::Role;
use raft_core::types::{LogIndex, NodeId, Term};

pub(crate) struct CommitRule {
    /// The term in which a server led, and its commit index then.
    led: Vec<Option<(Term, LogIndex)>>,
}

impl CommitRule {
    pub(crate) fn new(servers: usize) -> CommitRule {
        CommitRule { led: vec![None; servers] }
    }

    pub(crate) fn starts(&mut self, at: usize) {
        self.led[at] = None;
    }

    pub(crate) fn check(&mut self, at: usize, id: &NodeId, consensus: &Consensus) {
        let before = self.led[at].take();
        if consensus.role() != Role::Leader {
            return;
        }
        let (term, commit_index) = (consensus.term(), consensus.commit_index());
        if let Some((_, known)) = before.filter(|(led, known)| *led == term && commit_index > *known) {
            let counted = consensus.log().term_at(commit_index);
            assert_eq!(
                counted,
                Some(term),
                "Commit Rule: {id} leads term {term} and commits from {known} to {commit_index} by counting"
            );
        }
        self.led[at] = Some((term, commit_index));
    }
}
