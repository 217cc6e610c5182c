//! Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in
//! all entries up through the given index (paper §5.3).

use std::collections::BTreeMap;

use raft_core::consensus::EntryLog;
use raft_core::entry::Entry;
use raft_core::types::{LogIndex, NodeId, Term};

/// Every entry ever seen, with the term of the one before it: if that is the same wherever the entry stands,
/// then by induction so is everything before it.
#[derive(Default)]
pub(crate) struct LogMatching {
    entries: BTreeMap<(LogIndex, Term), (Term, Entry)>,
    seen: BTreeMap<NodeId, Vec<Term>>,
}

impl LogMatching {
    pub(crate) fn check(&mut self, id: &NodeId, log: &EntryLog) {
        let seen = self.seen.entry(id.clone()).or_default();
        // What lies before the log is in a snapshot: of it, the last term is known.
        let base = log.base();
        let before = usize::try_from(base.index.0).expect("a log in memory");
        if before > 0 {
            seen.resize(seen.len().max(before), Term(0));
            seen[before - 1] = base.term;
        }
        let entries = log.range(base.index.next()..=log.last_index());
        let same = entries.zip(&seen[before..]).take_while(|(entry, term)| entry.term == **term).count();
        seen.truncate(before + same);
        for entry in log.range(LogIndex(seen.len() as u64 + 1)..=log.last_index()) {
            let before = seen.last().copied().unwrap_or_default();
            seen.push(entry.term);
            let now = (before, entry.clone());
            let known = self.entries.entry((entry.index, entry.term)).or_insert_with(|| now.clone());
            assert_eq!(*known, now, "Log Matching: {id} has another entry {} of its term", entry.index);
        }
    }
}
