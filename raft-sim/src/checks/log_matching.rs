//! Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in
//! all entries up through the given index (paper §5.3).

use std::collections::BTreeMap;

use raft_core::consensus::EntryLog;
use raft_core::entry::Entry;
use raft_core::log::Recovered;
use raft_core::types::{LogIndex, Term};

use super::Server;
use super::leader_completeness::LeaderCompleteness;

/// Every entry ever seen, with the term of the one before it: if that is the same wherever the entry stands,
/// then by induction so is everything before it.
pub(crate) struct LogMatching {
    entries: BTreeMap<(LogIndex, Term), (Term, Entry)>,
    /// The terms of each server's log, from index 1: also of what only a snapshot holds by now.
    terms: Vec<Vec<Term>>,
}

impl LogMatching {
    pub(crate) fn new(servers: usize) -> LogMatching {
        LogMatching { entries: BTreeMap::new(), terms: vec![Vec::new(); servers] }
    }

    /// A server begins with the log that its disk holds, in this term. Before the log there is a snapshot.
    pub(crate) fn starts(&mut self, at: usize, found: Option<&Recovered>, committed: &LeaderCompleteness) {
        let before = std::mem::take(&mut self.terms[at]);
        let Some(found) = found else { return };
        self.terms[at] = committed.terms(found.base.index);
        self.terms[at].extend(found.entries.iter().map(|entry| entry.term));
        // Alone, a server leads a term before that is safe, and after a crash the same term once more: what
        // was lost then was on no other server and was told to nobody.
        for (index, term) in (1..).zip(before).skip(self.terms[at].len()) {
            if term > found.hard_state.term {
                self.entries.remove(&(LogIndex(index), term));
            }
        }
    }

    /// Returns up to where the log is as it was before.
    pub(crate) fn check(
        &mut self,
        server: &Server<'_>,
        log: &EntryLog,
        committed: &LeaderCompleteness,
    ) -> LogIndex {
        let (at, id) = (server.at, server.id);
        let (known, base) = (&mut self.terms[at], log.first_index().prev());
        let mut same = known.len().min(usize::try_from(log.last_index().0).expect("fits"));
        let before = usize::try_from(base.0).expect("fits");
        while same > 0 && same >= before && log.term_at(LogIndex(same as u64)) != Some(known[same - 1]) {
            same -= 1;
        }
        known.truncate(same);
        if same < before {
            // A snapshot has taken the place of what differs, up to its base.
            let replaced = std::mem::replace(known, committed.terms(base));
            assert_eq!(known.len(), before, "Log Matching: {id} has a snapshot of what is not committed");
            same = replaced.iter().zip(known.iter()).take_while(|(was, is)| was == is).count();
        }
        let kept = LogIndex(same as u64);
        let checked = LogIndex(known.len() as u64);
        if checked < log.last_index() {
            for entry in log.range(checked.next()..=log.last_index()) {
                let before = known.last().copied().unwrap_or_default();
                assert!(before <= entry.term, "Log Matching: terms fall at entry {} of {id}", entry.index);
                known.push(entry.term);
                let (term_before, first) =
                    self.entries.entry((entry.index, entry.term)).or_insert_with(|| (before, entry.clone()));
                assert_eq!(
                    *term_before, before,
                    "Log Matching: {id} has another entry before {}",
                    entry.index
                );
                let is_same = server.has_rightly(entry, first);
                assert!(is_same, "Log Matching: {id} has another entry {} of its term", entry.index);
            }
        }
        kept
    }

    /// The term of a server's entry, as of its last step.
    pub(crate) fn term_at(&self, at: usize, index: LogIndex) -> Option<Term> {
        self.terms[at].get(usize::try_from(index.0).ok()?.checked_sub(1)?).copied()
    }
}
