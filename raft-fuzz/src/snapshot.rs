//! Snapshots: any bytes for a file, and any pieces for the store.
//!
//! The first byte says how the file comes about: raw bytes; the snapshot of a real store, damaged; any pieces
//! in a file whose checksums are right.
//!
//! - Reading never panics, and where the bytes are cut makes no difference to what is read or refused.
//! - What is accepted says what it says: laid out anew and read again it gives the same pieces.
//! - Damage that no checksum covers up is noticed.
//! - The pieces of a store that goes on changing tell of it as it was when it was frozen, to the digest.
//! - The store takes any pieces or refuses them. Refused, it is what it was before; taken, it has the digest
//!   that was told, and gives a snapshot of its own that makes the same store.

use bytes::Bytes;
use raft_core::consensus::Configuration;
use raft_core::disk::SnapshotFile;
use raft_core::kv::{Command, Key, Store, Value};
use raft_core::snapshot::{Header, Piece, Reader, SnapshotError, Writer};
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::{ClusterId, LogIndex, NodeId, StateHash, Term};

use crate::chunks::{Chunk, Chunks, push};

/// What a file is found to hold.
type Found = Result<(Header, Vec<Piece>), SnapshotError>;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else { return };
    match mode % 3 {
        0 => raw(input),
        1 => damaged(input),
        _ => sealed(input),
    }
}

/// An input that is this file.
#[must_use]
pub fn input_of(file: &[u8]) -> Vec<u8> {
    [&[0], file].concat()
}

/// An input with these pieces in a sound file.
#[must_use]
pub fn input_of_pieces(pieces: &[Piece]) -> Vec<u8> {
    let mut input = vec![2];
    for piece in pieces {
        push(&mut input, u8::from(matches!(piece, Piece::Machine(_))), piece.bytes());
    }
    input
}

/// Lays a snapshot out.
#[must_use]
pub fn written(pieces: &[Piece]) -> Vec<u8> {
    lay_out(&header(), pieces)
}

fn header() -> Header {
    Header {
        cluster_id: ClusterId(7),
        index: LogIndex(300),
        term: Term(5),
        state_hash: StateHash(11),
        configuration_index: LogIndex(1),
        configuration: Configuration::new([NodeId::new("a").expect("a name")]),
    }
}

fn lay_out(header: &Header, pieces: &[Piece]) -> Vec<u8> {
    let mut writer = Writer::new(header);
    pieces.iter().for_each(|piece| writer.piece(piece));
    writer.finish();
    writer.take().to_vec()
}

fn read(file: &[u8], at_a_time: usize) -> Found {
    let mut reader = Reader::new(SnapshotFile::Whole(LogIndex(300)).file_name());
    let mut pieces = Vec::new();
    for part in file.chunks(at_a_time) {
        reader.feed(Bytes::copy_from_slice(part));
        assert!(reader.verified() <= file.len() as u64);
        while let Some(piece) = reader.next_piece()? {
            pieces.push(piece);
        }
    }
    reader.finish().map(|header| (header, pieces))
}

fn raw(input: &[u8]) {
    let Some((&some, file)) = input.split_first() else { return };
    let found = read(file, usize::MAX);
    for at_a_time in [1, 1 + usize::from(some)] {
        assert_eq!(read(file, at_a_time), found, "{at_a_time} bytes at a time");
    }
    match found {
        Ok((header, pieces)) => {
            let anew = lay_out(&header, &pieces);
            assert_eq!(read(&anew, usize::MAX), Ok((header, pieces)), "laid out anew");
        }
        Err(error) => says_what_is_wrong(&error),
    }
}

/// It names the file, in one line.
fn says_what_is_wrong(error: &SnapshotError) {
    let text = error.to_string();
    assert!(text.starts_with("snapshot-") && !text.contains('\n'), "{text}");
}

