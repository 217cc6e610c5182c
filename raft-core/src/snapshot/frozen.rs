//! An ordered map's content at one moment, told bit by bit while the map goes on changing.
//!
//! Nothing is copied when it is frozen. A cursor moves over the keys; whoever changes a key beyond it hands
//! in first what the key had. So what the cursor meets is what was there at the freeze.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map;
use alloc::vec::Vec;
use core::ops::Bound;

/// What is remembered of a map that was frozen.
#[derive(Clone, Debug)]
pub(crate) struct Frozen<K, V> {
    /// Keys up to here are done with.
    cursor: Option<K>,
    /// The last key at the freeze; none beyond it is of interest. None where nothing is left to tell.
    last: Option<K>,
    /// Of keys between cursor and `last` that have changed since: what they had. None for a new key.
    before: BTreeMap<K, Option<V>>,
}

impl<K: Ord + Clone, V: Clone> Frozen<K, V> {
    pub(crate) fn new(map: &BTreeMap<K, V>) -> Frozen<K, V> {
        let last = map.last_key_value().map(|(key, _)| key.clone());
        Frozen { cursor: None, last, before: BTreeMap::new() }
    }

    /// To be told before a key changes, with what the map has for it.
    pub(crate) fn save(&mut self, key: &K, value: Option<&V>) {
        let is_told = self.cursor.as_ref().is_some_and(|cursor| key <= cursor);
        let is_wanted = self.last.as_ref().is_some_and(|last| key <= last);
        if is_wanted && !is_told && !self.before.contains_key(key) {
            self.before.insert(key.clone(), value.cloned());
        }
    }

    /// Tells the next keys and what they had, in order, until `tell` says that it is enough or so many keys
    /// were looked at; whether any are left.
    pub(crate) fn tell(
        &mut self,
        map: &BTreeMap<K, V>,
        looks: usize,
        mut tell: impl FnMut(&K, &V) -> Told,
    ) -> bool {
        let Some(last) = &self.last else { return false };
        let start = self.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut now = map.range((start, Bound::Included(last))).peekable();
        let mut before = self.before.iter().peekable();
        let mut cursor = None;
        for _ in 0..looks {
            let saved = before.next_if(|(key, _)| now.peek().is_none_or(|(current, _)| key <= current));
            let (key, value) = match saved {
                Some((key, saved)) => {
                    now.next_if(|(current, _)| *current == key);
                    (key, saved.as_ref())
                }
                None => match now.next() {
                    Some((key, value)) => (key, Some(value)),
                    None => {
                        cursor = Some(last);
                        break;
                    }
                },
            };
            cursor = Some(key);
            if value.is_some_and(|value| tell(key, value) == Told::Enough) {
                break;
            }
        }
        let cursor = cursor.cloned();
        self.move_to(cursor);
        self.last.is_some()
    }

    fn move_to(&mut self, cursor: Option<K>) {
        let Some(cursor) = cursor else { return };
        while self.before.first_key_value().is_some_and(|(key, _)| *key <= cursor) {
            self.before.pop_first();
        }
        if self.last.as_ref() == Some(&cursor) {
            self.last = None;
        }
        self.cursor = Some(cursor);
    }

    /// What is left of it, to be freed bit by bit.
    pub(crate) fn into_rest(self) -> BTreeMap<K, Option<V>> {
        self.before
    }
}

/// Whether whoever is told wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    More,
    Enough,
}

/// Maps that nobody needs any more, freed bit by bit: to free a million keys at once would take so long that
/// the clock had to wait.
#[derive(Debug)]
pub(crate) struct Discarded<K, V>(Vec<btree_map::IntoIter<K, V>>);

impl<K, V> Default for Discarded<K, V> {
    fn default() -> Discarded<K, V> {
        Discarded(Vec::new())
    }
}

/// What is to be freed is nothing that a copy would need.
impl<K, V> Clone for Discarded<K, V> {
    fn clone(&self) -> Discarded<K, V> {
        Discarded::default()
    }
}

impl<K, V> Discarded<K, V> {
    pub(crate) fn add(&mut self, map: BTreeMap<K, V>) {
        if !map.is_empty() {
            self.0.push(map.into_iter());
        }
    }

