//! What the driver has recorded and the thread has not yet written.

use std::mem::swap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use raft_core::types::LogIndex;

/// Bytes that may wait to be written. Where there are more, the recording has a gap.
const MOST: usize = 8 << 20;
/// Room that a recording with a gap waits for before it goes on.
const ENOUGH_ROOM: usize = MOST / 2;

/// A new piece of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The entries up to here are not in its checkpoint.
    pub(super) base: LogIndex,
    /// Whether it does not follow the piece before.
    pub(super) after_gap: bool,
}

/// Room for all of that, and for a turn more. It is there from the start: to move megabytes to where there is
/// more takes so long that the driver would notice. Memory that is not written to is none.
const CAPACITY: usize = MOST + (1 << 20);

/// Bytes in order, and where in them pieces start.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    starts: Vec<(usize, Start)>,
}

/// A part of one piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Whether it starts a new piece.
    pub(super) start: Option<Start>,
    pub(super) bytes: &'a [u8],
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { bytes: Vec::with_capacity(CAPACITY), starts: Vec::new() }
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is in it, piece by piece.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let first = self.starts.first().map_or(self.bytes.len(), |(at, _)| *at);
        let before = Part { start: None, bytes: &self.bytes[..first] };
        let pieces = self.starts.iter().enumerate().map(|(number, (at, start))| {
            let end = self.starts.get(number + 1).map_or(self.bytes.len(), |(at, _)| *at);
            Part { start: Some(*start), bytes: &self.bytes[*at..end] }
        });
        Some(before).filter(|part| !part.bytes.is_empty()).into_iter().chain(pieces)
    }

    /// Empties it. Memory is kept for the next one, unless there was a flood.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(CAPACITY);
        self.starts.clear();
    }
}

/// Between the driver and the thread that writes.
#[derive(Debug)]
pub(super) struct Buffer {
    state: Mutex<State>,
    changed: Condvar,
    is_on: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// The thread waits to be woken.
    parked: bool,
    /// The driver is gone.
    closed: bool,
}

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer { state: Mutex::default(), changed: Condvar::new(), is_on: AtomicBool::new(true) }
    }

    /// Whether anything is written any more.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Nothing will be written any more.
    pub(super) fn turn_off(&self) {
        self.is_on.store(false, Ordering::Relaxed);
        self.state.lock().batch = Batch { bytes: Vec::new(), starts: Vec::new() };
    }

    /// Adds to the piece that is being recorded. Refused where too much waits already.
    pub(super) fn append(&self, bytes: &[u8]) -> bool {
        let batch = &mut self.state.lock().batch;
        let fits = batch.bytes.len() < MOST;
        if fits {
            batch.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// Starts a new piece.
    pub(super) fn start(&self, start: Start, bytes: &[u8]) {
        let batch = &mut self.state.lock().batch;
        batch.starts.push((batch.bytes.len(), start));
        batch.bytes.extend_from_slice(bytes);
    }

    /// Whether a recording with a gap may go on.
    pub(super) fn has_room(&self) -> bool {
        self.state.lock().batch.bytes.len() <= MOST - ENOUGH_ROOM
    }

    /// Wakes the thread if it waits and there is something for it: once in a while, not for every turn.
    pub(super) fn nudge(&self) {
        let mut state = self.state.lock();
        if state.parked && !state.batch.is_empty() {
            state.parked = false;
            self.changed.notify_one();
        }
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Takes what there is in exchange for an empty batch.
    pub(super) fn take(&self, empty: &mut Batch) {
        swap(&mut self.state.lock().batch, empty);
    }

    /// Waits until as much has come together as does in that time, or no more will. Where nothing came the
    /// thread sleeps until something does: a node that is busy need not wake it. False where there is nothing
    /// and no more will come.
    pub(super) fn wait(&self, gathering: Duration) -> bool {
        let mut state = self.state.lock();
        loop {
            let until = std::time::Instant::now() + gathering;
            while !state.closed && !self.changed.wait_until(&mut state, until).timed_out() {}
            if state.closed || !state.batch.is_empty() {
                return !state.batch.is_empty();
            }
            while state.batch.is_empty() && !state.closed {
                state.parked = true;
                self.changed.wait(&mut state);
            }
            state.parked = false;
        }
    }
}
