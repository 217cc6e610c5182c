//! Leader Append-Only: a leader never overwrites or deletes entries in its log (paper §5.3).

use raft_core::consensus::Consensus;
use raft_core::replica::Role;
use raft_core::types::{LogIndex, NodeId, Term};

pub(crate) struct LeaderAppendOnly {
    /// The leader's term, and where its log ended. By Log Matching, an end that stayed means that all stayed.
    ends: Vec<Option<(Term, LogIndex, Term)>>,
}

impl LeaderAppendOnly {
    pub(crate) fn new(servers: usize) -> LeaderAppendOnly {
        LeaderAppendOnly { ends: vec![None; servers] }
    }

    pub(crate) fn starts(&mut self, at: usize) {
        self.ends[at] = None;
    }

    pub(crate) fn check(&mut self, at: usize, id: &NodeId, consensus: &Consensus) {
        let before = self.ends[at].take();
        if consensus.role() != Role::Leader {
            return;
        }
        let (term, log) = (consensus.term(), consensus.log());
        if let Some((_, index, end)) = before.filter(|(led, ..)| *led == term) {
            let now = log.term_at(index);
            assert_eq!(now, Some(end), "Leader Append-Only: {id} changed entry {index} in its own term");
        }
        self.ends[at] = Some((term, log.last_index(), log.last_term()));
    }
}
