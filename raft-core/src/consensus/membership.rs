//! Changing the members (paper §6, dissertation ch. 4): what a leader does, one step after the other.
//!
//! A step is a configuration in the log. The next one is taken only once the last one is committed, and once
//! the leader has committed an entry of its own term: before that it cannot know what is committed, and two
//! leaders could go on from different configurations with majorities that do not meet (the fault of 2015).
//! Every step follows from the configuration in force alone, so whoever leads next goes on with it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeRefused, ChangeState};
use super::configuration::{Configuration, MemberRole, Promotion};
use super::progress::Progress;
use super::{Consensus, RoleState};
use crate::entry::Payload;
use crate::message::{KnownBy, Message, Round};
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId, Time};

/// How long a leader must have led, in longest election timeouts, before it hands over to a voter of higher
/// priority: a voter that comes and goes shall not take leadership with it each time.
const STEADY: u32 = 10;

/// For how many longest election timeouts a former member is told the log on which it left.
const FAREWELL: u32 = 2;

/// What a leader keeps in mind of changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    /// When this server began to lead, or last tried to hand over to a voter of higher priority.
    steady_since: Time,
    /// How the learners catch up that are to vote.
    rounds: BTreeMap<NodeId, CatchUpRound>,
    /// Former members, and until when they are sent the log.
    farewells: BTreeMap<NodeId, Time>,
    /// Not a member any more, it leads until then, so that another may take over.
    steps_down: Option<Time>,
}

impl Changes {
    pub(super) fn new(now: Time) -> Changes {
        Changes { steady_since: now, ..Changes::default() }
    }
}

/// Replicating to a learner what the log held when the round began (dissertation §4.2.1). The learner has
/// caught up when a round takes less than an election timeout: what came up meanwhile takes less still.
///
/// It votes once it also knows that it is a member with its disk, and that this is committed: from then on
/// its vote may be the one that elects whoever would tell it so.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CatchUpRound {
    end: LogIndex,
    began: Time,
    /// A round of heartbeats that began when it had all that, and tells it what is committed.
    told: Option<Round>,
}

/// Why a server is no member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// Its own log says so, committed at this index.
    ByLog(LogIndex),
    /// A member says so, by a configuration at this index, which the server's own log does not have.
    ToldBy(NodeId, LogIndex),
}

impl Consensus {
    /// Begins a change of the members, if this server leads and nothing stands against it.
    ///
    /// # Errors
    /// Why it does not.
    ///
    /// # Panics
    /// When this server does not lead.
    pub(crate) fn begin_change(&mut self, change: &Change) -> Result<(), ChangeRefused> {
        if !self.term_is_open() {
            return Err(ChangeRefused::TermNotOpen);
        }
        if let Some(under_way) = self.change_under_way(change) {
            return if self.goes_on(change) { Ok(()) } else { Err(ChangeRefused::Conflict { under_way }) };
        }
        let Some(next) = change.begin(self.configuration())? else { return Ok(()) };
        if !matches!(change, Change::Remove { force: true, .. }) {
            self.check_quorum_of(&next.settled())?;
        }
        self.adopt(next);
        Ok(())
    }

    /// Whether this leader has committed an entry of its term, so that it knows what is committed.
    fn term_is_open(&self) -> bool {
        let opened = self.leadership().is_some_and(|leadership| leadership.term_start <= self.commit_index);
        opened || seeded::is(Bug::ChangeBeforeTermStart)
    }

    /// Whether the configuration in force is committed.
    fn is_settled(&self) -> bool {
        self.configurations.index() <= self.commit_index || seeded::is(Bug::ChangesOverlap)
    }

    /// What a new change has to wait for. One that has not gone beyond its learner may be taken back.
    fn change_under_way(&self, change: &Change) -> Option<alloc::string::String> {
        if seeded::is(Bug::ChangesOverlap) {
            return None;
        }
        if !self.is_settled() {
            return Some("a configuration is in the log and not committed yet".into());
        }
        self.configuration().under_way(Some(change.id()))
    }

    /// Whether it is the change itself that is under way: asked for again by those whose leader is gone, it
    /// is waited for.
    fn goes_on(&self, change: &Change) -> bool {
        let current = self.configuration();
        match change {
            Change::Remove { id, .. } if !current.contains(id) => {
                let (_, committed) = self.configurations.at(self.commit_index);
                committed.contains(id)
            }
            _ => matches!(change.begin(current), Ok(None)),
        }
    }

