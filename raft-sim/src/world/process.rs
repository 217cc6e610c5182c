//! Processes: they start from what their disk holds, look at what came in, do what the replica says, and die.

use std::time::Duration;

use raft_core::disk::{DiskBatch, DiskOp, WriteSeq};
use raft_core::log::{Identity, Record as LogRecord, create};
use raft_core::replica::{Action, Event, Notice, Options, Replica, Role, SnapshotEvery, Stored};
use raft_core::story;
use raft_core::types::{Incarnation, NodeId, Time};

use super::World;
use super::clock::Clock;
use super::disk::Death;
use super::node::Coming;
use super::operators::Operators;
use crate::checks::{damage, hung_disk, idle::Idle, snapshot_damage};
use crate::fault::Fault;
use crate::machine::{Memory, RecordedStore};

impl World {
    /// Gives every server a disk that says it has met the others and may vote.
    pub(super) fn acquaint(&mut self) {
        let originals = 0..self.plan.servers;
        let peers: Vec<(NodeId, Incarnation)> =
            self.nodes[originals.clone()].iter().map(|node| (node.id.clone(), node.incarnation)).collect();
        for node in &mut self.nodes[originals] {
            let (mut writer, ops) = create(&Identity::new(node.id.clone(), node.incarnation), self.plan.log);
            node.disk.repair(&ops);
            let others = peers.iter().filter(|(id, _)| *id != node.id).cloned();
            let mut records: Vec<LogRecord> =
                others.map(|(node_id, incarnation)| LogRecord::Peer { node_id, incarnation }).collect();
            records.push(LogRecord::Admitted);
            node.disk.repair(&writer.append(&records).1);
        }
    }

    /// A server starts from what its disk holds.
    pub(super) fn start(&mut self, at: usize) {
        let Some(stored) = self.recover(at) else { return };
        let life = self.nodes[at].life + 1;
        let rate = self.clock_rate();
        let configuration = self.first_configuration(at);
        let seed = self.process_dice.next();
        let node = &mut self.nodes[at];
        node.life = life;
        node.clock = Clock::started(self.now, rate);
        node.inbox.clear();
        node.former.clear();
        node.wakes_at = None;
        node.paused_until = Time::ZERO;
        node.memory = Memory::default();
        node.owes_since = None;
        node.is_full = false;
        let machine = Box::new(RecordedStore::new(&node.memory));
        let options = Options {
            configuration,
            timing: self.plan.timing,
            seed,
            snapshot_every: SnapshotEvery {
                bytes: u64::MAX,
                entries: self.plan.snapshot_every.unwrap_or(u64::MAX),
            },
            now: node.clock.read(self.now),
        };
        node.replica = Some(Replica::new(stored, machine, options));
        let server = node.server().expect("just started");
        self.checks.after_step(&server);
        self.now_tell(|| format!("n{} starts", at + 1));
        self.dial_all(at);
        if self.faults.strikes(Fault::SoonAgain) {
            let after = Duration::from_micros(self.faults.dice(Fault::SoonAgain).between(1, 30_000));
            self.queue.put(self.now + after, Coming::Kill { at, life });
        }
        self.drain(at);
    }

    /// Reads the disk and mends it; none where the server dies over it.
    fn recover(&mut self, at: usize) -> Option<Stored> {
        let node = &mut self.nodes[at];
        let seen = node.disk.seen();
        let found = damage::found(&seen, &node.id, self.plan.log);
        if let Some(whole) = &found {
            damage::check(&node.disk, &seen, whole, self.plan.log, &mut self.faults);
            snapshot_damage::check(&seen, whole, self.plan.log, &mut self.faults);
        }
        let (ops, fresh) = match &found {
            Some(found) => (found.repairs.clone(), None),
            None => {
                let identity = Identity::new(node.id.clone(), node.incarnation);
                let (writer, ops) = create(&identity, self.plan.log);
                (ops, Some(Stored::fresh(identity, writer)))
            }
        };
        if !ops.is_empty() && self.faults.strikes(Fault::WhileRecovering) {
            node.disk.submit(DiskBatch { seq: WriteSeq(0), ops, sync: true });
            node.disk.crash(Death::Power, &mut self.faults);
            self.counts.crashes += 1;
            let (at, life) = (node.at, node.life);
            self.queue.put(self.now + Duration::from_millis(5), Coming::Start { at, life });
            return None;
        }
        node.disk.repair(&ops);
        self.checks.starts(at, found.as_ref());
        if let Some(torn) = found.as_ref().and_then(|found| found.torn.as_ref()) {
            self.counts.torn_tails += 1;
            let line = format!("n{} finds a torn end: {} bytes cut off", at + 1, torn.dropped_bytes);
            self.trace.tell(self.now, || line);
        }
        found.map(Stored::from).or(fresh)
    }

