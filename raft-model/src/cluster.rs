//! A state of the whole cluster, and the step from one to the next.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use raft_core::message::Message;
use raft_core::replica::Role;
use raft_core::types::{LogIndex, Term};

use crate::action::{Action, Kind, Way};
use crate::bounds::Bounds;
use crate::model::Checked;
use crate::names::{Place, Renaming};
use crate::packet::Packet;
use crate::past::Past;
use crate::print::mix;
use crate::properties::{self, Broken, Rule};
use crate::server::{Input, Output, Server, Step, View, fresh_servers};

/// How much of its bounds a history has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) faults: u8,
    pub(crate) entries: u8,
    pub(crate) heartbeats: u8,
    pub(crate) overtakes: u8,
    pub(crate) duplicates: u8,
    pub(crate) crashes: u8,
    pub(crate) slow_disks: u8,
    pub(crate) step_downs: u8,
    pub(crate) reads: u8,
}

impl Left {
    fn of(bounds: &Bounds) -> Left {
        let Bounds { faults, entries, heartbeats, overtakes, duplicates, .. } = *bounds;
        let Bounds { crashes, slow_disks, step_downs, reads, .. } = *bounds;
        let left = Left {
            faults,
            entries,
            heartbeats,
            overtakes,
            duplicates,
            crashes,
            slow_disks,
            step_downs,
            reads,
        };
        if faults > 0 { left } else { Left { entries, heartbeats, reads, ..Left::default() } }
    }
}

impl Left {
    /// Where no fault is left, none of any kind is.
    fn count_fault(&mut self) {
        self.faults = self.faults.saturating_sub(1);
        if self.faults == 0 {
            let Left { entries, heartbeats, reads, .. } = *self;
            *self = Left { entries, heartbeats, reads, ..Left::default() };
        }
    }
}

/// A cluster in one state.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) packets: Vec<Arc<Packet>>,
    pub(crate) left: Left,
    past: Arc<Past>,
    /// The fingerprints of the past after each renaming.
    past_prints: Arc<[u64]>,
    /// The rule that the last step broke.
    pub(crate) broken: Option<Broken>,
    /// Its fingerprint, the same after every renaming of the servers.
    print: u64,
}

/// What the checker tells states apart by.
impl Hash for Cluster {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl PartialEq for Cluster {
    fn eq(&self, other: &Cluster) -> bool {
        self.print == other.print
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<_> = self.views().collect();
        f.debug_struct("Cluster").field("servers", &views).field("packets", &self.packets).finish()
    }
}

impl Cluster {
    /// Servers that have met before, with empty logs, connected.
    pub(crate) fn fresh(bounds: &Bounds, renamings: &[Renaming]) -> Cluster {
        let mut cluster = Cluster {
            servers: fresh_servers(bounds.servers),
            packets: Vec::new(),
            left: Left::of(bounds),
            past: Arc::default(),
            past_prints: Arc::from([]),
            broken: None,
            print: 0,
        };
        cluster.note_past(renamings);
        cluster.print = cluster.fingerprint(renamings);
        cluster
    }

    pub(crate) fn print(&self) -> u64 {
        self.print
    }

    pub(crate) fn server(&self, place: Place) -> &Arc<Server> {
        &self.servers[place.at()]
    }

    /// What a server shows.
    #[must_use]
    pub fn view(&self, place: Place) -> &View {
        &self.servers[place.at()].view
    }

    /// What all servers show.
    pub fn views(&self) -> impl Iterator<Item = (Place, &View)> {
        (0..).map(Place).zip(self.servers.iter().map(|server| &server.view))
    }

    /// How many messages are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.packets.len()
    }

    pub(crate) fn past(&self) -> &Past {
        &self.past
    }

    pub(crate) fn past_mut(&mut self) -> &mut Past {
        Arc::make_mut(&mut self.past)
    }

    fn note_past(&mut self, renamings: &[Renaming]) {
        self.past_prints = renamings.iter().map(|renaming| self.past.print(renaming)).collect();
    }

    /// A vote that recovery would find, or that lies before a term that it would, needs no other memory.
    fn forget_what_is_durable(&mut self) {
        let is_durable = |voter: Place, term: Term, candidate: Place| {
            let View { durable_term, durable_vote, .. } = self.view(voter);
            *durable_term > term || (*durable_term == term && *durable_vote == Some(candidate))
        };
        let votes = &self.past.votes;
        if votes.iter().any(|((voter, term), candidate)| is_durable(*voter, *term, *candidate)) {
            let kept =
                votes.iter().filter(|((voter, term), candidate)| !is_durable(*voter, *term, **candidate));
            let kept = kept.map(|(vote, candidate)| (*vote, *candidate)).collect();
            self.past_mut().votes = kept;
        }
    }

