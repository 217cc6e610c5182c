//! How much of a snapshot is looked for in one turn, and written by one operation.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::{FLUSH_EVERY, TURN_BYTES, WRITE_BYTES};
use super::*;

const PIECE: usize = TURN_BYTES / 16;

/// What a state machine was asked for.
#[derive(Default)]
struct Asked {
    is_frozen: AtomicBool,
    /// In this turn.
    bytes: AtomicUsize,
    found_nothing: AtomicBool,
}

/// Its state is so many pieces. Now and then it takes a turn to find the next.
struct Pieces {
    left: u32,
    /// No compression makes them shorter.
    random: Option<ChaCha8Rng>,
    asked: Arc<Asked>,
}

impl StateMachine for Pieces {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        vec![Bytes::new(); batch.len()]
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn takes_snapshots(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.asked.is_frozen.store(true, Relaxed);
    }

    fn thaw(&mut self) {
        self.asked.is_frozen.store(false, Relaxed);
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        assert!(!self.asked.found_nothing.load(Relaxed), "it is asked again in the same turn");
        self.left = self.left.checked_sub(1)?;
        if self.left % 100 == 50 {
            self.asked.found_nothing.store(true, Relaxed);
            return Some(Bytes::new());
        }
        self.asked.bytes.fetch_add(PIECE, Relaxed);
        let mut piece = vec![0; PIECE];
        if let Some(rng) = &mut self.random {
            rng.fill_bytes(&mut piece);
        }
        Some(Bytes::from(piece))
    }
}

/// Has a snapshot of so many pieces taken: the most that was asked for in a turn, and the writes, each with
/// whether it is flushed.
fn written(pieces: u32, random: Option<ChaCha8Rng>) -> (usize, Vec<(usize, bool)>) {
    let asked = Arc::new(Asked::default());
    let machine = Pieces { left: pieces, random, asked: Arc::clone(&asked) };
    let mut server = Server::fresh(EVERY, Box::new(machine));
    server.is_held_up = true;
    server.ask_for_snapshot();
    assert!(asked.is_frozen.load(Relaxed));
    let (mut most, mut writes, mut events) = (0, vec![], VecDeque::new());
    while !server.aside.is_empty() || !events.is_empty() || server.replica.deadline() <= server.now {
        if let Some((seq, op)) = server.aside.pop_front() {
            if let AsideOp::Write { data, sync, .. } = &op {
                writes.push((data.len(), *sync));
            }
            events.push_back(server.aside_done(seq, &op));
        }
        asked.found_nothing.store(false, Relaxed);
        server.replica.step(server.now, events.pop_front().unwrap_or(Event::Tick));
        for action in server.replica.drain() {
            match action {
                Action::Aside { seq, op } => server.aside.push_back((seq, op)),
                Action::Disk(batch) if batch.sync => events.push_back(Event::Persisted(batch.seq)),
                Action::Notice(notice) => server.notices.push(notice),
                _ => {}
            }
        }
        most = most.max(asked.bytes.swap(0, Relaxed));
    }
    assert_eq!(server.taken().len(), 1);
    assert!(!asked.is_frozen.load(Relaxed), "what was frozen is let go of");
    (most, writes)
}

#[test]
fn a_turn_takes_so_much_and_a_write_is_so_long() {
    let (most, writes) = written(1000, Some(ChaCha8Rng::seed_from_u64(1)));
    assert!(most <= WRITE_BYTES + PIECE, "{most} bytes in a turn, of which a write can be made");
    let (last, others) = writes.split_last().unwrap();
    assert!(others.len() > 100);
    let mut unflushed = 0;
    for (length, sync) in others {
        assert!((WRITE_BYTES..2 * WRITE_BYTES).contains(length), "{length} bytes in one write");
        unflushed += *length as u64;
        assert_eq!(*sync, unflushed >= FLUSH_EVERY, "{unflushed} bytes are not flushed");
        if *sync {
            unflushed = 0;
        }
    }
    assert!(last.0 < 2 * WRITE_BYTES);

    // What is compressed well is a write late, and no turn is longer for that.
    let (most, writes) = written(1000, None);
    assert_eq!(most, TURN_BYTES);
    assert!(writes.len() < 5, "{writes:?}");
}
