//! Damage to a log that was flushed: refused, unless it hits what nothing follows.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::disk::TornDisk;
use super::{Model, entry, identity, node, recover_any};
use crate::log::{FrameSeq, LogOptions, Record, Recovery, RecoveryError, Writer, create};
use crate::types::{HardState, Incarnation, Term};

/// A log of a few small segments, flushed frame by frame.
struct Written {
    disk: TornDisk,
    states: Vec<Model>,
    writer: Writer,
}

fn written() -> Written {
    let (writer, ops) = create(&identity(), LogOptions { segment_size: 512 });
    let mut disk = TornDisk::default();
    disk.apply_all(&ops);
    let mut written = Written { disk, states: vec![Model::default()], writer };
    let vote = HardState { term: Term(3), voted_for: Some(node("node_1")) };
    let peer = Record::Peer { node_id: node("node_2"), incarnation: Incarnation(9) };
    written.append(&[Record::HardState(vote), peer]);
    for index in 1..=9 {
        let size = 20 * usize::try_from(index).expect("small");
        written.append(&[entry(index, 3, vec![7; size]), entry(index + 1, 3, vec![8; 4])]);
    }
    assert!(written.segments().len() >= 4);
    written
}

impl Written {
    fn append(&mut self, records: &[Record]) {
        let mut state = self.states.last().expect("never empty").clone();
        records.iter().for_each(|record| state.take(record));
        self.states.push(state);
        let (frame, ops) = self.writer.append(records);
        self.disk.apply_all(&ops);
        self.disk.sync();
        self.writer.note_durable(frame);
    }

    fn frames(&self) -> u64 {
        self.writer.last_frame().0
    }

    fn segments(&self) -> Vec<String> {
        self.disk.names().into_iter().filter(|name| name.starts_with("log-")).collect()
    }

