//! A disk in memory that answers when it is told, and forgets what it has not answered for.

use std::collections::{BTreeMap, VecDeque};

use raft_core::disk::{AsideOp, AsideOutcome, AsideSeq, DiskBatch, DiskOp, FileName, WriteSeq};
use raft_core::log::{LogOptions, Recovered, Recovery, recover};
use raft_core::types::NodeId;

use super::dice::Dice;

/// Small segments, so that a short story has several.
pub(crate) const LOG: LogOptions = LogOptions { segment_size: 8192 };

const SECTOR: usize = 512;

/// What becomes, in a crash, of the writes that the disk has not answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// All are lost: the power failed.
    Lost,
    /// All are there: only the process died, and the operating system had them.
    Kept,
    /// Of each sector nobody knows.
    Torn,
}

/// The durable content, and the batches that wait for their flush.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    files: BTreeMap<FileName, Vec<u8>>,
    waiting: VecDeque<DiskBatch>,
    /// What is to be done aside.
    aside: Option<(AsideSeq, AsideOp)>,
    /// Grows whenever the durable content changes.
    pub(crate) version: u64,
}

impl Disk {
    /// A disk that holds these files.
    #[allow(dead_code, reason = "only the golden files begin and end with them")]
    pub(crate) fn holding(files: BTreeMap<FileName, Vec<u8>>) -> Disk {
        Disk { files, ..Disk::default() }
    }

    /// What is durable.
    #[allow(dead_code, reason = "only the golden files begin and end with them")]
    pub(crate) fn files(&self) -> &BTreeMap<FileName, Vec<u8>> {
        &self.files
    }

    pub(crate) fn submit(&mut self, batch: DiskBatch) {
        self.waiting.push_back(batch);
    }

    /// Whether a batch waits that the replica wants to hear of.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.iter().any(|batch| batch.sync)
    }

    /// Flushes all that waits; the last batch is the answer.
    pub(crate) fn flush(&mut self) -> Option<WriteSeq> {
        let last = self.waiting.back().map(|batch| batch.seq);
        for batch in std::mem::take(&mut self.waiting) {
            self.apply_all(&batch.ops);
        }
        last
    }

    pub(crate) fn submit_aside(&mut self, seq: AsideSeq, op: AsideOp) {
        assert!(self.aside.is_none(), "one operation aside at a time");
        self.aside = Some((seq, op));
    }

    /// Carries out what is to be done aside, if there is anything.
    pub(crate) fn finish_aside(&mut self) -> Option<(AsideSeq, AsideOutcome)> {
        let (seq, op) = self.aside.take()?;
        self.version += 1;
        Some((seq, op.carry_out(&mut self.files)))
    }

    /// An empty disk takes its place.
    pub(crate) fn wipe(&mut self) {
        *self = Disk { version: self.version + 1, ..Disk::default() };
    }

    pub(crate) fn apply_all(&mut self, ops: &[DiskOp]) {
        self.version += 1;
        ops.iter().for_each(|op| self.apply(op));
    }

    fn apply(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Prepare { file, size, head } => {
                let mut content = vec![0; usize::try_from(*size).expect("fits")];
                content[..head.len()].copy_from_slice(head);
                self.files.insert(file.clone(), content);
            }
            DiskOp::Write { file, offset, data } => {
                let offset = usize::try_from(*offset).expect("fits");
                let content = self.files.get_mut(file).expect("a write to a file that was not prepared");
                content[offset..offset + data.len()].copy_from_slice(data);
            }
            DiskOp::Replace { file, content } => drop(self.files.insert(file.clone(), content.to_vec())),
            DiskOp::Remove { file } => drop(self.files.remove(file)),
        }
    }

    pub(crate) fn crash(&mut self, unanswered: Unanswered, dice: &mut Dice) {
        if let Some((_, op)) = self.aside.take().filter(|_| unanswered == Unanswered::Kept) {
            // Nobody hears of it any more.
            drop(op.carry_out(&mut self.files));
        }
        let ops: Vec<DiskOp> = self.waiting.drain(..).flat_map(|batch| batch.ops).collect();
        match unanswered {
            Unanswered::Lost => {}
            Unanswered::Kept => self.apply_all(&ops),
            Unanswered::Torn => {
                let begun = dice.below(ops.len() + 1);
                for op in &ops[..begun] {
                    self.apply_torn(op, dice);
                }
                self.version += 1;
            }
        }
    }

    fn apply_torn(&mut self, op: &DiskOp, dice: &mut Dice) {
        let DiskOp::Write { file, offset, data } = op else { return self.apply(op) };
        let start = usize::try_from(*offset).expect("fits");
        let content = self.files.get_mut(file).expect("a write to a file that was not prepared");
        let end = start + data.len();
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            let (from, to) = (start.max(sector * SECTOR), end.min((sector + 1) * SECTOR));
            if dice.one_in(2) {
                content[from..to].copy_from_slice(&data[from - start..to - start]);
            }
        }
    }

    /// What a restart would find if the power failed now, none on a disk without a log.
    pub(crate) fn durable(&self, id: &NodeId) -> Option<Recovered> {
        match recover(&self.files, id, LOG).unwrap_or_else(|error| panic!("{id} refuses its disk: {error}")) {
            Recovery::Found(found) => Some(*found),
            Recovery::Empty => None,
        }
    }
}
