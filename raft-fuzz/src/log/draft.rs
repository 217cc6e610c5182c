//! A real log, laid out by the writer, and what may become of it.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use raft_core::entry::{Command, Entry, Payload};
use raft_core::log::{IDENTITY_FILE, Record, Recovered, SegmentNumber, create};
use raft_core::types::{HardState, Incarnation, LogIndex, NodeId};

use super::directory::{Directory, INCARNATION, apply, identity};
use super::{OPTIONS, format, judge};

/// Frames of one log at most.
const MAX_FRAMES: usize = 12;
/// Damages of one log at most.
const MAX_DAMAGES: usize = 8;

/// A record, by what it does to the log so far.
#[derive(Arbitrary, Debug)]
enum Draft {
    NextTerm { vote: Option<u8> },
    Entry { back: u8, size: u8 },
    Peer(u8),
    Admitted,
    Hint { back: u8 },
}

/// A frame: its records, and how many frames before it the disk had flushed.
#[derive(Arbitrary, Debug)]
struct Frame {
    records: [Option<Draft>; 3],
    unsynced: u8,
}

/// Something done to a file that no crash does.
#[derive(Arbitrary, Debug)]
enum Damage {
    Flip { file: u8, at: u16, bits: u8 },
    Overwrite { file: u8, at: u16, with: [u8; 8] },
    Zero { file: u8, at: u16, length: u8 },
    Copy { from: u8, to: u8, at: u16, length: u16 },
    Move { file: u8, from: u16, to: u16, length: u8 },
    Cut { file: u8, at: u16 },
    Grow { file: u8, by: u8 },
    Remove { file: u8 },
    Rename { file: u8, to: u8 },
}

/// What the log holds after some frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    hard_state: HardState,
    entries: Vec<Entry>,
    commit_hint: LogIndex,
    peers: BTreeMap<NodeId, Incarnation>,
    admitted: bool,
}

impl State {
    fn take(&mut self, record: &Record) {
        match record.clone() {
            Record::HardState(hard_state) => self.hard_state = hard_state,
            Record::Entry(entry) => {
                self.entries.retain(|known| known.index < entry.index);
                self.entries.push(entry);
            }
            Record::Peer { node_id, incarnation } => drop(self.peers.insert(node_id, incarnation)),
            Record::Admitted => self.admitted = true,
            Record::CommitHint(index) => self.commit_hint = self.commit_hint.max(index),
            // No draft makes one: there is no file to go with it.
            Record::Snapshot { .. } => unreachable!("none is drafted"),
        }
    }

    fn is(&self, found: &Recovered) -> bool {
        let last = LogIndex(self.entries.len() as u64);
        self.hard_state == found.hard_state
            && self.entries == found.entries
            && self.commit_hint.min(last) == found.commit_hint
            && self.peers == found.peers
            && self.admitted == found.admitted
    }
}

/// A log as it was written, and every state it had on the way.
struct Written {
    directory: Directory,
    states: Vec<State>,
}

fn name(number: u8) -> NodeId {
    NodeId::new(&format!("node_{}", number % 3)).expect("a valid name")
}

fn record(draft: &Draft, state: &State) -> Record {
    let length = state.entries.len() as u64;
    let term = state.hard_state.term;
    match *draft {
        Draft::NextTerm { vote } => {
            Record::HardState(HardState { term: term.next(), voted_for: vote.map(name) })
        }
        Draft::Entry { back, size } => {
            let index = LogIndex((length + 1).saturating_sub(u64::from(back % 4)).max(1));
            let data = vec![size; usize::from(size)].into();
            let payload =
                if size == 0 { Payload::Noop } else { Payload::Command(Command { session: None, data }) };
            Record::Entry(Entry { index, term, payload })
        }
        Draft::Peer(number) => {
            Record::Peer { node_id: name(number), incarnation: Incarnation(u64::from(number)) }
        }
        Draft::Admitted => Record::Admitted,
        Draft::Hint { back } => Record::CommitHint(LogIndex(length.saturating_sub(u64::from(back)))),
    }
}

fn write(from: &mut Unstructured<'_>) -> arbitrary::Result<Written> {
    let (mut writer, ops) = create(&identity(), OPTIONS);
    let mut written = Written { directory: Directory::new(), states: vec![State::default()] };
    ops.iter().for_each(|op| apply(&mut written.directory, op));
    let mut frames = Vec::new();
    for _ in 0..usize::from(u8::arbitrary(from)?) % (MAX_FRAMES + 1) {
        let Frame { records, unsynced } = Frame::arbitrary(from)?;
        let mut state = written.states.last().expect("never empty").clone();
        let mut batch = Vec::new();
        for draft in records.iter().flatten() {
            let record = record(draft, &state);
            state.take(&record);
            batch.push(record);
        }
        written.states.push(state);
        let (frame, ops) = writer.append(&batch);
        ops.iter().for_each(|op| apply(&mut written.directory, op));
        frames.push(frame);
        if let Some(durable) = frames.len().checked_sub(1 + usize::from(unsynced % 3)) {
            writer.note_durable(frames[durable]);
        }
    }
    Ok(written)
}

