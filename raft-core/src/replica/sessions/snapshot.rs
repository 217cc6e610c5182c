//! The sessions in pieces, in the same way as the store: frozen without a copy, told while commands go on.
//!
//! ```text
//! piece    version u8 · sessions in the order of their clients (postcard)
//! ```

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Session, Sessions, Used};
use crate::entry::ClientId;
use crate::snapshot::{Discarded, Frozen, PIECE_BYTES, Told};
use crate::state_machine::RestoreError;
use crate::types::LogIndex;

/// The encoding's version: the first byte of every piece.
const VERSION: u8 = 1;

/// Sessions looked at in one call at most, and sessions freed by one.
const LOOKS: usize = 4096;
const FREED: usize = 1024;

/// The sessions' part in snapshots.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshots {
    taking: Option<Frozen<ClientId, Used>>,
    /// The piece that is being filled, if it is begun.
    piece: Vec<u8>,
    restoring: Option<Restoring>,
    discarded: Discarded<ClientId, Used>,
    discarded_uses: Discarded<LogIndex, ClientId>,
}

/// Sessions in the making.
#[derive(Clone, Debug, Default)]
struct Restoring {
    sessions: BTreeMap<ClientId, Used>,
    by_use: BTreeMap<LogIndex, ClientId>,
}

impl Sessions {
    /// From now on the pieces tell of the sessions as they are now. Between two batches of commands: every
    /// command that was judged has its outcome.
    pub(crate) fn freeze(&mut self) {
        self.snapshots.taking = Some(Frozen::new(&self.sessions));
        self.snapshots.piece.clear();
    }

    /// The next piece; an empty one where it took too long to find for one call, and none when all is told.
    pub(crate) fn next_piece(&mut self) -> Option<Bytes> {
        let Snapshots { taking, piece, .. } = &mut self.snapshots;
        let is_more = taking.as_mut()?.tell(&self.sessions, LOOKS, |client, used| {
            if piece.is_empty() {
                piece.push(VERSION);
            }
            // Encoding into memory has no way to fail: every length is known and every type is ours.
            let longer = postcard::to_extend(&(client, used), core::mem::take(piece));
            *piece = longer.expect("encoding into memory");
            if piece.len() >= PIECE_BYTES { Told::Enough } else { Told::More }
        });
        match (is_more, piece.len()) {
            (false, 0) => None,
            (true, length) if length < PIECE_BYTES => Some(Bytes::new()),
            _ => Some(core::mem::take(piece).into()),
        }
    }

    /// The frozen sessions are needed no longer. There are not so many that to free them would take long.
    pub(crate) fn thaw(&mut self) {
        self.snapshots.taking = None;
        self.snapshots.piece = Vec::new();
    }

    /// A session is about to change: a snapshot that is being taken may want what it is.
    pub(super) fn save(&mut self, client: &ClientId) {
        self.snapshots.discarded.free(FREED);
        self.snapshots.discarded_uses.free(FREED);
        if let Some(taking) = &mut self.snapshots.taking {
            taking.save(client, self.sessions.get(client));
        }
    }

    /// Takes in the next piece of sessions that are to replace these.
    pub(crate) fn restore_piece(&mut self, piece: &[u8]) -> Result<(), RestoreError> {
        let result = self.snapshots.restoring.get_or_insert_default().piece(piece, self.capacity);
        if result.is_err() {
            self.abandon_restore();
        }
        result
    }

    /// All pieces were taken in.
    pub(crate) fn restored(&mut self) {
        self.thaw();
        let Restoring { sessions, by_use } = self.snapshots.restoring.take().unwrap_or_default();
        self.snapshots.discarded.add(core::mem::replace(&mut self.sessions, sessions));
        self.snapshots.discarded_uses.add(core::mem::replace(&mut self.by_use, by_use));
    }

    /// The pieces taken in are forgotten.
    pub(crate) fn abandon_restore(&mut self) {
        if let Some(Restoring { sessions, by_use }) = self.snapshots.restoring.take() {
            self.snapshots.discarded.add(sessions);
            self.snapshots.discarded_uses.add(by_use);
        }
    }
}

