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
        let is_known = |term| term == snapshot.term;
        let keeps = snapshot.index < self.base
            || self.term_at(snapshot.index).map_or(snapshot.index == self.base, is_known);
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
