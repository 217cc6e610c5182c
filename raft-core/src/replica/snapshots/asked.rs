//! Who asked for a snapshot now, and what he is told.
//!
//! It holds all that was acknowledged before it was asked for: a mark goes into the log after that, once the
//! leader is done with the snapshot before. A mark that was there already would not do, if it is one of a
//! leader that was deposed and does not know: others may have acknowledged more behind it.

use alloc::string::ToString;

use serde::{Deserialize, Serialize};

use super::super::administration::{Administered, Task, TaskRefused};
use super::super::clients::Clients;
use super::super::{Origin, Replica, Role};
use crate::message::TaskOutcome;
use crate::types::{EntryId, LogIndex, Time};

/// A snapshot that somebody waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in super::super) struct AwaitedSnapshot {
    origin: Origin,
    stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// No mark was put into the log since it was asked for.
    Unmarked,
    /// Its mark was, at that time.
    Marked { at: EntryId, since: Time },
    /// Its file is whole. The log has to say so.
    Whole { at: EntryId, since: Time, bytes: u64 },
}

/// Those who wait for snapshots, at most.
const MAX_AWAITED: usize = 256;

impl AwaitedSnapshot {
    pub(in super::super) fn is_open(&self, clients: &Clients) -> bool {
        match self.origin {
            Origin::Client(token) => clients.is_open(token),
            Origin::Peer { .. } => true,
        }
    }
}

impl Replica {
    /// This leader is to take a snapshot now.
    pub(in super::super) fn ask_for_snapshot(&mut self, origin: Origin) {
        if !self.machine.takes_snapshots() {
            return self.task_ends(origin, TaskOutcome::Refused(TaskRefused::NoSnapshots));
        }
        if self.administration.snapshots.len() >= MAX_AWAITED {
            return self.task_ends(origin, TaskOutcome::Overloaded);
        }
        self.administration.snapshots.push(AwaitedSnapshot { origin, stage: Stage::Unmarked });
    }

    /// Whether somebody waits for a mark.
    pub(super) fn is_snapshot_asked_for(&self) -> bool {
        self.administration.snapshots.iter().any(|awaited| awaited.stage == Stage::Unmarked)
    }

    /// A mark is in the log.
    pub(super) fn asked_for_marked(&mut self, at: EntryId) {
        let since = self.now;
        for awaited in &mut self.administration.snapshots {
            if awaited.stage == Stage::Unmarked {
                awaited.stage = Stage::Marked { at, since };
            }
        }
    }

    /// The file of the snapshot that was frozen there is whole.
    pub(super) fn asked_for_whole(&mut self, whole: EntryId, bytes: u64) {
        for awaited in &mut self.administration.snapshots {
            if let Stage::Marked { at, since } = awaited.stage
                && at == whole
            {
                awaited.stage = Stage::Whole { at, since, bytes };
            }
        }
    }

    /// It could not be written.
    pub(super) fn asked_for_failed(&mut self, failed: EntryId, reason: &str) {
        let is_it =
            |awaited: &mut AwaitedSnapshot| matches!(awaited.stage, Stage::Marked { at, .. } if at == failed);
        let over: alloc::vec::Vec<_> = self.administration.snapshots.extract_if(.., is_it).collect();
        for AwaitedSnapshot { origin, .. } in over {
            let reason = TaskRefused::SnapshotFailed { reason: reason.to_string() };
            self.task_ends(origin, TaskOutcome::Refused(reason));
        }
    }

    /// Answers those whose snapshots are kept, and asks again for those that nobody will take here.
    pub(in super::super) fn settle_snapshots(&mut self) {
        if self.administration.snapshots.is_empty() {
            return;
        }
        let kept = self.consensus.snapshots.back().map_or(LogIndex::ZERO, |last| last.index);
        for AwaitedSnapshot { origin, stage } in core::mem::take(&mut self.administration.snapshots) {
            match stage {
                Stage::Whole { at: EntryId { index, .. }, since, bytes } if index <= kept => {
                    let took = self.now.since(since);
                    let done = Administered::SnapshotTaken { index, bytes, took };
                    self.task_ends(origin, TaskOutcome::Done(done));
                }
                stage if self.may_come_of(stage) => {
                    self.administration.snapshots.push(AwaitedSnapshot { origin, stage });
                }
                // Its mark was skipped.
                _ if self.consensus.role() == Role::Leader => {
                    let stage = Stage::Unmarked;
                    self.administration.snapshots.push(AwaitedSnapshot { origin, stage });
                }
                _ => self.ask_again(origin, Task::Snapshot),
            }
        }
    }

    /// Whether something will come of it if nothing more is done.
    fn may_come_of(&self, stage: Stage) -> bool {
        let leads_in =
            |at: EntryId| self.consensus.role() == Role::Leader && self.consensus.term() == at.term;
        match stage {
            Stage::Unmarked => false,
            Stage::Marked { at, .. } => self.is_taking(at) || (leads_in(at) && at.index > self.last_applied),
            Stage::Whole { .. } => true,
        }
    }
}
