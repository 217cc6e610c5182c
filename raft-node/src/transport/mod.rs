//! Streams between nodes: `GET /raft/stream` with `Upgrade: raft` on the node's one port.
//!
//! Each node dials every other and only speaks on the streams it dialled, so that two nodes hold two
//! streams. The request's headers say who calls, which incarnation of it, whom it means to call and in
//! which version; what is refused is refused with a reason in the answer.

mod accept;
mod dial;
mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod links;

pub(crate) use accept::accept;
pub(crate) use dial::dial_all;
pub(crate) use links::{LinkStates, Outgoing};

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
