//! What is committed (paper §5.3, §5.4.2).

use super::{Consensus, RoleState};
use crate::seeded::{self, Bug};
use crate::types::LogIndex;

impl Consensus {
    /// Advances the commit index to the highest entry *of the current term* that a majority has on disk.
    /// Entries of earlier terms are committed with it, never by counting (paper §5.4.2, Figure 8). The
    /// leader's own copy counts once its disk has answered (dissertation §10.2.1).
    pub(super) fn advance_commit(&mut self) {
        let RoleState::Leader(leadership) = &self.role else { return };
        let stored = |id: &crate::types::NodeId| -> LogIndex {
            if *id == self.id {
                return if self.counts_unsynced() { self.log.last_index() } else { self.log.durable() };
            }
            leadership.progress.get(id).map_or(LogIndex::ZERO, |progress| progress.match_index)
        };
        let stored_by_majority = self.configuration().reached_by_majority(stored);
        let of_this_term = self.log.term_at(stored_by_majority) == Some(self.term());
        if of_this_term || seeded::is(Bug::CommitOldTerm) {
            self.commit_index = self.commit_index.max(stored_by_majority);
        }
    }

    fn counts_unsynced(&self) -> bool {
        let alone = self.configuration().voter_count() == 1;
        seeded::is(Bug::LeaderCountsUnsynced) || (alone && seeded::is(Bug::AppliedBeforeSynced))
    }
}
