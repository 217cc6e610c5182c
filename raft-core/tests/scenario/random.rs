//! A cluster to which anything happens, in an order drawn from a seed: messages overtake each other, get lost
//! or come twice, disks are slow, servers crash in the middle of a write and lose what was not durable, one
//! loses its disk, the network splits, members come and go. Meanwhile clients write and read. Then all heals,
//! and the cluster has to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_core::consensus::Change;
use raft_core::entry::{ClientId, Command, Sequence, SessionStep};
use raft_core::message::Message;
use raft_core::replica::{Consistency, Event, Replica, Task, Token};
use raft_core::types::NodeId;

use super::cluster::{Cluster, Happening};
use super::dice::Dice;
use super::disk::Unanswered;
use super::history::History;
use super::show;

pub(crate) struct World {
    cluster: Cluster,
    dice: Dice,
    ids: Vec<NodeId>,
    history: History,
    /// Clients of a process that is gone get no answer.
    open: BTreeMap<Token, NodeId>,
    /// Which of them are no writes or reads.
    tasks: BTreeSet<Token>,
    may_wipe: bool,
    wiped: bool,
    writes: u64,
    telling: bool,
    labels: BTreeMap<Token, String>,
}

impl World {
    fn new(seed: u64, telling: bool) -> World {
        let mut dice = Dice::new(seed);
        let servers = [3, 3, 3, 5, 2][dice.below(5)];
        let ids: Vec<NodeId> = (1..=servers).map(|n| NodeId::new(&format!("n{n}")).expect("valid")).collect();
        let fresh = dice.one_in(4);
        let life = dice.next();
        let mut cluster = if fresh { Cluster::fresh(&ids, life) } else { Cluster::acquainted(&ids, life) };
        for id in &ids {
            cluster.start(id);
            cluster.node(id).disk_answers = dice.one_in(2);
        }
        cluster.connect_all();
        let may_wipe = dice.one_in(3);
        World {
            cluster,
            dice,
            ids,
            history: History::default(),
            open: BTreeMap::new(),
            tasks: BTreeSet::new(),
            may_wipe,
            wiped: false,
            writes: 0,
            telling,
            labels: BTreeMap::new(),
        }
    }

    /// Lets so many things happen, then heals the cluster and checks what the clients saw.
    pub(crate) fn run(seed: u64, steps: usize, telling: bool) {
        let mut world = World::new(seed, telling);
        for step in 0..steps {
            world.something();
            world.take_note(step);
        }
        world.heal(steps);
        world.check_agreement();
        let executed = world.cluster.invariants.executed();
        world.history.check(executed);
    }

    fn node(&mut self) -> NodeId {
        self.ids[self.dice.below(self.ids.len())].clone()
    }

    fn something(&mut self) {
        match self.dice.below(1000) {
            0..600 => self.messages(),
            600..720 => self.disk(),
            720..840 => self.time(),
            840..930 => self.client(),
            930..975 => self.streams(),
            _ => self.process(),
        }
    }

    fn messages(&mut self) {
        let ready = self.cluster.network.ready();
        let Some((from, to)) = self.dice.pick(&ready).cloned() else { return self.time() };
        let waiting = self.cluster.network.link(&from, &to).queue.len();
        let place = if self.dice.one_in(8) { self.dice.below(waiting) } else { 0 };
        match self.dice.below(24) {
            0 => drop(self.cluster.network.link(&from, &to).queue.remove(place)),
            1 => {
                let queue = &mut self.cluster.network.link(&from, &to).queue;
                let packet = queue[place].clone();
                // A stream delivers once, and only that makes a forwarded write unique.
                if !matches!(packet.message, Message::Forward { .. } | Message::Administer { .. }) {
                    queue.push_back(packet);
                }
            }
            2..6 => {
                for _ in 0..self.dice.below(waiting + 1) {
                    self.cluster.deliver_without_draining(&from, &to, 0);
                }
                self.cluster.drain(&to);
            }
            _ => self.cluster.deliver(&from, &to, place),
        }
    }

    fn disk(&mut self) {
        let busy = |node: &&super::cluster::Node| node.replica.is_some() && node.disk.is_busy();
        let busy: Vec<NodeId> =
            self.cluster.nodes.values().filter(busy).map(|node| node.id.clone()).collect();
        match self.dice.pick(&busy).cloned() {
            Some(id) => self.cluster.flush_disk(&id),
            None => self.messages(),
        }
    }

