//! What ships has no bug to plant: neither the server alone nor what is built beside it turns that on.

use std::path::Path;
use std::process::Command;

/// The line on raft-core in what cargo would build, with its features.
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
    let line = tree.lines().find(|line| line.starts_with("raft-core v"));
    line.unwrap_or_else(|| panic!("raft-core is not built:\n{tree}")).to_owned()
}

#[test]
fn nothing_that_ships_can_be_given_a_bug() {
    let builds: [&[&str]; 4] =
        [&["-p", "raft-server"], &["-p", "raft-ffi"], &["-p", "raft-py"], &["--workspace"]];
    for build in builds {
        let line = features(build);
        let on = line.split_once("features: ").expect("as asked for").1;
        assert!(!on.contains("seeded-bugs") && !on.contains("model"), "{build:?} builds {line}");
    }
}

#[test]
fn the_test_would_see_it() {
    let line = features(&["-p", "raft-model", "--features", "seeded-bugs"]);
    assert!(line.contains("seeded-bugs") && line.contains("model"), "{line}");
}
