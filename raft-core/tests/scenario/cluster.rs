//! A whole cluster in one place: the shipped replicas, their disks, the messages between them and one clock.
//! Nothing moves by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::consensus::{Configuration, Timing};
use raft_core::log::{Identity, Record, create};
use raft_core::message::Message;
use raft_core::replica::{
    Action, CallReply, Event, Notice, Options, Replica, Reply, Role, SnapshotEvery, Stored, Token,
};
use raft_core::types::{Incarnation, NodeId, Time};

use super::dice::Dice;
use super::disk::{Disk, LOG, Unanswered};
use super::invariants::Invariants;
use super::machine::{Memory, RecordedStore};
use super::network::{Network, Packet};

/// One server: its disk outlives its replica.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The members, as it was told; none where it waits to be added.
    pub(crate) members: Vec<NodeId>,
    /// Where it says that it is reached; empty where it does not say.
    pub(crate) address: String,
    pub(crate) disk: Disk,
    /// Whether the disk answers at once.
    pub(crate) disk_answers: bool,
    pub(crate) replica: Option<Replica>,
    /// Where the running replica's store lives.
    pub(crate) memory: Memory,
    /// Which process this is, from 1.
    pub(crate) life: u64,
}

impl Node {
    fn new(id: NodeId, incarnation: Incarnation, members: Vec<NodeId>) -> Node {
        Node {
            id,
            incarnation,
            members,
            address: String::new(),
            disk: Disk::default(),
            disk_answers: true,
            replica: None,
            memory: Memory::default(),
            life: 0,
        }
    }
}

/// Something a story tells.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Delivered { from: NodeId, to: NodeId, message: Message },
    Lost { from: NodeId, to: NodeId, message: Message },
    Noticed { node: NodeId, notice: Notice },
    Answered { node: NodeId, token: Token, reply: Reply },
    CallAnswered { node: NodeId, token: Token, reply: CallReply },
    MayStop { node: NodeId },
}

pub(crate) struct Cluster {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) network: Network,
    pub(crate) invariants: Invariants,
    pub(crate) happenings: Vec<Happening>,
    pub(crate) dice: Dice,
    next_token: u64,
}

impl Cluster {
    /// Servers with new disks, which have not met.
    pub(crate) fn fresh(members: &[NodeId], seed: u64) -> Cluster {
        let mut cluster = Cluster {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            network: Network::default(),
            invariants: Invariants::default(),
            happenings: Vec::new(),
            dice: Dice::new(seed),
            next_token: 0,
        };
        for (i, id) in (1..).zip(members) {
            cluster.nodes.insert(id.clone(), Node::new(id.clone(), Incarnation(i), members.to_vec()));
        }
        cluster
    }

    /// Servers that have met before and may vote, with empty logs.
    pub(crate) fn acquainted(members: &[NodeId], seed: u64) -> Cluster {
        let mut cluster = Cluster::fresh(members, seed);
        let peers: Vec<(NodeId, Incarnation)> =
            cluster.nodes.values().map(|node| (node.id.clone(), node.incarnation)).collect();
        for node in cluster.nodes.values_mut() {
            let (mut writer, ops) = create(&Identity::new(node.id.clone(), node.incarnation), LOG);
            node.disk.apply_all(&ops);
            let others = peers.iter().filter(|(id, _)| *id != node.id).cloned();
            let mut records: Vec<Record> =
                others.map(|(node_id, incarnation)| Record::Peer { node_id, incarnation }).collect();
            records.push(Record::Admitted);
            node.disk.apply_all(&writer.append(&records).1);
        }
        cluster
    }

    /// A server with an empty disk that waits to be added, in touch with all others.
    pub(crate) fn join(&mut self, id: &NodeId) {
        let others = self.ids();
        let incarnation = Incarnation(others.len() as u64 + 0x10);
        self.nodes.insert(id.clone(), Node::new(id.clone(), incarnation, Vec::new()));
        self.start(id);
        for other in others.iter().filter(|other| *other != id) {
            self.connect(id, other);
        }
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().cloned().collect()
    }

    pub(crate) fn node(&mut self, id: &NodeId) -> &mut Node {
        self.nodes.get_mut(id).unwrap_or_else(|| panic!("there is no server {id}"))
    }

    pub(crate) fn replica(&self, id: &NodeId) -> Option<&Replica> {
        self.nodes.get(id)?.replica.as_ref()
    }

