//! Does the simulator catch what it claims to? Each bug of [`raft_core::seeded`] is planted in the shipped
//! code, one at a time, and the seeds are run until a check fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use raft_core::seeded::{self, Bug};

use crate::{Failure, Options, run};

/// How a bug was caught.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The first seed that failed, so that one more is how many it took.
    pub seed: u64,
    /// Which check, and what it said.
    pub failure: Failure,
}

/// Plants a bug and runs seeds from 0 on until one fails; none where all of them pass. Not to be run twice
/// at the same time: the switch is one for the whole process.
#[must_use]
pub fn hunt(bug: Bug, seeds: u64, jobs: usize) -> Option<Caught> {
    seeded::plant(Some(bug));
    let (next, first) = (AtomicU64::new(0), Mutex::new(None::<Caught>));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let found_before =
                        || first.lock().is_ok_and(|first| first.as_ref().is_some_and(|c| c.seed < seed));
                    if seed >= seeds || found_before() {
                        return;
                    }
                    let failure = run(seed, &Options::default()).failure;
                    let Some(failure) = failure else { continue };
                    let mut first = first.lock().expect("nobody panics holding it");
                    if first.as_ref().is_none_or(|known| seed < known.seed) {
                        *first = Some(Caught { seed, failure });
                    }
                }
            });
        }
    });
    seeded::plant(None);
    first.into_inner().expect("nobody panics holding it")
}
