//! A follower and the leader's entries (paper §5.3).

use super::history::brought_by;
use super::{Configuration, Consensus, RoleState};
use crate::message::{AppendEntries, AppendReply, AppendResult, Message};
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId, Term};

impl Consensus {
    /// A leader's entries, or its heartbeat. The answer goes with the next flush, so that many messages get
    /// one.
    pub(super) fn handle_append_entries(&mut self, from: &NodeId, append: AppendEntries) {
        let round = append.round;
        match self.append_from_leader(from, append) {
            AppendResult::Matched { .. } => {}
            result => {
                let reply = AppendReply { term: self.term(), round, result, applied: self.applied };
                self.send(from, Message::AppendReply(reply));
            }
        }
    }

    /// Takes the entries in if they fit, and says how the logs compare: `Matched` up to what is durable.
    pub(crate) fn append_from_leader(&mut self, from: &NodeId, append: AppendEntries) -> AppendResult {
        // A second leader of our own term cannot be (paper §5.2, election safety): whoever claims it is none.
        let usurps = append.term == self.term() && self.leader().is_some_and(|leader| leader != from);
        let is_over = append.term < self.term() && !seeded::is(Bug::DeposedLeaderHeard);
        if is_over || usurps || !is_well_formed(&append) || self.contradicts_what_stands(from, &append) {
            return AppendResult::StaleTerm;
        }
        if append.term > self.term() || self.leader() != Some(from) {
            self.adopt_term(append.term.max(self.term()), Some(from), "a leader was heard");
        }
        self.leader_heard = Some(self.now);
        self.admission.spoken_to();
        self.reset_election_deadline();
        let before = self.log.term_at(append.prev_log_index);
        let is_match =
            before == Some(append.prev_log_term) || (before.is_some() && seeded::is(Bug::NoMatchCheck));
        if !is_match {
            return self.conflict(&append);
        }
        let (leader_commit, round, is_heartbeat) =
            (append.leader_commit, append.round, append.entries.is_empty());
        let end = LogIndex(append.prev_log_index.0 + append.entries.len() as u64);
        self.take_entries(append);
        let durable = self.reportable();
        let RoleState::Follower(following) = &mut self.role else { unreachable!("just became a follower") };
        following.verified = following.verified.max(end);
        // New entries are answered for when the disk has answered; the rest at once.
        following.reply_due |= is_heartbeat || round > following.round || end <= durable;
        following.round = following.round.max(round);
        // Paper Figure 2: the lesser of the leader's commit index and the last entry known to be its.
        let known =
            if seeded::is(Bug::CommitBeyondMatch) { self.log.last_index() } else { following.verified };
        self.commit_index = self.commit_index.max(leader_commit.min(known));
        AppendResult::Matched { match_index: following.verified.min(durable) }
    }

    fn take_entries(&mut self, append: AppendEntries) {
        for entry in append.entries {
            match self.log.term_at(entry.index) {
                Some(term) if term == entry.term && !seeded::is(Bug::TruncateCommitted) => {}
                Some(_) if seeded::is(Bug::ConflictIgnored) => {}
                Some(_) => {
                    assert!(
                        entry.index > self.commit_index || seeded::is(Bug::TruncateCommitted),
                        "what is committed is never removed"
                    );
                    self.truncate_log(entry.index);
                    self.append_to_log(entry);
                }
                None => self.append_to_log(entry),
            }
        }
    }

    /// Where the logs may agree after all. Skips a whole term at a time, on either side (paper §5.3, end).
    fn conflict(&self, append: &AppendEntries) -> AppendResult {
        let from = append.prev_log_index.prev().min(self.log.last_index());
        let hint_index = self.log.last_index_at_most(from, append.prev_log_term);
        let hint_term = self.log.term_at(hint_index).unwrap_or_default();
        AppendResult::Conflict { rejected: append.prev_log_index, hint_index, hint_term }
    }

    /// Whether an entry differs from one that is committed here, or that the same leader has vouched for in
    /// its term. No leader sends such a thing (paper Figure 3, leader completeness and append-only), so the
    /// message is not from one.
    fn contradicts_what_stands(&self, from: &NodeId, append: &AppendEntries) -> bool {
        let vouched = match &self.role {
            RoleState::Follower(following)
                if append.term == self.term() && following.leader.as_ref() == Some(from) =>
            {
                following.verified
            }
            _ => LogIndex::ZERO,
        };
        let stands = self.commit_index.max(vouched);
        let differs = |index: LogIndex, term: Term| {
            index <= stands && self.log.term_at(index).is_some_and(|ours| ours != term)
        };
        differs(append.prev_log_index, append.prev_log_term)
            || append.entries.iter().any(|entry| differs(entry.index, entry.term))
    }

    /// How much of the log may be reported: what the disk has answered for.
    fn reportable(&self) -> LogIndex {
        if seeded::is(Bug::AckBeforeSync) { self.log.last_index() } else { self.log.durable() }
    }

    /// Reports to the leader what is durable, if it is owed that.
    pub(super) fn report_to_leader(&mut self) {
        let (term, durable, applied) = (self.term(), self.reportable(), self.applied);
        let RoleState::Follower(following) = &mut self.role else { return };
        if !core::mem::take(&mut following.reply_due) {
            return;
        }
        let Some(leader) = following.leader.clone() else { return };
        let match_index =
            if seeded::is(Bug::AckBeyondMatch) { durable } else { following.verified.min(durable) };
        following.reported = match_index;
        let (round, result) = (following.round, AppendResult::Matched { match_index });
        let reply = AppendReply { term, round, result, applied };
        self.send(&leader, Message::AppendReply(reply));
    }
}

/// Whether the entries are contiguous and their terms do not fall, as in every log, and every configuration
/// among them is one that a cluster can be in.
fn is_well_formed(append: &AppendEntries) -> bool {
    if append.prev_log_index.0.checked_add(append.entries.len() as u64).is_none() {
        return false;
    }
    let mut previous = (append.prev_log_index, append.prev_log_term);
    append.entries.iter().all(|entry| {
        let follows =
            entry.index == previous.0.next() && entry.term >= previous.1 && entry.term <= append.term;
        previous = (entry.index, entry.term);
        follows && brought_by(entry).is_none_or(Configuration::is_sound)
    })
}
