//! How long the replica's thread is kept busy: what an election clock may have to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the counts of turns, in seconds.
const BOUNDS: [f64; 10] = [0.000_1, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The turns of a replica since the node was started. Clones are of the same.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// How long each took, in seconds.
    pub(crate) turns: Histogram,
    longest: Arc<AtomicU64>,
    latest: Arc<AtomicU64>,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        let (longest, latest) = (Arc::default(), Arc::default());
        Pace { turns: Histogram::new(BOUNDS), longest, latest }
    }

    /// A turn is done.
    pub(super) fn turn(&self, took: Duration) {
        self.turns.observe(took.as_secs_f64());
        self.longest.fetch_max(nanos(took), Ordering::Relaxed);
    }

    /// The clock was heard so much later than it wanted.
    pub(super) fn late(&self, by: Duration) {
        self.latest.fetch_max(nanos(by), Ordering::Relaxed);
    }

    /// The longest turn.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }

    /// The longest that the clock was kept waiting, by a turn or by whatever else its thread does.
    pub(crate) fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest.load(Ordering::Relaxed))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_kept() {
        let pace = Pace::new();
        let millis = Duration::from_millis;
        for took in [3, 12, 5] {
            pace.clone().turn(millis(took));
            pace.late(millis(20 - took));
        }
        assert_eq!((pace.longest(), pace.latest()), (millis(12), millis(17)));
    }
}
