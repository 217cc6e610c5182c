//! What ships has nothing in it that is there for fuzzing.

use std::path::Path;
use std::process::Command;

/// The lines on this repository's crates in what cargo would build, with their features.
fn features(arguments: &[&str]) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("below the workspace");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = Command::new(cargo)
        .current_dir(top)
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p} features: {f}"])
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("names are text");
    let ours = tree.lines().filter(|line| line.starts_with("raft-"));
    ours.map(|line| format!("{line}\n")).collect()
}

#[test]
fn nothing_that_ships_can_be_fuzzed_from_within() {
    let builds: [&[&str]; 4] =
        [&["-p", "raft-server"], &["-p", "raft-ffi"], &["-p", "raft-py"], &["--workspace"]];
    for build in builds {
        let lines = features(build);
        assert!(lines.contains("raft-node v") && !lines.contains("fuzzing"), "{build:?} builds\n{lines}");
    }
}

#[test]
fn the_test_would_see_it() {
    let lines = features(&["-p", "raft-fuzz", "--features", "targets"]);
    for package in ["raft-node", "raft-server"] {
        let line = lines.lines().find(|line| line.starts_with(package)).expect("is built");
        assert!(line.contains("fuzzing"), "{line}");
    }
}
