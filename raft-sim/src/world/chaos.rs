//! What goes wrong with servers and with the network, now and then.

use std::time::Duration;

use raft_core::message::{AppendEntries, Message, RequestVote, Round};
use raft_core::replica::{Call, Event, Role, Token};
use raft_core::types::{Incarnation, LogIndex, Term};

use super::World;
use super::disk::Death;
use super::node::Coming;
use crate::fault::Fault;

/// How long a server may take to stop.
const STOP: Duration = Duration::from_millis(500);

impl World {
    /// Anything may happen.
    pub(super) fn chaos(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        for &fault in Fault::ALL {
            if self.is_for_chaos(fault) && self.faults.strikes(fault) {
                self.trace.tell(self.now, || format!("{}: {}", fault.name(), fault.what()));
                self.strike(fault);
            }
        }
        self.queue.put(self.now + Duration::from_micros(self.plan.chaos_every), Coming::Chaos);
    }

    fn is_for_chaos(&self, fault: Fault) -> bool {
        use Fault as F;
        let several = self.nodes.len() > 1;
        match fault {
            F::Reset
            | F::HalfOpen
            | F::Halves
            | F::CutOne
            | F::CutLeader
            | F::OneWay
            | F::PairCut
            | F::Flap => several,
            F::StrangersMessage | F::TermBeyondAll | F::StrangersCall | F::StrandLeader => several,
            F::Jump | F::Crash | F::CrashLeader | F::CrashAll | F::Power | F::PowerLeader | F::PowerAll => {
                true
            }
            F::Pause | F::PauseLeader | F::PauseMost | F::Stop | F::StopLeader | F::Burst | F::Transfer => {
                true
            }
            F::AddMember | F::RemoveMember | F::ReplaceMember | F::PromoteMember | F::RemoveCutOff => {
                self.plan.spares > 0
            }
            // Elsewhere memory may fail, which a snapshot would outlive.
            F::TakeSnapshot => self.plan.snapshot_every.is_some(),
            F::StateBit => self.memory_may_fail(),
            _ => false,
        }
    }

    fn strike(&mut self, fault: Fault) {
        use Fault as F;
        let somebody = self.faults.dice(fault).index(self.nodes.len());
        let leader = self.leader().unwrap_or(somebody);
        match fault {
            F::Reset | F::HalfOpen => self.reset(fault),
            F::Halves | F::CutOne | F::CutLeader | F::OneWay | F::PairCut | F::Flap => {
                self.cut(fault, leader)
            }
            F::StrangersMessage | F::TermBeyondAll | F::StrangersCall => self.intrude(fault, somebody),
            F::Jump => {
                let by = Duration::from_millis(self.faults.dice(fault).between(1, 2000));
                let (node, now) = (&mut self.nodes[somebody], self.now);
                node.clock.jump(now, by);
                if node.is_up() {
                    self.comes_in(somebody, Event::Tick);
                }
            }
            F::Crash => self.crash(somebody, Death::Process),
            F::CrashLeader => self.crash(leader, Death::Process),
            F::CrashAll => (0..self.nodes.len()).for_each(|at| self.crash(at, Death::Process)),
            F::Power => self.crash(somebody, Death::Power),
            F::PowerLeader => self.crash(leader, Death::Power),
            F::PowerAll => (0..self.nodes.len()).for_each(|at| self.crash(at, Death::Power)),
            F::Pause => self.pause(fault, somebody),
            F::PauseLeader => self.pause(fault, leader),
            F::PauseMost => {
                for at in 0..=self.nodes.len() / 2 {
                    self.pause(fault, (somebody + at) % self.nodes.len());
                }
            }
            F::Stop => self.stop(somebody),
            F::StopLeader => self.stop(leader),
            F::Transfer => self.order_transfer(somebody),
            F::TakeSnapshot => self.order_snapshot(somebody),
            F::AddMember | F::RemoveMember | F::ReplaceMember | F::PromoteMember => {
                self.order_change(fault, somebody);
            }
            F::RemoveCutOff => self.remove_cut_off(fault),
            F::StrandLeader => {
                self.isolate(fault, leader, 2500);
                let place = self.nodes[..leader].iter().filter(|node| node.is_in_use).count();
                self.clients.prefer(place);
                (0..self.clients.count()).for_each(|client| self.ask(client));
            }
            F::StateBit => self.flip_state_bit(somebody),
            F::Burst => (0..self.clients.count()).for_each(|client| self.ask(client)),
            _ => {}
        }
    }

    fn leader(&self) -> Option<usize> {
        let leads = |replica: &raft_core::replica::Replica| replica.consensus().role() == Role::Leader;
        self.nodes.iter().position(|node| node.replica.as_ref().is_some_and(leads))
    }

    fn pause(&mut self, fault: Fault, at: usize) {
        let length = Duration::from_millis(self.faults.dice(fault).between(1, 1000));
        self.nodes[at].paused_until = self.now + length;
    }

