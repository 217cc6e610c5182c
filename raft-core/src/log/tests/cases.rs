//! Single cases: what is refused and in which words, and what the writer lays out where.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::disk::TornDisk;
use super::{Model, OPTIONS, entry, identity, node, recover_any, recover_found};
use crate::disk::DiskOp;
use crate::log::format::{FrameHeader, FrameSeq, Place, SegmentHeader, checksum};
use crate::log::recovery::read;
use crate::log::standing::Standing;
use crate::log::writer::{End, Extents};
use crate::log::{
    Identity, LogOptions, Record, Recovery, RecoveryError, SegmentNumber, Writer, create, recover,
};
use crate::types::{HardState, Incarnation, LogIndex, Term};

fn created() -> (TornDisk, Writer) {
    let (writer, ops) = create(&identity(), OPTIONS);
    let mut disk = TornDisk::default();
    disk.apply_all(&ops);
    (disk, writer)
}

fn refusal(disk: &TornDisk) -> RecoveryError {
    recover_any(disk).expect_err("was taken")
}

/// Appends and flushes.
fn commit(disk: &mut TornDisk, writer: &mut Writer, records: &[Record]) -> Vec<DiskOp> {
    let (frame, ops) = writer.append(records);
    disk.apply_all(&ops);
    disk.sync();
    writer.note_durable(frame);
    ops
}

#[test]
fn nothing_is_empty() {
    assert!(matches!(recover_any(&TornDisk::default()), Ok(Recovery::Empty)));
}

#[test]
fn a_directory_belongs_to_one_node() {
    let (disk, _) = created();
    let error = recover(&disk, &node("node_2"), OPTIONS).expect_err("was taken").to_string();
    assert!(error.starts_with("this directory belongs to node_1"), "{error}");
    assert!(error.contains("configured as node_2"), "{error}");
}

#[test]
fn a_lost_identity_is_not_made_anew() {
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[entry(1, 1, "a")]);
    disk.remove("identity");
    let error = refusal(&disk).to_string();
    assert!(error.starts_with("identity is missing beside log-00000000000000000001"), "{error}");
}

#[test]
fn an_identity_without_a_log_has_lost_it() {
    let (mut disk, _) = created();
    disk.remove("log-00000000000000000001");
    assert!(matches!(refusal(&disk), RecoveryError::SegmentMissing { file } if file.ends_with('1')));
}

#[test]
fn a_newer_format_is_named() {
    let (mut disk, _) = created();
    let head = disk.bytes("log-00000000000000000001");
    head[8] = 2;
    let mut guarded = head[..12].to_vec();
    guarded.extend_from_slice(&head[16..64]);
    head[12..16].copy_from_slice(&checksum(&guarded).to_le_bytes());
    let error = refusal(&disk).to_string();
    assert!(error.contains("is written in format 2; this build reads format 1"), "{error}");

    let newer = Identity { format_version: 2, ..identity() }.encode();
    disk.put("identity", newer.into_bytes());
    let error = refusal(&disk).to_string();
    assert!(error.starts_with("identity: written in format 2; this build reads format 1"), "{error}");
}

#[test]
fn a_segment_of_another_directory_is_named() {
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[entry(1, 1, "a")]);
    let file = SegmentNumber::FIRST.file_name();
    let strange =
        SegmentHeader { number: SegmentNumber::FIRST, incarnation: Incarnation(5), size: 2048 }.encode();
    disk.bytes(&file)[..64].copy_from_slice(&strange);
    let error = refusal(&disk).to_string();
    assert!(error.contains("another data directory (incarnation 0000000000000005"), "{error}");
}

#[test]
fn the_refusal_says_where_and_what_to_do() {
    let (mut disk, mut writer) = created();
    for index in 1..=3 {
        commit(&mut disk, &mut writer, &[entry(index, 1, vec![1; 10])]);
    }
    disk.bytes("log-00000000000000000001")[120] ^= 1;
    let error = refusal(&disk).to_string();
    let expected = "log-00000000000000000001 is damaged at offset 64: frame 1 is unreadable, and \
        log-00000000000000000001 at offset";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.ends_with("let the cluster replace the member"), "{error}");
    assert!(!error.contains('\n'));
}

