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
use super::reserve::RESERVE_FILE;
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
    /// The last attempt at the reserve.
    reserve: Option<Arc<Job>>,
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
                let outcome = if job.file == RESERVE_FILE {
                    let made = dir.make_reserve();
                    made.map_err(|error| failure(&dir, RESERVE_FILE, Operation::Prepare, &error))
                } else {
                    prepare(&dir, &job.file, job.size, &job.head)
                };
                *job.outcome.lock() = Some(outcome);
                job.done.notify_all();
            }
        };
        let thread = thread::Builder::new().name("raft-disk-prepare".to_owned()).spawn(work)?;
        Ok(Preparer { jobs: Some(jobs), thread: Some(thread), requested: BTreeMap::new(), reserve: None })
    }

    /// Asks for a segment and returns at once.
    pub(super) fn request(&mut self, file: &FileName, size: u64, head: &Bytes) {
        let job = Arc::new(Job::new(file.clone(), size, head.clone()));
        self.start(&job);
        self.requested.insert(job.file.clone(), job);
    }

    /// Waits until a file, if it was asked for, is there. Where there was no room for it, it is still asked
    /// for: see [`Preparer::again`].
    pub(super) fn wait(&mut self, file: &str) -> Result<(), DiskFailure> {
        let Some(job) = self.requested.get(file) else { return Ok(()) };
        let outcome = job.wait();
        if outcome.as_ref().err().is_none_or(|failure| !failure.disk_full) {
            self.requested.remove(file);
        }
        outcome
    }

    /// A file for which there was no room.
    pub(super) fn lacking(&self) -> Option<DiskFailure> {
        self.requested.values().find_map(|job| job.lacked_room())
    }

    /// Whether anything is being made.
    pub(super) fn is_at_work(&self) -> bool {
        self.requested.values().chain(&self.reserve).any(|job| job.outcome.lock().is_none())
    }

    /// Tries again to make what there was no room for. Nothing rests on the attempts before.
    pub(super) fn again(&self) {
        for job in self.requested.values().filter(|job| job.lacked_room().is_some()) {
            *job.outcome.lock() = None;
            self.start(job);
        }
    }

    /// Asks for the reserve and returns at once.
    pub(super) fn request_reserve(&mut self) {
        let job = Arc::new(Job::new(RESERVE_FILE.to_owned(), 0, Bytes::new()));
        self.start(&job);
        self.reserve = Some(job);
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
    fn new(file: FileName, size: u64, head: Bytes) -> Job {
        Job { file, size, head, outcome: Mutex::new(None), done: Condvar::new() }
    }

    fn wait(&self) -> Result<(), DiskFailure> {
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            self.done.wait(&mut outcome);
        }
    }

    fn lacked_room(&self) -> Option<DiskFailure> {
        let outcome = self.outcome.lock();
        outcome.as_ref()?.as_ref().err().filter(|failure| failure.disk_full).cloned()
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
