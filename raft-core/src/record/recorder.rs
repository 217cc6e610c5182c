//! Writing a recording, while a node runs.

use alloc::vec::Vec;

use super::frame::{self, Kind};
use super::{Header, Mark, Piece};
use crate::entry::Entry;
use crate::replica::{Checkpoint, Event, Replica};
use crate::types::{EntryId, Time};

/// Encodes what goes into a replica, a frame a turn. It allocates nothing once its buffer is large enough.
#[derive(Debug, Default)]
pub struct Recorder {
    frame: Vec<u8>,
    is_open: bool,
    /// Of the last event.
    time: Time,
    mark: Option<Mark>,
}

/// A buffer that a large turn has made larger than this is not kept.
const KEPT: usize = 1 << 20;

impl Recorder {
    /// One that has yet to begin.
    #[must_use]
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Begins a file, between two turns: its first bytes.
    pub fn begin(&mut self, header: &Header, checkpoint: &Checkpoint) -> &[u8] {
        self.clear();
        (self.time, self.mark) = (checkpoint.at(), None);
        frame::begin(&mut self.frame);
        frame::put(&mut self.frame, header);
        frame::put(&mut self.frame, checkpoint);
        frame::end(&mut self.frame, 0, Kind::Begin);
        &self.frame
    }

    /// Takes note of an event, before the replica is stepped through it.
    pub fn step(&mut self, now: Time, event: &Event) {
        self.open();
        // A step back is none to the replica either.
        let after = now.as_micros().saturating_sub(self.time.as_micros());
        self.time = self.time.max(now);
        frame::put(&mut self.frame, &Piece::Step { after, event });
    }

    /// Ends a turn, after the replica was drained of so many actions: its bytes.
    pub fn drained(&mut self, replica: &Replica, actions: usize) -> &[u8] {
        self.open();
        let mark = Some(Mark::of(replica)).filter(|mark| self.mark.as_ref() != Some(mark));
        if mark.is_some() {
            self.mark.clone_from(&mark);
        }
        let actions = actions as u64;
        frame::put(&mut self.frame, &Piece::<&Event>::Drained { actions, mark });
        self.close()
    }

    /// What there is of a turn that does not come to its end, because the replica has broken down in it.
    pub fn broken_off(&mut self) -> &[u8] {
        if self.is_open { self.close() } else { &[] }
    }

    fn open(&mut self) {
        if !self.is_open {
            self.clear();
            frame::begin(&mut self.frame);
            self.is_open = true;
        }
    }

    fn close(&mut self) -> &[u8] {
        self.is_open = false;
        frame::end(&mut self.frame, 0, Kind::Turn);
        &self.frame
    }

    fn clear(&mut self) {
        self.is_open = false;
        self.frame.clear();
        self.frame.shrink_to(KEPT);
    }
}

/// Adds entries of the log to what is to stand before a recording's first file. To be called for one piece of
/// the log after the other, from the first entry to the file's base or beyond.
pub fn prologue<'a>(entries: impl IntoIterator<Item = &'a Entry>, out: &mut Vec<u8>) {
    let at = frame::begin(out);
    for entry in entries {
        frame::put(out, entry);
    }
    frame::end(out, at, Kind::Entries);
}

/// Adds a part of a snapshot's file to what is to stand before a recording's first file, and before the
/// entries. `base` is the entry before the first of these. To be called for one part after the other.
pub fn prologue_snapshot(base: EntryId, part: &[u8], out: &mut Vec<u8>) {
    let at = frame::begin(out);
    frame::put(out, &base);
    out.extend_from_slice(part);
    frame::end(out, at, Kind::Snapshot);
}
