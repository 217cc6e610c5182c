//! What must hold after every step, whatever happened: Figure 3 of the paper, and what its proofs rest on.
//!
//! | property | paper | file |
//! | --- | --- | --- |
//! | Election Safety | §5.2 | `election_safety` |
//! | Leader Append-Only | §5.3 | `leader_append_only` |
//! | Log Matching | §5.3 | `log_matching` |
//! | Leader Completeness | §5.4 | `leader_completeness` |
//! | State Machine Safety | §5.4.3 | `state_machine_safety` |
//! | one vote a term, across restarts and lost disks | §5.2 | `one_vote` |
//! | the commit index only grows | Figure 2 | `commit_grows` |
//! | a leader counts entries of its own term only | §5.4.2 | `commit_rule` |
//! | the latest configuration in the log is in force; voters change jointly | §6 | `configurations` |
//! | durable before it is said or acknowledged | Figure 2, §5.3 | `durable_first` |
//! | a pre-vote, and an old answer, change nothing | dissertation §9.6, paper §5.1 | `idle` |
//! | a leader takes for replicated what is | Figure 2 | `match_index` |
//! | equally far, equal state | – | `state_hash` |
//! | a snapshot is of one index, the same everywhere, and safe before the log goes | §7 | `snapshots` |
//! | a leader's disk answers | – | `hung_disk` |
//! | damage is found, in the log and in snapshots | – | `damage`, `snapshot_damage` |
//!
//! A check that fails panics, with the property's name before the first colon of what it says.

mod commit_grows;
mod commit_rule;
mod configurations;
pub(crate) mod damage;
mod durable_first;
mod election_safety;
pub(crate) mod hung_disk;
pub(crate) mod idle;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod match_index;
mod one_vote;
mod quorum;
pub(crate) mod snapshot_damage;
mod snapshots;
mod state_hash;
mod state_machine_safety;

use raft_core::entry::Entry;
use raft_core::log::Recovered;
use raft_core::message::Message;
use raft_core::replica::{CallReply, Replica};
use raft_core::types::{LogIndex, NodeId, Term};

use crate::machine::{Executed, Memory};
use durable_first::DurableFirst;

/// A server as the checks see it.
pub(crate) struct Server<'a> {
    /// Its place among the servers.
    pub(crate) at: usize,
    pub(crate) id: &'a NodeId,
    pub(crate) replica: &'a Replica,
    /// Where its store lives.
    pub(crate) memory: &'a Memory,
    /// An entry that its log may have instead of what the others have in that place.
    pub(crate) spoiled: Option<&'a Entry>,
}

pub(crate) struct Checks {
    election_safety: election_safety::ElectionSafety,
    leader_append_only: leader_append_only::LeaderAppendOnly,
    log_matching: log_matching::LogMatching,
    leader_completeness: leader_completeness::LeaderCompleteness,
    state_machine_safety: state_machine_safety::StateMachineSafety,
    state_hash: state_hash::EqualHashes,
    match_index: match_index::MatchIndex,
    servers: Vec<NodeId>,
    one_vote: one_vote::OneVote,
    commit_grows: commit_grows::CommitGrows,
    commit_rule: commit_rule::CommitRule,
    durable_first: DurableFirst,
    configurations: configurations::Configurations,
    snapshots: snapshots::Snapshots,
}

impl Server<'_> {
    /// Whether it has the entry that it should, or the one that was spoiled in its place.
    fn has_rightly(&self, entry: &Entry, right: &Entry) -> bool {
        entry == right || self.spoiled == Some(entry)
    }
}

impl Checks {
    pub(crate) fn new(servers: &[NodeId]) -> Checks {
        let count = servers.len();
        Checks {
            election_safety: election_safety::ElectionSafety::default(),
            leader_append_only: leader_append_only::LeaderAppendOnly::new(count),
            log_matching: log_matching::LogMatching::new(count),
            leader_completeness: leader_completeness::LeaderCompleteness::new(count),
            state_machine_safety: state_machine_safety::StateMachineSafety::new(count),
            state_hash: state_hash::EqualHashes::default(),
            match_index: match_index::MatchIndex::new(servers.len()),
            servers: servers.to_vec(),
            one_vote: one_vote::OneVote::default(),
            commit_grows: commit_grows::CommitGrows::new(count),
            commit_rule: commit_rule::CommitRule::new(count),
            durable_first: DurableFirst::new(count),
            configurations: configurations::Configurations::new(count),
            snapshots: snapshots::Snapshots::new(count),
        }
    }

