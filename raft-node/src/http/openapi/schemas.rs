//! The shapes of bodies, for the description alone: what is read and written is held to them by tests.
#![expect(dead_code, reason = "these are never made: only their schemas are used")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Sets a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRequest {
    /// UTF-8, 1 to 4096 bytes.
    #[schema(min_length = 1, max_length = 4096)]
    key: String,
    /// Any JSON value nested at most 100 levels deep; `{"$base64": "…"}` sets bytes.
    value: Value,
}

/// The key is set.
#[derive(ToSchema)]
pub(super) struct SetAnswer {
    success: bool,
    key: String,
    /// The log index at which it was.
    revision: u64,
}

/// Removes a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteRequest {
    /// UTF-8, 1 to 4096 bytes.
    #[schema(min_length = 1, max_length = 4096)]
    key: String,
}

/// The key is not there any more.
#[derive(ToSchema)]
pub(super) struct DeleteAnswer {
    success: bool,
    key: String,
    /// Whether there was anything to remove.
    deleted: bool,
    /// The log index at which it happened.
    revision: u64,
}

/// A key's value.
#[derive(ToSchema)]
pub(super) struct GetAnswer {
    key: String,
    /// The value as it was set; bytes as a string where they are UTF-8, else as `{"$base64": "…"}`; null
    /// where the key is not set.
    value: Value,
    found: bool,
    /// The log index at which the key last changed. Only where it was found.
    #[schema(nullable = false)]
    revision: Option<u64>,
}

/// A part of the store.
#[derive(ToSchema)]
pub(super) struct Page {
    /// Keys with their values. Not there with `values=false`.
    #[schema(nullable = false)]
    state_machine: Option<BTreeMap<String, Value>>,
    /// Keys alone, with `values=false`.
    #[schema(nullable = false)]
    keys: Option<Vec<String>>,
    /// The log index at which the store last changed; 0 if it never did.
    revision: u64,
    /// True where more follows: ask again with `after`. Not there where nothing does.
    #[schema(nullable = false)]
    more: Option<bool>,
    /// The last key of this page. Only with `more`.
    #[schema(nullable = false)]
    after: Option<String>,
}

/// Opens a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    /// The client's name for itself, unique to it: 1 to 128 printable ASCII characters.
    #[schema(min_length = 1, max_length = 128, pattern = "^[ -~]+$")]
    client: String,
}

/// The session is open.
#[derive(ToSchema)]
pub(super) struct SessionAnswer {
    success: bool,
}

/// Hands leadership over.
#[derive(ToSchema)]
pub(super) struct TransferRequest {
    /// To this voter; where none is named, to the one that has most of the log.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    node_id: Option<String>,
}

/// Adds a member (`address`, and maybe `learner` and `priority`), puts it in another's place (`address` and
/// `replaces`), makes a learner a voter (`promote`), or gives a member a priority.
#[derive(ToSchema)]
pub(super) struct MemberRequest {
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    node_id: String,
    /// `HOST:PORT` at which the members reach it.
    address: Option<String>,
    /// Whether it stays without a vote.
    learner: Option<bool>,
    /// The higher, the rather it leads.
    priority: Option<u8>,
    promote: Option<bool>,
    /// The voter whose place it takes.
    replaces: Option<String>,
}

/// The members are as was asked for.
#[derive(ToSchema)]
pub(super) struct MemberAnswer {
    success: bool,
    /// Where the configuration that says so stands in the log.
    configuration_index: u64,
}

/// Leadership is where it was wanted.
#[derive(ToSchema)]
pub(super) struct TransferAnswer {
    success: bool,
    leader_id: String,
    term: u64,
}

/// Takes a snapshot: nothing has to be said about it.
#[derive(ToSchema)]
pub(super) struct SnapshotRequest {}

/// A snapshot was taken.
#[derive(ToSchema)]
pub(super) struct SnapshotAnswer {
    success: bool,
    /// The log index whose state it holds.
    index: u64,
    /// The length of its file.
    bytes: u64,
    /// How long the leader took over it, in milliseconds.
    took_ms: u64,
}

/// The node serves, and knows a leader.
#[derive(ToSchema)]
pub(super) struct Health {
    status: String,
    node_id: String,
    state: Role,
    leader_id: String,
    term: u64,
}

/// A server's part in its term.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum Role {
    Leader,
    Follower,
    Candidate,
    PreCandidate,
    Learner,
}

/// A node's view of itself and its cluster.
#[derive(ToSchema)]
pub(super) struct Status {
    node_id: String,
    state: Role,
    /// The latest term it has seen.
    term: u64,
    /// The leader of that term, if known.
    #[schema(required)]
    leader_id: Option<String>,
    #[schema(required)]
    leader_address: Option<String>,
    /// Who has its vote in the term.
    #[schema(required)]
    voted_for: Option<String>,
    commit_index: u64,
    last_applied: u64,
    /// The state hash at `last_applied`: nodes that have applied equally far have the same.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    applied_hash: String,
    last_log_index: u64,
    last_log_term: u64,
    log_length: u64,
    /// The last log index covered by a snapshot; 0 without one.
    snapshot_index: u64,
    first_log_index: u64,
    /// Keys in the store.
    keys: u64,
    uptime_ms: u64,
    version: String,
    /// 32 hexadecimal digits, once the cluster has formed.
    #[schema(required)]
    cluster_id: Option<String>,
    /// Why the node has stopped working. Only if it has.
    #[schema(nullable = false)]
    failed: Option<String>,
    /// A log index at which the node's state differs from the others'. Only if that is why it has stopped.
    #[schema(nullable = false)]
    diverged_index: Option<u64>,
    members: Vec<Member>,
    /// On the leader, how the others follow.
    peers: BTreeMap<String, Peer>,
}

