//! State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
//! server will ever apply a different log entry for the same index (paper §5.4.3). Nor the same one with
//! another answer, nor only some of them: the sessions decide alike everywhere (dissertation §6.3).

use std::collections::BTreeMap;

use raft_core::types::{LogIndex, NodeId};

use super::super::cluster::Node;
use super::super::machine::Executed;

#[derive(Default)]
pub(crate) struct StateMachineSafety {
    /// What executing the log gives, in order, as far as any server has come.
    executed: Vec<Executed>,
    /// Up to where that is known to be all there is.
    applied: LogIndex,
    /// How much of its history each server has been checked for.
    checked: BTreeMap<NodeId, usize>,
}

impl StateMachineSafety {
    pub(crate) fn started(&mut self, id: &NodeId) {
        self.checked.remove(id);
    }

    pub(crate) fn executed(&self) -> &[Executed] {
        &self.executed
    }

    pub(crate) fn check(&mut self, node: &Node) {
        let checked = self.checked.entry(node.id.clone()).or_default();
        for executed in node.memory.executed_since(*checked) {
            let id = &node.id;
            match self.executed.get(*checked) {
                Some(known) => {
                    assert_eq!(*known, executed, "State Machine Safety: {id} executed something else");
                }
                None => {
                    let index = executed.index;
                    assert!(
                        index > self.applied,
                        "State Machine Safety: {id} executed {index}, others did not"
                    );
                    self.executed.push(executed);
                }
            }
            *checked += 1;
        }
        let applied = node.replica.as_ref().map_or(LogIndex::ZERO, |replica| replica.last_applied());
        let missing = self.executed.get(*checked).filter(|executed| executed.index <= applied);
        assert!(missing.is_none(), "State Machine Safety: {} did not execute {missing:?}", node.id);
        self.applied = self.applied.max(applied);
    }
}