    pub(crate) fn is_up(&self, id: &NodeId) -> bool {
        self.replica(id).is_some()
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    /// Starts a server from what its disk holds.
    pub(crate) fn start(&mut self, id: &NodeId) {
        let now = self.now;
        let node = self.node(id);
        let configuration = match &node.members[..] {
            [] => Configuration::waiting(id.clone(), format!("{id}:1")),
            members => {
                let address =
                    |member: &NodeId| if member == id { node.address.clone() } else { String::new() };
                Configuration::with_addresses(members.iter().map(|member| (member.clone(), address(member))))
            }
        };
        assert!(node.replica.is_none(), "{id} is running");
        let stored = match node.disk.durable(id) {
            Some(recovered) => {
                node.disk.apply_all(&recovered.repairs);
                Stored::from(recovered)
            }
            None => {
                let identity = Identity::new(id.clone(), node.incarnation);
                let (writer, ops) = create(&identity, LOG);
                node.disk.apply_all(&ops);
                Stored::fresh(identity, writer)
            }
        };
        node.life += 1;
        node.memory = Memory::default();
        let machine = Box::new(RecordedStore::new(&node.memory));
        let seed = id.as_str().bytes().fold(node.life, |seed, byte| seed * 257 + u64::from(byte));
        let options = Options {
            configuration,
            timing: Timing::default(),
            seed,
            snapshot_every: SnapshotEvery::default(),
            now,
        };
        node.replica = Some(Replica::new(stored, machine, options));
        self.invariants.started(&self.nodes[id]);
        self.drain(id);
    }

    /// The server's process is gone; nobody is told. What it has sent is still under way.
    pub(crate) fn crash(&mut self, id: &NodeId, unanswered: Unanswered) {
        self.invariants.before_crash(&self.nodes[id]);
        let mut dice = self.dice.clone();
        let node = self.node(id);
        node.replica = None;
        node.disk.crash(unanswered, &mut dice);
        self.dice = dice;
        self.lose_what_goes_to(id);
    }

    fn lose_what_goes_to(&mut self, id: &NodeId) {
        self.network.links_mut().filter(|((_, to), _)| to == id).for_each(|(_, link)| link.queue.clear());
    }

    /// The server's disk is replaced by an empty one.
    pub(crate) fn wipe(&mut self, id: &NodeId) {
        self.invariants.before_wipe(&self.nodes[id]);
        let node = self.node(id);
        assert!(node.replica.is_none(), "{id} is running");
        node.disk.wipe();
        node.incarnation = Incarnation(node.incarnation.0 + 0x100);
    }

    pub(crate) fn step(&mut self, id: &NodeId, event: Event) {
        self.step_without_draining(id, event);
        self.drain(id);
    }

    pub(crate) fn step_without_draining(&mut self, id: &NodeId, event: Event) {
        let now = self.now;
        if let Some(replica) = &mut self.node(id).replica {
            replica.step(now, event);
        }
    }

    /// Carries out what a server wants done.
    pub(crate) fn drain(&mut self, id: &NodeId) {
        loop {
            let Some(replica) = &mut self.node(id).replica else { return };
            let actions = replica.drain();
            self.invariants.after_step(&self.nodes, id);
            for action in actions {
                self.carry_out(id, action);
            }
            let node = self.node(id);
            let aside = if node.disk_answers { node.disk.finish_aside() } else { None };
            if let Some((seq, outcome)) = aside {
                self.step_without_draining(id, Event::AsideDone { seq, outcome });
                continue;
            }
            let node = self.node(id);
            if !node.disk_answers || !node.disk.is_busy() {
                return;
            }
            self.answer_for_disk(id);
        }
    }

    /// The disk flushes what it was given, and says so.
    pub(crate) fn flush_disk(&mut self, id: &NodeId) {
        self.answer_for_disk(id);
        if let Some((seq, outcome)) = self.node(id).disk.finish_aside() {
            self.step_without_draining(id, Event::AsideDone { seq, outcome });
        }
        self.drain(id);
    }

    fn answer_for_disk(&mut self, id: &NodeId) {
        if let Some(seq) = self.node(id).disk.flush() {
            self.step_without_draining(id, Event::Persisted(seq));
        }
    }

    fn carry_out(&mut self, id: &NodeId, action: Action) {
        let node = id.clone();
        match action {
            Action::Send { to, message } => {
                self.invariants.sent(&self.nodes[id], &to, &message);
                let incarnation = self.nodes[id].incarnation;
                self.network.send(id, &to, Packet { incarnation, message });
            }
            Action::Disk(batch) => self.node(id).disk.submit(batch),
            Action::Aside { seq, op } => self.node(id).disk.submit_aside(seq, op),
            Action::Answer { token, reply } => {
                self.invariants.answered(&self.nodes, &reply);
                self.happenings.push(Happening::Answered { node, token, reply });
            }
            Action::CallReply { token, reply } => {
                self.invariants.call_answered(&self.nodes[id], &reply);
                self.happenings.push(Happening::CallAnswered { node, token, reply });
            }
            Action::Notice(notice) => self.happenings.push(Happening::Noticed { node, notice }),
            Action::Stopped => self.happenings.push(Happening::MayStop { node }),
        }
    }

    pub(crate) fn connect(&mut self, a: &NodeId, b: &NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            self.network.link(from, to).open = true;
            self.step(from, Event::Connected { peer: to.clone() });
        }
    }

