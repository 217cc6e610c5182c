//! `matchIndex` is the highest log entry *known* to be replicated on a server (paper Figure 2): what the
//! leader of the latest term takes a follower to have safe, it has.

use raft_core::consensus::Consensus;
use raft_core::types::{LogIndex, NodeId, Term};

use super::durable_first::DurableFirst;
use super::log_matching::LogMatching;

#[derive(Default)]
pub(crate) struct MatchIndex {
    latest: Term,
    /// What was found true in that term, for each follower.
    known: Vec<LogIndex>,
}

impl MatchIndex {
    pub(crate) fn new(servers: usize) -> MatchIndex {
        MatchIndex { latest: Term::default(), known: vec![LogIndex::ZERO; servers] }
    }

    /// `servers` are all of them, in their order.
    pub(crate) fn check(
        &mut self,
        servers: &[NodeId],
        consensus: &Consensus,
        safe: &DurableFirst,
        logs: &LogMatching,
    ) {
        let term = consensus.term();
        if term > self.latest {
            self.latest = term;
            self.known.fill(LogIndex::ZERO);
        }
        let Some(leadership) = consensus.leadership().filter(|_| term == self.latest) else { return };
        let leader = servers.iter().position(|id| id == consensus.id()).expect("a server of the cluster");
        for (at, id) in servers.iter().enumerate() {
            let Some(progress) = leadership.progress().get(id) else { continue };
            let match_index = progress.match_index;
            if match_index <= self.known[at] {
                continue;
            }
            let entry = logs.term_at(leader, match_index);
            assert!(
                entry.is_some_and(|entry| safe.has(at, match_index, entry, logs)),
                "Match Index: {} of term {term} takes {id} to have entry {match_index} of term {entry:?}",
                consensus.id()
            );
            self.known[at] = match_index;
        }
    }
}
