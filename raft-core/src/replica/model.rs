//! For model checking: copies of a replica, and what two replicas with the same future have in common.

use alloc::boxed::Box;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use super::Replica;
use super::administration::{Administration, Handover};
use super::aside::Aside;
use super::reads::{InRound, Read, Reads};
use super::snapshots::Snapshots;
use super::storage::Storage;
use super::writes::{Origin, Writes};
use crate::consensus::model::Names;
use crate::state_machine::StateMachine;
use crate::types::{NodeId, Time};

pub use crate::consensus::model::{project_entry, project_message};

/// Further ahead than any model looks.
const NOT_YET: Duration = Duration::from_secs(3600);

impl Replica {
    /// A second replica in the same state, around a state machine that is in the same state as this one's.
    #[must_use]
    pub fn fork(&self, machine: Box<dyn StateMachine>) -> Replica {
        Replica {
            now: self.now,
            identity: self.identity.clone(),
            consensus: self.consensus.clone(),
            storage: self.storage.clone(),
            aside: self.aside.clone(),
            snapshots: self.snapshots.clone(),
            machine,
            sessions: self.sessions.clone(),
            last_applied: self.last_applied,
            chain: self.chain.clone(),
            comparison: self.comparison.clone(),
            diverged: self.diverged.clone(),
            clients: self.clients.clone(),
            writes: self.writes.clone(),
            reads: self.reads.clone(),
            calls: self.calls.clone(),
            administration: self.administration.clone(),
            stopping: self.stopping,
            stopped: self.stopped,
            failed: self.failed.clone(),
            actions: self.actions.clone(),
        }
    }

    /// Makes the moment `now`, as if all that clocks measure had run out without having been acted upon: no
    /// leader was heard lately, no retry waits, the disk has just been idle for a moment and does not hang.
    /// Open requests keep their deadlines. Between two steps, after [`Replica::drain`].
    pub fn forget_time(&mut self, now: Time) {
        self.now = now;
        self.consensus.forget_time(now);
        self.storage.hint_due = now + NOT_YET;
        if let Some(in_flight) = &mut self.storage.in_flight {
            in_flight.since = now + NOT_YET;
        }
        self.writes.retry_at = None;
        self.reads.retry_at = None;
        self.administration.retry_at = None;
        if let Some(asked) = &mut self.reads.asked {
            asked.give_up = now + NOT_YET;
        }
    }

    /// Feeds the hasher what later steps depend on, with servers renamed. Left out are: what never changes,
    /// what [`Replica::forget_time`] makes the same, the state machine, the sessions and the state hash (all
    /// follow from the log up to `last_applied`, so that comparing hashes finds nothing and does nothing),
    /// how many batches and frames were written and where they lie (only their order and what they hold
    /// matters), and what only an operator reads.
    pub fn project(&self, names: &dyn Fn(&NodeId) -> u8, mut out: &mut dyn Hasher) {
        let Replica {
            now: _,
            identity,
            consensus,
            storage,
            aside,
            snapshots,
            machine: _,
            sessions: _,
            last_applied,
            chain: _,
            comparison: _,
            diverged: _,
            clients,
            writes,
            reads,
            calls,
            administration,
            stopping,
            stopped,
            failed,
            actions,
        } = self;
        consensus.project(names, out);
        project_storage(storage, names, out);
        project_aside(aside, out);
        project_snapshots(snapshots, out);
        (identity.cluster_id.is_some(), last_applied, stopping.is_some(), stopped).hash(&mut out);
        for (token, open) in &clients.open {
            (token, open.kind).hash(&mut out);
        }
        project_writes(writes, names, out);
        project_reads(reads, names, out);
        project_administration(administration, names, out);
        (calls.len(), failed.is_some(), actions.len()).hash(&mut out);
    }
}

