//! The checks bite: every bug that is planted in the shipped code is caught, as docs/simulation.md says.
//!
//! `cargo test --release -p raft-sim --features seeded-bugs --test bugs`
#![cfg(feature = "seeded-bugs")]

use raft_core::seeded::Bug;
use raft_sim::bugs::hunt;

/// Bugs that take longer are left to `raft-sim --bugs`.
const MOST_SEEDS: u64 = 400;

/// The rows of the table in the document: bug, and the seed that caught it.
fn table() -> Vec<(String, u64)> {
    let document = include_str!("../../docs/simulation.md");
    let rows = document.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells[1].trim_matches('`').to_owned(), cells[4].parse().ok()?))
    };
    rows.filter_map(row).collect()
}

#[test]
fn every_bug_is_caught_about_as_soon_as_it_was() {
    let (table, jobs) = (table(), std::thread::available_parallelism().map_or(1, Into::into));
    for bug in Bug::ALL {
        let row = table.iter().find(|(name, _)| name == bug.name());
        let (_, seed) = row.unwrap_or_else(|| panic!("{} is not in docs/simulation.md", bug.name()));
        if *seed * 4 < MOST_SEEDS {
            let caught = hunt(*bug, MOST_SEEDS, jobs);
            assert!(caught.is_some(), "{} was caught at seed {seed}, and is not any more", bug.name());
        }
    }
}
