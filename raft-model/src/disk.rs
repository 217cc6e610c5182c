//! A disk that answers when it is told, and what recovery would find on it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use raft_core::disk::{AsideOp, AsideOutcome, DiskBatch, DiskOp, FileName, WriteSeq};
use raft_core::log::{LogOptions, Recovered, Recovery, recover};
use raft_core::replica::model::project_entry;
use raft_core::types::NodeId;

/// Small, because every state has its own.
pub(crate) const LOG: LogOptions = LogOptions { segment_size: 4096 };

/// Files at rest, and what recovery finds in them.
pub(crate) struct Image {
    files: BTreeMap<FileName, Vec<u8>>,
    pub(crate) found: Recovered,
}

impl Image {
    fn new(files: BTreeMap<FileName, Vec<u8>>, id: &NodeId) -> Image {
        match recover(&files, id, LOG) {
            Ok(Recovery::Found(found)) => Image { files, found: *found },
            Ok(Recovery::Empty) => panic!("{id} finds its disk empty"),
            Err(error) => panic!("{id} refuses its disk: {error}"),
        }
    }

    /// What decides a later restart: what recovery finds, not where it lies.
    fn project(&self, names: &dyn Fn(&NodeId) -> u8, mut out: &mut dyn Hasher) {
        let found = &self.found;
        (found.hard_state.term, found.hard_state.voted_for.as_ref().map(names)).hash(&mut out);
        (found.entries.len(), found.commit_hint, found.admitted).hash(&mut out);
        found.identity.cluster_id.is_some().hash(&mut out);
        found.entries.iter().for_each(|entry| project_entry(entry, out));
    }
}

#[derive(Clone)]
struct Waiting {
    /// With everything that waits.
    image: Arc<Image>,
    last: WriteSeq,
    sync: bool,
}

/// What is durable, and what waits for the flush.
#[derive(Clone)]
pub(crate) struct Disk {
    id: NodeId,
    durable: Arc<Image>,
    waiting: Option<Waiting>,
}

impl Disk {
    /// A disk on which these operations were carried out.
    pub(crate) fn holding(id: &NodeId, ops: &[DiskOp]) -> Disk {
        let mut files = BTreeMap::new();
        ops.iter().for_each(|op| apply(&mut files, op));
        Disk { id: id.clone(), durable: Arc::new(Image::new(files, id)), waiting: None }
    }

    pub(crate) fn durable(&self) -> &Recovered {
        &self.durable.found
    }

    pub(crate) fn submit(&mut self, batch: &DiskBatch) {
        let before = self.waiting.as_ref().map_or(&self.durable, |waiting| &waiting.image);
        let image = self.with(before, &batch.ops);
        let sync = batch.sync || self.is_busy();
        self.waiting = Some(Waiting { image, last: batch.seq, sync });
    }

    fn with(&self, image: &Image, ops: &[DiskOp]) -> Arc<Image> {
        let mut files = image.files.clone();
        ops.iter().for_each(|op| apply(&mut files, op));
        Arc::new(Image::new(files, &self.id))
    }

    /// Does something aside of the log: at once and durably.
    pub(crate) fn carry_out_aside(&mut self, op: &AsideOp) -> AsideOutcome {
        let mut outcome = None;
        let waiting = self.waiting.as_mut().map(|waiting| &mut waiting.image);
        for image in waiting.into_iter().chain([&mut self.durable]) {
            let mut files = image.files.clone();
            outcome = Some(op.carry_out(&mut files));
            *image = Arc::new(Image::new(files, &self.id));
        }
        outcome.expect("there is a durable image")
    }

    /// Whether a batch waits that the replica wants to hear of.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.sync)
    }

    /// Whether anything would be lost with the power.
    pub(crate) fn holds_back(&self) -> bool {
        self.waiting.is_some()
    }

    /// Flushes all that waits; the last batch is the answer.
    pub(crate) fn flush(&mut self) -> Option<WriteSeq> {
        let waiting = self.waiting.take()?;
        self.durable = waiting.image;
        Some(waiting.last)
    }

    /// The process is gone; what waited is lost or, if the operating system had it, there.
    pub(crate) fn crash(&mut self, keep: bool) {
        if let Some(waiting) = self.waiting.take().filter(|_| keep) {
            self.durable = waiting.image;
        }
    }

    /// What a new process finds, after it has repaired the end of its log.
    pub(crate) fn restart(&mut self) -> Recovered {
        let found = self.durable.found.clone();
        self.durable = self.with(&self.durable, &found.repairs);
        found
    }

    pub(crate) fn project(&self, names: &dyn Fn(&NodeId) -> u8, mut out: &mut dyn Hasher) {
        self.durable.project(names, out);
        self.is_busy().hash(&mut out);
        if let Some(waiting) = &self.waiting {
            waiting.image.project(names, out);
        }
    }
}

fn apply(files: &mut BTreeMap<FileName, Vec<u8>>, op: &DiskOp) {
    match op {
        DiskOp::Prepare { file, size, head } => {
            let mut content = vec![0; usize::try_from(*size).expect("fits")];
            content[..head.len()].copy_from_slice(head);
            files.insert(file.clone(), content);
        }
        DiskOp::Write { file, offset, data } => {
            let offset = usize::try_from(*offset).expect("fits");
            let content = files.get_mut(file).expect("a write to a file that was not prepared");
            content[offset..offset + data.len()].copy_from_slice(data);
        }
        DiskOp::Replace { file, content } => drop(files.insert(file.clone(), content.to_vec())),
        DiskOp::Remove { file } => drop(files.remove(file)),
    }
}
