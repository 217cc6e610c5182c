//! The names of snapshot files.

use alloc::format;

use serde::{Deserialize, Serialize};

use super::FileName;
use crate::types::{EntryId, LogIndex};

/// Ends the name of a file that is not whole yet.
const PART: &str = ".part";

/// A snapshot's file, by the log index whose state it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SnapshotFile {
    /// All of it: `snapshot-` and twenty digits.
    Whole(LogIndex),
    /// A beginning of it, of whatever length: the same name and `.part`.
    Part(LogIndex),
}

impl SnapshotFile {
    /// The index whose state it holds.
    #[must_use]
    pub fn index(self) -> LogIndex {
        let (SnapshotFile::Whole(index) | SnapshotFile::Part(index)) = self;
        index
    }

    /// Its name in the data directory.
    #[must_use]
    pub fn file_name(self) -> FileName {
        let part = if matches!(self, SnapshotFile::Part(_)) { PART } else { "" };
        format!("snapshot-{:020}{part}", self.index().0)
    }

    /// The snapshot that a file holds by its name; none for the name of anything else.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<SnapshotFile> {
        let rest = name.strip_prefix("snapshot-")?;
        let (digits, is_part) = match rest.strip_suffix(PART) {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let index = digits.parse().ok().filter(|&index| index > 0).map(LogIndex)?;
        Some(if is_part { SnapshotFile::Part(index) } else { SnapshotFile::Whole(index) })
    }
}

/// A file of a snapshot that no record of the log tells of: whole, or a beginning that a server was writing
/// or receiving when its process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unrecorded {
    /// The file.
    pub file: SnapshotFile,
    /// The last entry that the snapshot holds, as the file's own header says.
    pub snapshot: EntryId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for file in [1, 7, u64::MAX]
            .map(LogIndex)
            .into_iter()
            .flat_map(|index| [SnapshotFile::Whole(index), SnapshotFile::Part(index)])
        {
            assert_eq!(SnapshotFile::from_file_name(&file.file_name()), Some(file));
        }
        let whole = SnapshotFile::Whole(LogIndex(12)).file_name();
        assert_eq!(whole, "snapshot-00000000000000000012");
        assert_eq!(SnapshotFile::Part(LogIndex(12)).file_name(), format!("{whole}.part"));
    }

    #[test]
    fn other_names_are_not_snapshots() {
        for name in [
            "snapshot-12",
            "snapshot-00000000000000000000",
            "snapshot-99999999999999999999",
            "snapshot-00000000000000000012.tmp",
            "snapshot-0000000000000000001x",
            "log-00000000000000000012",
            "snapshot-00000000000000000012.part.part",
        ] {
            assert_eq!(SnapshotFile::from_file_name(name), None, "{name}");
        }
    }
}
