//! The store in pieces: frozen without a copy, told while commands go on, and made again from what was told.
//!
//! ```text
//! first piece    version u8 · 0 u8 · revision, digest and number of keys (postcard)
//! other pieces   version u8 · 1 u8 · keys with their items, in the order of the keys (postcard)
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::store::Store;
use super::stored::{Stored, encode};
use crate::snapshot::{Discarded, Frozen, PIECE_BYTES, Told};
use crate::state_machine::RestoreError;
use crate::types::LogIndex;

/// The encoding's version: the first byte of every piece.
const VERSION: u8 = 1;

/// The second byte: what a piece holds.
const HEAD: u8 = 0;
const ITEMS: u8 = 1;

/// Keys looked at in one call at most, and keys freed by one batch.
const LOOKS: usize = 4096;
const FREED: usize = 1024;

/// What is told of a store before its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    revision: LogIndex,
    /// The sum of the items' digests.
    digest: u64,
    keys: u64,
}

/// The store's part in snapshots.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    pub(super) taking: Option<Taking>,
    restoring: Option<Restoring>,
    discarded: Discarded<Stored, ()>,
    discarded_changes: Discarded<Stored, Option<()>>,
}

/// A store that is frozen.
#[derive(Debug)]
pub(super) struct Taking {
    /// To be told first.
    head: Option<Head>,
    pub(super) items: Frozen<Stored, ()>,
    /// The piece that is being filled, if it is begun.
    piece: Vec<u8>,
}

/// A store in the making.
#[derive(Debug, Default)]
struct Restoring {
    head: Option<Head>,
    items: BTreeMap<Stored, ()>,
    digest: u64,
}

impl Snapshots {
    /// Frees a little of what is needed no longer. Called with every batch.
    pub(super) fn free(&mut self) {
        self.discarded.free(FREED);
        self.discarded_changes.free(FREED);
    }

    pub(super) fn thaw(&mut self) {
        if let Some(taking) = self.taking.take() {
            self.discarded_changes.add(taking.items.into_rest());
        }
    }

    pub(super) fn abandon_restore(&mut self) {
        if let Some(restoring) = self.restoring.take() {
            self.discarded.add(restoring.items);
        }
    }

    pub(super) fn restore_piece(&mut self, piece: &[u8]) -> Result<(), RestoreError> {
        let result = self.restoring.get_or_insert_default().piece(piece);
        if result.is_err() {
            self.abandon_restore();
        }
        result
    }
}

impl Store {
    pub(super) fn freeze_items(&mut self) {
        let head = Head { revision: self.revision, digest: self.items_digest, keys: self.items.len() as u64 };
        let items = Frozen::new(&self.items);
        self.snapshots.thaw();
        self.snapshots.taking = Some(Taking { head: Some(head), items, piece: Vec::new() });
    }

    pub(super) fn tell_piece(&mut self) -> Option<Bytes> {
        let Taking { head, items, piece } = self.snapshots.taking.as_mut()?;
        if let Some(head) = head.take() {
            return Some(encode([VERSION, HEAD].to_vec(), &head).into());
        }
        let is_more = items.tell(&self.items, LOOKS, |stored, ()| {
            if piece.is_empty() {
                *piece = Vec::with_capacity(PIECE_BYTES + 1024);
                piece.extend_from_slice(&[VERSION, ITEMS]);
            }
            *piece = stored.tell(core::mem::take(piece));
            if piece.len() >= PIECE_BYTES { Told::Enough } else { Told::More }
        });
        match (is_more, piece.len()) {
            (false, 0) => None,
            (true, length) if length < PIECE_BYTES => Some(Bytes::new()),
            _ => Some(core::mem::take(piece).into()),
        }
    }

    pub(super) fn finish_restore(&mut self) -> Result<(), RestoreError> {
        let restoring = self.snapshots.restoring.take().unwrap_or_default();
        if let Err(error) = restoring.check() {
            self.snapshots.discarded.add(restoring.items);
            return Err(error);
        }
        self.snapshots.thaw();
        let Restoring { head, items, digest } = restoring;
        self.revision = head.map_or(LogIndex::ZERO, |head| head.revision);
        self.items_digest = digest;
        self.snapshots.discarded.add(core::mem::replace(&mut self.items, items));
        Ok(())
    }
}

impl Restoring {
    fn piece(&mut self, piece: &[u8]) -> Result<(), RestoreError> {
        let unreadable = || RestoreError::new("a piece of the store cannot be read");
        match (piece, &self.head) {
            ([VERSION, HEAD, head @ ..], None) => {
                self.head = Some(postcard::from_bytes(head).map_err(|_| unreadable())?);
                Ok(())
            }
            ([VERSION, ITEMS, items @ ..], Some(_)) => {
                let mut left = items;
                while !left.is_empty() {
                    let (stored, rest) = Stored::told(left).ok_or_else(unreadable)?;
                    self.item(stored)?;
                    left = rest;
                }
                Ok(())
            }
            ([VERSION, ..], _) => Err(RestoreError::new("the pieces of the store are not in order")),
            _ => Err(RestoreError::new("a piece of the store is of another version")),
        }
    }