/// Some bytes of a snapshot are not what they were, or its end is missing.
fn damaged(input: &[u8]) {
    let Some((&[edits, cut, ..], rest)) = input.split_at_checked(2) else { return };
    let Some((edits, draft)) = rest.split_at_checked(3 * usize::from(edits % 4)) else { return };
    let sound = written(&pieces(draft));
    let mut file = sound.clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % file.len();
        file[at] ^= edit[2];
    }
    file.truncate(sound.len() - usize::from(cut) % 8);
    match read(&file, 1 + usize::from(cut)) {
        Ok(found) => {
            assert_eq!(file, sound, "damage went unnoticed");
            assert_eq!(found, (header(), pieces(draft)));
        }
        Err(error) => {
            assert_ne!(file, sound, "what is sound is refused: {error}");
            says_what_is_wrong(&error);
        }
    }
}

/// Any pieces, in a file that is sound.
fn sealed(input: &[u8]) {
    let piece = |Chunk { kind, data }: Chunk<'_>| match kind % 2 {
        0 => Piece::Sessions(Bytes::copy_from_slice(data)),
        _ => Piece::Machine(Bytes::copy_from_slice(data)),
    };
    let pieces: Vec<Piece> = Chunks::of(input).map(piece).collect();
    assert_eq!(read(&written(&pieces), 7), Ok((header(), pieces.clone())));
    let mut store = store_of([Chunk { kind: 0, data: b"before" }].into_iter());
    let before = store.digest();
    if restore(&mut store, &pieces) {
        let again = tell(&mut store, |_| {});
        let mut other = Store::new();
        assert!(restore(&mut other, &again), "its own snapshot is refused");
        assert_eq!(other.digest(), store.digest());
        assert_eq!(tell(&mut other, |_| {}), again, "equal stores, other pieces");
    } else {
        store.abandon_restore();
        assert_eq!(store.digest(), before, "a refused snapshot changed the store");
    }
}

/// Whether the store takes the state machine's pieces.
fn restore(store: &mut Store, pieces: &[Piece]) -> bool {
    let machine = pieces.iter().filter(|piece| matches!(piece, Piece::Machine(_)));
    for piece in machine {
        if store.restore_piece(piece.bytes()).is_err() {
            return false;
        }
    }
    store.restored().is_ok()
}

/// The command of a chunk. Keys are few, so that they meet again.
fn command(Chunk { kind, data }: Chunk<'_>) -> Bytes {
    let key = Key::new(&format!("k{}", kind % 16)).expect("a valid key");
    let value = Value::Bytes(Bytes::copy_from_slice(data));
    let command = if kind & 0x80 == 0 { Command::Set { key, value } } else { Command::Delete { key } };
    command.encode()
}

fn apply(store: &mut Store, index: u64, chunk: Chunk<'_>) {
    store.apply(&[Committed { index: LogIndex(index), command: &command(chunk) }]);
}

fn store_of<'a>(chunks: impl Iterator<Item = Chunk<'a>>) -> Store {
    let mut store = Store::new();
    (1..).zip(chunks).for_each(|(index, chunk)| apply(&mut store, index, chunk));
    store
}

/// All pieces of a store, with something done to it between each two.
fn tell(store: &mut Store, mut between: impl FnMut(&mut Store)) -> Vec<Piece> {
    store.freeze();
    let mut pieces = Vec::new();
    between(store);
    while let Some(piece) = store.next_piece() {
        if !piece.is_empty() {
            pieces.push(Piece::Machine(piece));
        }
        between(store);
    }
    store.thaw();
    pieces
}

/// The pieces that a real store tells while it goes on; some bytes say what is in it, the first of them after
/// how many commands it is frozen.
#[must_use]
pub fn pieces(draft: &[u8]) -> Vec<Piece> {
    let (&first, draft) = draft.split_first().unwrap_or((&0, &[]));
    let chunks: Vec<Chunk<'_>> = Chunks::of(draft).take(64).collect();
    let (before, after) = chunks.split_at(usize::from(first) % (chunks.len() + 1));
    let expected = store_of(before.iter().copied());
    let mut store = store_of(before.iter().copied());
    let mut next = (before.len() as u64 + 1..).zip(after);
    let pieces = tell(&mut store, |store| {
        if let Some((index, chunk)) = next.next() {
            apply(store, index, *chunk);
        }
    });
    let mut restored = Store::new();
    assert!(restore(&mut restored, &pieces), "a store's own pieces are refused");
    assert_eq!(restored.digest(), expected.digest(), "the pieces tell of another moment");
    pieces
}
