//! What is to come, in order of time; at one moment, in the order it was put in.

use std::collections::BTreeMap;

use raft_core::types::Time;

/// Things to come.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: BTreeMap<(Time, u64), T>,
    next: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue { waiting: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn put(&mut self, at: Time, what: T) {
        self.next += 1;
        self.waiting.insert((at, self.next), what);
    }

    /// The next thing and its time.
    pub(crate) fn take(&mut self) -> Option<(Time, T)> {
        self.waiting.pop_first().map(|((at, _), what)| (at, what))
    }

    /// All that is to come, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.values()
    }

    /// When the next thing comes.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }
}
