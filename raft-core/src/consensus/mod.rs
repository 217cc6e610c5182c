//! Consensus: the paper's chapters, a file each.
//!
//! | file | what it answers | source |
//! | --- | --- | --- |
//! | [`timing`] | how long is waited for what | paper §5.6, §9.3 |
//! | [`configuration`] | who belongs to it, who votes, what a majority is | paper §5.1, §6 |
//! | `history` | which configuration is in force | paper §6 |
//! | `change` | what may be changed, and through which configurations? | paper §6, dissertation §4.3 |
//! | `membership` | how does a leader carry a change through? | paper §6, dissertation §4.2 |
//! | [`entry_log`] | what the log holds and how much of it is durable | paper §5.3 |
//! | `admission` | may a server with a new disk vote? | paper §5.2 (votes are durable) |
//! | `election` | when and how does a server stand? | paper §5.2, dissertation §9.6 |
//! | `voting` | who gets a vote? | paper §5.2, §5.4.1, dissertation §4.2.3 |
//! | `following` | what does a follower do with the leader's entries? | paper §5.3 |
//! | `leading` | what does a leader send, and when does it step down? | paper §5.3, dissertation §6.2 |
//! | [`progress`] | how fast is a follower fed? | dissertation §10.2.1 |
//! | `commit` | what is committed? | paper §5.4.2 |
//! | `snapshots` | what does a follower get that is behind the log? | paper §7 |
//! | `reads` | how is a read made linearizable without the log? | dissertation §6.4 |
//! | `transfer` | how is leadership handed over? | dissertation §3.10 |
//!
//! [`Consensus`] holds the state of Figure 2. It is fed by the replica, which gives it time, messages and
//! the disk's answers, and takes what it wants sent and stored. It never waits and never looks at a clock.
//!
//! One rule makes durability simple: **no message leaves while the hard state behind it is not durable**.
//! The replica holds the outbox back until then. Entries need no such rule, because a follower
//! reports only what its disk has answered for, and a leader counts itself the same way, so that it may
//! send entries while it writes them.

mod admission;
mod change;
mod checkpoint;
mod commit;
pub mod configuration;
mod election;
pub mod entry_log;
mod following;
pub(crate) mod history;
mod invariants;
mod leading;
mod membership;
#[cfg(feature = "model")]
pub(crate) mod model;
pub mod progress;
mod reads;
mod snapshots;
mod timing;
mod transfer;
mod voting;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use admission::{Admission, Introduced, Refusal, Standing};
pub use change::{Change, ChangeRefused, ChangeState};
pub use configuration::{Configuration, Member, MemberRole, Promotion};
pub use entry_log::EntryLog;
use history::History;
pub use leading::Leadership;
pub use membership::Removed;
use serde::{Deserialize, Serialize};
pub(crate) use snapshots::{ChunkRead, Offer};
pub use timing::{InvalidTiming, Timing};

use crate::entry::Entry;
use crate::log::Record;
use crate::message::{Message, RequestId, Round, VoteRefusal};
use crate::replica::{DiskHealth, Notice, Role};
use crate::seeded::{self, Bug};
use crate::types::{Applied, ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, Term, Time};

/// What a server starts with.
#[derive(Debug)]
pub struct Start {
    /// Its name.
    pub id: NodeId,
    /// Of its data directory.
    pub incarnation: Incarnation,
    /// The cluster the directory belongs to, once it is known.
    pub cluster_id: Option<ClusterId>,
    /// Who belongs to the cluster, itself among them, where the log does not say.
    pub configuration: Configuration,
    /// How long to wait.
    pub timing: Timing,
    /// Decides the election timeouts and, for a first leader, the cluster's id.
    pub seed: u64,
    /// From the disk.
    pub hard_state: HardState,
    /// From the disk.
    pub log: EntryLog,
    /// The snapshots on the disk from which the log goes on, the oldest first.
    pub snapshots: VecDeque<EntryId>,
    /// A lower bound of the commit index, from the disk; within the log.
    pub commit_index: LogIndex,
    /// Whether this server may vote, from the disk.
    pub admitted: bool,
    /// The peers' incarnations, from the disk.
    pub peers: BTreeMap<NodeId, Incarnation>,
    /// The time.
    pub now: Time,
}

/// A server's part in the protocol, with the state that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RoleState {
    Follower(Following),
    PreCandidate(Votes),
    Candidate(Votes),
    Leader(Leadership),
}

