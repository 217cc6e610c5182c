//! What the store keeps of a key: the command that gave it its value, as the log holds it.
//!
//! A log entry's command is memory of its own, so store and log share it, and a key costs one piece of memory
//! however often it is handed on. The store's order is that of the keys within.
//!
//! ```text
//! command        version u8 · kind u8 · key · value      (postcard)
//! in a snapshot                          key · value · revision
//! ```

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::{SET_HEAD, VERSION};
use super::value::{Item, Key, Value};
use crate::hash;
use crate::types::LogIndex;

/// A command without copies of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CommandRef<'a> {
    Set { key: &'a str, value: ValueRef<'a> },
    Delete { key: &'a str },
}

/// Likewise a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ValueRef<'a> {
    Json(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> CommandRef<'a> {
    /// Reads it; none where [`super::Command::decode`] gives none.
    pub(super) fn decode(command: &'a [u8]) -> Option<CommandRef<'a>> {
        let (&VERSION, rest) = command.split_first()? else { return None };
        let (read, []) = postcard::take_from_bytes::<CommandRef<'a>>(rest).ok()? else { return None };
        let (CommandRef::Set { key, .. } | CommandRef::Delete { key }) = read;
        Key::check(key).ok().map(|()| read)
    }
}

impl ValueRef<'_> {
    fn len(self) -> usize {
        let (ValueRef::Json(data) | ValueRef::Bytes(data)) = self;
        data.len()
    }
}

/// A key with its value, and the log index at which it was set. Compared by the key alone.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// A command that sets the key, in the only way in which [`super::Command::encode`] writes it: it goes
    /// into snapshots as it stands, and those are the same everywhere.
    command: Bytes,
    pub(super) revision: LogIndex,
}

impl Stored {
    /// From a command, and what was read from it.
    pub(super) fn new(command: &Bytes, key: &str, value: ValueRef<'_>, revision: LogIndex) -> Stored {
        // A number may be written longer than it need be; only then are there more bytes.
        let lengths = length_of(key.len()) + length_of(value.len());
        let shortest = SET_HEAD.len() + lengths + key.len() + 1 + value.len();
        let command = if command.len() == shortest {
            command.clone()
        } else {
            let read = CommandRef::Set { key, value };
            let out = Vec::with_capacity(shortest);
            encode(encode(out, &VERSION), &read).into()
        };
        Stored { command, revision }
    }

    /// The bytes of the key.
    pub(super) fn key(&self) -> &[u8] {
        let (length, rest) = number(&self.command[SET_HEAD.len()..]);
        &rest[..length]
    }

    /// The key as text.
    pub(super) fn key_text(&self) -> &str {
        core::str::from_utf8(self.key()).expect("a key was read as text")
    }

    /// The kind of the value and its bytes.
    fn value(&self) -> (u8, &[u8]) {
        let (length, rest) = number(&self.command[SET_HEAD.len()..]);
        let rest = &rest[length..];
        (rest[0], number(&rest[1..]).1)
    }

    /// The value and its revision, without a copy.
    pub(super) fn item(&self) -> Item {
        let (kind, data) = self.value();
        let data = self.command.slice_ref(data);
        let value = if kind == 0 { Value::Json(data) } else { Value::Bytes(data) };
        Item { value, revision: self.revision }
    }

    /// Stands for key, value and revision.
    pub(super) fn digest(&self) -> u64 {
        let (kind, data) = self.value();
        let (key, data) = (hash::of_bytes(self.key()), hash::of_bytes(data));
        hash::of_words([key, u64::from(kind), data, self.revision.0])
    }

    /// Appends what a snapshot tells of it.
    pub(super) fn tell(&self, mut out: Vec<u8>) -> Vec<u8> {
        out.extend_from_slice(&self.command[SET_HEAD.len()..]);
        encode(out, &self.revision)
    }

    /// The next one that a piece of a snapshot tells of, and what follows it.
    pub(super) fn told(piece: &[u8]) -> Option<(Stored, &[u8])> {
        let ((key, value), rest) = postcard::take_from_bytes::<(&str, ValueRef<'_>)>(piece).ok()?;
        let set = &piece[..piece.len() - rest.len()];
        let (revision, rest) = postcard::take_from_bytes(rest).ok()?;
        Key::check(key).ok()?;
        let mut command = Vec::with_capacity(SET_HEAD.len() + set.len());
        command.extend_from_slice(&SET_HEAD);
        command.extend_from_slice(set);
        Some((Stored::new(&command.into(), key, value, revision), rest))
    }

    /// With another value in its place, as if memory had changed.
    #[cfg(test)]
    pub(super) fn damaged(&self, item: Item) -> Stored {
        let command =
            super::Command::Set { key: Key::new(self.key_text()).expect("a key"), value: item.value };
        Stored { command: command.encode(), revision: item.revision }
    }
}

/// The number at the start, seven bits a byte, and what follows it.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let (mut number, mut shift) = (0, 0);
    for (position, byte) in bytes.iter().enumerate() {
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (number, &bytes[position + 1..]);
        }
        shift += 7;
    }
    unreachable!("what is stored was read before")
}

