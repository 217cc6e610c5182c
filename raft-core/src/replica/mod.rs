//! The replica: consensus, log, state machine and sessions tied together. Events in, actions out.
//!
//! The world outside feeds events in with [`Replica::step`], as many as have come up, and then calls
//! [`Replica::drain`] once for everything that is to be done. Batching happens by itself: what arrived
//! together is written, sent and applied together. [`Replica::deadline`] says when it wants to hear from
//! the clock.

mod administration;
mod apply;
mod aside;
mod calls;
mod checkpoint;
mod clients;
mod disk_health;
mod divergence;
mod event;
mod hash_chain;
mod membership;
#[cfg(feature = "model")]
pub mod model;
mod reads;
mod sessions;
mod snapshots;
mod storage;
#[cfg(test)]
mod tests;
mod writes;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

pub use administration::{Administered, Task, TaskRefused};
pub use checkpoint::{Beginning, Checkpoint, ResumeError};
pub use disk_health::DiskHealth;
pub use event::*;
pub use hash_chain::DIGEST_EVERY;
pub use sessions::{MAX_ANSWERS, MAX_SESSIONS};
pub use snapshots::{SnapshotEvery, SnapshotPart, SnapshotProgress};

use crate::consensus::{Configuration, Consensus, EntryLog, Start, Timing};
use crate::disk::{FileName, Unrecorded, WriteSeq};
use crate::log::{Identity, Recovered, Writer};
use crate::message::Message;
use crate::seeded::{self, Bug};
use crate::state_machine::StateMachine;
use crate::types::{EntryId, HardState, Incarnation, LogIndex, NodeId, Term, Time};

use administration::Administration;
use aside::Aside;
use calls::PendingCall;
use clients::Clients;
use divergence::Comparison;
use hash_chain::HashChain;
use reads::Reads;
use sessions::Sessions;
use snapshots::Snapshots;
use storage::Storage;
use writes::{Origin, Writes};

/// What a replica is told besides what its disk holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who belongs to the cluster, as the server was started; from the first entry of the log on, the log
    /// says.
    pub configuration: Configuration,
    /// How long to wait.
    pub timing: Timing,
    /// The only source of chance: the same seed and events give the same actions.
    pub seed: u64,
    /// When snapshots are taken.
    pub snapshot_every: SnapshotEvery,
    /// The time.
    pub now: Time,
}

/// A disk's content, as a replica starts from it.
#[derive(Debug)]
pub struct Stored {
    identity: Identity,
    writer: Writer,
    hard_state: HardState,
    log: EntryLog,
    commit_hint: LogIndex,
    admitted: bool,
    peers: BTreeMap<NodeId, Incarnation>,
    /// Those from which the log goes on, the oldest first.
    snapshots: VecDeque<EntryId>,
    /// Files of later ones.
    later: Vec<Unrecorded>,
    leftovers: Vec<FileName>,
}

impl Stored {
    /// A new directory.
    #[must_use]
    pub fn fresh(identity: Identity, writer: Writer) -> Stored {
        Stored {
            identity,
            writer,
            hard_state: HardState::default(),
            log: EntryLog::new(Vec::new()),
            commit_hint: LogIndex::ZERO,
            admitted: false,
            peers: BTreeMap::new(),
            snapshots: VecDeque::new(),
            later: Vec::new(),
            leftovers: Vec::new(),
        }
    }
}

impl Stored {
    /// The directory's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.identity.incarnation
    }
}

impl From<Recovered> for Stored {
    fn from(recovered: Recovered) -> Stored {
        Stored {
            identity: recovered.identity,
            writer: recovered.writer,
            hard_state: recovered.hard_state,
            log: EntryLog::after(recovered.base, recovered.entries),
            commit_hint: recovered.commit_hint,
            admitted: recovered.admitted,
            peers: recovered.peers,
            snapshots: recovered.earlier.into_iter().chain(recovered.snapshot).collect(),
            later: recovered.later,
            leftovers: recovered.leftovers,
        }
    }
}

/// One server of the cluster, without the world around it.
pub struct Replica {
    now: Time,
    identity: Identity,
    consensus: Consensus,
    storage: Storage,
    aside: Aside,
    snapshots: Snapshots,
    machine: Box<dyn StateMachine>,
    sessions: Sessions,
    last_applied: LogIndex,
    chain: HashChain,
    comparison: Comparison,
    clients: Clients,
    writes: Writes,
    reads: Reads,
    calls: Vec<PendingCall>,
    administration: Administration,
    stopping: Option<Time>,
    stopped: bool,
    failed: Option<String>,
    diverged: Option<Divergence>,
    actions: Actions,
}

