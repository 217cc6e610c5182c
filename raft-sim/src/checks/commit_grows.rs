//! The commit index increases monotonically (paper Figure 2); a restart begins it anew.

use raft_core::types::{LogIndex, NodeId};

pub(crate) struct CommitGrows {
    commit_index: Vec<LogIndex>,
}

impl CommitGrows {
    pub(crate) fn new(servers: usize) -> CommitGrows {
        CommitGrows { commit_index: vec![LogIndex::ZERO; servers] }
    }

    pub(crate) fn starts(&mut self, at: usize) {
        self.commit_index[at] = LogIndex::ZERO;
    }

    pub(crate) fn check(&mut self, at: usize, id: &NodeId, commit_index: LogIndex) {
        let before = std::mem::replace(&mut self.commit_index[at], commit_index);
        assert!(
            before <= commit_index,
            "Commit: the commit index of {id} went back from {before} to {commit_index}"
        );
    }
}
