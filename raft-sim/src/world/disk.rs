//! A disk with a cache: what was written is seen at once, and is safe only when it was flushed.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft_core::disk::{AsideOp, AsideOutcome, DiskBatch, DiskOp, FileName};
use raft_core::seeded::{self, Bug};

use super::aside::AsideFiles;
use crate::fault::{Fault, Faults};

/// What is written in one go, or not at all.
pub(crate) const SECTOR: usize = 512;

/// Files by name.
pub(crate) type Files = BTreeMap<FileName, Vec<u8>>;

/// How a server's processes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process is gone; the operating system still has what it wrote.
    Process,
    /// The machine lost power: what was not flushed is lost, or not, in any part.
    Power,
}

/// A piece of a file whose content was flushed, and in which flush.
#[derive(Clone, Debug)]
pub(crate) struct Flushed {
    pub(crate) file: FileName,
    pub(crate) offset: usize,
    pub(crate) length: usize,
    pub(crate) flush: u64,
    /// Whether it only repeats what an earlier process wrote, and so testifies to nothing.
    is_repair: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What is safe.
    files: Files,
    /// Written, not flushed.
    cached: Vec<DiskOp>,
    /// Handed over, not yet carried out.
    waiting: VecDeque<DiskBatch>,
    /// What this disk's log has flushed, in order.
    flushed: Vec<Flushed>,
    flushes: u64,
    /// Written aside of the log, not flushed.
    aside: AsideFiles,
    /// Whether what was not flushed is lost: it is, since a flush failed.
    has_failed: bool,
    /// Files whose names may not be safe: only with a planted bug.
    unsafe_names: Vec<FileName>,
}

impl Disk {
    /// Takes a batch; says whether the disk was idle, so that it has to be set to work.
    pub(crate) fn submit(&mut self, batch: DiskBatch) -> bool {
        self.waiting.push_back(batch);
        self.waiting.len() == 1
    }

    /// The batch that is being carried out.
    pub(crate) fn current(&self) -> Option<&DiskBatch> {
        self.waiting.front()
    }

    /// The current batch is done with; whether another waits.
    pub(crate) fn finish(&mut self) -> (DiskBatch, bool) {
        let batch = self.waiting.pop_front().expect("the disk was at work");
        self.cached.extend(batch.ops.iter().cloned());
        if batch.sync {
            self.flush(false);
        }
        (batch, !self.waiting.is_empty())
    }

    /// Carries a recovery's repairs out, and flushes; without any it has nothing to do, and does not.
    pub(crate) fn repair(&mut self, ops: &[DiskOp]) {
        if ops.is_empty() {
            return;
        }
        self.cached.extend(ops.iter().cloned());
        self.flush(true);
    }

    /// Pieces of the log of which a frame testifies that they were flushed: one that was laid out
    /// afterwards and lies in another sector.
    pub(crate) fn testified(&self) -> Vec<&Flushed> {
        let testifies = |later: &Flushed, piece: &Flushed| {
            let is_elsewhere =
                later.file != piece.file || later.offset / SECTOR > (piece.offset + piece.length) / SECTOR;
            !later.is_repair && later.flush > piece.flush && is_elsewhere
        };
        let Some(last) = self.flushed.iter().rfind(|piece| !piece.is_repair) else { return Vec::new() };
        self.flushed.iter().filter(|piece| testifies(last, piece)).collect()
    }

    fn flush(&mut self, is_repair: bool) {
        self.flushes += 1;
        for op in std::mem::take(&mut self.cached) {
            if let DiskOp::Prepare { file, .. } = &op
                && seeded::is(Bug::DirectoryNotSynced)
            {
                self.unsafe_names.push(file.clone());
            }
            if let DiskOp::Write { file, offset, data } = &op {
                self.flushed.push(Flushed {
                    file: file.clone(),
                    offset: to_usize(*offset),
                    length: data.len(),
                    flush: self.flushes,
                    is_repair,
                });
            }
            apply(&mut self.files, &op);
        }
    }

    /// What a process reads: the cache too.
    pub(crate) fn seen(&self) -> Files {
        let mut files = self.files.clone();
        self.cached.iter().for_each(|op| apply(&mut files, op));
        self.aside.lay_over(&mut files);
        files
    }

    /// Does something aside of the log.
    pub(crate) fn carry_out_aside(&mut self, op: &AsideOp) -> AsideOutcome {
        self.aside.carry_out(op, &mut self.files)
    }

    /// Something that was to be done aside is done in part, if at all: the process died, or the disk failed.
    pub(crate) fn begin_aside(&mut self, op: &AsideOp, faults: &mut Faults) {
        self.aside.begin(op, &mut self.files, faults.dice(Fault::TornSector));
    }

    pub(crate) fn wipe(&mut self) {
        *self = Disk::default();
    }

    /// A write or flush failed: part of what waited is there, in part.
    pub(crate) fn fail(&mut self, faults: &mut Faults) {
        self.has_failed = true;
        self.take_what_was_begun(faults);
        self.lose_power(faults);
    }

    /// Whether that has happened to the process that runs.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The server dies.
    pub(crate) fn crash(&mut self, death: Death, faults: &mut Faults) {
        self.has_failed = false;
        self.take_what_was_begun(faults);
        if death == Death::Power {
            self.lose_power(faults);
        }
    }

