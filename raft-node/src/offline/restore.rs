//! A new cluster out of a backup: its first member. The others are added to it, as to any cluster.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use raft_core::consensus::Configuration;
use raft_core::log::{Inheritance, LogOptions, Refounding, refound};
use raft_core::types::{ClusterId, EntryId, Incarnation, NodeId, StateHash};

use super::error::OfflineError;
use super::exchange::undecided;
use super::snapshot::Source;
use super::survey::{AS_IT_WAS, exchange, random, random_cluster_id, system};
use crate::disk::{DataDir, is_log_file};

/// A directory that was made from a backup.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The cluster whose state it is.
    pub from: ClusterId,
    /// The new cluster.
    pub cluster_id: ClusterId,
    /// The log index that the state is of, and its term.
    pub at: EntryId,
    /// The state hash there.
    pub state_hash: StateHash,
}

/// Makes the data directory of the one member of a new cluster, at `address`, with the state of a backup. It
/// is one because members that are made one by one could not know which of them has forgotten a vote.
///
/// # Errors
/// When the file is no whole backup, or the directory holds anything. Nothing is made then.
pub fn restore(
    backup: &Path,
    node_id: &NodeId,
    path: &Path,
    address: &str,
) -> Result<Restored, OfflineError> {
    let file = File::open(backup).map_err(system("read", backup, AS_IT_WAS))?;
    let unusable = |error| OfflineError::Backup { path: backup.to_owned(), error };
    let mut source = Source::new(&backup.display().to_string(), file);
    let old = source.header().map_err(unusable)?;
    let dir = DataDir::open(path)?;
    refuse_used(path)?;
    let place = undecided(path).map_err(system("clear", path, AS_IT_WAS))?;
    let new = DataDir::open(&place)?;

    let configuration = Configuration::with_addresses([(node_id.clone(), address.to_owned())]);
    let cluster_id = random_cluster_id()?;
    source.copy(&place, cluster_id, &configuration).map_err(unusable)?;
    let at = EntryId { index: old.index, term: old.term };
    let incarnations = [(node_id.clone(), Incarnation(random()?))].into();
    let to = Refounding { cluster_id, configuration, incarnations, term: at.term };
    let from = Inheritance { snapshot: Some(at), entries: &[] };
    let useless = |error| OfflineError::Useless { path: backup.to_owned(), error };
    for batch in refound(from, node_id, &to, LogOptions::default()).map_err(useless)? {
        new.apply(&batch)?;
    }
    exchange(path)?;
    drop(dir);
    Ok(Restored { from: old.cluster_id, cluster_id, at, state_hash: old.state_hash })
}

/// A restored state replaces nothing.
fn refuse_used(path: &Path) -> Result<(), OfflineError> {
    let names = fs::read_dir(path).map_err(system("list", path, AS_IT_WAS))?;
    let used = names.filter_map(Result::ok).any(|file| is_log_file(&file.file_name().to_string_lossy()));
    if used { Err(OfflineError::InUse { path: PathBuf::from(path) }) } else { Ok(()) }
}
