//! The store itself: an ordered map, changed by commands alone.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::ops::Bound;

use bytes::Bytes;

use super::command::{Answer, Command, ListPage, Query, QueryAnswer};
use super::snapshot::Snapshots;
use super::value::{Item, Key, Value};
use crate::hash;
use crate::seeded::{self, Bug};
use crate::state_machine::{Committed, RestoreError, StateMachine};
use crate::types::LogIndex;

/// Keys and values, with the log index of each key's last change.
#[derive(Debug, Default)]
pub struct Store {
    pub(super) items: BTreeMap<Key, Item>,
    pub(super) revision: LogIndex,
    /// The wrapping sum of all items' digests. What is replaced or removed is subtracted as it is stored, not
    /// as it was set: a bit that has turned over in between does not cancel out.
    pub(super) items_digest: u64,
    pub(super) snapshots: Snapshots,
}

impl Store {
    /// Bytes of keys and values after which a page of a listing ends, whatever its limit.
    pub const PAGE_BYTES: usize = 8 << 20;

    /// An empty store.
    #[must_use]
    pub fn new() -> Store {
        Store::default()
    }

    fn apply_one(&mut self, index: LogIndex, command: &[u8]) -> Answer {
        match Command::decode(command) {
            Some(Command::Set { key, value }) => {
                self.set(key, Item { value, revision: index });
                self.revision = index;
                Answer::Set
            }
            Some(Command::Delete { key }) => {
                self.save(&key);
                let removed = self.items.remove_entry(&key);
                if let Some((key, item)) = &removed {
                    self.items_digest = self.items_digest.wrapping_sub(digest_of(key, item));
                    self.revision = index;
                }
                Answer::Deleted(removed.is_some())
            }
            None => Answer::Unreadable,
        }
    }

    fn set(&mut self, key: Key, item: Item) {
        self.save(&key);
        self.items_digest = self.items_digest.wrapping_add(digest_of(&key, &item));
        match self.items.entry(key) {
            Entry::Vacant(vacant) => drop(vacant.insert(item)),
            Entry::Occupied(mut occupied) => {
                let replaced = digest_of(occupied.key(), occupied.get());
                self.items_digest = self.items_digest.wrapping_sub(replaced);
                occupied.insert(item);
            }
        }
    }

    /// A key is about to change: a snapshot that is being taken may want what it has.
    fn save(&mut self, key: &Key) {
        if let Some(taking) = &mut self.snapshots.taking
            && !seeded::is(Bug::SnapshotNotFrozen)
        {
            taking.items.save(key, self.items.get(key));
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: u32, values: bool) -> ListPage {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page =
            ListPage { revision: self.revision, keys: self.items.len() as u64, ..ListPage::default() };
        let mut bytes = 0;
        for (key, item) in self.items.range::<str, _>((start, Bound::Unbounded)) {
            if !key.as_str().starts_with(prefix) {
                break;
            }
            if page.entries.len() as u64 >= u64::from(limit) || bytes >= Self::PAGE_BYTES {
                page.more = true;
                break;
            }
            bytes += key.as_str().len() + if values { item.value.len() } else { 0 };
            page.entries.push((key.clone(), values.then(|| item.clone())));
        }
        page
    }
}

pub(super) fn digest_of(key: &Key, item: &Item) -> u64 {
    let (kind, data) = match &item.value {
        Value::Json(data) => (0, data),
        Value::Bytes(data) => (1, data),
    };
    hash::of_words([hash::of_bytes(key.as_str().as_bytes()), kind, hash::of_bytes(data), item.revision.0])
}

impl StateMachine for Store {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        self.snapshots.free();
        batch.iter().map(|committed| self.apply_one(committed.index, committed.command).encode()).collect()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let answer = match Query::decode(query) {
            Some(Query::Get { key }) => QueryAnswer::Item(self.items.get(&key).cloned()),
            Some(Query::List { prefix, after, limit, values }) => {
                QueryAnswer::Page(self.list(&prefix, after.as_deref(), limit, values))
            }
            None => QueryAnswer::Unreadable,
        };
        answer.encode()
    }

