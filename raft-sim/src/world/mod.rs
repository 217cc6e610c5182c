//! A whole cluster in one thread: servers, disks, network, clients, and one queue of what is to come.

mod aside;
mod chaos;
pub(crate) mod clients;
mod clock;
pub(crate) mod disk;
mod ending;
mod members;
mod memory;
mod network;
mod node;
mod operators;
mod process;
mod queue;
mod recording;
mod traffic;

use raft_core::types::{NodeId, Time};

use crate::checks::Checks;
use crate::dice::Dice;
use crate::fault::{Fault, Faults};
use crate::history::History;
use crate::plan::Plan;
use crate::report::Counts;
use crate::trace::Trace;
use clients::Clients;
use network::Network;
use node::{Coming, Node};
use operators::Operators;
use queue::Queue;

/// Events after which a run is taken for one that never ends.
const MOST_EVENTS: u64 = 3_000_000;

pub(crate) struct World {
    plan: Plan,
    now: Time,
    queue: Queue<Coming>,
    nodes: Vec<Node>,
    network: Network,
    clients: Clients,
    operators: Operators,
    history: History,
    faults: Faults,
    checks: Checks,
    trace: Trace,
    counts: Counts,
    /// Chance for the network.
    traffic_dice: Dice,
    /// Chance for servers and disks.
    process_dice: Dice,
    /// Chance for what is recorded.
    recording_dice: Dice,
    /// Whether anything is.
    is_recorded: bool,
    /// Since when all is well, if it is.
    healed_at: Option<Time>,
    /// Until then a server may be stopping.
    stops_until: Time,
    /// Until then somebody may say what a server with damaged memory made up.
    wrong_until: Time,
}

impl World {
    pub(crate) fn new(seed: u64, without: &[Fault], operations: Option<u64>, is_told: bool) -> World {
        let plan = Plan::draw(seed);
        let id = |at| NodeId::new(&format!("n{}", at + 1)).expect("a valid id");
        let mut recording_dice = Dice::stream(seed, "recording");
        let machines = plan.servers + plan.spares;
        let nodes: Vec<Node> = (0..machines).map(|at| Node::new(at, id(at), at < plan.servers)).collect();
        World {
            now: Time::ZERO,
            queue: Queue::new(),
            network: Network::new(machines),
            clients: Clients::new(seed, plan.clients, operations.unwrap_or(plan.operations)),
            operators: Operators::default(),
            history: History::default(),
            faults: Faults::draw(seed, without),
            checks: Checks::new(&nodes.iter().map(|node| node.id.clone()).collect::<Vec<NodeId>>()),
            trace: Trace::new(is_told),
            counts: Counts::default(),
            traffic_dice: Dice::stream(seed, "traffic"),
            process_dice: Dice::stream(seed, "processes"),
            is_recorded: recording_dice.one_in(4),
            recording_dice,
            healed_at: None,
            stops_until: Time::ZERO,
            wrong_until: Time::ZERO,
            nodes,
            plan,
        }
    }

    fn begin(&mut self) {
        if self.plan.acquainted {
            self.acquaint();
        }
        for at in 0..self.plan.servers {
            self.start(at);
        }
        for client in 0..self.clients.count() {
            self.queue.put(self.now, Coming::Ask { client });
        }
        self.queue.put(Time::from_micros(self.plan.chaos_every), Coming::Chaos);
    }

    /// Lets everything happen that the seed holds; panics where a check fails.
    pub(crate) fn run(&mut self) {
        self.begin();
        let turmoil_ends = Time::ZERO + self.plan.turmoil;
        while self.queue.next_at().is_some_and(|at| at <= turmoil_ends) && !self.clients.are_done() {
            self.next();
        }
        self.end_well();
    }

    /// The next thing happens.
    fn next(&mut self) {
        let Some((at, what)) = self.queue.take() else { return };
        assert!(at >= self.now, "Time: it went back");
        self.now = at;
        self.counts.events += 1;
        assert!(self.counts.events < MOST_EVENTS, "Progress: the run does not come to an end");
        match what {
            Coming::Wake { at, life } => self.wake(at, life),
            Coming::Arrival { from, to, stream, is_late, packet } => {
                self.arrive(from, to, stream, is_late, &packet);
            }
            Coming::Dial { from, to, life } => self.dial(from, to, life),
            Coming::Ended { from, to, life, stream, process_died } => {
                self.ended(from, to, life, stream, process_died);
            }
            Coming::DiskDone { at, life, seq } => self.disk_done(at, life, seq),
            Coming::AsideDone { at, life, seq, op } => self.aside_done(at, life, seq, &op),
            Coming::DiskHasRoom { at, life } => self.disk_has_room(at, life),
            Coming::Start { at, life } if self.nodes[at].life == life && !self.nodes[at].is_up() => {
                self.start(at)
            }
            Coming::Kill { at, life } if self.nodes[at].life == life => self.crash(at, disk::Death::Process),
            Coming::Start { .. } | Coming::Kill { .. } => {}
            Coming::Cut { number } => self.switch_cut(number),
            Coming::Chaos => self.chaos(),
            Coming::Ask { client } => self.ask(client),
            Coming::Request { attempt } => self.request(attempt),
            Coming::Repeat { attempt } => self.repeat(attempt),
            Coming::Heard { attempt, answer } => self.hear(attempt, answer),
        }
    }

    fn now_tell(&mut self, line: impl FnOnce() -> String) {
        self.trace.tell(self.now, line);
    }

    /// What happened so far, in numbers.
    pub(crate) fn counts(&self) -> Counts {
        let (operations, answered) = self.history.count();
        Counts {
            seeds: 1,
            micros: self.now.as_micros(),
            operations,
            answered,
            fired: self.faults.fired().clone(),
            trace: self.trace.hash(),
            ..self.counts.clone()
        }
    }

    pub(crate) fn take_story(&mut self) -> Vec<String> {
        self.trace.take_story()
    }
}
