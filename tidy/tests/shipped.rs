//! What ships has nothing in it that is there for tests: no bug to plant, nothing for the model checker, no
//! door for fuzzing. Neither the servers and libraries alone nor what is built beside them turns these on.

use std::path::Path;
use std::process::Command;

const SHIPS: [&[&str]; 4] =
    [&["-p", "raft-server"], &["-p", "raft-ffi"], &["-p", "raft-py"], &["--workspace"]];

/// The lines on this repository's crates in what cargo would build, with their features.
fn features(arguments: &[&str]) -> Vec<String> {
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
    tree.lines().filter(|line| line.starts_with("raft-")).map(str::to_owned).collect()
}

/// Those of one crate, which must be among what is built.
fn features_of(package: &str, arguments: &[&str]) -> Vec<String> {
    let name = format!("{package} v");
    let lines: Vec<String> = features(arguments).into_iter().filter(|line| line.starts_with(&name)).collect();
    assert!(!lines.is_empty(), "{package} is not built by {arguments:?}");
    lines
}

#[test]
fn nothing_that_ships_can_be_given_a_bug() {
    for build in SHIPS {
        for line in features_of("raft-core", build) {
            let on = line.split_once("features: ").expect("as asked for").1;
            assert!(!on.contains("seeded-bugs") && !on.contains("model"), "{build:?} builds {line}");
        }
    }
}

#[test]
fn nothing_that_ships_can_be_fuzzed_from_within() {
    for build in SHIPS {
        let lines = features(build);
        assert!(lines.iter().any(|line| line.starts_with("raft-node v")), "{build:?} builds {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("fuzzing")), "{build:?} builds {lines:?}");
    }
}

#[test]
fn the_tests_would_see_it() {
    for line in features_of("raft-core", &["-p", "raft-model", "--features", "seeded-bugs"]) {
        assert!(line.contains("seeded-bugs") && line.contains("model"), "{line}");
    }
    for package in ["raft-node", "raft-server"] {
        for line in features_of(package, &["-p", "raft-fuzz", "--features", "targets"]) {
            assert!(line.contains("fuzzing"), "{line}");
        }
    }
}