    fn digest(&self) -> u64 {
        self.items_digest.wrapping_add(hash::of_words([self.revision.0]))
    }

    fn takes_snapshots(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.freeze_items();
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        self.tell_piece()
    }

    fn thaw(&mut self) {
        self.snapshots.thaw();
    }

    fn restore_piece(&mut self, piece: &Bytes) -> Result<(), RestoreError> {
        self.snapshots.restore_piece(piece)
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        self.finish_restore()
    }

    fn abandon_restore(&mut self) {
        self.snapshots.abandon_restore();
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new(name).unwrap()
    }

    fn run(store: &mut Store, index: u64, command: &Command) -> Answer {
        let data = command.encode();
        let answers = store.apply(&[Committed { index: LogIndex(index), command: &data }]);
        assert_eq!(answers.len(), 1);
        Answer::decode(&answers[0])
    }

    fn set(store: &mut Store, index: u64, name: &str, text: &'static str) -> Answer {
        run(
            store,
            index,
            &Command::Set { key: key(name), value: Value::Json(Bytes::from_static(text.as_bytes())) },
        )
    }

    fn get(store: &Store, name: &str) -> Option<Item> {
        match QueryAnswer::decode(&store.query(&Query::Get { key: key(name) }.encode())) {
            QueryAnswer::Item(item) => item,
            other => panic!("not an item: {other:?}"),
        }
    }

    fn names(store: &Store, prefix: &str, after: Option<&str>, limit: u32) -> (Vec<String>, bool) {
        let page = store.list(prefix, after, limit, false);
        (page.entries.iter().map(|(key, _)| key.to_string()).collect(), page.more)
    }

    #[test]
    fn a_value_keeps_its_type_and_its_revision() {
        let mut store = Store::new();
        assert_eq!(set(&mut store, 3, "version", "\"1.0\""), Answer::Set);
        let blob = Value::Bytes(Bytes::from_static(&[0, 255]));
        run(&mut store, 4, &Command::Set { key: key("blob"), value: blob.clone() });
        let item = get(&store, "version").unwrap();
        assert_eq!(item, Item { value: Value::Json(Bytes::from_static(b"\"1.0\"")), revision: LogIndex(3) });
        assert_eq!(get(&store, "blob").unwrap().value, blob);
        assert_eq!(get(&store, "missing"), None);
    }

    #[test]
    fn deleting_says_whether_there_was_anything() {
        let mut store = Store::new();
        set(&mut store, 1, "a", "1");
        assert_eq!(run(&mut store, 2, &Command::Delete { key: key("a") }), Answer::Deleted(true));
        assert_eq!(run(&mut store, 3, &Command::Delete { key: key("a") }), Answer::Deleted(false));
        assert_eq!(store.revision, LogIndex(2), "removing nothing is no change");
    }

    /// The digest as it would be of a store that holds the same and never held anything else.
    fn digest_afresh(store: &Store) -> u64 {
        let revision = hash::of_words([store.revision.0]);
        store.items.iter().fold(revision, |sum, (key, item)| sum.wrapping_add(digest_of(key, item)))
    }

    #[test]
    fn the_digest_is_the_content_and_not_the_way_there() {
        let mut store = Store::new();
        let mut seen = alloc::collections::BTreeSet::from([store.digest()]);
        for index in 1..=200_u64 {
            let name = ["a", "b", "c", "d", "e"][index as usize * 7 % 5];
            match index % 4 {
                0 => run(&mut store, index, &Command::Delete { key: key(name) }),
                1 => set(&mut store, index, name, "1"),
                2 => set(&mut store, index, name, "2"),
                _ => {
                    let value = Value::Bytes(Bytes::from_static(b"2"));
                    run(&mut store, index, &Command::Set { key: key(name), value })
                }
            };
            assert_eq!(store.digest(), digest_afresh(&store), "at {index}");
            let changed = store.revision == LogIndex(index);
            assert_eq!(seen.insert(store.digest()), changed, "at {index}");
        }
    }

