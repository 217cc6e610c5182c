//! What a leader knows of one follower (paper Figure 2, "volatile state on leaders"), and how fast it feeds
//! it.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::message::Round;
use crate::types::{LogIndex, Time};

/// One follower's progress. `match_index < next_index` always.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The highest index known to be durable there and equal to ours.
    pub match_index: LogIndex,
    /// The next index to send.
    pub next_index: LogIndex,
    /// How it is fed.
    pub pace: Pace,
    /// When it last answered in this term; at first, when the term began.
    pub last_contact: Time,
    /// Whether it has answered in this term at all.
    pub answered: bool,
    /// The latest round it has echoed.
    pub round: Round,
    /// When an empty or repeated AppendEntries is next due.
    pub heartbeat_due: Time,
}

/// How a follower is fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    /// The last common entry is being sought: one message at a time, repeated with the heartbeat.
    Probe {
        /// Whether that message is under way.
        waiting: bool,
    },
    /// Entries are sent as they come, ahead of the answers (dissertation §10.2.1).
    Replicate(InFlight),
}

/// What was sent and not answered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    sent: VecDeque<(LogIndex, usize)>,
    bytes: usize,
}

impl InFlight {
    /// Bytes under way to one follower at most; a single batch may go over.
    pub const MAX_BYTES: usize = 8 << 20;

    /// Whether there is room for more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes < Self::MAX_BYTES
    }

    fn sent(&mut self, last: LogIndex, bytes: usize) {
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    fn answered(&mut self, up_to: LogIndex) {
        while let Some(&(last, bytes)) = self.sent.front()
            && last <= up_to
        {
            self.sent.pop_front();
            self.bytes -= bytes;
        }
    }
}

impl Progress {
    /// A follower at the start of a leader's term: next index is the one after the leader's last.
    #[must_use]
    pub fn new(last_index: LogIndex, now: Time) -> Progress {
        Progress {
            match_index: LogIndex::ZERO,
            next_index: last_index.next(),
            pace: Pace::Probe { waiting: false },
            last_contact: now,
            answered: false,
            round: Round::default(),
            heartbeat_due: now,
        }
    }

    /// Whether entries may be sent now.
    #[must_use]
    pub fn may_send(&self) -> bool {
        match &self.pace {
            Pace::Probe { waiting } => !waiting,
            Pace::Replicate(in_flight) => in_flight.has_room(),
        }
    }

    /// Entries up to `last` were sent.
    pub fn sent(&mut self, last: LogIndex, bytes: usize) {
        match &mut self.pace {
            Pace::Probe { waiting } => *waiting = true,
            Pace::Replicate(in_flight) => {
                in_flight.sent(last, bytes);
                self.next_index = self.next_index.max(last.next());
            }
        }
    }

    /// The follower has everything up to here. Returns whether that is news.
    pub fn matched(&mut self, match_index: LogIndex) -> bool {
        if let Pace::Replicate(in_flight) = &mut self.pace {
            in_flight.answered(match_index);
        }
        let news = match_index > self.match_index;
        self.match_index = self.match_index.max(match_index);
        self.next_index = self.next_index.max(match_index.next());
        if matches!(self.pace, Pace::Probe { .. }) {
            // What was sent beyond the match, if anything, was lost or refused.
            self.next_index = self.match_index.next();
            self.pace = Pace::Replicate(InFlight::default());
        }
        news
    }

    /// The follower refused entries after `rejected`; the logs may agree up to `candidate`.
    pub fn conflicted(&mut self, rejected: LogIndex, candidate: LogIndex) {
        let stale = match self.pace {
            Pace::Probe { .. } => rejected != self.next_index.prev(),
            Pace::Replicate(_) => rejected <= self.match_index,
        };
        if !stale {
            self.next_index = candidate.min(rejected.prev()).max(self.match_index).next();
            self.pace = Pace::Probe { waiting: false };
        }
    }

    /// The connection was made anew: what was under way may be lost.
    pub fn reconnected(&mut self) {
        self.next_index = self.match_index.next().max(match self.pace {
            Pace::Probe { .. } => self.next_index,
            Pace::Replicate(_) => LogIndex::ZERO,
        });
        self.pace = Pace::Probe { waiting: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(match_index: u64, next_index: u64) -> Progress {
        let mut progress = Progress::new(LogIndex(match_index), Time::ZERO);
        progress.matched(LogIndex(match_index));
        progress.sent(LogIndex(next_index - 1), 10);
        progress
    }

    #[test]
    fn probing_finds_the_match_and_then_pipelines() {
        let mut progress = Progress::new(LogIndex(9), Time::ZERO);
        progress.sent(LogIndex(9), 0);
        assert!(!progress.may_send(), "one probe at a time");
        progress.conflicted(LogIndex(9), LogIndex(4));
        assert_eq!(progress.next_index, LogIndex(5));
        assert!(progress.matched(LogIndex(4)));
        assert!(progress.may_send());
        progress.sent(LogIndex(7), 10);
        assert_eq!(progress.next_index, LogIndex(8), "ahead of the answer");
    }

    #[test]
    fn stale_refusals_change_nothing() {
        let mut progress = replicating(5, 9);
        progress.conflicted(LogIndex(5), LogIndex(2));
        assert_eq!(progress.next_index, LogIndex(9));
        progress.conflicted(LogIndex(8), LogIndex(2));
        assert_eq!(progress.next_index, LogIndex(6), "never below what is known to match");
        progress.conflicted(LogIndex(7), LogIndex(2));
        assert_eq!(progress.next_index, LogIndex(6));
    }

    #[test]
    fn the_window_opens_as_answers_come() {
        let mut progress = replicating(1, 2);
        progress.sent(LogIndex(2), InFlight::MAX_BYTES);
        assert!(!progress.may_send());
        progress.matched(LogIndex(2));
        assert!(progress.may_send());
    }

    #[test]
    fn the_window_holds_what_was_not_answered() {
        let third = InFlight::MAX_BYTES / 3;
        let mut progress = replicating(1, 2);
        progress.matched(LogIndex(1));
        for index in [2, 3, 4] {
            assert!(progress.may_send(), "before {index}");
            progress.sent(LogIndex(index), third + 1);
        }
        assert!(!progress.may_send());
        for index in [5, 6, 7] {
            progress.matched(LogIndex(index - 3));
            assert!(progress.may_send(), "before {index}");
            progress.sent(LogIndex(index), third + 1);
            assert!(!progress.may_send(), "after {index}");
        }
        progress.matched(LogIndex(7));
        progress.sent(LogIndex(8), InFlight::MAX_BYTES - 1);
        assert!(progress.may_send(), "one byte is left");
        progress.sent(LogIndex(9), 1);
        assert!(!progress.may_send(), "exactly full");
    }

    #[test]
    fn an_answer_that_comes_twice_is_no_news() {
        let mut progress = replicating(3, 9);
        assert!(progress.matched(LogIndex(5)));
        assert!(!progress.matched(LogIndex(5)));
        assert!(!progress.matched(LogIndex(4)));
        assert_eq!(progress.match_index, LogIndex(5));
    }

    #[test]
    fn a_new_connection_starts_over_from_the_match() {
        let mut progress = replicating(3, 9);
        progress.reconnected();
        assert_eq!((progress.next_index, &progress.pace), (LogIndex(4), &Pace::Probe { waiting: false }));
    }
}
