//! What servers say to each other. The first two exchanges are Figure 2 of the paper.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::entry::{Command, Entry};
use crate::replica::{Administered, Task, TaskRefused};
use crate::types::{Applied, ClusterId, EntryId, Incarnation, LogIndex, NodeId, Term};

/// One message. Every kind but the introductions carries the sender's term where the paper says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A server introduces itself on a new connection.
    Hello(Hello),
    /// The sender knows the receiver by an incarnation, and listens to it.
    Welcome {
        /// That incarnation: a welcome may be old, and the receiver's directory another one by now.
        known: Incarnation,
        /// Whereby the sender knows it.
        by: KnownBy,
    },
    /// The sender will have nothing to do with the receiver.
    Unwelcome(Unwelcome),
    /// Paper §5.2; also the pre-vote of dissertation §9.6.
    RequestVote(RequestVote),
    /// The answer.
    VoteReply(VoteReply),
    /// Paper §5.3; without entries, a heartbeat.
    AppendEntries(AppendEntries),
    /// The answer.
    AppendReply(AppendReply),
    /// Paper §7; without a chunk, a heartbeat.
    InstallSnapshot(InstallSnapshot),
    /// The answer.
    InstallReply(InstallReply),
    /// Leadership transfer (dissertation §3.10): start an election now.
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
    /// A follower asks for a read index (dissertation §6.4).
    ReadIndex {
        /// Numbers the asker's requests.
        request: RequestId,
    },
    /// The answer.
    ReadIndexReply {
        /// Which request.
        request: RequestId,
        /// Once applied to here, the asker may answer; none if the sender is not a leader that can tell.
        index: Option<LogIndex>,
    },
    /// A follower passes a client's command on.
    Forward {
        /// Numbers the asker's requests.
        request: RequestId,
        /// The command.
        command: Command,
    },
    /// The answer.
    ForwardReply {
        /// Which request.
        request: RequestId,
        /// What became of it.
        outcome: ForwardOutcome,
    },
    /// A follower passes an operator's task on.
    Administer {
        /// Numbers the asker's requests.
        request: RequestId,
        /// What is to be done.
        task: Task,
    },
    /// The answer.
    AdministerReply {
        /// Which request.
        request: RequestId,
        /// What became of it.
        outcome: TaskOutcome,
    },
    /// The leader tells a follower that its state differs from that of more servers than it has on its side.
    Diverged {
        /// The leader's term.
        term: Term,
        /// The leader's state hash, at an index that the follower had reported of.
        at: Applied,
    },
}

impl Message {
    /// The term it carries, if its kind has one.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        match self {
            Message::RequestVote(request) => Some(request.term),
            Message::VoteReply(reply) => Some(reply.term),
            Message::AppendEntries(append) => Some(append.term),
            Message::AppendReply(reply) => Some(reply.term),
            Message::InstallSnapshot(install) => Some(install.term),
            Message::InstallReply(reply) => Some(reply.term),
            Message::TimeoutNow { term } | Message::Diverged { term, .. } => Some(*term),
            _ => None,
        }
    }
}

/// Numbers one server's requests to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Whereby a server knows another one's incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KnownBy {
    /// By a durable record of its own: it is a witness.
    Record,
    /// By the configuration in its log: the other one may follow it without having been witnessed.
    Configuration,
    /// By what the other one said: it is a member of a later configuration than the sender's.
    Introduction,
}

/// An introduction. The connection already says who it comes from, and which incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's cluster, once it has one.
    pub cluster_id: Option<ClusterId>,
    /// The members, as the sender knows them; none where it waits to be added.
    pub members: Vec<NodeId>,
    /// Where the configuration that says so stands in the sender's log; 0 where it was started with it.
    pub configuration_index: LogIndex,
    /// `HOST:PORT` at which the sender is reached; empty where it does not know.
    pub address: String,
    /// Whether another member, or its own log, knows the sender by another disk, so that it must not take
    /// part as it is.
    pub is_wiped: bool,
}

