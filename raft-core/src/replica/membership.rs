//! Who waits for a change of the members, and what he is told.
//!
//! A change goes on by itself once it is in the log, whoever leads (`consensus/membership.rs`). So one whose
//! leader is gone is asked for again: what is done of it is not done twice, and what is under way is
//! waited for.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::administration::{Administered, Task, TaskRefused};
use super::{Origin, Replica, Role};
use crate::consensus::{Change, ChangeRefused, ChangeState};
use crate::message::TaskOutcome;
use crate::types::Term;

/// A change that somebody waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AwaitedChange {
    origin: Origin,
    change: Change,
    /// Of the leader that has begun it; none while it has to wait for the leader's term to open.
    begun: Option<Term>,
}

/// Those who wait for changes, at most.
const MAX_AWAITED: usize = 256;

impl Replica {
    /// This leader begins a change of the members.
    pub(super) fn change_members(&mut self, origin: Origin, change: Change) {
        if self.administration.changes.len() >= MAX_AWAITED {
            return self.task_ends(origin, TaskOutcome::Overloaded);
        }
        match self.consensus.begin_change(&change) {
            Err(reason) if !reason.is_passing() => {
                self.task_ends(origin, TaskOutcome::Refused(TaskRefused::Change(reason)));
            }
            begun => {
                let begun = begun.is_ok().then(|| self.consensus.term());
                self.administration.changes.push(AwaitedChange { origin, change, begun });
            }
        }
    }

    /// Answers those whose changes have come to an end, one way or the other, and begins those that may
    /// begin.
    pub(super) fn settle_changes(&mut self) {
        if self.administration.changes.is_empty() {
            return;
        }
        let (leads, term) = (self.consensus.role() == Role::Leader, self.consensus.term());
        let mut awaited = Vec::new();
        for AwaitedChange { origin, change, begun } in core::mem::take(&mut self.administration.changes) {
            match (begun, self.consensus.change_state(&change)) {
                (Some(_), ChangeState::Done) => {
                    let index = self.consensus.configuration_index();
                    self.task_ends(origin, TaskOutcome::Done(Administered::Changed { index }));
                }
                (Some(in_term), ChangeState::TakenBack) if leads && in_term == term => {
                    let reason = TaskRefused::Change(ChangeRefused::TakenBack);
                    self.task_ends(origin, TaskOutcome::Refused(reason));
                }
                (Some(in_term), _) if leads && in_term == term => {
                    awaited.push(AwaitedChange { origin, change, begun });
                }
                (None, _) if leads => self.change_members(origin, change),
                _ => self.ask_again(origin, Task::Change(change)),
            }
        }
        self.administration.changes.append(&mut awaited);
    }
}
