//! How long to wait: the paper's §5.6, and the bounds within which it can work.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Election timeout and heartbeat interval. The defaults are the paper's (§9.3): 150–300 ms and 50 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The least time without a leader's word before a follower stands for election; also how long
    /// a follower that hears its leader refuses to vote for another.
    pub election_timeout_min: Duration,
    /// The most; each wait is drawn between the two.
    pub election_timeout_max: Duration,
    /// How often a leader speaks when it has nothing to say.
    pub heartbeat_interval: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            election_timeout_min: Duration::from_millis(150),
            election_timeout_max: Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
        }
    }
}

/// Timings that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "timings do not fit (election timeout {min:?} to {max:?}, heartbeat {heartbeat:?}): the heartbeat must \
     be at least 1 ms and at most half the lower election timeout, the upper one above the lower one and at \
     most a minute"
)]
pub struct InvalidTiming {
    min: Duration,
    max: Duration,
    heartbeat: Duration,
}

impl Timing {
    /// Checks that elections can succeed: heartbeats come at least twice within the shortest timeout, and
    /// timeouts are spread.
    ///
    /// # Errors
    /// When they are not.
    pub fn validate(&self) -> Result<(), InvalidTiming> {
        let (min, max, heartbeat) =
            (self.election_timeout_min, self.election_timeout_max, self.heartbeat_interval);
        let fits = heartbeat >= Duration::from_millis(1)
            && heartbeat * 2 <= min
            && min < max
            && max <= Duration::from_secs(60);
        if fits { Ok(()) } else { Err(InvalidTiming { min, max, heartbeat }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_fit_twice_into_the_shortest_timeout_and_timeouts_are_spread() {
        let fits = |min, max, heartbeat| {
            let micros = |millis: f64| Duration::from_micros((millis * 1000.0) as u64);
            let timing = Timing {
                election_timeout_min: micros(min),
                election_timeout_max: micros(max),
                heartbeat_interval: micros(heartbeat),
            };
            timing.validate().is_ok()
        };
        assert!(Timing::default().validate().is_ok());
        assert!(fits(2.0, 2.001, 1.0), "the least of everything");
        assert!(!fits(2.0, 2.001, 0.999), "a shorter heartbeat");
        assert!(!fits(1.999, 2.001, 1.0), "a timeout that holds no two heartbeats");
        assert!(!fits(2.0, 2.0, 1.0), "timeouts that are all alike");
        assert!(!fits(3.0, 2.0, 1.0), "a range upside down");
        assert!(fits(59_999.0, 60_000.0, 50.0), "a minute");
        assert!(!fits(59_999.0, 60_000.001, 50.0), "more than a minute");
    }
}
