//! Leading: what a leader sends, what it makes of the answers, and when it steps down
//! (paper §5.3, dissertation §6.2).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::membership::Changes;
use super::progress::{Installing, Progress};
use super::transfer::Transfer;
use super::{Consensus, RoleState};
use crate::entry::{Entry, Genesis, Payload};
use crate::message::{AppendEntries, AppendReply, AppendResult, InstallSnapshot, Message, Round};
use crate::replica::{Notice, Role};
use crate::seeded::{self, Bug};
use crate::types::{ClusterId, LogIndex, NodeId, Term, Time};

/// Bytes of entries in one AppendEntries at most, unless a single entry is larger.
const MAX_APPEND_BYTES: usize = 1 << 20;

/// A leader's volatile state (paper Figure 2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leadership {
    pub(crate) progress: BTreeMap<NodeId, Progress>,
    /// The index of the entry that opened this term: once it is committed, so is all before it.
    pub(crate) term_start: LogIndex,
    /// The latest round begun.
    pub(crate) round: Round,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) changes: Changes,
    /// When it looks next whether it still leads: heartbeats that reads bring forward do not put that off.
    pub(crate) looks_at: Time,
}

impl Leadership {
    /// The followers' progress.
    #[must_use]
    pub fn progress(&self) -> &BTreeMap<NodeId, Progress> {
        &self.progress
    }

    pub(super) fn deadline(&self) -> Time {
        let due = |progress: &Progress| progress.heartbeat_due.min(self.looks_at);
        let heartbeat = self.progress.values().map(due).min();
        let transfer = self.transfer.as_ref().map(|transfer| transfer.deadline);
        // A single voter has nobody to speak to.
        let never = Time::from_micros(u64::MAX);
        heartbeat.unwrap_or(never).min(transfer.unwrap_or(never))
    }

    pub(super) fn reconnected(&mut self, peer: &NodeId, now: Time) {
        if let Some(progress) = self.progress.get_mut(peer) {
            progress.reconnected();
            progress.heartbeat_due = now;
        }
    }
}

