//! The store itself: an ordered map, changed by commands alone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use bytes::Bytes;

use super::command::{Answer, ListPage, Query, QueryAnswer};
use super::snapshot::Snapshots;
use super::stored::{CommandRef, Stored};
use super::value::Key;
use crate::hash;
use crate::seeded::{self, Bug};
use crate::state_machine::{Committed, RestoreError, StateMachine};
use crate::types::LogIndex;

/// Keys and values, with the log index of each key's last change.
#[derive(Debug, Default)]
pub struct Store {
    pub(super) items: BTreeMap<Stored, ()>,
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

    fn apply_one(&mut self, index: LogIndex, command: &Bytes) -> Answer {
        match CommandRef::decode(command) {
            Some(CommandRef::Set { key, value }) => {
                let stored = Stored::new(command, key, value, index);
                self.items_digest = self.items_digest.wrapping_add(stored.digest());
                if !self.remove(key) {
                    self.save(&stored, None);
                }
                self.items.insert(stored, ());
                self.revision = index;
                Answer::Set
            }
            Some(CommandRef::Delete { key }) => {
                let is_removed = self.remove(key);
                if is_removed {
                    self.revision = index;
                }
                Answer::Deleted(is_removed)
            }
            None => Answer::Unreadable,
        }
    }

    /// Removes a key; whether it was there.
    fn remove(&mut self, key: &str) -> bool {
        let Some((removed, ())) = self.items.remove_entry(key.as_bytes()) else { return false };
        self.items_digest = self.items_digest.wrapping_sub(removed.digest());
        self.save(&removed, Some(&()));
        true
    }

    /// A key changes: a snapshot that is being taken may want what it had.
    fn save(&mut self, stored: &Stored, value: Option<&()>) {
        if let Some(taking) = &mut self.snapshots.taking
            && !seeded::is(Bug::SnapshotNotFrozen)
        {
            taking.items.save(stored, value);
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: u32, values: bool) -> ListPage {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix.as_bytes()),
        };
        let mut page =
            ListPage { revision: self.revision, keys: self.items.len() as u64, ..ListPage::default() };
        let mut bytes = 0;
        for stored in self.items.range::<[u8], _>((start, Bound::Unbounded)).map(|(stored, ())| stored) {
            if !stored.key().starts_with(prefix.as_bytes()) {
                break;
            }
            if page.entries.len() as u64 >= u64::from(limit) || bytes >= Self::PAGE_BYTES {
                page.more = true;
                break;
            }
            let key = Key::new(stored.key_text()).expect("what is stored has a valid key");
            let item = values.then(|| stored.item());
            bytes += key.as_str().len() + item.as_ref().map_or(0, |item| item.value.len());
            page.entries.push((key, item));
        }
        page
    }
}

impl StateMachine for Store {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        self.snapshots.free();
        batch.iter().map(|committed| self.apply_one(committed.index, committed.command).encode()).collect()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let answer = match Query::decode(query) {
            Some(Query::Get { key }) => {
                let found = self.items.get_key_value(key.as_str().as_bytes());
                QueryAnswer::Item(found.map(|(stored, ())| stored.item()))
            }
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

    use super::super::command::Command;
    use super::super::value::{Item, Value};
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
        store.items.keys().fold(revision, |sum, stored| sum.wrapping_add(stored.digest()))
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
                let (stored, ()) = damaged.items.remove_entry(&b"a"[..]).unwrap();
                let mut item = stored.item();
                damage(&mut item);
                damaged.items.insert(stored.damaged(item), ());
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
