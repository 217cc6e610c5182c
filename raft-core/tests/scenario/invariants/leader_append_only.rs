//! Leader Append-Only: a leader never overwrites or deletes entries in its log (paper §5.3).

use std::collections::BTreeMap;

use raft_core::consensus::Consensus;
use raft_core::replica::Role;
use raft_core::types::{LogIndex, NodeId, Term};

#[derive(Default)]
pub(crate) struct LeaderAppendOnly {
    /// The leader's term, and where its log ended. By Log Matching, an end that stayed means that all stayed.
    ends: BTreeMap<NodeId, (Term, LogIndex, Term)>,
}

impl LeaderAppendOnly {
    pub(crate) fn check(&mut self, id: &NodeId, consensus: &Consensus) {
        let before = self.ends.remove(id);
        if consensus.role() != Role::Leader {
            return;
        }
        let (term, log) = (consensus.term(), consensus.log());
        if let Some((_, index, end)) = before.filter(|(led, ..)| *led == term) {
            let now = log.term_at(index);
            assert_eq!(now, Some(end), "Leader Append-Only: {id} changed entry {index} in its own term");
        }
        self.ends.insert(id.clone(), (term, log.last_index(), log.last_term()));
    }
}
