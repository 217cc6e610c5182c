//! What goes into a replica and what comes out: plain data, so that a test can compare it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::administration::{Administered, Task, TaskRefused};
use crate::disk::{AsideOp, AsideOutcome, AsideSeq, DiskBatch, WriteSeq};
use crate::entry::Command;
use crate::message::{AppendEntries, AppendResult, Message, RequestVote, VoteReply};
use crate::types::{Incarnation, LogIndex, NodeId, StateHash, Term, Time};

/// Names one request of the world outside until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Time passed: the deadline that the replica named has come, or may have.
    Tick,
    /// A peer's stream carried a message.
    Received {
        /// Whose.
        from: NodeId,
        /// Which incarnation of it.
        incarnation: Incarnation,
        /// What it says.
        message: Message,
    },
    /// A stream to a peer opened.
    Connected {
        /// The peer.
        peer: NodeId,
    },
    /// A stream with a peer ended. `process_died` where the peer's kernel closed it, which it does at
    /// once when the process is gone; a silent peer is not reported here.
    Disconnected {
        /// The peer.
        peer: NodeId,
        /// Whether the far kernel closed the connection.
        process_died: bool,
    },
    /// A documented, human-readable RPC came in; answered by `Action::CallReply`.
    Called {
        /// Names the call.
        token: Token,
        /// The server it claims to come from.
        from: NodeId,
        /// Which RPC.
        call: Call,
    },
    /// All batches up to this one, which asked for `sync`, are durable.
    Persisted(WriteSeq),
    /// An operation aside of the log has been carried out, or has failed.
    AsideDone {
        /// Which.
        seq: AsideSeq,
        /// What came of it.
        outcome: AsideOutcome,
    },
    /// The disk failed: nothing that is not reported persisted will be.
    DiskFailed {
        /// In words for the operator.
        reason: String,
    },
    /// The disk has no room for a segment that it is to prepare. Nothing is lost, what was prepared before is
    /// still written, and what waits for the segment is written once there is room.
    DiskFull {
        /// In words for the operator.
        reason: String,
    },
    /// The disk that was full has room again.
    DiskHasRoom,
    /// A client's command.
    Propose {
        /// Names the request.
        token: Token,
        /// When it must have been answered.
        deadline: Time,
        /// The command.
        command: Command,
    },
    /// A client's question.
    Query {
        /// Names the request.
        token: Token,
        /// When it must have been answered.
        deadline: Time,
        /// Whether the answer may be old.
        consistency: Consistency,
        /// In the state machine's encoding.
        query: Bytes,
    },
    /// An operator's task.
    Administer {
        /// Names the request.
        token: Token,
        /// When it must have been answered.
        deadline: Time,
        /// What is to be done.
        task: Task,
    },
    /// The node is to stop: nothing new is taken, and a leader hands over. `Action::Stopped` follows
    /// when that is done, or at the deadline.
    Stop {
        /// When to give up handing over.
        deadline: Time,
    },
}

/// The two RPCs of Figure 2 in their documented form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Call {
    /// `POST /api/vote`.
    RequestVote(RequestVote),
    /// `POST /api/append_entries`.
    AppendEntries(AppendEntries),
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// Sees every write acknowledged before the read began.
    #[default]
    Linearizable,
    /// Whatever this server has applied.
    Stale,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message over the stream to a peer; may be dropped if there is none.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Hand this to the disk.
    Disk(DiskBatch),
    /// Carry this out aside of the log, never holding up a batch; answered by [`Event::AsideDone`]. There is
    /// one at a time.
    Aside {
        /// Its number.
        seq: AsideSeq,
        /// What to do.
        op: AsideOp,
    },
    /// Answer a client's command or question.
    Answer {
        /// The request.
        token: Token,
        /// The answer.
        reply: Reply,
    },
    /// Answer a documented RPC.
    CallReply {
        /// The call.
        token: Token,
        /// The answer.
        reply: CallReply,
    },
    /// Tell the operator.
    Notice(Notice),
    /// Handing over is done with, or was not needed: the node may stop.
    Stopped,
}

/// The answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A command's outcome: it is committed and applied.
    Done(Outcome),
    /// A question's answer, in the state machine's encoding.
    Found(Bytes),
    /// An operator's task is done.
    Administered(Administered),
    /// An operator's task was not done, for a reason that lies in the cluster.
    Declined(TaskRefused),
    /// No answer, and why.
    Refused(Refused),
}

/// A committed command's effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outcome {
    /// The log index at which it took effect: of a repeated command, the first one's.
    pub index: LogIndex,
    /// What it gave.
    pub result: CommandResult,
}

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandResult {
    /// The state machine's answer.
    Answer(Bytes),
    /// The session is open.
    SessionOpen,
    /// The session is not known (any longer); the command had no effect.
    SessionExpired,
    /// The number was reported as answered before; the command had no effect.
    SequenceReused,
    /// The key or number was used before for another command; this one had no effect.
    CommandDiffers,
}

