//! Every target over its seeds, its corpus, what once failed, and a fixed number of mutations of all these.
//!
//! `RAFT_FUZZ_MUTATIONS=100000 cargo test --release -p raft-fuzz --features targets --test bounded` draws
//! more, and `RAFT_FUZZ_SEED=2` others.

use std::path::{Path, PathBuf};

use raft_fuzz::mutate::Mutator;
use raft_fuzz::{TARGETS, Target, seeds};

/// Mutations a target, unless told.
const MUTATIONS: u64 = 1000;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository").join("fuzz")
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The files of a directory, in the order of their names; none where there is none.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

/// Runs one input; where it fails, writes it down, so that it can be run again.
fn run(name: &str, target: Target, input: &[u8]) {
    let failed = std::panic::catch_unwind(|| target(input)).is_err();
    if failed {
        let place = std::env::temp_dir().join(format!("raft-fuzz-{name}-{}", std::process::id()));
        std::fs::write(&place, input).expect("the input is written down");
        panic!("{name} failed: the input is {}; keep it as fuzz/regressions/{name}/WHAT", place.display());
    }
}

fn bounded(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let corpus = files(&top().join("corpus").join(name));
    assert!(corpus.len() > 10, "{name} has no corpus");
    let inputs = [seeds::of(name), corpus, files(&top().join("regressions").join(name))].concat();
    inputs.iter().for_each(|input| run(name, target, input));
    let mut mutator = Mutator::new(number("RAFT_FUZZ_SEED", 1));
    for _ in 0..number("RAFT_FUZZ_MUTATIONS", MUTATIONS) {
        let (of, other) = (mutator.below(inputs.len()), mutator.below(inputs.len()));
        let mut input = inputs[of].clone();
        mutator.mutate(&mut input, &inputs[other]);
        run(name, target, &input);
    }
}

#[test]
fn log() {
    bounded("log");
}

#[test]
fn snapshot() {
    bounded("snapshot");
}

#[test]
fn peer() {
    bounded("peer");
}

#[test]
fn rpc() {
    bounded("rpc");
}

#[test]
fn http() {
    bounded("http");
}

#[test]
fn config() {
    bounded("config");
}

/// The list in the library, the targets of cargo-fuzz and the tests above are the same.
#[test]
fn every_target_is_everywhere() {
    let manifest = std::fs::read_to_string(top().join("Cargo.toml")).expect("readable");
    let tests = include_str!("bounded.rs");
    let page = std::fs::read_to_string(top().with_file_name("docs").join("fuzzing.md")).expect("readable");
    for (name, _) in TARGETS {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
        let source =
            std::fs::read_to_string(top().join(format!("fuzz_targets/{name}.rs"))).expect("readable");
        assert!(source.contains(&format!("raft_fuzz::{name}::run(data)")), "{source}");
        assert!(tests.contains(&format!("bounded(\"{name}\");")), "{name} is not tested");
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/fuzzing.md");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}