    /// After some damage: refused, or the last frame is cut and nothing else, or nothing was lost.
    fn check(&self, disk: &TornDisk, what: &str) -> Outcome {
        let found = match recover_any(disk) {
            Ok(Recovery::Found(found)) => *found,
            Ok(Recovery::Empty) => panic!("{what}: taken for empty"),
            Err(error) => return Outcome::Refused(error),
        };
        let FrameSeq(frames) = found.writer.last_frame();
        self.states[usize::try_from(frames).expect("small")].assert_is(&found);
        if frames == self.frames() {
            return Outcome::Whole;
        }
        assert_eq!(frames, self.frames() - 1, "{what}: more than the last frame was cut");
        Outcome::Cut { reported: found.torn.is_some() }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused(RecoveryError),
    Cut { reported: bool },
    Whole,
}

#[test]
fn every_damaged_byte_is_noticed() {
    let written = written();
    let names = written.disk.names();
    let (mut refused, mut cut) = (0, 0);
    for name in &names {
        let bytes = written.disk.clone().bytes(name).clone();
        // Behind the last frame and its padding no frame has been. The last segment is a spare.
        let used = bytes.iter().rposition(|&b| b != 0).unwrap_or(0).next_multiple_of(8);
        let spare = Some(name) == written.segments().last();
        for at in 0..bytes.len() {
            for bits in [0x01, 0x80, 0xFF] {
                let mut disk = written.disk.clone();
                disk.bytes(name)[at] ^= bits;
                match written.check(&disk, &format!("{name} byte {at} xor {bits:#x}")) {
                    Outcome::Refused(_) => refused += 1,
                    Outcome::Cut { reported } => {
                        assert!(reported, "{name} byte {at}: cut and not reported");
                        cut += 1;
                    }
                    Outcome::Whole => assert!(at >= used || spare, "{name} byte {at} does not matter"),
                }
            }
        }
    }
    assert!(refused > 1000 && cut > 100, "{refused} refused, {cut} cut");
}

/// Zeros, up to whole sectors of them: what a device gives for what it lost. A last frame that vanished
/// altogether leaves nothing to report.
#[test]
fn every_lost_sector_is_noticed() {
    let written = written();
    for name in written.segments() {
        let length = written.disk.clone().bytes(&name).len();
        for start in (0..length).step_by(8) {
            for extent in [8, 64, 512] {
                let mut disk = written.disk.clone();
                let hit = &mut disk.bytes(&name)[start..length.min(start + extent)];
                let blank = hit.iter().all(|&b| b == 0);
                hit.fill(0);
                let outcome = written.check(&disk, &format!("{name} zeros {start}+{extent}"));
                let spare = Some(&name) == written.segments().last();
                assert!(outcome != Outcome::Whole || blank || spare, "{name} {start}+{extent}");
            }
        }
    }
}

#[test]
fn every_missing_or_shortened_file_is_noticed() {
    let written = written();
    let segments = written.segments();
    let spare = segments.last();
    for name in written.disk.names() {
        let mut disk = written.disk.clone();
        let bytes = disk.remove(&name);
        let outcome = written.check(&disk, &name);
        if Some(&name) == spare {
            assert_eq!(outcome, Outcome::Whole);
        } else {
            assert!(matches!(outcome, Outcome::Refused(_)), "{name}: {outcome:?}");
        }
        for length in 0..bytes.len() {
            let mut disk = written.disk.clone();
            disk.put(&name, bytes[..length].to_vec());
            let outcome = written.check(&disk, &format!("{name} of {length} bytes"));
            assert!(Some(&name) == spare || matches!(outcome, Outcome::Refused(_)), "{name} {length}");
        }
    }
}

#[test]
fn segments_that_change_places_are_noticed() {
    let written = written();
    let segments = written.segments();
    for (a, b) in [(0, 1), (1, 2), (0, 3)] {
        let mut disk = written.disk.clone();
        let (first, second) = (disk.remove(&segments[a]), disk.remove(&segments[b]));
        disk.put(&segments[a], second);
        disk.put(&segments[b], first);
        let outcome = written.check(&disk, "swapped");
        match outcome {
            Outcome::Refused(RecoveryError::SegmentNumber { file, .. }) => assert_eq!(file, segments[a]),
            other => panic!("{other:?}"),
        }
    }
}

/// The follower's payload is torn; its header still tells that the frame before it was safe.
#[test]
fn a_torn_frame_still_testifies() {
    let mut written = written();
    let offset = |disk: &mut TornDisk, name: &str| {
        let bytes = disk.bytes(name);
        bytes.windows(4).rposition(|w| w == b"RFrm").expect("a frame")
    };
    written.append(&[entry(11, 3, vec![1; 20])]);
    written.append(&[entry(12, 3, vec![2; 20])]);
    let name = written.writer.segment().file_name();
    let last = offset(&mut written.disk, &name);
    let bytes = written.disk.bytes(&name);
    bytes[last + 45] ^= 1;
    bytes[last - 8] ^= 1;
    match recover_any(&written.disk) {
        Err(RecoveryError::Damaged { frame, witness, .. }) => {
            assert_eq!(frame.0, written.frames() - 1);
            assert_eq!(*witness, (name, last as u64));
        }
        other => panic!("{other:?}"),
    }
}

/// The text of a refusal sends somebody to a place: it has to be the right one, at the seams of segments too.
#[test]
fn a_refusal_names_the_place_of_what_is_gone() {
    let written = written();
    let mut named = 0;
    for file in written.segments() {
        let bytes = written.disk.clone().bytes(&file).clone();
        for (at, _) in bytes.windows(4).enumerate().filter(|(_, window)| *window == b"RFrm") {
            let mut disk = written.disk.clone();
            disk.bytes(&file)[at + 5] ^= 1;
            if let Outcome::Refused(error) = written.check(&disk, "a header") {
                let RecoveryError::Damaged { file: there, offset, frame, .. } = error else {
                    panic!("{error}")
                };
                named += 1;
                assert_eq!((there, offset, frame), (file.clone(), at as u64, FrameSeq(named)));
            }
        }
    }
    assert_eq!(named, written.frames() - 1, "all but the last");
}
