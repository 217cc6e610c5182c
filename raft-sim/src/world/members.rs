//! Servers come and go: operators add fresh machines, remove members, replace them and have learners
//! promoted, one of these at any moment. Whoever was removed goes on running: he may not disturb.

use std::time::Duration;

use raft_core::consensus::{Change, Configuration, MemberRole};
use raft_core::message::Message;
use raft_core::replica::{Role, Task};
use raft_core::types::NodeId;

use super::World;
use super::node::{Coming, Node};
use crate::dice::Dice;
use crate::fault::Fault;

/// For how many of the longest election timeouts nobody may stand once all is well.
const QUIET: u32 = 10;

/// How many of them a handover takes at most.
const HANDOVER: u32 = 3;

/// How long a message may be on its way.
const LATEST: Duration = Duration::from_secs(6);

/// How long the stream to one that is no member any more is kept: he is to hear that.
const LINGER: Duration = Duration::from_secs(3);

fn address_of(id: &NodeId) -> String {
    format!("{id}:1000")
}

fn one_of(dice: &mut Dice, ids: &[NodeId]) -> Option<NodeId> {
    let place = dice.index(ids.len().max(1));
    ids.get(place).cloned()
}

impl World {
    /// What a server is started with: the first members, or nothing where it waits to be added.
    pub(super) fn first_configuration(&self, at: usize) -> Configuration {
        let node = &self.nodes[at];
        if !node.is_original {
            return Configuration::waiting(node.id.clone(), address_of(&node.id));
        }
        let originals = self.nodes.iter().filter(|node| node.is_original);
        Configuration::with_addresses(originals.map(|node| (node.id.clone(), address_of(&node.id))))
    }

    /// Whether a server's process wants a connection to another one. One that waits to be added speaks to
    /// whoever is there.
    pub(super) fn speaks_to(&self, from: usize, to: usize) -> bool {
        let (Some(replica), peer) = (&self.nodes[from].replica, &self.nodes[to]) else { return false };
        let consensus = replica.consensus();
        let waits = consensus.configuration().voter_count() == 0;
        let knows = consensus.configuration().contains(&peer.id)
            || consensus.admission().guests().any(|(guest, _)| *guest == peer.id);
        peer.is_in_use && (waits || knows || self.nodes[from].former.contains(&to))
    }

    /// A process connects to one that does not know yet that it was removed, to tell it.
    pub(super) fn bid_farewell(&mut self, from: usize, peer: &NodeId) {
        let Some(to) = self.nodes.iter().position(|node| node.id == *peer) else { return };
        if self.nodes[from].former.insert(to) && !self.network.link(from, to).is_open {
            self.queue.put(self.now, Coming::Dial { from, to, life: self.nodes[from].life });
        }
    }

    /// A process tries to connect to all that it wants to speak to.
    pub(super) fn dial_all(&mut self, at: usize) {
        let life = self.nodes[at].life;
        for to in (0..self.nodes.len()).filter(|to| *to != at) {
            if self.speaks_to(at, to) && !self.network.link(at, to).is_open {
                self.queue.put(self.now, Coming::Dial { from: at, to, life });
            }
        }
    }

    /// Connections follow the configuration.
    pub(super) fn follow_members(&mut self, at: usize) {
        let Some(replica) = &self.nodes[at].replica else { return };
        let consensus = replica.consensus();
        let dialled = (consensus.configuration_index(), consensus.admission().guests().count());
        if std::mem::replace(&mut self.nodes[at].dialled, dialled) != dialled {
            self.dial_all(at);
            self.let_go(at);
        }
    }

    /// The streams to those who are no members any more end after a while.
    fn let_go(&mut self, at: usize) {
        let life = self.nodes[at].life;
        for to in (0..self.nodes.len()).filter(|to| *to != at) {
            let link = self.network.link(at, to);
            let (stream, is_open) = (link.stream, link.is_open);
            if is_open && !self.speaks_to(at, to) {
                let ended = Coming::Ended { from: at, to, life, stream, process_died: false };
                self.queue.put(self.now + LINGER, ended);
            }
        }
    }

