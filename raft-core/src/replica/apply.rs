//! Applying what is committed, in batches (paper §5.3).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Replica;
use super::event::{CommandResult, Outcome};
use super::sessions::{Sessions, Verdict};
use crate::entry::{ClientId, Command, Entry, Payload, SessionStep};
use crate::seeded::{self, Bug};
use crate::state_machine::{Committed, StateMachine};
use crate::types::{ClusterId, LogIndex, Term};

/// Entries applied in one go at most, so that a long log does not keep the clock waiting.
const MAX_APPLY: u64 = 4096;

/// Commands on their way into the state machine together.
struct Batch<'a> {
    machine: &'a mut dyn StateMachine,
    sessions: &'a mut Sessions,
    commands: Vec<(LogIndex, Term, &'a Command)>,
    /// Whose sessions the batch will change: a second command of one of them has to wait for the first.
    clients: BTreeSet<&'a ClientId>,
    applied: Vec<(LogIndex, Term, Option<Outcome>)>,
}

impl<'a> Batch<'a> {
    fn add(&mut self, entry: &'a Entry, command: &'a Command) {
        let (index, term) = (entry.index, entry.term);
        if let Some(SessionStep { client, .. }) = &command.session {
            if self.clients.contains(client) {
                self.run();
            }
            let step = command.session.as_ref().expect("just seen");
            if let Verdict::Answer(outcome) = self.sessions.judge(index, step, &command.data) {
                self.run();
                return self.applied.push((index, term, Some(outcome)));
            }
            self.clients.insert(client);
        }
        self.commands.push((index, term, command));
    }

    /// Gives the state machine what has been collected.
    fn run(&mut self) {
        self.clients.clear();
        if self.commands.is_empty() {
            return;
        }
        let batch: Vec<Committed<'_>> =
            self.commands.iter().map(|(index, _, c)| Committed { index: *index, command: &c.data }).collect();
        let answers: Vec<Bytes> = self.machine.apply(&batch);
        assert_eq!(answers.len(), batch.len(), "the state machine gives one answer for each command");
        for ((index, term, command), answer) in self.commands.drain(..).zip(answers) {
            let outcome = Outcome { index, result: CommandResult::Answer(answer) };
            if let Some(step) = &command.session {
                self.sessions.executed(step, &command.data, &outcome);
            }
            self.applied.push((index, term, Some(outcome)));
        }
    }
}

impl Replica {
    /// Applies what is committed and was not applied, and answers those who wait for it.
    pub(super) fn apply_committed(&mut self) {
        let again = seeded::is(Bug::ApplyTwice) && self.last_applied < self.consensus.commit_index;
        let first = if again { self.last_applied } else { self.last_applied.next() };
        let last = self.consensus.commit_index.min(LogIndex(self.last_applied.0 + MAX_APPLY));
        if first > last {
            return;
        }
        let mut genesis = None;
        let mut batch = Batch {
            machine: &mut *self.machine,
            sessions: &mut self.sessions,
            commands: Vec::new(),
            clients: BTreeSet::new(),
            applied: Vec::new(),
        };
        for entry in self.consensus.log.range(first..=last) {
            match &entry.payload {
                Payload::Command(command) => batch.add(entry, command),
                Payload::Noop | Payload::Genesis(_) => {
                    if let Payload::Genesis(named) = &entry.payload {
                        genesis = Some(named.cluster_id);
                    }
                    batch.run();
                    batch.applied.push((entry.index, entry.term, None));
                }
            }
        }
        batch.run();
        let applied = batch.applied;
        if seeded::is(Bug::DedupeLostOnRestart) && self.last_applied == LogIndex::ZERO {
            self.sessions = Sessions::new();
        }
        debug_assert!(applied.is_sorted_by_key(|(index, ..)| *index), "answers come in the order of the log");
        self.last_applied = last;
        for (index, term, outcome) in applied {
            self.settle(index, term, outcome.as_ref());
        }
        if let Some(cluster_id) = genesis {
            self.join_cluster(cluster_id);
        }
    }

    /// The cluster has its name: the data directory gets to carry it.
    fn join_cluster(&mut self, cluster_id: ClusterId) {
        self.consensus.cluster_id = Some(cluster_id);
        if self.identity.cluster_id != Some(cluster_id) {
            self.identity.cluster_id = Some(cluster_id);
            self.storage.also(self.identity.store());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::entry::Sequence;

    /// Gives every command its index for an answer.
    struct Counter;

    impl StateMachine for Counter {
        fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
            batch.iter().map(|committed| Bytes::from(vec![committed.index.0 as u8])).collect()
        }

        fn query(&self, _: &Bytes) -> Bytes {
            Bytes::new()
        }
    }

    fn entry(index: u64, client: &str, sequence: Sequence) -> Entry {
        let client = ClientId::new(client.as_bytes()).unwrap();
        let session = Some(SessionStep { client, sequence });
        let command = Command { session, data: Bytes::from_static(b"c") };
        Entry { index: LogIndex(index), term: Term(1), payload: Payload::Command(command) }
    }

    /// Applies the entries; a batch ends before each whose bit is set.
    fn apply(entries: &[Entry], ends: u32) -> Vec<(LogIndex, Term, Option<Outcome>)> {
        let (mut machine, mut sessions) = (Counter, Sessions::with_capacity(2));
        let mut batch = Batch {
            machine: &mut machine,
            sessions: &mut sessions,
            commands: Vec::new(),
            clients: BTreeSet::new(),
            applied: Vec::new(),
        };
        for (position, entry) in entries.iter().enumerate() {
            if ends & (1 << position) != 0 {
                batch.run();
            }
            let Payload::Command(command) = &entry.payload else { continue };
            batch.add(entry, command);
        }
        batch.run();
        batch.applied
    }

    #[test]
    fn where_a_batch_ends_makes_no_difference() {
        let number = |number| Sequence::Number { number, answered_below: 1 };
        let only = Sequence::Only;
        let steps = [
            ("a", only),
            ("b", only),
            ("c", only),
            ("a", only),
            ("s", Sequence::Open),
            ("s", number(1)),
            ("d", only),
            ("c", only),
            ("s", number(2)),
            ("s", number(1)),
            ("b", only),
        ];
        let entries: Vec<Entry> =
            (1..).zip(steps).map(|(index, (client, sequence))| entry(index, client, sequence)).collect();
        let expected = apply(&entries, u32::MAX);
        for ends in 0..1 << entries.len() {
            assert_eq!(apply(&entries, ends), expected, "batches end at {ends:b}");
        }
    }
}
