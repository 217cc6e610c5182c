//! A new cluster's directories, made out of an old log; and which old log.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::disk::{Dice, TornDisk};
use super::{OPTIONS, entry, node};
use crate::consensus::Configuration;
use crate::disk::SnapshotFile;
use crate::entry::{Entry, Genesis, Payload};
use crate::log::{
    Contradiction, Identity, Inheritance, Overlap, Record, Recovered, Recovery, RecoveryError, RefoundError,
    Refounding, create, recover, refound,
};
use crate::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, Term};

const OLD: ClusterId = ClusterId(7);
const NEW: ClusterId = ClusterId(8);

fn genesis(cluster_id: ClusterId, members: &[&str]) -> Record {
    let configuration = Configuration::new(members.iter().map(|name| node(name)));
    let payload = Payload::Genesis(Box::new(Genesis { cluster_id, configuration }));
    Record::Entry(Entry { index: LogIndex(1), term: Term(1), payload })
}

/// A server's log of these entries after the first, each a term and a length.
fn log(name: &str, entries: &[(u64, usize)], hint: u64) -> Recovered {
    let (mut writer, ops) = create(&Identity::new(node(name), Incarnation(9)), OPTIONS);
    let mut disk = TornDisk::default();
    disk.apply_all(&ops);
    let term = entries.last().map_or(1, |(term, _)| *term);
    let vote = HardState { term: Term(term), voted_for: Some(node(name)) };
    // The last of several entries changes the members.
    let other = Record::Peer { node_id: node("node_0"), incarnation: Incarnation(4) };
    let mut records = vec![Record::HardState(vote), other, genesis(OLD, &["node_0", "node_1", "node_2"])];
    for (index, (term, length)) in (2..).zip(entries) {
        records.push(entry(index, *term, vec![*length as u8; *length]));
    }
    if entries.len() > 1 {
        let Some(Record::Entry(changed)) = records.last_mut() else { panic!("an entry") };
        changed.payload = Payload::Configuration(Box::new(Configuration::new([node("node_5")])));
    }
    records.push(Record::CommitHint(LogIndex(hint)));
    for record in records {
        disk.apply_all(&writer.append(&[record]).1);
        disk.sync();
        writer.note_durable(writer.last_frame());
    }
    found(&disk, name)
}

fn found(disk: &TornDisk, name: &str) -> Recovered {
    match recover(disk, &node(name), OPTIONS) {
        Ok(Recovery::Found(found)) => *found,
        other => panic!("not found: {other:?}"),
    }
}

fn refounding(members: &[&str]) -> Refounding {
    let incarnations: BTreeMap<NodeId, Incarnation> =
        (100..).zip(members).map(|(nth, name)| (node(name), Incarnation(nth))).collect();
    let configuration = Configuration::new(incarnations.keys().cloned());
    Refounding { cluster_id: NEW, configuration, incarnations, term: Term(12) }
}

/// The old cluster's changes of its members are none of the new one.
fn without_members(entry: Entry) -> Entry {
    match entry.payload {
        Payload::Configuration(_) => Entry { payload: Payload::Noop, ..entry },
        _ => entry,
    }
}

fn assert_is_refounded(new: &Recovered, old: &Recovered, to: &Refounding) {
    assert_eq!(new.identity.cluster_id, Some(NEW));
    assert_eq!(new.identity.incarnation, to.incarnations[&new.identity.node_id]);
    assert_eq!(new.hard_state, HardState { term: to.term, voted_for: None });
    assert!(new.admitted);
    let mut peers = to.incarnations.clone();
    peers.remove(&new.identity.node_id);
    assert_eq!(new.peers, peers, "the old cluster's members are forgotten, the new one's are known");
    assert_eq!(new.commit_hint, old.last().index);
    assert_eq!(new.torn, None);
    let (_, inherited) = old.entries.split_first().unwrap();
    let inherited: Vec<Entry> = inherited.iter().cloned().map(without_members).collect();
    assert_eq!(new.entries[1..], inherited);
    let configuration = to.configuration.clone();
    assert_eq!(new.configuration(), Some(&configuration), "at every index");
    assert_eq!(
        new.entries[0].payload,
        Payload::Genesis(Box::new(Genesis { cluster_id: NEW, configuration }))
    );
    assert_eq!((new.entries[0].index, new.entries[0].term), (LogIndex(1), Term(1)));
}

#[test]
fn the_new_log_tells_the_same_of_a_new_cluster() {
    // Frames of many entries, and one entry that takes a frame and a segment of its own.
    for sizes in [vec![], vec![10; 300], vec![3000, 1, 1_200_000, 5, 7]] {
        let entries: Vec<(u64, usize)> = sizes.iter().map(|size| (3, *size)).collect();
        let old = log("node_1", &entries, 1);
        let to = refounding(&["node_1", "node_2"]);
        for member in ["node_1", "node_2"] {
            let mut disk = TornDisk::default();
            let refounded = refound(old.inheritance(), &node(member), &to, OPTIONS).unwrap();
            assert_eq!(refounded.last_index(), old.last().index);
            for batch in refounded {
                disk.apply_all(&batch);
                disk.sync();
            }
            let new = found(&disk, member);
            assert_is_refounded(&new, &old, &to);
            // It can be written to.
            let (mut writer, last) = (new.writer, new.entries.len() as u64);
            disk.apply_all(&writer.append(&[entry(last + 1, 12, &b"more"[..])]).1);
            assert_eq!(found(&disk, member).last(), EntryId { index: LogIndex(last + 1), term: Term(12) });
        }
    }
}

