//! The number that every call answers with.

use std::ffi::{CStr, c_char};

use raft_node::blocking::FailureCode;

/// How a call went. The numbers never change their meaning; new ones may be added.
///
/// What each failure says in words is `raft_last_error_message()`.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum raft_status {
    /// Done.
    RAFT_OK = 0,
    /// The key is not set. Nothing failed.
    RAFT_NOT_FOUND = 1,
    /// A pointer that must not be NULL is. Nothing was done.
    RAFT_NULL_ARGUMENT = 2,
    /// A text is not UTF-8. Nothing was done.
    RAFT_INVALID_UTF8 = 3,
    /// A fault in this library, caught before it could reach your program. A write may have happened. Please
    /// report the message.
    RAFT_PANIC = 4,
    /// An argument cannot be used. Nothing was done.
    RAFT_BAD_REQUEST = 10,
    /// The configuration of a node cannot work.
    RAFT_CONFIG = 11,
    /// The address cannot be listened on: it is in use, not this machine's, or not permitted.
    RAFT_LISTEN = 12,
    /// The data directory cannot be used: another process has it, or it cannot be written.
    RAFT_DATA_DIRECTORY = 13,
    /// What the data directory holds is damaged, or is another node's.
    RAFT_DAMAGED = 14,
    /// The operating system did not give what it takes.
    RAFT_SYSTEM = 15,
    /// No leader was known until the deadline. The call had no effect.
    RAFT_NO_LEADER = 16,
    /// No endpoint could be reached until the deadline. The call had no effect.
    RAFT_UNREACHABLE = 17,
    /// No answer came until the deadline. The call had no effect.
    RAFT_TIMEOUT = 18,
    /// A write was begun, and its outcome is not known: it may have happened, or may yet.
    RAFT_OUTCOME_UNKNOWN = 19,
    /// Too much is waiting already. The call had no effect; try again later.
    RAFT_OVERLOADED = 20,
    /// A value is over its limit. The call had no effect.
    RAFT_TOO_LARGE = 21,
    /// The call contradicts one before it. It had no effect.
    RAFT_CONFLICT = 22,
    /// The node does not know who asks. The call had no effect.
    RAFT_UNAUTHORIZED = 23,
    /// The node does not allow it. The call had no effect.
    RAFT_FORBIDDEN = 24,
    /// The node is stopping, has stopped, or was not started. The call had no effect.
    RAFT_SHUTTING_DOWN = 25,
    /// The node cannot go on; its log and its status say why.
    RAFT_FAILED = 26,
    /// The wait was given up. A write may have happened, or may yet.
    RAFT_INTERRUPTED = 27,
    /// What answers at an endpoint is no Raft node.
    RAFT_PROTOCOL = 28,
    /// The handle was made by the parent of this process: after fork() a child opens handles of its own.
    RAFT_FORKED = 29,
    /// The leader's disk is full, and nobody else can lead. The call had no effect.
    RAFT_DISK_FULL = 30,
}

use raft_status::*;

impl raft_status {
    const ALL: [raft_status; 26] = [
        RAFT_OK,
        RAFT_NOT_FOUND,
        RAFT_NULL_ARGUMENT,
        RAFT_INVALID_UTF8,
        RAFT_PANIC,
        RAFT_BAD_REQUEST,
        RAFT_CONFIG,
        RAFT_LISTEN,
        RAFT_DATA_DIRECTORY,
        RAFT_DAMAGED,
        RAFT_SYSTEM,
        RAFT_NO_LEADER,
        RAFT_UNREACHABLE,
        RAFT_TIMEOUT,
        RAFT_OUTCOME_UNKNOWN,
        RAFT_OVERLOADED,
        RAFT_TOO_LARGE,
        RAFT_CONFLICT,
        RAFT_UNAUTHORIZED,
        RAFT_FORBIDDEN,
        RAFT_SHUTTING_DOWN,
        RAFT_FAILED,
        RAFT_INTERRUPTED,
        RAFT_PROTOCOL,
        RAFT_FORKED,
        RAFT_DISK_FULL,
    ];

    fn of(code: i32) -> Option<raft_status> {
        raft_status::ALL.into_iter().find(|status| *status as i32 == code)
    }

