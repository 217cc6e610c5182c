//! What a leader knows of one follower (paper Figure 2, "volatile state on leaders"), and how fast it feeds
//! it.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::message::{Received, Round};
use crate::types::{EntryId, LogIndex, Time};

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
    /// Snapshots that the leader has taken since this follower last got further, in its log or with one.
    pub idle_snapshots: u32,
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
    /// The log that it needs is not kept any more: it gets a snapshot (paper §7).
    Snapshot(Installing),
}

/// A snapshot on its way to a follower: `acknowledged <= next` always, in bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installing {
    /// The last entry that the snapshot holds.
    pub snapshot: EntryId,
    /// So many bytes are durable there.
    pub acknowledged: u64,
    /// Where the next chunk begins.
    pub next: u64,
    /// Whether the follower has said where to go on, since the stream to it was opened.
    pub is_located: bool,
    /// Whether the last chunk was sent.
    pub is_sent: bool,
    /// Not before this moment: what the follower refused is not sent again at once.
    pub pause_until: Time,
}

impl Installing {
    /// Bytes under way to one follower at most; a single chunk may go over.
    pub const MAX_BYTES: u64 = 4 << 20;

    /// A snapshot of which the follower has yet to say what it has.
    #[must_use]
    pub fn new(snapshot: EntryId) -> Installing {
        let (acknowledged, next) = (0, 0);
        let pause_until = Time::ZERO;
        Installing { snapshot, acknowledged, next, is_located: false, is_sent: false, pause_until }
    }

    /// Whether the next chunk may be sent now.
    #[must_use]
    pub fn may_send(&self, now: Time) -> bool {
        let has_room = self.next - self.acknowledged < Self::MAX_BYTES;
        self.is_located && !self.is_sent && has_room && now >= self.pause_until
    }

    /// A chunk of so many bytes was sent.
    pub fn sent(&mut self, bytes: u64, is_last: bool) {
        self.next += bytes;
        self.is_sent = is_last;
    }

    /// So many bytes are durable there.
    pub fn acknowledged(&mut self, durable: u64) {
        if !self.is_located || durable > self.next {
            return self.go_on_from(durable);
        }
        self.acknowledged = self.acknowledged.max(durable);
    }

