//! Logs that do not begin with segment 1: what a snapshot stands for, and what is refused.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::disk::TornDisk;
use super::{Model, entry, identity, node, recover_any, recover_found};
use crate::consensus::Configuration;
use crate::disk::{SnapshotFile, Unrecorded};
use crate::log::{LogOptions, Record, Recovery, RecoveryError, Writer, create};
use crate::snapshot::{self, Header};
use crate::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, StateHash, Term};

/// A log of small segments that were flushed, with a snapshot.
#[derive(Clone)]
struct Log {
    disk: TornDisk,
    writer: Writer,
    model: Model,
}

fn snapshot(index: u64, term: u64) -> Record {
    Record::Snapshot { index: LogIndex(index), term: Term(term) }
}

impl Log {
    /// Entries 1 to 20, some to a segment; a vote, a peer and the admission among them.
    fn new() -> Log {
        let (writer, ops) = create(&identity(), LogOptions { segment_size: 512 });
        let mut disk = TornDisk::default();
        disk.apply_all(&ops);
        let mut log = Log { disk, writer, model: Model::default() };
        let vote = HardState { term: Term(3), voted_for: Some(node("node_1")) };
        let peer = Record::Peer { node_id: node("node_2"), incarnation: Incarnation(9) };
        log.append(&[Record::HardState(vote), peer, Record::Admitted]);
        (1..=20).for_each(|index| log.append(&[entry(index, 3, vec![7; 60])]));
        assert!(log.segments().len() > 6);
        log
    }

    fn append(&mut self, records: &[Record]) {
        for record in records {
            self.model.take(record);
            if let Record::Snapshot { index, .. } = record {
                self.disk.put(&SnapshotFile::Whole(*index).file_name(), vec![1]);
            }
        }
        let (frame, ops) = self.writer.append(records);
        self.disk.apply_all(&ops);
        self.disk.sync();
        self.writer.note_durable(frame);
    }

    /// Removes whatever may go; how many segments did.
    fn compact(&mut self, up_to: u64) -> usize {
        let mut removed = 0;
        while let Some(file) = self.writer.oldest_dispensable(LogIndex(up_to)) {
            self.disk.remove(&file);
            self.writer.segment_removed();
            removed += 1;
            self.model.assert_is(&recover_found(&self.disk));
        }
        removed
    }

    fn segments(&self) -> Vec<String> {
        self.disk.names().into_iter().filter(|name| name.starts_with("log-")).collect()
    }

    fn refusal(&self) -> RecoveryError {
        recover_any(&self.disk).expect_err("was taken")
    }
}

#[test]
fn a_log_begins_after_its_snapshot() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    assert!(log.compact(15) > 3);
    let found = recover_found(&log.disk);
    assert!(found.base.index > LogIndex(10) && found.base.index <= LogIndex(15), "{}", found.base);
    assert_eq!(found.snapshot, Some(EntryId { index: LogIndex(15), term: Term(3) }));
    assert_eq!(found.commit_hint, LogIndex(15), "what is in a snapshot is committed");
    // It goes on, and what stands besides the entries stays.
    (21..=40).for_each(|index| log.append(&[entry(index, 4, vec![8; 60])]));
    log.model.assert_is(&recover_found(&log.disk));
    log.append(&[snapshot(39, 4)]);
    assert!(log.compact(39) > 4);
    assert_eq!(recover_found(&log.disk).peers.len(), 1);
}

#[test]
fn entries_before_the_snapshot_may_be_kept() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    log.compact(6);
    assert!(recover_found(&log.disk).base.index <= LogIndex(6));
}

/// The segment with the last entries up to the snapshot holds one after it, too; and a recovered writer knows
/// as well as the one before which segments may go.
#[test]
fn a_recovered_log_is_compacted_like_the_one_before() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    let mut again = log.clone();
    again.writer = recover_found(&again.disk).writer;
    assert_eq!(log.compact(15), again.compact(15));
    assert_eq!(log.segments(), again.segments());
    let mut later = log.clone();
    later.append(&[snapshot(20, 3)]);
    again.writer = recover_found(&again.disk).writer;
    again.append(&[snapshot(20, 3)]);
    assert_eq!(later.compact(20), again.compact(20));
    assert_eq!(later.segments(), again.segments());
}