    /// An operator wants the members changed; he asks this server.
    pub(super) fn order_change(&mut self, fault: Fault, at: usize) {
        let Some(change) = self.choose_change(fault) else { return };
        let patience = self.faults.dice(fault).between(100, 5000);
        self.order(at, Task::Change(change), patience);
    }

    /// A member is cut off, and an operator has the leader remove it: it hears of that only later.
    pub(super) fn remove_cut_off(&mut self, fault: Fault) {
        let (Some(leader), Some(members)) = (self.latest_leader(), self.configuration_of_leader()) else {
            return;
        };
        let leader = leader.at;
        let is_other = |node: &&Node| node.at != leader && members.is_voter(&node.id);
        let others: Vec<usize> = self.nodes.iter().filter(is_other).map(|node| node.at).collect();
        if others.len() < 2 || !self.may_be_fewer() {
            return;
        }
        let Some(at) = self.faults.dice(fault).pick(&others) else { return };
        self.isolate(fault, at, 3000);
        let (id, patience) = (self.nodes[at].id.clone(), self.faults.dice(fault).between(100, 5000));
        self.order(leader, Task::Change(Change::Remove { id, force: false }), patience);
    }

    fn choose_change(&mut self, fault: Fault) -> Option<Change> {
        let members = self.configuration_of_leader()?.clone();
        let listed = |role: MemberRole| -> Vec<NodeId> {
            let fits = members.members().filter(|(_, member)| member.role == role);
            fits.map(|(id, _)| id.clone()).collect()
        };
        let (voters, learners) = (listed(MemberRole::Voter), listed(MemberRole::Learner));
        let all = [voters.clone(), learners.clone()].concat();
        let may_be_fewer = self.may_be_fewer();
        let dice = self.faults.dice(fault);
        match fault {
            Fault::RemoveMember if may_be_fewer => {
                Some(Change::Remove { id: one_of(dice, &all)?, force: false })
            }
            Fault::PromoteMember => Some(Change::Promote { id: one_of(dice, &learners)? }),
            Fault::AddMember => {
                let learner_only = dice.one_in(4);
                let (id, priority) = (self.fresh_server(fault, &members)?, 0);
                let address = address_of(&id);
                Some(Change::Add { id, address, learner_only, priority })
            }
            Fault::ReplaceMember if may_be_fewer => {
                let old = one_of(dice, &voters)?;
                let new = self.fresh_server(fault, &members)?;
                let address = address_of(&new);
                Some(Change::Replace { old, new, address })
            }
            _ => None,
        }
    }

    /// Whether a member may leave: not where another one may be lost for good with its disk.
    fn may_be_fewer(&self) -> bool {
        self.nodes.iter().all(|node| !node.was_wiped)
    }

    /// A server that is no member: one that was removed, or a machine that is switched on now.
    fn fresh_server(&mut self, fault: Fault, members: &Configuration) -> Option<NodeId> {
        let is_free = |node: &&Node| !members.contains(&node.id);
        let free: Vec<usize> = self.nodes.iter().filter(is_free).map(|node| node.at).collect();
        let at = self.faults.dice(fault).pick(&free)?;
        if !self.nodes[at].is_in_use {
            self.nodes[at].is_in_use = true;
            self.start(at);
        }
        Some(self.nodes[at].id.clone())
    }

    /// Who leads, of the latest term.
    pub(super) fn latest_leader(&self) -> Option<&Node> {
        let term = |node: &&Node| {
            let consensus = node.replica.as_ref().map(|replica| replica.consensus())?;
            (consensus.role() == Role::Leader).then_some(consensus.term())
        };
        self.nodes.iter().filter(|node| term(node).is_some()).max_by_key(term)
    }

