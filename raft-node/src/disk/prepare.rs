//! Makes segments ahead of their use, in a thread of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use raft_core::disk::FileName;

use super::data_dir::DataDir;
use super::files::failure;
use super::{DiskFailure, Operation};

/// Zeros go out in pieces of this many bytes.
const CHUNK: usize = 256 << 10;

/// After this many bytes the pieces are flushed: a flush of the log that comes in between waits for no more.
const FLUSH_EVERY: u64 = 1 << 20;

/// The thread that makes segments. Dropping it finishes what was asked for.
pub(super) struct Preparer {
    jobs: Option<Sender<Arc<Job>>>,
    thread: Option<JoinHandle<()>>,
    /// The last request for each file that no operation has waited for yet.
    requested: BTreeMap<FileName, Arc<Job>>,
}

struct Job {
    file: FileName,
    size: u64,
    head: Bytes,
    outcome: Mutex<Option<Result<(), DiskFailure>>>,
    done: Condvar,
}

impl Preparer {
    pub(super) fn spawn(dir: Arc<DataDir>) -> io::Result<Preparer> {
        let (jobs, queue) = mpsc::channel::<Arc<Job>>();
        let work = move || {
            for job in queue {
                let outcome = prepare(&dir, &job.file, job.size, &job.head);
                *job.outcome.lock() = Some(outcome);
                job.done.notify_all();
            }
        };
        let thread = thread::Builder::new().name("raft-disk-prepare".to_owned()).spawn(work)?;
        Ok(Preparer { jobs: Some(jobs), thread: Some(thread), requested: BTreeMap::new() })
    }

    /// Asks for a segment and returns at once.
    pub(super) fn request(&mut self, file: &FileName, size: u64, head: &Bytes) {
        let (file, head) = (file.clone(), head.clone());
        let job = Arc::new(Job { file, size, head, outcome: Mutex::new(None), done: Condvar::new() });
        self.start(&job);
        self.requested.insert(job.file.clone(), job);
    }

    /// Waits until a file, if it was asked for, is there. Where its preparation found no room, it is tried
    /// once more: it was done ahead of need, and there may be room by now. Nothing rests on the attempt.
    pub(super) fn wait(&mut self, file: &str) -> Result<(), DiskFailure> {
        let Some(job) = self.requested.remove(file) else { return Ok(()) };
        match job.wait() {
            Err(failure) if failure.disk_full => {
                self.start(&job);
                job.wait()
            }
            outcome => outcome,
        }
    }

    fn start(&self, job: &Arc<Job>) {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job.clone()).is_ok());
        if !sent {
            let error = "the thread that prepares segments has ended".to_owned();
            let (file, operation) = (job.file.clone(), Operation::Prepare);
            *job.outcome.lock() = Some(Err(DiskFailure { file, operation, error, disk_full: false }));
        }
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Job {
    fn wait(&self) -> Result<(), DiskFailure> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = outcome.take() {
                return outcome;
            }
            self.done.wait(&mut outcome);
        }
    }
}

/// Makes a segment: `head`, then zeros that are really written, so that later writes allocate nothing. It
/// gets its name once all of it is durable.
pub(super) fn prepare(dir: &DataDir, file: &str, size: u64, head: &[u8]) -> Result<(), DiskFailure> {
    let made = write_out(dir, file, size, head);
    made.map_err(|error| {
        // What was written so far would only take up room.
        let _ = fs::remove_file(dir.unfinished(file));
        failure(dir, file, Operation::Prepare, &error)
    })
}

fn write_out(dir: &DataDir, name: &str, size: u64, head: &[u8]) -> io::Result<()> {
    let unfinished = dir.unfinished(name);
    let mut file = File::create(&unfinished)?;
    file.write_all(head)?;
    let zeros = vec![0; CHUNK];
    let (mut length, mut flushed) = (head.len() as u64, 0);
    while length < size {
        let piece = usize::try_from(size - length).unwrap_or(CHUNK).min(CHUNK);
        file.write_all(&zeros[..piece])?;
        length += piece as u64;
        if length - flushed >= FLUSH_EVERY {
            file.sync_data()?;
            flushed = length;
        }
    }
    file.sync_all()?;
    fs::rename(&unfinished, dir.file(name))?;
    dir.flush_names()
}
