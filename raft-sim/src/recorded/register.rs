//! The operations on one key, as calls of a register.

use std::collections::HashMap;

use super::{Kind, Operation, Outcome};
use crate::linearizable::{Action, Call};

/// One key.
#[derive(Debug, Default)]
pub(super) struct Register<'a> {
    pub(super) calls: Vec<Call>,
    /// Of each call, where its operation is in the history.
    pub(super) places: Vec<usize>,
    /// The values, by the numbers that stand for them in calls.
    pub(super) values: Vec<&'a str>,
    numbers: HashMap<&'a str, u64>,
    sights: HashMap<u64, Sight>,
}

/// Where and when a value was seen to be there, other than by whoever wrote it.
#[derive(Debug, Default)]
struct Sight {
    revision: Option<u64>,
    /// By when a stale read had found it: its write took effect before.
    by: Option<u64>,
}

impl<'a> Register<'a> {
    pub(super) fn of(operations: &'a [Operation], places: &[usize]) -> Register<'a> {
        let mut register = Register::default();
        for &at in places {
            register.add(&operations[at], at);
        }
        register.look();
        register
    }

    fn number(&mut self, value: &'a str) -> u64 {
        *self.numbers.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u64 - 1
        })
    }

    fn add(&mut self, operation: &'a Operation, at: usize) {
        let value = operation.value.as_deref().map(|value| self.number(value));
        // What ends when another begins may have come after it: the clock is only so fine.
        let answered = operation.end.filter(|_| operation.is_ok()).map(|end| end * 2 + 1);
        let revision = operation.revisions.first().copied();
        if let (Kind::Get | Kind::GetStale, Some(value), true) = (operation.kind, value, operation.is_ok()) {
            let sight = self.sights.entry(value).or_default();
            sight.revision = sight.revision.or(revision);
            sight.by = sight.by.into_iter().chain(answered).min();
        }
        let action = match (operation.kind, operation.outcome) {
            (_, Outcome::Failed) | (Kind::Get, Outcome::Unknown) | (Kind::GetStale, _) => return,
            (Kind::Set, _) => Action::Write(value.unwrap_or_default()),
            (Kind::Delete, Outcome::Unknown) => Action::Delete(None),
            (Kind::Delete, Outcome::Ok) => Action::Delete(operation.deleted),
            (Kind::Get, Outcome::Ok) => Action::Read(value),
        };
        let suggested = revision.unwrap_or(u64::MAX);
        self.calls.push(Call { action, asked: operation.begin * 2, answered, suggested });
        self.places.push(at);
    }

    /// Of a write nobody was told the end of, what others saw says when it took effect.
    fn look(&mut self) {
        for call in &mut self.calls {
            if let Action::Write(value) = call.action
                && let Some(sight) = self.sights.get(&value)
            {
                call.answered = call.answered.into_iter().chain(sight.by).min();
                call.suggested =
                    sight.revision.map_or(call.suggested, |revision| revision.min(call.suggested));
            }
        }
    }
}
