//! What a majority is, said once more and independently of the code that is checked (paper §5.1, §6): more
//! than half of the voters, and while voters change more than half of the outgoing ones too.

use raft_core::consensus::{Configuration, MemberRole};
use raft_core::types::NodeId;

/// Whether those for which `holds` is true decide.
pub(crate) fn decides(configuration: &Configuration, holds: impl Fn(&NodeId) -> bool) -> bool {
    let role = |id: &NodeId| configuration.member(id).map(|member| member.role);
    let more_than_half = |voters: &[&NodeId]| {
        // Whoever is a learner by now counts for nothing, among the outgoing voters too: it has lost its
        // disk.
        let counts = |id: &&&NodeId| role(id).is_some_and(|role| role != MemberRole::Learner) && holds(id);
        voters.iter().filter(counts).count() > voters.len() / 2
    };
    let incoming: Vec<&NodeId> =
        configuration.members().map(|(id, _)| id).filter(|id| role(id) == Some(MemberRole::Voter)).collect();
    let outgoing: Vec<&NodeId> = configuration.outgoing().collect();
    more_than_half(&incoming) && (outgoing.is_empty() || more_than_half(&outgoing))
}
