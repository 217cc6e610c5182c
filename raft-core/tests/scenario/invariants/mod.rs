//! What must hold after every step, whatever happened: Figure 3 of the paper, and what its proofs rest on.
//!
//! | property | paper | file |
//! | --- | --- | --- |
//! | Election Safety | §5.2 | [`election_safety`] |
//! | Leader Append-Only | §5.3 | [`leader_append_only`] |
//! | Log Matching | §5.3 | [`log_matching`] |
//! | Leader Completeness | §5.4 | [`leader_completeness`] |
//! | State Machine Safety | §5.4.3 | [`state_machine_safety`] |
//! | one vote a term, across restarts | §5.2 | [`one_vote`] |
//! | the commit index only grows | Figure 2 | [`commit_grows`] |
//! | equal logs applied, equal state hashes | §5.4.3 | [`state_hashes`] |
//! | durable before it is said or acknowledged | Figure 2, §5.3 | [`durable_first`] |

mod commit_grows;
mod durable_first;
mod election_safety;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod one_vote;
mod state_hashes;
mod state_machine_safety;

use std::collections::BTreeMap;

use raft_core::message::Message;
use raft_core::replica::{CallReply, Replica, Reply};
use raft_core::types::NodeId;

use super::cluster::Node;

#[derive(Default)]
pub(crate) struct Invariants {
    election_safety: election_safety::ElectionSafety,
    leader_append_only: leader_append_only::LeaderAppendOnly,
    log_matching: log_matching::LogMatching,
    leader_completeness: leader_completeness::LeaderCompleteness,
    state_machine_safety: state_machine_safety::StateMachineSafety,
    state_hashes: state_hashes::StateHashes,
    one_vote: one_vote::OneVote,
    commit_grows: commit_grows::CommitGrows,
    durable_first: durable_first::DurableFirst,
}

impl Invariants {
    /// A server's process has started.
    pub(crate) fn started(&mut self, node: &Node) {
        self.commit_grows.started(&node.id);
        self.state_machine_safety.started(&node.id);
    }

    pub(crate) fn before_crash(&mut self, node: &Node) {
        self.durable_first.before_crash(node);
    }

    pub(crate) fn before_wipe(&mut self, node: &Node) {
        self.durable_first.before_wipe(node);
    }

    /// A server has taken a step, and said what it had to say.
    pub(crate) fn after_step(&mut self, nodes: &BTreeMap<NodeId, Node>, id: &NodeId) {
        let node = &nodes[id];
        let Some(replica) = &node.replica else { return };
        let consensus = replica.consensus();
        self.log_matching.check(id, consensus.log());
        self.leader_append_only.check(id, consensus);
        self.leader_completeness.note_committed(id, consensus);
        if self.election_safety.check(id, consensus) {
            self.leader_completeness.check_new_leader(id, consensus);
        }
        self.commit_grows.check(id, consensus.commit_index());
        self.state_machine_safety.check(node);
        self.state_hashes.check(node);
    }

    /// Somebody is told that its state is wrong, and believes it: from now on that is no fault.
    pub(crate) fn expect_divergence(&mut self) {
        self.state_hashes.expect_divergence();
    }

    pub(crate) fn sent(&mut self, node: &Node, to: &NodeId, message: &Message) {
        self.one_vote.sent(&node.id, to, message);
        self.durable_first.sent(node, to, message);
    }

    pub(crate) fn answered(&mut self, nodes: &BTreeMap<NodeId, Node>, reply: &Reply) {
        let Reply::Done(outcome) = reply else { return };
        match self.leader_completeness.committed_at(outcome.index).cloned() {
            Some(entry) => self.durable_first.acknowledged(nodes, &entry),
            None => {
                // It lay in a snapshot before anything here began.
                let base = |replica: &Replica| replica.consensus().log().base().index;
                let mut replicas = nodes.values().filter_map(|node| node.replica.as_ref());
                let is_in_snapshot = replicas.any(|replica| base(replica) >= outcome.index);
                assert!(is_in_snapshot, "{outcome:?} was acknowledged, not committed");
            }
        }
    }

    pub(crate) fn call_answered(&mut self, node: &Node, reply: &CallReply) {
        self.durable_first.call_answered(node, reply);
    }

    /// What executing the log gives, as far as any server has come.
    pub(crate) fn executed(&self) -> &[super::machine::Executed] {
        self.state_machine_safety.executed()
    }
}
