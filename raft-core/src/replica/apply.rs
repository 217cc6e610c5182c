//! Applying what is committed, in batches (paper §5.3).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Replica;
use super::event::{CommandResult, Outcome};
use super::hash_chain::HashChain;
use super::sessions::{Sessions, Verdict};
use super::snapshots::Frozen;
use crate::entry::{ClientId, Command, Entry, Payload};
use crate::seeded::{self, Bug};
use crate::state_machine::{Committed, StateMachine};
use crate::types::{ClusterId, EntryId, LogIndex, Term};

/// Entries applied in one go at most, so that a long log does not keep the clock waiting.
const MAX_APPLY: u64 = 1024;

/// An entry and what applying it gave.
type Applied = (LogIndex, Term, Option<Outcome>);

/// Commands on their way into the state machine together.
struct Batch<'a> {
    machine: &'a mut dyn StateMachine,
    sessions: &'a mut Sessions,
    chain: &'a mut HashChain,
    commands: Vec<(&'a Entry, &'a Command)>,
    /// Whose sessions the batch will change: a second command of one of them has to wait for the first.
    clients: BTreeSet<&'a ClientId>,
    applied: Vec<Applied>,
    /// Whether a mark is one to freeze the state at, and the state that was frozen.
    may_freeze: bool,
    frozen: Option<Frozen>,
}

impl<'a> Batch<'a> {
    /// Takes the next entry of the log in.
    fn add(&mut self, entry: &'a Entry) {
        match &entry.payload {
            Payload::Command(command) => self.add_command(entry, command),
            Payload::Noop | Payload::Genesis(_) | Payload::Configuration(_) | Payload::Snapshot => {
                self.run();
                self.done(entry, None);
            }
        }
        if entry.payload == Payload::Snapshot {
            self.freeze(entry);
        }
        if HashChain::is_digest_due(entry.index) {
            // The digest is of the state after this very entry.
            self.run();
        }
    }

    fn add_command(&mut self, entry: &'a Entry, command: &'a Command) {
        if let Some(step) = &command.session {
            if self.clients.contains(&step.client) {
                self.run();
            }
            if let Verdict::Answer(outcome) = self.sessions.judge(entry.index, step, &command.data) {
                self.run();
                return self.done(entry, Some(outcome));
            }
            self.clients.insert(&step.client);
        }
        self.commands.push((entry, command));
    }

    /// Gives the state machine what has been collected.
    fn run(&mut self) {
        self.clients.clear();
        if self.commands.is_empty() {
            return;
        }
        let mut commands = core::mem::take(&mut self.commands);
        let batch: Vec<Committed<'_>> =
            commands.iter().map(|(entry, c)| Committed { index: entry.index, command: &c.data }).collect();
        let answers: Vec<Bytes> = self.machine.apply(&batch);
        assert_eq!(answers.len(), batch.len(), "the state machine gives one answer for each command");
        for ((entry, command), answer) in commands.drain(..).zip(answers) {
            let outcome = Outcome { index: entry.index, result: CommandResult::Answer(answer) };
            if let Some(step) = &command.session {
                self.sessions.executed(step, &command.data, &outcome);
            }
            self.done(entry, Some(outcome));
        }
        self.commands = commands;
    }

    /// The state as this entry left it is to be told.
    fn freeze(&mut self, entry: &Entry) {
        if core::mem::take(&mut self.may_freeze) {
            self.machine.freeze();
            self.sessions.freeze();
            let at = EntryId { index: entry.index, term: entry.term };
            self.frozen = Some(Frozen { at, state_hash: self.chain.applied().hash });
        }
    }

    fn done(&mut self, entry: &Entry, outcome: Option<Outcome>) {
        self.chain.fold(entry, outcome.as_ref(), || self.machine.digest());
        self.applied.push((entry.index, entry.term, outcome));
    }
}

impl Replica {
    /// Applies what is committed and was not applied, and answers those who wait for it.
    pub(super) fn apply_committed(&mut self) {
        if self.is_restoring() {
            return;
        }
        let again = seeded::is(Bug::ApplyTwice) && self.last_applied < self.consensus.commit_index;
        let first = if again { self.last_applied } else { self.last_applied.next() };
        let last = self.consensus.commit_index.min(LogIndex(self.last_applied.0 + MAX_APPLY));
        if first > last {
            return;
        }
        let (applied, genesis, frozen) = self.execute(first, last, self.may_freeze());
        for entry in self.consensus.log.range(first..=last) {
            let is_frozen = frozen.is_some_and(|frozen| frozen.at.index == entry.index);
            self.snapshots.marks.applied(entry, is_frozen);
        }
        for (index, term, outcome) in applied {
            self.settle(index, term, outcome.as_ref());
        }
        if let Some(cluster_id) = genesis {
            self.join_cluster(cluster_id);
        }
        if let Some(frozen) = frozen {
            self.begin_taking(frozen);
        }
    }