    /// Of what was handed over, only the first operations were begun.
    fn take_what_was_begun(&mut self, faults: &mut Faults) {
        let mut ops: Vec<DiskOp> = self.waiting.drain(..).flat_map(|batch| batch.ops).collect();
        if faults.strikes(Fault::MidBatch) {
            let begun = faults.dice(Fault::MidBatch).index(ops.len() + 1);
            ops.truncate(begun);
        }
        // The last one may have been interrupted; every one before it was done when the next began, but for
        // a preparation, which may be done aside until a write names its file.
        let begun = std::mem::take(&mut ops);
        for (at, op) in begun.iter().enumerate() {
            let is_last = at + 1 == begun.len();
            match op {
                DiskOp::Prepare { file, size, head } => {
                    let is_awaited = !seeded::is(Bug::PrepareNotAwaited)
                        && begun[at + 1..].iter().any(|later| names(later) == file);
                    if !is_awaited && faults.strikes(Fault::PrepareTorn) {
                        self.half_prepare(file, *size, head, faults);
                    } else {
                        self.cached.push(op.clone());
                    }
                }
                DiskOp::Replace { .. } if is_last && faults.strikes(Fault::ReplaceLost) => {}
                _ => self.cached.push(op.clone()),
            }
        }
        self.settle_names();
    }

    fn half_prepare(&mut self, file: &FileName, size: u64, head: &Bytes, faults: &mut Faults) {
        let dice = faults.dice(Fault::PrepareTorn);
        let (length, has_head) = (dice.below(size + 1), dice.one_in(2));
        let mut content = vec![0; to_usize(length)];
        if has_head && content.len() >= head.len() {
            content[..head.len()].copy_from_slice(head);
        }
        self.files.insert(file.clone(), content);
    }

    /// Preparing, replacing and removing are safe once they are done, in their order among the writes.
    fn settle_names(&mut self) {
        let ops = std::mem::take(&mut self.cached);
        for op in ops {
            if matches!(op, DiskOp::Write { .. }) {
                self.cached.push(op);
            } else {
                let target = names(&op).clone();
                // What was written to a file before it was replaced or removed is of no more interest.
                self.cached.retain(|write| *names(write) != target);
                apply(&mut self.files, &op);
            }
        }
    }

    fn lose_power(&mut self, faults: &mut Faults) {
        self.settle_names();
        self.aside.lose_power(&mut self.files, faults);
        for file in std::mem::take(&mut self.unsafe_names) {
            if faults.dice(Fault::AllLost).one_in(2) {
                self.files.remove(&file);
                self.cached.retain(|op| *names(op) != file);
            }
        }
        let ops = std::mem::take(&mut self.cached);
        if ops.is_empty() || faults.strikes(Fault::AllLost) {
            return;
        }
        if faults.strikes(Fault::AllKept) {
            self.cached = ops;
            // What is there may repeat what was there before: it counts as testifying to nothing.
            return self.flush(true);
        }
        for op in ops {
            if faults.strikes(Fault::SubsetLost) {
                continue;
            }
            if faults.strikes(Fault::TornSector) {
                tear(&mut self.files, &op, faults);
            } else {
                apply(&mut self.files, &op);
            }
        }
    }
}

fn names(op: &DiskOp) -> &FileName {
    match op {
        DiskOp::Prepare { file, .. }
        | DiskOp::Write { file, .. }
        | DiskOp::Replace { file, .. }
        | DiskOp::Remove { file } => file,
    }
}

fn apply(files: &mut Files, op: &DiskOp) {
    match op {
        DiskOp::Prepare { file, size, head } => {
            let mut content = vec![0; to_usize(*size)];
            content[..head.len()].copy_from_slice(head);
            files.insert(file.clone(), content);
        }
        DiskOp::Write { file, offset, data } => {
            let offset = to_usize(*offset);
            let content = files.get_mut(file).expect("a write to a file that was not prepared");
            let is_whole = content.len() >= offset + data.len();
            assert!(is_whole || seeded::is(Bug::PrepareNotAwaited), "Disk: a write beyond the end of {file}");
            content.resize(content.len().max(offset + data.len()), 0);
            content[offset..offset + data.len()].copy_from_slice(data);
        }
        DiskOp::Replace { file, content } => drop(files.insert(file.clone(), content.to_vec())),
        DiskOp::Remove { file } => drop(files.remove(file)),
    }
}

/// Some sectors of a write are there, others are as they were.
fn tear(files: &mut Files, op: &DiskOp, faults: &mut Faults) {
    let DiskOp::Write { file, offset, data } = op else { return apply(files, op) };
    let start = to_usize(*offset);
    let content = files.get_mut(file).expect("a write to a file that was not prepared");
    let end = (start + data.len()).min(content.len());
    for sector in start / SECTOR..end.div_ceil(SECTOR) {
        let (from, to) = (start.max(sector * SECTOR), end.min((sector + 1) * SECTOR));
        if faults.dice(Fault::TornSector).one_in(2) {
            content[from..to].copy_from_slice(&data[from - start..to - start]);
        }
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("a file that fits into memory")
}
