//! What a node can be asked, and what it answers: the words shared by HTTP, Python, C and the shell.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::replica::{SnapshotPart, SnapshotProgress};
use raft_core::types::{ClusterId, LogIndex, NodeId, StateHash, Term};
use serde::Serialize;

pub use raft_core::consensus::Change;
pub use raft_core::entry::{ClientId, Sequence, SessionStep};
pub use raft_core::kv::{Item, Key, ListPage, Value};
pub use raft_core::replica::{Consistency, Role};

/// How to carry a write out.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Makes a repeated write happen once.
    pub session: Option<SessionStep>,
    /// How long to wait; none for the node's default.
    pub timeout: Option<Duration>,
}

/// How to carry a read out.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Whether the answer may be old.
    pub consistency: Consistency,
    /// How long to wait; none for the node's default.
    pub timeout: Option<Duration>,
}

/// A key was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The log index at which it was.
    pub revision: LogIndex,
}

/// A key was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Whether there was anything to delete.
    pub deleted: bool,
    /// The log index at which it happened.
    pub revision: LogIndex,
}

/// Leadership was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Who leads.
    pub leader_id: NodeId,
    /// Its term.
    pub term: Term,
}

/// A snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The log index whose state it holds.
    pub index: LogIndex,
    /// The length of its file in bytes.
    pub bytes: u64,
    /// How long the leader took over it.
    pub took: Duration,
}

impl Snapshot {
    /// How long that is in milliseconds.
    pub(crate) fn took_ms(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Which part of the store to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Whether values are wanted, or keys alone.
    pub values: bool,
}

/// A node's view of itself and its cluster: `GET /api/status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// This node.
    pub node_id: NodeId,
    /// Its role.
    pub state: Role,
    /// The latest term it has seen.
    pub term: Term,
    /// The leader of that term, if known.
    pub leader_id: Option<NodeId>,
    /// Where the leader is reached.
    pub leader_address: Option<String>,
    /// Who has this node's vote in the term.
    pub voted_for: Option<NodeId>,
    /// The highest log index known to be committed.
    pub commit_index: LogIndex,
    /// The highest log index applied to the store.
    pub last_applied: LogIndex,
    /// The state hash there, 16 hexadecimal digits: nodes that have applied equally far have the same.
    #[serde(serialize_with = "hash_as_text")]
    pub applied_hash: StateHash,
    /// The highest log index present.
    pub last_log_index: LogIndex,
    /// The term of that entry.
    pub last_log_term: Term,
    /// Entries in the log.
    pub log_length: u64,
    /// The last log index covered by a snapshot; 0 without one.
    pub snapshot_index: LogIndex,
    /// The lowest log index present.
    pub first_log_index: LogIndex,
    /// Keys in the store.
    pub keys: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// The version of the software.
    pub version: &'static str,
    /// The cluster, once it has formed: 32 hexadecimal digits.
    #[serde(serialize_with = "as_text")]
    pub cluster_id: Option<ClusterId>,
    /// Why the node has stopped working, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// A log index at which its state differs from the others', if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged_index: Option<LogIndex>,
    /// All members.
    pub members: Vec<MemberStatus>,
    /// How far it is with its snapshots: for the metrics.
    #[serde(skip)]
    pub snapshots: SnapshotProgress,
    /// On the leader, how the others follow.
    pub peers: BTreeMap<NodeId, PeerStatus>,
}

fn as_text<S: serde::Serializer>(id: &Option<ClusterId>, to: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(to)
}

fn hash_as_text<S: serde::Serializer>(hash: &StateHash, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(hash)
}

/// Who belongs to the cluster: `GET /api/members`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Where the configuration that says so stands in the log; 0 before there is one.
    pub configuration_index: LogIndex,
    /// All members, in the order of their ids.
    pub members: Vec<MemberStatus>,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its id.
    pub node_id: NodeId,
    /// Where it is reached.
    pub address: String,
    /// `voter`; `learner` for one without a vote; `leaving` for one that votes until the change under way is
    /// done.
    pub role: &'static str,
    /// The higher, the rather it leads.
    pub priority: u8,
}

/// How a follower does, as the leader sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// The highest log index known to be on its disk.
    pub match_index: LogIndex,
    /// The next log index to send it.
    pub next_index: LogIndex,
    /// The highest log index at which its state was found to be the leader's; 0 before they were compared.
    pub agreed_index: LogIndex,
    /// Milliseconds since it was last heard of in this term; none if it never was.
    pub last_contact_ms: Option<u64>,
    /// Whether a connection to it stands.
    pub reachable: bool,
    /// `probe` while the logs' last common entry is sought, then `replicate`; `snapshot` for one that is sent
    /// a snapshot, because what it lacks of the log is not kept.
    pub state: &'static str,
    /// That snapshot, and how much of it is durable there: for the metrics.
    #[serde(skip)]
    pub snapshot: Option<SnapshotPart>,
}

/// What is wrong, and what would help: `GET /api/why`.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Whether this node has a leader and nothing is known to be in the way.
    pub ok: bool,
    /// One sentence.
    pub summary: String,
    /// The details, the most important first.
    pub reasons: Vec<Reason>,
}

/// One thing that is in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable and made for programs: `peer_unreachable`, `peer_silent`, `vote_refused`, `wiped`,
    /// `not_admitted`, `failed`, `disk_hung`, `disk_full`, `diverged`, `peer_diverged`, `unwelcome`,
    /// `lagging` …
    pub code: &'static str,
    /// What is the matter.
    pub detail: String,
    /// The member it is about.
    pub node_id: Option<NodeId>,
    /// What would help.
    pub advice: String,
}

/// The answer to the documented AppendEntries.
#[derive(Clone, Debug, Serialize)]
pub struct AppendOutcome {
    /// The node's term.
    pub term: Term,
    /// Whether its log holds the entry before the new ones, and now these.
    pub success: bool,
    /// Entries up to here match and are durable.
    pub match_index: LogIndex,
}
