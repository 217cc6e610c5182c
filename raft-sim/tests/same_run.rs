//! The same seed gives the same run, to the byte: twice in one process, in debug and release builds alike.

use std::process::Command;

use raft_sim::{Options, run};

const SEEDS: u64 = 12;

fn trace(seed: u64) -> u64 {
    run(seed, &Options::default()).counts.trace
}

#[test]
fn twice() {
    for seed in 0..SEEDS {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(0), trace(1), "another seed, another run");
}

/// `RAFT_SIM_BIN` is a binary from another build; `./test` names the release build's.
#[test]
fn in_debug_and_release() {
    let here = (0..SEEDS).fold(0u64, |sum, seed| sum.wrapping_add(trace(seed)));
    let binary = std::env::var("RAFT_SIM_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_raft-sim").to_owned());
    let output = Command::new(&binary).args(["--seeds", &SEEDS.to_string()]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("trace {here:016x}")), "{binary}: {text}, here {here:016x}");
}