    fn clock_rate(&mut self) -> u64 {
        if self.faults.strikes(Fault::DriftFast) {
            Clock::TRUE_RATE + self.faults.dice(Fault::DriftFast).between(1000, 200_000)
        } else if self.faults.strikes(Fault::DriftSlow) {
            Clock::TRUE_RATE - self.faults.dice(Fault::DriftSlow).between(1000, 200_000)
        } else {
            Clock::TRUE_RATE
        }
    }

    /// Something comes in; the process will look at it.
    pub(super) fn comes_in(&mut self, at: usize, event: Event) {
        self.nodes[at].inbox.push(event);
        let (low, high) = self.plan.processor;
        let mut delay = self.process_dice.between(low, high);
        if self.faults.strikes(Fault::SlowProcessor) {
            delay += self.faults.dice(Fault::SlowProcessor).between(1000, 30_000);
        }
        self.wake_at(at, self.now + Duration::from_micros(delay));
    }

    fn wake_at(&mut self, at: usize, when: Time) {
        let node = &mut self.nodes[at];
        let when = when.max(node.paused_until);
        if node.wakes_at.is_none_or(|known| when < known) {
            node.wakes_at = Some(when);
            self.queue.put(when, Coming::Wake { at, life: node.life });
        }
    }

    /// A process looks at what came in and at its clock.
    pub(super) fn wake(&mut self, at: usize, life: u64) {
        let node = &mut self.nodes[at];
        if node.life != life || !node.is_up() || node.wakes_at.is_none_or(|when| when > self.now) {
            return;
        }
        node.wakes_at = None;
        if node.paused_until > self.now {
            let until = node.paused_until;
            return self.wake_at(at, until);
        }
        let now = node.clock.read(self.now);
        // Now and then it does not take up all at once.
        let some = if self.process_dice.one_in(4) {
            self.process_dice.index(node.inbox.len() + 1)
        } else {
            usize::MAX
        };
        let rest = node.inbox.split_off(some.max(1).min(node.inbox.len()));
        for event in std::mem::replace(&mut node.inbox, rest) {
            self.trace.note(self.now, format_args!("{at} {event:?}"));
            self.take_in(at, now, event);
        }
        let early = self.faults.strikes(Fault::EarlyTick);
        let replica = self.nodes[at].replica.as_ref().expect("it is up");
        if replica.deadline() <= now || early {
            self.take_in(at, now, Event::Tick);
        }
        self.drain(at);
    }

    fn take_in(&mut self, at: usize, now: Time, event: Event) {
        if let Some(tape) = &mut self.nodes[at].tape {
            tape.step(now, &event);
        }
        if let Event::Persisted(_) = event {
            self.nodes[at].owes_since = None;
        }
        let replica = self.nodes[at].replica.as_mut().expect("it is up");
        let idle = Idle::of(replica.consensus(), &event);
        replica.step(now, event);
        if replica.consensus().role() == Role::Leader {
            self.checks.leads(&self.nodes[at].server().expect("it is up"));
        }
        let replica = self.nodes[at].replica.as_ref().expect("it is up");
        if let Some(idle) = idle {
            idle.check(replica.consensus());
        }
    }

