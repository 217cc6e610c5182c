//! The protocol's state without its log, for a checkpoint of the replica. Every field is named, so that a new
//! one cannot be forgotten.

use alloc::vec::Vec;

use super::{Consensus, EntryLog};

impl Consensus {
    /// All of it but the log.
    ///
    /// # Panics
    /// When the operator has not been told everything.
    pub(crate) fn without_log(&self) -> Consensus {
        let Consensus {
            id,
            incarnation,
            configurations,
            timing,
            rng,
            now,
            hard_state,
            hard_state_changed,
            log: _,
            snapshots,
            next_snapshot,
            commit_index,
            applied,
            cluster_id,
            role,
            election_deadline,
            leader_heard,
            eager_until,
            last_refusals,
            admission,
            connected,
            address,
            disk,
            outbox,
            notices,
            records,
        } = self;
        assert!(notices.is_empty(), "the operator has been told everything");
        Consensus {
            id: id.clone(),
            incarnation: *incarnation,
            configurations: configurations.clone(),
            timing: *timing,
            rng: rng.clone(),
            now: *now,
            hard_state: hard_state.clone(),
            hard_state_changed: *hard_state_changed,
            log: EntryLog::default(),
            snapshots: snapshots.clone(),
            next_snapshot: *next_snapshot,
            commit_index: *commit_index,
            applied: *applied,
            cluster_id: *cluster_id,
            role: role.clone(),
            election_deadline: *election_deadline,
            leader_heard: *leader_heard,
            eager_until: *eager_until,
            last_refusals: last_refusals.clone(),
            admission: admission.clone(),
            connected: connected.clone(),
            address: address.clone(),
            disk: disk.clone(),
            outbox: outbox.clone(),
            notices: Vec::new(),
            records: records.clone(),
        }
    }

    /// Gives it back its log.
    pub(crate) fn with_log(self, log: EntryLog) -> Consensus {
        Consensus { log, ..self }
    }
}
