//! Members and configurations of them. `raft-node` uses it too.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::consensus::{Configuration, Member, MemberRole, Promotion};
use raft_core::types::{Incarnation, NodeId};

pub(crate) fn node(number: usize) -> NodeId {
    NodeId::new(&format!("node_{number}")).expect("a valid id")
}

pub(crate) fn incarnation(number: usize) -> Incarnation {
    Incarnation(0x10 + number as u64)
}

/// A configuration of these members. Its own crate makes others only from one another, by changes.
pub(crate) fn configuration(members: &[(usize, Member)], outgoing: &[usize]) -> Configuration {
    let members: BTreeMap<NodeId, Member> =
        members.iter().map(|(number, member)| (node(*number), member.clone())).collect();
    let outgoing: BTreeSet<NodeId> = outgoing.iter().copied().map(node).collect();
    let bytes = postcard::to_allocvec(&(members, outgoing)).expect("encoding into memory");
    postcard::from_bytes(&bytes).expect("a configuration is these two")
}

/// A member at an address in 10.0.0.0/8: none that a test could reach.
pub(crate) fn member(number: usize, role: MemberRole) -> (usize, Member) {
    (number, Member { role, ..Member::voter(format!("10.0.0.{number}:12000")) })
}

fn known(number: usize, role: MemberRole) -> (usize, Member) {
    let (_, member) = member(number, role);
    (number, Member { incarnation: Some(incarnation(number)), ..member })
}

/// Members come and go, until the last one is alone: through learners and joint configurations (paper §6).
pub(crate) fn changes() -> [Configuration; 6] {
    use MemberRole::{Learner, Leaving, Voter};
    let three = [member(0, Voter), member(1, Voter), member(2, Voter)];
    let learner = |(number, member): (usize, Member)| {
        (number, Member { promotion: Promotion::InPlaceOf(node(2)), priority: 3, ..member })
    };
    let [first, second, _] = three.clone();
    let with = |fourth| [&three[..], &[fourth]].concat();
    let moved = Member { address: "host.example:12000".to_owned(), priority: 7, ..second.1.clone() };
    [
        configuration(&with(learner(member(3, Learner))), &[]),
        configuration(&with(learner(known(3, Learner))), &[]),
        configuration(&[first.clone(), second.clone(), member(2, Leaving), known(3, Voter)], &[0, 1, 2]),
        configuration(&[first.clone(), second, known(3, Voter)], &[]),
        configuration(
            &[first.clone(), (1, Member { role: Leaving, ..moved }), known(3, Leaving)],
            &[0, 1, 3],
        ),
        configuration(&[first], &[]),
    ]
}