/// What a follower knows of its leader.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Following {
    pub(crate) leader: Option<NodeId>,
    /// Up to here the log is known to equal the leader's.
    pub(crate) verified: LogIndex,
    /// What was last reported to the leader.
    pub(crate) reported: LogIndex,
    pub(crate) round: Round,
    /// Whether the leader is owed an answer.
    pub(crate) reply_due: bool,
}

/// How an election goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Votes {
    pub(crate) granted: BTreeSet<NodeId>,
    pub(crate) refused: BTreeMap<NodeId, VoteRefusal>,
    pub(crate) transfer: bool,
}

/// The protocol's state on one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consensus {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) configurations: History,
    pub(crate) timing: Timing,
    rng: ChaCha8Rng,
    pub(crate) now: Time,
    hard_state: HardState,
    hard_state_changed: bool,
    /// Not in a checkpoint, which has its own way to keep a log.
    #[serde(skip)]
    pub(crate) log: EntryLog,
    /// The snapshots that this server keeps, the oldest first: the log goes on from each.
    pub(crate) snapshots: VecDeque<EntryId>,
    /// The one that it is taking, or has taken, and that is not kept yet.
    pub(crate) next_snapshot: Option<EntryId>,
    pub(crate) commit_index: LogIndex,
    /// What the replica has applied: a follower reports it to its leader.
    pub(crate) applied: Applied,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) role: RoleState,
    /// When this server stands for election, unless a leader speaks before.
    election_deadline: Time,
    /// When a leader of the current term was last heard; its lease (dissertation §4.2.3) starts here.
    leader_heard: Option<Time>,
    /// Until when a failed pre-vote is repeated quickly, after a leader's process died.
    eager_until: Option<Time>,
    /// The refusals of the last election that failed, for the operator.
    pub(crate) last_refusals: BTreeMap<NodeId, VoteRefusal>,
    pub(crate) admission: Admission,
    pub(crate) connected: BTreeSet<NodeId>,
    /// Where the others reach this server, as it was started; empty where it was not told.
    address: String,
    /// While it hangs, this server neither stands nor votes: it could store neither. While it is full,
    /// others stand first.
    pub(crate) disk: DiskHealth,
    outbox: Vec<(NodeId, Message)>,
    /// None are left after a drain.
    #[serde(skip)]
    notices: Vec<Notice>,
    records: Vec<Record>,
}

impl Consensus {
    /// A server as it starts: a follower that waits for a leader.
    ///
    /// # Panics
    /// When it is not in the configuration, or the commit index lies beyond the log.
    #[must_use]
    pub fn new(start: Start) -> Consensus {
        assert!(start.configuration.contains(&start.id), "a server is one of its configuration");
        assert!(
            start.commit_index <= start.log.last_index() || seeded::is(Bug::CommitIndexAheadOfLog),
            "the commit hint is clamped to the log"
        );
        let own = start.configuration.member(&start.id);
        let address = own.map(|member| member.address.clone()).unwrap_or_default();
        let mut configurations = History::new(start.configuration);
        start
            .log
            .range(start.log.first_index()..=start.log.last_index())
            .for_each(|e| configurations.note(e));
        let mut consensus = Consensus {
            admission: Admission::new(start.admitted, start.peers),
            id: start.id,
            incarnation: start.incarnation,
            configurations,
            timing: start.timing,
            rng: ChaCha8Rng::seed_from_u64(start.seed),
            now: start.now,
            hard_state: start.hard_state,
            hard_state_changed: false,
            log: start.log,
            snapshots: start.snapshots,
            next_snapshot: None,
            commit_index: start.commit_index,
            applied: Applied::default(),
            cluster_id: start.cluster_id,
            role: RoleState::Follower(Following::default()),
            election_deadline: start.now,
            leader_heard: None,
            eager_until: None,
            last_refusals: BTreeMap::new(),
            connected: BTreeSet::new(),
            address,
            disk: DiskHealth::default(),
            outbox: Vec::new(),
            notices: Vec::new(),
            records: Vec::new(),
        };
        if seeded::is(Bug::HardStateNeverWritten) {
            consensus.hard_state.term = consensus.log.last_term();
        }
        consensus.reset_election_deadline();
        consensus.admit_if_witnessed();
        consensus
    }

    /// Where this process begins to number its requests. Not where an earlier one did: an answer to that
    /// one's requests may yet come.
    pub(crate) fn first_request(&mut self) -> RequestId {
        RequestId(self.rng.next_u64() >> 1)
    }

