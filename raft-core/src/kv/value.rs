//! Keys and values.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::types::LogIndex;

/// A key: UTF-8, 1 byte to 4 KiB.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(Arc<str>);

/// A key that breaks the rule of [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 4096 bytes of UTF-8; this one has {length}")]
pub struct InvalidKey {
    length: usize,
}

impl Key {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// Checks and takes a key.
    ///
    /// # Errors
    /// When it is empty or longer than 4 KiB.
    pub fn new(key: &str) -> Result<Key, InvalidKey> {
        Self::check(key).map(|()| Key(key.into()))
    }

    /// Whether it is a key.
    pub(super) fn check(key: &str) -> Result<(), InvalidKey> {
        match key.len() {
            1..=Self::MAX_LEN => Ok(()),
            length => Err(InvalidKey { length }),
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0.as_ref().into()
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;
    fn try_from(key: String) -> Result<Key, InvalidKey> {
        Key::new(&key)
    }
}

/// A value, which keeps the type it was set with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// The text of one JSON value, as it was given.
    Json(Bytes),
    /// Any bytes.
    Bytes(Bytes),
}

impl Value {
    /// Its size in bytes, the one that limits are stated in.
    #[must_use]
    pub fn len(&self) -> usize {
        let (Value::Json(data) | Value::Bytes(data)) = self;
        data.len()
    }

    /// Whether it has no bytes at all. JSON never is: an empty string takes two.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A value with the log index that set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The value.
    pub value: Value,
    /// The log index at which the key last changed.
    pub revision: LogIndex,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_contract() {
        for good in ["a", "\u{e9}", &"k".repeat(4096)] {
            let key = Key::new(good).unwrap();
            assert_eq!((key.as_str(), String::from(key.clone()).as_str()), (good, good));
        }
        for bad in ["", &"k".repeat(4097)] {
            assert_eq!(Key::new(bad), Err(InvalidKey { length: bad.len() }));
        }
    }

    #[test]
    fn a_value_is_as_long_as_its_bytes() {
        for length in [0, 1, 5] {
            let bytes = Bytes::from(alloc::vec![b'1'; length]);
            for value in [Value::Json(bytes.clone()), Value::Bytes(bytes)] {
                assert_eq!((value.len(), value.is_empty()), (length, length == 0));
            }
        }
    }
}