    /// Whether a majority of those who would vote can be reached now.
    fn check_quorum_of(&self, next: &Configuration) -> Result<(), ChangeRefused> {
        if next.has_majority(|id| self.is_reachable(id)) {
            return Ok(());
        }
        let voters = next.voter_count();
        let reachable = next.voters().filter(|id| self.is_reachable(id)).count();
        Err(ChangeRefused::WouldLoseQuorum { voters, reachable, needed: voters / 2 + 1 })
    }

    /// Whether this leader is in touch with a member: it has answered in this term, and lately.
    fn is_reachable(&self, id: &NodeId) -> bool {
        let lately = self.timing.election_timeout_max;
        let answers = |progress: &Progress| {
            progress.answered && self.connected.contains(id) && self.now.since(progress.last_contact) < lately
        };
        *id == self.id || self.leadership().and_then(|l| l.progress.get(id)).is_some_and(answers)
    }

    /// How far a change has come, by what is committed here.
    pub(crate) fn change_state(&self, change: &Change) -> ChangeState {
        if self.configurations.index() > self.commit_index {
            return ChangeState::UnderWay;
        }
        change.state_in(self.configuration())
    }

    /// Takes the step that is due, if one is.
    pub(super) fn drive_changes(&mut self) {
        let may_go_on = self.term_is_open() && self.is_settled() && !self.is_transferring();
        if !may_go_on {
            return;
        }
        self.end_farewells();
        let configuration = self.configuration();
        if configuration.is_joint() {
            let next = configuration.settled();
            self.adopt(next);
        } else if !configuration.votes(&self.id) {
            self.step_aside();
        } else if let Some(next) = self.next_by_introduction().or_else(|| self.next_by_promotion()) {
            self.adopt(next);
        } else {
            self.yield_to_priority();
        }
    }

    /// Puts a configuration in the log: from here on it is in force.
    fn adopt(&mut self, next: Configuration) {
        debug_assert!(next.is_sound(), "a step leads to a configuration that a cluster can be in");
        let before = self.configuration().clone();
        self.append_own(Payload::Configuration(Box::new(next)));
        self.follow_members(&before);
    }

    /// The members are others: this leader sends the log to all of them, and tells each that has a new disk
    /// that it is known by that.
    fn follow_members(&mut self, before: &Configuration) {
        let (now, last) = (self.now, self.log.last_index());
        let until = now + self.timing.election_timeout_max * FAREWELL;
        let current = self.configurations.current().clone();
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let mut welcomed = Vec::new();
        for (id, member) in current.members().filter(|(id, _)| **id != self.id) {
            let is_known = before.member(id).is_some_and(|was| was.incarnation == member.incarnation);
            if !is_known || !leadership.progress.contains_key(id) {
                leadership.progress.insert(id.clone(), Progress::new(last, now));
                welcomed.extend(member.incarnation.map(|incarnation| (id.clone(), incarnation)));
            }
            leadership.changes.farewells.remove(id);
        }
        for id in leadership.progress.keys().filter(|id| !current.contains(id)) {
            leadership.changes.farewells.entry(id.clone()).or_insert(until);
        }
        for (id, known) in welcomed.into_iter().filter(|(id, _)| self.connected.contains(id)) {
            self.outbox.push((id, Message::Welcome { known, by: KnownBy::Configuration }));
        }
    }

    /// Former members have heard by now that they are.
    fn end_farewells(&mut self) {
        let now = self.now;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let progress = &mut leadership.progress;
        leadership.changes.farewells.retain(|id, until| {
            let lasts = *until > now;
            if !lasts {
                progress.remove(id);
            }
            lasts
        });
    }

    /// What members said of themselves and the configuration does not have: a disk, an address.
    fn next_by_introduction(&self) -> Option<Configuration> {
        let current = self.configuration();
        let mut next = current.clone();
        let mut is_news = false;
        for (id, said) in self.admission.guests() {
            // It introduced itself before this server's log had it for a member.
            if let Some(member) = next.members.get_mut(id).filter(|member| member.incarnation.is_none())
                && member.role == MemberRole::Learner
            {
                member.incarnation = Some(said.incarnation);
                is_news = true;
            }
        }
        for (id, said) in self.admission.introduced() {
            let Some(member) = next.members.get_mut(id) else { continue };
            if member.incarnation != Some(said.incarnation) {
                match member.role {
                    MemberRole::Learner => {
                        member.incarnation = Some(said.incarnation);
                        is_news = true;
                    }
                    MemberRole::Voter if said.is_another_disk && self.may_demote(id) => {
                        return Some(current.demoting(id, said.incarnation));
                    }
                    MemberRole::Voter | MemberRole::Leaving => {}
                }
            }
            if !said.address.is_empty() && said.address != member.address && !said.is_another_disk {
                member.address.clone_from(&said.address);
                is_news = true;
            }
        }
        is_news.then_some(next)
    }