#[test]
#[should_panic(expected = "what is removed is in a snapshot")]
fn nothing_goes_that_no_snapshot_holds() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    let _ = log.writer.oldest_dispensable(LogIndex(16));
}

/// Paper §7: the log is discarded, unless it holds the entry that the snapshot ends with.
#[test]
fn a_snapshot_that_the_log_does_not_hold_replaces_it() {
    for (index, term, kept) in [(20, 3, 0), (15, 3, 5), (25, 3, 0), (15, 4, 0), (25, 4, 0)] {
        let mut log = Log::new();
        log.append(&[snapshot(index, term)]);
        let found = recover_found(&log.disk);
        log.model.assert_is(&found);
        let base = EntryId { index: LogIndex(index), term: Term(term) };
        if index == 15 && term == 3 {
            assert_eq!(found.last(), EntryId { index: LogIndex(20), term: Term(3) });
        } else if (index, term) != (20, 3) {
            assert_eq!((found.base, found.entries.len()), (base, kept));
            log.append(&[entry(index + 1, 4, "a")]);
            log.compact(index);
            let found = recover_found(&log.disk);
            assert_eq!((found.base, found.entries.len()), (base, 1));
        }
    }
}

#[test]
fn a_missing_beginning_is_refused() {
    let mut log = Log::new();
    let first = log.disk.remove("log-00000000000000000001");
    let error = log.refusal();
    assert_eq!(error, RecoveryError::SegmentMissing { file: "log-00000000000000000001".into() });
    log.disk.put("log-00000000000000000001", first);

    log.append(&[snapshot(3, 3)]);
    for number in 1..=4 {
        log.disk.remove(&format!("log-{number:020}"));
    }
    let error = log.refusal().to_string();
    let expected = "log-00000000000000000004 is missing: the log begins with entry ";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.contains("the last snapshot ends with entry 3. Do not delete"), "{error}");
}

#[test]
fn a_missing_snapshot_is_refused() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    let name = SnapshotFile::Whole(LogIndex(15)).file_name();
    log.disk.remove(&name);
    log.disk.put(&SnapshotFile::Part(LogIndex(15)).file_name(), vec![1]);
    let error = log.refusal().to_string();
    assert!(error.starts_with(&(name + " is missing, and the log says that it was complete. ")), "{error}");
}

/// What a file begins with that holds the state at an index.
fn begun(index: u64) -> Vec<u8> {
    let header = Header {
        cluster_id: ClusterId(1),
        index: LogIndex(index),
        term: Term(3),
        state_hash: StateHash(1),
        configuration_index: LogIndex(1),
        configuration: Configuration::new([node("node_1")]),
    };
    snapshot::Writer::new(&header).take().to_vec()
}

#[test]
fn snapshot_files_are_told_apart() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    log.compact(10);
    let base = recover_found(&log.disk).base.index.0;
    let (whole, part) =
        (|index| SnapshotFile::Whole(LogIndex(index)), |index| SnapshotFile::Part(LogIndex(index)));
    for file in [whole(base - 1), whole(base), whole(14), part(14), part(15), part(18)] {
        log.disk.put(&file.file_name(), vec![1]);
    }
    for (file, index) in [(part(16), 16), (whole(17), 17), (part(19), 20)] {
        log.disk.put(&file.file_name(), begun(index));
    }
    let mut damaged = begun(21);
    damaged[30] ^= 1;
    log.disk.put(&part(21).file_name(), damaged);
    log.disk.put("snapshot-of-mine", vec![1]);
    let found = recover_found(&log.disk);
    let earlier = [base, 14].map(|index| EntryId { index: LogIndex(index), term: Term(3) });
    assert_eq!(found.earlier, earlier);
    let later = [part(16), whole(17)].map(|file| {
        let snapshot = EntryId { index: file.index(), term: Term(3) };
        Unrecorded { file, snapshot }
    });
    assert_eq!(found.later, later, "those that can be told from their headers");
    let leftovers = [whole(base - 1), part(14), part(15), part(18), part(19), part(21)];
    let leftovers = leftovers.map(SnapshotFile::file_name);
    assert_eq!(found.leftovers, leftovers);
}

