//! The words of the paper as types, so that a term cannot stand where an index belongs.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A term: Raft's logical clock (paper §5.1). Term 0 is before the first election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The highest term a message may carry. Terms grow by one an election, so a larger one is not
    /// the work of a peer; refusing it keeps a stranger from exhausting the counter.
    pub const MAX: Term = Term(1 << 62);

    /// The term an election from this one is held in.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in the log. The first entry has index 1; 0 means "before the log".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// Before the first entry.
    pub const ZERO: LogIndex = LogIndex(0);

    /// The index after this one.
    #[must_use]
    pub fn next(self) -> LogIndex {
        LogIndex(self.0 + 1)
    }

    /// The index before this one; of zero, zero.
    #[must_use]
    pub fn prev(self) -> LogIndex {
        LogIndex(self.0.saturating_sub(1))
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which entry: an index and the term of the entry there identify it, and all before it (paper §5.3). At
/// index 0, of term 0, it is the place before the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// Its index.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of term {}", self.index, self.term)
    }
}

/// A server's name: `[A-Za-z0-9_.-]{1,64}`. A node is its id, wherever it listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeId(Arc<str>);

/// A node id that breaks the rule of [`NodeId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node id {given:?} is not valid: use 1 to 64 characters of A-Z a-z 0-9 _ . -")]
pub struct InvalidNodeId {
    given: String,
}

impl NodeId {
    /// The longest node id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and takes a name.
    ///
    /// # Errors
    /// When it is empty, longer than 64 bytes, or holds a character outside `A-Za-z0-9_.-`.
    pub fn new(name: &str) -> Result<NodeId, InvalidNodeId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.bytes().all(allowed) {
            let given = name.chars().take(80).collect();
            return Err(InvalidNodeId { given });
        }
        Ok(NodeId(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::str::FromStr for NodeId {
    type Err = InvalidNodeId;
    fn from_str(name: &str) -> Result<NodeId, InvalidNodeId> {
        NodeId::new(name)
    }
}

impl TryFrom<String> for NodeId {
    type Error = InvalidNodeId;
    fn try_from(name: String) -> Result<NodeId, InvalidNodeId> {
        NodeId::new(&name)
    }
}

/// Drawn by a cluster's first leader and committed as the first entry, so that two clusters which ever
/// shared an address are told apart. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Drawn when a data directory is made. A member whose disk was wiped comes back with another one, which
/// is how its peers know that it may have forgotten a vote (paper §5.2 needs votes to be durable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Stands for everything that was applied up to some log index: the entries, what each gave, and at times the
/// state itself. Servers that have applied equally far have the same one. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateHash(pub u64);

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How far a server has applied its log, and its state hash there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Applied {
    /// The highest log index applied.
    pub index: LogIndex,
    /// The state hash there; of index 0, zero.
    pub hash: StateHash,
}

/// A moment, as a distance from an origin that the world outside chose. Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time {
    micros: u64,
}

impl Time {
    /// The origin.
    pub const ZERO: Time = Time { micros: 0 };

    /// A moment this many microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Time {
        Time { micros }
    }

    /// Microseconds since the origin.
    #[must_use]
    pub fn as_micros(self) -> u64 {
        self.micros
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.micros.saturating_sub(earlier.micros))
    }
}

impl core::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        let micros = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Time { micros: self.micros.saturating_add(micros) }
    }
}

/// What Figure 2 calls persistent state besides the log: durable before any answer that rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this server has seen.
    pub term: Term,
    /// The candidate that received this server's vote in `term`, if any.
    pub voted_for: Option<NodeId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_ids_follow_the_contract() {
        for good in ["node_0", "a", "A.b-c_9", &"x".repeat(64)] {
            assert_eq!(NodeId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "é", "a/b", "a:1", &"x".repeat(65)] {
            assert!(NodeId::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let late = Time::from_micros(u64::MAX) + Duration::from_secs(1);
        assert_eq!(late, Time::from_micros(u64::MAX));
        assert_eq!(Time::ZERO.since(late), Duration::ZERO);
    }

    #[test]
    fn an_entry_is_told_by_its_index_and_its_term() {
        let entry = EntryId { index: LogIndex(41), term: Term(2) };
        assert_eq!(alloc::format!("{entry}"), "41 of term 2");
    }

    #[test]
    fn time_counts_microseconds() {
        let time = Time::ZERO + Duration::from_millis(3);
        assert_eq!((time.as_micros(), Time::from_micros(3000)), (3000, time));
    }
}