    /// Does what the replica says, in its order, and sees to it that it is woken in time.
    pub(super) fn drain(&mut self, at: usize) {
        let replica = self.nodes[at].replica.as_mut().expect("it is up");
        let actions = replica.drain();
        self.checks.after_step(&self.nodes[at].server().expect("it is up"));
        let node = &self.nodes[at];
        hung_disk::check(
            node.replica.as_ref().expect("it is up"),
            node.owes_since,
            node.clock.read(self.now),
        );
        self.record_turn(at, &actions);
        let dies = actions.len() > 1 && self.faults.strikes(Fault::BetweenActions);
        let done =
            if dies { self.faults.dice(Fault::BetweenActions).index(actions.len()) } else { actions.len() };
        for action in actions.into_iter().take(done) {
            if let Action::Stopped = action {
                self.now_tell(|| format!("n{} has stopped", at + 1));
                return self.crash(at, Death::Process);
            }
            self.carry_out(at, action);
        }
        if dies {
            return self.crash(at, Death::Process);
        }
        self.follow_members(at);
        let Some(replica) = &self.nodes[at].replica else { return };
        let deadline = replica.deadline();
        let mut when = self.nodes[at].clock.when(deadline, self.now + Duration::from_micros(1));
        if self.faults.strikes(Fault::LateTick) {
            when = when + Duration::from_micros(self.faults.dice(Fault::LateTick).between(1000, 50_000));
        }
        if !self.nodes[at].inbox.is_empty() {
            when = self.now + Duration::from_micros(1);
        }
        if deadline < Time::from_micros(u64::MAX) || !self.nodes[at].inbox.is_empty() {
            self.wake_at(at, when);
        }
    }

    fn carry_out(&mut self, at: usize, action: Action) {
        self.trace.note(self.now, format_args!("{at}"));
        match action {
            Action::Send { to, message } => {
                self.checks.sends(&self.nodes[at].server().expect("it is up"), &to, &message);
                self.transmit(at, &to, &message);
            }
            Action::Disk(batch) => {
                self.checks.submits(&self.nodes[at].server().expect("it is up"));
                self.counts.batches += 1;
                if batch.sync {
                    self.nodes[at].owes_since = Some(self.nodes[at].clock.read(self.now));
                }
                if self.nodes[at].disk.submit(batch) {
                    self.disk_begins(at);
                }
            }
            Action::Answer { token, reply } if Operators::own(token) => {
                self.operator_hears(at, token, &reply);
            }
            Action::Aside { seq, op } => self.aside_begins(at, seq, op),
            Action::Answer { token, reply } => self.answer(at, token, reply),
            Action::CallReply { reply, .. } => {
                self.checks.answers_call(&self.nodes[at].server().expect("it is up"), &reply);
            }
            Action::Notice(notice) => self.take_notice(at, &notice),
            Action::Stopped => unreachable!("dealt with by the caller"),
        }
    }

    fn take_notice(&mut self, at: usize, notice: &Notice) {
        self.trace.note(self.now, format_args!("{notice:?}"));
        match notice {
            Notice::RoleChanged { role: Role::Leader, .. } => self.counts.leaders += 1,
            Notice::SnapshotInstalled { .. } => self.counts.installed += 1,
            Notice::Failed { .. } => self.operator_restarts(at),
            Notice::Diverged(_) => self.found_out(at),
            Notice::FormerMember { peer, .. } => self.bid_farewell(at, peer),
            _ => {}
        }
        let line = || format!("n{} {}", at + 1, story::notice(notice));
        self.trace.tell(self.now, line);
    }

    /// Somebody kills a process that has given up, and starts another.
    fn operator_restarts(&mut self, at: usize) {
        let after = Duration::from_millis(self.process_dice.between(10, 500));
        self.queue.put(self.now + after, Coming::Kill { at, life: self.nodes[at].life });
    }