    fn stop(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.is_up() {
            let deadline = node.clock.read(self.now) + STOP;
            // Its clock may be slow.
            self.stops_until = self.now + STOP * 2;
            self.comes_in(at, Event::Stop { deadline });
        }
    }

    /// A server that is down may find an empty disk when it comes back; only one of a cluster, and only of
    /// one whose members know each other.
    pub(super) fn may_wipe(&mut self, at: usize) {
        let is_possible = self.plan.acquainted && self.plan.servers > 2 && self.all_are_sound();
        if !is_possible || self.operators.has_changed_members() || !self.faults.strikes(Fault::Wipe) {
            return;
        }
        self.trace.tell(self.now, || format!("n{} loses its disk", at + 1));
        self.checks.wiped(at);
        let node = &mut self.nodes[at];
        node.disk.wipe();
        node.incarnation = Incarnation(node.incarnation.0 + 0x100);
        node.was_wiped = true;
    }

    fn pair(&mut self, fault: Fault) -> (usize, usize) {
        let servers = self.nodes.len();
        let dice = self.faults.dice(fault);
        let a = dice.index(servers);
        (a, (a + 1 + dice.index(servers - 1)) % servers)
    }

    fn reset(&mut self, fault: Fault) {
        let (from, to) = self.pair(fault);
        if fault == Fault::HalfOpen {
            return self.break_stream(from, to, Duration::from_secs(2), false);
        }
        let process_died = self.faults.strikes(Fault::FalseDeath);
        self.break_stream(from, to, Duration::from_millis(1), process_died);
    }

    fn cut(&mut self, fault: Fault, leader: usize) {
        let servers = self.nodes.len();
        let (a, b) = self.pair(fault);
        let dice = self.faults.dice(fault);
        let groups: Vec<bool> = match fault {
            Fault::Halves | Fault::Flap => (0..servers).map(|_| dice.one_in(2)).collect(),
            Fault::CutLeader => (0..servers).map(|at| at == leader).collect(),
            _ => (0..servers).map(|at| at == a).collect(),
        };
        let outward = dice.one_in(2);
        let mut directions = Vec::new();
        for from in 0..servers {
            for to in 0..servers {
                let across = groups[from] != groups[to];
                let is_cut = match fault {
                    Fault::PairCut => (from, to) == (a, b) || (from, to) == (b, a),
                    Fault::OneWay => across && groups[from] == outward,
                    _ => across,
                };
                if is_cut {
                    directions.push((from, to));
                }
            }
        }
        let (returns, period) = if fault == Fault::Flap {
            (dice.between(2, 20), dice.between(1, 80))
        } else {
            (1, dice.between(20, 2500))
        };
        let number = self.network.cut(directions, returns, period);
        self.queue.put(self.now + Duration::from_millis(period), Coming::Cut { number });
    }

    /// One server is cut off from all others for so many milliseconds at most. Its connections stay.
    pub(super) fn isolate(&mut self, fault: Fault, at: usize, longest: u64) {
        let others = (0..self.nodes.len()).filter(|other| *other != at);
        let directions = others.flat_map(|other| [(at, other), (other, at)]).collect();
        let period = self.faults.dice(fault).between(longest / 8, longest);
        let number = self.network.cut(directions, 1, period);
        self.queue.put(self.now + Duration::from_millis(period), Coming::Cut { number });
    }

    /// Somebody speaks who has no right to, or says what cannot be.
    fn intrude(&mut self, fault: Fault, at: usize) {
        let peer = &self.nodes[(at + 1) % self.nodes.len()];
        let (from, incarnation) = (peer.id.clone(), peer.incarnation);
        let node = &self.nodes[at];
        let Some(replica) = node.replica.as_ref() else { return };
        let ours = replica.consensus().term();
        let dice = self.faults.dice(fault);
        let term = match fault {
            Fault::TermBeyondAll => Term(u64::MAX - dice.below(3)),
            _ => Term(ours.0 + dice.below(3)),
        };
        let request = RequestVote {
            term,
            last_log_index: LogIndex(dice.below(1000)),
            last_log_term: Term(dice.below(term.0.min(1000) + 1)),
            pre_vote: false,
            transfer: dice.one_in(2),
        };
        let append = AppendEntries {
            term,
            prev_log_index: LogIndex(dice.below(50)),
            prev_log_term: Term(dice.below(5)),
            entries: Vec::new(),
            leader_commit: LogIndex(dice.below(1000)),
            round: Round(dice.below(100)),
        };
        let votes = dice.one_in(2);
        let event = if fault == Fault::StrangersCall {
            // Only what is refused for its term: a call that claims to be a peer's is taken for one.
            let call = Call::RequestVote(RequestVote { term: Term(u64::MAX - 1), ..request });
            Event::Called { token: Token(u64::MAX), from, call }
        } else {
            let message = if votes { Message::RequestVote(request) } else { Message::AppendEntries(append) };
            let stranger = Incarnation(incarnation.0 + 0x10_0000);
            let incarnation = if fault == Fault::StrangersMessage { stranger } else { incarnation };
            Event::Received { from, incarnation, message }
        };
        self.comes_in(at, event);
    }
}
