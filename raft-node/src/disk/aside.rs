//! What is done aside of the log, in a thread of its own: snapshot files are made, read and removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use raft_core::disk::{AsideError, AsideErrorKind, AsideOp, AsideOutcome, AsideSeq, FileName};

use super::Completion;
use super::data_dir::{DataDir, is_full};

/// The thread `raft-aside`. Dropping it finishes what it was given.
pub(super) struct Aside {
    jobs: Option<Sender<(AsideSeq, AsideOp)>>,
    thread: Option<JoinHandle<()>>,
}

impl Aside {
    pub(super) fn spawn(
        dir: Arc<DataDir>,
        completions: Arc<impl Fn(Completion) + Send + Sync + 'static>,
    ) -> io::Result<Aside> {
        let (jobs, queue) = mpsc::channel();
        let work = move || {
            let mut worker = Worker { dir, open: None };
            for (seq, op) in queue {
                // A defect here must end the snapshot it is about, not leave the node waiting.
                let run = catch_unwind(AssertUnwindSafe(|| worker.carry_out(&op)));
                let outcome = run.unwrap_or_else(|_| Err(worker.broke_down(&op)));
                completions(Completion::Aside { seq, outcome });
            }
        };
        let thread = thread::Builder::new().name("raft-aside".to_owned()).spawn(work)?;
        Ok(Aside { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) fn submit(&self, seq: AsideSeq, op: AsideOp) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when the channel does.
            let _ = jobs.send((seq, op));
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    dir: Arc<DataDir>,
    /// The file that was read or written last.
    open: Option<Open>,
}

struct Open {
    name: FileName,
    file: File,
    length: u64,
}

impl Worker {
    fn carry_out(&mut self, op: &AsideOp) -> AsideOutcome {
        let done = match op {
            AsideOp::Create { file } => self.create(file),
            AsideOp::Write { file, offset, data, sync } => self.write(file, *offset, data, *sync),
            AsideOp::Finish { file, length, name } => self.finish(file, *length, name),
            AsideOp::Read { file, offset, length } => {
                return self.read(file, *offset, *length).map_err(|error| self.error(op, &error));
            }
            AsideOp::Remove { file } => self.remove(file),
        };
        done.map(|()| Bytes::new()).map_err(|error| {
            // What could not be written may be there in part: the next attempt opens it anew.
            self.open = None;
            self.error(op, &error)
        })
    }

    fn create(&mut self, name: &FileName) -> io::Result<()> {
        self.open = None;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(self.dir.file(name))?;
        self.open = Some(Open { name: name.clone(), file, length: 0 });
        self.dir.flush_names()
    }

    fn write(&mut self, name: &FileName, offset: u64, data: &[u8], sync: bool) -> io::Result<()> {
        let open = self.opened(name)?;
        if offset > open.length {
            return Err(beyond_the_end(offset, open.length));
        }
        open.file.write_all_at(data, offset)?;
        open.length = open.length.max(offset + data.len() as u64);
        if sync { open.file.sync_data() } else { Ok(()) }
    }

    fn read(&mut self, name: &FileName, offset: u64, length: u32) -> io::Result<Bytes> {
        let open = self.opened(name)?;
        let length = u64::from(length).min(open.length.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        open.file.read_exact_at(&mut bytes, offset)?;
        Ok(Bytes::from(bytes))
    }

    fn finish(&mut self, name: &FileName, length: u64, new_name: &FileName) -> io::Result<()> {
        let open = self.opened(name)?;
        if length > open.length {
            return Err(beyond_the_end(length, open.length));
        }
        open.file.set_len(length)?;
        open.file.sync_all()?;
        self.open = None;
        fs::rename(self.dir.file(name), self.dir.file(new_name))?;
        self.dir.flush_names()
    }

    fn remove(&mut self, name: &FileName) -> io::Result<()> {
        self.open = None;
        match fs::remove_file(self.dir.file(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.dir.flush_names(),
        }
    }

    fn opened(&mut self, name: &FileName) -> io::Result<&mut Open> {
        if self.open.as_ref().is_none_or(|open| open.name != *name) {
            let file = OpenOptions::new().read(true).write(true).open(self.dir.file(name))?;
            let length = file.metadata()?.len();
            self.open = Some(Open { name: name.clone(), file, length });
        }
        Ok(self.open.as_mut().expect("just opened"))
    }

    fn error(&self, op: &AsideOp, error: &io::Error) -> AsideError {
        let kind = match error.kind() {
            ErrorKind::NotFound => AsideErrorKind::NotFound,
            _ if is_full(error) => AsideErrorKind::NoRoom,
            _ => AsideErrorKind::Other,
        };
        let file = self.dir.file(op.file());
        AsideError { kind, reason: format!("cannot {} {}: {error}", verb(op), file.display()) }
    }

    fn broke_down(&mut self, op: &AsideOp) -> AsideError {
        self.open = None;
        self.error(op, &io::Error::other("the thread broke down (a defect of the program)"))
    }
}

fn beyond_the_end(offset: u64, length: u64) -> io::Error {
    let reason = format!("byte {offset} is beyond its end, at {length}");
    io::Error::new(ErrorKind::InvalidInput, reason)
}

fn verb(op: &AsideOp) -> &'static str {
    match op {
        AsideOp::Create { .. } => "create",
        AsideOp::Write { .. } => "write to",
        AsideOp::Finish { .. } => "finish",
        AsideOp::Read { .. } => "read",
        AsideOp::Remove { .. } => "remove",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use raft_core::disk::SnapshotFile;
    use raft_core::types::LogIndex;
    use tempfile::TempDir;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Bench {
        directory: TempDir,
        aside: Aside,
        done: mpsc::Receiver<Completion>,
        last: u64,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let dir = Arc::new(DataDir::open(directory.path()).expect("usable"));
            let (sender, done) = mpsc::channel();
            let report = Arc::new(move |completion| drop(sender.send(completion)));
            let aside = Aside::spawn(dir, report).expect("a thread");
            Bench { directory, aside, done, last: 0 }
        }

        fn outcome(&mut self, op: AsideOp) -> AsideOutcome {
            self.last += 1;
            self.aside.submit(AsideSeq(self.last), op);
            match self.done.recv_timeout(PATIENCE).expect("an answer") {
                Completion::Aside { seq, outcome } => {
                    assert_eq!(seq, AsideSeq(self.last));
                    outcome
                }
                other => panic!("{other:?}"),
            }
        }

        fn read(&mut self, file: &str, offset: u64, length: u32) -> AsideOutcome {
            self.outcome(AsideOp::Read { file: file.to_owned(), offset, length })
        }
    }

    fn write(file: &str, offset: u64, data: &'static [u8]) -> AsideOp {
        AsideOp::Write { file: file.to_owned(), offset, data: Bytes::from_static(data), sync: true }
    }

    #[test]
    fn a_snapshot_is_written_read_and_removed() {
        let mut bench = Bench::new();
        let whole = SnapshotFile::Whole(LogIndex(7)).file_name();
        let part = SnapshotFile::Part(LogIndex(7)).file_name();
        for op in [
            AsideOp::Create { file: part.clone() },
            write(&part, 0, b"0123456789"),
            write(&part, 4, b"xyz"),
            AsideOp::Finish { file: part.clone(), length: 8, name: whole.clone() },
        ] {
            assert_eq!(bench.outcome(op), Ok(Bytes::new()));
        }
        assert_eq!(bench.read(&whole, 0, 100), Ok(Bytes::from_static(b"0123xyz7")));
        assert_eq!(bench.read(&whole, 6, 1), Ok(Bytes::from_static(b"z")));
        assert_eq!(bench.read(&whole, 9, 5), Ok(Bytes::new()), "behind its end");
        for _ in 0..2 {
            assert_eq!(bench.outcome(AsideOp::Remove { file: whole.clone() }), Ok(Bytes::new()));
        }
        let gone = bench.read(&whole, 0, 1).unwrap_err();
        assert_eq!(gone.kind, AsideErrorKind::NotFound);
        let path = bench.directory.path().join(&whole);
        assert!(gone.reason.starts_with(&format!("cannot read {}: ", path.display())), "{gone}");
    }

    #[test]
    fn a_hole_and_a_missing_end_are_refused() {
        let mut bench = Bench::new();
        let part = SnapshotFile::Part(LogIndex(1)).file_name();
        assert_eq!(bench.outcome(write(&part, 0, b"a")).unwrap_err().kind, AsideErrorKind::NotFound);
        assert_eq!(bench.outcome(AsideOp::Create { file: part.clone() }), Ok(Bytes::new()));
        assert_eq!(bench.outcome(write(&part, 1, b"a")).unwrap_err().kind, AsideErrorKind::Other);
        let finish = AsideOp::Finish { file: part.clone(), length: 1, name: "snapshot".to_owned() };
        assert_eq!(bench.outcome(finish).unwrap_err().kind, AsideErrorKind::Other);
        assert_eq!(bench.outcome(write(&part, 0, b"a")), Ok(Bytes::new()), "it goes on after a refusal");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let mut bench = Bench::new();
        let part = SnapshotFile::Part(LogIndex(1)).file_name();
        symlink("/dev/full", bench.directory.path().join(&part)).expect("a link");
        let failure = bench.outcome(write(&part, 0, b"a")).unwrap_err();
        assert_eq!(failure.kind, AsideErrorKind::NoRoom, "{failure}");
    }
}