impl Replica {
    /// A replica as its disk left it.
    ///
    /// # Panics
    /// When the disk's identity is not in the configuration.
    #[must_use]
    pub fn new(stored: Stored, machine: Box<dyn StateMachine>, options: Options) -> Replica {
        let mut consensus = Consensus::new(Start {
            id: stored.identity.node_id.clone(),
            incarnation: stored.identity.incarnation,
            cluster_id: stored.identity.cluster_id,
            configuration: options.configuration,
            timing: options.timing,
            seed: options.seed,
            hard_state: stored.hard_state,
            log: stored.log,
            snapshots: stored.snapshots,
            commit_index: stored.commit_hint,
            admitted: stored.admitted,
            peers: stored.peers,
            now: options.now,
        });
        let first_request = consensus.first_request();
        let applied =
            if seeded::is(Bug::AppliedIndexAheadOfData) { stored.commit_hint } else { LogIndex::ZERO };
        let mut replica = Replica {
            now: options.now,
            identity: stored.identity,
            consensus,
            storage: Storage::new(stored.writer, stored.commit_hint),
            aside: Aside::default(),
            snapshots: Snapshots::new(options.snapshot_every, stored.later),
            machine,
            sessions: Sessions::new(),
            last_applied: applied,
            chain: HashChain::default(),
            comparison: Comparison::default(),
            clients: Clients::default(),
            writes: Writes::new(first_request),
            reads: Reads::new(first_request),
            calls: Vec::new(),
            administration: Administration::new(first_request),
            stopping: None,
            stopped: false,
            failed: None,
            diverged: None,
            actions: Vec::new(),
        };
        replica.remove_aside(stored.leftovers);
        replica.begin_log_later();
        replica.begin_restoring();
        replica
    }

    /// Takes an event in. What follows from it comes out of [`Replica::drain`].
    pub fn step(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        self.consensus.now = self.now;
        if self.failed.is_some() {
            return self.step_failed(event);
        }
        match event {
            Event::Tick => self.tick(),
            Event::Received { from, incarnation, message } => self.receive(&from, incarnation, message),
            Event::Connected { peer } if peer != self.consensus.id => {
                self.forget_comparison_with(&peer);
                self.consensus.peer_connected(&peer);
            }
            Event::Connected { .. } => {}
            Event::Disconnected { peer, process_died } => {
                self.consensus.peer_disconnected(&peer, process_died);
                self.forget_forwards_to(&peer);
                self.forget_tasks_with(&peer);
                self.retry_reads_asked_of(&peer);
            }
            Event::Called { token, from, call } => self.call(token, &from, call),
            Event::Persisted(seq) => self.persisted(seq),
            Event::AsideDone { seq, outcome } => self.aside_done(seq, outcome),
            Event::DiskFailed { .. } if seeded::is(Bug::DiskFailureIgnored) => {
                self.persisted(WriteSeq(u64::MAX));
            }
            Event::DiskFailed { reason } => self.fail(reason),
            Event::DiskFull { reason } => self.disk_full(reason),
            Event::DiskHasRoom => self.disk_has_room(),
            Event::Propose { token, deadline, command } => self.propose(token, deadline, command),
            Event::Query { token, deadline, consistency, query } => {
                self.query(token, deadline, consistency, query)
            }
            Event::Administer { token, deadline, task } => self.administer(token, deadline, task),
            Event::Stop { deadline } => self.stop(deadline),
        }
        self.consensus.check_invariants();
    }

    /// Everything to do now, in order.
    pub fn drain(&mut self) -> Actions {
        if self.failed.is_none() {
            self.resume_writes();
            self.resume_tasks();
            self.start_reads();
            self.mark_snapshot();
            self.ask_leader_for_mark();
            self.consensus.flush();
            self.consensus.log.free_some();
            self.record_snapshot();
            self.write();
            self.give_up_superfluous();
            self.apply_committed();
            self.work_on_snapshots();
            self.settle_handover();
            self.start_aside();
            self.settle_changes();
            self.settle_snapshots();
            self.finish_reads();
            self.finish_calls();
            self.release_messages();
            self.finish_stop();
            self.consensus.check_invariants();
            assert!(self.last_applied <= self.consensus.commit_index, "only what is committed is applied");
        }
        let notices = self.consensus.take_notices().into_iter().map(Action::Notice);
        self.actions.extend(notices);
        core::mem::take(&mut self.actions)
    }

