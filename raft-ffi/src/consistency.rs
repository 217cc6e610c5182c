//! How fresh a read has to be.

use raft_node::client::Consistency;

use crate::problem::Problem;
use crate::status::raft_status::RAFT_BAD_REQUEST;

/// How fresh a read has to be.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum raft_consistency {
    /// What the client's configuration says; for a node, linearizable.
    RAFT_CONSISTENCY_DEFAULT = 0,
    /// The read sees every write that was acknowledged before it began.
    RAFT_CONSISTENCY_LINEARIZABLE = 1,
    /// The read is answered by any node from what it has, at once, even without a leader.
    RAFT_CONSISTENCY_STALE = 2,
}

use raft_consistency::{RAFT_CONSISTENCY_DEFAULT, RAFT_CONSISTENCY_LINEARIZABLE, RAFT_CONSISTENCY_STALE};

/// A `raft_consistency`, which C may give any value.
pub(crate) fn read(given: u32) -> Result<Option<Consistency>, Problem> {
    match given {
        _ if given == RAFT_CONSISTENCY_DEFAULT as u32 => Ok(None),
        _ if given == RAFT_CONSISTENCY_LINEARIZABLE as u32 => Ok(Some(Consistency::Linearizable)),
        _ if given == RAFT_CONSISTENCY_STALE as u32 => Ok(Some(Consistency::Stale)),
        _ => {
            let message =
                format!("{given} is no raft_consistency: use RAFT_CONSISTENCY_LINEARIZABLE or _STALE");
            Err(Problem::new(RAFT_BAD_REQUEST, message))
        }
    }
}