    /// Whether the leader is to stay: one that removed itself hands over.
    pub(super) fn is_led_by_a_voter(&self) -> bool {
        let led = self.latest_leader().zip(self.configuration_of_leader());
        led.is_some_and(|(leader, configuration)| configuration.is_voter(&leader.id))
    }

    /// Whether a leader's order to stand has not arrived yet.
    fn is_told_to_stand(&self) -> bool {
        let mut on_their_way = self.queue.waiting().filter_map(|coming| match coming {
            Coming::Arrival { packet, .. } => Some(packet.read()),
            _ => None,
        });
        on_their_way.any(|message| matches!(message, Message::TimeoutNow { .. }))
    }

    pub(super) fn configuration_of_leader(&self) -> Option<&Configuration> {
        Some(self.latest_leader()?.replica.as_ref()?.consensus().configuration())
    }

    /// All is well: whoever was removed may not bring about an election (paper §6).
    pub(super) fn stay_quiet(&mut self) {
        self.await_orders();
        let term = |world: &World| {
            world.latest_leader().and_then(|node| Some(node.replica.as_ref()?.consensus().term()))
        };
        let before = term(self);
        let removed = self.removed_in_touch();
        let until = self.now + self.plan.timing.election_timeout_max * QUIET;
        let hangs = |node: &Node| {
            let disk = node.replica.as_ref().map(|replica| replica.disk_health());
            disk.is_some_and(|disk| disk.is_hung() || disk.is_full())
        };
        while self.now < until && self.queue.next_at().is_some() {
            self.next();
            // A flush that began before all healed, or a disk that was full then: its leader may hand over.
            if self.nodes.iter().any(hangs) {
                return;
            }
        }
        assert_eq!(before, term(self), "Quiet: a healed cluster elects another leader");
        let still = self.removed_in_touch();
        removed.into_iter().filter(|at| still.contains(at)).for_each(|at| self.check_removed(at));
    }

    /// What was asked for before all healed may still be on its way: to a leader, or from one to its
    /// successor, who is given the time to be elected. Nor may a leader be about to stop.
    fn await_orders(&mut self) {
        let Some(latest) = self.healed_at.map(|healed| healed + LATEST) else { return };
        let mut until = self.now;
        while self.queue.next_at().is_some() {
            let is_asked = self.operators.is_in_doubt() || self.is_told_to_stand();
            if self.now < self.stops_until || self.now < latest && is_asked {
                until = self.now + self.plan.timing.election_timeout_max * HANDOVER;
            } else if self.now >= until {
                return;
            }
            self.next();
        }
    }

    /// Servers that take themselves for voters, are none, and have a stream to the leader, which could reach
    /// them.
    fn removed_in_touch(&self) -> Vec<usize> {
        let Some(leader) = self.latest_leader() else { return Vec::new() };
        let Some(led) = leader.replica.as_ref().map(|replica| replica.consensus()) else { return Vec::new() };
        let is_removed = |node: &&Node| {
            let takes_itself = node.replica.as_ref().is_some_and(|replica| {
                let own = replica.consensus();
                own.configuration().votes(&node.id)
                    && own.admission().is_admitted()
                    && own.configuration_index() < led.configuration_index()
            });
            takes_itself
                && !led.configuration().contains(&node.id)
                && self.network.is_open(node.at, leader.at)
                && !self.network.is_half_open(leader.at, node.at)
                && self.network.is_whole(node.at, leader.at)
        };
        self.nodes.iter().filter(is_removed).map(|node| node.at).collect()
    }

    /// Whoever was removed is told when it stands for election, and then stands no more (paper §6).
    fn check_removed(&self, at: usize) {
        let Some(consensus) = self.nodes[at].replica.as_ref().map(|replica| replica.consensus()) else {
            return;
        };
        let id = consensus.id();
        assert!(consensus.removed().is_some(), "Removed: {id} is no member and has not been told");
        let role = consensus.role();
        assert_eq!(
            role,
            Role::Follower,
            "Removed: {id} was told that it is no member, and stands for election"
        );
    }
}
