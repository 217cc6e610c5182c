//! One server: the shipped replica, its state machine and its disk, and what it does next.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::consensus::{Configuration, Timing};
use raft_core::entry::{Command, Entry};
use raft_core::log::{Identity, Record, create};
use raft_core::message::{Hello, KnownBy, Message, VoteReply};
use raft_core::replica::{
    Action, Consistency, Event, Options, Replica, Reply, Role, SnapshotEvery, Stored, Token,
};
use raft_core::types::{Incarnation, LogIndex, NodeId, Term, Time};

use crate::disk::{Disk, LOG};
use crate::durable;
use crate::machine::{Applied, History, last_seen};
use crate::names::{Place, Renaming};
use crate::packet::Packet;
use crate::print::Transcript;

/// The moment at which every step begins: see `Replica::forget_time`.
const NOW: Time = Time::from_micros(3_600_000_000);

/// Tokens of reads are numbered from here, those of writes from 1.
pub(crate) const READS: u64 = 1000;

/// What happens to a server.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// No leader was heard for an election timeout; a leader heard no majority.
    Timeout {
        /// Whether pre-votes are asked for, or taken as granted.
        pre_votes: bool,
    },
    /// A heartbeat is due.
    Heartbeat,
    Receive(Arc<Packet>),
    Propose(u64),
    Read(u64),
    /// The disk answers.
    Persist,
    /// The process dies and another starts; writes the disk has not answered for are there, or not.
    Restart {
        kept: bool,
    },
    /// A peer's process died, and another has introduced itself.
    Restarted(Place),
}

/// What a step said to the world.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Send(Arc<Packet>),
    /// A client's command took effect at this place in the log.
    Done {
        index: LogIndex,
    },
    /// A read saw everything up to here.
    Found {
        seen: LogIndex,
    },
}

/// What the properties are about.
#[derive(Clone, Debug)]
pub struct View {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it voted for.
    pub voted_for: Option<Place>,
    /// Its term as recovery would find it.
    pub durable_term: Term,
    /// Its vote in that term as recovery would find it.
    pub durable_vote: Option<Place>,
    /// Its log.
    pub log: Vec<Entry>,
    /// Its commit index.
    pub commit_index: LogIndex,
    /// How much of that it has applied.
    pub last_applied: LogIndex,
    pub(crate) applied: Vec<Applied>,
}

/// A server in one state. Never changed: a step makes another one.
pub(crate) struct Server {
    place: Place,
    replica: Mutex<Replica>,
    disk: Disk,
    pub(crate) view: View,
    /// Stands for all that decides its future.
    pub(crate) key: u128,
    /// Its fingerprint after each renaming.
    pub(crate) prints: Vec<u64>,
}

/// A server after a step.
pub(crate) struct Step {
    pub(crate) server: Arc<Server>,
    pub(crate) outputs: Vec<Output>,
    /// Something was said before what it rests on was durable.
    pub(crate) spoke_too_soon: Option<String>,
    /// An assertion of the replica did not hold.
    pub(crate) failed: Option<String>,
}

/// Servers that have met before and may vote, with empty logs.
pub(crate) fn fresh_servers(servers: u8) -> Vec<Arc<Server>> {
    let renamings = Renaming::all(servers);
    let build = |place: Place| {
        let (mut writer, mut ops) = create(&Identity::new(place.id(), incarnation(place)), LOG);
        let others = Place::all(servers).filter(|other| *other != place);
        let met = |other: Place| Record::Peer { node_id: other.id(), incarnation: incarnation(other) };
        let records: Vec<Record> = others.map(met).chain([Record::Admitted]).collect();
        ops.extend(writer.append(&records).1);
        let mut work = Work::start(place, servers, Disk::holding(&place.id(), &ops));
        work.meet_all(servers);
        work.drain(true);
        Arc::new(work.finish(&renamings))
    };
    Place::all(servers).map(build).collect()
}

fn incarnation(place: Place) -> Incarnation {
    Incarnation(u64::from(place.0) + 1)
}

fn members(servers: u8) -> Vec<NodeId> {
    Place::all(servers).map(Place::id).collect()
}

