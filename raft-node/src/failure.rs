//! Why a call failed, in the one form that other languages translate: a code for programs, a sentence for
//! people, and whether a write may have happened all the same.

use crate::client::{ClientError, EndpointFailure};
use crate::error::{RequestError, StartError};
use crate::session::NoRandomNumbers;
use crate::value::InvalidJson;

/// Why a call on a node or a client failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure.
    pub code: FailureCode,
    /// One line: what failed, with what, and what to do.
    pub message: String,
    /// What went wrong at each endpoint of a client; empty where that is not what failed.
    pub endpoints: Vec<EndpointFailure>,
}

/// The kinds of failure. Kinds are added, never renamed; those that HTTP knows too have its `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// An argument cannot be used. Nothing was done.
    BadRequest,
    /// A node's configuration cannot work.
    Config,
    /// The address cannot be listened on: it is in use, not this machine's, or not permitted.
    Listen,
    /// The data directory cannot be used: another process has it, or it cannot be written.
    DataDirectory,
    /// What the data directory holds is damaged, or is another node's.
    Damaged,
    /// The operating system did not give what it takes.
    System,
    /// No leader was known until the deadline. The call had no effect.
    NoLeader,
    /// No endpoint could be reached until the deadline. The call had no effect.
    Unreachable,
    /// No answer came until the deadline. The call had no effect.
    Timeout,
    /// A write was begun, and its outcome is not known: it may have happened, or may yet.
    OutcomeUnknown,
    /// Too much is waiting already. The call had no effect.
    Overloaded,
    /// A key or value is over its limit. The call had no effect.
    TooLarge,
    /// The call contradicts one before it, or does not fit the state of the cluster. It had no effect.
    Conflict,
    /// The node does not know who asks. The call had no effect.
    Unauthorized,
    /// The node does not allow it. The call had no effect.
    Forbidden,
    /// The node is stopping, has stopped, or was not started. The call had no effect.
    ShuttingDown,
    /// The node cannot go on; its log and its status say why.
    Failed,
    /// The caller asked to stop waiting. A write may have happened, or may yet.
    Interrupted,
    /// What answers at an endpoint is no Raft node.
    Protocol,
    /// The handle was made by the parent of this process: after fork() a child needs handles of its own.
    Forked,
    /// The leader's disk is full, and nobody else can lead. The call had no effect.
    DiskFull,
}

impl FailureCode {
    /// All of them.
    pub const ALL: [FailureCode; 21] = [
        FailureCode::BadRequest,
        FailureCode::Config,
        FailureCode::Listen,
        FailureCode::DataDirectory,
        FailureCode::Damaged,
        FailureCode::System,
        FailureCode::NoLeader,
        FailureCode::Unreachable,
        FailureCode::Timeout,
        FailureCode::OutcomeUnknown,
        FailureCode::Overloaded,
        FailureCode::TooLarge,
        FailureCode::Conflict,
        FailureCode::Unauthorized,
        FailureCode::Forbidden,
        FailureCode::ShuttingDown,
        FailureCode::Failed,
        FailureCode::Interrupted,
        FailureCode::Protocol,
        FailureCode::Forked,
        FailureCode::DiskFull,
    ];

    /// The stable word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FailureCode::BadRequest => "bad_request",
            FailureCode::Config => "config",
            FailureCode::Listen => "listen",
            FailureCode::DataDirectory => "data_directory",
            FailureCode::Damaged => "damaged",
            FailureCode::System => "system",
            FailureCode::NoLeader => "no_leader",
            FailureCode::Unreachable => "unreachable",
            FailureCode::Timeout => "timeout",
            FailureCode::OutcomeUnknown => "outcome_unknown",
            FailureCode::Overloaded => "overloaded",
            FailureCode::TooLarge => "too_large",
            FailureCode::Conflict => "conflict",
            FailureCode::Unauthorized => "unauthorized",
            FailureCode::Forbidden => "forbidden",
            FailureCode::ShuttingDown => "shutting_down",
            FailureCode::Failed => "failed",
            FailureCode::Interrupted => "interrupted",
            FailureCode::Protocol => "protocol",
            FailureCode::Forked => "forked",
            FailureCode::DiskFull => "disk_full",
        }
    }

    /// Whether a write that failed so may have happened, or may yet.
    #[must_use]
    pub fn maybe_happened(self) -> bool {
        matches!(self, FailureCode::OutcomeUnknown | FailureCode::Interrupted)
    }

    /// The kind behind the `code` of a node's problem document.
    fn of_problem(code: &str) -> FailureCode {
        FailureCode::ALL.into_iter().find(|known| known.as_str() == code).unwrap_or(FailureCode::BadRequest)
    }
}