    /// The current term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Term and vote.
    #[must_use]
    pub fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The role, without its state.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.role {
            RoleState::Follower(_) if self.is_learner() => Role::Learner,
            RoleState::Follower(_) => Role::Follower,
            RoleState::PreCandidate(_) => Role::PreCandidate,
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// Whether this server gets the log without a vote.
    fn is_learner(&self) -> bool {
        self.configuration().member(&self.id).is_some_and(|member| member.role == MemberRole::Learner)
    }

    /// The leader of the current term, if known.
    #[must_use]
    pub fn leader(&self) -> Option<&NodeId> {
        match &self.role {
            RoleState::Follower(following) => following.leader.as_ref(),
            RoleState::Leader(_) => Some(&self.id),
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => None,
        }
    }

    /// This server's leadership, if it leads.
    #[must_use]
    pub fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            RoleState::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }

    /// The other members.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        self.configuration().members().map(|(id, _)| id).filter(|id| **id != self.id).cloned().collect()
    }

    pub(crate) fn send(&mut self, to: &NodeId, message: Message) {
        debug_assert!(*to != self.id, "a server does not write to itself");
        self.outbox.push((to.clone(), message));
    }

    pub(crate) fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Has something stored besides entries. Nothing is said from now on before it is durable.
    pub(crate) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Takes what is to be sent. It may leave once the hard state and the records are durable.
    pub(crate) fn take_outbox(&mut self) -> Vec<(NodeId, Message)> {
        core::mem::take(&mut self.outbox)
    }

    /// Takes what the operator is to be told.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        core::mem::take(&mut self.notices)
    }

    /// Whether something besides entries waits to be stored.
    pub(crate) fn has_unwritten_state(&self) -> bool {
        self.hard_state_changed || !self.records.is_empty()
    }

    /// Takes what has to be stored besides entries.
    pub(crate) fn take_state_records(&mut self) -> Vec<Record> {
        let mut records = core::mem::take(&mut self.records);
        if core::mem::take(&mut self.hard_state_changed) && !seeded::is(Bug::HardStateNeverWritten) {
            let forgets = seeded::is(Bug::VoteNotPersisted);
            let voted_for = self.hard_state.voted_for.clone().filter(|_| !forgets);
            records.push(Record::HardState(HardState { voted_for, ..self.hard_state }));
        }
        records
    }

    /// The disk has answered for the entries up to here.
    pub(crate) fn entries_durable(&mut self, up_to: LogIndex) {
        self.log.note_durable(up_to);
        match &mut self.role {
            RoleState::Leader(_) => self.advance_commit(),
            RoleState::Follower(following) => {
                following.reply_due |= following.verified.min(self.log.durable()) > following.reported;
            }
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => {}
        }
    }

    /// A message from a peer whose incarnation is on record.
    pub(crate) fn receive(&mut self, from: &NodeId, message: Message) {
        match message {
            Message::RequestVote(request) => {
                let reply = self.handle_request_vote(from, &request);
                self.send(from, Message::VoteReply(reply));
            }
            Message::VoteReply(reply) => self.handle_vote_reply(from, reply),
            Message::AppendEntries(append) => self.handle_append_entries(from, append),
            Message::AppendReply(reply) => self.handle_append_reply(from, &reply),
            Message::InstallReply(reply) => self.handle_install_reply(from, &reply),
            Message::TimeoutNow { term } => self.handle_timeout_now(from, term),
            // Introductions and clients' traffic are dealt with before they come here.
            _ => {}
        }
    }

    /// What time has brought about.
    pub(crate) fn tick(&mut self) {
        match self.role {
            RoleState::Leader(_) => self.tick_leader(),
            _ if self.now >= self.election_deadline => self.election_timeout(),
            _ => {}
        }
        self.introduce();
    }

    /// When [`Consensus::tick`] has something to do next.
    pub(crate) fn deadline(&self) -> Time {
        let role = match &self.role {
            RoleState::Leader(leadership) => leadership.deadline(),
            _ => self.election_deadline,
        };
        self.admission.deadline().map_or(role, |introduction| role.min(introduction))
    }

    /// Sends what has accumulated: entries and heartbeats of a leader, the answer of a follower.
    pub(crate) fn flush(&mut self) {
        self.admit_if_named();
        match self.role {
            RoleState::Leader(_) => {
                self.drive_changes();
                self.replicate();
            }
            RoleState::Follower(_) => self.report_to_leader(),
            RoleState::PreCandidate(_) | RoleState::Candidate(_) => {}
        }
    }

    /// Follows nobody, in the term it is in.
    pub(crate) fn step_down(&mut self, reason: &'static str) {
        self.adopt_term(self.term(), None, reason);
    }

    /// Gives up whatever role it has, for good: the replica has failed.
    pub(crate) fn abdicate(&mut self) {
        self.role = RoleState::Follower(Following::default());
    }

    /// Whether this server may take part, and if not, why not.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Who refused this server's last (pre-)votes, and why.
    #[must_use]
    pub fn vote_refusals(&self) -> &BTreeMap<NodeId, VoteRefusal> {
        match &self.role {
            RoleState::PreCandidate(votes) | RoleState::Candidate(votes) if !votes.refused.is_empty() => {
                &votes.refused
            }
            _ => &self.last_refusals,
        }
    }

    /// Whether this server stands and has the (pre-)vote of a peer.
    #[must_use]
    pub fn has_vote_of(&self, peer: &NodeId) -> bool {
        match &self.role {
            RoleState::PreCandidate(votes) | RoleState::Candidate(votes) => votes.granted.contains(peer),
            RoleState::Follower(_) | RoleState::Leader(_) => false,
        }
    }

    /// Peers to which a stream is open.
    #[must_use]
    pub fn connected(&self) -> &BTreeSet<NodeId> {
        &self.connected
    }

    /// This server.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// How long is waited for what.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Who belongs to the cluster: the latest configuration in the log, committed or not (paper §6).
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        if seeded::is(Bug::ConfigurationAtCommit) {
            return self.configurations.at(self.commit_index).1;
        }
        self.configurations.current()
    }

    /// Where that stands in the log; 0 while the log has none.
    #[must_use]
    pub fn configuration_index(&self) -> LogIndex {
        self.configurations.index()
    }

    /// The latest configuration at or before an index, and its own index: what a snapshot there carries. The
    /// index is not before the log's beginning.
    #[must_use]
    pub fn configuration_at(&self, index: LogIndex) -> (LogIndex, &Configuration) {
        self.configurations.at(index)
    }

    /// The log begins after `up_to` from now on; what it held up to there is in a snapshot.
    pub(crate) fn configurations_compacted(&mut self, up_to: LogIndex) {
        self.configurations.compact(up_to);
    }

    /// A snapshot of this index carries a configuration, which stands at `index` in the log.
    pub(crate) fn restore_configuration(
        &mut self,
        snapshot: LogIndex,
        index: LogIndex,
        configuration: Configuration,
    ) {
        if !seeded::is(Bug::SnapshotLosesMembers) {
            self.configurations.restore(snapshot, index, configuration);
        }
    }

    /// Whether this server knows who belongs to the cluster. After a start from a snapshot it does not before
    /// it has read that: what it was started with is of no account then.
    #[must_use]
    pub fn knows_configuration(&self) -> bool {
        self.configurations.index() > LogIndex::ZERO || self.log.base().index == LogIndex::ZERO
    }

    /// Adds an entry to the log. If it is a configuration, that is in force from now on.
    pub(super) fn append_to_log(&mut self, entry: Entry) {
        self.configurations.note(&entry);
        self.log.append(entry);
    }

    /// Cuts the log: `from` and all after it are gone.
    pub(super) fn truncate_log(&mut self, from: LogIndex) {
        self.configurations.truncate(from);
        self.log.truncate(from);
    }

    /// The log in memory.
    #[must_use]
    pub fn log(&self) -> &EntryLog {
        &self.log
    }

    /// The last entry that the oldest snapshot kept here holds, if there is one: not before the log's base.
    #[must_use]
    pub fn oldest_snapshot(&self) -> Option<EntryId> {
        self.snapshots.front().copied()
    }

    /// The last entry that the latest snapshot kept here holds, if there is one.
    #[must_use]
    pub fn latest_snapshot(&self) -> Option<EntryId> {
        self.snapshots.back().copied()
    }

    /// The highest index known to be committed.
    #[must_use]
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// The cluster's id, once its first entry was applied.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// This server's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// A stream to a peer opened.
    pub(crate) fn peer_connected(&mut self, peer: &NodeId) {
        self.connected.insert(peer.clone());
        self.admission.connected(peer, self.now);
        self.introduce();
        if let RoleState::Leader(leadership) = &mut self.role {
            leadership.reconnected(peer, self.now);
        }
    }
}
