//! A replica's whole volatile state between two turns, so that another can go on from there and do the same.
//!
//! What follows from the log is not in it: the state machine, the sessions and the state hashes are made anew
//! by applying, after a snapshot where the log begins with one. Nor are the entries that cannot change any
//! more and that the disk has, up to [`Checkpoint::base`]; they come from elsewhere. So it is small,
//! however long the log.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
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
use crate::snapshot::{Header, Reader};
use crate::state_machine::StateMachine;
use crate::types::{Applied, EntryId, LogIndex, StateHash, Time};

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

/// What a checkpoint leaves out: the log up to its base, and the state that this goes on from.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// The entry before the first of `entries`; none before the first of all.
    pub base: EntryId,
    /// The entries after it.
    pub entries: Vec<Entry>,
    /// The file of a snapshot that holds the state at the base or after it; none where there is no base.
    pub snapshot: Option<Bytes>,
}

impl Beginning {
    /// A log from its first entry on.
    #[must_use]
    pub fn of(entries: Vec<Entry>) -> Beginning {
        Beginning { entries, ..Beginning::default() }
    }

    /// What the snapshot says of itself.
    fn header(&self) -> Result<Option<Header>, ResumeError> {
        let Some(file) = &self.snapshot else { return Ok(None) };
        let mut reader = Reader::new("the snapshot".into());
        reader.feed(file.clone());
        let header = reader.header().map(|header| header.cloned());
        header.map_err(|error| ResumeError::Snapshot { reason: error.to_string() })
    }
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
    /// The log, or the snapshot that it goes on from, begins after the checkpoint.
    #[error(
        "it was made at entry {made}, and the log begins after entry {begins}: what came before has given \
         way to a snapshot since"
    )]
    TooOld {
        /// What the checkpoint had applied, the last snapshot that its log told of, where the entries end
        /// that it leaves out, or where its log began.
        made: LogIndex,
        /// Where the log begins, or the state.
        begins: LogIndex,
    },
    /// The snapshot cannot be used.
    #[error("the snapshot with which the log begins is of no use: {reason}")]
    Snapshot {
        /// In words.
        reason: String,
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

    /// Whether it can go on from this.
    ///
    /// # Errors
    /// When that begins later, or cannot be read.
    pub fn check(&self, beginning: &Beginning) -> Result<(), ResumeError> {
        let begins = beginning.header()?.map_or(LogIndex::ZERO, |header| header.index);
        let (made, needed) = (self.applied.index, self.base);
        // A server that has been started and not restored has applied nothing.
        if begins > made {
            return Err(ResumeError::TooOld { made, begins });
        }
        // Of a snapshot that its log does not tell of yet, a replica whose log begins there would let the
        // ones before go too early.
        let told = self.consensus.latest_snapshot().unwrap_or_default().index;
        if begins > told {
            return Err(ResumeError::TooOld { made: told, begins });
        }
        if begins < beginning.base.index {
            return Err(ResumeError::LogMissing { needed: beginning.base.index, have: begins });
        }
        if beginning.base.index > needed {
            return Err(ResumeError::TooOld { made: needed, begins: beginning.base.index });
        }
        Ok(())
    }

    /// The entry before the first of the log when it was made: it goes on from the oldest snapshot.
    pub(crate) fn log_began(&self) -> LogIndex {
        self.consensus.oldest_snapshot().unwrap_or_default().index
    }

    /// Whether the log begins later than when it was made: entries that the replica then sent, or would have
    /// been asked for, may be gone.
    pub(crate) fn lacks(&self, beginning: &Beginning) -> Option<ResumeError> {
        let made = self.log_began();
        let begins = beginning.base.index;
        (begins > made).then_some(ResumeError::TooOld { made, begins })
    }

    /// The time at which it was made.
    #[must_use]
    pub fn at(&self) -> Time {
        self.now
    }
}

impl Replica {
    /// Whether [`Replica::checkpoint`] may be asked for: not while a state is on its way into the state
    /// machine or out of it, nor while the log begins after a snapshot that it does not say to be there yet.
    #[must_use]
    pub fn has_checkpoint(&self) -> bool {
        let base = self.consensus.log().base().index;
        let from = self.consensus.oldest_snapshot().unwrap_or_default().index;
        !self.snapshots.is_under_way() && base <= from
    }

    /// The state as it is: to be asked for right after [`Replica::drain`].
    ///
    /// # Panics
    /// When there is anything left to do.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        assert!(self.has_checkpoint(), "a checkpoint has all of the state");
        self.state()
    }

    /// Likewise, whatever the log begins with: done again, it may begin with a later snapshot than then.
    pub(crate) fn state(&self) -> Checkpoint {
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

    /// A replica that goes on from a checkpoint. The entries are those up to its base, or more; the state
    /// machine is an empty one.
    ///
    /// # Errors
    /// When this is not what belongs to it.
    pub fn resume(
        checkpoint: Checkpoint,
        beginning: Beginning,
        machine: Box<dyn StateMachine>,
    ) -> Result<Replica, ResumeError> {
        checkpoint.check(&beginning)?;
        let base = checkpoint.base;
        let kept = beginning.entries.into_iter().take_while(|entry| entry.index <= base);
        let mut log = EntryLog::after(beginning.base, Vec::new());
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
        if let Some(file) = beginning.snapshot {
            let restored = replica.restore_whole(file);
            restored.map_err(|reason| ResumeError::Snapshot { reason })?;
        }
        replica.apply_again(checkpoint.applied.index);
        match replica.chain.applied() {
            found if found == checkpoint.applied => Ok(replica),
            found => Err(ResumeError::OtherState { expected: checkpoint.applied, found: found.hash }),
        }
    }
}