    fn item(&mut self, stored: Stored) -> Result<(), RestoreError> {
        if self.items.last_key_value().is_some_and(|(last, ())| *last >= stored) {
            return Err(RestoreError::new("the keys of the store are not in order"));
        }
        self.digest = self.digest.wrapping_add(stored.digest());
        self.items.insert(stored, ());
        Ok(())
    }

    /// Whether it is all of the store that was told, and as it was: the digest finds what changed in memory.
    fn check(&self) -> Result<(), RestoreError> {
        let Some(head) = &self.head else {
            return Err(RestoreError::new("the first piece of the store is missing"));
        };
        let found = (self.items.len() as u64, self.digest);
        if found != (head.keys, head.digest) {
            let reason = alloc::format!(
                "{} keys with digest {:016x} were told of, and there are {} with {:016x}",
                head.keys,
                head.digest,
                found.0,
                found.1
            );
            return Err(RestoreError::new(reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::{Command, Key, Query, QueryAnswer, Value};
    use super::*;
    use crate::state_machine::{Committed, StateMachine};

    fn run(store: &mut Store, index: u64, command: &Command) {
        store.apply(&[Committed { index: LogIndex(index), command: &command.encode() }]);
    }

    fn set(key: &str, value: Vec<u8>) -> Command {
        Command::Set { key: Key::new(key).unwrap(), value: Value::Bytes(value.into()) }
    }

    fn delete(key: &str) -> Command {
        Command::Delete { key: Key::new(key).unwrap() }
    }

    /// All that the store has, as it answers.
    fn content(store: &Store) -> QueryAnswer {
        let list = Query::List { prefix: "".into(), after: None, limit: u32::MAX, values: true };
        QueryAnswer::decode(&store.query(&list.encode()))
    }

    /// The pieces left, without those that only say that more is to come.
    fn pieces(store: &mut Store) -> Vec<Bytes> {
        core::iter::from_fn(|| store.next_piece()).filter(|piece| !piece.is_empty()).collect()
    }

    fn restored(store: &mut Store, pieces: &[Bytes]) -> Result<(), RestoreError> {
        pieces.iter().try_for_each(|piece| store.restore_piece(piece))?;
        store.restored()
    }

    fn filled(keys: u64, value: usize) -> Store {
        let mut store = Store::new();
        (0..keys).for_each(|n| run(&mut store, n + 1, &set(&format!("{n:08}"), vec![n as u8; value])));
        store
    }

    #[test]
    fn a_store_comes_back_as_it_was() {
        for (keys, value) in [(0, 0), (1, 0), (1, 1 << 20), (7000, 10), (300, 1000), (3, 65_536)] {
            let mut store = filled(keys, value);
            store.freeze();
            let told = pieces(&mut store);
            store.thaw();
            let mut other = filled(5, 5);
            restored(&mut other, &told).unwrap();
            assert_eq!(
                (content(&other), other.digest()),
                (content(&store), store.digest()),
                "{keys} {value}"
            );
            assert_eq!(store.next_piece(), None);
            let data: usize = told.iter().map(Bytes::len).sum();
            let most = PIECE_BYTES + Key::MAX_LEN + value + 64;
            assert!(told.iter().all(|piece| piece.len() <= most), "{keys} {value}");
            assert!(told.len() <= 2 + data / PIECE_BYTES, "{keys} {value}: {} pieces", told.len());
        }
    }

    #[test]
    fn until_all_is_there_the_state_is_the_one_before() {
        let mut store = filled(2000, 100);
        store.freeze();
        let told = pieces(&mut store);
        let mut other = filled(3, 3);
        let before = (content(&other), other.digest());
        for piece in &told {
            other.restore_piece(piece).unwrap();
            assert_eq!((content(&other), other.digest()), before);
        }
        other.abandon_restore();
        assert_eq!(
            restored(&mut other, &told[1..]).unwrap_err().to_string(),
            "the pieces of the store are not in order"
        );
        assert_eq!((content(&other), other.digest()), before);
        restored(&mut other, &told).unwrap();
        assert_eq!(content(&other), content(&store));
    }

    #[test]
    fn pieces_that_make_no_store_are_refused_and_forgotten() {
        let mut store = filled(2000, 100);
        store.freeze();
        let told = pieces(&mut store);
        let swapped = [told[0].clone(), told[2].clone(), told[1].clone()];
        let short = &told[..told.len() - 1];
        let version = [Bytes::from_static(&[9, 0])];
        let mut cut = told.clone();
        cut[1] = cut[1].slice(..cut[1].len() - 1);
        let mut flipped = told.clone();
        let mut bytes = flipped[1].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        flipped[1] = bytes.into();
        let cases: [(&[Bytes], &str); 8] = [
            (&[], "the first piece of the store is missing"),
            (&told[1..], "the pieces of the store are not in order"),
            (&swapped, "the keys of the store are not in order"),
            (short, "2000 keys with digest"),
            (&version, "a piece of the store is of another version"),
            (&[Bytes::new()], "a piece of the store is of another version"),
            (&cut, "a piece of the store cannot be read"),
            (&flipped, "2000 keys with digest"),
        ];
        for (pieces, expected) in cases {
            let mut other = filled(3, 3);
            let before = content(&other);
            let reason = restored(&mut other, pieces).unwrap_err().to_string();
            assert!(reason.starts_with(expected), "{reason}");
            assert_eq!(content(&other), before);
            restored(&mut other, &told).unwrap();
        }
        // Wherever in an item a piece ends.
        for missing in 1..113 {
            let mut other = Store::new();
            other.restore_piece(&told[0]).unwrap();
            let cut = told[1].slice(..told[1].len() - missing);
            let reason = other.restore_piece(&cut).unwrap_err().to_string();
            assert_eq!(reason, "a piece of the store cannot be read", "{missing} bytes are missing");
        }
    }

    #[test]
    fn a_piece_ends_with_the_item_that_makes_it_long_enough() {
        let first = |value: usize| {
            let mut store = filled(2, value);
            store.freeze();
            pieces(&mut store)[1].len()
        };
        let lengths: Vec<usize> = (PIECE_BYTES - 40..PIECE_BYTES).map(first).collect();
        assert!(lengths.iter().all(|length| *length >= PIECE_BYTES), "{lengths:?}");
        assert!(lengths.contains(&PIECE_BYTES), "one item was just enough: {lengths:?}");
    }

    #[test]
    fn what_is_replaced_is_freed_batch_by_batch() {
        let (mut store, mut empty) = (filled(3000, 1), Store::new());
        empty.freeze();
        let nothing = pieces(&mut empty);
        restored(&mut store, &nothing).unwrap();
        let left = |store: &Store| store.snapshots.discarded.left();
        assert_eq!((store.digest(), left(&store)), (empty.digest(), 3000));
        store.apply(&[]);
        assert_eq!(left(&store), 3000 - FREED);
        store.freeze();
        run(&mut store, 1, &set("a", vec![]));
        run(&mut store, 2, &delete("a"));
        assert_eq!(left(&store), 0);
    }

    #[test]
    fn a_freeze_that_nobody_finishes_is_thawed() {
        let mut store = filled(5000, 100);
        store.freeze();
        store.next_piece();
        store.next_piece();
        (0..5000).for_each(|n| run(&mut store, 6000 + n, &delete(&format!("{n:08}"))));
        store.thaw();
        assert!(store.snapshots.discarded_changes.left() > 4000);
        store.freeze();
        let mut other = filled(1, 1);
        restored(&mut other, &pieces(&mut store)).unwrap();
        assert_eq!((content(&other), other.digest()), (content(&store), store.digest()));
    }

    /// A call stays short where many keys have come in between two that were there.
    #[test]
    fn a_piece_that_takes_long_to_find_comes_later() {
        let mut store = Store::new();
        run(&mut store, 1, &set("a", vec![1]));
        run(&mut store, 2, &set("z", vec![2]));
        store.freeze();
        (0..2 * LOOKS as u64).for_each(|n| run(&mut store, 3 + n, &set(&format!("m{n}"), vec![])));
        let lengths: Vec<usize> =
            core::iter::from_fn(|| store.next_piece()).map(|piece| piece.len()).collect();
        assert!(matches!(lengths[..], [_, 0, 0, 14]), "{lengths:?}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, u16),
        Delete(u8),
        Piece,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<u8>(), any::<u16>()).prop_map(|(key, length)| Step::Set(key, length)),
            any::<u8>().prop_map(Step::Delete),
            Just(Step::Piece),
        ]
    }

    fn apply(store: &mut Store, index: u64, step: &Step) {
        match step {
            Step::Set(key, length) => {
                run(store, index, &set(&format!("{key}"), vec![*key; usize::from(*length)]))
            }
            Step::Delete(key) => run(store, index, &delete(&format!("{key}"))),
            Step::Piece => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_pieces_are_those_of_the_freeze_whatever_is_applied_meanwhile(
            before in proptest::collection::vec(step(), 0..60),
            after in proptest::collection::vec(step(), 0..60),
        ) {
            let mut store = Store::new();
            (1..).zip(&before).for_each(|(index, step)| apply(&mut store, index, step));
            store.freeze();
            let still = pieces(&mut store);
            let (at_freeze, digest) = (content(&store), store.digest());
            store.thaw();

            store.freeze();
            let mut told = vec![];
            for (index, step) in (1000..).zip(&after) {
                apply(&mut store, index, step);
                if matches!(step, Step::Piece) {
                    told.extend(store.next_piece().filter(|piece| !piece.is_empty()));
                }
            }
            told.extend(pieces(&mut store));
            prop_assert_eq!(&told, &still);
            restored(&mut store, &told).unwrap();
            prop_assert_eq!((content(&store), store.digest()), (at_freeze, digest));
        }
    }
}
