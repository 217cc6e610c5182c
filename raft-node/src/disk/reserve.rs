//! Room that is kept free by being taken: a file that nobody reads. When the disk is full it is given up, and
//! what it took is enough for one more segment, so that a node can start, store its votes, and go on
//! following until somebody has made room.

use std::fs::{self, File};
use std::io::{self, ErrorKind};

use super::data_dir::DataDir;

/// Its name in the data directory.
pub(super) const RESERVE_FILE: &str = "reserve";

/// Its size in bytes: a segment of the usual size, and the file system's own needs.
const SIZE: u64 = 17 << 20;

impl DataDir {
    pub(super) fn has_reserve(&self) -> bool {
        self.file(RESERVE_FILE).exists()
    }

    /// Takes the room, durably.
    pub(super) fn make_reserve(&self) -> io::Result<()> {
        let unfinished = self.unfinished(RESERVE_FILE);
        let made = File::create(&unfinished).and_then(|file| {
            take_room(&file)?;
            file.sync_all()
        });
        let named = made.and_then(|()| fs::rename(&unfinished, self.file(RESERVE_FILE)));
        if named.is_err() {
            // What it has taken so far is of no use.
            let _ = fs::remove_file(&unfinished);
        }
        named.and_then(|()| self.flush_names())
    }

    /// Gives the room back; whether there was any to give.
    pub(super) fn release_reserve(&self) -> bool {
        match fs::remove_file(self.file(RESERVE_FILE)) {
            Ok(()) => {
                tracing::warn!(dir = %self.path().display(), "the disk is full: the reserve is given up");
                // Where the name comes back after a crash, it is given up once more.
                let _ = self.flush_names();
                true
            }
            Err(_) => false,
        }
    }
}

/// Makes the file take all its room. What it holds does not matter.
fn take_room(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, SIZE) {
        Err(rustix::io::Errno::OPNOTSUPP) => {}
        taken => return Ok(taken?),
    }
    write_zeros(file)
}

fn write_zeros(mut file: &File) -> io::Result<()> {
    let copied = io::copy(&mut io::Read::take(io::repeat(0), SIZE), &mut file)?;
    if copied < SIZE { Err(ErrorKind::WriteZero.into()) } else { Ok(()) }
}
