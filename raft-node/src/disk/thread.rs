//! The thread that writes.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};
use raft_core::disk::{AsideOp, AsideSeq, DiskBatch, DiskOp};

use super::aside::Aside;
use super::data_dir::DataDir;
use super::files::Files;
use super::prepare::Preparer;
use super::{Completion, Disk, DiskFailure, Operation};

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
            let mut writer = Writer { dir, preparer, files: Files::default() };
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
    /// Waits for batches and takes all there are; none are left once the queue is closed.
    fn take(&self) -> VecDeque<DiskBatch> {
        let mut state = self.state.lock();
        while state.batches.is_empty() && !state.closed {
            self.changed.wait(&mut state);
        }
        std::mem::take(&mut state.batches)
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
}

impl Writer {
    fn run(&mut self, queue: &Queue, completions: &impl Fn(Completion)) -> Result<(), DiskFailure> {
        loop {
            let batches = queue.take();
            let Some(last) = batches.back() else { return Ok(()) };
            let last = last.seq;
            for op in batches.iter().flat_map(|batch| &batch.ops) {
                self.carry_out(op)?;
            }
            if batches.iter().any(|batch| batch.sync) {
                self.files.flush(&self.dir)?;
            }
            completions(Completion::Persisted(last));
        }
    }

    fn carry_out(&mut self, op: &DiskOp) -> Result<(), DiskFailure> {
        match op {
            DiskOp::Prepare { file, size, head } => {
                self.files.forget(file);
                self.preparer.request(file, *size, head);
                Ok(())
            }
            DiskOp::Write { file, .. } | DiskOp::Replace { file, .. } | DiskOp::Remove { file } => {
                self.preparer.wait(file)?;
                self.files.apply(&self.dir, op)
            }
        }
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