    fn time(&mut self) {
        let Some((due, id)) = self.cluster.next_tick() else { return };
        if self.dice.one_in(4) {
            // A clock that is late, or early.
            self.cluster.now = self.cluster.now + Duration::from_millis(self.dice.below(20) as u64);
            let id = self.node();
            return self.cluster.step(&id, Event::Tick);
        }
        self.cluster.now = due;
        self.cluster.step(&id, Event::Tick);
    }

    fn client(&mut self) {
        let id = self.node();
        if !self.cluster.is_up(&id) {
            return;
        }
        let token = self.cluster.token();
        let deadline = self.cluster.now + Duration::from_millis(20 + self.dice.below(1500) as u64);
        let key = ["a", "b", "c"][self.dice.below(3)].to_owned();
        self.open.insert(token, id.clone());
        let event = match self.dice.below(10) {
            0..4 => {
                let consistency =
                    if self.dice.one_in(5) { Consistency::Stale } else { Consistency::Linearizable };
                self.label(token, || format!("get {id} {key} {consistency:?}"));
                let query = self.history.read(token, &key, consistency);
                Event::Query { token, deadline, consistency, query }
            }
            4 if !self.history.repeatable().is_empty() => {
                let write = *self.dice.pick(self.history.repeatable()).expect("just seen");
                let command = self.history.again(token, write);
                self.label(token, || format!("put {id} once more, write {write}"));
                Event::Propose { token, deadline, command }
            }
            _ => {
                self.writes += 1;
                let (value, protected) = (self.writes, self.dice.one_in(2));
                self.label(token, || format!("put {id} {key}={value} protected={protected}"));
                let session = protected.then(|| {
                    let client = ClientId::new(format!("client {value}").as_bytes()).expect("valid");
                    Box::new(SessionStep { client, sequence: Sequence::Only })
                });
                let command = Command { session, data: History::set(&key, value) };
                self.history.write(token, &key, value, &command);
                Event::Propose { token, deadline, command }
            }
        };
        self.cluster.step(&id, event);
    }

    fn label(&mut self, token: Token, text: impl Fn() -> String) {
        if self.telling {
            self.labels.insert(token, text());
        }
    }

    fn streams(&mut self) {
        let (a, b) = (self.node(), self.node());
        match self.dice.below(20) {
            0..4 => {
                let ids = self.ids.clone();
                let (left, right) = ids.into_iter().partition(|_| self.dice.one_in(2));
                self.cluster.network.partition(&[left, right]);
            }
            4..14 => self.cluster.network.heal(),
            _ if a == b || !self.cluster.is_up(&a) || !self.cluster.is_up(&b) => {}
            14..16 => {
                let died = self.dice.one_in(2);
                self.cluster.disconnect(&a, &b, died);
            }
            _ if !self.cluster.network.link(&a, &b).open => self.cluster.connect(&a, &b),
            _ => {}
        }
    }

    fn process(&mut self) {
        let id = self.node();
        if !self.cluster.is_up(&id) {
            if self.may_wipe && self.dice.one_in(6) {
                (self.may_wipe, self.wiped) = (false, true);
                self.cluster.wipe(&id);
            }
            if self.dice.one_in(2) {
                self.cluster.restart(&id);
            }
            return;
        }
        match self.dice.below(10) {
            0..3 => {
                let unanswered = [Unanswered::Lost, Unanswered::Kept, Unanswered::Torn][self.dice.below(3)];
                self.crash(&id, unanswered);
            }
            3 => {
                let deadline = self.cluster.now + Duration::from_millis(200);
                self.cluster.step(&id, Event::Stop { deadline });
            }
            4 if self.dice.one_in(4) => {
                self.cluster.step(&id, Event::DiskFailed { reason: "broken".to_owned() });
            }
            5 => self.cluster.node(&id).disk_answers ^= true,
            6 => self.transfer(&id),
            7 => self.change(&id),
            8 => self.administer(&id, Task::Snapshot),
            _ => {}
        }
    }

    /// An operator wants another leader.
    fn transfer(&mut self, id: &NodeId) {
        let to = self.dice.one_in(2).then(|| self.node());
        self.administer(id, Task::Transfer { to });
    }

    fn administer(&mut self, id: &NodeId, task: Task) {
        let (token, deadline) = (self.cluster.token(), self.cluster.now + Duration::from_millis(700));
        self.label(token, || format!("{id}: {task:?}"));
        self.open.insert(token, id.clone());
        self.tasks.insert(token);
        self.cluster.step(id, Event::Administer { token, deadline, task });
    }

