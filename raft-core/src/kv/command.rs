//! What the store can be told and asked, and how that is written down.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::value::{Item, Key, Value};
use crate::types::LogIndex;

/// The encoding's version: the first byte of every command, answer and query.
pub(super) const VERSION: u8 = 1;

/// What a command that sets a key begins with; key and value follow.
pub(super) const SET_HEAD: [u8; 2] = [VERSION, 0];

/// A change to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Gives a key a value.
    Set {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Key,
    },
}

/// What became of a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The key has the value.
    Set,
    /// Whether there was anything to remove.
    Deleted(bool),
    /// The command could not be read, by this version at least; nothing was changed.
    Unreadable,
}

/// A question to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One key's value.
    Get {
        /// The key.
        key: Key,
    },
    /// Keys and values in the order of the keys' bytes.
    List {
        /// Only keys that start with this; empty for all.
        prefix: String,
        /// Only keys after this one.
        after: Option<String>,
        /// At most so many.
        limit: u32,
        /// Whether values are wanted, or keys alone.
        values: bool,
    },
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// To `Get`.
    Item(Option<Item>),
    /// To `List`.
    Page(ListPage),
    /// The question could not be read.
    Unreadable,
}

/// A part of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// Keys in order, each with its item, or with none where only keys were asked for.
    pub entries: Vec<(Key, Option<Item>)>,
    /// Whether keys remain after the last of `entries`.
    pub more: bool,
    /// The log index at which the store last changed; zero if it never did.
    pub revision: LogIndex,
    /// Keys in the whole store.
    pub keys: u64,
}

fn encode<T: Serialize>(thing: &T, size_hint: usize) -> Bytes {
    let mut out = Vec::with_capacity(size_hint);
    out.push(VERSION);
    // Encoding into memory has no way to fail: every length is known and every type is ours.
    postcard::to_extend(thing, out).expect("encoding into memory").into()
}

fn decode<T: DeserializeOwned>(data: &[u8]) -> Option<T> {
    let (&VERSION, rest) = data.split_first()? else { return None };
    match postcard::take_from_bytes(rest) {
        Ok((thing, [])) => Some(thing),
        _ => None,
    }
}

impl Command {
    /// The key it touches.
    #[must_use]
    pub fn key(&self) -> &Key {
        let (Command::Set { key, .. } | Command::Delete { key }) = self;
        key
    }

    /// Its bytes in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let value = if let Command::Set { value, .. } = self { value.len() } else { 0 };
        encode(self, self.key().as_str().len() + value + 16)
    }

    /// Reads it back; none where the bytes are not a command of a version known here.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Command> {
        decode(data)
    }
}

impl Answer {
    pub(super) fn encode(self) -> Bytes {
        encode(&self, 8)
    }

    /// Reads a state machine's answer; `Unreadable` where the bytes are none.
    #[must_use]
    pub fn decode(data: &[u8]) -> Answer {
        decode(data).unwrap_or(Answer::Unreadable)
    }
}

impl Query {
    /// Its bytes for [`StateMachine::query`](crate::state_machine::StateMachine::query).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(self, 64)
    }

    pub(super) fn decode(data: &[u8]) -> Option<Query> {
        decode(data)
    }
}

impl QueryAnswer {
    pub(super) fn encode(&self) -> Bytes {
        let hint = match self {
            QueryAnswer::Item(Some(item)) => item.value.len() + 16,
            _ => 64,
        };
        encode(self, hint)
    }

    /// Reads a state machine's answer; `Unreadable` where the bytes are none.
    #[must_use]
    pub fn decode(data: &[u8]) -> QueryAnswer {
        decode(data).unwrap_or(QueryAnswer::Unreadable)
    }
}