impl Consensus {
    pub(super) fn become_leader(&mut self) {
        let last = self.log.last_index();
        let progress = self.others().into_iter().map(|id| (id, Progress::new(last, self.now))).collect();
        let (round, term_start) = (Round::default(), last.next());
        let changes = Changes::new(self.now);
        let looks_at = self.now + self.timing.heartbeat_interval;
        self.role =
            RoleState::Leader(Leadership { progress, term_start, round, transfer: None, changes, looks_at });
        self.eager_until = None;
        self.last_refusals.clear();
        self.notify(Notice::RoleChanged {
            role: Role::Leader,
            term: self.term(),
            reason: "a majority voted for it",
        });
        // The first leader of all names the cluster; every other opens its term with an empty entry, since
        // it may only commit entries of its own term by counting (paper §8, §5.4.2).
        let payload = if last == LogIndex::ZERO {
            let id = (u128::from(self.rng.next_u64()) << 64) | u128::from(self.rng.next_u64());
            let configuration = self.configuration().clone();
            Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId(id), configuration }))
        } else {
            Payload::Noop
        };
        self.append_own(payload);
    }

    /// Adds an entry of this leader's term to its log. It goes out with the next flush.
    ///
    /// # Panics
    /// When this server does not lead.
    pub(crate) fn append_own(&mut self, payload: Payload) -> LogIndex {
        assert!(matches!(self.role, RoleState::Leader(_)), "only a leader adds entries of its own");
        let index = self.log.last_index().next();
        self.append_to_log(Entry { index, term: self.term(), payload });
        index
    }

    /// Sends every follower what it lacks and has room for, and heartbeats where they are due.
    pub(super) fn replicate(&mut self) {
        let (term, now, leader_commit) = (self.term(), self.now, self.commit_index);
        let (base, to_send) = (self.log.base().index, self.snapshot_to_send());
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let round = leadership.round;
        for (peer, progress) in &mut leadership.progress {
            let is_behind = progress.installing().is_none() && progress.next_index.prev() < base;
            if let Some(snapshot) = to_send.filter(|_| is_behind) {
                progress.needs_snapshot(snapshot);
                progress.heartbeat_due = now;
            }
            if let Some(Installing { snapshot, next, is_located, .. }) = progress.installing().cloned() {
                if progress.heartbeat_due <= now {
                    let sent = if is_located { next } else { 0 };
                    let install = InstallSnapshot { term, round, snapshot, sent, chunk: None };
                    self.outbox.push((peer.clone(), Message::InstallSnapshot(install)));
                    progress.heartbeat_due = now + self.timing.heartbeat_interval;
                }
                continue;
            }
            let connected = self.connected.contains(peer);
            let mut due = progress.heartbeat_due <= now;
            loop {
                let lacks = progress.next_index <= self.log.last_index();
                let send_entries = connected && lacks && progress.may_send();
                if !send_entries && !due {
                    break;
                }
                let prev_log_index = progress.next_index.prev();
                let Some(prev_log_term) = self.log.term_at(prev_log_index) else { break };
                let entries: Vec<Entry> = if send_entries {
                    self.log.batch(progress.next_index, MAX_APPEND_BYTES)
                } else {
                    Vec::new()
                };
                if let Some(last) = entries.last() {
                    progress.sent(last.index, entries.iter().map(Entry::cost).sum());
                }
                let append =
                    AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit, round };
                self.outbox.push((peer.clone(), Message::AppendEntries(append)));
                progress.heartbeat_due = now + self.timing.heartbeat_interval;
                due = false;
            }
        }
        self.pursue_transfer();
    }

    /// A follower has answered.
    pub(super) fn handle_append_reply(&mut self, from: &NodeId, reply: &AppendReply) {
        let (last, base) = (self.log.last_index(), self.log.base().index);
        // One that refuses a message of an earlier term has not heard our rounds.
        let is_stale = reply.result == AppendResult::StaleTerm && reply.term <= self.term();
        let candidate = match reply.result {
            // Not kept: the follower is to get a snapshot.
            AppendResult::Conflict { hint_index, .. } if hint_index < base => hint_index,
            AppendResult::Conflict { hint_index, hint_term, .. } => {
                self.log.last_index_at_most(hint_index.min(last), hint_term)
            }
            _ => LogIndex::ZERO,
        };
        if is_stale {
            return;
        }
        let Some(progress) = self.hear_follower(from, reply.term, reply.round) else { return };
        match reply.result {
            // More than our log holds cannot match it: not a message of this protocol.
            AppendResult::Matched { match_index } if match_index > last => {}
            AppendResult::Matched { match_index } => {
                if progress.matched(match_index) {
                    self.advance_commit();
                }
            }
            AppendResult::Conflict { rejected, .. } => progress.conflicted(rejected, candidate),
            AppendResult::StaleTerm => {}
        }
    }

    /// A follower has answered: its progress, if that is of this leader's term.
    pub(super) fn hear_follower(&mut self, from: &NodeId, term: Term, round: Round) -> Option<&mut Progress> {
        if term > self.term() {
            self.adopt_term(term, None, "a follower is in a later term");
            return None;
        }
        let of_this_term = term == self.term() || seeded::is(Bug::EpochMixup);
        let now = self.now;
        let RoleState::Leader(leadership) = &mut self.role else { return None };
        let progress = leadership.progress.get_mut(from).filter(|_| of_this_term)?;
        progress.last_contact = now;
        progress.answered = true;
        progress.round = progress.round.max(round.min(leadership.round));
        Some(progress)
    }

    /// Steps down when a majority was not heard for an election timeout (check-quorum, dissertation §6.2):
    /// its clients may find a leader that can answer them.
    pub(super) fn tick_leader(&mut self) {
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let (now, patience) = (self.now, self.timing.election_timeout_max);
        leadership.looks_at = now + self.timing.heartbeat_interval;
        let heard = |id: &NodeId| {
            leadership.progress.get(id).is_none_or(|progress| now.since(progress.last_contact) < patience)
        };
        if !self.configurations.current().has_majority(heard) {
            return self.adopt_term(self.term(), None, "a majority was not heard for an election timeout");
        }
        if leadership.transfer.as_ref().is_some_and(|transfer| transfer.deadline <= now) {
            leadership.transfer = None;
        }
        // One that was removed and added again may not know this server for a member, and answer nothing.
        let silent =
            leadership.progress.iter().filter(|(_, progress)| now.since(progress.last_contact) >= patience);
        for id in silent.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.introduce_again(&id);
        }
    }
}
