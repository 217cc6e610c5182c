//! A read's way: a leader confirms that it leads, a follower asks the leader how far it must have applied
//! (dissertation §6.4). Reads that come up meanwhile share the next round.

use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::clients::Kind;
use super::event::{Action, Consistency, Refused, Reply, Role, Token};
use super::{Clients, Replica};
use crate::message::{Message, RequestId, Round};
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId, Term, Time};

/// Reads on their way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reads {
    /// Not in a round yet.
    pub(super) fresh: Vec<Read>,
    /// In the round under way.
    pub(super) round: Option<InRound>,
    /// Waiting for the leader to tell the index.
    pub(super) asked: Option<Asked>,
    pub(super) next_request: RequestId,
    /// The index is known; waiting to have applied it.
    pub(super) ready: Vec<(LogIndex, Vec<Read>)>,
    pub(super) retry_at: Option<(Time, Term)>,
}

/// Reads that wait for this leader's leadership to be confirmed. A round means nothing in another term.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InRound {
    pub(super) term: Term,
    pub(super) round: Round,
    /// What the reads must see.
    pub(super) index: LogIndex,
    pub(super) reads: Vec<Read>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) request: RequestId,
    pub(super) leader: NodeId,
    pub(super) reads: Vec<Read>,
    pub(super) give_up: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Read {
    Client { token: Token, query: Bytes },
    Peer { id: NodeId, request: RequestId },
}

impl Reads {
    /// Lets go of what waits for a leader, and whose client no longer waits for it.
    pub(super) fn forget_answered(&mut self, clients: &Clients) {
        self.fresh.retain(|read| match read {
            Read::Client { token, .. } => clients.is_open(*token),
            Read::Peer { .. } => true,
        });
    }

    pub(super) fn new(next_request: RequestId) -> Reads {
        Reads { next_request, ..Reads::default() }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let asked = self.asked.as_ref().map(|asked| asked.give_up);
        let retry = self.retry_at.filter(|_| !self.fresh.is_empty()).map(|(at, _)| at);
        asked.into_iter().chain(retry).min()
    }
}

impl Replica {
    /// A client's question.
    pub(super) fn query(&mut self, token: Token, deadline: Time, consistency: Consistency, query: Bytes) {
        let refused = match consistency {
            // There is no state yet.
            Consistency::Stale if self.is_restoring() => {
                if self.clients.is_full() {
                    Refused::Overloaded
                } else {
                    self.clients.open(token, deadline, Kind::Read);
                    let reads = [Read::Client { token, query }].into();
                    return self.reads.ready.push((LogIndex(1), reads));
                }
            }
            Consistency::Stale => {
                let reply = Reply::Found(self.machine.query(&query));
                return self.actions.push(Action::Answer { token, reply });
            }
            Consistency::Linearizable if self.stopping.is_some() || self.stopped => Refused::ShuttingDown,
            Consistency::Linearizable if self.clients.is_full() => Refused::Overloaded,
            Consistency::Linearizable => {
                self.clients.open(token, deadline, Kind::Read);
                return self.reads.fresh.push(Read::Client { token, query });
            }
        };
        self.actions.push(Action::Answer { token, reply: Reply::Refused(refused) });
    }

    /// A follower asks how far it must have applied.
    pub(super) fn read_for_peer(&mut self, from: &NodeId, request: RequestId) {
        if self.consensus.role() == Role::Leader && self.reads.fresh.len() < Clients::MAX {
            self.reads.fresh.push(Read::Peer { id: from.clone(), request });
        } else {
            self.consensus.send(from, Message::ReadIndexReply { request, index: None });
        }
    }

    /// Starts a round for the reads that have come up, or asks the leader.
    pub(super) fn start_reads(&mut self) {
        if self.may_ask_again(self.reads.retry_at) {
            self.reads.retry_at = None;
        }
        if self.consensus.role() == Role::Leader {
            self.retry_asked();
            let term = self.consensus.term();
            if self.reads.round.as_ref().is_some_and(|in_round| in_round.term != term) {
                self.leave_round();
            }
            // The end of a round starts the next one: the reads that wait for it need no other event.
            self.confirm_round();
            if self.reads.round.is_none()
                && !self.reads.fresh.is_empty()
                && let Some((round, index)) = self.consensus.begin_round()
            {
                let reads = core::mem::take(&mut self.reads.fresh);
                self.reads.round = Some(InRound { term, round, index, reads });
            }
            return;
        }
        self.leave_round();
        let give_up =
            self.reads.asked.as_ref().is_some_and(|asked| {
                asked.give_up <= self.now || self.consensus.leader() != Some(&asked.leader)
            });
        if give_up {
            self.retry_asked();
        }
        if self.reads.asked.is_none() && !self.reads.fresh.is_empty() && self.reads.retry_at.is_none() {
            self.ask_leader();
        }
    }

