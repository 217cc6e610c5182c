//! Crashes at every operation, of the log and of its repair: nothing flushed is lost, nothing refused.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::disk::{Dice, TornDisk};
use super::{Model, OPTIONS, entry, identity, node, recover_any, recover_found};
use crate::disk::{DiskOp, FileName, SnapshotFile};
use crate::log::{FrameSeq, Record, Recovered, Recovery, Writer, create};
use crate::types::{EntryId, HardState, Incarnation, LogIndex, Term};

#[derive(Clone, Debug)]
enum Step {
    /// Lays a batch out and hands it to the disk.
    Append(Vec<Draft>),
    /// The disk flushes; the writer has yet to hear.
    Flush,
    /// The writer hears of the last flush.
    Hear,
    /// The oldest segment goes, if the durable snapshot allows.
    Remove,
}

/// A record whose index depends on the log so far.
#[derive(Clone, Debug)]
enum Draft {
    Entry {
        back: u8,
        size: u16,
    },
    /// An entry holding the log's own last segment, byte for byte.
    CopyOfLog,
    Vote(u8),
    Peer(u8),
    Admitted,
    Hint,
    /// A snapshot of what is flushed, or one that reaches beyond the log.
    Snapshot {
        ahead: u8,
    },
}

/// A log being written, and what must be found after a crash.
#[derive(Clone)]
struct Run {
    disk: TornDisk,
    writer: Writer,
    /// What the log holds after so many frames.
    states: Vec<Model>,
    flushed: FrameSeq,
}

impl Run {
    fn new() -> Run {
        let (writer, ops) = create(&identity(), OPTIONS);
        let mut disk = TornDisk::default();
        disk.apply_all(&ops);
        disk.sync();
        Run { disk, writer, states: vec![Model::default()], flushed: FrameSeq(0) }
    }

    fn records(&mut self, drafts: &[Draft]) -> Vec<Record> {
        let mut state = self.states.last().expect("never empty").clone();
        let mut records = Vec::new();
        for draft in drafts {
            let length = state.last().0;
            let term = self.states.len() as u64;
            let record = match draft {
                Draft::Entry { back, size } => {
                    let index = (length + 1).saturating_sub(u64::from(*back)).max(state.snapshot.index.0 + 1);
                    entry(index, term, vec![*back ^ 0x5A; usize::from(*size)])
                }
                Draft::CopyOfLog => {
                    let file = self.writer.segment().file_name();
                    entry(length + 1, term, self.disk.bytes(&file).clone())
                }
                Draft::Vote(who) => {
                    Record::HardState(HardState { term: Term(term), voted_for: Some(node(&who.to_string())) })
                }
                Draft::Peer(who) => {
                    Record::Peer { node_id: node(&who.to_string()), incarnation: Incarnation(term) }
                }
                Draft::Admitted => Record::Admitted,
                Draft::Hint => Record::CommitHint(LogIndex(length)),
                // It stands before the entries of its frame.
                Draft::Snapshot { .. } if records.iter().any(|r| matches!(r, Record::Entry(_))) => {
                    Record::Admitted
                }
                Draft::Snapshot { ahead } => match self.snapshot(&state, *ahead, term) {
                    Some(EntryId { index, term }) => Record::Snapshot { index, term },
                    None => Record::Admitted,
                },
            };
            state.take(&record);
            records.push(record);
        }
        self.states.push(state);
        records
    }

    /// Makes the file of a snapshot that may be recorded now.
    fn snapshot(&mut self, state: &Model, ahead: u8, term: u64) -> Option<EntryId> {
        let flushed = &self.states[usize::try_from(self.flushed.0).expect("small")];
        let snapshot = if ahead > 0 {
            EntryId { index: LogIndex(state.last().0 + u64::from(ahead)), term: Term(term) }
        } else {
            // Committed is what is flushed, and nothing of this frame may have replaced it.
            let middle = LogIndex(flushed.last().0.midpoint(flushed.base.index.0));
            flushed.id_at(middle).filter(|id| state.id_at(middle) == Some(*id))?
        };
        if snapshot.index <= state.snapshot.index {
            return None;
        }
        self.disk.put(&SnapshotFile::Whole(snapshot.index).file_name(), vec![1]);
        Some(snapshot)
    }

    /// The segment that may go now.
    fn dispensable(&self) -> Option<FileName> {
        let flushed = self.states[usize::try_from(self.flushed.0).expect("small")].snapshot;
        (flushed.index > LogIndex::ZERO).then(|| self.writer.oldest_dispensable(flushed.index))?
    }

    /// The operations of a step; not yet carried out.
    fn step(&mut self, step: &Step) -> Vec<DiskOp> {
        match step {
            Step::Append(drafts) => {
                let records = self.records(drafts);
                let (_, ops) = self.writer.append(&records);
                return ops;
            }
            Step::Flush => {
                self.disk.sync();
                self.flushed = self.writer.last_frame();
            }
            Step::Hear => self.writer.note_durable(self.flushed),
            Step::Remove => {
                if let Some(file) = self.dispensable() {
                    self.writer.segment_removed();
                    return vec![DiskOp::Remove { file }];
                }
            }
        }
        Vec::new()
    }

    /// Checks that the log is found again, at least as far as it was flushed.
    fn check(&self) -> Recovered {
        let found = recover_found(&self.disk);
        let frames = found.writer.last_frame();
        assert!(frames >= self.flushed, "only {frames} of {} flushed frames left", self.flushed);
        let state = usize::try_from(frames.0).expect("small");
        self.states[state].assert_is(&found);
        found
    }

