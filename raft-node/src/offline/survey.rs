//! What is left of a cluster, and a new one made of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use raft_core::consensus::Configuration;
use raft_core::disk::SnapshotFile;
use raft_core::log::{
    IDENTITY_FILE, Identity, LogOptions, Overlap, Recovered, Recovery, RefoundError, Refounding, recover,
    refound,
};
use raft_core::snapshot::Header;
use raft_core::types::{ClusterId, EntryId, Incarnation, LogIndex, NodeId, Term};

use super::error::OfflineError;
use super::exchange::{FileSystem, complete, decide, undecided, waiting};
use super::snapshot::{CopyError, Source};
use crate::disk::{DataDir, is_log_file};

/// A member whose data directory is there.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// Who.
    pub node_id: NodeId,
    /// Its directory.
    pub path: PathBuf,
    /// The latest term it had seen.
    pub term: Term,
    /// Its last entry.
    pub last: EntryId,
    /// What it knew for certain as committed. A lower bound: it is noted now and then.
    pub committed: LogIndex,
    /// When its log was last written to, by the file's date.
    pub written: Option<SystemTime>,
    /// How its log compares with the best one.
    pub overlap: Overlap,
}

/// The directories of a cluster's survivors, locked and compared. The first survivor is the one whose log is
/// the most up to date; it is the one to go on with.
#[derive(Debug)]
pub struct Survey {
    survivors: Vec<Survivor>,
    opened: Vec<Opened>,
    cluster_id: ClusterId,
    configuration: Configuration,
    completed: Vec<PathBuf>,
}

#[derive(Debug)]
struct Opened {
    dir: DataDir,
    log: Box<Recovered>,
    /// What its latest snapshot says of itself.
    snapshot: Option<Header>,
}

impl Opened {
    /// The cluster it is of.
    fn cluster_id(&self) -> Option<ClusterId> {
        let named = self.log.genesis().map(|genesis| genesis.cluster_id);
        named.or(self.snapshot.as_ref().map(|snapshot| snapshot.cluster_id))
    }

    /// The members, as the log has them last.
    fn configuration(&self) -> Option<&Configuration> {
        let said = self.snapshot.as_ref().map(|snapshot| &snapshot.configuration);
        self.log.configuration().or(said)
    }
}

/// A cluster that was made.
#[derive(Clone, Debug)]
pub struct Founded {
    /// Its id.
    pub cluster_id: ClusterId,
    /// The last entry its members start with.
    pub last_index: LogIndex,
}

impl Survey {
    /// Locks and reads the directories of members that do not run. With `complete`, finishes what an earlier
    /// recovery of them had decided on; else nothing is changed.
    ///
    /// # Errors
    /// When one is not a member's, is in use or damaged, or they are not of one cluster.
    pub fn of(paths: &[PathBuf], complete: bool) -> Result<Survey, OfflineError> {
        let mut opened = Vec::with_capacity(paths.len());
        for path in paths {
            opened.push(open(path)?);
        }
        let completed = if complete { complete_interrupted(&opened)? } else { Vec::new() };
        if !completed.is_empty() {
            opened = opened.into_iter().map(|one| read(one.dir)).collect::<Result<_, _>>()?;
        }
        let cluster_id = check_one_cluster(&opened, complete)?;
        check_each_once(&opened)?;
        opened.sort_by(|a, b| b.log.compare_up_to_date(&a.log));
        let best = &opened[0];
        let survivors = opened.iter().map(|other| survivor(&best.log, other)).collect::<Result<_, _>>()?;
        // As the best log has them last.
        let configuration = best.configuration().cloned().unwrap_or_default();
        Ok(Survey { survivors, opened, cluster_id, configuration, completed })
    }

    /// Who is left, the most up to date first.
    #[must_use]
    pub fn survivors(&self) -> &[Survivor] {
        &self.survivors
    }