    /// Comes to where this replica was before, without telling anybody.
    pub(super) fn apply_again(&mut self, up_to: LogIndex) {
        while self.last_applied < up_to {
            let last = up_to.min(LogIndex(self.last_applied.0 + MAX_APPLY));
            self.execute(self.last_applied.next(), last, false);
        }
    }

    /// Applies some entries: what each gave, the cluster's name if it is among them, and the state that was
    /// frozen at a mark, if it was.
    fn execute(
        &mut self,
        first: LogIndex,
        last: LogIndex,
        may_freeze: bool,
    ) -> (Vec<Applied>, Option<ClusterId>, Option<Frozen>) {
        let mut genesis = None;
        let mut batch = Batch {
            machine: &mut *self.machine,
            sessions: &mut self.sessions,
            chain: &mut self.chain,
            commands: Vec::new(),
            clients: BTreeSet::new(),
            applied: Vec::new(),
            may_freeze,
            frozen: None,
        };
        for entry in self.consensus.log.range(first..=last) {
            if let Payload::Genesis(named) = &entry.payload {
                genesis = Some(named.cluster_id);
            }
            batch.add(entry);
        }
        batch.run();
        let (applied, frozen) = (batch.applied, batch.frozen);
        if seeded::is(Bug::DedupeLostOnRestart) && self.last_applied == LogIndex::ZERO {
            self.sessions = Sessions::new();
        }
        debug_assert!(applied.is_sorted_by_key(|(index, ..)| *index), "answers come in the order of the log");
        self.last_applied = last;
        self.consensus.applied = self.chain.applied();
        assert_eq!(self.consensus.applied.index, last, "the chain has what is applied");
        (applied, genesis, frozen)
    }

    /// The cluster has its name: the data directory gets to carry it.
    pub(super) fn join_cluster(&mut self, cluster_id: ClusterId) {
        self.consensus.cluster_id = Some(cluster_id);
        if self.identity.cluster_id != Some(cluster_id) {
            self.identity.cluster_id = Some(cluster_id);
            self.storage.also(self.identity.store());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec;

    use super::*;
    use crate::entry::{Sequence, SessionStep};
    use crate::types::StateHash;

    /// Gives every command its index for an answer, and the sum of all for a digest.
    #[derive(Default)]
    struct Counter(u64);

    impl StateMachine for Counter {
        fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
            self.0 += batch.iter().map(|committed| committed.index.0).sum::<u64>();
            batch.iter().map(|committed| Bytes::from(vec![committed.index.0 as u8])).collect()
        }

        fn query(&self, _: &Bytes) -> Bytes {
            Bytes::new()
        }

        fn digest(&self) -> u64 {
            self.0
        }
    }

    fn entry(index: u64, client: &str, sequence: Sequence) -> Entry {
        let client = ClientId::new(client.as_bytes()).unwrap();
        let session = Some(Box::new(SessionStep { client, sequence }));
        let command = Command { session, data: Bytes::from_static(b"c") };
        Entry { index: LogIndex(index), term: Term(1), payload: Payload::Command(command) }
    }

    fn noop(index: u64) -> Entry {
        Entry { index: LogIndex(index), term: Term(1), payload: Payload::Noop }
    }

    /// What comes of applying: the outcomes, and the hashes on the way.
    type Result = (Vec<Applied>, Vec<Option<StateHash>>);

    /// Applies the entries after so many empty ones; a batch ends before each whose bit is set.
    fn apply(empty: u64, entries: &[Entry], ends: u32) -> Result {
        let (mut machine, mut sessions) = (Counter::default(), Sessions::with_capacity(2));
        let mut chain = HashChain::default();
        (1..=empty).for_each(|index| chain.fold(&noop(index), None, || 0));
        let mut batch = Batch {
            machine: &mut machine,
            sessions: &mut sessions,
            chain: &mut chain,
            commands: Vec::new(),
            clients: BTreeSet::new(),
            applied: Vec::new(),
            may_freeze: false,
            frozen: None,
        };
        for (position, entry) in entries.iter().enumerate() {
            if ends & (1 << position) != 0 {
                batch.run();
            }
            batch.add(entry);
        }
        batch.run();
        let applied = batch.applied;
        (applied, entries.iter().map(|entry| chain.at(entry.index)).collect())
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
        // The state machine's digest is due after the first of them, in the midst, and after the last.
        for empty in [63, 57, 52] {
            let mut entries: Vec<Entry> = (empty + 1..)
                .zip(steps)
                .map(|(index, (client, sequence))| entry(index, client, sequence))
                .collect();
            entries.push(noop(empty + 12));
            let expected = apply(empty, &entries, u32::MAX);
            for ends in 0..1 << entries.len() {
                assert_eq!(apply(empty, &entries, ends), expected, "after {empty}, batches end at {ends:b}");
            }
        }
    }
}