#[test]
fn a_gap_in_the_entries_is_refused() {
    for (first, second) in [(1, 3), (2, 3), (0, 1)] {
        let (mut disk, mut writer) = created();
        commit(&mut disk, &mut writer, &[entry(first, 1, "a"), entry(second, 1, "b")]);
        assert!(matches!(refusal(&disk), RecoveryError::EntryGap { offset: 64, .. }), "{first} {second}");
    }
}

#[test]
fn a_hint_beyond_the_log_is_clamped() {
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[entry(1, 1, "a"), Record::CommitHint(LogIndex(7))]);
    assert_eq!(recover_found(&disk).commit_hint, LogIndex(1));
}

/// Every segment alone tells all but the entries: the ones before it may go some day.
#[test]
fn a_segment_starts_with_all_that_stands() {
    let (mut disk, mut writer) = created();
    let vote = HardState { term: Term(4), voted_for: Some(node("node_2")) };
    let peer = Record::Peer { node_id: node("node_2"), incarnation: Incarnation(300) };
    commit(&mut disk, &mut writer, &[Record::HardState(vote.clone()), peer, Record::Admitted]);
    let mut index = 0;
    while writer.segment() < SegmentNumber(4) {
        index += 1;
        commit(&mut disk, &mut writer, &[entry(index, 4, vec![0; 500]), Record::CommitHint(LogIndex(index))]);
    }
    let mut model = Model::default();
    let segment = disk.clone().bytes(&writer.segment().file_name()).clone();
    let length = usize::from_le_bytes(segment[72..80].try_into().expect("eight bytes"));
    let take = |record| {
        model.take(&record);
        Ok::<_, crate::log::records::Unreadable>(())
    };
    crate::log::records::decode(&segment[104..104 + length], take).expect("readable");
    assert_eq!(model.hard_state, vote);
    assert_eq!(model.peers.len(), 1);
    assert!(model.admitted);
    assert_eq!(model.commit_hint, LogIndex(index));
}

#[test]
fn the_next_segment_is_prepared_once_the_one_in_use_is_half_full() {
    let (mut disk, mut writer) = created();
    let mut prepared = Vec::new();
    for index in 1..=20 {
        let ops = commit(&mut disk, &mut writer, &[entry(index, 1, vec![0; 200])]);
        for op in ops {
            if let DiskOp::Prepare { file, .. } = op {
                prepared.push((index, file, writer.segment()));
            }
        }
    }
    assert!(prepared.len() >= 2);
    for (nth, (_, file, in_use)) in prepared.iter().enumerate() {
        assert_eq!(*file, format!("log-{:020}", nth + 2));
        assert_eq!(in_use.0, nth as u64 + 1, "prepared too late");
    }
    assert_eq!(prepared[0].0, 4);
}

/// A batch that fills the prepared segment to the last byte still fits.
#[test]
fn a_segment_is_prepared_again_only_where_it_is_too_short() {
    let (mut exact, mut longer) = (0, 0);
    for size in 1700..2100 {
        let (_, mut writer) = created();
        let (_, ops) = writer.append(&[entry(1, 1, vec![0; 1200])]);
        assert!(matches!(ops[1], DiskOp::Prepare { size: 2048, .. }), "{ops:?}");
        let (_, ops) = writer.append(&[entry(2, 1, vec![0; size])]);
        let again = matches!(&ops[0], DiskOp::Prepare { file, .. } if file.ends_with("2"));
        let write = ops.iter().find_map(|op| match op {
            DiskOp::Write { offset, data, .. } => Some((*offset, data.len())),
            _ => None,
        });
        let (offset, length) = write.expect("a frame");
        assert_eq!((offset, again), (64, 64 + length > 2048), "{length} bytes");
        exact += u32::from(64 + length == 2048);
        longer += u32::from(again);
    }
    assert!(exact > 0 && longer > 0);
}

#[test]
fn a_new_log_begins_with_a_hard_state_and_nothing_else() {
    assert_eq!(Standing::default().records(), [Record::HardState(HardState::default())]);
}

#[test]
fn segments_are_as_long_as_they_are_told_to_be() {
    let length = |options| match &create(&identity(), options).1[0] {
        DiskOp::Prepare { size, .. } => *size,
        other => panic!("{other:?}"),
    };
    assert_eq!(length(LogOptions::default()), 16 << 20);
    let told = [1024, 1025, 0].map(|segment_size| length(LogOptions { segment_size }));
    assert_eq!(told, [1024, 1032, LogOptions::MIN_SEGMENT_SIZE]);
}