fn damage(directory: &mut Directory, damage: &Damage) {
    let names: Vec<_> = directory.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let named = |file: u8| names[usize::from(file) % names.len()].clone();
    let file = |file: u8| directory.get(&named(file)).cloned().unwrap_or_default();
    let within = |at: u16, content: &[u8]| usize::from(at) % content.len().max(1);
    let (target, mut content) = match *damage {
        Damage::Flip { file: n, .. }
        | Damage::Overwrite { file: n, .. }
        | Damage::Zero { file: n, .. }
        | Damage::Copy { to: n, .. }
        | Damage::Move { file: n, .. }
        | Damage::Cut { file: n, .. }
        | Damage::Grow { file: n, .. }
        | Damage::Remove { file: n }
        | Damage::Rename { file: n, .. } => (named(n), file(n)),
    };
    let mut put = |to: usize, bytes: &[u8]| {
        content.iter_mut().skip(to).zip(bytes).for_each(|(place, byte)| *place = *byte);
    };
    match *damage {
        Damage::Flip { file: n, at, bits } => {
            let before = file(n);
            let at = within(at, &before);
            put(at, &[before.get(at).copied().unwrap_or_default() ^ bits]);
        }
        Damage::Overwrite { file: n, at, with } => put(within(at, &file(n)), &with),
        Damage::Zero { file: n, at, length } => put(within(at, &file(n)), &vec![0; usize::from(length)]),
        Damage::Copy { from, to, at, length } => {
            let at = within(at, &file(to));
            let source = file(from);
            put(at, source.get(at..source.len().min(at + usize::from(length))).unwrap_or_default());
        }
        Damage::Move { file: n, from, to, length } => {
            let source = file(n);
            let from = within(from, &source);
            put(within(to, &source), &source[from..source.len().min(from + usize::from(length))]);
        }
        Damage::Cut { at, .. } => content.truncate(within(at, &content)),
        Damage::Grow { by, .. } => content.resize(content.len() + usize::from(by), 0),
        Damage::Remove { .. } => drop(directory.remove(&target)),
        Damage::Rename { to, .. } => {
            directory.remove(&target);
            directory.insert(SegmentNumber(u64::from(to % 5) + 1).file_name(), content.clone());
        }
    }
    if let Some(place) = directory.get_mut(&target) {
        *place = content;
    }
}

fn damage_some(directory: &mut Directory, from: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    for _ in 0..usize::from(u8::arbitrary(from)?) % (MAX_DAMAGES + 1) {
        damage(directory, &Damage::arbitrary(from)?);
    }
    Ok(())
}

/// A real log as it was written.
pub(super) fn directory(input: &[u8]) -> Directory {
    write(&mut Unstructured::new(input)).map(|written| written.directory).unwrap_or_default()
}

/// A real log, damaged: what is accepted of it is a state it once had, and undamaged it is the last.
pub(super) fn damaged(input: &[u8]) {
    let mut from = Unstructured::new(input);
    let Ok(Written { directory, states }) = write(&mut from) else { return };
    super::found(&directory).expect("what was written is accepted");
    let whole = judge(&directory).expect("what was written is found");
    assert!(states.last().expect("never empty").is(&whole), "all that was written is found");
    let mut damaged = directory.clone();
    // Where the input ends, so does the damage.
    let _ = damage_some(&mut damaged, &mut from);
    if let Some(found) = judge(&damaged) {
        let frames = usize::try_from(found.writer.last_frame().0).expect("small");
        assert!(states[frames].is(&found), "damage invented something: {found:?}");
    }
}

/// A real log, damaged, and every checksum made right again.
pub(super) fn resealed(input: &[u8]) -> Directory {
    let mut from = Unstructured::new(input);
    let Ok(Written { mut directory, .. }) = write(&mut from) else { return Directory::new() };
    let _ = damage_some(&mut directory, &mut from);
    let mut previous = 0;
    for number in 1..=8 {
        if let Some(segment) = directory.get_mut(&SegmentNumber(number).file_name()) {
            format::seal(segment, number, INCARNATION, &mut previous);
        }
    }
    if let Some(identity) = directory.get_mut(IDENTITY_FILE) {
        seal_identity(identity);
    }
    directory
}

/// The identity's last line is the checksum of those before it.
fn seal_identity(identity: &mut Vec<u8>) {
    let marker = b"checksum = ";
    let at = identity.windows(marker.len()).rposition(|window| window == marker);
    if let Some(at) = at {
        let crc = crc32c::crc32c(&identity[..at]);
        identity.truncate(at);
        identity.extend_from_slice(format!("checksum = {crc:08x}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_a_sound_log_changes_nothing() {
        let input: Vec<u8> = (7..400).map(|n: u32| (n * 37 % 251) as u8).collect();
        let Written { directory, states } = write(&mut Unstructured::new(&input)).expect("enough input");
        assert!(states.len() > 4, "{states:?}");
        let mut sealed = directory.clone();
        let mut previous = 0;
        for number in 1..=8 {
            if let Some(segment) = sealed.get_mut(&SegmentNumber(number).file_name()) {
                format::seal(segment, number, INCARNATION, &mut previous);
            }
        }
        sealed.get_mut(IDENTITY_FILE).map(seal_identity).expect("an identity");
        assert_eq!(sealed, directory, "the second description of the format agrees with the first");
    }

    #[test]
    fn a_log_with_one_bit_turned_is_judged() {
        let input: Vec<u8> = (0..200).map(|n: u32| (n * 91 % 253) as u8).collect();
        damaged(&input);
    }
}
