//! A file that gets its name once it is whole, and goes if it does not become so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A file on its way.
pub(crate) struct Part {
    file: File,
    /// What it is called until then; none for a device or a pipe, which is written to and stays what it is.
    part: Option<PathBuf>,
    path: PathBuf,
}

impl Part {
    /// Begins the file of that name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Part, Failure> {
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let mut name = path.as_os_str().to_owned();
        name.push(if special { "" } else { ".part" });
        let part = PathBuf::from(name);
        match OpenOptions::new().write(true).create(true).truncate(!special).open(&part) {
            Ok(file) => Ok(Part { file, part: Some(part).filter(|_| !special), path: path.to_owned() }),
            Err(error) => Err(Failure::usage(format!("cannot write {}: {error}", part.display()))),
        }
    }

    /// All of it was written: it gets its name, durably.
    ///
    /// # Errors
    /// When the system refuses. Nothing of that name is there then, or what was.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let Some(part) = &self.part else { return Ok(()) };
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let named = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(part, &self.path))
            .and_then(|()| File::open(parent.unwrap_or(Path::new(".")))?.sync_all());
        named.map_err(|error| Failure::usage(format!("cannot write {}: {error}", self.path.display())))?;
        self.part = None;
        Ok(())
    }
}

impl Write for Part {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}
