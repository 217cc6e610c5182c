//! Messages under way: a queue for each direction of each pair, moved by hand.

use std::collections::{BTreeMap, VecDeque};

use raft_core::message::Message;
use raft_core::types::{Incarnation, NodeId};

/// A message with what the stream says of its sender.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) incarnation: Incarnation,
    pub(crate) message: Message,
}

/// One direction between two servers.
#[derive(Default)]
pub(crate) struct Link {
    /// Whether a stream is open; without one, nothing is sent.
    pub(crate) open: bool,
    /// Whether what is sent gets lost, unnoticed.
    pub(crate) cut: bool,
    /// Whether `settle` leaves it alone.
    pub(crate) held: bool,
    pub(crate) queue: VecDeque<Packet>,
}

#[derive(Default)]
pub(crate) struct Network {
    links: BTreeMap<(NodeId, NodeId), Link>,
}

impl Network {
    pub(crate) fn link(&mut self, from: &NodeId, to: &NodeId) -> &mut Link {
        self.links.entry((from.clone(), to.clone())).or_default()
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = (&(NodeId, NodeId), &Link)> {
        self.links.iter()
    }

    pub(crate) fn links_mut(&mut self) -> impl Iterator<Item = (&(NodeId, NodeId), &mut Link)> {
        self.links.iter_mut()
    }

    pub(crate) fn send(&mut self, from: &NodeId, to: &NodeId, packet: Packet) {
        let link = self.link(from, to);
        if link.open && !link.cut {
            link.queue.push_back(packet);
        }
    }

    /// Directions that have something to deliver and are not held.
    pub(crate) fn ready(&self) -> Vec<(NodeId, NodeId)> {
        let waits = |link: &Link| !link.held && !link.queue.is_empty();
        self.links.iter().filter(|(_, link)| waits(link)).map(|(pair, _)| pair.clone()).collect()
    }

    /// Nothing is cut any more.
    pub(crate) fn heal(&mut self) {
        self.links.values_mut().for_each(|link| link.cut = false);
    }

    /// Cuts every direction between servers that no group has together, and loses what is under way there.
    pub(crate) fn partition(&mut self, groups: &[Vec<NodeId>]) {
        let groups_of = |id: &NodeId| groups.iter().filter(|group| group.contains(id)).count();
        let is_together = |one: &NodeId, other: &NodeId| {
            groups.iter().any(|group| group.contains(one) && group.contains(other))
                || (groups_of(one) == 0 && groups_of(other) == 0)
        };
        for ((from, to), link) in &mut self.links {
            link.cut = !is_together(from, to);
            if link.cut {
                link.queue.clear();
            }
        }
    }
}
