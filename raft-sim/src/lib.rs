//! A simulator for the product: the replica that ships, its log format and recovery, its store and
//! sessions, as a whole cluster in one thread, from one seed.
//!
//! Everything that can go wrong does: messages are lost, late, doubled and out of order; the network
//! splits; disks are slow, hang, fail, tear writes and lose what was not flushed; clocks drift and jump;
//! processes and machines die, all at once too; clients repeat themselves. Each kind is a named [`Fault`];
//! a seed switches a random subset on, at random strengths. What must hold is checked after every step
//! (`checks`), what clients saw is checked at the end (`history`, [`linearizable`]), when everything has
//! healed and the cluster has to get going again.
//!
//! The same seed gives the same run, to the byte, on every machine and in every build: [`Counts::trace`]
//! says so.
//!
//! Out of scope: a disk that goes back to an older state of itself, say from a backup. No log can tell that
//! from the disk alone; do not restore a member's directory from a copy that is older than its last vote or
//! acknowledgement.
#![forbid(unsafe_code)]

#[cfg(feature = "seeded-bugs")]
pub mod bugs;
mod checks;
mod dice;
mod fault;
mod history;
pub mod linearizable;
mod machine;
pub mod minimise;
mod plan;
mod report;

mod trace;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use dice::Dice;
pub use fault::{Fault, Faults, Tally};
pub use plan::Plan;
pub use report::Counts;

use world::World;

/// How a seed is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Faults that are left out.
    pub without: Vec<Fault>,
    /// How many operations clients ask for; as many as the seed says, if none.
    pub operations: Option<u64>,
    /// Whether the run is told as a story.
    pub is_told: bool,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The property that does not hold, or `Assertion` where the replica itself gave up.
    pub check: String,
    /// What is wrong.
    pub message: String,
}

/// What became of a seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What happened, in numbers.
    pub counts: Counts,
    /// What failed, if anything.
    pub failure: Option<Failure>,
    /// The story, if it was to be told.
    pub story: Vec<String>,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Run {
    let mut world = World::new(seed, &options.without, options.operations, options.is_told);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = result.err().map(|panic| Failure::from_panic(panic.as_ref()));
    Run { seed, counts: world.counts(), failure, story: world.take_story() }
}

impl Failure {
    fn from_panic(panic: &(dyn Any + Send)) -> Failure {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "a panic without words".to_owned());
        // assert_eq! puts what it compares around the words.
        let words = text.strip_prefix("assertion `left == right` failed: ").unwrap_or(&text).to_owned();
        let check = words.split_once(':').map(|(check, _)| check).filter(|check| {
            check.len() < 40
                && check.split(' ').all(|word| word.starts_with(char::is_uppercase) || word.len() < 4)
        });
        Failure { check: check.unwrap_or("Assertion").to_owned(), message: words }
    }
}
