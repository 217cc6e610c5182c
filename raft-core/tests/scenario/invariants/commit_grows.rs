//! The commit index increases monotonically (paper Figure 2); a restart begins it anew.

use std::collections::BTreeMap;

use raft_core::types::{LogIndex, NodeId};

#[derive(Default)]
pub(crate) struct CommitGrows {
    commit_index: BTreeMap<NodeId, LogIndex>,
}

impl CommitGrows {
    pub(crate) fn started(&mut self, id: &NodeId) {
        self.commit_index.remove(id);
    }

    pub(crate) fn check(&mut self, id: &NodeId, commit_index: LogIndex) {
        let before = self.commit_index.insert(id.clone(), commit_index).unwrap_or_default();
        assert!(before <= commit_index, "the commit index of {id} went back from {before} to {commit_index}");
    }
}