impl Restoring {
    fn piece(&mut self, piece: &[u8], capacity: usize) -> Result<(), RestoreError> {
        let [VERSION, sessions @ ..] = piece else {
            return Err(RestoreError::new("a piece of the sessions is of another version"));
        };
        let mut left = sessions;
        while !left.is_empty() {
            let unreadable = |_| RestoreError::new("a piece of the sessions cannot be read");
            let (session, rest) = postcard::take_from_bytes(left).map_err(unreadable)?;
            self.session(session, capacity)?;
            left = rest;
        }
        Ok(())
    }

    fn session(&mut self, (client, used): (ClientId, Used), capacity: usize) -> Result<(), RestoreError> {
        if self.sessions.last_key_value().is_some_and(|(last, _)| *last >= client) {
            return Err(RestoreError::new("the sessions are not in order"));
        }
        if self.sessions.len() == capacity || matches!(used.1, Session::Only(None)) {
            return Err(RestoreError::new("there are sessions that no server has"));
        }
        match self.by_use.entry(used.0) {
            Entry::Vacant(vacant) => drop(vacant.insert(client.clone())),
            Entry::Occupied(_) => return Err(RestoreError::new("two sessions were used at one log index")),
        }
        self.sessions.insert(client, used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::Verdict;
    use super::*;
    use crate::entry::{Sequence, SessionStep};
    use crate::replica::{CommandResult, Outcome};

    fn run(sessions: &mut Sessions, index: u64, client: u8, sequence: Sequence) {
        let client = ClientId::new(format!("client {client}").as_bytes()).unwrap();
        let (step, command) = (SessionStep { client, sequence }, Bytes::from_static(b"command"));
        if sessions.judge(LogIndex(index), &step, &command) == Verdict::Execute {
            let result = CommandResult::Answer(Bytes::from(vec![index as u8; 3]));
            sessions.executed(&step, &command, &Outcome { index: LogIndex(index), result });
        }
    }

    fn pieces(sessions: &mut Sessions) -> Vec<Bytes> {
        core::iter::from_fn(|| sessions.next_piece()).filter(|piece| !piece.is_empty()).collect()
    }

    fn restored(sessions: &mut Sessions, pieces: &[Bytes]) {
        pieces.iter().for_each(|piece| sessions.restore_piece(piece).unwrap());
        sessions.restored();
    }

    type Content = (BTreeMap<ClientId, Used>, BTreeMap<LogIndex, ClientId>);

    fn content(sessions: &Sessions) -> Content {
        (sessions.sessions.clone(), sessions.by_use.clone())
    }

    #[test]
    fn many_sessions_come_in_several_pieces() {
        let mut sessions = Sessions::new();
        for n in 0..9000_u64 {
            let client = ClientId::new(format!("{n:06}").as_bytes()).unwrap();
            let step = SessionStep { client, sequence: Sequence::Open };
            sessions.judge(LogIndex(n + 1), &step, &Bytes::new());
        }
        sessions.freeze();
        let told = pieces(&mut sessions);
        assert!(told.len() > 1 && told.iter().all(|piece| piece.len() < PIECE_BYTES + 4096));
        let mut other = Sessions::new();
        restored(&mut other, &told);
        assert_eq!(content(&other), content(&sessions));
        let (_, full) = told.split_last().unwrap();
        assert!(full.iter().all(|piece| piece.len() >= PIECE_BYTES), "however few are looked at in a call");
        // Of those that are needed no longer nothing is kept.
        sessions.freeze();
        sessions.next_piece();
        sessions.thaw();
        assert_eq!(sessions.next_piece(), None);
    }

    #[test]
    fn a_piece_ends_with_the_session_that_makes_it_long_enough() {
        let first = |answer: usize| {
            let mut sessions = Sessions::new();
            for index in 1..3 {
                let client = ClientId::new(format!("{index}").as_bytes()).unwrap();
                let (step, command) = (SessionStep { client, sequence: Sequence::Only }, Bytes::new());
                sessions.judge(LogIndex(index), &step, &command);
                let result = CommandResult::Answer(vec![7; answer].into());
                sessions.executed(&step, &command, &Outcome { index: LogIndex(index), result });
            }
            sessions.freeze();
            pieces(&mut sessions)[0].len()
        };
        let lengths: Vec<usize> = (PIECE_BYTES - 60..PIECE_BYTES).map(first).collect();
        assert!(lengths.iter().all(|length| *length >= PIECE_BYTES), "{lengths:?}");
        assert!(lengths.contains(&PIECE_BYTES), "one session was just enough: {lengths:?}");
    }

    #[test]
    fn pieces_that_are_no_sessions_are_refused_and_forgotten() {
        let mut sessions = Sessions::new();
        (1..9).for_each(|n| run(&mut sessions, n, n as u8, Sequence::Only));
        sessions.freeze();
        let told = pieces(&mut sessions);
        let client = |name: &str| ClientId::new(name.as_bytes()).unwrap();
        let piece = |sessions: &[(ClientId, Used)]| {
            let encoded = sessions.iter().flat_map(|session| postcard::to_allocvec(session).unwrap());
            Bytes::from([VERSION].into_iter().chain(encoded).collect::<Vec<u8>>())
        };
        let open = |index| (LogIndex(index), Session::Numbered { floor: 1, executed: BTreeMap::new() });
        let cases = [
            (Bytes::new(), "a piece of the sessions is of another version"),
            (Bytes::from_static(&[2]), "a piece of the sessions is of another version"),
            (told[0].slice(..9), "a piece of the sessions cannot be read"),
            (piece(&[(client("b"), open(1)), (client("a"), open(2))]), "the sessions are not in order"),
            (
                piece(&[(client("a"), open(1)), (client("b"), open(1))]),
                "two sessions were used at one log index",
            ),
            (
                piece(&[(client("a"), (LogIndex(1), Session::Only(None)))]),
                "there are sessions that no server has",
            ),
            (
                piece(&[(client("a"), open(1)), (client("b"), open(2)), (client("c"), open(3))]),
                "there are sessions that no server has",
            ),
        ];
        for (bad, expected) in cases {
            let mut other = Sessions::with_capacity(2);
            run(&mut other, 1, 1, Sequence::Open);
            let before = content(&other);
            assert_eq!(other.restore_piece(&bad).unwrap_err().to_string(), expected);
            assert_eq!(content(&other), before);
            restored(&mut other, &[]);
            assert_eq!(other.sessions.len(), 0);
        }
    }

    fn step() -> impl Strategy<Value = (u8, Sequence)> {
        let sequence = prop_oneof![
            Just(Sequence::Only),
            Just(Sequence::Open),
            (1..9_u64, 1..9_u64)
                .prop_map(|(number, answered_below)| Sequence::Number { number, answered_below }),
        ];
        (0..8_u8, sequence)
    }

    proptest! {
        #[test]
        fn the_pieces_are_those_of_the_freeze_whatever_is_executed_meanwhile(
            before in proptest::collection::vec(step(), 0..40),
            after in proptest::collection::vec(step(), 0..40),
        ) {
            // Small, so that sessions are forgotten on the way.
            let mut sessions = Sessions::with_capacity(5);
            for (index, (client, sequence)) in (1..).zip(before) {
                run(&mut sessions, index, client, sequence);
            }
            let at_freeze = content(&sessions);
            sessions.freeze();
            for (index, (client, sequence)) in (100..).zip(after.clone()) {
                run(&mut sessions, index, client, sequence);
            }
            let told = pieces(&mut sessions);
            let later = content(&sessions);
            restored(&mut sessions, &told);
            prop_assert_eq!(content(&sessions), at_freeze);
            for (index, (client, sequence)) in (100..).zip(after) {
                run(&mut sessions, index, client, sequence);
            }
            prop_assert_eq!(content(&sessions), later);
        }
    }
}