    /// The least of its fingerprints after all renamings. Where a packet stands does not matter.
    fn fingerprint(&self, renamings: &[Renaming]) -> u64 {
        let left = {
            let mut hasher = std::hash::DefaultHasher::new();
            (self.left, self.broken.as_ref().map(|broken| broken.rule)).hash(&mut hasher);
            hasher.finish()
        };
        let print = |(nth, renaming): (usize, &Renaming)| {
            let servers = self.servers.iter().map(|server| mix(server.prints[nth]));
            let packets = self.packets.iter().enumerate().map(|(at, packet)| {
                let ahead = self.packets[..at].iter().filter(|other| other.same_link(packet)).count();
                mix(packet.print(renaming) ^ ahead as u64)
            });
            let sum = servers.chain(packets).fold(0u64, u64::wrapping_add);
            mix(sum ^ mix(left ^ mix(self.past_prints[nth])))
        };
        renamings.iter().enumerate().map(print).min().unwrap_or_default()
    }

    /// The state after an action; none where nothing comes of it, or another action does the same.
    pub(crate) fn next(&self, model: &Checked, action: &Action) -> Option<Cluster> {
        let server = action.server;
        let before = self.server(server);
        let input = input(model.bounds(), action);
        let step = model.step(before, &input, !action.slow);
        let quiet = step.server.key == before.key && step.outputs.is_empty() && step.failed.is_none();
        // A message that changes nothing may as well stay in flight, and a disk that had nothing to do is
        // not slow.
        if quiet || (action.slow && !step.server.waits_for_disk()) {
            return None;
        }
        let mut next = self.clone();
        next.spend(action, before);
        if let Kind::Deliver(packet, way) = &action.kind {
            next.take(packet, *way);
        }
        let verdict = next.absorb(model, server, &step, before, &input);
        let verdict = verdict.and_then(|()| match action.kind {
            Kind::Crash { .. } => next.tell_peers(model, server),
            _ => Ok(()),
        });
        next.broken = verdict.err();
        next.forget_what_is_durable();
        if *next.past != *self.past {
            next.note_past(model.renamings());
        }
        next.print = next.fingerprint(model.renamings());
        Some(next)
    }

    /// Counts an action against its bounds.
    fn spend(&mut self, action: &Action, before: &Server) {
        let left = &mut self.left;
        let slow = action.slow && !before.waits_for_disk();
        let count = match &action.kind {
            Kind::Timeout if before.view.role == Role::Leader => Some(&mut left.step_downs),
            Kind::Deliver(_, Way::Twice) => Some(&mut left.duplicates),
            Kind::Deliver(_, Way::Overtaking) => Some(&mut left.overtakes),
            Kind::Crash { .. } => Some(&mut left.crashes),
            _ => None,
        };
        let mut faults = u8::from(slow) + u8::from(count.is_some());
        left.slow_disks -= u8::from(slow);
        if let Some(count) = count {
            *count -= 1;
        }
        match &action.kind {
            Kind::Heartbeat => left.heartbeats -= 1,
            Kind::Propose(_) => left.entries -= 1,
            Kind::Read(_) => {
                left.reads -= 1;
                let acknowledged = self.past.acknowledged;
                self.past_mut().reads.push(acknowledged);
            }
            _ => {}
        }
        while faults > 0 {
            faults -= 1;
            self.left.count_fault();
        }
    }

    /// A message leaves its link. One that comes twice goes to its end.
    fn take(&mut self, packet: &Arc<Packet>, way: Way) {
        let at = self.packets.iter().position(|other| other.is_like(packet)).expect("it is in flight");
        let mut position = 0;
        self.packets.retain(|other| {
            let (earlier, this) = (position < at && other.same_link(packet), position == at);
            position += 1;
            !this && (!earlier || way == Way::Overtaking)
        });
        if way == Way::Twice {
            self.packets.push(Arc::clone(packet));
        }
    }

    /// Streams to a server that has crashed end and are made anew, with no more in them than introductions.
    fn tell_peers(&mut self, model: &Checked, crashed: Place) -> Result<(), Broken> {
        let ended =
            |packet: &Packet| packet.is_client_traffic() && (packet.from == crashed || packet.to == crashed);
        self.packets.retain(|packet| !ended(packet));
        for peer in Place::all(u8::try_from(self.servers.len()).expect("a handful")) {
            if peer != crashed {
                let before = Arc::clone(self.server(peer));
                let input = Input::Restarted(crashed);
                let step = model.step(&before, &input, !before.waits_for_disk());
                self.absorb(model, peer, &step, &before, &input)?;
            }
        }
        Ok(())
    }

