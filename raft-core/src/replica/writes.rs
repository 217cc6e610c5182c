//! A write's way: into the log where this server leads, else to the leader, else it waits for one.
//!
//! What happened to a command whose leader lost its place is decided by the log alone: once another
//! entry is applied at its index, it never took effect and may be handed on again; until then nobody knows.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Replica;
use super::clients::{Clients, Kind};
use super::event::{Outcome, Refused, Reply, Token};
use crate::entry::{Command, Entry, Payload};
use crate::message::{ForwardOutcome, Message, RequestId};
use crate::replica::Role;
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId, Term, Time};

/// Bytes of commands in a leader's log that are not applied yet, at most.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// Commands on their way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Writes {
    /// No leader to hand them to.
    pub(super) parked: VecDeque<(Token, Command)>,
    /// The leader of this term answered that it does not lead: not before this time to that one again.
    pub(super) retry_at: Option<(Time, Term)>,
    pub(super) forwarded: BTreeMap<RequestId, Forwarded>,
    pub(super) next_request: RequestId,
    /// Added to the log by this server as leader of the term.
    pub(super) appended: BTreeMap<(LogIndex, Term), Appended>,
    pub(super) appended_bytes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    pub(super) token: Token,
    pub(super) to: NodeId,
    pub(super) command: Command,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Appended {
    pub(super) origin: Origin,
    pub(super) command: Command,
    pub(super) cost: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Origin {
    Client(Token),
    Peer { id: NodeId, request: RequestId },
}

impl Writes {
    /// Lets go of what waits for a leader, and whose client no longer waits for it.
    pub(super) fn forget_answered(&mut self, clients: &Clients) {
        self.parked.retain(|(token, _)| clients.is_open(*token) || seeded::is(Bug::OldWriteAfterNew));
    }

    pub(super) fn new(next_request: RequestId) -> Writes {
        Writes { next_request, ..Writes::default() }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.retry_at.filter(|_| !self.parked.is_empty()).map(|(at, _)| at)
    }
}

impl Replica {
    /// A client's command.
    pub(super) fn propose(&mut self, token: Token, deadline: Time, command: Command) {
        if self.takes_up(token, deadline) {
            self.hand_on(token, command);
        }
    }

    /// Takes up a request that goes to whoever leads, or answers it at once: what is refused has no effect.
    pub(super) fn takes_up(&mut self, token: Token, deadline: Time) -> bool {
        let refused = if self.stopping.is_some() || self.stopped {
            Refused::ShuttingDown
        } else if self.clients.is_full() {
            Refused::Overloaded
        } else {
            self.clients.open(token, deadline, Kind::Parked);
            return true;
        };
        self.actions.push(super::Action::Answer { token, reply: Reply::Refused(refused) });
        false
    }

    /// Hands a command on to whoever leads.
    fn hand_on(&mut self, token: Token, command: Command) {
        let takes_commands = self.consensus.role() == Role::Leader && !self.consensus.is_transferring();
        let waiting = self.writes.retry_at.is_some();
        if takes_commands && self.consensus.disk.is_full() {
            self.answer(token, Reply::Refused(Refused::DiskFull));
        } else if takes_commands {
            if self.append(Origin::Client(token), command) {
                self.clients.now_is(token, Kind::HandedOn);
            } else {
                self.answer(token, Reply::Refused(Refused::Overloaded));
            }
        } else if let Some(leader) = self.other_leader().filter(|_| !waiting) {
            let request = self.writes.next_request;
            self.writes.next_request = RequestId(request.0 + 1);
            self.consensus.send(&leader, Message::Forward { request, command: command.clone() });
            self.writes.forwarded.insert(request, Forwarded { token, to: leader, command });
            self.clients.now_is(token, Kind::HandedOn);
        } else {
            self.writes.parked.push_back((token, command));
        }
    }

    /// The leader, where it is another server and a stream to it is open.
    pub(super) fn other_leader(&self) -> Option<NodeId> {
        let leader = self.consensus.leader().filter(|leader| **leader != self.consensus.id)?;
        self.consensus.connected.contains(leader).then(|| leader.clone())
    }

    /// Until when, and of which term, a leader that does not lead after all is not asked again.
    pub(super) fn not_soon(&self) -> (Time, Term) {
        (self.now + self.consensus.timing.heartbeat_interval / 4, self.consensus.term())
    }

    /// Whether that is over: a leader of a later term was not asked yet.
    pub(super) fn may_ask_again(&self, retry_at: Option<(Time, Term)>) -> bool {
        retry_at.is_some_and(|(at, term)| at <= self.now || term < self.consensus.term())
    }

    /// Adds a command to the log of this leader; false where too much is pending.
    fn append(&mut self, origin: Origin, command: Command) -> bool {
        let cost = Entry::OVERHEAD + command.data.len();
        if self.writes.appended_bytes + cost > MAX_PENDING_BYTES || self.writes.appended.len() >= Clients::MAX
        {
            return false;
        }
        let index = self.consensus.append_own(Payload::Command(command.clone()));
        self.writes.appended_bytes += cost;
        self.writes.appended.insert((index, self.consensus.term()), Appended { origin, command, cost });
        true
    }

    /// Hands on what waited for a leader, now that there may be one.
    pub(super) fn resume_writes(&mut self) {
        if self.may_ask_again(self.writes.retry_at) || self.consensus.role() == Role::Leader {
            self.writes.retry_at = None;
        }
        let leads = self.consensus.role() == Role::Leader && !self.consensus.is_transferring();
        let may_forward = self.other_leader().is_some() && self.writes.retry_at.is_none();
        if leads || may_forward {
            for (token, command) in core::mem::take(&mut self.writes.parked) {
                if self.clients.is_open(token) || seeded::is(Bug::OldWriteAfterNew) {
                    self.hand_on(token, command);
                }
            }
        }
    }

    /// A peer passes its client's command on.
    pub(super) fn propose_for_peer(&mut self, from: &NodeId, request: RequestId, command: Command) {
        let outcome = if self.consensus.role() != Role::Leader || self.consensus.is_transferring() {
            ForwardOutcome::NotLeader
        } else if self.consensus.disk.is_full() {
            ForwardOutcome::DiskFull
        } else if self.append(Origin::Peer { id: from.clone(), request }, command) {
            return;
        } else {
            ForwardOutcome::Overloaded
        };
        self.consensus.send(from, Message::ForwardReply { request, outcome });
    }

    /// The leader says what became of a command.
    pub(super) fn forward_answered(&mut self, from: &NodeId, request: RequestId, outcome: ForwardOutcome) {
        if self.writes.forwarded.get(&request).is_none_or(|forwarded| forwarded.to != *from) {
            return;
        }
        let Some(Forwarded { token, command, .. }) = self.writes.forwarded.remove(&request) else { return };
        match outcome {
            ForwardOutcome::Done(outcome) => self.answer(token, Reply::Done(outcome)),
            ForwardOutcome::Overloaded => self.answer(token, Reply::Refused(Refused::Overloaded)),
            ForwardOutcome::DiskFull => self.answer(token, Reply::Refused(Refused::DiskFull)),
            ForwardOutcome::Unknown => self.answer(token, Reply::Refused(Refused::Unknown)),
            ForwardOutcome::NotLeader => {
                self.writes.retry_at = Some(self.not_soon());
                self.park(token, command);
            }
        }
    }

    fn park(&mut self, token: Token, command: Command) {
        if self.clients.is_open(token) || seeded::is(Bug::OldWriteAfterNew) {
            self.clients.now_is(token, Kind::Parked);
            self.writes.parked.push_back((token, command));
        }
    }

    /// The stream to a peer is gone, and with it the answers to what was forwarded over it. A command that
    /// its session protects may be handed on again; of any other nobody knows what became of it.
    pub(super) fn forget_forwards_to(&mut self, peer: &NodeId) {
        let lost: Vec<RequestId> = self
            .writes
            .forwarded
            .iter()
            .filter(|(_, f)| f.to == *peer)
            .map(|(request, _)| *request)
            .collect();
        for request in lost {
            let Some(Forwarded { token, command, .. }) = self.writes.forwarded.remove(&request) else {
                continue;
            };
            if command.session.is_some() || seeded::is(Bug::SessionlessRetry) {
                self.clients.now_is(token, Kind::Uncertain);
                self.park(token, command);
            } else {
                self.answer(token, Reply::Refused(Refused::Unknown));
            }
        }
    }

    /// An entry was applied: whoever waits for its index gets to know.
    pub(super) fn settle(&mut self, index: LogIndex, term: Term, outcome: Option<&Outcome>) {
        while let Some(entry) = self.writes.appended.first_entry()
            && entry.key().0 <= index
        {
            let ((at, appended_in), appended) = entry.remove_entry();
            debug_assert_eq!(at, index, "every index is settled when it is applied");
            self.writes.appended_bytes -= appended.cost;
            let took_effect = outcome.filter(|_| appended_in == term);
            match (appended.origin, took_effect) {
                (Origin::Client(token), Some(outcome)) => self.answer(token, Reply::Done(outcome.clone())),
                (Origin::Client(token), None) => self.park(token, appended.command),
                (Origin::Peer { id, request }, took_effect) => {
                    let outcome = match took_effect {
                        Some(outcome) => ForwardOutcome::Done(outcome.clone()),
                        None => ForwardOutcome::NotLeader,
                    };
                    self.consensus.send(&id, Message::ForwardReply { request, outcome });
                }
            }
        }
    }

    /// Up to here a snapshot has what the log did: what each of this server's commands gave is not known.
    pub(super) fn forget_outcomes(&mut self, up_to: LogIndex) {
        while let Some(entry) = self.writes.appended.first_entry()
            && entry.key().0 <= up_to
        {
            let appended = entry.remove();
            self.writes.appended_bytes -= appended.cost;
            match appended.origin {
                Origin::Client(token) if appended.command.session.is_some() => {
                    self.clients.now_is(token, Kind::Uncertain);
                    self.park(token, appended.command);
                }
                Origin::Client(token) => self.answer(token, Reply::Refused(Refused::Unknown)),
                Origin::Peer { id, request } => {
                    let outcome = ForwardOutcome::Unknown;
                    self.consensus.send(&id, Message::ForwardReply { request, outcome });
                }
            }
        }
    }
}