    /// A server's process starts, from what its disk holds.
    pub(crate) fn starts(&mut self, at: usize, found: Option<&Recovered>) {
        self.commit_grows.starts(at);
        self.commit_rule.starts(at);
        self.state_machine_safety.starts(at);
        self.leader_append_only.starts(at);
        self.durable_first.starts(at, found, &self.log_matching);
        self.log_matching.starts(at, found, &self.leader_completeness);
        self.configurations.starts(at);
        self.snapshots.starts(at, found);
    }

    /// A server's disk is replaced by an empty one.
    pub(crate) fn wiped(&mut self, at: usize) {
        self.durable_first.wiped(at, &self.log_matching);
    }

    /// A server leads, if only until the next event.
    pub(crate) fn leads(&mut self, server: &Server<'_>) {
        let consensus = server.replica.consensus();
        if self.election_safety.check(server.at, server.id, consensus, &self.one_vote) {
            self.leader_completeness.check_new_leader(server.id, consensus);
        }
    }

    /// A server has taken a step; what it wants done has not been done.
    pub(crate) fn after_step(&mut self, server: &Server<'_>) {
        let consensus = server.replica.consensus();
        let kept = self.log_matching.check(server, consensus.log(), &self.leader_completeness);
        let base = consensus.log().base().index;
        self.snapshots.check(server.at, server.id, base);
        self.durable_first.log_kept(server.at, kept);
        self.leader_append_only.check(server.at, server.id, consensus);
        self.configurations.check(server, kept, &self.leader_completeness);
        self.leader_completeness.note_committed(server, consensus);
        self.durable_first.commits(server.at, consensus, &self.servers, &self.log_matching);
        self.commit_grows.check(server.at, server.id, consensus.commit_index());
        self.commit_rule.check(server.at, server.id, consensus);
        self.state_machine_safety.check(server);
        self.state_hash.check(server);
        self.match_index.check(&self.servers, consensus, &self.durable_first, &self.log_matching);
    }

    /// A server hands its disk a batch.
    pub(crate) fn submits(&mut self, server: &Server<'_>) {
        self.durable_first.submits(server, &self.servers);
    }

    /// The oldest batch under way is done with.
    pub(crate) fn finished(&mut self, at: usize, flushed: bool) {
        self.durable_first.finished(at, flushed);
    }

    pub(crate) fn sends(&mut self, server: &Server<'_>, to: &NodeId, message: &Message) {
        self.one_vote.sends(server, to, message);
        self.durable_first.sends(server, to, message);
    }

    pub(crate) fn answers_call(&mut self, server: &Server<'_>, reply: &CallReply) {
        self.durable_first.answers_call(server, reply);
    }

    /// Who won this term.
    pub(crate) fn leader_of(&self, term: Term) -> Option<usize> {
        self.election_safety.leader_of(term)
    }

    /// A server tells a client that its command took effect.
    pub(crate) fn acknowledges(&mut self, index: LogIndex) {
        let is_committed = self.leader_completeness.committed_at(index).is_some();
        assert!(
            is_committed,
            "Acknowledged is committed: entry {index} was acknowledged and is not committed"
        );
    }

    /// Whether an entry is safe on a server's disk.
    pub(crate) fn has_safe(&self, at: usize, entry: &Entry) -> bool {
        self.durable_first.has(at, entry.index, entry.term, &self.log_matching)
    }

    /// What executing the log gives, as far as any server has come.
    pub(crate) fn executed(&self) -> &[Executed] {
        self.state_machine_safety.executed()
    }

    /// Whether this very entry is committed.
    pub(crate) fn is_committed(&self, entry: &Entry) -> bool {
        self.leader_completeness.committed_at(entry.index) == Some(entry)
    }

    /// A snapshot's file is whole on a server's disk.
    pub(crate) fn has_snapshot(&mut self, at: usize, index: LogIndex, file: &[u8]) {
        let configuration = self.leader_completeness.configuration_at(index);
        let is = snapshots::Expected { state_hash: self.state_hash.at(index), configuration };
        self.snapshots.is_whole(at, &self.servers[at], file, index, &is);
    }

    /// A snapshot's file was removed from a server's disk.
    pub(crate) fn has_no_snapshot(&mut self, at: usize, index: LogIndex) {
        self.snapshots.is_gone(at, index);
    }

    /// What is committed at an index, as far as any server knows.
    pub(crate) fn committed_at(&self, index: LogIndex) -> Option<&Entry> {
        self.leader_completeness.committed_at(index)
    }

    /// Whether any server ever had a whole snapshot of this index.
    pub(crate) fn is_snapshot_anywhere(&self, index: LogIndex) -> bool {
        self.snapshots.is_anywhere(index)
    }

    /// What is committed, from index 1.
    pub(crate) fn committed(&self) -> &[(Entry, Term)] {
        self.leader_completeness.committed()
    }
}
