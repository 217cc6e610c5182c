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
    /// How much of it each server has executed.
    done: BTreeMap<NodeId, Done>,
}

/// What a server has executed.
#[derive(Default)]
struct Done {
    /// How often its state was made from a snapshot.
    restored: u64,
    /// So many commands are in that snapshot.
    before: usize,
    /// So many it has executed since.
    since: usize,
}

impl StateMachineSafety {
    pub(crate) fn started(&mut self, id: &NodeId) {
        self.done.remove(id);
    }

    pub(crate) fn executed(&self) -> &[Executed] {
        &self.executed
    }

    pub(crate) fn check(&mut self, node: &Node) {
        let (id, done) = (&node.id, self.done.entry(node.id.clone()).or_default());
        let applied = node.replica.as_ref().map_or(LogIndex::ZERO, |replica| replica.last_applied());
        if node.memory.restored() != done.restored {
            // Where the snapshot ends shows by what was executed next. The state hash says if it is right.
            let next = node.memory.executed_since(0).first().map_or(applied.next(), |next| next.index);
            let before = self.executed.partition_point(|executed| executed.index < next);
            *done = Done { restored: node.memory.restored(), before, since: 0 };
        }
        for executed in node.memory.executed_since(done.since) {
            match self.executed.get(done.before + done.since) {
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
            done.since += 1;
        }
        let count = done.before + done.since;
        let missing = self.executed.get(count).filter(|executed| executed.index <= applied);
        assert!(missing.is_none(), "State Machine Safety: {id} did not execute {missing:?}");
        self.applied = self.applied.max(applied);
    }
}