    pub(crate) fn connect_all(&mut self) {
        let ids = self.ids();
        for (i, a) in ids.iter().enumerate() {
            for b in &ids[i + 1..] {
                self.connect(a, b);
            }
        }
    }

    /// The streams between two servers end, with what was under way in them.
    pub(crate) fn disconnect(&mut self, a: &NodeId, b: &NodeId, process_died: bool) {
        for (from, to) in [(a, b), (b, a)] {
            let link = self.network.link(from, to);
            link.open = false;
            link.queue.clear();
        }
        for (at, peer) in [(a, b), (b, a)] {
            self.step(at, Event::Disconnected { peer: peer.clone(), process_died });
        }
    }

    /// A server comes up again: its peers find the old stream dead and make a new one.
    pub(crate) fn restart(&mut self, id: &NodeId) {
        self.start(id);
        self.lose_what_goes_to(id);
        for peer in self.ids().into_iter().filter(|peer| peer != id) {
            if self.network.link(&peer, id).open {
                self.step(&peer, Event::Disconnected { peer: id.clone(), process_died: false });
                self.step(&peer, Event::Connected { peer: id.clone() });
            }
            if self.network.link(id, &peer).open {
                self.step(id, Event::Connected { peer: peer.clone() });
            }
        }
    }

    /// Delivers the message at a place in a queue.
    pub(crate) fn deliver(&mut self, from: &NodeId, to: &NodeId, at: usize) {
        self.deliver_without_draining(from, to, at);
        self.drain(to);
    }

    pub(crate) fn deliver_without_draining(&mut self, from: &NodeId, to: &NodeId, at: usize) {
        let Some(packet) = self.network.link(from, to).queue.remove(at) else { return };
        let (from, to, message) = (from.clone(), to.clone(), packet.message);
        if !self.is_up(&to) {
            self.happenings.push(Happening::Lost { from, to, message });
            return;
        }
        let told = Happening::Delivered { from: from.clone(), to: to.clone(), message: message.clone() };
        self.happenings.push(told);
        self.step_without_draining(&to, Event::Received { from, incarnation: packet.incarnation, message });
    }

    /// Delivers, link by link, until nothing is under way.
    pub(crate) fn settle(&mut self) {
        for _ in 0..2000 {
            let ready = self.network.ready();
            if ready.is_empty() {
                return;
            }
            for (from, to) in ready {
                self.deliver(&from, &to, 0);
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// The running server that next wants to hear from the clock, and when.
    pub(crate) fn next_tick(&self) -> Option<(Time, NodeId)> {
        let never = Time::from_micros(u64::MAX);
        let due = |node: &Node| Some((node.replica.as_ref()?.deadline().max(self.now), node.id.clone()));
        self.nodes.values().filter_map(due).min().filter(|(due, _)| *due < never)
    }

    /// Lets time pass, with what comes due; everything sent arrives at once if `delivering`.
    pub(crate) fn pass(&mut self, time: Duration, delivering: bool) {
        let end = self.now + time;
        for _ in 0..100_000 {
            if delivering {
                self.settle();
            }
            match self.next_tick() {
                Some((due, id)) if due <= end => {
                    self.now = due;
                    self.step(&id, Event::Tick);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("a server wants to be woken without end: {:?}", self.next_tick());
    }

    /// Lets time pass for one server alone until it stands for election.
    pub(crate) fn time_out(&mut self, id: &NodeId) {
        for _ in 0..100 {
            let Some(replica) = self.replica(id) else { panic!("{id} is down") };
            self.now = self.now.max(replica.deadline());
            let before = self.happenings.len();
            self.step(id, Event::Tick);
            let stands = |happening: &Happening| match happening {
                Happening::Noticed { notice: Notice::RoleChanged { role, .. }, .. } => {
                    *role == Role::PreCandidate
                }
                _ => false,
            };
            if self.happenings[before..].iter().any(stands) {
                return;
            }
        }
        panic!("{id} does not stand for election");
    }
}