    /// Takes a step's outcome in, and checks it.
    fn absorb(
        &mut self,
        model: &Checked,
        server: Place,
        step: &Step,
        before: &Server,
        input: &Input,
    ) -> Result<(), Broken> {
        let broken = |rule, how: &str| Broken { rule, how: how.to_owned() };
        if let Some(failed) = &step.failed {
            return Err(broken(Rule::Assertions, &format!("{server}: {failed}")));
        }
        self.servers[server.at()] = Arc::clone(&step.server);
        let view = &step.server.view;
        let (bounds, servers) = (model.bounds(), &self.servers);
        self.packets.retain(|packet| {
            let ends = packet.from == server || packet.to == server;
            !ends || !packet.is_dead(&servers[packet.from.at()].view, &servers[packet.to.at()].view, bounds)
        });
        let mut answers = Ok(());
        for output in &step.outputs {
            match output {
                Output::Send(packet) => self.send(packet, before, model.bounds())?,
                Output::Done { .. } | Output::Found { .. } if answers.is_err() => {}
                Output::Done { index } => answers = self.acknowledge(*index),
                Output::Found { seen } => answers = self.answer_read(*seen),
            }
        }
        if let Some(how) = &step.spoke_too_soon {
            return Err(broken(Rule::DurableFirst, how));
        }
        harmless_pre_vote(server, &before.view, view, input)?;
        properties::step(server, &before.view, view, matches!(input, Input::Restart { .. }))?;
        properties::cluster(self, server)?;
        answers
    }

    fn send(&mut self, packet: &Arc<Packet>, before: &Server, bounds: &Bounds) -> Result<(), Broken> {
        let vote = match &packet.message {
            Message::RequestVote(r) if !r.pre_vote => Some((r.term, packet.from)),
            Message::VoteReply(r) if !r.pre_vote && r.refusal.is_none() => Some((r.term, packet.to)),
            _ => None,
        };
        if let Some((term, candidate)) = vote {
            let voter = packet.from;
            let durable = before.view.durable_vote.filter(|_| before.view.durable_term == term);
            let first = self.past.votes.get(&(voter, term)).copied().or(durable);
            if let Some(first) = first.filter(|first| *first != candidate) {
                let how = format!("{voter} voted for {first} and for {candidate} in term {term}");
                return Err(Broken { rule: Rule::OneVote, how });
            }
            if first.is_none() {
                self.past_mut().votes.insert((voter, term), candidate);
            }
        }
        if packet.is_dead(self.view(packet.from), self.view(packet.to), bounds) {
            return Ok(());
        }
        let mut link = self.packets.iter().enumerate().filter(|(_, other)| other.same_link(packet));
        let (oldest, count) = (link.next().map(|(at, _)| at), link.clone().count() + 1);
        let newest = link.next_back().map(|(at, _)| at).or(oldest);
        // The same message twice in a row brings nothing that once does not.
        if newest.is_some_and(|at| self.packets[at].is_like(packet)) {
            return Ok(());
        }
        if let Some(oldest) = oldest.filter(|_| count >= usize::from(bounds.in_flight)) {
            self.packets.remove(oldest);
        }
        self.packets.push(Arc::clone(packet));
        Ok(())
    }

    /// A client is told that its command took effect.
    fn acknowledge(&mut self, index: LogIndex) -> Result<(), Broken> {
        let known = self.views().find(|(_, view)| view.commit_index >= index);
        let entry = known.and_then(|(_, view)| view.log.get(properties::at(index)).cloned());
        let copies = entry.map_or(0, |entry| self.servers.iter().filter(|s| s.has_durable(&entry)).count());
        if copies < self.servers.len() / 2 + 1 {
            let how = format!("entry {index} was acknowledged with {copies} durable copies");
            return Err(Broken { rule: Rule::MajorityFirst, how });
        }
        let past = self.past_mut();
        past.acknowledged = past.acknowledged.max(index);
        Ok(())
    }

    /// A read has its answer. The model has one under way at a time.
    fn answer_read(&mut self, seen: LogIndex) -> Result<(), Broken> {
        let past = self.past_mut();
        let due = past.reads.pop().unwrap_or_default();
        past.answered = true;
        if seen < due {
            let how = format!("a read saw the store as of {seen}, after {due} was acknowledged");
            return Err(Broken { rule: Rule::FreshRead, how });
        }
        Ok(())
    }
}

fn harmless_pre_vote(server: Place, before: &View, after: &View, input: &Input) -> Result<(), Broken> {
    let Input::Receive(packet) = input else { return Ok(()) };
    let asked = matches!(&packet.message, Message::RequestVote(request) if request.pre_vote);
    if asked && (before.term, before.voted_for) != (after.term, after.voted_for) {
        let how = format!("a pre-vote took {server} from term {} to {}", before.term, after.term);
        return Err(Broken { rule: Rule::HarmlessPreVote, how });
    }
    Ok(())
}

fn input(bounds: &Bounds, action: &Action) -> Input {
    match &action.kind {
        Kind::Timeout => Input::Timeout { pre_votes: bounds.pre_votes },
        Kind::Heartbeat => Input::Heartbeat,
        Kind::Deliver(packet, _) => Input::Receive(Arc::clone(packet)),
        Kind::Propose(number) => Input::Propose(u64::from(*number)),
        Kind::Read(number) => Input::Read(u64::from(*number)),
        Kind::Persist => Input::Persist,
        Kind::Crash { kept } => Input::Restart { kept: *kept },
    }
}
