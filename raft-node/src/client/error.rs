//! Why a call of the client failed.

use std::fmt;

use crate::session::NoRandomNumbers;

/// Why a call failed. Each message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Something that was passed in cannot be used. Nothing was sent.
    #[error("{0}")]
    InvalidInput(String),
    /// No endpoint could be reached until the deadline. The call had no effect.
    #[error("no endpoint could be reached: {}", Listed(.failures))]
    Unreachable {
        /// What went wrong last at each of them.
        failures: Vec<EndpointFailure>,
    },
    /// The nodes that could be reached knew no leader until the deadline. The call had no effect.
    #[error("{detail}")]
    NoLeader {
        /// What a node said is in the way.
        detail: String,
    },
    /// The deadline passed.
    #[error("no answer in time{}: {}", doubt(*.maybe_happened), Listed(.failures))]
    Timeout {
        /// Whether a write may have happened, or may yet. Always false for reads.
        maybe_happened: bool,
        /// What went wrong last at each endpoint that was asked.
        failures: Vec<EndpointFailure>,
    },
    /// An attempt at this write was lost on the way, and when it was repeated the answer did not tell whether
    /// that attempt had happened.
    #[error("the write may or may not have happened: an attempt was lost on the way, and then: {detail}")]
    Unknown {
        /// What the repeated attempt was answered.
        detail: String,
    },
    /// A node refused the call, with the status and the code of its `application/problem+json`. The call
    /// had no effect.
    #[error("{detail}")]
    Problem {
        /// The stable code.
        code: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong.
        detail: String,
    },
    /// An endpoint answers, but not like a Raft node.
    #[error("{endpoint} does not answer like a Raft node: {detail}")]
    Protocol {
        /// Which.
        endpoint: String,
        /// How it does.
        detail: String,
    },
    /// A resource of the operating system could not be had.
    #[error("{0}")]
    System(String),
}

impl From<NoRandomNumbers> for ClientError {
    fn from(error: NoRandomNumbers) -> ClientError {
        ClientError::System(error.to_string())
    }
}

/// What went wrong at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointFailure {
    /// `HOST:PORT`.
    pub endpoint: String,
    /// In words.
    pub error: String,
}

fn doubt(maybe_happened: bool) -> &'static str {
    if maybe_happened { ", and it may or may not have happened" } else { "" }
}

struct Listed<'a>(&'a [EndpointFailure]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing was tried before the deadline");
        }
        for (position, EndpointFailure { endpoint, error }) in self.0.iter().enumerate() {
            let comma = if position > 0 { "; " } else { "" };
            write!(f, "{comma}{endpoint}: {error}")?;
        }
        Ok(())
    }
}