    /// The follower needs what comes after so many bytes.
    pub fn go_on_from(&mut self, durable: u64) {
        (self.acknowledged, self.next) = (durable, durable);
        (self.is_located, self.is_sent) = (true, false);
    }
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
            idle_snapshots: 0,
        }
    }

    /// Whether entries may be sent now.
    #[must_use]
    pub fn may_send(&self) -> bool {
        match &self.pace {
            Pace::Probe { waiting } => !waiting,
            Pace::Replicate(in_flight) => in_flight.has_room(),
            Pace::Snapshot(_) => false,
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
            Pace::Snapshot(_) => {}
        }
    }

    /// What it needs is not kept any more.
    pub fn needs_snapshot(&mut self, snapshot: EntryId) {
        self.pace = Pace::Snapshot(Installing::new(snapshot));
    }

    /// The snapshot on its way to it.
    #[must_use]
    pub fn installing(&self) -> Option<&Installing> {
        match &self.pace {
            Pace::Snapshot(installing) => Some(installing),
            Pace::Probe { .. } | Pace::Replicate(_) => None,
        }
    }

    /// The follower says what it has of the snapshot on its way to it.
    pub fn received(&mut self, received: Received, pause_until: Time) {
        let Pace::Snapshot(installing) = &mut self.pace else { return };
        let before = installing.acknowledged;
        match received {
            Received::Unknown => {}
            Received::UpTo(durable) => installing.acknowledged(durable),
            Received::From(durable) => installing.go_on_from(durable),
            Received::Refused => {
                installing.go_on_from(0);
                installing.pause_until = pause_until;
            }
        }
        if installing.acknowledged > before {
            self.idle_snapshots = 0;
        }
    }

    /// The snapshot on its way to it.
    pub fn installing_mut(&mut self) -> Option<&mut Installing> {
        match &mut self.pace {
            Pace::Snapshot(installing) => Some(installing),
            Pace::Probe { .. } | Pace::Replicate(_) => None,
        }
    }

    /// The follower has everything up to here. Returns whether that is news. One that gets a snapshot goes on
    /// with that, unless it has all that the snapshot holds.
    pub fn matched(&mut self, match_index: LogIndex) -> bool {
        if let Pace::Replicate(in_flight) = &mut self.pace {
            in_flight.answered(match_index);
        }
        let news = match_index > self.match_index;
        if news {
            self.idle_snapshots = 0;
        }
        self.match_index = self.match_index.max(match_index);
        self.next_index = self.next_index.max(match_index.next());
        let goes_on = match &self.pace {
            Pace::Probe { .. } => true,
            Pace::Replicate(_) => false,
            Pace::Snapshot(installing) => match_index >= installing.snapshot.index,
        };
        if goes_on {
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
            Pace::Snapshot(_) => true,
        };
        if !stale {
            self.next_index = candidate.min(rejected.prev()).max(self.match_index).next();
            self.pace = Pace::Probe { waiting: false };
        }
    }

    /// The connection was made anew: what was under way may be lost.
    pub fn reconnected(&mut self) {
        if let Pace::Snapshot(installing) = &mut self.pace {
            installing.is_located = false;
            return;
        }
        self.next_index = self.match_index.next().max(match self.pace {
            Pace::Probe { .. } => self.next_index,
            Pace::Replicate(_) | Pace::Snapshot(_) => LogIndex::ZERO,
        });
        self.pace = Pace::Probe { waiting: false };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Term;

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

    const SNAPSHOT: EntryId = EntryId { index: LogIndex(40), term: Term(2) };

    fn installing(progress: &mut Progress) -> &mut Installing {
        progress.installing_mut().expect("a snapshot is on its way")
    }

    #[test]
    fn a_snapshot_is_sent_once_the_follower_has_said_from_where() {
        let mut progress = replicating(5, 9);
        progress.needs_snapshot(SNAPSHOT);
        assert!(!progress.may_send(), "no entries");
        let on_its_way = installing(&mut progress);
        assert!(!on_its_way.may_send(Time::ZERO));
        on_its_way.acknowledged(1000);
        assert!(on_its_way.may_send(Time::ZERO));
        assert_eq!((on_its_way.acknowledged, on_its_way.next), (1000, 1000));
        on_its_way.sent(Installing::MAX_BYTES, false);
        assert!(!on_its_way.may_send(Time::ZERO), "so much is under way");
        on_its_way.acknowledged(1001);
        assert!(on_its_way.may_send(Time::ZERO));
        on_its_way.acknowledged(500);
        assert_eq!(on_its_way.acknowledged, 1001, "an answer that comes late");
        on_its_way.sent(7, true);
        assert!(!on_its_way.may_send(Time::ZERO), "all is sent");
        on_its_way.acknowledged(on_its_way.next);
        assert!(!on_its_way.may_send(Time::ZERO), "and all is there");
        on_its_way.go_on_from(1001);
        assert!(on_its_way.may_send(Time::ZERO), "a chunk was lost");
        on_its_way.acknowledged(5000);
        assert_eq!((on_its_way.acknowledged, on_its_way.next), (5000, 5000), "it has more than was sent");
    }

    #[test]
    fn what_a_follower_had_before_is_no_progress() {
        let mut progress = replicating(5, 9);
        progress.needs_snapshot(SNAPSHOT);
        progress.received(Received::From(1000), Time::ZERO);
        progress.idle_snapshots = 2;
        for received in [Received::UpTo(1000), Received::UpTo(500), Received::Unknown] {
            progress.received(received, Time::ZERO);
            assert_eq!(progress.idle_snapshots, 2, "{received:?}");
        }
        progress.received(Received::UpTo(1001), Time::ZERO);
        assert_eq!(progress.idle_snapshots, 0);
    }

    #[test]
    fn a_snapshot_goes_on_after_a_reconnection_and_ends_with_its_last_entry() {
        let mut progress = replicating(5, 9);
        progress.needs_snapshot(SNAPSHOT);
        installing(&mut progress).acknowledged(1000);
        progress.reconnected();
        assert!(!installing(&mut progress).may_send(Time::ZERO));
        progress.conflicted(LogIndex(8), LogIndex(3));
        progress.matched(LogIndex(39));
        installing(&mut progress).acknowledged(900);
        assert_eq!(installing(&mut progress).next, 900);
        progress.matched(LogIndex(40));
        assert_eq!((progress.next_index, progress.installing()), (LogIndex(41), None));
        assert!(progress.may_send());
    }

    #[test]
    fn a_new_connection_starts_over_from_the_match() {
        let mut progress = replicating(3, 9);
        progress.reconnected();
        assert_eq!((progress.next_index, &progress.pace), (LogIndex(4), &Pace::Probe { waiting: false }));
    }
}
