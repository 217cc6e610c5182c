//! The thread that writes.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use raft_core::disk::{AsideOp, AsideSeq, DiskBatch, DiskOp};

use super::aside::Aside;
use super::data_dir::DataDir;
use super::files::Files;
use super::prepare::Preparer;
use super::{Completion, Disk, DiskFailure, Operation};

/// How often a disk that is full is tried.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Starts a data directory's writing thread, `raft-disk`.
pub struct DiskThread;

/// A running [`DiskThread`]. Dropping it carries out what was submitted, reports it, and releases the
/// directory.
pub struct DiskHandle {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    aside: Aside,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<DiskBatch>,
    /// No more will be submitted.
    closed: bool,
    /// Nothing will be carried out any more.
    failed: bool,
}

impl DiskThread {
    /// Takes the directory over. `completions` is called in the writing thread, once for all batches that
    /// were flushed together, or a last time with a failure; and in the thread for what is done aside, once
    /// for each operation. It must not block.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(
        dir: DataDir,
        completions: impl Fn(Completion) + Send + Sync + 'static,
    ) -> io::Result<DiskHandle> {
        let queue = Arc::new(Queue::default());
        let theirs = queue.clone();
        let dir = Arc::new(dir);
        let preparer = Preparer::spawn(dir.clone())?;
        let completions = Arc::new(completions);
        let aside = Aside::spawn(dir.clone(), completions.clone())?;
        let work = move || {
            let mut writer = Writer::new(dir, preparer);
            // A defect here must reach the node as a failure of its disk, not leave it waiting.
            let run = catch_unwind(AssertUnwindSafe(|| writer.run(&theirs, &*completions)));
            let failure = match run {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => writer.broke_down(),
            };
            theirs.fail();
            completions(Completion::Failed(failure));
        };
        let thread = thread::Builder::new().name("raft-disk".to_owned()).spawn(work)?;
        Ok(DiskHandle { queue, thread: Some(thread), aside })
    }
}

impl Disk for DiskHandle {
    fn submit(&self, batch: DiskBatch) {
        let mut state = self.queue.state.lock();
        if state.failed {
            return;
        }
        state.batches.push_back(batch);
        drop(state);
        self.queue.changed.notify_one();
    }

    fn submit_aside(&self, seq: AsideSeq, op: AsideOp) {
        self.aside.submit(seq, op);
    }
}

impl Drop for DiskHandle {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// Waits for batches, until then at most, and takes all there are; nothing once the queue is closed and
    /// empty.
    fn take(&self, until: Option<Instant>) -> Option<VecDeque<DiskBatch>> {
        let mut state = self.state.lock();
        while state.batches.is_empty() && !state.closed {
            match until {
                None => self.changed.wait(&mut state),
                Some(until) if self.changed.wait_until(&mut state, until).timed_out() => break,
                Some(_) => {}
            }
        }
        let is_over = state.batches.is_empty() && state.closed;
        (!is_over).then(|| std::mem::take(&mut state.batches))
    }

    /// Waits for some time; whether more is to be done after that.
    fn pause(&self, time: Duration) -> bool {
        let (mut state, until) = (self.state.lock(), Instant::now() + time);
        while !state.closed && !self.changed.wait_until(&mut state, until).timed_out() {}
        !state.closed
    }

    fn fail(&self) {
        let mut state = self.state.lock();
        state.failed = true;
        state.batches.clear();
    }
}

struct Writer {
    dir: Arc<DataDir>,
    preparer: Preparer,
    files: Files,
    has_reserve: bool,
    /// Whether it was reported that there is no room.
    is_full: bool,
    /// When to look for room again.
    look_at: Instant,
}

impl Writer {
    fn new(dir: Arc<DataDir>, preparer: Preparer) -> Writer {
        let has_reserve = dir.has_reserve();
        let (files, look_at) = (Files::default(), Instant::now());
        Writer { dir, preparer, files, has_reserve, is_full: false, look_at }
    }