    /// When [`Event::Tick`] is next due.
    #[must_use]
    pub fn deadline(&self) -> Time {
        if self.failed.is_some() {
            return Time::from_micros(u64::MAX);
        }
        let may_apply = self.last_applied < self.consensus.commit_index && !self.is_restoring();
        if may_apply || self.snapshots.has_more() {
            return self.now;
        }
        let others = [
            self.clients.deadline(),
            self.disk_deadline(),
            self.hint_deadline(),
            self.reads.deadline(),
            self.writes.deadline(),
            self.administration.deadline(),
            self.stopping,
        ];
        // Not flattened: the optimiser would compare times that are not there, of which valgrind complains.
        let never = Time::from_micros(u64::MAX);
        others
            .into_iter()
            .fold(self.consensus.deadline(), |soonest, other| soonest.min(other.unwrap_or(never)))
    }

    fn tick(&mut self) {
        if self.is_restoring() {
            self.consensus.put_election_off();
        }
        self.consensus.tick();
        self.watch_disk();
        self.expire_clients();
        self.judge();
    }

    fn is_peer(&self, id: &NodeId) -> bool {
        *id != self.consensus.id && self.consensus.configuration().contains(id)
    }

    fn receive(&mut self, from: &NodeId, incarnation: Incarnation, message: Message) {
        if *from == self.consensus.id || message.term().is_some_and(|term| term > Term::MAX) {
            return;
        }
        match message {
            Message::Hello(hello) => self.consensus.handle_hello(from, incarnation, hello),
            Message::Unwelcome(reason) => self.consensus.handle_unwelcome(from, reason),
            Message::Welcome { known, by } => self.consensus.handle_welcome(from, known, by),
            _ if !self.consensus.is_acquainted(from, incarnation) => {}
            Message::ReadIndex { request } => self.read_for_peer(from, request),
            Message::ReadIndexReply { request, index } => self.read_index_known(from, request, index),
            Message::Forward { request, command } => self.propose_for_peer(from, request, command),
            Message::ForwardReply { request, outcome } => self.forward_answered(from, request, outcome),
            Message::Administer { request, task } => self.administer_for_peer(from, request, &task),
            Message::AdministerReply { request, outcome } => self.task_answered(from, request, outcome),
            Message::TimeoutNow { .. } if self.is_restoring() => {}
            Message::Diverged { term, at } => self.told_of_divergence(from, term, at),
            Message::InstallSnapshot(install) => self.receive_snapshot(from, install),
            Message::AppendReply(reply) => {
                let (term, applied) = (reply.term, reply.applied);
                self.consensus.receive(from, Message::AppendReply(reply));
                self.compare(from, term, applied);
            }
            message => self.consensus.receive(from, message),
        }
    }

    fn stop(&mut self, deadline: Time) {
        self.stopping = Some(deadline);
        if self.consensus.role() == Role::Leader {
            // Without anybody to hand over to it stops all the same.
            let _ = self.consensus.begin_transfer(None, deadline);
        }
    }

    /// A node may stop once it has handed over, its last words have left (the vote for its successor among
    /// them) and its clients have their answers, or when time is up.
    fn finish_stop(&mut self) {
        let Some(deadline) = self.stopping.filter(|_| !self.stopped) else { return };
        let is_done = !self.consensus.is_transferring() && self.clients.is_empty() && !self.holds_messages();
        if is_done || self.now >= deadline {
            self.stopped = true;
            self.stopping = None;
            self.refuse_all(Refused::ShuttingDown);
            self.actions.push(Action::Stopped);
        }
    }

    /// The replica cannot go on: it says so, answers everybody, and is silent from then on.
    fn fail(&mut self, reason: String) {
        self.failed = Some(reason.clone());
        self.consensus.abdicate();
        self.refuse_all(Refused::Failed);
        for call in core::mem::take(&mut self.calls) {
            self.refuse_call(call.token);
        }
        self.consensus.notify(Notice::Failed { reason });
        if self.stopping.take().is_some() {
            self.actions.push(Action::Stopped);
        }
    }

    fn step_failed(&mut self, event: Event) {
        match event {
            Event::Propose { token, .. } | Event::Query { token, .. } | Event::Administer { token, .. } => {
                self.actions.push(Action::Answer { token, reply: Reply::Refused(Refused::Failed) });
            }
            Event::Called { token, .. } => self.refuse_call(token),
            Event::Stop { .. } => self.actions.push(Action::Stopped),
            _ => {}
        }
    }

    /// The protocol's state, to look at.
    #[must_use]
    pub fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    /// The highest log index applied to the state machine.
    #[must_use]
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// Why the replica cannot go on, if it cannot.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Asks the state machine as it is now.
    #[must_use]
    pub fn query_machine(&self, query: &Bytes) -> Bytes {
        self.machine.query(query)
    }
}
