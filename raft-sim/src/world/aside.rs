//! What a disk does aside of the log. A process is told when it is done; the operation under way when the
//! process dies is done in part, and what was not flushed is lost with the power, in any part.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::disk::{AsideError, AsideErrorKind, AsideOp, AsideOutcome, AsideSeq, FileName, SnapshotFile};
use raft_core::replica::Event;

use super::World;
use super::disk::{Files, SECTOR};
use super::node::Coming;
use crate::dice::Dice;
use crate::fault::{Fault, Faults};

/// Files written aside, as a process sees them, where that is not what is safe.
#[derive(Debug, Default)]
pub(crate) struct AsideFiles(BTreeMap<FileName, Vec<u8>>);

impl AsideFiles {
    /// Carries an operation out. `safe` is what is durable.
    pub(crate) fn carry_out(&mut self, op: &AsideOp, safe: &mut Files) -> AsideOutcome {
        let name = op.file();
        // It works on what is seen: that of one file only.
        let mut seen = Files::new();
        if let Some(content) = self.0.get(name).or_else(|| safe.get(name)) {
            seen.insert(name.clone(), content.clone());
        }
        let outcome = op.carry_out(&mut seen);
        if outcome.is_ok() {
            match op {
                AsideOp::Read { .. } => {}
                AsideOp::Create { .. } | AsideOp::Write { sync: false, .. } => self.0.append(&mut seen),
                AsideOp::Write { sync: true, .. } | AsideOp::Finish { .. } | AsideOp::Remove { .. } => {
                    self.0.remove(name);
                    safe.remove(name);
                    safe.append(&mut seen);
                }
            }
        }
        outcome
    }

    /// An operation is done in part, or as a whole, or not at all; whatever became of it is not flushed.
    pub(crate) fn begin(&mut self, op: &AsideOp, safe: &mut Files, dice: &mut Dice) {
        match op {
            AsideOp::Write { file, offset, data, .. } => {
                let some = data.slice(..dice.index(data.len() + 1));
                let op = AsideOp::Write { file: file.clone(), offset: *offset, data: some, sync: false };
                // Nobody hears of it.
                drop(self.carry_out(&op, safe));
            }
            op if dice.one_in(2) => drop(self.carry_out(op, safe)),
            _ => {}
        }
    }

    /// What a process sees over what is safe.
    pub(crate) fn lay_over(&self, files: &mut Files) {
        files.extend(self.0.iter().map(|(name, content)| (name.clone(), content.clone())));
    }

    /// Each unflushed file is as it was flushed last, or as it was seen, or of any length, with some of its
    /// sectors as they were.
    pub(crate) fn lose_power(&mut self, safe: &mut Files, faults: &mut Faults) {
        for (name, mut content) in std::mem::take(&mut self.0) {
            if faults.strikes(Fault::AllLost) {
                continue;
            }
            if faults.strikes(Fault::TornSector) {
                let before = safe.get(&name).cloned().unwrap_or_default();
                tear(&mut content, &before, faults.dice(Fault::TornSector));
            }
            safe.insert(name, content);
        }
    }
}

fn tear(content: &mut Vec<u8>, before: &[u8], dice: &mut Dice) {
    let shortest = before.len().min(content.len());
    content.truncate(shortest + dice.index(content.len() - shortest + 1));
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let before: Vec<u8> = before.take(content.len()).collect();
    for (sector, old) in content.chunks_mut(SECTOR).zip(before.chunks(SECTOR)) {
        if dice.one_in(2) {
            sector.copy_from_slice(old);
        }
    }
}

impl World {
    /// A disk begins with an operation aside of the log.
    pub(super) fn aside_begins(&mut self, at: usize, seq: AsideSeq, op: AsideOp) {
        let (low, high) = self.plan.flush;
        let mut takes = self.process_dice.between(low, high);
        for (fault, longest) in [(Fault::SlowDisk, 100_000), (Fault::HungDisk, 3_000_000)] {
            if self.faults.strikes(fault) {
                takes += self.faults.dice(fault).between(1000, longest);
            }
        }
        let life = self.nodes[at].life;
        self.nodes[at].aside = Some(op.clone());
        self.queue.put(self.now + Duration::from_micros(takes), Coming::AsideDone { at, life, seq, op });
    }

