//! Makes a failing run smaller: fewer kinds of faults, fewer operations, the same failure.

use crate::fault::Fault;
use crate::{Options, Run, run};

/// Leaves out whatever the failure does not need. Returns the smallest options found and their run.
#[must_use]
pub fn minimise(seed: u64, options: &Options) -> Option<(Options, Run)> {
    let mut smallest = options.clone();
    let mut failing = run(seed, &smallest);
    let check = failing.failure.as_ref()?.check.clone();
    let tries = |candidate: &Options| {
        let found = run(seed, candidate);
        found.failure.as_ref().is_some_and(|failure| failure.check == check).then_some(found)
    };
    // Halves of what struck first, then one by one, until nothing more can go.
    let mut step = Fault::ALL.len();
    while step > 0 {
        let struck: Vec<Fault> = Fault::ALL
            .iter()
            .copied()
            .filter(|&fault| failing.counts.fired[fault as usize] > 0 && !smallest.without.contains(&fault))
            .collect();
        let mut has_shrunk = false;
        for group in struck.chunks(step) {
            let mut candidate = smallest.clone();
            candidate.without.extend(group);
            if let Some(found) = tries(&candidate) {
                (smallest, failing, has_shrunk) = (candidate, found, true);
            }
        }
        if !has_shrunk || step > 1 {
            step /= 2;
        }
    }
    let mut operations = smallest.operations.unwrap_or(failing.counts.operations);
    let mut cut = operations / 2;
    while cut > 0 {
        let candidate = Options { operations: Some(operations - cut), ..smallest.clone() };
        match tries(&candidate) {
            Some(found) => {
                (operations, smallest, failing) = (operations - cut, candidate, found);
                cut = cut.min(operations / 2);
            }
            None => cut /= 2,
        }
    }
    Some((smallest, failing))
}
