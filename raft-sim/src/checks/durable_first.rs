//! Nothing is said before what it rests on is durable (paper Figure 2: "updated on stable storage before
//! responding"), and nothing is committed before a majority has it on disk.
//!
//! A ledger keeps, for each server, what the batches that its disk has answered for must have made safe.
//! What a server says is held against the ledger at once; and whenever it starts, the ledger is held
//! against what recovery really found.

use std::collections::{BTreeMap, VecDeque};

use raft_core::consensus::{Configuration, Consensus};
use raft_core::log::Recovered;
use raft_core::message::{AppendResult, KnownBy, Message};
use raft_core::replica::{CallReply, Role};
use raft_core::types::{HardState, Incarnation, LogIndex, NodeId, Term};

use super::Server;
use super::log_matching::LogMatching;
use super::quorum;

/// What is safe once a batch is.
#[derive(Clone, Debug, Default)]
struct Ledger {
    hard_state: HardState,
    /// Entries up to here.
    entries: LogIndex,
    known: BTreeMap<NodeId, Incarnation>,
    admitted: bool,
}

/// What a leader's last step left.
#[derive(Clone, Debug)]
struct Led {
    term: Term,
    committed: LogIndex,
    configuration_index: LogIndex,
    configuration: Configuration,
}

pub(crate) struct DurableFirst {
    safe: Vec<Ledger>,
    /// What will be safe once the disk has answered for a batch, in the order of the batches.
    promised: Vec<VecDeque<Ledger>>,
    /// Terms of the entries that were safe on a disk that was wiped since, from index 1.
    wiped: Vec<Vec<Term>>,
    led: Vec<Option<Led>>,
}

impl DurableFirst {
    pub(crate) fn new(servers: usize) -> DurableFirst {
        DurableFirst {
            safe: vec![Ledger::default(); servers],
            promised: vec![VecDeque::new(); servers],
            wiped: vec![Vec::new(); servers],
            led: vec![None; servers],
        }
    }

    /// A server hands its disk a batch: once that is answered for, everything so far has to be safe.
    pub(crate) fn submits(&mut self, server: &Server<'_>, ids: &[NodeId]) {
        let consensus = server.replica.consensus();
        let peers = ids.iter().filter(|peer| *peer != server.id);
        let known = peers.filter_map(|peer| Some((peer.clone(), consensus.admission().known(peer)?)));
        self.promised[server.at].push_back(Ledger {
            hard_state: consensus.hard_state().clone(),
            entries: consensus.log().written(),
            known: known.collect(),
            admitted: consensus.admission().is_admitted(),
        });
    }

    /// The oldest batch under way is done with; unless it was flushed, it makes nothing safe.
    pub(crate) fn finished(&mut self, at: usize, flushed: bool) {
        let promise = self.promised[at].pop_front().expect("a batch was under way");
        if flushed {
            self.safe[at] = promise;
        }
    }

    /// The server's log is as before up to here; what came after was replaced.
    pub(crate) fn log_kept(&mut self, at: usize, kept: LogIndex) {
        for ledger in self.promised[at].iter_mut().chain([&mut self.safe[at]]) {
            ledger.entries = ledger.entries.min(kept);
        }
    }

    /// Holds the ledger against what a disk really holds. `logs` are those of the servers' last steps.
    pub(crate) fn starts(&mut self, at: usize, found: Option<&Recovered>, logs: &LogMatching) {
        self.promised[at].clear();
        let safe = &self.safe[at];
        let Some(found) = found else {
            let is_new = safe.hard_state == HardState::default() && safe.entries == LogIndex::ZERO;
            return assert!(is_new, "Durable First: server {at} finds an empty disk where {safe:?} was safe");
        };
        let (was, is) = (&safe.hard_state, &found.hard_state);
        let has_vote = was.voted_for.is_none() || was.voted_for == is.voted_for;
        assert!(
            is.term > was.term || (is.term == was.term && has_vote),
            "Durable First: server {at} finds {is:?} where {was:?} was safe"
        );
        let first = found.base.index.next();
        // What lies before the log is in a snapshot.
        for index in first.0..=safe.entries.0 {
            let there = usize::try_from(index - first.0).ok().and_then(|place| found.entries.get(place));
            let term = logs.term_at(at, LogIndex(index));
            assert_eq!(
                there.map(|entry| entry.term),
                term,
                "Durable First: server {at} does not find entry {index} of term {term:?}, which was safe"
            );
        }
        for (peer, incarnation) in &safe.known {
            assert_eq!(found.peers.get(peer), Some(incarnation), "Durable First: server {at} forgot {peer}");
        }
        assert!(found.admitted || !safe.admitted, "Durable First: server {at} forgot that it may vote");
        self.safe[at] = Ledger {
            hard_state: is.clone(),
            entries: LogIndex(first.prev().0 + found.entries.len() as u64),
            known: found.peers.clone(),
            admitted: found.admitted,
        };
    }