    /// Whether a voter that came back with another disk may be made a learner: the others decide without it,
    /// and its old process is silent.
    fn may_demote(&self, id: &NodeId) -> bool {
        let holds = |voter: &NodeId| voter != id && self.is_reachable(voter);
        let rest = self.configuration().demoting(id, self.incarnation);
        !self.is_reachable(id) && rest.has_majority(holds)
    }

    /// A learner that is to vote and has caught up.
    fn next_by_promotion(&mut self) -> Option<Configuration> {
        let is_coming = |member: &super::Member| {
            member.role == MemberRole::Learner
                && member.promotion != Promotion::No
                && member.incarnation.is_some()
        };
        let members = self.configuration().members();
        let coming: Vec<NodeId> =
            members.filter(|(_, member)| is_coming(member)).map(|(id, _)| id.clone()).collect();
        for id in coming {
            if self.has_caught_up(&id) {
                let next = self.configuration().promoting(&id);
                if self.check_quorum_of(&next.settled()).is_ok() {
                    return Some(next);
                }
            }
        }
        None
    }

    fn has_caught_up(&mut self, id: &NodeId) -> bool {
        let (now, last) = (self.now, self.log.last_index());
        let (patience, is_reachable) = (self.timing.election_timeout_min, self.is_reachable(id));
        let RoleState::Leader(leadership) = &mut self.role else { return false };
        let Some(progress) = leadership.progress.get(id).filter(|_| is_reachable) else {
            leadership.changes.rounds.remove(id);
            return false;
        };
        let next = CatchUpRound { end: last, began: now, told: None };
        let round = leadership.changes.rounds.entry(id.clone()).or_insert(next);
        if progress.match_index < round.end {
            return false;
        }
        if now.since(round.began) >= patience {
            *round = next;
            return false;
        }
        match round.told {
            Some(told) => {
                let knows = progress.round >= told;
                if knows {
                    leadership.changes.rounds.remove(id);
                }
                knows
            }
            None => {
                let told = self.begin_round().map(|(told, _)| told);
                if let RoleState::Leader(leadership) = &mut self.role
                    && let Some(round) = leadership.changes.rounds.get_mut(id)
                {
                    round.told = told;
                }
                false
            }
        }
    }

    /// It has led the cluster to a configuration without itself (dissertation §4.2.2): another is to lead.
    fn step_aside(&mut self) {
        let deadline = self.now + self.timing.election_timeout_max;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        match leadership.changes.steps_down {
            Some(at) if at <= self.now => {
                self.adopt_term(self.term(), None, "it is no longer a member");
            }
            Some(_) => {}
            None => {
                leadership.changes.steps_down = Some(deadline);
                // Where nobody is there, it steps down without.
                let _ = self.begin_transfer(None, deadline);
            }
        }
    }

    /// Hands over to a voter of higher priority that has all that is committed.
    fn yield_to_priority(&mut self) {
        let current = self.configuration();
        let priority = |id: &NodeId| current.member(id).map_or(0, |member| member.priority);
        let own = priority(&self.id);
        let RoleState::Leader(leadership) = &self.role else { return };
        let is_steady =
            leadership.changes.steady_since + self.timing.election_timeout_max * STEADY <= self.now;
        let has_all = |id: &NodeId| {
            leadership.progress.get(id).is_some_and(|progress| progress.match_index >= self.commit_index)
        };
        let preferred = current
            .voters()
            .filter(|id| priority(id) > own && is_steady && has_all(id) && self.is_reachable(id))
            .max_by_key(|id| priority(id))
            .cloned();
        let (Some(preferred), RoleState::Leader(leadership)) = (preferred, &mut self.role) else { return };
        leadership.changes.steady_since = self.now;
        let deadline = self.now + self.timing.election_timeout_max;
        let _ = self.begin_transfer(Some(&preferred), deadline);
    }

    /// Whether this server may stand for election: it votes, or it did in the last configuration that it
    /// knows to be committed, so that it may be needed to commit the one without it (dissertation §4.2.2).
    pub(super) fn may_stand(&self) -> bool {
        let told = self.admission.removed_by().is_some();
        let (_, committed) = self.configurations.at(self.commit_index);
        self.admission.is_admitted()
            && self.knows_configuration()
            && (!told || seeded::is(Bug::RemovedStands))
            && (self.configuration().votes(&self.id) || committed.votes(&self.id))
    }

