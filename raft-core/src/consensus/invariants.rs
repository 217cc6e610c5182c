//! What must hold after every step, in every build.

use super::{Consensus, RoleState};

impl Consensus {
    /// Checks what the rest of the code relies on.
    ///
    /// # Panics
    /// When one of these does not hold: a bug, and going on could lose data.
    pub(crate) fn check_invariants(&self) {
        assert!(self.commit_index <= self.log.last_index(), "only what is in the log is committed");
        assert!(self.log.base().index <= self.commit_index, "only what is committed is given up");
        assert!(self.log.base().index <= self.log.durable(), "what is not kept is durable in a snapshot");
        assert!(self.log.durable() <= self.log.written(), "only what was written is durable");
        assert!(self.log.written() <= self.log.last_index(), "only what is in the log is written");
        assert!(self.log.last_term() <= self.term(), "no entry is from a later term");
        match &self.role {
            RoleState::Leader(leadership) => {
                assert!(self.hard_state.voted_for.as_ref() == Some(&self.id), "a leader voted for itself");
                assert!(leadership.term_start <= self.log.last_index(), "a leader opened its term");
                for progress in leadership.progress.values() {
                    assert!(progress.match_index < progress.next_index, "match index < next index");
                    assert!(progress.match_index <= self.log.last_index(), "a match is within the log");
                }
            }
            RoleState::Candidate(_) => {
                assert!(self.hard_state.voted_for.as_ref() == Some(&self.id), "a candidate votes for itself");
            }
            RoleState::Follower(following) => {
                assert!(following.verified <= self.log.last_index(), "what was verified is in the log");
            }
            RoleState::PreCandidate(_) => {}
        }
        assert!(
            self.admission.is_admitted() || matches!(self.role, RoleState::Follower(_)),
            "a server that may not vote does not stand"
        );
    }
}
