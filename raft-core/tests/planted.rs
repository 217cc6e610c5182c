//! The stories bite: with a bug of membership or of installing snapshots planted in the shipped code, at
//! least one of them goes otherwise.
//!
//! `cargo test -p raft-core --features seeded-bugs --test planted`
#![cfg(feature = "seeded-bugs")]

#[allow(dead_code, reason = "the other tests ask it for more")]
mod scenario;

use std::path::Path;

use raft_core::seeded::{self, Bug};
use scenario::script;

/// The stories about who takes part, members and snapshots, with their names.
fn stories() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(directory).expect("the directory of scenarios");
    let mut stories: Vec<(String, String)> = files
        .map(|entry| entry.expect("a directory entry").path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_one = ["admission_", "members_", "snapshot_"].iter().any(|start| name.starts_with(start));
            is_one.then(|| (name, std::fs::read_to_string(&path).expect("a scenario")))
        })
        .collect();
    stories.sort();
    stories
}

#[test]
fn every_bug_of_membership_and_of_installing_is_caught() {
    let stories = stories();
    let goes_otherwise = |(_, text): &&(String, String)| script::run(text).is_ok_and(|told| told != *text);
    let breaks = |(_, text): &&(String, String)| script::run(text).is_err();
    assert!(
        !stories.iter().any(|story| goes_otherwise(&story) || breaks(&story)),
        "without a bug all is well"
    );
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for &bug in Bug::OF_MEMBERSHIP.iter().chain(Bug::OF_INSTALLING) {
        seeded::plant(Some(bug));
        let caught: Vec<&str> = stories
            .iter()
            .filter(|story| breaks(story) || goes_otherwise(story))
            .map(|(name, _)| name.as_str())
            .collect();
        seeded::plant(None);
        println!("| `{}` | {} |", bug.name(), caught.join(", "));
        missed.extend(caught.is_empty().then_some(bug.name()));
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
