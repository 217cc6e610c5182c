//! The thread that owns the replica: gives it what happens, does what it says. It never waits for anything
//! but the next thing to happen.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use raft_core::entry::Entry;
use raft_core::message::Message;
use raft_core::replica::{Action, CallReply, Event, Notice, Refused, Replica, Reply, Role, Token};
use raft_core::types::{EntryId, Incarnation, LogIndex, NodeId, Time};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as Moment, sleep_until};

use super::portion::{Portion, Weight};
use super::{Answer, Explanation, Input, Life, Node, STOP_TIMEOUT, explain, members, status};
use crate::disk::{Completion, Disk};
use crate::record::Tape;
use crate::transport::{LinkStates, Outgoing, Streams};

/// Inputs taken up together at most.
const BATCH: usize = 1024;

/// A node without a leader says why, first after this time and then this often.
const COMPLAIN_AFTER: Duration = Duration::from_secs(2);
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// A clock that is late by more than this has been kept waiting, and there may be news in the sockets.
const LATE: Duration = Duration::from_millis(20);

/// A turn that takes longer endangers elections, and is worth a word.
const SLOW: Duration = Duration::from_millis(50);

/// Entries lent at a time to who reads the recording, and about how many bytes of them.
const ENTRIES: usize = 4096;
const ENTRY_BYTES: usize = 1 << 20;

