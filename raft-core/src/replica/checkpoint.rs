//! A replica's whole volatile state between two turns, so that another can go on from there and do the same.
//!
//! What follows from the log is not in it: the state machine, the sessions and the state hashes are made anew
//! by applying. Nor are the entries that cannot change any more and that the disk has, up to
//! [`Checkpoint::base`]; they come from elsewhere. So it is small, however long the log.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::administration::Administration;
use super::aside::Aside;
use super::calls::PendingCall;
use super::clients::Clients;
use super::divergence::Comparison;
use super::event::Divergence;
use super::hash_chain::HashChain;
use super::reads::Reads;
use super::sessions::Sessions;
use super::snapshots::Snapshots;
use super::storage::Storage;
use super::writes::Writes;
use super::{Replica, event::Actions};
use crate::consensus::{Consensus, EntryLog};
use crate::entry::Entry;
use crate::log::Identity;
use crate::state_machine::StateMachine;
use crate::types::{Applied, LogIndex, StateHash, Time};

/// See the [module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    now: Time,
    identity: Identity,
    /// Without its log.
    consensus: Consensus,
    base: LogIndex,
    /// The entries after the base.
    tail: Vec<Entry>,
    written: LogIndex,
    durable: LogIndex,
    storage: Storage,
    aside: Aside,
    snapshots: Snapshots,
    applied: Applied,
    comparison: Comparison,
    clients: Clients,
    writes: Writes,
    reads: Reads,
    calls: Vec<PendingCall>,
    administration: Administration,
    stopping: Option<Time>,
    stopped: bool,
    failed: Option<String>,
    diverged: Option<Divergence>,
}

/// Why a replica cannot be made from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Entries are missing.
    #[error("the log is needed from the first entry to entry {needed}, and there is none after {have}")]
    LogMissing {
        /// The checkpoint's base.
        needed: LogIndex,
        /// The last entry before the first that is missing.
        have: LogIndex,
    },
    /// The entries are not those that the checkpoint was made with, or the state machine is another one.
    #[error("applied up to {}, the log gives state hash {found}, not {}", .expected.index, .expected.hash)]
    OtherState {
        /// As the checkpoint has it.
        expected: Applied,
        /// What applying gives.
        found: StateHash,
    },
}

impl Checkpoint {
    /// Up to here the entries are to come from elsewhere.
    #[must_use]
    pub fn base(&self) -> LogIndex {
        self.base
    }

    /// The time at which it was made.
    #[must_use]
    pub fn at(&self) -> Time {
        self.now
    }
}

impl Replica {
    /// Whether [`Replica::checkpoint`] may be asked for: not while a state is on its way into the state
    /// machine or out of it.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        !self.snapshots.is_under_way()
    }

    /// The state as it is: to be asked for right after [`Replica::drain`].
    ///
    /// # Panics
    /// When there is anything left to do.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let Replica {
            now,
            identity,
            consensus,
            storage,
            aside,
            snapshots,
            machine: _,
            sessions: _,
            last_applied: _,
            chain,
            comparison,
            clients,
            writes,
            reads,
            calls,
            administration,
            stopping,
            stopped,
            failed,
            diverged,
            actions,
        } = self;
        assert!(actions.is_empty(), "a checkpoint is made after a drain");
        assert!(self.has_checkpoint(), "a checkpoint has all of the state");
        let log = consensus.log();
        // What is committed never changes (paper §5.4). Not what is applied: a replica that starts has a long
        // log and has applied nothing.
        let base = log.durable().min(consensus.commit_index());
        Checkpoint {
            now: *now,
            identity: identity.clone(),
            consensus: consensus.without_log(),
            base,
            tail: log.range(base.next()..=log.last_index()).cloned().collect(),
            written: log.written(),
            durable: log.durable(),
            storage: storage.clone(),
            aside: aside.clone(),
            snapshots: snapshots.clone(),
            applied: chain.applied(),
            comparison: comparison.clone(),
            clients: clients.clone(),
            writes: writes.clone(),
            reads: reads.clone(),
            calls: calls.clone(),
            administration: administration.clone(),
            stopping: *stopping,
            stopped: *stopped,
            failed: failed.clone(),
            diverged: diverged.clone(),
        }
    }

    /// A replica that goes on from a checkpoint. `entries` are those from index 1 to the base, or more; the
    /// state machine is an empty one.
    ///
    /// # Errors
    /// When the entries are not those that belong to it.
    pub fn resume(
        checkpoint: Checkpoint,
        entries: impl IntoIterator<Item = Entry>,
        machine: Box<dyn StateMachine>,
    ) -> Result<Replica, ResumeError> {
        let base = checkpoint.base;
        let kept = entries.into_iter().take_while(|entry| entry.index <= base);
        let mut log = EntryLog::new(Vec::new());
        for entry in kept.chain(checkpoint.tail) {
            if entry.index != log.last_index().next() || entry.term < log.last_term() {
                return Err(ResumeError::LogMissing { needed: base, have: log.last_index() });
            }
            log.append(entry);
        }
        if log.last_index() < base {
            return Err(ResumeError::LogMissing { needed: base, have: log.last_index() });
        }
        log.mark(checkpoint.written, checkpoint.durable);
        let mut replica = Replica {
            now: checkpoint.now,
            identity: checkpoint.identity,
            consensus: checkpoint.consensus.with_log(log),
            storage: checkpoint.storage,
            aside: checkpoint.aside,
            snapshots: checkpoint.snapshots,
            machine,
            sessions: Sessions::new(),
            last_applied: LogIndex::ZERO,
            chain: HashChain::default(),
            comparison: checkpoint.comparison,
            clients: checkpoint.clients,
            writes: checkpoint.writes,
            reads: checkpoint.reads,
            calls: checkpoint.calls,
            administration: checkpoint.administration,
            stopping: checkpoint.stopping,
            stopped: checkpoint.stopped,
            failed: checkpoint.failed,
            diverged: checkpoint.diverged,
            actions: Actions::new(),
        };
        replica.apply_again(checkpoint.applied.index);
        match replica.chain.applied() {
            found if found == checkpoint.applied => Ok(replica),
            found => Err(ResumeError::OtherState { expected: checkpoint.applied, found: found.hash }),
        }
    }
}