    fn ask_leader(&mut self) {
        let Some(leader) = self.other_leader() else { return };
        let request = self.reads.next_request;
        self.reads.next_request = RequestId(request.0 + 1);
        let give_up = self.now + self.consensus.timing.election_timeout_min;
        self.consensus.send(&leader, Message::ReadIndex { request });
        let reads = core::mem::take(&mut self.reads.fresh);
        self.reads.asked = Some(Asked { request, leader, reads, give_up });
    }

    /// This server does not lead (any longer): its round proves nothing. Reads are repeated without harm.
    fn leave_round(&mut self) {
        let in_round = self.reads.round.take().map(|in_round| in_round.reads).unwrap_or_default();
        let all = core::mem::take(&mut self.reads.fresh);
        for read in in_round.into_iter().chain(all) {
            match read {
                Read::Client { .. } => self.reads.fresh.push(read),
                Read::Peer { id, request } => {
                    self.consensus.send(&id, Message::ReadIndexReply { request, index: None });
                }
            }
        }
    }

    fn retry_asked(&mut self) {
        if let Some(asked) = self.reads.asked.take() {
            self.reads.fresh.extend(asked.reads);
        }
    }

    /// The stream to a peer is gone, and with it its answer.
    pub(super) fn retry_reads_asked_of(&mut self, peer: &NodeId) {
        if self.reads.asked.as_ref().is_some_and(|asked| asked.leader == *peer) {
            self.retry_asked();
        }
    }

    /// The leader has told the index, or that it cannot.
    pub(super) fn read_index_known(&mut self, from: &NodeId, request: RequestId, index: Option<LogIndex>) {
        let answers = |asked: &mut Asked| asked.request == request && asked.leader == *from;
        let Some(asked) = self.reads.asked.take_if(answers) else { return };
        match index {
            Some(index) => self.reads.ready.push((index, asked.reads)),
            None => {
                self.reads.fresh.extend(asked.reads);
                self.reads.retry_at = Some(self.not_soon());
            }
        }
    }

    /// The reads of a round that a majority has confirmed know their index.
    fn confirm_round(&mut self) {
        let term = self.consensus.term();
        if let Some(confirmed) = self.consensus.confirmed_round()
            && let Some(InRound { index, reads, .. }) =
                self.reads.round.take_if(|in_round| in_round.term == term && in_round.round <= confirmed)
        {
            let mut own = Vec::with_capacity(reads.len());
            for read in reads {
                match read {
                    Read::Client { .. } => own.push(read),
                    Read::Peer { id, request } => {
                        self.consensus.send(&id, Message::ReadIndexReply { request, index: Some(index) });
                    }
                }
            }
            self.reads.ready.push((index, own));
        }
    }

    /// Answers the reads whose round is confirmed and whose index is applied.
    pub(super) fn finish_reads(&mut self) {
        self.confirm_round();
        let applied = if seeded::is(Bug::ReadBeforeApplied) { LogIndex(u64::MAX) } else { self.last_applied };
        if self.reads.ready.iter().any(|(index, _)| *index <= applied) {
            let (done, waiting) =
                core::mem::take(&mut self.reads.ready).into_iter().partition(|(index, _)| *index <= applied);
            self.reads.ready = waiting;
            let done: Vec<(LogIndex, Vec<Read>)> = done;
            for read in done.into_iter().flat_map(|(_, reads)| reads) {
                self.answer_read(read);
            }
        }
    }

    fn answer_read(&mut self, read: Read) {
        if let Read::Client { token, query } = read
            && self.clients.is_open(token)
        {
            let reply = Reply::Found(self.machine.query(&query));
            self.answer(token, reply);
        }
    }
}
