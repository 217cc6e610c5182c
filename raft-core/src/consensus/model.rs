//! For model checking: what decides the future of a server's part in the protocol, and nothing else.

use core::hash::{Hash, Hasher};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::progress::{Installing, Pace};
use super::{Consensus, Following, Leadership, RoleState, Votes};
use crate::entry::{Entry, Payload};
use crate::message::{AppendEntries, Message, VoteReply};
use crate::types::{NodeId, Time};

/// Renames the servers, so that states which differ only in who is who become equal.
pub(crate) type Names<'a> = &'a dyn Fn(&NodeId) -> u8;

impl Consensus {
    /// Makes the moment `now`, and every memory of an earlier one as old as it may be: no leader was heard
    /// lately, nothing is due yet. The random source starts over: it decides timeouts, which are forgotten
    /// here, and a cluster's id, of which there is then only one.
    pub(crate) fn forget_time(&mut self, now: Time) {
        self.now = now;
        self.rng = ChaCha8Rng::seed_from_u64(0);
        self.election_deadline = now + self.timing.election_timeout_max;
        self.leader_heard = None;
        self.eager_until = None;
        if let RoleState::Leader(leadership) = &mut self.role {
            for progress in leadership.progress.values_mut() {
                progress.last_contact = now;
                progress.heartbeat_due = now + self.timing.heartbeat_interval;
            }
        }
    }

    /// Feeds the hasher what later steps depend on. Every field is named, so that a new one has to be
    /// judged. Left out are: what never changes, which configurations the log holds (it is there itself),
    /// what [`Consensus::forget_time`] makes the same, what the replica has applied (it projects that
    /// itself), and what only an operator reads.
    pub(crate) fn project(&self, names: Names<'_>, mut out: &mut dyn Hasher) {
        let Consensus {
            id: _,
            incarnation: _,
            configurations: _,
            timing: _,
            rng: _,
            now: _,
            hard_state,
            hard_state_changed,
            log,
            snapshots,
            next_snapshot,
            commit_index,
            applied: _,
            cluster_id,
            role,
            election_deadline: _,
            leader_heard: _,
            eager_until: _,
            last_refusals: _,
            admission,
            connected,
            address: _,
            disk,
            outbox,
            notices: _,
            records,
        } = self;
        (hard_state.term, hard_state.voted_for.as_ref().map(names), hard_state_changed).hash(&mut out);
        for entry in log.range(log.first_index()..=log.last_index()) {
            project_entry(entry, out);
        }
        (log.base(), snapshots, next_snapshot).hash(&mut out);
        (log.last_index(), log.written(), log.durable(), commit_index).hash(&mut out);
        cluster_id.is_some().hash(&mut out);
        match role {
            RoleState::Follower(following) => project_following(following, names, out),
            RoleState::PreCandidate(votes) => (1u8, project_votes(votes, names)).hash(&mut out),
            RoleState::Candidate(votes) => (2u8, project_votes(votes, names)).hash(&mut out),
            RoleState::Leader(leadership) => project_leadership(leadership, names, out),
        }
        (admission.is_admitted(), disk.is_hung(), disk.is_full()).hash(&mut out);
        project_names(connected, names).hash(&mut out);
        (records.len(), outbox.len()).hash(&mut out);
        for (to, message) in outbox {
            names(to).hash(&mut out);
            project_message(message, out);
        }
    }
}

fn project_names<'a>(ids: impl IntoIterator<Item = &'a NodeId>, names: Names<'_>) -> u64 {
    ids.into_iter().fold(0, |set, id| set | 1 << names(id))
}

fn project_following(following: &Following, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Following { leader, verified, reported, round, reply_due } = following;
    (0u8, leader.as_ref().map(names), verified, reported, round, reply_due).hash(&mut out);
}

/// Who refused, and why, only an operator reads.
fn project_votes(votes: &Votes, names: Names<'_>) -> (u64, bool) {
    let Votes { granted, refused: _, transfer } = votes;
    (project_names(granted, names), *transfer)
}

/// Whether a follower has answered yet only decides to whom leadership is handed over. Changes of the members
/// are not modelled: what a leader keeps in mind of them stays as it began.
fn project_leadership(leadership: &Leadership, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Leadership { progress, term_start, round, transfer, changes: _, looks_at: _ } = leadership;
    (3u8, term_start, round, transfer.is_some()).hash(&mut out);
    let mut of_peers: alloc::vec::Vec<_> = progress
        .iter()
        .map(|(id, p)| (names(id), p.match_index, p.next_index, project_pace(&p.pace), p.round))
        .collect();
    of_peers.sort_unstable_by_key(|(name, ..)| *name);
    of_peers.hash(&mut out);
}

/// How many bytes are in flight makes no difference before they are millions.
fn project_pace(pace: &Pace) -> u8 {
    match pace {
        Pace::Probe { waiting } => u8::from(*waiting),
        Pace::Replicate(_) => 2,
        Pace::Snapshot(Installing { is_located, is_sent, .. }) => {
            3 + u8::from(*is_located) + 2 * u8::from(*is_sent)
        }
    }
}

/// All of an entry but which cluster and which members the first one names: both never change.
pub fn project_entry(entry: &Entry, mut out: &mut dyn Hasher) {
    (entry.index, entry.term).hash(&mut out);
    match &entry.payload {
        Payload::Genesis(_) => 0u8.hash(&mut out),
        other => (1u8, other).hash(&mut out),
    }
}

/// All of a message but the reason for which a vote is refused, which only an operator reads.
pub fn project_message(message: &Message, mut out: &mut dyn Hasher) {
    match message {
        Message::VoteReply(VoteReply { term, pre_vote, refusal }) => {
            (0u8, term, pre_vote, refusal.is_some()).hash(&mut out);
        }
        Message::AppendEntries(append) => {
            let AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit, round } = append;
            (1u8, term, prev_log_index, prev_log_term, leader_commit, round, entries.len()).hash(&mut out);
            entries.iter().for_each(|entry| project_entry(entry, out));
        }
        other => (2u8, other).hash(&mut out),
    }
}
