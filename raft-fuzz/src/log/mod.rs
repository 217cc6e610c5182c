//! The log: any data directory, given to recovery.
//!
//! The first byte says how the directory comes about: raw bytes; a real log, damaged; a real log, damaged
//! and its checksums made right again; frames whose checksums are right around payloads of any bytes.
//!
//! - Recovery never panics.
//! - What it accepts stands: a crash at any operation of its repairs leads to the same log, and so does
//!   carrying them out; after that nothing is left to repair.
//! - The log goes on: what is appended then is found again behind what was there.
//! - A replica starts from it.
//! - Damage that no checksum covers up invents nothing: what is accepted is a state the log once had.

mod directory;
mod draft;
mod format;

use raft_core::consensus::{Configuration, Timing};
use raft_core::disk::DiskOp;
use raft_core::entry::{Entry, Payload};
use raft_core::kv::Store;
use raft_core::log::{LogOptions, Record, Recovered, Recovery, RecoveryError, recover};
use raft_core::replica::{Event, Options, Replica, SnapshotEvery, Stored};
use raft_core::types::{HardState, LogIndex, NodeId, Term, Time};

pub use directory::{Directory, apply};

/// Small segments, so that a short log has several.
pub(crate) const OPTIONS: LogOptions = LogOptions { segment_size: LogOptions::MIN_SEGMENT_SIZE };

/// Whose directory it is.
pub(crate) fn node() -> NodeId {
    NodeId::new("node_1").expect("a valid name")
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else { return };
    match mode % 4 {
        0 => drop(judge(&directory::raw(input))),
        1 => draft::damaged(input),
        2 => drop(judge(&draft::resealed(input))),
        _ => drop(judge(&directory::forged(input))),
    }
}

/// An input that is this directory as it is.
#[must_use]
pub fn input_of(directory: &Directory) -> Vec<u8> {
    let mut input = vec![0];
    input.extend(directory::raw_input(directory));
    input
}

/// A directory as the writer lays it out; some bytes say what is in it.
#[must_use]
pub fn written(draft: &[u8]) -> Directory {
    draft::directory(draft)
}

/// An input with these payloads, the checksums around them right.
#[must_use]
pub fn input_of_payloads<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut input = vec![3];
    for payload in payloads {
        crate::chunks::push(&mut input, 0, payload);
    }
    input
}

fn found(directory: &Directory) -> Result<Option<Recovered>, RecoveryError> {
    match recover(directory, &node(), OPTIONS)? {
        Recovery::Empty => Ok(None),
        Recovery::Found(found) => Ok(Some(*found)),
    }
}

/// Recovers, and holds recovery to what it accepts.
pub(crate) fn judge(directory: &Directory) -> Option<Recovered> {
    let first = match found(directory) {
        Ok(first) => first?,
        Err(error) => {
            // It names what is wrong, in one line.
            assert!(!error.to_string().is_empty() && !error.to_string().contains('\n'), "{error}");
            return None;
        }
    };
    let mut repaired = directory.clone();
    for op in &first.repairs {
        let mut half = repaired.clone();
        apply_half(&mut half, op);
        same(&first, &again(&half));
        apply(&mut repaired, op);
        same(&first, &again(&repaired));
    }
    let second = again(&repaired);
    assert_eq!(second.torn, None, "the torn tail is gone");
    let mut still = repaired.clone();
    second.repairs.iter().for_each(|op| apply(&mut still, op));
    assert_eq!(still, repaired, "a repaired directory needs no repair");
    goes_on(repaired, second);
    starts(first.clone());
    Some(first)
}

fn again(directory: &Directory) -> Recovered {
    match found(directory) {
        Ok(Some(found)) => found,
        Ok(None) => panic!("what was repaired is taken for empty"),
        Err(error) => panic!("what was repaired is refused: {error}"),
    }
}

fn same(first: &Recovered, second: &Recovered) {
    assert_eq!(first.identity, second.identity);
    assert_eq!(first.hard_state, second.hard_state);
    assert_eq!(first.entries, second.entries);
    assert_eq!((first.base, first.snapshot), (second.base, second.snapshot));
    assert_eq!(first.commit_hint, second.commit_hint);
    assert_eq!(first.peers, second.peers);
    assert_eq!(first.admitted, second.admitted);
    assert_eq!(first.writer.last_frame(), second.writer.last_frame());
}

/// Power is lost in the middle of a write. The other operations are done or not.
fn apply_half(directory: &mut Directory, op: &DiskOp) {
    if let DiskOp::Write { file, offset, data } = op {
        let data = data.slice(..data.len() / 2);
        apply(directory, &DiskOp::Write { file: file.clone(), offset: *offset, data });
    }
}

/// The log takes new records, in as many frames as it takes to get into another segment.
fn goes_on(mut directory: Directory, found: Recovered) {
    let mut writer = found.writer;
    let (base, mut entries, term) = (found.base.index.0, found.entries, found.hard_state.term);
    let vote = HardState { term, voted_for: Some(node()) };
    for _ in 0..3 {
        let index = LogIndex(base + entries.len() as u64 + 1);
        let entry = Entry { index, term, payload: Payload::Noop };
        entries.push(entry.clone());
        let records = [Record::HardState(vote.clone()), Record::Entry(entry), Record::CommitHint(index)];
        let (frame, ops) = writer.append(&records);
        ops.iter().for_each(|op| apply(&mut directory, op));
        writer.note_durable(frame);
    }
    let last = again(&directory);
    assert_eq!(last.entries, entries);
    assert_eq!(last.hard_state, vote);
    assert_eq!((last.torn, last.commit_hint), (None, LogIndex(base + entries.len() as u64)));
    assert_eq!((last.peers, last.admitted), (found.peers, found.admitted));
}

/// A replica starts from the directory, applies what is committed, and stands for election.
fn starts(found: Recovered) {
    let entries = found.entries.clone();
    let committed = found.commit_hint;
    let term = found.hard_state.term;
    let others = ["node_0", "node_2"].map(|name| NodeId::new(name).expect("a valid name"));
    let options = Options {
        configuration: Configuration::new(others.into_iter().chain([node()])),
        timing: Timing::default(),
        seed: 1,
        snapshot_every: SnapshotEvery::default(),
        now: Time::ZERO,
    };
    let mut replica = Replica::new(Stored::from(found), Box::new(Store::new()), options);
    for _ in 0..3 {
        replica.step(replica.deadline(), Event::Tick);
        drop(replica.drain());
    }
    assert!(replica.failed().is_none() && replica.consensus().term() >= term);
    assert!(
        replica.consensus().commit_index() >= committed
            && replica.last_applied() >= committed.min(LogIndex(1))
    );
    let log = replica.consensus().log();
    assert!(log.range(LogIndex(1)..=log.last_index()).eq(&entries));
    assert!(log.last_term() <= Term::MAX);
}
