//! One replica and its disk, what is done to them, and what must hold after every step.

mod checks;
mod start;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use raft_core::disk::{AsideOp, AsideSeq, DiskBatch};
use raft_core::entry::{ClientId, Command, Sequence, SessionStep};
use raft_core::kv;
use raft_core::message::Message;
use raft_core::replica::{Action, Call, CallReply, Consistency, Event, Replica, Task, Token};
use raft_core::types::{Incarnation, NodeId, Time};

use crate::log::{Directory, apply};
use crate::machine::{RecordedStore, Records};
use checks::Checks;
pub use start::Beginning;

/// Deadline of what clients ask.
const PATIENCE: Duration = Duration::from_secs(1);

/// The members: the replica is the first.
#[must_use]
pub fn member(number: u8) -> NodeId {
    NodeId::new(&format!("node_{}", number % 3)).expect("a valid name")
}

/// One whom no member knows.
#[must_use]
pub fn stranger() -> NodeId {
    NodeId::new("stranger").expect("a valid name")
}

/// What an operator may want: another leader (somebody, a member, or one whom nobody knows), or a snapshot.
#[must_use]
pub(crate) fn task(what: Option<u8>) -> Task {
    match what.map(|what| (what % 5, what)) {
        None => Task::Transfer { to: None },
        Some((4, _)) => Task::Snapshot,
        Some((3, _)) => Task::Transfer { to: Some(stranger()) },
        Some((_, what)) => Task::Transfer { to: Some(member(what)) },
    }
}

/// The directory by which a member is known.
#[must_use]
pub fn incarnation(number: u8) -> Incarnation {
    Incarnation(u64::from(number % 3) + 1)
}

/// A replica under test.
pub struct World {
    replica: Replica,
    disk: Directory,
    /// Handed to the disk and not carried out.
    waiting: VecDeque<DiskBatch>,
    /// To be done aside.
    aside: VecDeque<(AsideSeq, AsideOp)>,
    now: Time,
    next_token: u64,
    checks: Checks,
    records: Records,
}

impl World {
    /// The replica.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// A message that a peer sends.
    pub fn receive(&mut self, from: NodeId, incarnation: Incarnation, message: Message) {
        self.step(Event::Received { from, incarnation, message });
    }

    /// A readable RPC; answered at once, or when the disk has answered.
    pub fn call(&mut self, from: NodeId, call: Call) {
        let token = self.token();
        self.step(Event::Called { token, from, call });
    }

    /// Time passes, and the clock strikes.
    pub fn wait(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.step(Event::Tick);
    }

    /// Time passes until the replica wants to hear of it.
    pub fn wait_for_deadline(&mut self) {
        // A failed replica never does.
        let next = self.replica.deadline().min(self.now + Duration::from_secs(10));
        self.now = self.now.max(next);
        self.step(Event::Tick);
    }

    /// A stream to a peer opens.
    pub fn connect(&mut self, peer: NodeId) {
        self.step(Event::Connected { peer });
    }

    /// A stream with a peer ends.
    pub fn disconnect(&mut self, peer: NodeId, process_died: bool) {
        self.step(Event::Disconnected { peer, process_died });
    }

    /// A client sets a key; by a key of its own or none.
    pub fn propose(&mut self, name: u8, session: Option<u8>) {
        let key = kv::Key::new(&format!("k{}", name % 4)).expect("a valid key");
        let value = kv::Value::Bytes(Bytes::copy_from_slice(&[name]));
        let data = kv::Command::Set { key, value }.encode();
        let session = session.map(|client| {
            let sequence = if client % 2 == 0 { Sequence::Only } else { Sequence::Open };
            let client = ClientId::new(format!("c{}", client % 4).as_bytes()).expect("a valid id");
            Box::new(SessionStep { client, sequence })
        });
        let (token, deadline) = (self.token(), self.now + PATIENCE);
        self.step(Event::Propose { token, deadline, command: Command { session, data } });
    }

    /// A client asks for a key.
    pub fn query(&mut self, name: u8, stale: bool) {
        let key = kv::Key::new(&format!("k{}", name % 4)).expect("a valid key");
        let query = kv::Query::Get { key }.encode();
        let consistency = if stale { Consistency::Stale } else { Consistency::Linearizable };
        let (token, deadline) = (self.token(), self.now + PATIENCE);
        self.step(Event::Query { token, deadline, consistency, query });
    }

    /// An operator wants something.
    pub fn administer(&mut self, what: Option<u8>) {
        let (token, deadline) = (self.token(), self.now + PATIENCE);
        self.step(Event::Administer { token, deadline, task: task(what) });
    }

    /// The node is to stop.
    pub fn stop(&mut self) {
        let deadline = self.now + PATIENCE;
        self.step(Event::Stop { deadline });
    }

    /// The disk carries out the next of what it was given.
    pub fn persist(&mut self) {
        if let Some(batch) = self.waiting.pop_front() {
            batch.ops.iter().for_each(|op| apply(&mut self.disk, op));
            self.checks.disk_changed();
            self.step(Event::Persisted(batch.seq));
        }
    }

    /// The disk carries out everything, and what follows from that.
    pub fn settle(&mut self) {
        // A replica gives the disk something new once the last was answered: bounded, or it never rests.
        for _ in 0..1000 {
            if self.waiting.is_empty() {
                return;
            }
            self.persist();
        }
        panic!("the disk is never done");
    }

    /// The disk fails.
    pub fn fail_disk(&mut self) {
        self.waiting.clear();
        self.step(Event::DiskFailed { reason: "as the fuzzer wants".to_owned() });
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    fn step(&mut self, event: Event) {
        self.replica.step(self.now, event);
        // One apply may leave more to apply.
        for action in self.replica.drain() {
            match action {
                Action::Disk(batch) => self.waiting.push_back(batch),
                Action::Aside { seq, op } => self.aside.push_back((seq, op)),
                Action::Send { to, message } => self.checks.sent(&self.disk, &to, &message),
                Action::CallReply { reply, .. } => self.answered(&reply),
                Action::Answer { .. } | Action::Notice(_) | Action::Stopped => {}
            }
        }
        self.checks.after(&self.replica, &self.records.take());
        if let Some((seq, op)) = self.aside.pop_front() {
            let outcome = op.carry_out(&mut self.disk);
            self.step(Event::AsideDone { seq, outcome });
        }
    }

    fn answered(&mut self, reply: &CallReply) {
        if let CallReply::Refused { reason } = reply {
            assert!(!reason.is_empty());
        }
        self.checks.answered(&self.disk, &self.replica, reply);
    }

    /// The disk settles and the node starts again from it: nothing that was committed is missing.
    pub fn restart(mut self) {
        if self.replica.failed().is_some() {
            return;
        }
        self.settle();
        let before = (
            self.replica.consensus().hard_state().clone(),
            self.replica.consensus().admission().is_admitted(),
        );
        let records = Records::default();
        let mut again = start::replica(&self.disk, RecordedStore::new(&records), self.now);
        assert_eq!(again.consensus().hard_state(), &before.0, "term and vote outlive a restart");
        assert_eq!(again.consensus().admission().is_admitted(), before.1, "admission outlives a restart");
        self.checks.kept_by(&again);
        again.step(self.now, Event::Tick);
        drop(again.drain());
    }
}
