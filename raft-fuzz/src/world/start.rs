//! How a replica begins.

use bytes::Bytes;
use raft_core::consensus::{Configuration, Timing};
use raft_core::entry::{Command, Entry, Genesis, Payload};
use raft_core::kv;
use raft_core::log::{Identity, Record, Recovery, create, recover};
use raft_core::message::{Message, VoteReply};
use raft_core::replica::{Options, Replica, Role, SnapshotEvery, Stored};
use raft_core::types::{ClusterId, HardState, LogIndex, Term, Time};

use super::checks::Checks;
use super::{World, incarnation, member};
use crate::log::{Directory, OPTIONS, apply};
use crate::machine::{RecordedStore, Records};

/// The state in which the input finds the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A new directory: it may not vote.
    New,
    /// A member with a log, of which a part is committed, and no leader.
    Member,
    /// The leader of its term.
    Leader,
}

/// A directory as a member of a cluster has it: five entries of three terms, two of them committed.
fn directory(beginning: Beginning) -> Directory {
    let identity = Identity::new(member(0), incarnation(0));
    let (mut writer, ops) = create(&identity, OPTIONS);
    let mut directory = Directory::new();
    ops.iter().for_each(|op| apply(&mut directory, op));
    if beginning == Beginning::New {
        return directory;
    }
    let mut records = vec![Record::Admitted];
    records.extend([1, 2].map(|n| Record::Peer { node_id: member(n), incarnation: incarnation(n) }));
    records.push(Record::HardState(HardState { term: Term(3), voted_for: None }));
    let genesis = Genesis { cluster_id: ClusterId(7), configuration: Configuration::new((0..3).map(member)) };
    let set = kv::Command::Set {
        key: kv::Key::new("k0").expect("a valid key"),
        value: kv::Value::Json(Bytes::from_static(b"1")),
    };
    let set = Payload::Command(Command { session: None, data: set.encode() });
    let payloads = [
        (1, Payload::Genesis(Box::new(genesis))),
        (1, set.clone()),
        (2, Payload::Noop),
        (2, set),
        (3, Payload::Noop),
    ];
    for (index, (term, payload)) in (1..).zip(payloads) {
        records.push(Record::Entry(Entry { index: LogIndex(index), term: Term(term), payload }));
    }
    records.push(Record::CommitHint(LogIndex(2)));
    let (_, ops) = writer.append(&records);
    ops.iter().for_each(|op| apply(&mut directory, op));
    directory
}

/// A replica as it starts from a directory.
pub(super) fn replica(directory: &Directory, machine: RecordedStore, now: Time) -> Replica {
    let stored = match recover(directory, &member(0), OPTIONS) {
        Ok(Recovery::Found(found)) => Stored::from(*found),
        Ok(Recovery::Empty) => panic!("the directory is empty"),
        Err(error) => panic!("a directory that the replica wrote is refused: {error}"),
    };
    let configuration = Configuration::new((0..3).map(member));
    Replica::new(
        stored,
        Box::new(machine),
        Options {
            configuration,
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now,
        },
    )
}

impl World {
    /// A replica as the input finds it.
    #[must_use]
    pub fn new(beginning: Beginning) -> World {
        let disk = directory(beginning);
        let (records, now) = (Records::default(), Time::from_micros(1));
        let replica = replica(&disk, RecordedStore::new(&records), now);
        let waiting = std::collections::VecDeque::new();
        let checks = Checks::of(&replica);
        let aside = std::collections::VecDeque::new();
        let mut world = World { replica, disk, waiting, aside, now, next_token: 0, checks, records };
        world.wait(0);
        world.settle();
        if beginning == Beginning::Leader {
            world.lead();
        }
        world
    }

    fn lead(&mut self) {
        (1..3).for_each(|peer| self.connect(member(peer)));
        self.wait_for_deadline();
        self.wait_for_deadline();
        for pre_vote in [true, false] {
            let term = if pre_vote {
                self.replica.consensus().term().next()
            } else {
                self.replica.consensus().term()
            };
            let vote = Message::VoteReply(VoteReply { term, pre_vote, refusal: None });
            self.receive(member(1), incarnation(1), vote);
            self.settle();
        }
        assert_eq!(self.replica.consensus().role(), Role::Leader, "both votes are there");
    }
}
