//! Seeds that have to pass: some from the start, and each that ever failed.

use raft_sim::{Counts, Fault, Options, run};

fn passes(seed: u64, options: &Options) -> Counts {
    let found = run(seed, options);
    assert_eq!(found.failure, None, "cargo run -p raft-sim -- --seed {seed} --story");
    found.counts
}

/// `SEEDS=1000..2000` takes others.
#[test]
fn nothing_goes_wrong_when_everything_does() {
    let seeds = std::env::var("SEEDS").unwrap_or_else(|_| "0..60".to_owned());
    let bounds = seeds.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to): (u64, u64) = bounds.expect("SEEDS=FROM..TO");
    let mut total = Counts::default();
    for seed in from..to {
        total.add(&passes(seed, &Options::default()));
    }
    // A run in which nothing happens would pass too.
    assert!(total.answered * 2 > total.operations, "most questions are answered: {total:?}");
    assert!(total.crashes > 10 && total.leaders > to - from, "{total:?}");
}

/// `tests/failed_before.txt`: a seed a line, and what it was.
#[test]
fn what_failed_once_does_not_again() {
    let seeds = include_str!("failed_before.txt").lines().filter(|line| !line.starts_with('#'));
    for line in seeds {
        let seed = line.split_whitespace().next().and_then(|seed| seed.parse().ok());
        passes(seed.unwrap_or_else(|| panic!("not a seed: {line}")), &Options::default());
    }
}

#[test]
fn every_fault_strikes_somewhere() {
    // Most do within a few seeds; the rarest need a hung or full disk at the right moment.
    let mut total = Counts::default();
    for seed in 0..400 {
        total.add(&run(seed, &Options { operations: Some(40), ..Options::default() }).counts);
        if total.never_fired().next().is_none() {
            return;
        }
    }
    let never: Vec<&str> = total.never_fired().map(Fault::name).collect();
    panic!("never struck: {never:?}");
}

#[test]
fn what_is_left_out_does_not_strike() {
    let all = run(2, &Options::default());
    let struck: Vec<Fault> =
        Fault::ALL.iter().copied().filter(|&fault| all.counts.fired[fault as usize] > 0).collect();
    assert!(!struck.is_empty());
    let none = run(2, &Options { without: struck.clone(), ..Options::default() });
    assert!(struck.iter().all(|&fault| none.counts.fired[fault as usize] == 0));
}

#[test]
fn a_story_is_told_and_changes_nothing() {
    let told = run(5, &Options { is_told: true, ..Options::default() });
    assert!(told.story.iter().any(|line| line.contains("becomes Leader")), "{:?}", told.story.first());
    assert_eq!(told.counts.trace, run(5, &Options::default()).counts.trace);
}
