//! Linearizable reads without the log (ReadIndex, dissertation §6.4).
//!
//! A leader notes its commit index, then makes sure by one round of heartbeats that it still led after the
//! read came in. Many reads share a round.

use super::{Consensus, RoleState};
use crate::message::Round;
use crate::types::LogIndex;

impl Consensus {
    /// Starts a round and returns it with the commit index that reads of this moment must see; none if
    /// this server does not lead, or has not yet committed an entry of its term and so cannot know what
    /// is committed (step 1 of §6.4).
    pub(crate) fn begin_round(&mut self) -> Option<(Round, LogIndex)> {
        let now = self.now;
        let commit_index = self.commit_index;
        let RoleState::Leader(leadership) = &mut self.role else { return None };
        if commit_index < leadership.term_start {
            return None;
        }
        leadership.round = Round(leadership.round.0 + 1);
        for progress in leadership.progress.values_mut() {
            progress.heartbeat_due = now;
        }
        Some((leadership.round, commit_index))
    }

    /// The latest round in which a majority confirmed that this server leads.
    pub(crate) fn confirmed_round(&self) -> Option<Round> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        let echoed = |id: &crate::types::NodeId| {
            leadership.progress.get(id).map_or(leadership.round, |progress| progress.round)
        };
        Some(self.configuration.reached_by_majority(echoed))
    }
}