/// Why an introduction was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Unwelcome {
    /// The receiver is known by another incarnation: its data directory was lost or replaced.
    #[error("it knows this member by another data directory (incarnation {known}; this one is {shown})")]
    OtherIncarnation {
        /// The one on record.
        known: Incarnation,
        /// The one shown.
        shown: Incarnation,
    },
    /// The clusters differ.
    #[error("it belongs to cluster {theirs}, this node to {yours}")]
    OtherCluster {
        /// The sender's.
        theirs: ClusterId,
        /// The receiver's.
        yours: ClusterId,
    },
    /// The receiver is not a member any more: it may stop.
    #[error("this node was removed from the cluster (by the configuration at log index {index})")]
    Removed {
        /// Where the sender's configuration stands in the log.
        index: LogIndex,
    },
    /// The configured members differ.
    #[error("it was configured with the members {theirs}, this node with {yours}")]
    OtherMembers {
        /// The sender's, separated by commas.
        theirs: String,
        /// The receiver's.
        yours: String,
    },
}

/// Asks for a vote, or, as a pre-vote, whether one would be given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVote {
    /// The term of the election; for a pre-vote the one it would be held in.
    pub term: Term,
    /// Index of the candidate's last entry.
    pub last_log_index: LogIndex,
    /// Term of the candidate's last entry.
    pub last_log_term: Term,
    /// Whether this only asks, and changes nothing at the voter.
    pub pre_vote: bool,
    /// Whether the leader itself asked for this election, so that its lease does not count.
    pub transfer: bool,
}

/// Answers [`RequestVote`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VoteReply {
    /// The voter's term; for a granted pre-vote the one asked about.
    pub term: Term,
    /// Repeated from the request.
    pub pre_vote: bool,
    /// Granted, or why not.
    pub refusal: Option<VoteRefusal>,
}

/// Why a vote was not given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum VoteRefusal {
    /// The voter is in a later term.
    #[error("it is in a later term")]
    OldTerm,
    /// The voter heard from a leader less than an election timeout ago (dissertation §4.2.3).
    #[error("it still hears from the leader {leader}")]
    LeaderAlive {
        /// That leader.
        leader: NodeId,
    },
    /// Its vote in this term went to another (paper §5.2).
    #[error("its vote in this term went to {candidate}")]
    VotedFor {
        /// The one that has it.
        candidate: NodeId,
    },
    /// The voter's log is more up to date (paper §5.4.1).
    #[error("its log is longer (last entry {last_log_index} of term {last_log_term})")]
    LogBehind {
        /// Index of the voter's last entry.
        last_log_index: LogIndex,
        /// Term of the voter's last entry.
        last_log_term: Term,
    },
    /// The voter may not vote (yet): its directory is new, and not enough members have noted it.
    #[error("its data directory is new and it may not vote yet")]
    NotAdmitted,
    /// The voter's disk hangs: it could not store a vote.
    #[error("its disk hangs and it could not store a vote")]
    CannotStore,
}

/// Replicates entries; without any, asserts leadership.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntries {
    /// The leader's term.
    pub term: Term,
    /// Index of the entry before the new ones.
    pub prev_log_index: LogIndex,
    /// Term of that entry.
    pub prev_log_term: Term,
    /// The new entries, contiguous; empty for a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
    /// Grows with every round in which the leader confirms its leadership; echoed in the reply.
    pub round: Round,
}

/// Counts the rounds of a leader's heartbeats within its term, for reads (dissertation §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Round(pub u64);

/// Answers [`AppendEntries`], and reports later progress of the follower's disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendReply {
    /// The follower's term.
    pub term: Term,
    /// The latest round seen from the leader of that term.
    pub round: Round,
    /// How the logs compare.
    pub result: AppendResult,
    /// How far the follower has applied its log, with its state hash: the leader compares.
    pub applied: Applied,
}

/// How a follower's log compares with the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppendResult {
    /// All entries up to here match the leader's and are durable.
    Matched {
        /// The last of them.
        match_index: LogIndex,
    },
    /// The follower has no entry like the one before the new ones (paper §5.3).
    Conflict {
        /// The `prev_log_index` that was refused.
        rejected: LogIndex,
        /// The last index at which the logs may yet agree, as far as the follower can tell: before
        /// `rejected`, within its log, and of no later term than the refused one.
        hint_index: LogIndex,
        /// The term of the follower's entry at `hint_index`.
        hint_term: Term,
    },
    /// The leader's term is over.
    StaleTerm,
}

