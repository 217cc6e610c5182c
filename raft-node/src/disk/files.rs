//! Files kept open, and the operations on them that run in the disk's own thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt;

use raft_core::disk::{DiskOp, FileName};

use super::data_dir::{DataDir, is_full};
use super::{DiskFailure, Operation};

/// How many clean files stay open. Writes go to the last segment, and now and then to the one after it.
const KEPT_OPEN: usize = 4;

/// Files open for writing, the one used last at the end.
#[derive(Default)]
pub(super) struct Files {
    open: Vec<OpenFile>,
}

struct OpenFile {
    name: FileName,
    file: File,
    length: u64,
    /// Whether something was written to it since it was last flushed.
    dirty: bool,
}

impl Files {
    /// Carries out anything but a preparation. What it writes is durable after [`Files::flush`].
    pub(super) fn apply(&mut self, dir: &DataDir, op: &DiskOp) -> Result<(), DiskFailure> {
        match op {
            DiskOp::Write { file, offset, data } => self.write(dir, file, *offset, data),
            DiskOp::Replace { file, content } => {
                self.forget(file);
                replace(dir, file, content).map_err(|error| failure(dir, file, Operation::Replace, &error))
            }
            DiskOp::Remove { file } => {
                self.forget(file);
                remove(dir, file).map_err(|error| failure(dir, file, Operation::Remove, &error))
            }
            DiskOp::Prepare { file, .. } => {
                let error = io::Error::new(ErrorKind::Unsupported, "a preparation goes to its own thread");
                Err(failure(dir, file, Operation::Prepare, &error))
            }
        }
    }

    /// Closes a file that is about to be another one under the same name.
    pub(super) fn forget(&mut self, name: &str) {
        self.open.retain(|open| open.name != name);
    }

    /// Makes all that was written durable.
    pub(super) fn flush(&mut self, dir: &DataDir) -> Result<(), DiskFailure> {
        for open in self.open.iter_mut().filter(|open| open.dirty) {
            let flushed = open.file.sync_data();
            flushed.map_err(|error| failure(dir, &open.name, Operation::Flush, &error))?;
            open.dirty = false;
        }
        let spare = self.open.len().saturating_sub(KEPT_OPEN);
        self.open.drain(..spare);
        Ok(())
    }

    fn write(&mut self, dir: &DataDir, name: &str, offset: u64, data: &[u8]) -> Result<(), DiskFailure> {
        let open = self.opened(dir, name).map_err(|error| failure(dir, name, Operation::Open, &error))?;
        open.dirty = true;
        let written = if offset.checked_add(data.len() as u64).is_some_and(|end| end <= open.length) {
            open.file.write_all_at(data, offset)
        } else {
            Err(io::Error::new(ErrorKind::InvalidInput, "the write reaches beyond the end of the file"))
        };
        written.map_err(|error| failure(dir, name, Operation::Write, &error))
    }

    fn opened(&mut self, dir: &DataDir, name: &str) -> io::Result<&mut OpenFile> {
        let at = match self.open.iter().position(|open| open.name == name) {
            Some(at) => at,
            None => {
                let file = OpenOptions::new().write(true).open(dir.file(name))?;
                let length = file.metadata()?.len();
                self.open.push(OpenFile { name: name.to_owned(), file, length, dirty: false });
                self.open.len() - 1
            }
        };
        self.open[at..].rotate_left(1);
        let last = self.open.len() - 1;
        Ok(&mut self.open[last])
    }
}

fn replace(dir: &DataDir, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = dir.unfinished(name);
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.file(name))?;
    dir.flush_names()
}

fn remove(dir: &DataDir, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.file(name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => dir.flush_names(),
    }
}

pub(super) fn failure(dir: &DataDir, name: &str, operation: Operation, error: &io::Error) -> DiskFailure {
    DiskFailure {
        file: dir.file(name).display().to_string(),
        operation,
        error: error.to_string(),
        disk_full: is_full(error),
    }
}