#[test]
fn until_the_last_write_the_new_directory_is_nobodys() {
    let old = log("node_1", &[(1, 900), (2, 900), (2, 900), (4, 1_100_000), (4, 900)], 3);
    let to = refounding(&["node_1"]);
    let batches: Vec<_> = refound(old.inheritance(), &node("node_1"), &to, OPTIONS).unwrap().collect();
    let ops: Vec<_> = batches.iter().flatten().collect();
    assert!(batches.len() > 3, "several frames");
    for seed in 0..5 {
        let mut dice = Dice(seed);
        for done in 0..=ops.len() {
            let mut disk = TornDisk::default();
            let mut left = done;
            for batch in &batches {
                let these = batch.len().min(left);
                disk.apply_all(&batch[..these]);
                left -= these;
                // Flushed before the next batch begins.
                if these == batch.len() {
                    disk.sync();
                }
            }
            match ops.get(done) {
                Some(op) => disk.crash_within(op, &mut dice),
                None => disk.crash(|versions| dice.below(versions)),
            }
            match recover(&disk, &node("node_1"), OPTIONS) {
                Ok(Recovery::Empty) | Err(RecoveryError::IdentityMissing { .. }) => {
                    assert!(done < ops.len(), "all was written");
                }
                Ok(Recovery::Found(new)) => {
                    assert!(done + 1 >= ops.len(), "the identity was there before all entries");
                    assert_is_refounded(&new, &old, &to);
                }
                Err(error) => panic!("after {done} operations: {error}"),
            }
        }
    }
}

#[test]
fn behind_a_snapshot_the_new_log_goes_on() {
    let old = log("node_1", &[(1, 9), (2, 9), (2, 9), (4, 9)], 3);
    let at = |index, term| EntryId { index: LogIndex(index), term: Term(term) };
    for (snapshot, kept) in [(at(3, 2), 2), (at(5, 4), 0)] {
        let from = Inheritance { snapshot: Some(snapshot), ..old.inheritance() };
        // Of a cluster of two, only this directory is made: it has to be noted by the other first.
        let mut to = refounding(&["node_1", "node_2"]);
        to.incarnations.remove(&node("node_2"));
        let mut disk = TornDisk::default();
        disk.put(&SnapshotFile::Whole(snapshot.index).file_name(), vec![1]);
        for batch in refound(from, &node("node_1"), &to, OPTIONS).unwrap() {
            disk.apply_all(&batch);
            disk.sync();
        }
        let new = found(&disk, "node_1");
        assert_eq!((new.base, new.snapshot, new.entries.len()), (snapshot, Some(snapshot), kept));
        assert_eq!((new.last(), new.commit_hint), (old.last(), old.last().index));
        assert_eq!((new.admitted, new.peers.len()), (false, 0));
        assert_eq!(new.known_committed(), LogIndex(5));
    }
}

#[test]
fn a_log_that_names_no_cluster_is_of_no_use() {
    let (_, ops) = create(&Identity::new(node("node_1"), Incarnation(9)), OPTIONS);
    let mut disk = TornDisk::default();
    disk.apply_all(&ops);
    let old = found(&disk, "node_1");
    let refused = refound(old.inheritance(), &node("node_1"), &refounding(&["node_1"]), OPTIONS).map(|_| ());
    assert_eq!(refused, Err(RefoundError::NoGenesis));
    assert_eq!(old.genesis(), None);
}

#[test]
fn the_most_up_to_date_log_is_the_best() {
    let [shorter, longer, newer] = [&[(1, 1)][..], &[(1, 1), (1, 2)], &[(2, 1)]].map(|e| log("node_1", e, 1));
    assert_eq!(longer.compare_up_to_date(&shorter), Ordering::Greater);
    assert_eq!(newer.compare_up_to_date(&longer), Ordering::Greater, "the term of the last entry decides");
    let knows = log("node_2", &[(1, 1)], 2);
    assert_eq!(knows.compare_up_to_date(&shorter), Ordering::Greater);
    assert_eq!(knows.genesis().map(|genesis| genesis.cluster_id), Some(OLD));
}

#[test]
fn what_another_log_has_besides() {
    let best = log("node_1", &[(1, 1), (1, 2), (3, 3)], 1);
    let overlap = |entries, hint| best.overlap(&log("node_2", entries, hint));
    let is = |common, discarded| Ok(Overlap { common: LogIndex(common), discarded });
    assert_eq!(overlap(&[(1, 1), (1, 2), (3, 3)], 4), is(4, 0));
    assert_eq!(overlap(&[(1, 1)], 2), is(2, 0));
    assert_eq!(overlap(&[], 1), is(1, 0));
    assert_eq!(overlap(&[(1, 1), (2, 2), (2, 3), (2, 4)], 2), is(2, 3));
    assert_eq!(best.configuration(), Some(&Configuration::new([node("node_5")])));
    let (one, two) = (node("node_1"), node("node_2"));
    let different = Contradiction::DifferentEntry(one.clone(), two.clone(), LogIndex(3));
    assert_eq!(overlap(&[(1, 1), (1, 5)], 1), Err(different));
    let missing = Contradiction::CommittedIsMissing { knows: two, best: one, index: LogIndex(3) };
    assert_eq!(overlap(&[(1, 1), (2, 2)], 3), Err(missing));
}