#[test]
fn a_writer_knows_how_much_is_durable() {
    let (_, mut writer) = created();
    let (frame, _) = writer.append(&[Record::Admitted]);
    assert_eq!((writer.last_frame(), writer.durable_frame()), (FrameSeq(1), FrameSeq(0)));
    writer.note_durable(frame);
    assert_eq!(writer.durable_frame(), FrameSeq(1));
}

/// In every build: what it would lay out next could not be found again.
#[test]
#[should_panic(expected = "a frame that is not aligned")]
fn a_writer_that_contradicts_itself_does_not_go_on() {
    let (segment, last) = (SegmentNumber::FIRST, FrameSeq(0));
    let extents = Extents::default();
    let end = End { segment, size: 2048, offset: 65, prepared: None, last, last_crc: 0, extents };
    let _ = Writer::resume(Incarnation(1), OPTIONS, end, Standing::default());
}

#[test]
fn a_large_batch_gets_a_segment_that_fits() {
    let (mut disk, mut writer) = created();
    let mut model = Model::default();
    for (index, size) in [(1, 9000), (2, 10), (3, 700), (4, 700), (5, 9000), (6, 20), (7, 1900), (8, 1)] {
        let record = entry(index, 1, vec![3; size]);
        model.take(&record);
        commit(&mut disk, &mut writer, &[record]);
        model.assert_is(&recover_found(&disk));
    }
    let small = LogOptions { segment_size: 1 };
    let found = read(&disk, &node("node_1"), small).expect("readable");
    assert!(matches!(found, Recovery::Found(found) if found.entries == model.entries));
}

/// A client stores the log itself as a value, and the frame that holds it is torn: those inside are none.
#[test]
fn frames_inside_a_value_are_not_frames() {
    for shift in 0..8 {
        let (mut disk, mut writer) = created();
        for index in 1..=3 {
            commit(&mut disk, &mut writer, &[entry(index, 1, vec![1; 10])]);
        }
        let copy = disk.bytes("log-00000000000000000001")[64..400].to_vec();
        let value = [&vec![0; shift][..], &copy].concat();
        let (_, ops) = writer.append(&[entry(4, 1, value)]);
        disk.apply_all(&ops);
        let DiskOp::Write { offset, .. } = &ops[0] else { panic!("{ops:?}") };
        disk.bytes("log-00000000000000000001")[usize::try_from(*offset).expect("small")] = 0;
        let found = recover_found(&disk);
        assert_eq!(found.entries.len(), 3);
        assert_eq!(found.torn.map(|torn| torn.frames), Some(0));
    }
}

/// Had the left-over of a cut come back, it would follow a frame it was not written after.
#[test]
fn a_frame_of_another_course_of_the_log_is_not_taken() {
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[entry(1, 1, "a")]);
    let mut other = writer.clone();
    let (_, ops) = writer.append(&[entry(2, 1, "b")]);
    disk.apply_all(&ops);
    let (_, ops) = writer.append(&[entry(3, 1, "c")]);
    disk.apply_all(&ops);
    let (_, ops) = other.append(&[entry(2, 2, "B")]);
    disk.apply_all(&ops);
    let found = recover_found(&disk);
    assert_eq!(found.entries.len(), 2);
    assert_eq!(found.torn.map(|torn| torn.frames), Some(1));
}

#[test]
#[should_panic(expected = "was never laid out")]
fn a_frame_cannot_be_durable_before_it_is_laid_out() {
    let (_, mut writer) = created();
    let (frame, _) = writer.append(&[Record::Admitted]);
    writer.note_durable(frame.next());
}

/// What the checksums cannot tell: such records would fail the replica's assertions once it runs.
#[test]
fn terms_that_no_server_stores_are_refused() {
    let term = |number| Record::HardState(HardState { term: Term(number), voted_for: None });
    for (records, ahead) in [
        (vec![term(2), entry(1, 2, "a"), entry(2, 1, "b")], false),
        (vec![term((1 << 63) + 1)], false),
        (vec![term(u64::MAX)], false),
        (vec![entry(1, 1, "a")], true),
        (vec![term(2), entry(1, 3, "a")], true),
    ] {
        let (mut disk, mut writer) = created();
        commit(&mut disk, &mut writer, &records);
        let error = recover(&disk, &node("node_1"), OPTIONS).expect_err("was taken");
        match error {
            RecoveryError::Term { offset: 64, .. } => assert!(!ahead, "{records:?}"),
            RecoveryError::EntryAhead { .. } => assert!(ahead, "{records:?}"),
            other => panic!("{records:?}: {other}"),
        }
    }
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[term(2), entry(1, 1, "a"), entry(2, 2, "b"), entry(1, 2, "c")]);
    assert!(recover(&disk, &node("node_1"), OPTIONS).is_ok());
}

