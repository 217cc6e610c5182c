//! A snapshot holds the state at one log index (paper §7): its file is the same on every server, whole and
//! sound, has the state hash and the members of that index, and is safe before the log begins behind it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_core::consensus::Configuration;
use raft_core::disk::SnapshotFile;
use raft_core::log::Recovered;
use raft_core::snapshot::{Header, Reader};
use raft_core::types::{LogIndex, NodeId, StateHash};
use xxhash_rust::xxh3::xxh3_64;

/// What is known of snapshots.
pub(crate) struct Snapshots {
    /// Of the first whole file of an index, wherever that was.
    first: BTreeMap<LogIndex, u64>,
    /// Those that each server's disk holds, whole.
    on_disk: Vec<BTreeSet<LogIndex>>,
}

/// What a snapshot of an index has to say.
pub(crate) struct Expected<'a> {
    /// The state hash, where a server has been there.
    pub(crate) state_hash: Option<StateHash>,
    /// The latest configuration at or before it, and where that stands.
    pub(crate) configuration: Option<(LogIndex, &'a Configuration)>,
}

impl Snapshots {
    pub(crate) fn new(servers: usize) -> Snapshots {
        Snapshots { first: BTreeMap::new(), on_disk: vec![BTreeSet::new(); servers] }
    }

    /// A server starts from what its disk holds.
    pub(crate) fn starts(&mut self, at: usize, found: Option<&Recovered>) {
        let found = found.into_iter().flat_map(|found| found.earlier.iter().chain(&found.snapshot));
        self.on_disk[at] = found.map(|snapshot| snapshot.index).collect();
    }

    /// A file is whole on a server's disk.
    pub(crate) fn is_whole(
        &mut self,
        at: usize,
        id: &NodeId,
        file: &[u8],
        index: LogIndex,
        is: &Expected<'_>,
    ) {
        let header =
            read(index, file).unwrap_or_else(|error| panic!("Snapshot: {id} has one of {index}: {error}"));
        let hash = xxh3_64(file);
        let first = *self.first.entry(index).or_insert(hash);
        assert_eq!(first, hash, "Snapshot: {id} has another one of {index} than others");
        assert_eq!(header.index, index, "Snapshot: {id} has one of {index} that is of another index");
        let has_state = is.state_hash.is_none_or(|known| known == header.state_hash);
        assert!(has_state, "Snapshot: {id} has one of {index} with another state hash");
        let has_members = is.configuration.is_none_or(|(stands, configuration)| {
            (header.configuration_index, &header.configuration) == (stands, configuration)
        });
        assert!(has_members, "Snapshot: {id} has one of {index} with other members");
        self.on_disk[at].insert(index);
    }

    /// Whether any server ever had a whole file of this index.
    pub(crate) fn is_anywhere(&self, index: LogIndex) -> bool {
        self.first.contains_key(&index)
    }

    /// A file was removed.
    pub(crate) fn is_gone(&mut self, at: usize, index: LogIndex) {
        self.on_disk[at].remove(&index);
    }

    /// The server's log begins behind this index.
    pub(crate) fn check(&self, at: usize, id: &NodeId, base: LogIndex) {
        let is_held = base == LogIndex::ZERO || self.on_disk[at].last().is_some_and(|last| *last >= base);
        assert!(
            is_held,
            "Snapshot: the log of {id} begins behind {base}, and no snapshot on its disk has that"
        );
    }
}

fn read(index: LogIndex, file: &[u8]) -> Result<Header, raft_core::snapshot::SnapshotError> {
    let mut reader = Reader::new(SnapshotFile::Whole(index).file_name());
    reader.feed(Bytes::copy_from_slice(file));
    while reader.next_piece()?.is_some() {}
    reader.finish()
}
