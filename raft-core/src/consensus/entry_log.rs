//! The log in memory: what it holds, and how far the disk has followed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::entry::Entry;
use crate::types::{EntryId, LogIndex, Term};

/// Entries kept in one piece of memory.
const CHUNK: usize = 4096;

/// The entries after a base, and three marks: `base <= durable <= written <= last`. `written` has been
/// handed to the disk, `durable` has been answered by it.
///
/// The base is the last entry that is not kept any more, of which index and term are known (paper §7); at
/// first the place before the log. What lies before it is committed and in a snapshot.
#[derive(Clone, Debug, Default)]
pub struct EntryLog {
    /// All full but the last. One vector would be moved as a whole whenever it grows: half a second for a few
    /// million entries, in which no heartbeat is sent.
    chunks: VecDeque<Vec<Entry>>,
    /// The index before the first entry in the first chunk: at most the base.
    before: LogIndex,
    base: EntryId,
    last: LogIndex,
    written: LogIndex,
    durable: LogIndex,
    /// Not in the log any more, not yet freed: freeing a long log at once would take long.
    retired: Vec<Vec<Entry>>,
}

impl EntryLog {
    /// A log found on the disk, from its beginning.
    ///
    /// # Panics
    /// When the entries are not contiguous from index 1 with terms that never fall: recovery has proved it.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> EntryLog {
        EntryLog::after(EntryId::default(), entries)
    }

    /// A log found on the disk that goes on after an entry which it does not hold.
    ///
    /// # Panics
    /// When the entries are not contiguous from the one after `base` with terms that never fall.
    #[must_use]
    pub fn after(base: EntryId, entries: Vec<Entry>) -> EntryLog {
        let mut log = EntryLog::default();
        log.restart(base);
        for entry in entries {
            log.append(entry);
        }
        (log.written, log.durable) = (log.last, log.last);
        log
    }

    /// The entry before the first that is kept; index 0 in a log from its beginning.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// Index of the first entry kept, or of the first to come.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        self.base.index.next()
    }

    /// Index of the last entry; the base's in an empty log.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        self.last
    }

    /// Term of the last entry; the base's in an empty log.
    #[must_use]
    pub fn last_term(&self) -> Term {
        self.term_at(self.last).unwrap_or_default()
    }

    /// The last index that is durable here.
    #[must_use]
    pub fn durable(&self) -> LogIndex {
        self.durable
    }

    /// In which chunk an index lies, and where.
    fn position(&self, index: LogIndex) -> Option<(usize, usize)> {
        let position = usize::try_from(index.0.checked_sub(self.before.0)?).ok()?.checked_sub(1)?;
        Some((position / CHUNK, position % CHUNK))
    }

    /// The entry at an index, if it is kept.
    #[must_use]
    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        if index <= self.base.index {
            return None;
        }
        let (chunk, position) = self.position(index)?;
        self.chunks.get(chunk)?.get(position)
    }

    /// The term of the entry at an index; none beyond the log, nor before its base.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// Whether the log holds this entry, or it is the log's base.
    #[must_use]
    pub fn holds(&self, entry: EntryId) -> bool {
        self.term_at(entry.index) == Some(entry.term)
    }

    /// The entries of a range of indexes, as far as they are kept.
    pub fn range(&self, range: RangeInclusive<LogIndex>) -> impl Iterator<Item = &Entry> {
        let (first, end) = (*range.start().max(&self.first_index()), *range.end().min(&self.last));
        let (chunk, skip) = self.position(first).unwrap_or_default();
        let count = usize::try_from((end.0 + 1).saturating_sub(first.0)).unwrap_or(usize::MAX);
        self.chunks.iter().skip(chunk).flatten().skip(skip).take(count)
    }

    /// The entries from `from` on whose cost is at most `bytes` together, but at least one if there is one;
    /// none where `from` is not kept.
    #[must_use]
    pub fn batch(&self, from: LogIndex, bytes: usize) -> Vec<Entry> {
        if from < self.first_index() {
            return Vec::new();
        }
        let mut total = 0;
        let fits = |entry: &&Entry| {
            total += entry.cost();
            total <= bytes || entry.index == from
        };
        self.range(from..=self.last).take_while(fits).cloned().collect()
    }

    /// Adds an entry at the end.
    ///
    /// # Panics
    /// When it does not follow the last one.
    pub fn append(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index().next(), "entries are appended in order");
        assert!(entry.term >= self.last_term(), "terms never fall along the log");
        self.last = entry.index;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Sets both marks, of a log that is put together anew.
    ///
    /// # Panics
    /// When they do not lie in order within it.
    pub(crate) fn mark(&mut self, written: LogIndex, durable: LogIndex) {
        assert!(durable <= written && written <= self.last, "durable <= written <= last");
        assert!(self.base.index <= durable, "the base is durable");
        (self.written, self.durable) = (written, durable);
    }

    /// Removes `from` and all after it (paper §5.3).
    ///
    /// # Panics
    /// When that reaches before the log's base: what is not kept is committed.
    pub fn truncate(&mut self, from: LogIndex) {
        let kept = from.prev();
        if kept >= self.last {
            return;
        }
        assert!(kept >= self.base.index, "what is committed is never removed");
        let (chunk, position) = self.position(from).unwrap_or_default();
        self.chunks.truncate(chunk + 1);
        if let Some(last) = self.chunks.back_mut() {
            last.truncate(position);
        }
        // No chunk is empty.
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.last = kept;
        self.written = self.written.min(kept);
        self.durable = self.durable.min(kept);
    }

    /// Gives up the entries up to here, as far as they are durable: a snapshot holds what they did (paper
    /// §7). Their memory comes back piece by piece, see [`EntryLog::free_some`].
    pub fn compact(&mut self, up_to: LogIndex) {
        let up_to = up_to.min(self.durable);
        let Some(term) = self.term_at(up_to).filter(|_| up_to > self.base.index) else { return };
        self.base = EntryId { index: up_to, term };
        let (whole, _) = self.position(up_to.next()).unwrap_or_default();
        for chunk in self.chunks.drain(..whole.min(self.chunks.len())) {
            self.before = LogIndex(self.before.0 + chunk.len() as u64);
            self.retired.push(chunk);
        }
    }

    /// Gives up everything and goes on after an entry that a snapshot ends with (paper §7, "discard the
    /// entire log").
    pub fn restart(&mut self, base: EntryId) {
        self.retired.extend(self.chunks.drain(..));
        (self.before, self.base, self.last) = (base.index, base, base.index);
        (self.written, self.durable) = (base.index, base.index);
    }

    /// Frees a little of what was given up: a fraction of a millisecond's work. To be called now and then.
    pub fn free_some(&mut self) {
        drop(self.retired.pop());
    }

    /// The entries that the disk has not been given, up to a cost in bytes; they count as given from now on.
    pub fn take_unwritten(&mut self, bytes: usize) -> Vec<Entry> {
        let batch = self.batch(self.written.next(), bytes);
        self.written = LogIndex(self.written.0 + batch.len() as u64);
        batch
    }

    /// Whether the disk has yet to be given entries.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.written < self.last_index()
    }

    /// The last index given to the disk.
    #[must_use]
    pub fn written(&self) -> LogIndex {
        self.written
    }

    /// The disk has answered for everything up to here that has not been removed since it was given.
    pub fn note_durable(&mut self, up_to: LogIndex) {
        self.durable = self.durable.max(up_to.min(self.written));
        debug_assert!(self.durable <= self.written && self.written <= self.last_index());
    }

    /// The last index at or before `from` whose term is at most `term`: where two logs, of which one has
    /// an entry of `term` at `from`, may still agree. Not before the log's base: what is not kept is
    /// committed, and every log that is not behind agrees with it.
    #[must_use]
    pub fn last_index_at_most(&self, from: LogIndex, term: Term) -> LogIndex {
        let base = self.base.index.0;
        let (mut low, mut high) = (base, from.min(self.last).0.max(base));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.term_at(LogIndex(middle)).is_some_and(|found| found <= term) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        LogIndex(low)
    }

    /// Whether a log that ends like this is at least as up to date as ours (paper §5.4.1).
    #[must_use]
    pub fn is_up_to_date(&self, last_log_term: Term, last_log_index: LogIndex) -> bool {
        (last_log_term, last_log_index) >= (self.last_term(), self.last_index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Payload;

    fn log(terms: &[u64]) -> EntryLog {
        let entry = |(i, term): (usize, &u64)| Entry {
            index: LogIndex(i as u64 + 1),
            term: Term(*term),
            payload: Payload::Noop,
        };
        EntryLog::new(terms.iter().enumerate().map(entry).collect())
    }

    fn push(log: &mut EntryLog, term: u64) {
        log.append(Entry { index: log.last_index().next(), term: Term(term), payload: Payload::Noop });
    }

    #[test]
    fn what_was_removed_is_not_durable_when_the_disk_answers_late() {
        let mut log = log(&[1]);
        push(&mut log, 1);
        push(&mut log, 1);
        assert_eq!(log.take_unwritten(usize::MAX).len(), 2);
        let given = log.written();
        log.truncate(LogIndex(2));
        push(&mut log, 2);
        log.note_durable(given);
        assert_eq!(log.durable(), LogIndex(1), "the entry of term 2 was never given to the disk");
        assert_eq!(log.take_unwritten(usize::MAX)[0].term, Term(2));
    }

    #[test]
    fn batches_are_bounded_but_never_empty() {
        let mut log = log(&[]);
        for _ in 0..5 {
            push(&mut log, 1);
        }
        assert_eq!(log.batch(LogIndex(1), 0).len(), 1);
        assert_eq!(log.batch(LogIndex(1), 2 * Entry::OVERHEAD).len(), 2);
        assert_eq!(log.batch(LogIndex(4), usize::MAX).len(), 2);
        assert!(log.batch(LogIndex(6), usize::MAX).is_empty());
    }

    #[test]
    fn chunks_are_seamless() {
        let many = 3 * CHUNK as u64;
        let mut log = log(&[]);
        for n in 1..=many {
            push(&mut log, n / 100);
        }
        for cut in [many, 2 * CHUNK as u64 + 1, 2 * CHUNK as u64, CHUNK as u64 + 7, 1] {
            let indexes = |from: u64, to: u64| -> Vec<u64> {
                log.range(LogIndex(from)..=LogIndex(to)).map(|entry| entry.index.0).collect()
            };
            assert_eq!(indexes(1, many), (1..=log.last_index().0).collect::<Vec<_>>());
            assert_eq!(
                indexes(cut.saturating_sub(2), cut),
                (cut.saturating_sub(2).max(1)..=cut).collect::<Vec<_>>()
            );
            assert!(indexes(many + 1, many + 9).is_empty());
            assert_eq!(log.last_index_at_most(LogIndex(cut), Term(1)).0, cut.min(199));
            log.truncate(LogIndex(cut));
            assert_eq!((log.last_index().0, log.get(LogIndex(cut))), (cut - 1, None));
            assert_eq!(log.last_term(), Term((cut - 1) / 100));
        }
    }

    #[test]
    fn up_to_date_compares_terms_before_lengths() {
        let log = log(&[1, 1, 3]);
        assert!(log.is_up_to_date(Term(3), LogIndex(3)));
        assert!(log.is_up_to_date(Term(4), LogIndex(1)));
        assert!(!log.is_up_to_date(Term(3), LogIndex(2)));
        assert!(!log.is_up_to_date(Term(2), LogIndex(9)));
    }

    #[test]
    fn the_last_index_that_may_agree() {
        let log = log(&[1, 1, 4, 4, 5]);
        assert_eq!(log.last_index_at_most(LogIndex(5), Term(4)), LogIndex(4));
        assert_eq!(log.last_index_at_most(LogIndex(9), Term(3)), LogIndex(2));
        assert_eq!(log.last_index_at_most(LogIndex(3), Term(9)), LogIndex(3));
        assert_eq!(log.last_index_at_most(LogIndex(5), Term(0)), LogIndex(0));
    }

    /// Entries 1 to `last`, of a term that grows every 100 entries.
    fn long(last: u64) -> EntryLog {
        let mut log = log(&[]);
        (1..=last).for_each(|n| push(&mut log, n / 100));
        log.take_unwritten(usize::MAX);
        log.note_durable(LogIndex(last));
        log
    }

    #[test]
    fn what_was_given_up_is_unknown_and_the_base_is_not() {
        let chunk = CHUNK as u64;
        for base in [1, 7, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk - 1, 3 * chunk] {
            let mut log = long(3 * chunk);
            log.compact(LogIndex(base));
            let id = EntryId { index: LogIndex(base), term: Term(base / 100) };
            assert_eq!((log.base(), log.first_index()), (id, LogIndex(base + 1)));
            assert_eq!((log.get(LogIndex(base)), log.term_at(LogIndex(base - 1))), (None, None));
            assert!(log.holds(id) && !log.holds(EntryId { term: id.term.next(), ..id }));
            assert_eq!(log.last_term(), Term(3 * chunk / 100));
            let indexes: Vec<u64> = log.range(LogIndex(1)..=log.last_index()).map(|e| e.index.0).collect();
            assert_eq!(indexes, (base + 1..=3 * chunk).collect::<Vec<_>>());
            assert!(log.batch(LogIndex(base), usize::MAX).is_empty());
            let agreeing = LogIndex(base.max(99.min(base + 5)));
            assert_eq!(log.last_index_at_most(LogIndex(base + 5), Term(0)), agreeing);
            push(&mut log, 200);
            log.truncate(LogIndex(base + 1));
            assert_eq!((log.last_index().0, log.last_term()), (base, id.term));
            push(&mut log, 200);
            assert_eq!(log.get(LogIndex(base + 1)).map(|entry| entry.term), Some(Term(200)));
        }
    }

    #[test]
    fn only_what_is_durable_is_given_up() {
        let mut log = long(10);
        push(&mut log, 1);
        log.compact(LogIndex(11));
        assert_eq!((log.base().index, log.last_index()), (LogIndex(10), LogIndex(11)));
        log.compact(LogIndex(4));
        assert_eq!(log.base().index, LogIndex(10), "it never comes back");
    }

    #[test]
    #[should_panic(expected = "what is committed is never removed")]
    fn nothing_is_truncated_before_the_base() {
        let mut log = long(10);
        log.compact(LogIndex(5));
        log.truncate(LogIndex(5));
    }

    #[test]
    fn memory_comes_back_piece_by_piece() {
        let mut log = long(3 * CHUNK as u64);
        log.compact(LogIndex(3 * CHUNK as u64));
        for left in (0..3).rev() {
            log.free_some();
            assert_eq!(log.retired.len(), left);
        }
        log.free_some();
    }

    #[test]
    fn a_log_starts_over_after_a_snapshot() {
        let mut log = long(10);
        push(&mut log, 1);
        let given = LogIndex(11);
        log.take_unwritten(usize::MAX);
        let base = EntryId { index: LogIndex(8), term: Term(3) };
        log.restart(base);
        assert_eq!((log.base(), log.last_index(), log.last_term()), (base, base.index, base.term));
        log.note_durable(given);
        assert_eq!((log.written(), log.durable()), (base.index, base.index), "an answer that comes late");
        push(&mut log, 3);
        assert_eq!(log.take_unwritten(usize::MAX).len(), 1);
        let entries = log.range(LogIndex(1)..=LogIndex(9)).cloned().collect();
        assert_eq!(EntryLog::after(base, entries).last_index(), LogIndex(9));
    }
}