    /// Frees so many keys.
    pub(crate) fn free(&mut self, keys: usize) {
        let Some(map) = self.0.last_mut() else { return };
        if map.by_ref().take(keys).count() < keys {
            self.0.pop();
        }
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(u8, u32)]) -> BTreeMap<u8, u32> {
        pairs.iter().copied().collect()
    }

    /// Changes a map the way its owner has to while it is frozen.
    fn change(map: &mut BTreeMap<u8, u32>, frozen: &mut Frozen<u8, u32>, key: u8, value: Option<u32>) {
        frozen.save(&key, map.get(&key));
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }

    fn rest(frozen: &mut Frozen<u8, u32>, map: &BTreeMap<u8, u32>) -> Vec<(u8, u32)> {
        let mut told = vec![];
        while frozen.tell(map, 2, |key, value| {
            told.push((*key, *value));
            Told::More
        }) {}
        told
    }

    #[test]
    fn what_changes_ahead_is_told_as_it_was() {
        let mut now = map(&[(2, 20), (4, 40), (6, 60)]);
        let mut frozen = Frozen::new(&now);
        for (key, value) in [(2, None), (4, Some(41)), (4, Some(42)), (5, Some(50)), (1, Some(10))] {
            change(&mut now, &mut frozen, key, value);
        }
        assert_eq!(rest(&mut frozen, &now), [(2, 20), (4, 40), (6, 60)]);
        assert_eq!(frozen.into_rest().len(), 0);
    }

    #[test]
    fn what_changes_behind_or_beyond_costs_nothing() {
        let mut now = map(&[(2, 20), (4, 40)]);
        let mut frozen = Frozen::new(&now);
        assert!(frozen.tell(&now, 9, |_, _| Told::Enough), "one is left");
        for (key, value) in [(2, Some(21)), (1, Some(10)), (5, Some(50)), (9, Some(90))] {
            change(&mut now, &mut frozen, key, value);
        }
        assert!(frozen.before.is_empty());
        assert_eq!(rest(&mut frozen, &now), [(4, 40)]);
        change(&mut now, &mut frozen, 3, Some(30));
        assert!(frozen.before.is_empty(), "all is told");
    }

    #[test]
    fn new_keys_in_between_do_not_make_a_call_long() {
        let mut now = map(&[(0, 1), (255, 2)]);
        let mut frozen = Frozen::new(&now);
        for key in 1..=254 {
            change(&mut now, &mut frozen, key, Some(0));
        }
        let (mut calls, mut told) = (0, 0);
        while frozen.tell(&now, 16, |_, _| {
            told += 1;
            Told::More
        }) {
            calls += 1;
        }
        assert_eq!((calls, told), (256 / 16 - 1, 2));
    }

    #[test]
    fn an_empty_map_has_nothing_to_tell() {
        let mut now = BTreeMap::new();
        let mut frozen = Frozen::new(&now);
        change(&mut now, &mut frozen, 1, Some(1));
        assert!(!frozen.tell(&now, 9, |_, _| panic!("told of a key that was not there")));
    }

    #[test]
    fn what_is_discarded_goes_bit_by_bit() {
        let mut discarded = Discarded::default();
        discarded.add(map(&[(1, 1), (2, 2), (3, 3)]));
        discarded.add(map(&[(4, 4)]));
        discarded.add(map(&[]));
        let left: Vec<usize> = (0..4)
            .map(|_| {
                discarded.free(2);
                discarded.left()
            })
            .collect();
        assert_eq!(left, [3, 1, 0, 0]);
    }

    proptest! {
        #[test]
        fn all_is_told_as_it_was_whatever_happens_meanwhile(
            start in proptest::collection::btree_map(0..20_u8, any::<u32>(), 0..20),
            steps in proptest::collection::vec((0..22_u8, any::<Option<u32>>(), 0..4_usize), 0..60),
        ) {
            let mut now = start.clone();
            let mut frozen = Frozen::new(&now);
            let mut told = vec![];
            for (key, value, looks) in steps {
                change(&mut now, &mut frozen, key, value);
                frozen.tell(&now, looks, |key, value| {
                    told.push((*key, *value));
                    if value % 2 == 0 { Told::Enough } else { Told::More }
                });
            }
            told.extend(rest(&mut frozen, &now));
            prop_assert_eq!(told, start.into_iter().collect::<Vec<_>>());
        }
    }
}