    /// An operator wants other members.
    fn change(&mut self, id: &NodeId) {
        let mut who = self.node();
        if self.ids.len() < 7 && self.dice.one_in(4) {
            who = NodeId::new(&format!("n{}", self.ids.len() + 1)).expect("valid");
            self.cluster.join(&who);
            self.ids.push(who.clone());
        }
        let address = format!("{who}:1");
        let change = match self.dice.below(8) {
            0..2 => Change::Remove { id: who, force: self.dice.one_in(8) },
            2..5 => {
                let (learner_only, priority) = (self.dice.one_in(4), self.dice.below(3) as u8);
                Change::Add { id: who, address, learner_only, priority }
            }
            5 => Change::Promote { id: who },
            6 => Change::SetPriority { id: who, priority: self.dice.below(3) as u8 },
            _ => Change::Replace { old: self.node(), new: who, address },
        };
        self.administer(id, Task::Change(change));
    }

    fn crash(&mut self, id: &NodeId, unanswered: Unanswered) {
        self.cluster.crash(id, unanswered);
        self.open.retain(|_, at| at != id);
    }

    /// What the clients have heard.
    fn take_note(&mut self, step: usize) {
        for happening in std::mem::take(&mut self.cluster.happenings) {
            if self.telling
                && let Some(line) = show::happening(&happening, &self.labels)
            {
                println!("{step} {} {line}", self.cluster.now.as_micros() / 1000);
            }
            match happening {
                Happening::Answered { node, token, reply } => {
                    let asked = self.open.remove(&token);
                    assert_eq!(asked.as_ref(), Some(&node), "{token:?} was answered twice, or elsewhere");
                    if !self.tasks.contains(&token) {
                        self.history.answered(token, &reply);
                    }
                }
                Happening::MayStop { node } if self.cluster.is_up(&node) => {
                    self.crash(&node, Unanswered::Kept);
                }
                _ => {}
            }
        }
        self.history.step();
    }

    /// Everything works again; only a wiped member stays out.
    fn heal(&mut self, step: usize) {
        self.cluster.network.heal();
        for id in self.ids.clone() {
            self.cluster.node(&id).disk_answers = true;
            if self.cluster.is_up(&id) {
                // It may have failed: a new process takes its place.
                self.crash(&id, Unanswered::Kept);
            }
            self.take_note(step);
        }
        for id in self.ids.clone() {
            self.cluster.restart(&id);
        }
        self.cluster.connect_all();
        self.cluster.pass(Duration::from_secs(3), true);
        let token = self.cluster.token();
        let id = self.node();
        self.open.insert(token, id.clone());
        let deadline = self.cluster.now + Duration::from_secs(2);
        let query = self.history.read(token, "a", Consistency::Linearizable);
        let consistency = Consistency::Linearizable;
        self.cluster.step(&id, Event::Query { token, deadline, consistency, query });
        self.cluster.pass(Duration::from_secs(2), true);
        self.take_note(step);
        assert!(self.open.is_empty(), "a client has no answer");
    }

    /// All voters follow one leader and have applied the same, and no change is left half done. (A member
    /// that knew the wiped one by its lost disk may have no part in that, even where others admitted it anew;
    /// and where too few are left who have their disks, nobody decides anything.)
    fn check_agreement(&self) {
        let replicas = || self.ids.iter().filter_map(|id| self.cluster.replica(id)).map(Replica::consensus);
        let latest = replicas().max_by_key(|c| (c.log().last_term(), c.configuration_index()));
        let current = latest.expect("a server").configuration();
        let is_admitted = |id: &NodeId| {
            self.cluster.replica(id).is_some_and(|replica| replica.consensus().admission().is_admitted())
        };
        if !current.has_majority(is_admitted) {
            return;
        }
        let mut states = Vec::new();
        for id in current.voters() {
            let replica = self.cluster.replica(id).expect("all run");
            let consensus = replica.consensus();
            states.push((consensus.leader().cloned(), consensus.term(), replica.last_applied()));
        }
        states.sort();
        let most = states.chunk_by(|a, b| a == b).max_by_key(|agreed| agreed.len()).unwrap_or_default();
        let wanted = if self.wiped { states.len() / 2 + 1 } else { states.len() };
        assert!(most.len() >= wanted && most[0].0.is_some(), "no agreement: {states:?}");
        assert!(!current.is_joint() || self.wiped, "a change is left half done: {current:?}");
    }
}