    /// The operation is done, or has failed.
    pub(super) fn aside_done(&mut self, at: usize, life: u64, seq: AsideSeq, op: &AsideOp) {
        if self.nodes[at].life != life || self.nodes[at].aside.take().is_none() {
            return;
        }
        let is_write = matches!(op, AsideOp::Create { .. } | AsideOp::Write { .. });
        let kind = if is_write && self.faults.strikes(Fault::FullDisk) {
            Some(AsideErrorKind::NoRoom)
        } else if self.faults.strikes(Fault::FlushFails) {
            Some(AsideErrorKind::Other)
        } else {
            None
        };
        let outcome = match kind {
            // What was not flushed is lost, and every later flush says so.
            _ if self.nodes[at].disk.has_failed() => {
                Err(AsideError { kind: AsideErrorKind::Other, reason: "the disk has failed".to_owned() })
            }
            Some(kind) => {
                self.nodes[at].disk.begin_aside(op, &mut self.faults);
                Err(AsideError { kind, reason: "as the simulator wants".to_owned() })
            }
            None => self.nodes[at].disk.carry_out_aside(op),
        };
        if outcome.is_ok() {
            self.note_snapshot(at, op);
        }
        self.comes_in(at, Event::AsideDone { seq, outcome });
    }

    /// An operation was done: a snapshot may be whole now, or gone.
    fn note_snapshot(&mut self, at: usize, op: &AsideOp) {
        let whole = |name: &FileName| match SnapshotFile::from_file_name(name) {
            Some(SnapshotFile::Whole(index)) => Some(index),
            _ => None,
        };
        match op {
            AsideOp::Finish { name, .. } => {
                let Some(index) = whole(name) else { return };
                let files = self.nodes[at].disk.seen();
                self.counts.snapshots += 1;
                self.checks.has_snapshot(at, index, files.get(name).map_or(&[], Vec::as_slice));
            }
            AsideOp::Remove { file } => {
                let Some(index) = whole(file) else { return };
                self.checks.has_no_snapshot(at, index);
            }
            _ => {}
        }
    }

    /// A process dies with an operation under way.
    pub(super) fn break_off_aside(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if let Some(op) = node.aside.take() {
            node.disk.begin_aside(&op, &mut self.faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn write(data: &[u8], offset: u64, sync: bool) -> AsideOp {
        AsideOp::Write { file: "s".to_owned(), offset, data: Bytes::copy_from_slice(data), sync }
    }

    fn seen(aside: &AsideFiles, safe: &Files) -> Option<Vec<u8>> {
        let mut files = safe.clone();
        aside.lay_over(&mut files);
        files.remove("s")
    }

    #[test]
    fn what_was_flushed_outlives_the_power() {
        for seed in 1..200 {
            let (mut aside, mut safe) = (AsideFiles::default(), Files::new());
            let mut faults = Faults::draw(seed, &[]);
            let flushed = [7; 2 * SECTOR];
            for op in [AsideOp::Create { file: "s".to_owned() }, write(&flushed, 0, true)] {
                aside.carry_out(&op, &mut safe).expect("done");
            }
            assert_eq!(safe.get("s").map(Vec::as_slice), Some(&flushed[..]));
            aside.carry_out(&write(&[9; 3 * SECTOR], 2 * SECTOR as u64, false), &mut safe).expect("done");
            assert_eq!(seen(&aside, &safe).map(|content| content.len()), Some(5 * SECTOR));
            aside.lose_power(&mut safe, &mut faults);
            let left = seen(&aside, &safe).expect("its name is safe");
            assert_eq!(&left[..2 * SECTOR], &flushed[..], "seed {seed}");
            assert!(left.len() <= 5 * SECTOR && left[2 * SECTOR..].iter().all(|&b| b == 9 || b == 0));
        }
    }

    #[test]
    fn power_takes_what_was_not_flushed_in_every_way() {
        let mut ends = std::collections::BTreeSet::new();
        for seed in 1..400 {
            let (mut aside, mut safe) = (AsideFiles::default(), Files::new());
            let mut faults = Faults::draw(seed, &[]);
            for op in [AsideOp::Create { file: "s".to_owned() }, write(&[9; 2 * SECTOR], 0, false)] {
                aside.carry_out(&op, &mut safe).expect("done");
            }
            aside.lose_power(&mut safe, &mut faults);
            let left = safe.get("s");
            ends.insert(left.map(|content| {
                let is_whole = content.len() == 2 * SECTOR && content.iter().all(|&b| b == 9);
                if is_whole { "whole" } else { "torn" }
            }));
        }
        assert_eq!(ends.into_iter().collect::<Vec<_>>(), [None, Some("torn"), Some("whole")]);
    }

    #[test]
    fn a_finished_file_has_its_new_name_only() {
        let (mut aside, mut safe) = (AsideFiles::default(), Files::new());
        let finish = AsideOp::Finish { file: "s".to_owned(), length: 2, name: "whole".to_owned() };
        for op in [AsideOp::Create { file: "s".to_owned() }, write(b"abc", 0, false), finish] {
            aside.carry_out(&op, &mut safe).expect("done");
        }
        assert_eq!((safe.remove("whole"), seen(&aside, &safe)), (Some(b"ab".to_vec()), None));
    }
}
