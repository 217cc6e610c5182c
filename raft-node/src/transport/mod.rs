//! Streams between nodes: `GET /raft/stream` with `Upgrade: raft` on the node's one port.
//!
//! Each node dials every other member and only speaks on the streams it dialled, so that two nodes hold two
//! streams. Whom it dials follows the configuration in the log (`streams.rs`). It lets anybody call, since a
//! member of a later configuration may be one that it has not heard of: the replica knows whom to listen to.
//! The request's headers say who calls, which incarnation of it, whom it means to call and in which version;
//! what is refused is refused with a reason in the answer.

mod accept;
mod dial;
mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
mod golden;
mod links;
mod streams;

pub(crate) use accept::accept;
pub(crate) use links::{LinkStates, Outgoing};
pub(crate) use streams::Streams;

/// Where streams are opened.
pub(crate) const PATH: &str = "/raft/stream";

mod header {
    /// The stream's format, a number.
    pub(super) const VERSION: &str = "raft-version";
    /// Who calls.
    pub(super) const FROM: &str = "raft-node";
    /// Whom the caller means to reach.
    pub(super) const TO: &str = "raft-to";
    /// The caller's incarnation, hexadecimal.
    pub(super) const INCARNATION: &str = "raft-incarnation";
}
