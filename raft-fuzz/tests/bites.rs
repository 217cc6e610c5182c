//! A target that finds nothing proves something only if it would have found something: each bug planted
//! here is found by mutations of what is kept.
//!
//! `cargo test --release -p raft-fuzz --features seeded-bugs --test bites -- --nocapture` prints after how
//! many.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;

use raft_core::seeded::{self, Bug};
use raft_fuzz::mutate::Mutator;
use raft_fuzz::{TARGETS, seeds};

/// Mutations after which a bug counts as not found.
const MUTATIONS: usize = 60_000;

/// A bug, and the target that has to find it.
const BUGS: [(Bug, &str); 13] = [
    (Bug::ChecksumIgnored, "log"),
    (Bug::TailCutTooFar, "log"),
    (Bug::SnapshotNotFrozen, "snapshot"),
    (Bug::VoteNotPersisted, "peer"),
    (Bug::VoteTwice, "peer"),
    (Bug::TermNotPersisted, "peer"),
    (Bug::HardStateNeverWritten, "peer"),
    (Bug::AckBeforeSync, "peer"),
    (Bug::TruncateCommitted, "peer"),
    (Bug::ApplyTwice, "peer"),
    (Bug::WipedMemberVotes, "peer"),
    (Bug::VoteNotPersisted, "rpc"),
    (Bug::TermNotPersisted, "rpc"),
];

/// After how many inputs a target finds a bug that is planted.
fn found_after(name: &str, bug: Bug) -> Option<usize> {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(corpus).expect("a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let mut inputs = seeds::of(name);
    inputs.extend(paths.iter().map(|path| std::fs::read(path).expect("readable")));
    // Only now: seeds are what sound replicas say.
    seeded::plant(Some(bug));
    let mut mutator = Mutator::new(1);
    (0..inputs.len() + MUTATIONS).position(|turn| {
        let mut input = inputs.get(turn).cloned().unwrap_or_else(|| inputs[turn % inputs.len()].clone());
        if turn >= inputs.len() {
            let other = mutator.below(inputs.len());
            mutator.mutate(&mut input, &inputs[other]);
        }
        catch_unwind(AssertUnwindSafe(|| target(&input))).is_err()
    })
}

#[test]
fn planted_bugs_are_found() {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let mut told = Vec::new();
    for (bug, target) in BUGS {
        match found_after(target, bug) {
            Some(after) => told.push(format!("{} found by {target} after {after} inputs", bug.name())),
            None => missed.push(format!("{} not found by {target}", bug.name())),
        }
        seeded::plant(None);
    }
    set_hook(hook);
    told.iter().for_each(|line| println!("{line}"));
    assert!(missed.is_empty(), "{missed:?}");
}
