//! The thread that owns the replica: gives it what happens, does what it says. It never waits for anything
//! but the next thing to happen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use raft_core::replica::{Action, CallReply, Event, Notice, Refused, Replica, Reply, Role, Token};
use raft_core::types::Time;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as Moment, sleep_until};

use super::{Answer, Explanation, Input, Life, Node, STOP_TIMEOUT, explain, status};
use crate::disk::{Completion, Disk};
use crate::transport::{LinkStates, Outgoing};

/// Inputs taken up together at most.
const BATCH: usize = 1024;

/// A node without a leader says why, first after this time and then this often.
const COMPLAIN_AFTER: Duration = Duration::from_secs(2);
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// A clock that is late by more than this has been kept waiting, and there may be news in the sockets.
const LATE: Duration = Duration::from_millis(20);

/// A turn that takes longer endangers elections, and is worth a word.
const SLOW: Duration = Duration::from_millis(50);

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
    disk: Box<dyn Disk>,
    outgoing: Outgoing,
    states: LinkStates,
    life: watch::Sender<Life>,
    waiters: HashMap<Token, Waiter>,
    next_token: u64,
    complain_at: Time,
    stopped: bool,
}

impl Driver {
    pub(super) fn new(
        node: Node,
        replica: Replica,
        disk: Box<dyn Disk>,
        outgoing: Outgoing,
        states: LinkStates,
        life: watch::Sender<Life>,
    ) -> Driver {
        let complain_at = elapsed(node.shared.origin) + COMPLAIN_AFTER;
        Driver {
            node,
            replica,
            disk,
            outgoing,
            states,
            life,
            waiters: HashMap::new(),
            next_token: 0,
            complain_at,
            stopped: false,
        }
    }

    /// Runs until the node is stopped.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        mut completions: mpsc::UnboundedReceiver<Completion>,
    ) {
        let mut inputs = Vec::with_capacity(BATCH);
        let mut done = Vec::with_capacity(16);
        while !self.stopped {
            let wake = self.moment(self.replica.deadline().min(self.complain_at));
            tokio::select! {
                _ = inbox.recv_many(&mut inputs, BATCH) => {}
                _ = completions.recv_many(&mut done, 16) => {}
                () = sleep_until(wake) => {
                    if wake.elapsed() > LATE {
                        tracing::debug!(late = ?wake.elapsed(), "the clock was kept waiting");
                        // Let the streams be read first: the leader may have spoken long ago.
                        tokio::task::yield_now().await;
                        while let Ok(input) = inbox.try_recv() {
                            inputs.push(input);
                        }
                    }
                }
            }
            let now = self.now();
            for completion in done.drain(..) {
                self.replica.step(now, event_of(completion));
            }
            for input in inputs.drain(..) {
                self.take(now, input);
            }
            if self.replica.deadline() <= now {
                self.replica.step(now, Event::Tick);
            }
            self.act();
            self.complain(now);
            let took = self.now().since(now);
            if took > SLOW {
                tracing::warn!(
                    ?took,
                    "the replica's thread was kept busy; a leader that is so for long is deposed"
                );
            }
        }
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

    fn take(&mut self, now: Time, input: Input) {
        let event = match input {
            Input::Propose { command, deadline, respond } => {
                Event::Propose { token: self.token(Waiter::Client(respond)), deadline, command }
            }
            Input::Query { query, deadline, consistency, respond } => {
                Event::Query { token: self.token(Waiter::Client(respond)), deadline, consistency, query }
            }
            Input::Call { from, call, respond } => {
                Event::Called { token: self.token(Waiter::Call(respond)), from, call }
            }
            Input::Received { from, incarnation, messages } => {
                for message in messages {
                    self.replica.step(now, Event::Received { from: from.clone(), incarnation, message });
                }
                return;
            }
            Input::Connected { peer } => Event::Connected { peer },
            Input::Disconnected { peer, process_died } => Event::Disconnected { peer, process_died },
            Input::Stop => Event::Stop { deadline: now + STOP_TIMEOUT },
            Input::Status { respond } => {
                let status = status::of(&self.node, &self.replica, &self.states, now);
                let _ = respond.send(status);
                return;
            }
            Input::Explain { respond } => {
                let _ = respond.send(self.explain());
                return;
            }
        };
        self.replica.step(now, event);
    }

    fn explain(&self) -> Explanation {
        explain::of(self.node.config(), &self.replica, &self.states, self.now())
    }

    /// Does what the replica says, in its order. Messages go off together at the end.
    fn act(&mut self) {
        let mut obstacle = None;
        for action in self.replica.drain() {
            match action {
                Action::Send { to, message } => self.outgoing.push(to, message),
                Action::Disk(batch) => self.disk.submit(batch),
                Action::Answer { token, reply } => {
                    let Some(Waiter::Client(respond)) = self.waiters.remove(&token) else { continue };
                    let explains = matches!(reply, Reply::Refused(Refused::NoLeader | Refused::Failed));
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
        self.outgoing.flush();
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
            Notice::Diverged(divergence) => {
                let advice = explain::DIVERGED_ADVICE;
                tracing::error!("this node's state is not the others': {divergence}. {advice}");
            }
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

fn event_of(completion: Completion) -> Event {
    match completion {
        Completion::Persisted(seq) => Event::Persisted(seq),
        Completion::Failed(failure) => Event::DiskFailed { reason: failure.to_string() },
    }
}
