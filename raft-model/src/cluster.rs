//! A state of the whole cluster, and the step from one to the next.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use raft_core::message::Message;
use raft_core::types::LogIndex;

use crate::action::{Action, Again, Kind};
use crate::bounds::Bounds;
use crate::model::Checked;
use crate::names::{Place, Renaming};
use crate::packet::Packet;
use crate::past::Past;
use crate::print::mix;
use crate::properties::{self, Broken, Rule};
use crate::server::{Input, Output, Server, Step, View, fresh_servers};

/// How much of its bounds a history has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) entries: u8,
    pub(crate) heartbeats: u8,
    pub(crate) duplicates: u8,
    pub(crate) crashes: u8,
    pub(crate) slow_disks: u8,
    pub(crate) step_downs: u8,
    pub(crate) reads: u8,
}

impl Left {
    fn of(bounds: &Bounds) -> Left {
        let Bounds { servers: _, terms: _, entries, heartbeats, duplicates, .. } = *bounds;
        let Bounds { crashes, slow_disks, step_downs, reads, .. } = *bounds;
        Left { entries, heartbeats, duplicates, crashes, slow_disks, step_downs, reads }
    }
}

/// A cluster in one state.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) packets: Vec<Arc<Packet>>,
    pub(crate) left: Left,
    past: Arc<Past>,
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
            broken: None,
            print: 0,
        };
        cluster.print = cluster.fingerprint(renamings);
        cluster
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

    /// The least of its fingerprints after all renamings. Where a packet stands does not matter.
    fn fingerprint(&self, renamings: &[Renaming]) -> u64 {
        let left = {
            let mut hasher = std::hash::DefaultHasher::new();
            (self.left, self.broken.as_ref().map(|broken| broken.rule)).hash(&mut hasher);
            hasher.finish()
        };
        let print = |(nth, renaming): (usize, &Renaming)| {
            let servers = self.servers.iter().map(|server| mix(server.prints[nth]));
            let packets = self.packets.iter().map(|packet| packet.print(renaming));
            let sum = servers.chain(packets).fold(0u64, u64::wrapping_add);
            mix(sum ^ mix(left ^ mix(self.past.print(renaming))))
        };
        renamings.iter().enumerate().map(print).min().unwrap_or_default()
    }

    /// The state after an action; none where nothing comes of it, or another action does the same.
    pub(crate) fn next(&self, model: &Checked, action: &Action) -> Option<Cluster> {
        let server = action.server;
        let before = self.server(server);
        let input = self.input(action);
        let step = model.step(before, &input, !action.slow);
        let quiet = step.server.key == before.key && step.outputs.is_empty() && step.failed.is_none();
        // A message that changes nothing may as well stay in flight, and a disk that had nothing to do is
        // not slow.
        if quiet || (action.slow && !step.server.waits_for_disk()) {
            return None;
        }
        let mut next = self.clone();
        next.spend(action, before);
        if let Kind::Deliver(packet, Again::No) = &action.kind {
            next.take(packet);
        }
        let verdict = next.absorb(server, &step, before, &input);
        let verdict = verdict.and_then(|()| match action.kind {
            Kind::Crash { .. } => next.tell_peers(model, server),
            _ => Ok(()),
        });
        next.broken = verdict.err();
        next.print = next.fingerprint(model.renamings());
        Some(next)
    }

    fn input(&self, action: &Action) -> Input {
        match &action.kind {
            Kind::Timeout => Input::Timeout,
            Kind::Heartbeat => Input::Heartbeat,
            Kind::Deliver(packet, _) => Input::Receive(Arc::clone(packet)),
            Kind::Propose(number) => Input::Propose(u64::from(*number)),
            Kind::Read(number) => Input::Read(u64::from(*number)),
            Kind::Persist => Input::Persist,
            Kind::Crash { kept } => Input::Restart { kept: *kept },
        }
    }

    /// Counts an action against its bounds.
    fn spend(&mut self, action: &Action, before: &Server) {
        let left = &mut self.left;
        match &action.kind {
            Kind::Timeout if before.view.role == raft_core::replica::Role::Leader => left.step_downs -= 1,
            Kind::Heartbeat => left.heartbeats -= 1,
            Kind::Deliver(_, Again::Yes) => left.duplicates -= 1,
            Kind::Propose(_) => left.entries -= 1,
            Kind::Read(_) => {
                left.reads -= 1;
                let acknowledged = self.past.acknowledged;
                self.past_mut().reads.push(acknowledged);
            }
            Kind::Crash { .. } => left.crashes -= 1,
            Kind::Timeout | Kind::Deliver(..) | Kind::Persist => {}
        }
        if action.slow && !before.waits_for_disk() {
            self.left.slow_disks -= 1;
        }
    }

    fn take(&mut self, packet: &Packet) {
        let at = self.packets.iter().position(|other| other.is_like(packet)).expect("it is in flight");
        self.packets.remove(at);
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
                self.absorb(peer, &step, &before, &input)?;
            }
        }
        Ok(())
    }

    /// Takes a step's outcome in, and checks it.
    fn absorb(&mut self, server: Place, step: &Step, before: &Server, input: &Input) -> Result<(), Broken> {
        let broken = |rule, how: &str| Broken { rule, how: how.to_owned() };
        if let Some(failed) = &step.failed {
            return Err(broken(Rule::Assertions, &format!("{server}: {failed}")));
        }
        self.servers[server.at()] = Arc::clone(&step.server);
        let view = &step.server.view;
        self.packets.retain(|packet| packet.to != server || !packet.is_dead(view));
        let mut answers = Ok(());
        for output in &step.outputs {
            match output {
                Output::Send(packet) => self.send(packet)?,
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

    fn send(&mut self, packet: &Arc<Packet>) -> Result<(), Broken> {
        let vote = match &packet.message {
            Message::RequestVote(r) if !r.pre_vote => Some((r.term, packet.from)),
            Message::VoteReply(r) if !r.pre_vote && r.refusal.is_none() => Some((r.term, packet.to)),
            _ => None,
        };
        if let Some((term, candidate)) = vote {
            let voter = packet.from;
            let first = self.past.votes.get(&(voter, term)).copied();
            if let Some(first) = first.filter(|first| *first != candidate) {
                let how = format!("{voter} voted for {first} and for {candidate} in term {term}");
                return Err(Broken { rule: Rule::OneVote, how });
            }
            if first.is_none() {
                self.past_mut().votes.insert((voter, term), candidate);
            }
        }
        if !packet.is_dead(self.view(packet.to)) {
            self.packets.push(Arc::clone(packet));
        }
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