    /// The word for it; for failures that of [`FailureCode::as_str`].
    fn name(self) -> &'static CStr {
        match self {
            RAFT_OK => c"ok",
            RAFT_NOT_FOUND => c"not_found",
            RAFT_NULL_ARGUMENT => c"null_argument",
            RAFT_INVALID_UTF8 => c"invalid_utf8",
            RAFT_PANIC => c"panic",
            RAFT_BAD_REQUEST => c"bad_request",
            RAFT_CONFIG => c"config",
            RAFT_LISTEN => c"listen",
            RAFT_DATA_DIRECTORY => c"data_directory",
            RAFT_DAMAGED => c"damaged",
            RAFT_SYSTEM => c"system",
            RAFT_NO_LEADER => c"no_leader",
            RAFT_UNREACHABLE => c"unreachable",
            RAFT_TIMEOUT => c"timeout",
            RAFT_OUTCOME_UNKNOWN => c"outcome_unknown",
            RAFT_OVERLOADED => c"overloaded",
            RAFT_TOO_LARGE => c"too_large",
            RAFT_CONFLICT => c"conflict",
            RAFT_UNAUTHORIZED => c"unauthorized",
            RAFT_FORBIDDEN => c"forbidden",
            RAFT_SHUTTING_DOWN => c"shutting_down",
            RAFT_FAILED => c"failed",
            RAFT_INTERRUPTED => c"interrupted",
            RAFT_PROTOCOL => c"protocol",
            RAFT_FORKED => c"forked",
            RAFT_DISK_FULL => c"disk_full",
        }
    }

    fn maybe_happened(self) -> bool {
        let failure = FailureCode::ALL.into_iter().find(|code| raft_status::from(*code) == self);
        failure.map_or(self == RAFT_PANIC, FailureCode::maybe_happened)
    }
}

impl From<FailureCode> for raft_status {
    fn from(code: FailureCode) -> raft_status {
        match code {
            FailureCode::BadRequest => RAFT_BAD_REQUEST,
            FailureCode::Config => RAFT_CONFIG,
            FailureCode::Listen => RAFT_LISTEN,
            FailureCode::DataDirectory => RAFT_DATA_DIRECTORY,
            FailureCode::Damaged => RAFT_DAMAGED,
            FailureCode::System => RAFT_SYSTEM,
            FailureCode::NoLeader => RAFT_NO_LEADER,
            FailureCode::Unreachable => RAFT_UNREACHABLE,
            FailureCode::Timeout => RAFT_TIMEOUT,
            FailureCode::OutcomeUnknown => RAFT_OUTCOME_UNKNOWN,
            FailureCode::Overloaded => RAFT_OVERLOADED,
            FailureCode::TooLarge => RAFT_TOO_LARGE,
            FailureCode::Conflict => RAFT_CONFLICT,
            FailureCode::Unauthorized => RAFT_UNAUTHORIZED,
            FailureCode::Forbidden => RAFT_FORBIDDEN,
            FailureCode::ShuttingDown => RAFT_SHUTTING_DOWN,
            FailureCode::Failed => RAFT_FAILED,
            FailureCode::Interrupted => RAFT_INTERRUPTED,
            FailureCode::Protocol => RAFT_PROTOCOL,
            FailureCode::Forked => RAFT_FORKED,
            FailureCode::DiskFull => RAFT_DISK_FULL,
        }
    }
}

/// The stable word for a status, such as "no_leader"; "unknown" for a number that is none. The same words are
/// the codes of the HTTP API's errors. It lives for ever: do not free it.
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn raft_status_name(code: i32) -> *const c_char {
    raft_status::of(code).map_or(c"unknown", raft_status::name).as_ptr()
}

/// Whether a write that came back with this status may have happened, or may yet. Everything else either
/// happened (RAFT_OK) or had no effect. True for a number that is no status.
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn raft_status_maybe_happened(code: i32) -> bool {
    raft_status::of(code).is_none_or(raft_status::maybe_happened)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_failure_has_a_number_of_its_own_and_its_own_word() {
        let numbers: BTreeSet<i32> =
            FailureCode::ALL.iter().map(|code| raft_status::from(*code) as i32).collect();
        assert_eq!(numbers.len(), FailureCode::ALL.len());
        for code in FailureCode::ALL {
            let status = raft_status::from(code);
            assert_eq!(raft_status::of(status as i32), Some(status));
            assert_eq!(status.name().to_str(), Ok(code.as_str()));
            assert_eq!(raft_status_maybe_happened(status as i32), code.maybe_happened());
        }
    }

    #[test]
    fn numbers_are_for_ever() {
        let numbers: Vec<i32> = raft_status::ALL.iter().map(|status| *status as i32).collect();
        let given: Vec<i32> = (0..=4).chain(10..=30).collect();
        assert_eq!(numbers, given);
        assert_eq!((RAFT_NO_LEADER as i32, RAFT_OUTCOME_UNKNOWN as i32, RAFT_FORKED as i32), (16, 19, 29));
    }

    #[test]
    fn what_may_have_happened() {
        let maybe = |status: raft_status| raft_status_maybe_happened(status as i32);
        assert!(maybe(RAFT_OUTCOME_UNKNOWN) && maybe(RAFT_INTERRUPTED) && maybe(RAFT_PANIC));
        assert!(!maybe(RAFT_OK) && !maybe(RAFT_NOT_FOUND) && !maybe(RAFT_NO_LEADER) && !maybe(RAFT_TIMEOUT));
        assert!(raft_status_maybe_happened(-1) && raft_status_maybe_happened(i32::MAX));
    }
}
