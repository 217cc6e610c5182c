//! Who belongs to the cluster, as everything around the replica needs to know it.

use std::collections::BTreeMap;

use raft_core::consensus::{Configuration, MemberRole};
use raft_core::replica::Replica;
use raft_core::types::NodeId;

use super::{MemberStatus, Members};
use crate::config::Config;

/// Where peers are to be dialled: at each address in turn until one answers.
pub(crate) type Addresses = BTreeMap<NodeId, Vec<String>>;

/// The members as the configuration in force has them.
pub(super) fn of_replica(config: &Config, replica: &Replica) -> Members {
    let consensus = replica.consensus();
    let member = |(id, member): (&NodeId, &raft_core::consensus::Member)| MemberStatus {
        node_id: id.clone(),
        address: address_of(config, consensus.configuration(), id),
        role: match member.role {
            MemberRole::Voter => "voter",
            MemberRole::Learner => "learner",
            MemberRole::Leaving => "leaving",
        },
        priority: member.priority,
    };
    Members {
        configuration_index: consensus.configuration_index(),
        members: consensus.configuration().members().map(member).collect(),
    }
}

/// Where a member is reached: as the log says, or before it does, as this node was told at its start.
pub(super) fn address_of(config: &Config, configuration: &Configuration, id: &NodeId) -> String {
    let in_log = configuration.member(id).map_or("", |member| &member.address);
    match config.peers.get(id) {
        _ if *id == config.node_id => config.advertised(),
        Some(listed) if in_log.is_empty() => listed.clone(),
        _ => in_log.to_owned(),
    }
}

/// Whom this node speaks to, and where: the other members, and those of a later configuration than its own.
/// Where the log and the list that the node was started with differ, both are tried: the member may have
/// moved since, or all of them together.
pub(super) fn to_dial(config: &Config, replica: &Replica) -> Addresses {
    let consensus = replica.consensus();
    let mut all = Addresses::new();
    let mut add = |id: &NodeId, address: &str| {
        let addresses = all.entry(id.clone()).or_default();
        if !address.is_empty() && !addresses.iter().any(|known| known == address) {
            addresses.push(address.to_owned());
        }
    };
    for (id, member) in consensus.configuration().members() {
        add(id, &member.address);
        if let Some(listed) = config.peers.get(id) {
            add(id, listed);
        }
    }
    for (id, guest) in consensus.admission().guests() {
        add(id, &guest.address);
    }
    all.remove(&config.node_id);
    all.retain(|_, addresses| !addresses.is_empty());
    all
}
