//! The end of a run: all heals, and the cluster has to get going again and agree (liveness; nothing is lost).

use std::time::Duration;

use raft_core::consensus::Promotion;
use raft_core::types::NodeId;

use super::World;
use super::clock::Clock;
use super::disk::Death;
use super::node::Coming;

/// How long a healed cluster may take until it agrees, besides some elections: disks may still hang.
const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    /// Heals everything, lets the clients finish and ask once more, and checks the whole.
    pub(super) fn end_well(&mut self) {
        self.now_tell(|| "everything heals".to_owned());
        self.heal();
        self.pass_until("agrees", |world| world.clients.are_done() && world.agrees());
        self.clients.once_more();
        for client in 0..self.clients.count() {
            self.queue.put(self.now, Coming::Ask { client });
        }
        self.pass_until("serves its clients and agrees", |world| world.clients.are_done() && world.agrees());
        if self.operators.has_changed_members() {
            self.pass_until("tells its operators and agrees", |world| {
                !world.owes_operators() && world.agrees() && world.is_led_by_a_voter()
            });
            self.stay_quiet();
        }
        self.history.check(self.checks.executed(), self.plan.keys);
        self.check_logs();
        (0..self.nodes.len()).for_each(|at| self.end_recording(at));
    }

    fn heal(&mut self) {
        self.healed_at = Some(self.now);
        self.faults.heal();
        self.clients.retire();
        self.network.heal();
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            node.paused_until = self.now;
            node.clock.run_at(self.now, Clock::TRUE_RATE);
            if node.has_failed() {
                self.crash(at, Death::Process);
            } else if node.is_up() {
                self.comes_in(at, raft_core::replica::Event::Tick);
                self.dial_all(at);
            } else if node.is_in_use {
                self.queue.put(self.now, Coming::Start { at, life: node.life });
            }
        }
    }

    fn pass_until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
        let patience = PATIENCE + self.plan.timing.election_timeout_max * 20;
        let deadline = self.now + patience;
        let mut look_at = self.now;
        while self.now < deadline {
            let is_quiet = self.queue.next_at().is_none();
            if self.now >= look_at || is_quiet {
                if holds(self) {
                    return;
                }
                look_at = self.now + Duration::from_millis(10);
            }
            if is_quiet {
                break;
            }
            self.next();
        }
        let states: Vec<String> = (0..self.nodes.len()).map(|at| self.state_of(at)).collect();
        panic!("Liveness: {patience:?} after all healed no cluster that {what}: {}", states.join("; "));
    }

    fn state_of(&self, at: usize) -> String {
        let Some(replica) = &self.nodes[at].replica else { return format!("n{} is down", at + 1) };
        let consensus = replica.consensus();
        format!(
            "n{} {:?} term {} leader {:?} last {} committed {} applied {}{}",
            at + 1,
            consensus.role(),
            consensus.term(),
            consensus.leader().map(NodeId::as_str),
            consensus.log().last_index(),
            consensus.commit_index(),
            replica.last_applied(),
            if consensus.admission().is_admitted() { "" } else { ", not admitted" }
        )
    }

    /// All members follow one leader, have applied the same and know no change to come; a leader that votes
    /// no more is about to hand over. One whose log is damaged stays out; a state that differs must have been
    /// found.
    fn agrees(&self) -> bool {
        let Some(leader) = self.latest_leader().and_then(|node| node.replica.as_ref()) else { return false };
        let consensus = leader.consensus();
        let (term, configuration) = (consensus.term(), consensus.configuration());
        let is_settled = consensus.configuration_index() <= consensus.commit_index()
            && !configuration.is_joint()
            && configuration.votes(consensus.id())
            && configuration.members().all(|(_, member)| member.promotion == Promotion::No);
        if !is_settled {
            return false;
        }
        for node in self.nodes.iter().filter(|node| configuration.contains(&node.id)) {
            if node.spoiled.is_some() && node.was_found_out {
                continue;
            }
            if self.is_due(node.at) {
                return false;
            }
            let follows = node.replica.as_ref().is_some_and(|replica| {
                let own = replica.consensus();
                own.leader() == Some(consensus.id())
                    && own.term() == term
                    && own.log().last_index() == replica.last_applied()
                    && replica.last_applied() == leader.last_applied()
            });
            if !follows || node.has_failed() {
                return false;
            }
        }
        true
    }

    /// Each log, from its first entry to what is committed, is what everybody takes for committed.
    fn check_logs(&self) {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            let log = replica.consensus().log();
            // What lies before the log is in a snapshot.
            let before = usize::try_from(log.first_index().prev().0).expect("fits");
            for (entry, _) in self.checks.committed().iter().skip(before) {
                if entry.index <= replica.consensus().commit_index()
                    && node.spoiled_log() != Some(entry.index)
                {
                    let same = log.get(entry.index) == Some(entry);
                    assert!(same, "State Machine Safety: {} has another entry {}", node.id, entry.index);
                }
            }
        }
    }
}