    pub(crate) fn wiped(&mut self, at: usize, logs: &LogMatching) {
        let last = std::mem::take(&mut self.safe[at]).entries;
        self.wiped[at] = (1..=last.0).filter_map(|index| logs.term_at(at, LogIndex(index))).collect();
    }

    pub(crate) fn sends(&mut self, server: &Server<'_>, to: &NodeId, message: &Message) {
        match message {
            Message::RequestVote(request) if request.pre_vote => {}
            Message::RequestVote(request) => self.vote_is_durable(server, request.term, server.id),
            Message::VoteReply(reply) if reply.refusal.is_none() && !reply.pre_vote => {
                self.vote_is_durable(server, reply.term, to);
            }
            Message::VoteReply(reply) if reply.refusal.is_none() => {}
            Message::Welcome { by: KnownBy::Record, .. } => {
                let noted = self.safe[server.at].known.contains_key(to);
                assert!(noted, "Durable First: {} welcomed {to} before that was safe", server.id);
            }
            _ => self.term_is_durable(server, message.term().unwrap_or_default()),
        }
        if let Message::AppendReply(reply) = message
            && let AppendResult::Matched { match_index } = reply.result
            && server.replica.consensus().term() == reply.term
        {
            self.entries_are_durable(server, match_index);
        }
    }

    pub(crate) fn answers_call(&mut self, server: &Server<'_>, reply: &CallReply) {
        match reply {
            CallReply::Vote(reply) => self.term_is_durable(server, reply.term),
            CallReply::Append { term, result } => {
                self.term_is_durable(server, *term);
                if let AppendResult::Matched { match_index } = result {
                    self.entries_are_durable(server, *match_index);
                }
            }
            CallReply::Refused { .. } => {}
        }
    }

    /// What a leader commits a majority has on disk, or had before one lost its disk; while voters change, a
    /// majority of both.
    pub(crate) fn commits(&mut self, at: usize, consensus: &Consensus, ids: &[NodeId], logs: &LogMatching) {
        let before = self.led[at].take();
        if consensus.role() != Role::Leader {
            return;
        }
        let (term, committed) = (consensus.term(), consensus.commit_index());
        let before = before.filter(|led| led.term == term);
        let configuration = match &before {
            Some(led) if led.configuration_index == consensus.configuration_index() => None,
            _ => Some(consensus.configuration().clone()),
        };
        if let Some(led) = before.as_ref().filter(|led| committed > led.committed) {
            let entry = logs.term_at(at, committed).unwrap_or_default();
            let has = |id: &NodeId| {
                let at = ids.iter().position(|known| known == id);
                at.is_some_and(|at| self.has(at, committed, entry, logs))
            };
            // It may have begun a change just after, in the same step.
            let is_safe =
                quorum::decides(consensus.configuration(), has) || quorum::decides(&led.configuration, has);
            let copies: Vec<&NodeId> = ids.iter().filter(|id| has(id)).collect();
            assert!(
                is_safe,
                "Durable First: {} commits entry {committed}/{entry} with safe copies on {copies:?} only",
                consensus.id()
            );
        }
        let configuration = configuration.or(before.map(|led| led.configuration)).unwrap_or_default();
        let configuration_index = consensus.configuration_index();
        self.led[at] = Some(Led { term, committed, configuration_index, configuration });
    }

    /// Whether a server has an entry on its disk, or had on one that it lost.
    pub(crate) fn has(&self, at: usize, index: LogIndex, term: Term, logs: &LogMatching) -> bool {
        let place = usize::try_from(index.0).expect("fits") - 1;
        let had = self.wiped[at].get(place) == Some(&term);
        had || (index <= self.safe[at].entries && logs.term_at(at, index) == Some(term))
    }

    fn term_is_durable(&self, server: &Server<'_>, term: Term) {
        let safe = self.safe[server.at].hard_state.term;
        assert!(
            safe >= term,
            "Durable First: {} spoke of term {term}, on its disk is term {safe}",
            server.id
        );
    }

    fn vote_is_durable(&self, server: &Server<'_>, term: Term, candidate: &NodeId) {
        self.term_is_durable(server, term);
        let hard_state = &self.safe[server.at].hard_state;
        assert!(
            hard_state.term > term || hard_state.voted_for.as_ref() == Some(candidate),
            "Durable First: {} voted for {candidate} in term {term}, on its disk is {hard_state:?}",
            server.id
        );
    }

    fn entries_are_durable(&self, server: &Server<'_>, up_to: LogIndex) {
        let safe = self.safe[server.at].entries;
        assert!(up_to <= safe, "Durable First: {} says entry {up_to} is safe, {safe} is", server.id);
    }
}