/// A member of the cluster.
#[derive(ToSchema)]
pub(super) struct Member {
    node_id: String,
    address: String,
    /// `voter`; `learner` for one without a vote; `leaving` for one that votes until the change is done.
    role: String,
    /// The higher, the rather it leads.
    priority: u8,
}

/// Who belongs to the cluster.
#[derive(ToSchema)]
pub(super) struct Members {
    /// Where the configuration that says so stands in the log; 0 before there is one.
    configuration_index: u64,
    members: Vec<Member>,
}

/// How a follower does.
#[derive(ToSchema)]
pub(super) struct Peer {
    match_index: u64,
    next_index: u64,
    /// The highest log index at which its state was found to be the leader's; 0 before they were compared.
    agreed_index: u64,
    /// None if it never was heard of in this term.
    #[schema(required)]
    last_contact_ms: Option<u64>,
    reachable: bool,
    /// `probe`, `replicate` or `snapshot`.
    state: String,
}

/// What is wrong, and what would help.
#[derive(ToSchema)]
pub(super) struct Explanation {
    ok: bool,
    summary: String,
    /// The most important first.
    reasons: Vec<Reason>,
}

/// One thing that is in the way.
#[derive(ToSchema)]
pub(super) struct Reason {
    /// Stable, for programs.
    code: String,
    detail: String,
    #[schema(required)]
    node_id: Option<String>,
    advice: String,
}

/// RequestVote (Raft paper, Figure 2).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoteRequest {
    #[schema(maximum = 4611686018427387904_u64)]
    term: u64,
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    candidate_id: String,
    #[schema(maximum = 4611686018427387904_u64)]
    last_log_index: u64,
    #[schema(maximum = 4611686018427387904_u64)]
    last_log_term: u64,
}

/// Its answer.
#[derive(ToSchema)]
pub(super) struct VoteAnswer {
    term: u64,
    vote_granted: bool,
}

/// AppendEntries (Raft paper, Figure 2).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendEntriesRequest {
    #[schema(maximum = 4611686018427387904_u64)]
    term: u64,
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    leader_id: String,
    #[schema(maximum = 4611686018427387904_u64)]
    prev_log_index: u64,
    #[schema(maximum = 4611686018427387904_u64)]
    prev_log_term: u64,
    /// Contiguous, from `prev_log_index` on; empty for a heartbeat.
    entries: Vec<LogEntry>,
    #[schema(maximum = 4611686018427387904_u64)]
    leader_commit: u64,
}

/// One entry of the log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogEntry {
    #[schema(maximum = 4611686018427387904_u64)]
    term: u64,
    /// Follows from its place; refused where it does not.
    index: Option<u64>,
    /// Null for a leader's no-op.
    #[schema(required)]
    command: Option<LogCommand>,
}

/// What an entry does.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogCommand {
    op: LogOperation,
    #[schema(min_length = 1, max_length = 4096)]
    key: String,
    /// With `set` only.
    value: Option<Value>,
}

/// Set or delete.
#[derive(Deserialize, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum LogOperation {
    Set,
    Delete,
}

/// The answer to AppendEntries.
#[derive(ToSchema)]
pub(super) struct AppendEntriesAnswer {
    term: u64,
    success: bool,
    /// Entries up to here match and are durable.
    match_index: u64,
}

/// Why a request was not carried out (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:raft:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What is wrong with this request in particular.
    detail: String,
    /// Stable, for programs.
    code: String,
    /// Tells several causes of one code apart: `session_expired`, `sequence_reused` or `command_differs` with
    /// `conflict`.
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// What the dashboard is sent.
#[derive(ToSchema)]
pub(super) struct DashboardEvent {
    /// The node that asked the members. None where a dashboard without a node did.
    #[schema(required)]
    served_by: Option<String>,
    members: Vec<DashboardMember>,
}

/// A member as it was last heard of.
#[derive(ToSchema)]
pub(super) struct DashboardMember {
    /// None while it is not known who is there.
    #[schema(required)]
    node_id: Option<String>,
    address: String,
    reach: DashboardReach,
    /// Why it does not answer.
    #[schema(required)]
    error: Option<String>,
    /// Milliseconds since it said what follows. None if it never did.
    #[schema(required)]
    age_ms: Option<u64>,
    #[schema(required)]
    status: Option<Status>,
    /// What it says is in the way.
    #[schema(required)]
    why: Option<Explanation>,
}

/// Whether a member answers: `unknown` until it was asked, `silent` where no answer comes in time.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum DashboardReach {
    Unknown,
    Up,
    Silent,
    Down,
}
