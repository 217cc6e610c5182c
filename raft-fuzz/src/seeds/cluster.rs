//! What the members of a sound cluster say to each other, as inputs of the target `peer`.

use std::collections::VecDeque;
use std::time::Duration;

use raft_core::consensus::{Configuration, Timing};
use raft_core::entry::Command;
use raft_core::kv::{self, Store};
use raft_core::log::{Identity, create};
use raft_core::message::Message;
use raft_core::replica::{Action, Event, Options, Replica, Role, SnapshotEvery, Stored, Token};
use raft_core::types::{NodeId, Time};

use crate::chunks::push;
use crate::log::OPTIONS;
use crate::peer::Kind;
use crate::world::{incarnation, member};

/// Three replicas whose disks answer at once, and what each of them is told.
struct Cluster {
    replicas: Vec<Replica>,
    wires: VecDeque<(usize, usize, Message)>,
    heard: Vec<Vec<u8>>,
    now: Time,
}

fn number(id: &NodeId) -> usize {
    (0..3).position(|n| member(n) == *id).expect("a member")
}

/// How the others appear to a member whose place in the inputs is that of node_0.
fn seen_as(who: usize, by: usize) -> u8 {
    u8::try_from((who + 3 - by) % 3).expect("small")
}

impl Cluster {
    fn new() -> Cluster {
        let replica = |n: u8| {
            let identity = Identity::new(member(n), incarnation(n));
            let (writer, _) = create(&identity, OPTIONS);
            let options = Options {
                configuration: Configuration::new((0..3).map(member)),
                timing: Timing::default(),
                seed: u64::from(n) + 1,
                snapshot_every: SnapshotEvery::default(),
                now: Time::ZERO,
            };
            Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options)
        };
        let heard = vec![vec![0]; 3];
        Cluster { replicas: (0..3).map(replica).collect(), wires: VecDeque::new(), heard, now: Time::ZERO }
    }

    fn step(&mut self, at: usize, event: Event) {
        self.replicas[at].step(self.now, event);
        for action in self.replicas[at].drain() {
            match action {
                Action::Send { to, message } => self.wires.push_back((at, number(&to), message)),
                Action::Disk(batch) => {
                    push(&mut self.heard[at], Kind::Persist.byte(1), &[0]);
                    self.step(at, Event::Persisted(batch.seq));
                }
                _ => {}
            }
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..500 {
            let Some((from, to, message)) = self.wires.pop_front() else { return };
            let payload = postcard::to_allocvec(&message).expect("a message can always be encoded");
            push(&mut self.heard[to], Kind::Payload.byte(seen_as(from, to)), &payload);
            let from = u8::try_from(from).expect("small");
            self.step(to, Event::Received { from: member(from), incarnation: incarnation(from), message });
        }
    }

    fn wait(&mut self, milliseconds: u8) {
        self.now = self.now + Duration::from_millis(u64::from(milliseconds) * 2);
        for at in 0..3 {
            push(&mut self.heard[at], Kind::Wait.byte(1), &[milliseconds]);
            self.step(at, Event::Tick);
        }
        self.deliver_all();
    }
}

/// What each of three members heard while they met, elected a leader, and wrote.
pub(super) fn conversations() -> Vec<Vec<u8>> {
    let mut cluster = Cluster::new();
    for at in 0..3 {
        for peer in (0..3).filter(|peer| *peer != at) {
            push(&mut cluster.heard[at], Kind::Link.byte(seen_as(peer, at)), &[0]);
            let peer = member(u8::try_from(peer).expect("small"));
            cluster.step(at, Event::Connected { peer });
        }
    }
    cluster.deliver_all();
    for turn in 0..12 {
        cluster.wait(30);
        for at in 0..3 {
            let key = kv::Key::new(&format!("k{turn}")).expect("a valid key");
            let data = kv::Command::Delete { key }.encode();
            let deadline = cluster.now + Duration::from_secs(1);
            let (token, command) = (Token(turn), Command { session: None, data });
            if turn > 5 && (cluster.replicas[at].consensus().role() == Role::Leader || turn % 2 == 0) {
                cluster.step(at, Event::Propose { token, deadline, command });
            }
        }
        cluster.deliver_all();
    }
    assert!(cluster.replicas.iter().all(|replica| replica.last_applied().0 > 3), "the cluster is sound");
    cluster.heard
}
