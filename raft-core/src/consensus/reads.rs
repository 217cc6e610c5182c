//! Linearizable reads without the log (ReadIndex, dissertation §6.4).
//!
//! A leader notes its commit index, then makes sure by one round of heartbeats that it still led after the
//! read came in. Many reads share a round.

use super::{Consensus, RoleState};
use crate::message::Round;
use crate::seeded::{self, Bug};
use crate::types::LogIndex;

impl Consensus {
    /// Starts a round and returns it with the commit index that reads of this moment must see; none if
    /// this server does not lead, or has not yet committed an entry of its term and so cannot know what
    /// is committed (step 1 of §6.4).
    pub(crate) fn begin_round(&mut self) -> Option<(Round, LogIndex)> {
        let now = self.now;
        let commit_index = self.commit_index;
        let RoleState::Leader(leadership) = &mut self.role else { return None };
        if commit_index < leadership.term_start && !seeded::is(Bug::ReadBeforeTermStart) {
            return None;
        }
        if seeded::is(Bug::ReadWithoutRound) {
            return Some((Round::default(), commit_index));
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
        let lease = self.timing.election_timeout_max;
        let echoed = |id: &crate::types::NodeId| match leadership.progress.get(id) {
            Some(_) if seeded::is(Bug::StaleLeaderServes) => leadership.round,
            Some(progress)
                if seeded::is(Bug::LeaseMisuse) && self.now.since(progress.last_contact) < lease =>
            {
                leadership.round
            }
            Some(progress) => progress.round,
            None => leadership.round,
        };
        Some(self.configuration().reached_by_majority(echoed))
    }
}