impl Failure {
    pub(crate) fn new(code: FailureCode, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), endpoints: Vec::new() }
    }

    /// An argument cannot be used.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(FailureCode::BadRequest, message)
    }

    /// Whether a write that failed so may have happened, or may yet.
    #[must_use]
    pub fn maybe_happened(&self) -> bool {
        self.code.maybe_happened()
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Failure {
        let code = match &error {
            RequestError::NoLeader { .. } => FailureCode::NoLeader,
            RequestError::Unknown | RequestError::TaskUnknown => FailureCode::OutcomeUnknown,
            RequestError::ReadTimeout => FailureCode::Timeout,
            RequestError::Overloaded => FailureCode::Overloaded,
            RequestError::SessionExpired
            | RequestError::SequenceReused
            | RequestError::CommandDiffers
            | RequestError::NoSnapshot
            | RequestError::Declined(_) => FailureCode::Conflict,
            RequestError::DiskFull { .. } => FailureCode::DiskFull,
            RequestError::ShuttingDown => FailureCode::ShuttingDown,
            RequestError::Failed { .. } => FailureCode::Failed,
            RequestError::Invalid(_) => FailureCode::BadRequest,
            RequestError::TooLarge { .. } => FailureCode::TooLarge,
            RequestError::NotAMember { .. } => FailureCode::Forbidden,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let code = match &error {
            StartError::Config(_) => FailureCode::Config,
            StartError::Listen { .. } => FailureCode::Listen,
            StartError::DataDirectory(_) => FailureCode::DataDirectory,
            StartError::Damaged(_) => FailureCode::Damaged,
            StartError::System(_) => FailureCode::System,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let message = error.to_string();
        let (code, endpoints) = match error {
            ClientError::InvalidInput(_) => (FailureCode::BadRequest, Vec::new()),
            ClientError::Unreachable { failures } => (FailureCode::Unreachable, failures),
            ClientError::NoLeader { .. } => (FailureCode::NoLeader, Vec::new()),
            ClientError::Timeout { maybe_happened: true, failures } => {
                (FailureCode::OutcomeUnknown, failures)
            }
            ClientError::Timeout { maybe_happened: false, failures } => (FailureCode::Timeout, failures),
            ClientError::Unknown { .. } => (FailureCode::OutcomeUnknown, Vec::new()),
            ClientError::Problem { code, .. } => (FailureCode::of_problem(&code), Vec::new()),
            ClientError::Protocol { .. } => (FailureCode::Protocol, Vec::new()),
            ClientError::System(_) => (FailureCode::System, Vec::new()),
        };
        Failure { code, message, endpoints }
    }
}

impl From<InvalidJson> for Failure {
    fn from(error: InvalidJson) -> Failure {
        Failure::bad_request(format!("the value {error}"))
    }
}

impl From<NoRandomNumbers> for Failure {
    fn from(error: NoRandomNumbers) -> Failure {
        Failure::new(FailureCode::System, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), FailureCode::ALL.len());
    }

    #[test]
    fn a_problem_keeps_its_code() {
        for code in ["no_leader", "overloaded", "too_large", "conflict", "shutting_down", "timeout"] {
            assert_eq!(FailureCode::of_problem(code).as_str(), code);
        }
        let refused = ClientError::Problem { code: "of_tomorrow".into(), status: 400, detail: "x".into() };
        assert_eq!(Failure::from(refused).code, FailureCode::BadRequest);
    }

    #[test]
    fn only_what_may_have_happened_says_so() {
        assert!(Failure::from(RequestError::Unknown).maybe_happened());
        assert!(!Failure::from(RequestError::ReadTimeout).maybe_happened());
        for maybe_happened in [false, true] {
            let late = ClientError::Timeout { maybe_happened, failures: Vec::new() };
            assert_eq!(Failure::from(late).maybe_happened(), maybe_happened);
        }
    }
}