/// Why a client got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No leader was known until the deadline; no effect.
    NoLeader,
    /// A command or a task was handed on, and what became of it is not known.
    Unknown,
    /// A question could not be answered in time.
    ReadTimeout,
    /// Too much is waiting; no effect.
    Overloaded,
    /// The node is stopping; no effect.
    ShuttingDown,
    /// The leader's disk is full; no effect.
    DiskFull,
    /// The replica has failed; a command in the log may yet take effect elsewhere.
    Failed,
}

/// The answer to a documented RPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallReply {
    /// To `RequestVote`.
    Vote(VoteReply),
    /// To `AppendEntries`.
    Append {
        /// This server's term.
        term: Term,
        /// How the logs compare.
        result: AppendResult,
    },
    /// The caller is no member, or this server takes no part at the moment.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This server's role changed.
    RoleChanged {
        /// The new one.
        role: Role,
        /// In this term.
        term: Term,
        /// Why.
        reason: &'static str,
    },
    /// This server follows a leader.
    Following {
        /// The leader.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
    /// Enough members have noted this new directory: the server may vote.
    Admitted,
    /// A peer refuses this server, whose data directory is not the one the peer knows.
    Wiped {
        /// Who said so.
        peer: NodeId,
        /// The incarnation on record there.
        known: Incarnation,
    },
    /// A peer refuses this server, or this server a peer, for another reason.
    Unwelcome {
        /// The peer.
        peer: NodeId,
        /// In words.
        reason: String,
    },
    /// A server speaks that was removed and does not know. It is told so; where nothing that is sent reaches
    /// it any more, it is to be connected to for that.
    FormerMember {
        /// The server.
        peer: NodeId,
        /// Where it said that it is reached; empty where it has not.
        address: String,
    },
    /// A snapshot of this server's state is complete on its disk.
    SnapshotTaken {
        /// The log index whose state it holds.
        index: LogIndex,
        /// The length of its file in bytes.
        bytes: u64,
    },
    /// A snapshot could not be written, and was given up. The log is kept until one can.
    SnapshotNotTaken {
        /// The log index whose state it was to hold.
        index: LogIndex,
        /// In words.
        reason: String,
    },
    /// A snapshot cannot be sent to a follower that needs one: its file cannot be read.
    SnapshotNotSent {
        /// The follower.
        peer: NodeId,
        /// In words.
        reason: String,
    },
    /// A snapshot goes to a follower that needs one, or goes on to it: the follower has said from where.
    SendingSnapshot {
        /// The follower.
        to: NodeId,
        /// The log index whose state it holds.
        index: LogIndex,
        /// From which byte of its file on.
        bytes: u64,
    },
    /// A snapshot comes from a leader: of its file, so many bytes are here.
    ReceivingSnapshot {
        /// The leader.
        from: NodeId,
        /// The log index whose state it holds.
        index: LogIndex,
        /// Where it goes on; zero at its start.
        bytes: u64,
    },
    /// A snapshot that a leader sent was not taken: what came is not what a leader wrote, or cannot be kept.
    SnapshotNotReceived {
        /// The log index whose state it was to hold.
        index: LogIndex,
        /// In words.
        reason: String,
    },
    /// This server's state is now that of a snapshot which its leader sent.
    SnapshotInstalled {
        /// The log index whose state it holds.
        index: LogIndex,
    },
    /// A member says that this server was removed from the cluster: it stands for election no more.
    Removed {
        /// Who said so.
        peer: NodeId,
    },
    /// This server's state is not the others'. It cannot go on: `Failed` follows.
    Diverged(Divergence),
    /// The disk has not answered for an election timeout: this server does not lead, stand or vote until
    /// it does.
    DiskHangs {
        /// For how long.
        waited: Duration,
    },
    /// The disk that hung has answered.
    DiskAnswers {
        /// How long that took.
        waited: Duration,
    },
    /// The disk has no room for the log's next segment: this server hands over, and follows as far as what
    /// it has goes.
    DiskFull {
        /// What there is no room for.
        reason: String,
    },
    /// The disk that was full has room again.
    DiskHasRoom,
    /// The replica cannot go on.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How a server's state differs from the others'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// A log index at which it does. The cause lies there or before.
    pub index: LogIndex,
    /// This server's state hash there.
    pub ours: StateHash,
    /// The other one.
    pub theirs: StateHash,
    /// Who differs from this server: its leader, or those of its followers that outvote it.
    pub peers: Vec<NodeId>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers: Vec<&str> = self.peers.iter().map(NodeId::as_str).collect();
        let (index, peers) = (self.index, peers.join(", "));
        let (ours, theirs) = (self.ours, self.theirs);
        write!(
            f,
            "at log index {index} its state differs from that of {peers} (hash {ours} here, {theirs} there); \
             started again, it rebuilds its state from the log"
        )
    }
}

/// A server's part in its term (paper §5.1; the last two from the dissertation, §9.6 and §4.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers leaders and candidates.
    #[default]
    Follower,
    /// Asks whether an election would succeed.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Handles all client commands.
    Leader,
    /// Receives the log, without a vote.
    Learner,
}

/// Everything to do after an event, in order.
pub type Actions = Vec<Action>;