    /// The old cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster_id
    }

    /// The old cluster's members, as the best log has them last.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &NodeId> {
        self.configuration.members().map(|(id, _)| id)
    }

    /// Members of whom no directory was given.
    pub fn missing(&self) -> impl Iterator<Item = &NodeId> {
        self.members().filter(|id| !self.is_here(id))
    }

    /// Directories in which an interrupted recovery has been completed.
    #[must_use]
    pub fn completed(&self) -> &[PathBuf] {
        &self.completed
    }

    /// Whether these can go on by themselves.
    #[must_use]
    pub fn is_majority(&self) -> bool {
        self.configuration.has_majority(|id| self.is_here(id))
    }

    fn is_here(&self, id: &NodeId) -> bool {
        self.survivors.iter().any(|survivor| survivor.node_id == *id)
    }

    /// Checks that a cluster of these members can be made of what is here. Unless `force` says so, not where
    /// the old one can go on.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self, members: &BTreeMap<NodeId, String>, force: bool) -> Result<(), OfflineError> {
        if self.is_majority() && !force {
            let (here, members) = (self.members().len() - self.missing().count(), self.members().len());
            return Err(OfflineError::Majority { here, members });
        }
        match members.keys().find(|id| !self.is_here(id)) {
            Some(node_id) => Err(OfflineError::NoDirectoryOf { node_id: node_id.clone() }),
            None => Ok(()),
        }
    }

    /// Makes the new cluster: each member's directory gets the most up-to-date log and a new identity. What
    /// was there before is kept beside it, in `replaced-<new cluster id>`.
    ///
    /// # Errors
    /// As [`Survey::check`], and when something cannot be written. Either each directory is then as it was,
    /// or the same call with the same directories completes what was begun.
    pub fn refound(self, members: &BTreeMap<NodeId, String>, force: bool) -> Result<Founded, OfflineError> {
        self.check(members, force)?;
        let best = &self.opened[0];
        let last = best.log.last();
        let term = self.survivors.iter().map(|survivor| survivor.term).max().unwrap_or(last.term);
        let cluster_id = random_cluster_id()?;
        let mut incarnations = BTreeMap::new();
        for id in members.keys() {
            incarnations.insert(id.clone(), Incarnation(random()?));
        }
        let configuration = Configuration::with_addresses(members.clone());
        let to = Refounding { cluster_id, configuration, incarnations, term: term.max(last.term) };
        let theirs = || self.opened.iter().filter(|o| members.contains_key(&o.log.identity.node_id));
        for member in theirs() {
            write(best, member, &to)?;
        }
        for member in theirs() {
            exchange(member.dir.path())?;
        }
        Ok(Founded { cluster_id, last_index: last.index })
    }
}

fn open(path: &Path) -> Result<Opened, OfflineError> {
    let has_identity = path.join(IDENTITY_FILE).exists();
    if !has_identity && !super::exchange::is_decided(path) {
        return Err(OfflineError::NoDataDirectory { path: path.to_owned() });
    }
    let dir = DataDir::open(path)?;
    read(dir)
}

fn read(dir: DataDir) -> Result<Opened, OfflineError> {
    let path = dir.path().to_owned();
    let text =
        fs::read(path.join(IDENTITY_FILE)).map_err(system("read the identity in", &path, AS_IT_WAS))?;
    let damaged = |error| OfflineError::Damaged { path: path.clone(), error: Box::new(error) };
    let identity = Identity::decode(&text)
        .map_err(|problem| damaged(raft_core::log::RecoveryError::Identity { problem }))?;
    let log = match recover(&dir, &identity.node_id, LogOptions::default()).map_err(damaged)? {
        Recovery::Found(log) if log.last().index > LogIndex::ZERO => log,
        _ => return Err(OfflineError::Blank { path, node_id: identity.node_id }),
    };
    let snapshot = log.snapshot.map(|snapshot| snapshot_of(&path, snapshot).and_then(|mut s| s.header()));
    let unusable = |error| OfflineError::Backup { path: path.clone(), error };
    let snapshot = snapshot.transpose().map_err(unusable)?;
    Ok(Opened { dir, log, snapshot })
}

/// The file of a snapshot that the log goes on from.
fn snapshot_of(dir: &Path, snapshot: EntryId) -> Result<Source<File>, CopyError> {
    let name = SnapshotFile::Whole(snapshot.index).file_name();
    let file = File::open(dir.join(&name))?;
    Ok(Source::new(&name, file))
}

/// An interrupted recovery has given some directories to the new cluster, and others wait for that.
fn complete_interrupted(opened: &[Opened]) -> Result<Vec<PathBuf>, OfflineError> {
    let clusters: Vec<_> = opened.iter().filter_map(|o| o.log.identity.cluster_id).collect();
    let mut completed = Vec::new();
    for one in opened {
        let path = one.dir.path().to_owned();
        let decided = waiting(&path).and_then(|identity| identity.cluster_id);
        if decided.is_some_and(|id| clusters.contains(&id)) {
            exchange(&path)?;
            completed.push(path);
        }
    }
    Ok(completed)
}