impl Server {
    /// Whether it waits for its disk.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.disk.is_busy()
    }

    /// Whether a crash of the machine would lose writes that one of the process would not.
    pub(crate) fn has_unflushed(&self) -> bool {
        self.disk.holds_back()
    }

    /// Whether an entry is durable here.
    pub(crate) fn has_durable(&self, entry: &Entry) -> bool {
        durable::has(self.disk.durable(), entry)
    }

    /// Takes one step. If `disk_answers`, whatever goes to the disk is durable by its end.
    pub(crate) fn step(&self, input: &Input, disk_answers: bool, renamings: &[Renaming]) -> Step {
        let servers = u8::try_from(self.servers()).expect("a handful");
        let run = || {
            let mut work = self.work();
            work.input(input, servers);
            work.drain(disk_answers);
            let (outputs, spoke_too_soon) = (std::mem::take(&mut work.outputs), work.spoke_too_soon.take());
            let failed = work.replica.failed().map(str::to_owned);
            Step { server: Arc::new(work.finish(renamings)), outputs, spoke_too_soon, failed }
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("an assertion failed");
            let work = self.work();
            Step {
                server: Arc::new(work.finish(renamings)),
                outputs: Vec::new(),
                spoke_too_soon: None,
                failed: Some(said.to_owned()),
            }
        })
    }

    fn servers(&self) -> usize {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner).consensus().configuration().voter_count()
    }

    fn work(&self) -> Work {
        let history = History::fork(&self.view.applied);
        let replica = self.replica.lock().unwrap_or_else(PoisonError::into_inner);
        Work {
            place: self.place,
            replica: replica.fork(Box::new(history.clone())),
            disk: self.disk.clone(),
            history,
            outputs: Vec::new(),
            spoke_too_soon: None,
            asks_pre_votes: true,
        }
    }
}

/// A server in the middle of a step.
struct Work {
    place: Place,
    replica: Replica,
    disk: Disk,
    history: History,
    outputs: Vec<Output>,
    spoke_too_soon: Option<String>,
    /// Whether requests for pre-votes are sent; if not, they were granted already.
    asks_pre_votes: bool,
}

impl Work {
    fn start(place: Place, servers: u8, mut disk: Disk) -> Work {
        let history = History::default();
        let stored = Stored::from(disk.restart());
        let configuration = Configuration::new(members(servers));
        let options = Options {
            configuration,
            timing: Timing::default(),
            seed: 0,
            snapshot_every: SnapshotEvery::default(),
            now: NOW,
        };
        let replica = Replica::new(stored, Box::new(history.clone()), options);
        let outputs = Vec::new();
        Work { place, replica, disk, history, outputs, spoke_too_soon: None, asks_pre_votes: true }
    }

    fn finish(mut self, renamings: &[Renaming]) -> Server {
        self.replica.forget_time(NOW);
        let applied = self.history.applied();
        let prints = |renaming: &Renaming| {
            let names = |id: &NodeId| renaming.of(Place::of(id));
            let mut transcript = Transcript::of(renaming.of(self.place));
            self.replica.project(&names, &mut transcript);
            self.disk.project(&names, &mut transcript);
            applied.hash(&mut transcript);
            transcript
        };
        let consensus = self.replica.consensus();
        let log = consensus.log();
        let view = View {
            role: consensus.role(),
            term: consensus.term(),
            voted_for: consensus.hard_state().voted_for.as_ref().map(Place::of),
            durable_term: self.disk.durable().hard_state.term,
            durable_vote: self.disk.durable().hard_state.voted_for.as_ref().map(Place::of),
            log: log.range(log.first_index()..=log.last_index()).cloned().collect(),
            commit_index: consensus.commit_index(),
            last_applied: self.replica.last_applied(),
            applied: applied.clone(),
        };
        Server {
            place: self.place,
            view,
            key: prints(&renamings[0]).wide(),
            prints: renamings.iter().map(|renaming| std::hash::Hasher::finish(&prints(renaming))).collect(),
            replica: Mutex::new(self.replica),
            disk: self.disk,
        }
    }

    fn input(&mut self, input: &Input, servers: u8) {
        let timing = Timing::default();
        match input {
            Input::Timeout { pre_votes } => {
                self.replica.step(NOW + timing.election_timeout_max, Event::Tick);
                if !pre_votes {
                    self.grant_pre_votes(servers);
                }
            }
            Input::Heartbeat => self.replica.step(NOW + timing.heartbeat_interval, Event::Tick),
            Input::Receive(packet) => self.receive(packet.from, packet.message.clone()),
            Input::Propose(number) => {
                let data = Bytes::copy_from_slice(&number.to_le_bytes()[..1]);
                let command = Command { session: None, data };
                self.at_once(Event::Propose { token: Token(*number), deadline: patience(), command });
            }
            Input::Read(number) => self.at_once(Event::Query {
                token: Token(READS + number),
                deadline: patience(),
                consistency: Consistency::Linearizable,
                query: Bytes::new(),
            }),
            Input::Persist => self.disk_answers(),
            Input::Restart { kept } => {
                self.disk.crash(*kept);
                let fresh = Work::start(self.place, servers, self.disk.clone());
                (self.replica, self.disk, self.history) = (fresh.replica, fresh.disk, fresh.history);
                self.meet_all(servers);
            }
            Input::Restarted(peer) => {
                self.at_once(Event::Disconnected { peer: peer.id(), process_died: true });
                self.meet(*peer, servers);
            }
        }
    }

