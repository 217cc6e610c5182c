//! The thread that writes what was recorded.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::buffer::{Batch, Buffer};
use super::ring::{Piece, Ring};

/// How long recorded events come together before they are written: what a process that is killed loses.
pub(super) const EVERY: Duration = Duration::from_millis(50);

/// A recording as it is kept.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) buffer: Buffer,
    pub(super) ring: Mutex<Ring>,
}

/// The running thread. Dropping it writes what is left and ends it.
#[derive(Debug)]
pub(super) struct Writer {
    keeper: Arc<Keeper>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts `raft-record`.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(super) fn start(ring: Ring) -> io::Result<(Arc<Keeper>, Writer)> {
        let keeper = Arc::new(Keeper { buffer: Buffer::new(), ring: Mutex::new(ring) });
        let theirs = keeper.clone();
        let work = move || {
            let mut batch = Batch::default();
            while theirs.buffer.is_on() && theirs.buffer.wait(EVERY) {
                theirs.write(&mut theirs.ring.lock(), &mut batch);
            }
        };
        let thread = thread::Builder::new().name("raft-record".to_owned()).spawn(work)?;
        Ok((keeper.clone(), Writer { keeper, thread: Some(thread) }))
    }

    /// Writes what has been recorded so far. Whoever holds the ring may do so.
    fn write(&self, ring: &mut Ring, batch: &mut Batch) {
        self.buffer.take(batch);
        for part in batch.parts() {
            if let Err(error) = ring.add(&part) {
                tracing::warn!(%error, "cannot write the recording: nothing is recorded any more");
                self.buffer.turn_off();
                break;
            }
        }
        batch.clear();
    }

    /// All there is of the recording, the very latest too; none where it has been given up. Waits for the
    /// disk.
    pub(super) fn pieces(&self) -> io::Result<std::collections::VecDeque<Piece>> {
        let mut ring = self.ring.lock();
        self.write(&mut ring, &mut Batch::default());
        ring.pieces()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.keeper.buffer.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
