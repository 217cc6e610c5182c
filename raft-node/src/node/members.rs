//! Who belongs to the cluster, as everything around the replica needs to know it.

use std::collections::BTreeMap;

use raft_core::consensus::{Configuration, MemberRole};
use raft_core::replica::Replica;
use raft_core::types::{LogIndex, NodeId};

use super::{MemberStatus, Members};
use crate::config::Config;

/// Where peers are to be dialled: at each address in turn until one answers.
pub(crate) type Addresses = BTreeMap<NodeId, Vec<String>>;

/// What [`of_replica`] and [`to_dial`] are made from. They take a microsecond, which a short turn notices:
/// they are made anew only where this has changed.
#[derive(Debug, Default)]
pub(super) struct Basis {
    configuration: Configuration,
    index: LogIndex,
    guests: Vec<(NodeId, String)>,
    is_known: bool,
}

impl Basis {
    /// Whether it was another when this was last asked, or never was.
    pub(super) fn has_changed(&mut self, replica: &Replica) -> bool {
        let consensus = replica.consensus();
        let guests = || consensus.admission().guests().map(|(id, guest)| (id, &guest.address));
        let is_same = self.is_known
            && self.index == consensus.configuration_index()
            && self.configuration == *consensus.configuration()
            && self.guests.iter().map(|(id, address)| (id, address)).eq(guests());
        if !is_same {
            *self = Basis {
                configuration: consensus.configuration().clone(),
                index: consensus.configuration_index(),
                guests: guests().map(|(id, address)| (id.clone(), address.clone())).collect(),
                is_known: true,
            };
        }
        !is_same
    }
}

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

#[cfg(test)]
mod tests {
    use raft_core::consensus::Timing;
    use raft_core::kv::Store;
    use raft_core::log::{Identity, LogOptions, create};
    use raft_core::message::{Hello, Message};
    use raft_core::replica::{Event, Options, SnapshotEvery, Stored};
    use raft_core::types::{ClusterId, Incarnation, Time};

    use super::*;

    #[test]
    fn a_guest_and_where_it_is_reached_are_news() {
        let id = |name: &str| NodeId::new(name).unwrap();
        let identity = Identity::new(id("n1"), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let options = Options {
            configuration: Configuration::new([id("n1"), id("n2")]),
            timing: Timing::default(),
            seed: 1,
            now: Time::ZERO,
            snapshot_every: SnapshotEvery::default(),
        };
        let mut replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        let mut basis = Basis::default();
        let mut comes = |port: u16| {
            let members = ["n1", "n2", "n3"].map(id).to_vec();
            let address = format!("localhost:{port}");
            let (cluster_id, configuration_index) = (Some(ClusterId(1)), LogIndex(7));
            let hello = Hello { cluster_id, members, configuration_index, address, ..Hello::default() };
            let message = Message::Hello(hello);
            replica
                .step(Time::ZERO, Event::Received { from: id("n3"), incarnation: Incarnation(3), message });
            replica.drain();
            (basis.has_changed(&replica), basis.has_changed(&replica), to_dial(&config(), &replica))
        };
        let there = |port: u16| Addresses::from([(id("n3"), vec![format!("localhost:{port}")])]);
        assert_eq!(comes(1), (true, false, there(1)));
        assert_eq!(comes(1), (false, false, there(1)));
        assert_eq!(comes(2), (true, false, there(2)));
    }

    fn config() -> Config {
        Config::new(NodeId::new("n1").unwrap(), 1)
    }
}
