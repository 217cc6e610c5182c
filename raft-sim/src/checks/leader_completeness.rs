//! Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the
//! logs of the leaders for all higher-numbered terms (paper §5.4).

use raft_core::consensus::{Configuration, Consensus};
use raft_core::entry::Entry;
use raft_core::types::{LogIndex, NodeId, Term};

use super::Server;
use super::configurations::brought_by;

pub(crate) struct LeaderCompleteness {
    /// From index 1, each with the lowest term in which a server knew that it is committed.
    committed: Vec<(Entry, Term)>,
    noted: Vec<LogIndex>,
}

impl LeaderCompleteness {
    pub(crate) fn new(servers: usize) -> LeaderCompleteness {
        LeaderCompleteness { committed: Vec::new(), noted: vec![LogIndex::ZERO; servers] }
    }

    /// Takes note of what a server takes for committed: the same as everyone else does.
    pub(crate) fn note_committed(&mut self, server: &Server<'_>, consensus: &Consensus) {
        let (at, id) = (server.at, server.id);
        let (term, commit_index) = (consensus.term(), consensus.commit_index());
        let noted = &mut self.noted[at];
        let from = if commit_index < *noted { LogIndex(1) } else { noted.next() };
        *noted = commit_index;
        if from > commit_index {
            return;
        }
        let base = consensus.log().first_index().prev();
        assert!(base.0 <= self.committed.len() as u64, "Commit: {id} begins after what is not committed");
        assert!(commit_index <= consensus.log().last_index(), "Commit: {id} commits beyond its log");
        for entry in consensus.log().range(from..=commit_index) {
            let at = usize::try_from(entry.index.0).expect("fits") - 1;
            match self.committed.get_mut(at) {
                None => self.committed.push((entry.clone(), term)),
                Some((known, since)) => {
                    let is_same = server.has_rightly(entry, known);
                    assert!(is_same, "State Machine Safety: {id} takes another entry for committed");
                    *since = term.min(*since);
                }
            }
        }
    }

    pub(crate) fn check_new_leader(&self, id: &NodeId, consensus: &Consensus) {
        // What lies before the log is in a snapshot.
        let before = usize::try_from(consensus.log().first_index().prev().0).expect("fits");
        for (entry, since) in self.committed.iter().skip(before) {
            let has = consensus.log().term_at(entry.index) == Some(entry.term);
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
        let at = usize::try_from(index.0).ok()?.checked_sub(1)?;
        self.committed.get(at).map(|(entry, _)| entry)
    }

    pub(crate) fn committed(&self) -> &[(Entry, Term)] {
        &self.committed
    }

    /// The latest configuration at or before an index, and where it stands.
    pub(crate) fn configuration_at(&self, index: LogIndex) -> Option<(LogIndex, &Configuration)> {
        let entries = self.committed.iter().take(usize::try_from(index.0).ok()?).rev();
        let mut brought = entries.filter_map(|(entry, _)| Some((entry.index, brought_by(entry)?)));
        brought.next()
    }

    /// The terms of the entries from index 1 up to here, as far as they are known to be committed.
    pub(crate) fn terms(&self, up_to: LogIndex) -> Vec<Term> {
        let count = usize::try_from(up_to.0).expect("fits");
        self.committed.iter().take(count).map(|(entry, _)| entry.term).collect()
    }
}