fn check_each_once(opened: &[Opened]) -> Result<(), OfflineError> {
    let mut known: BTreeMap<&NodeId, &Path> = BTreeMap::new();
    for Opened { dir, log, snapshot: _ } in opened {
        let node_id = &log.identity.node_id;
        if let Some(before) = known.insert(node_id, dir.path()) {
            let paths = Box::new((before.to_owned(), dir.path().to_owned()));
            return Err(OfflineError::Twice { node_id: node_id.clone(), paths });
        }
    }
    Ok(())
}

/// The cluster that all directories are of.
fn check_one_cluster(opened: &[Opened], completing: bool) -> Result<ClusterId, OfflineError> {
    let mut found: Vec<(&Opened, ClusterId)> = Vec::new();
    for one in opened {
        let path = one.dir.path().to_owned();
        let Some(cluster_id) = one.cluster_id() else {
            return Err(OfflineError::Useless { path, error: RefoundError::NoGenesis });
        };
        found.push((one, cluster_id));
    }
    let (first, cluster_id) = found[0];
    if let Some((other, theirs)) = found.iter().find(|(_, theirs)| *theirs != cluster_id) {
        let waits = |one: &Opened, of| waiting(one.dir.path()).is_some_and(|id| id.cluster_id == Some(of));
        let interrupted =
            [(first, *theirs), (other, cluster_id)].into_iter().find(|(one, of)| waits(one, *of));
        if let (Some((one, _)), false) = (interrupted, completing) {
            return Err(OfflineError::Interrupted { path: one.dir.path().to_owned() });
        }
        let paths = [(first, cluster_id), (other, *theirs)].map(|(one, id)| (one.dir.path().to_owned(), id));
        return Err(OfflineError::OtherCluster(Box::new(paths)));
    }
    Ok(cluster_id)
}

fn survivor(best: &Recovered, opened: &Opened) -> Result<Survivor, OfflineError> {
    let Opened { dir, log, snapshot: _ } = opened;
    Ok(Survivor {
        node_id: log.identity.node_id.clone(),
        path: dir.path().to_owned(),
        term: log.hard_state.term,
        last: log.last(),
        committed: log.known_committed(),
        written: last_written(dir.path()),
        overlap: best.overlap(log)?,
    })
}

fn last_written(path: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(path).ok()?.filter_map(Result::ok);
    let logs = files.filter(|file| is_log_file(&file.file_name().to_string_lossy()));
    logs.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

/// Writes a member's new directory beside its old one.
fn write(best: &Opened, member: &Opened, to: &Refounding) -> Result<(), OfflineError> {
    let path = member.dir.path();
    let place = undecided(path).map_err(system("clear", path, AS_IT_WAS))?;
    let new = DataDir::open(&place)?;
    let node_id = &member.log.identity.node_id;
    let useless = |error| OfflineError::Useless { path: path.to_owned(), error };
    if let Some(snapshot) = best.log.snapshot {
        let copied = snapshot_of(best.dir.path(), snapshot)
            .and_then(|source| source.copy(&place, to.cluster_id, &to.configuration));
        let unusable = |error| OfflineError::Backup { path: best.dir.path().to_owned(), error };
        copied.map_err(unusable)?;
    }
    let from = best.log.inheritance();
    for batch in refound(from, node_id, to, LogOptions::default()).map_err(useless)? {
        new.apply(&batch)?;
    }
    Ok(())
}

pub(super) fn exchange(path: &Path) -> Result<(), OfflineError> {
    decide(path, &mut FileSystem).map_err(system("exchange the content of", path, AGAIN))?;
    complete(path).map_err(system("exchange the content of", path, AGAIN))?;
    Ok(())
}

pub(super) const AS_IT_WAS: &str = "Nothing was changed";
const AGAIN: &str = "Nothing is lost: the same command, with the same directories, completes it";

pub(super) fn system(
    what: &'static str,
    path: &Path,
    then: &'static str,
) -> impl FnOnce(std::io::Error) -> OfflineError {
    let path = path.to_owned();
    move |source| OfflineError::System { what, path, source, then }
}

pub(super) fn random_cluster_id() -> Result<ClusterId, OfflineError> {
    Ok(ClusterId(u128::from(random()?) << 64 | u128::from(random()?)))
}

pub(super) fn random() -> Result<u64, OfflineError> {
    getrandom::u64().map_err(|error| {
        let source = std::io::Error::other(error.to_string());
        OfflineError::System {
            what: "draw a number from",
            path: "/dev/random".into(),
            source,
            then: AS_IT_WAS,
        }
    })
}