/// The replica's time.
pub(super) fn elapsed(origin: Instant) -> Time {
    Time::from_micros(u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

enum Waiter {
    Client(oneshot::Sender<Answer>),
    Call(oneshot::Sender<CallReply>),
}

/// The replica and everything around it.
pub(super) struct Driver {
    node: Node,
    replica: Replica,
    /// Ends before the disk does, which holds the data directory's lock.
    tape: Tape,
    disk: Box<dyn Disk>,
    outgoing: Outgoing,
    streams: Streams,
    basis: members::Basis,
    states: LinkStates,
    life: watch::Sender<Life>,
    /// What has come and was not taken up.
    pending: VecDeque<Input>,
    /// Of what others sent, in this turn.
    portion: Portion,
    waiters: HashMap<Token, Waiter>,
    next_token: u64,
    complain_at: Time,
    stopped: bool,
}

impl Driver {
    pub(super) fn new(
        node: Node,
        replica: Replica,
        (tape, disk): (Tape, Box<dyn Disk>),
        (streams, states): (Streams, LinkStates),
        life: watch::Sender<Life>,
    ) -> Driver {
        let complain_at = elapsed(node.shared.origin) + COMPLAIN_AFTER;
        Driver {
            node,
            replica,
            tape,
            disk,
            outgoing: Outgoing::default(),
            streams,
            basis: members::Basis::default(),
            states,
            life,
            pending: VecDeque::new(),
            portion: Portion::default(),
            waiters: HashMap::new(),
            next_token: 0,
            complain_at,
            stopped: false,
        }
    }

    /// Runs until the node is stopped.
    ///
    /// # Errors
    /// What is left when an assertion has failed.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        mut completions: mpsc::UnboundedReceiver<Completion>,
    ) -> Result<(), Wreck> {
        let mut inputs = Vec::with_capacity(BATCH);
        let mut done = Vec::with_capacity(16);
        let mut turn = catch_unwind(AssertUnwindSafe(|| self.act()));
        loop {
            if let Err(panic) = turn {
                self.tape.break_off();
                return Err(Wreck {
                    panic,
                    replica: self.replica,
                    _tape: self.tape,
                    _disk: self.disk,
                    inbox,
                });
            }
            if self.stopped {
                return Ok(());
            }
            if !self.pending.is_empty() {
                // The sockets first, and what the disk has answered.
                tokio::task::yield_now().await;
                done.extend(std::iter::from_fn(|| completions.try_recv().ok()));
                turn = catch_unwind(AssertUnwindSafe(|| self.turn(&mut inputs, &mut done)));
                continue;
            }
            let wake = self.moment(self.replica.deadline().min(self.complain_at));
            tokio::select! {
                _ = inbox.recv_many(&mut inputs, BATCH) => {}
                _ = completions.recv_many(&mut done, 16) => {}
                () = sleep_until(wake) => {
                    self.node.shared.pace.late(wake.elapsed());
                    if wake.elapsed() > LATE {
                        tracing::debug!(late = ?wake.elapsed(), "the clock was kept waiting");
                        // Let the streams be read first: the leader may have spoken long ago, or the disk.
                        tokio::task::yield_now().await;
                        while let Ok(input) = inbox.try_recv() {
                            inputs.push(input);
                        }
                        while let Ok(completion) = completions.try_recv() {
                            done.push(completion);
                        }
                    }
                }
            }
            turn = catch_unwind(AssertUnwindSafe(|| self.turn(&mut inputs, &mut done)));
        }
    }

    /// Takes up all that has come, and does what follows.
    fn turn(&mut self, inputs: &mut Vec<Input>, done: &mut Vec<Completion>) {
        let now = self.now();
        for completion in done.drain(..) {
            self.step(now, event_of(completion));
        }
        self.pending.extend(inputs.drain(..));
        self.portion = Portion::default();
        while let Some(input) = self.pending.pop_front() {
            if self.take(now, input).is_break() {
                break;
            }
        }
        if self.replica.deadline() <= now {
            self.step(now, Event::Tick);
        }
        self.act();
        self.complain(now);
        let took = self.now().since(now);
        self.node.shared.pace.turn(took);
        if took > SLOW {
            tracing::warn!(
                ?took,
                "the replica's thread was kept busy; a leader that is so for long is deposed"
            );
        }
    }

    fn step(&mut self, now: Time, event: Event) {
        self.tape.step(now, &event);
        self.replica.step(now, event);
    }

    fn now(&self) -> Time {
        elapsed(self.node.shared.origin)
    }

    fn moment(&self, time: Time) -> Moment {
        // Far enough that nothing is due, near enough that every clock can hold it.
        let ahead = time.since(Time::ZERO).min(self.now().since(Time::ZERO) + Duration::from_secs(3600));
        Moment::from_std(self.node.shared.origin + ahead)
    }

    fn token(&mut self, waiter: Waiter) -> Token {
        self.next_token += 1;
        self.waiters.insert(Token(self.next_token), waiter);
        Token(self.next_token)
    }

    /// Takes up one of them; whether this turn goes on.
    fn take(&mut self, now: Time, input: Input) -> ControlFlow<()> {
        let event = match input {
            Input::Propose { command, deadline, respond } => {
                Event::Propose { token: self.token(Waiter::Client(respond)), deadline, command }
            }
            Input::Query { query, deadline, consistency, respond } => {
                Event::Query { token: self.token(Waiter::Client(respond)), deadline, consistency, query }
            }
            Input::Administer { task, deadline, respond } => {
                Event::Administer { token: self.token(Waiter::Client(respond)), deadline, task }
            }
            Input::Call { from, call, respond } => {
                Event::Called { token: self.token(Waiter::Call(respond)), from, call }
            }
            Input::Received { from, incarnation, messages } => {
                return self.take_messages(now, from, incarnation, messages);
            }
            Input::Connected { peer } => Event::Connected { peer },
            Input::Disconnected { peer, process_died } => Event::Disconnected { peer, process_died },
            Input::Stop => Event::Stop { deadline: now + STOP_TIMEOUT },
            Input::Status { respond } => {
                let status = status::of(&self.node, &self.replica, &self.states, now);
                let _ = respond.send(status);
                return ControlFlow::Continue(());
            }
            Input::Explain { respond } => {
                let _ = respond.send(self.explain());
                return ControlFlow::Continue(());
            }
            Input::Beginning { respond } => {
                let _ = respond.send(beginning(&self.replica));
                return ControlFlow::Continue(());
            }
            Input::Entries { first, last, respond } => {
                let _ = respond.send(entries(&self.replica, first, last));
                return ControlFlow::Continue(());
            }
        };
        self.step(now, event);
        ControlFlow::Continue(())
    }

    fn take_messages(
        &mut self,
        now: Time,
        from: NodeId,
        incarnation: Incarnation,
        messages: Vec<Message>,
    ) -> ControlFlow<()> {
        let (mut messages, origin) = (messages.into_iter(), self.node.shared.origin);
        for message in messages.by_ref() {
            let weight = Weight::of(&message);
            self.step(now, Event::Received { from: from.clone(), incarnation, message });
            if self.portion.is_full_with(weight, || elapsed(origin).since(now)) {
                if messages.len() > 0 {
                    let messages = messages.collect();
                    self.pending.push_front(Input::Received { from, incarnation, messages });
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn explain(&self) -> Explanation {
        explain::of(self.node.config(), &self.replica, &self.states, self.now())
    }

    /// Does what the replica says, in its order. Messages go off together at the end.
    fn act(&mut self) {
        let mut obstacle = None;
        let actions = self.replica.drain();
        self.tape.drained(&self.replica, actions.len());
        for action in actions {
            match action {
                Action::Send { to, message } => self.outgoing.push(to, message),
                Action::Disk(batch) => self.disk.submit(batch),
                Action::Aside { seq, op } => self.disk.submit_aside(seq, op),
                Action::Answer { token, reply } => {
                    let Some(Waiter::Client(respond)) = self.waiters.remove(&token) else { continue };
                    let explains = matches!(
                        reply,
                        Reply::Refused(Refused::NoLeader | Refused::DiskFull | Refused::Failed)
                    );
                    if explains && obstacle.is_none() {
                        obstacle = Some(self.explain().summary);
                    }
                    let obstacle = obstacle.clone().filter(|_| explains);
                    // A client that has gone needs no answer.
                    let _ = respond.send(Answer { reply, obstacle });
                }
                Action::CallReply { token, reply } => {
                    if let Some(Waiter::Call(respond)) = self.waiters.remove(&token) {
                        let _ = respond.send(reply);
                    }
                }
                Action::Notice(notice) => self.tell(&notice),
                Action::Stopped => self.stopped = true,
            }
        }
        self.follow_members();
        self.follow_snapshots();
        self.outgoing.flush();
        self.tape.nudge();
    }

    /// Streams go to whoever is a member now, and all who look at the members see them as they are.
    fn follow_members(&mut self) {
        self.streams.let_go(&mut self.outgoing);
        if !self.basis.has_changed(&self.replica) {
            return;
        }
        let config = self.node.config();
        self.streams.follow(members::to_dial(config, &self.replica), &mut self.outgoing);
        let now = members::of_replica(config, &self.replica);
        self.node.shared.members.send_if_modified(|seen| {
            let is_news = *seen != now;
            *seen = now;
            is_news
        });
    }

    /// All who wait for a snapshot see how far it is.
    fn follow_snapshots(&mut self) {
        let now = self.replica.snapshots();
        self.node.shared.snapshots.progress.send_if_modified(|seen| {
            let is_news = *seen != now;
            *seen = now;
            is_news
        });
    }

    fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::RoleChanged { role: Role::Leader, term, .. } => tracing::info!(%term, "leads"),
            Notice::RoleChanged { role: Role::PreCandidate, term, .. } => {
                tracing::debug!(%term, "asks whether an election would succeed");
            }
            Notice::RoleChanged { role, term, reason } => {
                tracing::info!(%term, ?role, reason, "role changed")
            }
            Notice::Following { leader, term } => tracing::info!(%term, %leader, "follows"),
            Notice::Admitted => tracing::info!("the members know this new data directory: the node may vote"),
            Notice::Wiped { peer, known } => {
                let advice = explain::WIPED_ADVICE;
                tracing::error!(
                    "this member's data is gone: {peer} knows it by another data directory ({known}). {advice}"
                );
            }
            Notice::Unwelcome { peer, reason } => {
                tracing::warn!(%peer, reason, "no understanding with a peer")
            }
            Notice::FormerMember { peer, address } => {
                self.streams.bid_farewell(peer, address, &mut self.outgoing);
            }
            Notice::Removed { peer } => {
                tracing::warn!(%peer, "this node was removed from the cluster, and may be stopped")
            }
            Notice::Diverged(divergence) => {
                let advice = explain::DIVERGED_ADVICE;
                tracing::error!("this node's state is not the others': {divergence}. {advice}");
            }
            Notice::DiskHangs { .. }
            | Notice::DiskAnswers { .. }
            | Notice::DiskFull { .. }
            | Notice::DiskHasRoom => tell_of_the_disk(notice),
            Notice::SendingSnapshot { .. }
            | Notice::ReceivingSnapshot { .. }
            | Notice::SnapshotInstalled { .. }
            | Notice::SnapshotNotSent { .. }
            | Notice::SnapshotNotReceived { .. }
            | Notice::SnapshotTaken { .. }
            | Notice::SnapshotNotTaken { .. } => tell_of_a_snapshot(notice),
            Notice::Failed { reason } => {
                tracing::error!(reason, "the node has failed and takes no part any more");
                self.life.send_replace(Life::Failed(reason.clone()));
            }
        }
    }

    /// A node without a leader says why, every few seconds.
    fn complain(&mut self, now: Time) {
        let content = self.replica.consensus().leader().is_some();
        if content {
            self.complain_at = now + COMPLAIN_AFTER;
        } else if self.complain_at <= now {
            self.complain_at = now + COMPLAIN_EVERY;
            let explanation = self.explain();
            tracing::warn!("{}", explanation.summary);
            for reason in explanation.reasons {
                tracing::warn!(code = reason.code, "{}. {}", reason.detail, reason.advice);
            }
        }
    }
}

/// What is left of a node whose replica broke down: it answers that it has failed, and lends its log to who
/// reads the recording.
pub(super) struct Wreck {
    pub(super) panic: Box<dyn Any + Send>,
    replica: Replica,
    _tape: Tape,
    _disk: Box<dyn Disk>,
    inbox: mpsc::Receiver<Input>,
}

impl Wreck {
    /// Answers until the host lets the node go.
    pub(super) async fn attend(mut self, node: &Node, reason: &str) {
        let mut let_go = node.shared.let_go.subscribe();
        loop {
            tokio::select! {
                _ = let_go.wait_for(|let_go| *let_go) => return,
                input = self.inbox.recv() => match input {
                    Some(input) => self.answer(input, reason),
                    None => return,
                }
            }
        }
    }

    fn answer(&self, input: Input, reason: &str) {
        match input {
            Input::Propose { respond, .. }
            | Input::Query { respond, .. }
            | Input::Administer { respond, .. } => {
                let reply = Reply::Refused(Refused::Failed);
                let _ = respond.send(Answer { reply, obstacle: Some(reason.to_owned()) });
            }
            Input::Beginning { respond } => {
                let _ = respond.send(beginning(&self.replica));
            }
            Input::Entries { first, last, respond } => {
                let _ = respond.send(entries(&self.replica, first, last));
            }
            // Who asks is told so by the end of his channel.
            _ => {}
        }
    }
}

/// Where the log begins, and the oldest snapshot that it goes on from.
fn beginning(replica: &Replica) -> (EntryId, Option<EntryId>) {
    (replica.consensus().log().base(), replica.consensus().oldest_snapshot())
}

/// The next entries of a part of the log: as many as are cloned in a moment.
fn entries(replica: &Replica, first: LogIndex, last: LogIndex) -> Vec<Entry> {
    let log = replica.consensus().log();
    let mut bytes = 0;
    let few = log.range(first..=last.min(log.last_index())).take(ENTRIES).take_while(|entry| {
        let before = bytes;
        bytes += entry.cost();
        before < ENTRY_BYTES
    });
    few.cloned().collect()
}

fn event_of(completion: Completion) -> Event {
    match completion {
        Completion::Persisted(seq) => Event::Persisted(seq),
        Completion::Aside { seq, outcome } => Event::AsideDone { seq, outcome },
        Completion::Full(failure) => Event::DiskFull { reason: failure.to_string() },
        Completion::HasRoom => Event::DiskHasRoom,
        Completion::Failed(failure) => Event::DiskFailed { reason: failure.to_string() },
    }
}

fn tell_of_the_disk(notice: &Notice) {
    match notice {
        Notice::DiskHangs { waited } => {
            let advice = explain::HUNG_ADVICE;
            tracing::error!(
                "this node's disk has not answered for {waited:?}: it neither leads nor votes. {advice}"
            );
        }
        Notice::DiskAnswers { waited } => {
            tracing::warn!("this node's disk has answered after {waited:?}: the node is as before");
        }
        Notice::DiskFull { reason } => {
            tracing::error!("this node's disk is full: it hands over, and takes no more writes. {reason}");
        }
        Notice::DiskHasRoom => tracing::warn!("this node's disk has room again: the node is as before"),
        _ => {}
    }
}

fn tell_of_a_snapshot(notice: &Notice) {
    match notice {
        Notice::SendingSnapshot { to, index, bytes } => {
            tracing::info!(%to, %index, bytes, "sends a snapshot, from this byte on");
        }
        Notice::ReceivingSnapshot { from, index, bytes } => {
            tracing::info!(%from, %index, bytes, "receives a snapshot, from this byte on");
        }
        Notice::SnapshotInstalled { index } => {
            tracing::info!(%index, "the state is now that of a snapshot which the leader has sent");
        }
        Notice::SnapshotNotSent { peer, reason } => {
            tracing::error!(%peer, reason, "a member lacks a part of the log that is in a snapshot only, and \
                the snapshot cannot be sent. Another leader may have it whole: transfer leadership");
        }
        Notice::SnapshotNotReceived { index, reason } => {
            tracing::warn!(
                %index,
                reason,
                "a snapshot that the leader sends was not taken; it is tried again"
            );
        }
        Notice::SnapshotTaken { index, bytes } => tracing::info!(%index, bytes, "has a snapshot"),
        Notice::SnapshotNotTaken { index, reason } => {
            let advice = explain::SNAPSHOT_ADVICE;
            tracing::warn!(%index, "a snapshot could not be written: {reason}. {advice}");
        }
        _ => {}
    }
}
