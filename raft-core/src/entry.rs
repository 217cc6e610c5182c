//! Log entries: what is replicated, in the order it is applied.

use alloc::boxed::Box;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::consensus::Configuration;
use crate::types::{ClusterId, LogIndex, Term};

/// One entry of the replicated log (paper §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its position.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it does when it is applied.
    pub payload: Payload,
}

/// A log of small commands is mostly entries: what few of them have is kept elsewhere.
const _: () = assert!(size_of::<Entry>() <= 64);

impl Entry {
    /// What every entry costs besides its command, for limits on bytes: an upper estimate.
    pub const OVERHEAD: usize = 32;

    /// Bytes this entry takes on the wire and on disk, near enough for flow control.
    #[must_use]
    pub fn cost(&self) -> usize {
        match &self.payload {
            Payload::Noop | Payload::Snapshot => Self::OVERHEAD,
            Payload::Genesis(genesis) => Self::OVERHEAD + genesis.configuration.cost(),
            Payload::Configuration(configuration) => Self::OVERHEAD + configuration.cost(),
            Payload::Command(command) => {
                let session = command.session.as_ref().map_or(0, |s| s.client.as_bytes().len() + 16);
                Self::OVERHEAD + session + command.data.len()
            }
        }
    }
}

/// The kinds of entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// Starts a leader's term, so that it may commit what came before (paper §8, §5.4.2).
    Noop,
    /// The first entry of a cluster's log: names it.
    Genesis(Box<Genesis>),
    /// A client's command.
    Command(Command),
    /// The cluster's members from here on, on every server whose log has it (paper §6).
    Configuration(Box<Configuration>),
    /// A place at which every server takes a snapshot of its state, if it is not busy with one (paper §7).
    Snapshot,
}

/// What the first leader writes as entry 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// The new cluster's id.
    pub cluster_id: ClusterId,
    /// Its first members: those that each of them was started with.
    pub configuration: Configuration,
}

/// A command for the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Command {
    /// Makes a retried command take effect once (dissertation §6.3).
    pub session: Option<Box<SessionStep>>,
    /// The state machine's own encoding. Empty in a step with sequence 0, which only opens the session.
    pub data: Bytes,
}

/// Names one command of one client, so that its repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionStep {
    /// Who asks.
    pub client: ClientId,
    /// Which of his commands this is.
    pub sequence: Sequence,
}

/// How a client numbers its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sequence {
    /// The client id was made for this one command (an `Idempotency-Key` alone).
    Only,
    /// Opens the session and does nothing else. Repeating it is harmless.
    Open,
    /// A numbered command of an open session. Refused, never executed, where the session is not known.
    Number {
        /// From 1, each used for one command.
        number: u64,
        /// The client has had every answer below this number, so these may be forgotten.
        answered_below: u64,
    },
}

/// A client's name for itself: 1 to 128 bytes of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes")]
pub struct ClientId(Bytes);

/// A client id that breaks the rule of [`ClientId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 128 printable ASCII characters")]
pub struct InvalidClientId;

impl ClientId {
    /// The longest client id, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Checks and takes a name.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds anything but printable ASCII.
    pub fn new(name: &[u8]) -> Result<ClientId, InvalidClientId> {
        ClientId::try_from(Bytes::copy_from_slice(name))
    }

    /// The name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Bytes> for ClientId {
    type Error = InvalidClientId;
    fn try_from(name: Bytes) -> Result<ClientId, InvalidClientId> {
        let valid =
            (1..=Self::MAX_LEN).contains(&name.len()) && name.iter().all(|b| (b' '..=b'~').contains(b));
        if valid { Ok(ClientId(name)) } else { Err(InvalidClientId) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::types::NodeId;

    #[test]
    fn client_ids_follow_the_contract() {
        for good in [&b"a"[..], b" ~", &[b'x'; 128]] {
            assert_eq!(ClientId::new(good).map(|id| id.as_bytes().to_vec()), Ok(good.to_vec()));
        }
        for bad in [&b""[..], b"a\n", b"\x7f", "\u{e9}".as_bytes(), &[b'x'; 129]] {
            assert_eq!(ClientId::new(bad), Err(InvalidClientId), "{bad:?}");
        }
    }

    /// Flow control and batches count costs: they are what an entry takes, within 64 bytes.
    #[test]
    fn a_cost_is_near_what_is_written() {
        let command = |client: Option<usize>, data: usize| {
            let sequence = Sequence::Number { number: 1 << 40, answered_below: 1 << 40 };
            let client = client.map(|length| ClientId::new(&vec![b'c'; length]).unwrap());
            let session = client.map(|client| Box::new(SessionStep { client, sequence }));
            Payload::Command(Command { session, data: Bytes::from(vec![1; data]) })
        };
        let configuration = |members: usize| {
            let named = |n| (NodeId::new(&format!("{n:064}")).unwrap(), "127.0.0.1:12000".to_string());
            Configuration::with_addresses((0..members).map(named))
        };
        let genesis = |members: usize| {
            let configuration = configuration(members);
            Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId(u128::MAX), configuration }))
        };
        let mut payloads = vec![Payload::Noop, Payload::Snapshot, genesis(1), genesis(3), genesis(7)];
        payloads.extend([1, 3, 7].map(|members| Payload::Configuration(Box::new(configuration(members)))));
        for data in [0, 1, 1000] {
            payloads.extend([command(None, data), command(Some(1), data), command(Some(128), data)]);
        }
        for payload in payloads {
            let entry = Entry { index: LogIndex(1 << 40), term: Term(1 << 20), payload };
            let written = postcard::to_allocvec(&entry).unwrap().len();
            assert!(
                entry.cost().abs_diff(written) <= 64,
                "{} of {entry:?}, which takes {written}",
                entry.cost()
            );
        }
    }
}
