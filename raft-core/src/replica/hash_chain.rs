//! The state hash chain: one number for everything that was applied, so that servers can compare states by
//! comparing numbers.
//!
//! Each applied entry is folded into it, with the outcome that applying it gave: commands that the state
//! machine executed and those that the session table answered alike. An outcome does not show everything that
//! a state holds (a value that nobody asks for, say). So after every [`DIGEST_EVERY`]th log index the state
//! machine's own digest is folded in as well. Where batches end makes no difference: every batch ends there
//! (`apply.rs`).
//!
//! The chain is a function of the log alone. A restart applies the log anew and comes to the same hashes, in
//! memory: nothing of it is stored. Who compares, and what follows, is in `divergence.rs`. What differs once
//! differs from then on: no later entry brings two chains together again.

use alloc::collections::VecDeque;

use super::event::{CommandResult, Outcome};
use crate::consensus::Configuration;
use crate::entry::{Entry, Payload, Sequence};
use crate::hash;
use crate::types::{Applied, LogIndex, StateHash};

/// The state machine's digest is folded in after every log index that is a multiple of this.
pub const DIGEST_EVERY: u64 = 64;

/// Indexes whose hashes are remembered, counted from the last one back: servers are compared where one is at
/// most this far ahead of the other (and where they stand, once they have caught up).
const REMEMBERED: usize = 16_384;

/// The chain up to the last entry applied.
#[derive(Clone, Debug, Default)]
pub(super) struct HashChain {
    applied: Applied,
    /// The hashes of the latest indexes, the last one at the end.
    remembered: VecDeque<StateHash>,
}

impl HashChain {
    /// A chain that goes on from here: what led there is not known.
    pub(super) fn after(applied: Applied) -> HashChain {
        HashChain { applied, remembered: VecDeque::from([applied.hash]) }
    }

    /// Whether the state machine's digest is due after this index.
    pub(super) fn is_digest_due(index: LogIndex) -> bool {
        index.0.is_multiple_of(DIGEST_EVERY)
    }

    /// Folds in the next entry and what applying it gave; `digest` gives the state machine's, where it is
    /// due.
    pub(super) fn fold(&mut self, entry: &Entry, outcome: Option<&Outcome>, digest: impl FnOnce() -> u64) {
        let mut hash = link(self.applied.hash, entry, outcome);
        if Self::is_digest_due(entry.index) {
            hash = hash::of_words([hash, digest()]);
        }
        self.applied = Applied { index: entry.index, hash: StateHash(hash) };
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(self.applied.hash);
    }

    /// The last entry folded in, and the hash after it.
    pub(super) fn applied(&self) -> Applied {
        self.applied
    }

    /// The hash after an index, while it is remembered.
    pub(super) fn at(&self, index: LogIndex) -> Option<StateHash> {
        let back = usize::try_from(self.applied.index.0.checked_sub(index.0)?).ok()?;
        self.remembered.get(self.remembered.len().checked_sub(back + 1)?).copied()
    }
}

/// The hash after an entry. The same everywhere: whoever changes it makes servers of the versions before and
/// after take each other for diverged, and must raise the version of the stream between them with it.
fn link(before: StateHash, entry: &Entry, outcome: Option<&Outcome>) -> u64 {
    let [kind, payload, client, sequence, number, below] = payload_words(&entry.payload);
    let [result, answer, took_effect_at] = outcome_words(outcome);
    let (index, term) = (entry.index.0, entry.term.0);
    hash::of_words([
        before.0,
        index,
        term,
        kind,
        payload,
        client,
        sequence,
        number,
        below,
        result,
        answer,
        took_effect_at,
    ])
}

fn payload_words(payload: &Payload) -> [u64; 6] {
    match payload {
        Payload::Noop => [0; 6],
        Payload::Genesis(genesis) => {
            let id = genesis.cluster_id.0;
            [1, members_word(&genesis.configuration), id as u64, (id >> 64) as u64, 0, 0]
        }
        Payload::Configuration(configuration) => [3, members_word(configuration), 0, 0, 0, 0],
        Payload::Snapshot => [4, 0, 0, 0, 0, 0],
        Payload::Command(command) => {
            let data = hash::of_bytes(&command.data);
            let Some(step) = &command.session else { return [2, data, 0, 0, 0, 0] };
            let client = hash::of_bytes(step.client.as_bytes());
            match step.sequence {
                Sequence::Only => [2, data, client, 1, 0, 0],
                Sequence::Open => [2, data, client, 2, 0, 0],
                Sequence::Number { number, answered_below } => [2, data, client, 3, number, answered_below],
            }
        }
    }
}

/// Stands for a whole configuration. What is written in the log is written in its encoding.
fn members_word(configuration: &Configuration) -> u64 {
    // Invariant: postcard fails only on a full buffer or a sequence of unknown length, and neither occurs.
    hash::of_bytes(&postcard::to_allocvec(configuration).expect("a configuration can always be encoded"))
}

