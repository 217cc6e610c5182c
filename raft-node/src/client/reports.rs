//! What nodes say about themselves, as a client reads it.
//!
//! Unlike the node's own types these have room for what other versions leave out or add.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A node's view of itself and its cluster: `GET /api/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The node.
    pub node_id: String,
    /// `leader`, `follower`, `candidate`, `pre_candidate` or `learner`.
    pub state: String,
    /// The latest term it has seen.
    pub term: u64,
    /// The leader of that term, if known.
    pub leader_id: Option<String>,
    /// Where the leader is reached.
    pub leader_address: Option<String>,
    /// Who has the node's vote in the term.
    pub voted_for: Option<String>,
    /// The highest log index known to be committed.
    pub commit_index: u64,
    /// The highest log index applied to the store.
    pub last_applied: u64,
    /// The state hash there, 16 hexadecimal digits.
    pub applied_hash: String,
    /// The highest log index present.
    pub last_log_index: u64,
    /// The term of that entry.
    pub last_log_term: u64,
    /// Entries in the log.
    pub log_length: u64,
    /// The last log index covered by a snapshot; 0 without one.
    pub snapshot_index: u64,
    /// The lowest log index present.
    pub first_log_index: u64,
    /// Keys in the store.
    pub keys: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// The version of its software.
    pub version: String,
    /// The cluster, once it has formed.
    pub cluster_id: Option<String>,
    /// Why the node has stopped working, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// A log index at which its state differs from the others', if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged_index: Option<u64>,
    /// All members.
    pub members: Vec<Member>,
    /// On the leader, how the others follow.
    pub peers: BTreeMap<String, Peer>,
}

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its id.
    pub node_id: String,
    /// Where it is reached.
    pub address: String,
    /// `voter`, `learner` or `leaving`.
    pub role: String,
    /// The higher, the rather it leads.
    pub priority: u8,
}

/// How a follower does, as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// The highest log index known to be on its disk.
    pub match_index: u64,
    /// The next log index to send it.
    pub next_index: u64,
    /// The highest log index at which its state was found to be the leader's.
    pub agreed_index: u64,
    /// Milliseconds since it was last heard of in this term; none if it never was.
    pub last_contact_ms: Option<u64>,
    /// Whether a connection to it stands.
    pub reachable: bool,
    /// `probe`, `replicate` or `snapshot`.
    pub state: String,
}

/// What is wrong, and what would help: `GET /api/why`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// Whether the node has a leader and nothing is known to be in the way.
    pub ok: bool,
    /// One sentence.
    pub summary: String,
    /// The details, the most important first.
    pub reasons: Vec<Reason>,
}

/// One thing that is in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// Stable, for programs.
    pub code: String,
    /// What is the matter.
    pub detail: String,
    /// The member it is about.
    pub node_id: Option<String>,
    /// What would help.
    pub advice: String,
}

/// A node that can serve: `GET /health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The node.
    pub node_id: String,
    /// Its role.
    pub state: String,
    /// Its leader.
    pub leader_id: Option<String>,
    /// The term.
    pub term: u64,
}
