//! The entries that recovery finds, and where they begin.

use alloc::vec::Vec;

use super::error::RecoveryError;
use super::format::SegmentNumber;
use super::recovery::Refused;
use crate::entry::Entry;
use crate::types::{EntryId, LogIndex, Term};

/// What was read so far.
pub(super) struct Entries {
    /// The first segment.
    first_segment: SegmentNumber,
    /// Whether the log begins in its midst and no entry was seen: where is told by the first.
    is_open: bool,
    /// Index of the entry before the first.
    base: LogIndex,
    /// Its term; none where it was in a segment that is gone.
    base_term: Option<Term>,
    entries: Vec<Entry>,
    snapshot: Option<EntryId>,
}

/// What there is in the end.
pub(super) struct Settled {
    pub(super) base: EntryId,
    pub(super) entries: Vec<Entry>,
    pub(super) snapshot: Option<EntryId>,
}

impl Settled {
    /// The term of an entry that is there, or of the base.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let position = usize::try_from(index.0.checked_sub(self.base.index.0 + 1)?).ok()?;
        self.entries.get(position).map(|entry| entry.term)
    }
}

impl Entries {
    /// A log that begins with this segment.
    pub(super) fn from(first_segment: SegmentNumber) -> Entries {
        Entries {
            first_segment,
            is_open: first_segment != SegmentNumber::FIRST,
            base: LogIndex::ZERO,
            base_term: Some(Term(0)),
            entries: Vec::new(),
            snapshot: None,
        }
    }

    fn last(&self) -> LogIndex {
        LogIndex(self.base.0 + self.entries.len() as u64)
    }

    fn snapshot_index(&self) -> LogIndex {
        self.snapshot.unwrap_or_default().index
    }

    /// The term of the entry at an index, as far as it is known.
    fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base {
            return self.base_term;
        }
        let position = usize::try_from(index.0.checked_sub(self.base.0 + 1)?).ok()?;
        self.entries.get(position).map(|entry| entry.term)
    }

    /// Takes the next entry. Checks what the replica takes for granted: a checksum only says that a frame is
    /// as it was laid out.
    pub(super) fn entry(&mut self, entry: Entry) -> Result<(), Refused> {
        if core::mem::take(&mut self.is_open) {
            self.begin_before(entry.index);
        }
        let last = self.last();
        let gap = Refused::Gap { found: entry.index, last };
        // What a snapshot holds is committed: nothing replaces it.
        if entry.index <= self.snapshot_index() || entry.index > last.next() {
            return Err(gap);
        }
        if entry.index <= self.base {
            if self.base_term.is_some() {
                return Err(gap);
            }
            self.entries.clear();
            self.begin_before(entry.index);
        }
        // Not beyond the length, so it fits.
        let kept = entry.index.0 - self.base.0 - 1;
        self.entries.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        let before = self.entries.last().map(|before| before.term).or(self.base_term).unwrap_or_default();
        Refused::check_term(entry.term, before)?;
        self.entries.push(entry);
        Ok(())
    }

    fn begin_before(&mut self, first: LogIndex) {
        self.base = first.prev();
        let known = self.snapshot.unwrap_or_default();
        self.base_term = (known.index == self.base).then_some(known.term);
    }

    /// Takes note of a snapshot: see [`Record::Snapshot`](super::Record::Snapshot).
    pub(super) fn snapshot(&mut self, snapshot: EntryId) -> Result<(), Refused> {
        if snapshot.index == LogIndex::ZERO {
            return Err(Refused::Gap { found: snapshot.index, last: self.last() });
        }
        Refused::check_term(snapshot.term, Term(0))?;
        if snapshot.index <= self.snapshot_index() {
            // Said again at the start of a segment.
            return Ok(());
        }
        self.snapshot = Some(snapshot);
        // The term of the entry before the first is not known here: it would be from a snapshot as late.
        let keeps = snapshot.index <= self.base || self.term_at(snapshot.index) == Some(snapshot.term);
        if !keeps && !self.is_open {
            self.entries.clear();
            (self.base, self.base_term) = (snapshot.index, Some(snapshot.term));
        }
        Ok(())
    }

    /// All was read: the log goes back to its beginning, or a snapshot does.
    pub(super) fn settle(mut self) -> Result<Settled, RecoveryError> {
        let snapshot = self.snapshot_index();
        if self.first_segment != SegmentNumber::FIRST {
            let file = self.first_segment.prev().file_name();
            if self.snapshot.is_none() {
                return Err(RecoveryError::SegmentMissing { file });
            }
            if self.is_open {
                self.begin_before(snapshot.next());
            }
            if self.base > snapshot {
                return Err(RecoveryError::BeginningMissing { file, first: self.base.next(), snapshot });
            }
        }
        assert!(snapshot <= self.last(), "the log reaches as far as its snapshot");
        let base = match self.base_term {
            Some(term) => EntryId { index: self.base, term },
            None if snapshot == self.base => self.snapshot.unwrap_or_default(),
            // Index and term of the entry before the first have to be known: the first takes its part.
            None => {
                let first = self.entries.remove(0);
                EntryId { index: first.index, term: first.term }
            }
        };
        Ok(Settled { base, entries: self.entries, snapshot: self.snapshot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Payload;

    fn noop(index: u64, term: u64) -> Entry {
        Entry { index: LogIndex(index), term: Term(term), payload: Payload::Noop }
    }

    fn id(index: u64, term: u64) -> EntryId {
        EntryId { index: LogIndex(index), term: Term(term) }
    }

    #[test]
    fn every_entry_has_its_own_term() {
        let mut read = Entries::from(SegmentNumber::FIRST);
        for n in 1..=3 {
            assert!(read.entry(noop(n, n)).is_ok());
        }
        let settled = read.settle().expect("it is whole");
        let terms = [0, 1, 2, 3, 4].map(|index| settled.term_at(LogIndex(index)));
        assert_eq!(terms, [Some(Term(0)), Some(Term(1)), Some(Term(2)), Some(Term(3)), None]);
    }

    /// The snapshot is told after entries that it holds, and after those alone that follow it.
    #[test]
    fn a_log_without_its_beginning_goes_on_from_the_first_entry_whose_term_is_known() {
        for (snapshot, base, kept) in [(id(6, 2), id(6, 2), 2), (id(8, 3), id(7, 2), 1)] {
            let mut read = Entries::from(SegmentNumber::FIRST.next());
            for entry in [noop(7, 2), noop(8, 3)] {
                assert!(read.entry(entry).is_ok());
            }
            assert!(read.snapshot(snapshot).is_ok());
            let settled = read.settle().expect("it is whole");
            assert_eq!((settled.base, settled.entries.len()), (base, kept));
            assert_eq!(settled.snapshot, Some(snapshot));
        }
    }
}