#[test]
fn only_twenty_digits_name_a_segment() {
    assert_eq!(SegmentNumber::from_file_name("log-00000000000000000001"), Some(SegmentNumber(1)));
    assert_eq!(SegmentNumber::from_file_name("log-18446744073709551615"), Some(SegmentNumber(u64::MAX)));
    for name in [
        "log-1",
        "log-000000000000000000001",
        "log-+0000000000000000001",
        "log-0000000000000000000x",
        "log-00000000000000000000",
        "log-18446744073709551616",
        "00000000000000000001",
    ] {
        assert_eq!(SegmentNumber::from_file_name(name), None, "{name}");
    }
}

fn place() -> Place {
    Place { incarnation: identity().incarnation, segment: SegmentNumber::FIRST, offset: 1 << 40 }
}

#[test]
fn headers_keep_their_numbers() {
    let (number, incarnation) = (SegmentNumber(0x0102_0304_0506_0708), Incarnation(0x1112_1314_1516_1718));
    let segment = SegmentHeader { number, incarnation, size: 0x2122_2324_2526_2728 };
    assert_eq!(SegmentHeader::decode(&segment.encode()), Ok(segment));
    let frame = FrameHeader {
        length: 0x3132_3334_3536_3738,
        payload_crc: 0x4142_4344,
        previous: 0x5152_5354,
        seq: FrameSeq(0x6162_6364_6566_6768),
        synced: FrameSeq(0x0172_7374_7576_7778),
    };
    let (raw, crc) = frame.encode(place());
    assert_eq!(FrameHeader::decode(place(), &raw), Some((frame, crc)));
}

#[test]
fn no_frame_testifies_to_itself() {
    for (synced, is_frame) in [(4, true), (5, false), (6, false)] {
        let (seq, synced) = (FrameSeq(5), FrameSeq(synced));
        let header = FrameHeader { length: 8, payload_crc: 0, previous: 0, seq, synced };
        let found = FrameHeader::decode(place(), &header.encode(place()).0);
        assert_eq!(found.is_some(), is_frame, "synced {synced}");
    }
}

/// Behind a frame only the next one is ever written: another one there was not torn by a crash.
#[test]
fn a_frame_that_skips_a_number_is_refused() {
    let (mut disk, mut writer) = created();
    commit(&mut disk, &mut writer, &[entry(1, 1, "a")]);
    let (_, ops) = writer.append(&[entry(2, 1, "b")]);
    let DiskOp::Write { file, offset, data } = &ops[0] else { panic!("{ops:?}") };
    let place = Place { offset: *offset, ..place() };
    let (header, _) = FrameHeader::decode(place, data).expect("a frame");
    let (raw, _) = FrameHeader { seq: FrameSeq(3), synced: FrameSeq(0), ..header }.encode(place);
    let start = usize::try_from(*offset).expect("small");
    disk.bytes(file)[start..start + data.len()].copy_from_slice(data);
    disk.bytes(file)[start..start + raw.len()].copy_from_slice(&raw);
    let RecoveryError::FrameGap { offset: found_at, found, expected, .. } = refusal(&disk) else {
        panic!("{:?}", refusal(&disk))
    };
    assert_eq!((found_at, found, expected), (*offset, FrameSeq(3), FrameSeq(2)));
}

/// The checksum comes before everything else, in every version: an edited file is not one of another version.
#[test]
fn an_identity_that_was_edited_is_damaged_and_says_what_to_do() {
    let (mut disk, _) = created();
    let edited = identity().encode().replace("format_version = 1", "format_version = 2");
    disk.put("identity", edited.into_bytes());
    let error = refusal(&disk).to_string();
    assert!(error.starts_with("identity: damaged: its checksum is wrong. "), "{error}");
    assert!(error.ends_with("let the cluster replace the member"), "{error}");

    let newer = Identity { format_version: 2, ..identity() }.encode();
    disk.put("identity", newer.into_bytes());
    let error = refusal(&disk).to_string();
    assert!(error.ends_with(". Start the version of the program that wrote it"), "{error}");
}