    #[test]
    fn a_bit_that_turned_over_shows_once_its_item_changes() {
        let changes: [fn(&mut Store) -> Answer; 2] =
            [|store| set(store, 3, "a", "5"), |store| run(store, 3, &Command::Delete { key: key("a") })];
        let damages: [fn(&mut Item); 3] = [
            |item| item.value = Value::Json(Bytes::from_static(b"0")),
            |item| item.value = Value::Bytes(Bytes::from_static(b"1")),
            |item| item.revision = LogIndex(0),
        ];
        for change in changes {
            for damage in damages {
                let (mut sound, mut damaged) = (Store::new(), Store::new());
                for store in [&mut sound, &mut damaged] {
                    set(store, 1, "a", "1");
                    set(store, 2, "b", "2");
                }
                damage(damaged.items.get_mut("a").unwrap());
                assert_eq!(damaged.digest(), sound.digest(), "nobody has looked yet");
                change(&mut sound);
                change(&mut damaged);
                assert_ne!(damaged.digest(), sound.digest());
            }
        }
    }

    #[test]
    fn unreadable_commands_change_nothing() {
        let mut store = Store::new();
        let whole = Command::Set { key: key("a"), value: Value::Json(Bytes::from_static(b"1")) }.encode();
        let mut bad: Vec<Vec<u8>> = (0..whole.len()).map(|cut| whole[..cut].to_vec()).collect();
        bad.push([&whole[..], b"x"].concat());
        bad.push(vec![9; 4]);
        for data in bad {
            let data = Bytes::from(data);
            let answers = store.apply(&[Committed { index: LogIndex(1), command: &data }]);
            assert_eq!(Answer::decode(&answers[0]), Answer::Unreadable, "{data:?}");
        }
        assert!(store.items.is_empty());
        assert_eq!(QueryAnswer::decode(&store.query(&Bytes::from_static(b"?"))), QueryAnswer::Unreadable);
    }

    #[test]
    fn listing_pages_through_a_prefix_in_order() {
        let mut store = Store::new();
        for (index, name) in ["b/2", "a", "b/1", "b/3", "c"].into_iter().enumerate() {
            set(&mut store, index as u64 + 1, name, "1");
        }
        let all: Vec<_> = ["a", "b/1", "b/2", "b/3", "c"].map(String::from).to_vec();
        assert_eq!(names(&store, "", None, 10), (all, false));
        assert_eq!(names(&store, "b/", None, 2), (vec!["b/1".into(), "b/2".into()], true));
        assert_eq!(names(&store, "b/", Some("b/2"), 2), (vec!["b/3".into()], false));
        assert_eq!(names(&store, "b/", Some("a"), 9).0.len(), 3, "an `after` before the prefix is no bound");
        assert_eq!(names(&store, "b/", Some("0"), 9).0.len(), 3, "nor where other keys lie between");
        assert_eq!(names(&store, "", None, 0), (vec![], true));
        assert_eq!(store.list("b/", None, 1, false).keys, 5, "of the whole store");
    }

    /// Whoever asks for everything gets it in pieces that fit into memory.
    #[test]
    fn a_page_ends_after_so_many_bytes() {
        let mut store = Store::new();
        let value = Value::Bytes(vec![0; 3 << 20].into());
        for (index, name) in ["aa", "bb", "cc", "dd"].into_iter().enumerate() {
            run(&mut store, index as u64 + 1, &Command::Set { key: key(name), value: value.clone() });
        }
        let page = store.list("", None, 10, true);
        assert_eq!((page.entries.len(), page.more), (3, true), "9 MiB of values");
        let page = store.list("", None, 10, false);
        assert_eq!((page.entries.len(), page.more), (4, false), "only what is asked for counts");

        let mut store = Store::new();
        let whole = Store::PAGE_BYTES / Key::MAX_LEN;
        for n in 0..=whole {
            set(&mut store, n as u64 + 1, &alloc::format!("{n:04096}"), "1");
        }
        let page = store.list("", None, u32::MAX, false);
        assert_eq!((page.entries.len(), page.more), (whole, true), "8 MiB of keys");
    }
}