#[test]
fn a_gap_in_the_middle_is_refused() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    log.compact(8);
    let segments = log.segments();
    for name in &segments[1..segments.len() - 1] {
        let mut disk = log.disk.clone();
        disk.remove(name);
        let error = recover_any(&disk).expect_err("was taken");
        assert_eq!(error, RecoveryError::SegmentMissing { file: name.clone() });
    }
}

#[test]
fn what_a_snapshot_holds_is_not_replaced() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    log.append(&[entry(15, 5, "a")]);
    assert!(matches!(log.refusal(), RecoveryError::EntryGap { found: LogIndex(15), .. }));
}

/// All of it is dispensable but what it begins with now.
#[test]
fn the_first_frame_of_a_log_without_its_beginning_is_there() {
    let mut log = Log::new();
    log.append(&[snapshot(20, 3)]);
    (0..8).for_each(|_| log.append(&[Record::CommitHint(LogIndex(20))]));
    log.compact(20);
    let first = log.segments().remove(0);
    log.disk.bytes(&first)[70] ^= 1;
    let error = log.refusal().to_string();
    assert!(
        error.starts_with(&(first + " is damaged at offset 64: its first frame is unreadable")),
        "{error}"
    );
}

#[test]
fn every_damaged_byte_of_a_compacted_log_is_noticed() {
    let mut log = Log::new();
    log.append(&[snapshot(15, 3)]);
    log.compact(15);
    log.append(&[entry(21, 3, "a")]);
    log.append(&[Record::CommitHint(LogIndex(21))]);
    let (segments, whole) = (log.segments(), recover_found(&log.disk));
    for name in &segments {
        let bytes = log.disk.clone().bytes(name).clone();
        let used = bytes.iter().rposition(|&b| b != 0).unwrap_or(0).next_multiple_of(8);
        let is_spare = Some(name) == segments.last();
        for at in (0..used).filter(|_| !is_spare) {
            let mut disk = log.disk.clone();
            disk.bytes(name)[at] ^= 0x10;
            match recover_any(&disk) {
                Err(_) => {}
                Ok(Recovery::Empty) => panic!("{name} byte {at}: taken for empty"),
                // Of the last frame nothing tells whether it was in flight.
                Ok(Recovery::Found(found)) => {
                    assert!(found.torn.is_some(), "{name} byte {at} does not matter");
                    assert_eq!(found.writer.last_frame().0 + 1, whole.writer.last_frame().0);
                    assert_eq!((&found.entries, found.base), (&whole.entries, whole.base));
                }
            }
        }
    }
}

/// The segment after it says again what stood in it, once that is durable.
#[test]
fn a_segment_stays_until_the_next_one_is_known_to_begin() {
    let mut log = Log::new();
    log.append(&[snapshot(20, 3)]);
    log.compact(20);
    let first = log.segments().remove(0);
    while log.writer.segment().file_name() == first {
        let (frame, ops) = log.writer.append(&[entry(21, 3, vec![9; 100])]);
        log.disk.apply_all(&ops);
        if log.writer.segment().file_name() == first {
            log.writer.note_durable(frame);
        }
    }
    log.writer.append(&[snapshot(21, 3)]);
    assert_eq!(log.writer.oldest_dispensable(LogIndex(21)), None, "it may be in flight");
    log.writer.note_durable(log.writer.last_frame());
    assert!(log.writer.oldest_dispensable(LogIndex(21)).is_none(), "it holds that entry itself");
    log.writer.append(&[snapshot(22, 3)]);
    assert_eq!(log.writer.oldest_dispensable(LogIndex(22)), Some(first));
}