    /// Whether this server is no member of the cluster it belongs to, and who says so.
    #[must_use]
    pub fn removed(&self) -> Option<Removed> {
        let (index, committed) = self.configurations.at(self.commit_index);
        if index > LogIndex::ZERO && !committed.contains(&self.id) {
            return Some(Removed::ByLog(index));
        }
        let (peer, index) = self.admission.removed_by()?;
        Some(Removed::ToldBy(peer.clone(), *index))
    }

    /// Whether this server waits to be added to a cluster: it was started without one, and its log is empty.
    #[must_use]
    pub fn is_waiting_to_be_added(&self) -> bool {
        self.configurations.index() == LogIndex::ZERO && self.configuration().voter_count() == 0
    }

    /// A configuration that is committed names this server with its disk: it may take part, witnesses or not.
    pub(super) fn admit_if_named(&mut self) {
        if self.admission.is_admitted() {
            return;
        }
        let (index, committed) = self.configurations.at(self.commit_index);
        let named = committed.member(&self.id).and_then(|member| member.incarnation);
        if index > LogIndex::ZERO && named == Some(self.incarnation) {
            self.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::admission::tests::{named, start, start_with};
    use super::super::{Member, Start};
    use super::*;
    use crate::message::{AppendReply, AppendResult};
    use crate::replica::Role;
    use crate::types::{Applied, Incarnation};

    /// In which `n2` is a member with this disk.
    fn naming(incarnation: Option<u64>) -> Configuration {
        let incarnation = incarnation.map(Incarnation);
        let members = ["n1", "n2"].map(|name| (named(name), Member { incarnation, ..Member::default() }));
        Configuration { members: members.into(), ..Configuration::default() }
    }

    #[test]
    fn a_new_disk_takes_part_once_a_committed_configuration_names_it() {
        let committed =
            |at, named, commit| Start { commit_index: LogIndex(commit), ..start_with(at, naming(named)) };
        for (start, is_admitted, what) in [
            (committed(3, Some(2), 3), true, "named"),
            (committed(3, Some(2), 2), false, "named, and not committed"),
            (committed(3, Some(7), 3), false, "named by another disk"),
            (committed(3, None, 3), false, "not named"),
            (start(naming(Some(2))), false, "not in the log"),
        ] {
            let mut consensus = Consensus::new(start);
            consensus.admit_if_named();
            assert_eq!(consensus.admission.is_admitted(), is_admitted, "{what}");
        }
    }

    /// `n2` leads `n1` and `n3`, which answered last after so many milliseconds.
    fn leading(answered: [(&str, u64); 2]) -> Consensus {
        let members = ["n1", "n2", "n3"].map(named);
        let mut consensus = Consensus::new(Start { admitted: true, ..start(Configuration::new(members)) });
        consensus.become_leader();
        consensus.entries_durable(LogIndex(1));
        let result = AppendResult::Matched { match_index: LogIndex(1) };
        let (term, round) = (consensus.term(), Round::default());
        for (id, millis) in answered {
            consensus.peer_connected(&named(id));
            consensus.now = Time::ZERO + Duration::from_millis(millis);
            let reply = AppendReply { term, round, result, applied: Applied::default() };
            consensus.handle_append_reply(&named(id), &reply);
        }
        assert_eq!(consensus.commit_index, LogIndex(1));
        consensus
    }

    /// As for check-quorum: who was not heard for an election timeout is not there.
    #[test]
    fn a_change_counts_on_those_that_answered_within_an_election_timeout() {
        for (millis, may_begin) in [(309, true), (310, false)] {
            let mut consensus = leading([("n1", 10), ("n3", 200)]);
            consensus.now = Time::ZERO + Duration::from_millis(millis);
            let refused = ChangeRefused::WouldLoseQuorum { voters: 2, reachable: 1, needed: 2 };
            let begun = consensus.begin_change(&Change::Remove { id: named("n3"), force: false });
            assert_eq!(begun, if may_begin { Ok(()) } else { Err(refused) }, "after {millis} ms");
        }
    }

    /// Dissertation §4.2.2: what it has committed is known to nobody else at first.
    #[test]
    fn a_leader_that_is_no_member_leads_for_an_election_timeout_where_nobody_is_there() {
        let mut consensus = leading([("n1", 10), ("n3", 20)]);
        consensus.connected.clear();
        for (millis, role) in
            [(20, Role::Leader), (20, Role::Leader), (319, Role::Leader), (320, Role::Follower)]
        {
            consensus.now = Time::ZERO + Duration::from_millis(millis);
            consensus.step_aside();
            assert_eq!((consensus.role(), consensus.transfer_target()), (role, None), "at {millis} ms");
        }
    }
}