fn outcome_words(outcome: Option<&Outcome>) -> [u64; 3] {
    let Some(Outcome { index, result }) = outcome else { return [0; 3] };
    let (kind, answer) = match result {
        CommandResult::Answer(answer) => (1, hash::of_bytes(answer)),
        CommandResult::SessionOpen => (2, 0),
        CommandResult::SessionExpired => (3, 0),
        CommandResult::SequenceReused => (4, 0),
        CommandResult::CommandDiffers => (5, 0),
    };
    [kind, answer, index.0]
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::collections::BTreeSet;
    use alloc::vec;
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::*;
    use crate::entry::{ClientId, Command, Genesis, SessionStep};
    use crate::types::{ClusterId, NodeId, Term};

    fn noop(index: u64) -> Entry {
        Entry { index: LogIndex(index), term: Term(1), payload: Payload::Noop }
    }

    fn payloads() -> Vec<Payload> {
        let members =
            |names: &[&str]| Configuration::new(names.iter().map(|name| NodeId::new(name).unwrap()));
        let genesis = |id, names| {
            Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId(id), configuration: members(names) }))
        };
        let command = |client: Option<(&str, Sequence)>, data: &'static [u8]| {
            let named = |name: &str| ClientId::new(name.as_bytes()).unwrap();
            let session =
                client.map(|(name, sequence)| Box::new(SessionStep { client: named(name), sequence }));
            Payload::Command(Command { session, data: Bytes::from_static(data) })
        };
        vec![
            Payload::Noop,
            genesis(7, &["a", "b"]),
            genesis(7 << 64, &["a", "b"]),
            genesis(7, &["ab"]),
            Payload::Configuration(Box::new(members(&["a", "b"]))),
            Payload::Configuration(Box::new(members(&["ab"]))),
            command(None, b""),
            command(None, b"x"),
            command(None, b"y"),
            command(Some(("c", Sequence::Only)), b"x"),
            command(Some(("d", Sequence::Only)), b"x"),
            command(Some(("c", Sequence::Open)), b""),
            command(Some(("c", Sequence::Number { number: 1, answered_below: 1 })), b"x"),
            command(Some(("c", Sequence::Number { number: 2, answered_below: 1 })), b"x"),
            command(Some(("c", Sequence::Number { number: 2, answered_below: 2 })), b"x"),
        ]
    }

    fn outcomes() -> Vec<Option<Outcome>> {
        let at = |index, result| Some(Outcome { index: LogIndex(index), result });
        let answer = |text: &'static [u8]| CommandResult::Answer(Bytes::from_static(text));
        vec![
            None,
            at(1, answer(b"a")),
            at(2, answer(b"a")),
            at(1, answer(b"b")),
            at(1, CommandResult::SessionOpen),
            at(1, CommandResult::SessionExpired),
            at(1, CommandResult::SequenceReused),
            at(1, CommandResult::CommandDiffers),
        ]
    }

    #[test]
    fn whatever_differs_gives_another_hash() {
        let mut seen = BTreeSet::new();
        let mut links = 0;
        for payload in payloads() {
            for outcome in outcomes() {
                for (before, index, term) in [(0, 1, 1), (1, 1, 1), (0, 2, 1), (0, 1, 2)] {
                    let entry = Entry { index: LogIndex(index), term: Term(term), payload: payload.clone() };
                    seen.insert(link(StateHash(before), &entry, outcome.as_ref()));
                    links += 1;
                }
            }
        }
        assert_eq!(seen.len(), links);
    }

    /// The hash is spoken between nodes: where this fails, the version of the stream has to be raised too.
    #[test]
    fn the_hash_is_a_format() {
        let mut chain = HashChain::default();
        let (payloads, outcomes) = (payloads(), outcomes());
        for index in 1..=130 {
            let payload = payloads[index % payloads.len()].clone();
            let entry = Entry { index: LogIndex(index as u64), term: Term(3), payload };
            chain.fold(&entry, outcomes[index % outcomes.len()].as_ref(), || 5);
        }
        assert_eq!(alloc::format!("{}", chain.applied().hash), "a18393f7a61a1cf7");
    }

    #[test]
    fn the_digest_counts_where_it_is_due() {
        let run = |digest: u64| {
            let mut chain = HashChain::default();
            let hashes = (1..=3 * DIGEST_EVERY).map(|index| {
                chain.fold(&noop(index), None, || digest);
                chain.applied().hash
            });
            hashes.collect::<Vec<_>>()
        };
        let (one, other) = (run(1), run(2));
        let due = DIGEST_EVERY as usize - 1;
        assert_eq!(one[..due], other[..due]);
        assert!(one[due..].iter().zip(&other[due..]).all(|(one, other)| one != other), "from then on");
    }

    #[test]
    fn the_latest_hashes_are_remembered() {
        let mut chain = HashChain::default();
        assert_eq!(chain.at(LogIndex(0)), None);
        let mut all = vec![StateHash::default()];
        let last = REMEMBERED as u64 + 100;
        for index in 1..=last {
            chain.fold(&noop(index), None, || 0);
            all.push(chain.applied().hash);
        }
        for (index, hash) in (0..).zip(all) {
            let expected = (index > 100).then_some(hash);
            assert_eq!(chain.at(LogIndex(index)), expected, "at {index}");
        }
        assert_eq!(chain.at(LogIndex(last + 1)), None);
    }
}