/// Batches are numbered from the last durable one.
fn project_storage(storage: &Storage, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Storage { writer: _, next_seq, in_flight, state_seq, durable_seq, extra, held, hinted, hint_due: _ } =
        storage;
    let ahead = |seq: u64| seq.saturating_sub(durable_seq.0);
    (ahead(next_seq.0), ahead(state_seq.0), extra.len(), hinted).hash(&mut out);
    in_flight.as_ref().map(|in_flight| (ahead(in_flight.seq.0), in_flight.last_entry)).hash(&mut out);
    held.len().hash(&mut out);
    for (seq, to, message) in held {
        (ahead(seq.0), names(to)).hash(&mut out);
        project_message(message, out);
    }
}

/// How many operations were done does not matter.
fn project_aside(aside: &Aside, mut out: &mut dyn Hasher) {
    let Aside { last: _, in_flight, waiting } = aside;
    in_flight.hash(&mut out);
    waiting.hash(&mut out);
}

/// What is being received decides nothing before it is installed; which leader asks again does not matter.
/// The state machines of models take no snapshots.
fn project_snapshots(snapshots: &Snapshots, mut out: &mut dyn Hasher) {
    let Snapshots {
        marks: _,
        taking: _,
        whole,
        recorded,
        is_removing,
        is_stuck,
        later,
        own,
        receiving,
        receivings: _,
        reading,
        read_for: _,
    } = snapshots;
    let recorded = recorded.iter().map(|(snapshot, _)| *snapshot).collect::<alloc::vec::Vec<_>>();
    (whole, recorded, is_removing, is_stuck, later, own.is_some(), reading.is_some()).hash(&mut out);
    receiving.as_ref().map(|receiving| receiving.snapshot).hash(&mut out);
}

fn project_writes(writes: &Writes, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Writes { parked, retry_at: _, forwarded, next_request, appended, appended_bytes: _ } = writes;
    parked.hash(&mut out);
    for (request, forwarded) in forwarded {
        (request, forwarded.token, names(&forwarded.to)).hash(&mut out);
    }
    next_request.hash(&mut out);
    for (place, appended) in appended {
        (place, project_origin(&appended.origin, names)).hash(&mut out);
    }
}

fn project_origin(origin: &Origin, names: Names<'_>) -> (Option<u8>, u64) {
    match origin {
        Origin::Client(token) => (None, token.0),
        Origin::Peer { id, request } => (Some(names(id)), request.0),
    }
}

fn project_administration(administration: &Administration, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Administration { parked, retry_at: _, forwarded, next_request, handover, changes, snapshots } =
        administration;
    parked.hash(&mut out);
    for (request, forwarded) in forwarded {
        (request, forwarded.token, names(&forwarded.to)).hash(&mut out);
    }
    next_request.hash(&mut out);
    changes.len().hash(&mut out);
    snapshots.len().hash(&mut out);
    if let Some(Handover { term, target, waiting }) = handover {
        (term, names(target)).hash(&mut out);
        for (origin, named) in waiting {
            (project_origin(origin, names), named.as_ref().map(names)).hash(&mut out);
        }
    }
}

fn project_reads(reads: &Reads, names: Names<'_>, mut out: &mut dyn Hasher) {
    let Reads { fresh, round, asked, next_request, ready, retry_at: _ } = reads;
    let project = |reads: &[Read], mut out: &mut dyn Hasher| {
        for read in reads {
            match read {
                Read::Client { token, query: _ } => (0u8, token.0, 0).hash(&mut out),
                Read::Peer { id, request } => (1u8, request.0, names(id)).hash(&mut out),
            }
        }
    };
    project(fresh, out);
    if let Some(InRound { term, round, index, reads }) = round {
        (1u8, term, round, index).hash(&mut out);
        project(reads, out);
    }
    if let Some(asked) = asked {
        (2u8, asked.request, names(&asked.leader)).hash(&mut out);
        project(&asked.reads, out);
    }
    next_request.hash(&mut out);
    for (index, reads) in ready {
        (3u8, index).hash(&mut out);
        project(reads, out);
    }
}
