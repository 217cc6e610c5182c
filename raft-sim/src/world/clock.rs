//! A server's own clock, which need not run as the world's does.

use std::time::Duration;

use raft_core::types::Time;

/// Starts at zero with the process and never goes back.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// A moment of the world's time, and what the clock showed then.
    at: Time,
    showed: u64,
    /// Microseconds it makes of a million.
    rate: u64,
}

impl Clock {
    pub(crate) const TRUE_RATE: u64 = 1_000_000;

    pub(crate) fn started(now: Time, rate: u64) -> Clock {
        Clock { at: now, showed: 0, rate }
    }

    pub(crate) fn read(&self, now: Time) -> Time {
        let passed = now.as_micros().saturating_sub(self.at.as_micros());
        Time::from_micros(self.showed + passed * self.rate / Clock::TRUE_RATE)
    }

    /// The moment of the world's time when the clock will show `local`; now, where that is past.
    pub(crate) fn when(&self, local: Time, now: Time) -> Time {
        let ahead = local.as_micros().saturating_sub(self.showed);
        // Nothing waits for years: far deadlines need not be exact.
        let real = ahead.min(u64::MAX / (2 * Clock::TRUE_RATE)) * Clock::TRUE_RATE;
        now.max(self.at + Duration::from_micros(real.div_ceil(self.rate)))
    }

    pub(crate) fn jump(&mut self, now: Time, by: Duration) {
        self.showed = (self.read(now) + by).as_micros();
        self.at = now;
    }

    pub(crate) fn run_at(&mut self, now: Time, rate: u64) {
        self.showed = self.read(now).as_micros();
        (self.at, self.rate) = (now, rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_and_not_missed() {
        for rate in [800_000, 1_000_000, 1_200_000, 999_999] {
            let mut clock = Clock::started(Time::from_micros(17), rate);
            clock.jump(Time::from_micros(1000), Duration::from_micros(5));
            for local in [1, 1500, 7_777_777] {
                let deadline = Time::from_micros(local);
                let when = clock.when(deadline, Time::from_micros(1000));
                assert!(clock.read(when) >= deadline, "{rate} {local}");
                let before = Time::from_micros(when.as_micros() - 2);
                assert!(clock.read(before) < deadline || when.as_micros() <= 1000, "{rate} {local}");
            }
        }
    }
}