    fn disk_begins(&mut self, at: usize) {
        let (low, high) = self.plan.flush;
        let mut takes = self.process_dice.between(low, high);
        if self.faults.strikes(Fault::SlowDisk) {
            takes += self.faults.dice(Fault::SlowDisk).between(1000, 100_000);
        }
        if self.faults.strikes(Fault::HungDisk) {
            takes += self.faults.dice(Fault::HungDisk).between(300_000, 3_000_000);
        }
        let node = &self.nodes[at];
        let batch = node.disk.current().expect("a batch to carry out");
        if !batch.sync {
            takes = 1;
        }
        let (seq, life) = (batch.seq, node.life);
        self.trace.tell(self.now, || format!("n{}'s disk begins batch {}, for {takes} µs", at + 1, seq.0));
        self.queue.put(self.now + Duration::from_micros(takes), Coming::DiskDone { at, life, seq });
    }

    /// A disk has carried out a batch, or could not.
    pub(super) fn disk_done(&mut self, at: usize, life: u64, seq: WriteSeq) {
        let node = &mut self.nodes[at];
        let Some(batch) = node.disk.current().filter(|batch| node.life == life && batch.seq == seq) else {
            return;
        };
        let is_larger = batch.ops.iter().any(|op| matches!(op, DiskOp::Prepare { .. }));
        let (was_full, fails) = (node.is_full, batch.sync && self.faults.strikes(Fault::FlushFails));
        if is_larger && !was_full && self.faults.strikes(Fault::FullDisk) {
            return self.disk_is_full(at, seq);
        }
        let node = &mut self.nodes[at];
        if fails {
            node.disk.fail(&mut self.faults);
            self.trace.tell(self.now, || format!("n{}'s disk fails", at + 1));
            return self.comes_in(at, Event::DiskFailed { reason: "a flush failed".to_owned() });
        }
        let (batch, has_more) = node.disk.finish();
        self.checks.finished(at, batch.sync);
        if has_more {
            self.disk_begins(at);
        }
        if batch.sync {
            self.comes_in(at, Event::Persisted(batch.seq));
        }
    }

    /// There is no room for a segment for some time. What waits for it waits, or is done without: the segment
    /// is made ahead of its use.
    fn disk_is_full(&mut self, at: usize, seq: WriteSeq) {
        self.trace.tell(self.now, || format!("n{}'s disk is full", at + 1));
        let after = Duration::from_micros(self.faults.dice(Fault::FullDisk).between(1000, 3_000_000));
        let is_needed = self.faults.dice(Fault::FullDisk).one_in(3);
        let node = &mut self.nodes[at];
        node.is_full = true;
        let life = node.life;
        let done = if is_needed { self.now + after } else { self.now };
        self.queue.put(done, Coming::DiskDone { at, life, seq });
        self.queue.put(self.now + after, Coming::DiskHasRoom { at, life });
        self.comes_in(at, Event::DiskFull { reason: "no room for a segment".to_owned() });
    }

    /// Somebody has made room.
    pub(super) fn disk_has_room(&mut self, at: usize, life: u64) {
        if self.nodes[at].life == life && self.nodes[at].is_up() {
            self.nodes[at].is_full = false;
            self.comes_in(at, Event::DiskHasRoom);
        }
    }

    /// A server's process is gone, or its whole machine.
    pub(super) fn crash(&mut self, at: usize, death: Death) {
        if !self.nodes[at].is_up() {
            return;
        }
        self.now_tell(|| {
            format!("n{} {}", at + 1, if death == Death::Power { "loses power" } else { "is killed" })
        });
        self.counts.crashes += 1;
        self.end_recording(at);
        self.end_damage(at);
        self.leave_clients(at);
        self.end_streams(at, death);
        self.break_off_aside(at);
        let node = &mut self.nodes[at];
        node.replica = None;
        node.inbox.clear();
        node.wakes_at = None;
        node.disk.crash(death, &mut self.faults);
        let pause = if self.faults.strikes(Fault::LongDown) {
            self.faults.dice(Fault::LongDown).between(500, 3000)
        } else {
            self.process_dice.between(1, 300)
        };
        let life = self.nodes[at].life;
        self.queue.put(self.now + Duration::from_millis(pause), Coming::Start { at, life });
        self.may_wipe(at);
    }
}