/// Sends a snapshot to a follower whose next entry the leader does not keep any more (paper §7, Figure 13).
/// The file is the same on every server, so that a follower may go on with a leader where it was cut off with
/// another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshot {
    /// The leader's term.
    pub term: Term,
    /// As in [`AppendEntries`].
    pub round: Round,
    /// The last entry that the snapshot holds.
    pub snapshot: EntryId,
    /// Up to here, in bytes, chunks were sent over this stream: the follower tells by it whether one was
    /// lost. Zero where the leader does not know yet how much there is.
    pub sent: u64,
    /// A part of the file; none in a heartbeat, nor where the leader asks how much there is.
    pub chunk: Option<SnapshotChunk>,
}

/// A part of a snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// What.
    pub data: Bytes,
    /// CRC-32C of `data`.
    pub checksum: u32,
    /// Whether the file ends with it.
    pub is_last: bool,
}

/// Answers [`InstallSnapshot`], and reports later progress of the follower's disk. Once the snapshot is
/// installed, an [`AppendReply`] says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallReply {
    /// The follower's term.
    pub term: Term,
    /// The latest round seen from the leader of that term.
    pub round: Round,
    /// The snapshot that the follower is receiving: another than the leader's where it has a part of it, and
    /// would rather go on with that.
    pub snapshot: EntryId,
    /// What it has of it.
    pub received: Received,
}

/// How much of a snapshot a follower has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Received {
    /// It does not know yet: it reads what it had received before it was started.
    Unknown,
    /// So many bytes are durable, and nothing is missing. To a leader that asks how much there is: so many
    /// are here, durable or not.
    UpTo(u64),
    /// So many bytes are here, and the next is not the one that came: the leader has to go on from there.
    From(u64),
    /// What came is not what a leader wrote, or could not be kept. It may be sent again from the start,
    /// later.
    Refused,
}

/// What became of a command that was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardOutcome {
    /// It took effect, or had before.
    Done(crate::replica::Outcome),
    /// It had no effect: the receiver does not lead.
    NotLeader,
    /// It had no effect: too much is waiting.
    Overloaded,
    /// It may or may not take effect: the receiver lost leadership with the command in its log.
    Unknown,
    /// It had no effect: the receiver leads and its disk is full.
    DiskFull,
}

/// What became of a task that was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskOutcome {
    /// It is done.
    Done(Administered),
    /// It was not done.
    Refused(TaskRefused),
    /// It was not begun: the receiver does not lead.
    NotLeader,
    /// It was not begun: too much is waiting.
    Overloaded,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// By this a term that nobody may carry is refused, whatever brings it.
    #[test]
    fn no_message_hides_its_term() {
        let (term, round, applied, index) = (Term(7), Round(1), Applied::default(), LogIndex(3));
        let request = RequestVote {
            term,
            last_log_index: index,
            last_log_term: Term(2),
            pre_vote: false,
            transfer: false,
        };
        let append = AppendEntries {
            term,
            prev_log_index: index,
            prev_log_term: Term(2),
            entries: vec![],
            leader_commit: index,
            round,
        };
        let snapshot = EntryId { index, term: Term(2) };
        let install = InstallSnapshot { term, round, snapshot, sent: 0, chunk: None };
        let installed = InstallReply { term, round, snapshot, received: Received::Unknown };
        for message in [
            Message::InstallSnapshot(install),
            Message::InstallReply(installed),
            Message::RequestVote(request),
            Message::VoteReply(VoteReply { term, pre_vote: false, refusal: None }),
            Message::AppendEntries(append),
            Message::AppendReply(AppendReply { term, round, result: AppendResult::StaleTerm, applied }),
            Message::TimeoutNow { term },
            Message::Diverged { term, at: applied },
        ] {
            assert_eq!(message.term(), Some(term), "{message:?}");
        }
        assert_eq!(Message::Welcome { known: Incarnation(7), by: KnownBy::Record }.term(), None);
    }
}
