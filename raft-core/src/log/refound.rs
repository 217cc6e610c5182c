//! A new cluster out of a log of an old one whose majority is lost.
//!
//! The new log tells the same commands at the same indexes and terms, but of another cluster: its first entry
//! names the new cluster and the new members, and an entry that changed the members changes nothing any more.
//! So there is no moment, however far a member has come in the log, at which it takes itself for one of the
//! old cluster, whose other half may still live somewhere. All members start with the same log and with a
//! record of each other, and may vote at once.
//!
//! Where the log goes on from a snapshot, the new one does too: whoever carries this out writes that file
//! first, with the new cluster in its header.
//!
//! What was in the log and not known to be committed is kept: it may have been acknowledged.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::records::size_hint;
use super::{FrameSeq, Identity, LogOptions, Record, Recovered, Writer, create};
use crate::consensus::Configuration;
use crate::disk::DiskOp;
use crate::entry::{Entry, Genesis, Payload};
use crate::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, Term};

/// Bytes of records after which a frame is closed.
const FRAME_TARGET: usize = 1 << 20;

/// The cluster that is founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refounding {
    /// Its id, drawn for it: a second cluster founded on the same log must get another one.
    pub cluster_id: ClusterId,
    /// Its members, all of them voters.
    pub configuration: Configuration,
    /// The incarnation of each directory that is made now. Where that is one for each member, they may vote
    /// at once; else each has to be noted by the others first, as one that is new.
    pub incarnations: BTreeMap<NodeId, Incarnation>,
    /// Where its terms begin: at least the last entry's.
    pub term: Term,
}

/// What the new cluster takes over.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    /// The last entry that a snapshot holds, whose file every member has.
    pub snapshot: Option<EntryId>,
    /// The entries; those that the snapshot holds are passed over.
    pub entries: &'a [Entry],
}

impl Recovered {
    /// All that this log tells.
    #[must_use]
    pub fn inheritance(&self) -> Inheritance<'_> {
        Inheritance { snapshot: self.snapshot, entries: &self.entries }
    }
}

/// Why a log is of no use for a new cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefoundError {
    /// Nothing in it names a cluster: no leader ever wrote to it.
    #[error("the log begins neither with the entry that founded the cluster nor with a snapshot")]
    NoGenesis,
}

/// What carries out, on an empty directory, the making of one member's directory: batches of operations, each
/// to be durable before the next is asked for. The identity comes last, alone; without it the directory is
/// nobody's.
#[derive(Debug)]
pub struct Refounded<'a> {
    identity: Identity,
    writer: Writer,
    /// Records ahead of the first entry.
    standing: Vec<Record>,
    genesis: Genesis,
    entries: core::slice::Iter<'a, Entry>,
    last: LogIndex,
    begin: Option<Vec<DiskOp>>,
    laid_out: FrameSeq,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Entries,
    Identity,
    Done,
}

/// Lays out the directory of a new cluster's member, with the entries of an old log.
///
/// # Errors
/// When there is no snapshot and the log does not begin with a cluster's first entry.
///
/// # Panics
/// When the member is not among the new cluster's, or the new term is less than the last entry's.
pub fn refound<'a>(
    from: Inheritance<'a>,
    member: &NodeId,
    to: &Refounding,
    options: LogOptions,
) -> Result<Refounded<'a>, RefoundError> {
    let begins = matches!(from.entries.first(), Some(Entry { payload: Payload::Genesis(_), .. }));
    if !begins && from.snapshot.is_none() {
        return Err(RefoundError::NoGenesis);
    }
    let base = from.snapshot.unwrap_or_default();
    let entries = &from.entries[from.entries.partition_point(|entry| entry.index <= base.index)..];
    let last = entries.last().map_or(base, |last| EntryId { index: last.index, term: last.term });
    assert!(
        entries.first().is_none_or(|first| first.index == base.index.next()),
        "a gap behind the snapshot"
    );
    assert!(to.term >= last.term, "the new cluster's term is before the last entry's");
    let incarnation = *to.incarnations.get(member).expect("the member is one of the new cluster's");
    let mut identity = Identity::new(member.clone(), incarnation);
    identity.cluster_id = Some(to.cluster_id);
    let (writer, mut begin) = create(&identity, options);
    // The identity makes the directory a server's, so it has to wait for the entries.
    begin.retain(|op| !matches!(op, DiskOp::Replace { .. }));
    Ok(Refounded {
        identity,
        writer,
        standing: standing(member, to, (from.snapshot, last.index)),
        genesis: Genesis { cluster_id: to.cluster_id, configuration: to.configuration.clone() },
        entries: entries.iter(),
        last: last.index,
        begin: Some(begin),
        laid_out: FrameSeq(0),
        state: State::Entries,
    })
}

/// Every member has all entries, so all are committed. Where it knows all others, it may vote.
fn standing(member: &NodeId, to: &Refounding, (snapshot, last): (Option<EntryId>, LogIndex)) -> Vec<Record> {
    let hard_state = HardState { term: to.term, voted_for: None };
    let mut records = vec![Record::HardState(hard_state)];
    if to.configuration.members().all(|(id, _)| to.incarnations.contains_key(id)) {
        records.push(Record::Admitted);
    }
    records.extend(snapshot.map(|EntryId { index, term }| Record::Snapshot { index, term }));
    let others = to.incarnations.iter().filter(|(id, _)| *id != member);
    records.extend(
        others.map(|(id, incarnation)| Record::Peer { node_id: id.clone(), incarnation: *incarnation }),
    );
    records.push(Record::CommitHint(last));
    records
}

impl Refounded<'_> {
    /// The last entry of the new log.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        self.last
    }

    fn entry(&self, entry: &Entry) -> Entry {
        let payload = match &entry.payload {
            Payload::Genesis(_) => Payload::Genesis(Box::new(self.genesis.clone())),
            Payload::Noop | Payload::Configuration(_) => Payload::Noop,
            Payload::Command(command) => Payload::Command(command.clone()),
            Payload::Snapshot => Payload::Snapshot,
        };
        Entry { index: entry.index, term: entry.term, payload }
    }

    /// The records of the next frame; none when all entries have been laid out.
    fn records(&mut self) -> Vec<Record> {
        let mut records = core::mem::take(&mut self.standing);
        let mut size = 0;
        while size < FRAME_TARGET
            && let Some(entry) = self.entries.next()
        {
            records.push(Record::Entry(self.entry(entry)));
            size += records.last().map_or(0, size_hint);
        }
        records
    }
}

impl Iterator for Refounded<'_> {
    type Item = Vec<DiskOp>;

    fn next(&mut self) -> Option<Vec<DiskOp>> {
        if let Some(begin) = self.begin.take() {
            return Some(begin);
        }
        self.writer.note_durable(self.laid_out);
        if self.state == State::Entries {
            let records = self.records();
            if !records.is_empty() {
                let (frame, ops) = self.writer.append(&records);
                self.laid_out = frame;
                return Some(ops);
            }
            self.state = State::Identity;
        }
        if self.state == State::Identity {
            self.state = State::Done;
            return Some(vec![self.identity.store()]);
        }
        None
    }
}