/// In how many bytes a number is written.
fn length_of(number: usize) -> usize {
    (number.max(1).ilog2() / 7) as usize + 1
}

/// Encoding into memory has no way to fail: every length is known and every type is ours.
pub(super) fn encode(out: Vec<u8>, thing: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(thing, out).expect("encoding into memory")
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Stored {}

impl PartialOrd for Stored {
    fn partial_cmp(&self, other: &Stored) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stored {
    fn cmp(&self, other: &Stored) -> Ordering {
        self.key().cmp(other.key())
    }
}

// So that a map can be searched by the bytes of text that need not be a valid key, such as an empty prefix.
impl Borrow<[u8]> for Stored {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::Command;
    use super::*;

    fn stored(command: &Bytes, revision: u64) -> Option<Stored> {
        match CommandRef::decode(command)? {
            CommandRef::Set { key, value } => Some(Stored::new(command, key, value, LogIndex(revision))),
            CommandRef::Delete { .. } => None,
        }
    }

    fn set(key: &str, value: Value) -> Command {
        Command::Set { key: Key::new(key).unwrap(), value }
    }

    #[test]
    fn it_shares_the_memory_of_the_command() {
        let command = set("key", Value::Bytes(vec![7; 300].into())).encode();
        let stored = stored(&command, 1).unwrap();
        assert_eq!(stored.command.as_ptr(), command.as_ptr());
        let Value::Bytes(data) = stored.item().value else { panic!("another kind") };
        assert!(command.as_ptr_range().contains(&data.as_ptr()));
    }

    /// Postcard reads a number that is written longer than it need be.
    #[test]
    fn a_command_that_is_written_at_length_is_stored_as_any_other() {
        let short = set("key", Value::Json(Bytes::from_static(b"17"))).encode();
        let at = |position: usize| {
            let mut long = short.to_vec();
            long[position] |= 0x80;
            long.insert(position + 1, 0);
            Bytes::from(long)
        };
        // The kind, the key's length, the value's kind and its length.
        for position in [1, 2, 6, 7] {
            let long = at(position);
            assert_eq!(Command::decode(&long), Command::decode(&short), "at {position}");
            assert_eq!(stored(&long, 1).unwrap().command, short, "at {position}");
            let told = [&long[2..], &[1]].concat();
            if position > 1 {
                assert_eq!(Stored::told(&told).unwrap().0.command, short, "at {position}");
            }
        }
    }

    #[test]
    fn lengths_of_numbers() {
        for (number, length) in [(0, 1), (1, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 20, 3)] {
            assert_eq!(length_of(number), length, "{number}");
            let written = encode(vec![], &number);
            assert_eq!((written.len(), super::number(&written)), (length, (number, &[][..])));
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_command_says(
            key in "[a-z\u{e9}\u{20ac}]{1,200}",
            data in proptest::collection::vec(any::<u8>(), 0..20_000),
            is_json in any::<bool>(),
            revision in any::<u64>(),
            other in "[a-z\u{e9}\u{20ac}]{1,4}",
        ) {
            let value = if is_json { Value::Json(data.into()) } else { Value::Bytes(data.into()) };
            let command = set(&key, value.clone()).encode();
            let one = stored(&command, revision).unwrap();
            let item = Item { value, revision: LogIndex(revision) };
            prop_assert_eq!((one.key_text(), one.item()), (&key[..], item.clone()));
            // As the types themselves are written.
            let told = one.tell(vec![]);
            prop_assert_eq!(&told, &encode(vec![], &(Key::new(&key).unwrap(), item)));
            let (again, rest) = Stored::told(&told).unwrap();
            prop_assert_eq!((&again.command, again.revision, rest.len()), (&one.command, one.revision, 0));
            let another = stored(&set(&other, Value::Json(Bytes::new())).encode(), 1).unwrap();
            prop_assert_eq!(one.cmp(&another), key.cmp(&other));
        }

        #[test]
        fn whatever_comes_is_read_as_a_command_or_not_at_all(
            bytes in proptest::collection::vec(0..5_u8, 0..12),
        ) {
            let command = Command::decode(&bytes);
            let read = CommandRef::decode(&bytes);
            prop_assert_eq!(command.is_some(), read.is_some());
            let key = |read: CommandRef<'_>| match read {
                CommandRef::Set { key, .. } | CommandRef::Delete { key } => String::from(key),
            };
            prop_assert_eq!(command.map(|command| String::from(command.key().as_str())), read.map(key));
            if let Some(one) = stored(&bytes.clone().into(), 1) {
                prop_assert!(!one.key().is_empty());
            }
        }
    }
}
