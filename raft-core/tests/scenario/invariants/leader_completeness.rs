//! Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the
//! logs of the leaders for all higher-numbered terms (paper §5.4).

use std::collections::BTreeMap;

use raft_core::consensus::Consensus;
use raft_core::entry::Entry;
use raft_core::types::{LogIndex, NodeId, Term};

#[derive(Default)]
pub(crate) struct LeaderCompleteness {
    /// Each with the lowest term in which a server knew that it is committed.
    committed: BTreeMap<LogIndex, (Entry, Term)>,
    noted: BTreeMap<NodeId, LogIndex>,
}

impl LeaderCompleteness {
    /// Takes note of what a server takes for committed: the same as everyone else does.
    pub(crate) fn note_committed(&mut self, id: &NodeId, consensus: &Consensus) {
        let (term, commit_index) = (consensus.term(), consensus.commit_index());
        let noted = self.noted.entry(id.clone()).or_default();
        let from = if commit_index < *noted { LogIndex(1) } else { noted.next() };
        *noted = commit_index;
        if from > commit_index {
            return;
        }
        for entry in consensus.log().range(from..=commit_index) {
            let now = || (entry.clone(), term);
            let (known, since) = self.committed.entry(entry.index).or_insert_with(now);
            assert_eq!(known, entry, "State Machine Safety: {id} takes another entry for committed");
            *since = term.min(*since);
        }
    }

    pub(crate) fn check_new_leader(&self, id: &NodeId, consensus: &Consensus) {
        let base = consensus.log().base();
        for (entry, since) in self.committed.values() {
            // What lies before the log is in a snapshot, which ends with an entry that is compared.
            let is_in_snapshot = entry.index < base.index;
            let has = is_in_snapshot || consensus.log().term_at(entry.index) == Some(entry.term);
            assert!(
                has || *since >= consensus.term(),
                "Leader Completeness: {id} leads term {} without entry {}/{}, committed in term {since}",
                consensus.term(),
                entry.index,
                entry.term
            );
        }
    }

    pub(crate) fn committed_at(&self, index: LogIndex) -> Option<&Entry> {
        self.committed.get(&index).map(|(entry, _)| entry)
    }
}