    /// Starts anew from what is found, the repairs interrupted as often as there are operations in them.
    fn restart(&mut self, dice: &mut Dice) {
        let found = self.check();
        let in_flight = self.disk.outcomes();
        for done in 0..found.repairs.len() {
            let mut interrupted = self.clone();
            interrupted.disk.apply_all(&found.repairs[..done]);
            interrupted.disk.crash_within(&found.repairs[done], dice);
            let again = interrupted.check();
            // After a mere death of the process the second crash may take what the first left in flight.
            let same = again.writer.last_frame() == found.writer.last_frame();
            assert!(same || in_flight > 1, "the repair changed the log");
            interrupted.disk.apply_all(&again.repairs);
            interrupted.disk.sync();
            interrupted.check_clean();
        }
        self.disk.apply_all(&found.repairs);
        self.disk.sync();
        self.flushed = found.writer.last_frame();
        self.states.truncate(usize::try_from(self.flushed.0).expect("small") + 1);
        self.writer = found.writer;
        self.check_clean();
    }

    fn check_clean(&self) {
        let found = self.check();
        assert_eq!(found.torn, None, "something was left behind the cut");
        let changes = |op: &DiskOp| !matches!(op, DiskOp::Write { data, .. } if data.starts_with(b"RFrm"));
        assert_eq!(found.repairs.iter().filter(|op| changes(op)).count(), 0, "repairs were left over");
    }

    /// A crash now: every outcome where they are few, else the extremes and some others.
    fn crash_now(&self, dice: &mut Dice) {
        let outcomes = self.disk.outcomes();
        for nth in 0..outcomes.min(12) {
            let mut crashed = self.clone();
            let mut left = nth;
            crashed.disk.crash(|versions| {
                if outcomes > 12 {
                    return match nth {
                        0 => 0,
                        1 => versions - 1,
                        _ => dice.below(versions),
                    };
                }
                let version = left % versions;
                left /= versions;
                version
            });
            let mut after = Dice(dice.0);
            crashed.restart(&mut after);
        }
    }
}

/// Runs a script; crashes in a copy at every operation, and in earnest now and then.
fn run(steps: &[Step], seed: u64) {
    let mut dice = Dice(seed);
    let mut run = Run::new();
    for step in steps {
        for op in run.step(step) {
            let mut within = run.clone();
            within.disk.crash_within(&op, &mut dice);
            within.restart(&mut dice);
            run.disk.apply(&op);
            run.crash_now(&mut dice);
        }
        match dice.below(12) {
            0 => {
                run.disk.crash(|versions| dice.below(versions));
                run.restart(&mut dice);
            }
            // The process dies and the system lives: all is seen, and nothing more durable than before.
            1 => run.restart(&mut dice),
            _ => {}
        }
    }
}

fn draft() -> impl Strategy<Value = Draft> {
    prop_oneof![
        6 => (0_u8..4, 0_u16..700).prop_map(|(back, size)| Draft::Entry { back, size }),
        1 => (0_u8..2, 1500_u16..5000).prop_map(|(back, size)| Draft::Entry { back, size }),
        1 => Just(Draft::CopyOfLog),
        2 => (0_u8..4).prop_map(Draft::Vote),
        1 => (0_u8..4).prop_map(Draft::Peer),
        1 => Just(Draft::Admitted),
        2 => Just(Draft::Hint),
        2 => Just(Draft::Snapshot { ahead: 0 }),
        1 => (1_u8..4).prop_map(|ahead| Draft::Snapshot { ahead }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(draft(), 1..4).prop_map(Step::Append),
        2 => Just(Step::Flush),
        2 => Just(Step::Hear),
        2 => Just(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_crash_keeps_what_was_flushed_is_found(
        steps in prop::collection::vec(step(), 1..40),
        seed in any::<u64>(),
    ) {
        run(&steps, seed);
    }
}

#[test]
fn a_creation_that_was_interrupted_is_begun_anew_or_done() {
    let (_, ops) = create(&identity(), OPTIONS);
    for seed in 0..200 {
        let mut dice = Dice(seed);
        for done in 0..=ops.len() {
            let mut disk = TornDisk::default();
            disk.apply_all(&ops[..done]);
            match ops.get(done) {
                Some(op) => disk.crash_within(op, &mut dice),
                None => disk.crash(|versions| dice.below(versions)),
            }
            match recover_any(&disk) {
                Ok(Recovery::Empty) => assert!(done < ops.len(), "a made directory was taken for empty"),
                Ok(Recovery::Found(found)) => {
                    assert!(done + 1 >= ops.len(), "found before the identity was there");
                    Model::default().assert_is(&found);
                    assert_eq!(found.torn, None);
                }
                Err(error) => panic!("refused after {done} operations: {error}"),
            }
        }
    }
}

/// What a process read from the system's cache was not durable; it is once the repairs are carried out.
#[test]
fn what_was_found_is_durable_once_repaired() {
    let mut run = Run::new();
    for op in run.step(&Step::Append(vec![Draft::Entry { back: 0, size: 3 }])) {
        run.disk.apply(&op);
    }
    let found = run.check();
    assert_eq!(found.entries.len(), 1);
    let mut lost = run.clone();
    lost.disk.crash(|_| 0);
    assert_eq!(lost.check().entries.len(), 0);

    // The repairs write the frame itself: after a flush that failed, the cache may hold it and call it clean.
    lost.disk.apply_all(&found.repairs);
    lost.disk.sync();
    assert_eq!(lost.check().entries, found.entries);
}
