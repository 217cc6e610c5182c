//! Why a request failed: one list for every door.

use raft_core::replica::TaskRefused;
use raft_core::types::NodeId;

/// Why a request was not carried out, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No leader was known until the deadline. The request had no effect.
    #[error("no leader: {reason}")]
    NoLeader {
        /// What is in the way, as far as this node knows.
        reason: String,
    },
    /// The deadline passed, or leadership changed, after a write was handed on: it may or may not have
    /// happened, or may yet happen.
    #[error(
        "no answer in time: the write may or may not have happened; repeat it with the same Idempotency-Key to make it happen once"
    )]
    Unknown,
    /// The deadline passed before a read was answered. Nothing was changed.
    #[error("the read was not answered in time")]
    ReadTimeout,
    /// Too much is waiting already. The request had no effect.
    #[error("too many requests are waiting on this node: try again later")]
    Overloaded,
    /// The session of a numbered write is not known (any longer). This attempt had no effect; whether an
    /// earlier attempt at the same number had is not known.
    #[error("the session of this write is not known: it was never opened, or has not been used for too long")]
    SessionExpired,
    /// The number of a numbered write was reported as answered before. This attempt had no effect.
    #[error("this write's number was reported as answered already")]
    SequenceReused,
    /// The key or number of this write was used before for another one. This attempt had no effect.
    #[error(
        "this Idempotency-Key or number was used before for another write: use a new one for every write"
    )]
    CommandDiffers,
    /// The leader's disk is full, and nobody else can lead. The request had no effect.
    #[error("the leader's disk is full, and nobody else can lead: {reason}")]
    DiskFull {
        /// What the asked node knows of it.
        reason: String,
    },
    /// The node is stopping. The request had no effect.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// The node cannot go on.
    #[error("this node has stopped working: {reason}")]
    Failed {
        /// Why.
        reason: String,
    },
    /// Something in the request is not acceptable. It had no effect.
    #[error("{0}")]
    Invalid(String),
    /// A key, value or command is over its limit. The request had no effect.
    #[error("{what} has {size} bytes: at most {limit} are accepted")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The leader did not do what an operator asked for, for a reason that lies in the cluster.
    #[error(transparent)]
    Declined(#[from] TaskRefused),
    /// The deadline passed after an operator's task was handed on: it may or may not have been done, or may
    /// yet be.
    #[error("no answer in time: it may or may not have been done, or may yet be; the status tells")]
    TaskUnknown,
    /// There is no snapshot yet, and none was to be taken.
    #[error("this node has no snapshot yet: ask for a fresh one")]
    NoSnapshot,
    /// A peer call names a server that is not a member.
    #[error("{node_id} is not a member of this cluster")]
    NotAMember {
        /// The stranger.
        node_id: NodeId,
    },
}

/// Why a node did not start. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// `HOST:PORT`.
        address: String,
        /// In words, with what to do.
        reason: String,
    },
    /// The data directory cannot be used.
    #[error("{0}")]
    DataDirectory(String),
    /// The log is damaged.
    #[error("{0}")]
    Damaged(String),
    /// A thread or another resource of the operating system could not be had.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}