    fn run(&mut self, queue: &Queue, completions: &impl Fn(Completion)) -> Result<(), DiskFailure> {
        loop {
            self.look_for_room(completions);
            let is_content = self.has_reserve && !self.is_full;
            let Some(batches) = queue.take((!is_content).then_some(self.look_at)) else { return Ok(()) };
            let Some(last) = batches.back() else { continue };
            let last = last.seq;
            for op in batches.iter().flat_map(|batch| &batch.ops) {
                self.carry_out(op, queue, completions)?;
            }
            if batches.iter().any(|batch| batch.sync) {
                self.files.flush(&self.dir)?;
            }
            completions(Completion::Persisted(last));
        }
    }

    fn carry_out(
        &mut self,
        op: &DiskOp,
        queue: &Queue,
        completions: &impl Fn(Completion),
    ) -> Result<(), DiskFailure> {
        match op {
            DiskOp::Prepare { file, size, head } => {
                self.files.forget(file);
                self.preparer.request(file, *size, head);
                Ok(())
            }
            DiskOp::Write { file, .. } | DiskOp::Replace { file, .. } | DiskOp::Remove { file } => {
                self.wait_for(file, queue, completions)?;
                match self.files.apply(&self.dir, op) {
                    // A file that was to be replaced is as it was.
                    Err(failure) if failure.disk_full && is_atomic(op) && self.give_up_reserve() => {
                        self.files.apply(&self.dir, op)
                    }
                    outcome => outcome,
                }
            }
        }
    }

    /// Waits until a file that was asked for is there. It may have been tried when there was no room, ahead
    /// of need: so it is tried again, then with what the reserve takes, then until somebody has made room.
    fn wait_for(
        &mut self,
        file: &str,
        queue: &Queue,
        completions: &impl Fn(Completion),
    ) -> Result<(), DiskFailure> {
        let mut attempts = 0;
        while let Err(failure) = self.preparer.wait(file) {
            if !failure.disk_full {
                return Err(failure);
            }
            attempts += 1;
            if attempts > 1 {
                self.report_full(failure.clone(), completions);
                if !self.give_up_reserve() && !queue.pause(LOOK_AGAIN) {
                    return Err(failure);
                }
            }
            self.preparer.again();
        }
        Ok(())
    }

    /// Reports what there is no room for, tries again now and then, and reports once all of it is there and
    /// the reserve too. Where only the reserve lacks room, that is no reason to report anything.
    fn look_for_room(&mut self, completions: &impl Fn(Completion)) {
        let lacking = self.preparer.lacking();
        if let Some(failure) = lacking.clone() {
            self.report_full(failure, completions);
        }
        if self.preparer.is_at_work() {
            // There is news soon.
        } else if lacking.is_none() && (self.has_reserve || self.dir.has_reserve()) {
            self.has_reserve = true;
            if std::mem::take(&mut self.is_full) {
                completions(Completion::HasRoom);
            }
        } else if self.look_at <= Instant::now() {
            match lacking {
                Some(_) => self.preparer.again(),
                None => self.preparer.request_reserve(),
            }
        }
        if self.look_at <= Instant::now() {
            self.look_at = Instant::now() + LOOK_AGAIN;
        }
    }

    fn report_full(&mut self, failure: DiskFailure, completions: &impl Fn(Completion)) {
        if !std::mem::replace(&mut self.is_full, true) {
            self.look_at = Instant::now() + LOOK_AGAIN;
            completions(Completion::Full(failure));
        }
    }

    /// Gives the reserve up; whether there was one.
    fn give_up_reserve(&mut self) -> bool {
        self.has_reserve = false;
        self.dir.release_reserve()
    }

    fn broke_down(&self) -> DiskFailure {
        DiskFailure {
            file: self.dir.path().display().to_string(),
            operation: Operation::Work,
            error: "the disk thread broke down (a defect of the program)".to_owned(),
            disk_full: false,
        }
    }
}

/// Whether a file is as it was where the operation fails.
fn is_atomic(op: &DiskOp) -> bool {
    matches!(op, DiskOp::Replace { .. } | DiskOp::Remove { .. })
}