    fn at_once(&mut self, event: Event) {
        self.replica.step(NOW, event);
    }

    fn receive(&mut self, from: Place, message: Message) {
        self.at_once(Event::Received { from: from.id(), incarnation: incarnation(from), message });
    }

    /// The pre-candidate gets what it asks for.
    fn grant_pre_votes(&mut self, servers: u8) {
        for peer in Place::all(servers) {
            let consensus = self.replica.consensus();
            if consensus.role() == Role::PreCandidate && peer != self.place {
                let reply = VoteReply { term: consensus.term().next(), pre_vote: true, refusal: None };
                self.receive(peer, Message::VoteReply(reply));
                self.asks_pre_votes = false;
            }
        }
    }

    fn meet_all(&mut self, servers: u8) {
        let place = self.place;
        for peer in Place::all(servers).filter(|peer| *peer != place) {
            self.meet(peer, servers);
        }
    }

    /// A stream opens, and both introduce themselves.
    fn meet(&mut self, peer: Place, servers: u8) {
        self.at_once(Event::Connected { peer: peer.id() });
        self.receive(peer, Message::Hello(Hello { members: members(servers), ..Hello::default() }));
        self.receive(peer, Message::Welcome { known: incarnation(self.place), by: KnownBy::Record });
    }

    fn disk_answers(&mut self) {
        if let Some(last) = self.disk.flush() {
            self.at_once(Event::Persisted(last));
        }
    }

    /// Carries out what the replica wants done.
    fn drain(&mut self, disk_answers: bool) {
        loop {
            let mut went_aside = false;
            for action in self.replica.drain() {
                went_aside |= matches!(action, Action::Aside { .. });
                self.carry_out(action);
            }
            if went_aside {
                continue;
            }
            if !disk_answers || !self.disk.is_busy() {
                return;
            }
            self.disk_answers();
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            // Introductions are exchanged when the stream opens.
            Action::Send { message: Message::Hello(_) | Message::Welcome { .. }, .. } => {}
            Action::Send { message: Message::RequestVote(request), .. }
                if request.pre_vote && !self.asks_pre_votes => {}
            Action::Send { to, message } => {
                let to = Place::of(&to);
                let too_soon = durable::said_too_soon(self.place, to, &message, &self.replica, &self.disk);
                self.spoke_too_soon = self.spoke_too_soon.take().or(too_soon);
                self.outputs.push(Output::Send(Arc::new(Packet::new(self.place, to, message))));
            }
            Action::Disk(batch) => self.disk.submit(&batch),
            Action::Aside { seq, op } => {
                let outcome = self.disk.carry_out_aside(&op);
                self.at_once(Event::AsideDone { seq, outcome });
            }
            Action::Answer { reply: Reply::Done(outcome), .. } => {
                self.outputs.push(Output::Done { index: outcome.index });
            }
            Action::Answer { reply: Reply::Found(answer), .. } => {
                self.outputs.push(Output::Found { seen: last_seen(&answer) });
            }
            Action::Answer { .. } | Action::CallReply { .. } | Action::Notice(_) | Action::Stopped => {}
        }
    }
}

/// Clients wait longer than any model looks ahead.
fn patience() -> Time {
    NOW + Duration::from_secs(1800)
}

impl Input {
    /// Two inputs with the same print have the same effect on a server.
    pub(crate) fn print(&self) -> u64 {
        let transcript = match self {
            Input::Timeout { pre_votes } => Transcript::of((0u8, pre_votes)),
            Input::Heartbeat => Transcript::of(1u8),
            Input::Receive(packet) => Transcript::of((2u8, packet.from, packet.content())),
            Input::Propose(number) => Transcript::of((3u8, number)),
            Input::Read(number) => Transcript::of((4u8, number)),
            Input::Persist => Transcript::of(5u8),
            Input::Restart { kept } => Transcript::of((6u8, kept)),
            Input::Restarted(peer) => Transcript::of((7u8, peer)),
        };
        std::hash::Hasher::finish(&transcript)
    }
}
