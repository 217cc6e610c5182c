//! Servers in memory for the tests: a replica, its disk, and what it sends.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::super::super::{
    Action, Event, Notice, Options, Replica, Reply, Role, SnapshotEvery, Stored, Token,
};
use crate::consensus::{Configuration, Timing};
use crate::disk::{AsideOp, DiskBatch, FileName, SnapshotFile};
use crate::kv::{self, Store};
use crate::log::{Identity, LogOptions, Record, Recovery, create, recover};
use crate::message::Message;
use crate::record::{self, Recorder};
use crate::snapshot::{Header, Piece, Writer};
use crate::state_machine::{Committed, StateMachine};
use crate::types::{ClusterId, EntryId, HardState, Incarnation, LogIndex, NodeId, StateHash, Term, Time};

pub(super) const LOG: LogOptions = LogOptions { segment_size: 4096 };
pub(super) const CLUSTER: ClusterId = ClusterId(7);

pub(super) fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("a valid name")
}

pub(super) fn set(key: u64, bytes: usize) -> Bytes {
    // Nothing that a compressor makes less of.
    let mut seed = key + 1;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let value = kv::Value::Bytes((0..bytes).map(|_| next()).collect::<Vec<u8>>().into());
    kv::Command::Set { key: kv::Key::new(&format!("k{key}")).expect("a key"), value }.encode()
}

/// The state after so many commands, as a snapshot's file; the commands have the indexes from 2 on.
pub(super) fn snapshot_file(keys: u64, bytes: usize) -> (EntryId, Vec<u8>) {
    let mut store = Store::new();
    for key in 0..keys {
        let command = set(key, bytes);
        store.apply(&[Committed { index: LogIndex(key + 2), command: &command }]);
    }
    let id = EntryId { index: LogIndex(keys + 1), term: Term(1) };
    let header = Header {
        cluster_id: CLUSTER,
        index: id.index,
        term: id.term,
        state_hash: StateHash(keys),
        configuration_index: LogIndex(1),
        configuration: Configuration::new(["n1", "n2", "n3"].map(node)),
    };
    let mut writer = Writer::new(&header);
    store.freeze();
    while let Some(piece) = store.next_piece() {
        if !piece.is_empty() {
            writer.piece(&Piece::Machine(piece));
        }
    }
    writer.finish();
    (id, writer.take().to_vec())
}

/// A server with its disk.
pub(super) struct Server {
    pub(super) id: NodeId,
    pub(super) replica: Replica,
    pub(super) files: BTreeMap<FileName, Vec<u8>>,
    /// Whether what is done aside is answered.
    pub(super) answers_aside: bool,
    /// Whether the disk carries out what it is given for the log; else it keeps it for later.
    pub(super) writes_log: bool,
    pub(super) log_batches: Vec<DiskBatch>,
    /// What the disk was asked to do aside.
    pub(super) asked: Vec<AsideOp>,
    pub(super) sent: Vec<(NodeId, Message)>,
    pub(super) notices: Vec<Notice>,
    pub(super) answers: Vec<(Token, Reply)>,
    /// What is recorded, once it is: files.
    pub(super) recording: Option<(Recorder, Vec<Vec<u8>>)>,
    pub(super) now: Time,
}

impl Server {
    /// From what its disk holds.
    pub(super) fn start(id: &NodeId, mut files: BTreeMap<FileName, Vec<u8>>) -> Server {
        let found = match recover(&files, id, LOG) {
            Ok(Recovery::Found(found)) => found,
            other => panic!("{id} has a log: {other:?}"),
        };
        for op in &found.repairs {
            apply(&mut files, op);
        }
        let configuration = Configuration::new(["n1", "n2", "n3"].map(node));
        let options = Options {
            configuration,
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let replica = Replica::new(Stored::from(*found), Box::new(Store::new()), options);
        Server {
            id: id.clone(),
            replica,
            files,
            answers_aside: true,
            writes_log: true,
            log_batches: Vec::new(),
            asked: Vec::new(),
            sent: Vec::new(),
            notices: Vec::new(),
            answers: Vec::new(),
            recording: None,
            now: Time::ZERO,
        }
    }

    /// With an empty log, acquainted with the others.
    pub(super) fn fresh(name: &str) -> Server {
        let id = node(name);
        Server::start(&id, disk(&id, &[]))
    }

    /// The leader of term 2, whose log begins after a snapshot.
    pub(super) fn leader(name: &str, (snapshot, file): &(EntryId, Vec<u8>)) -> Server {
        let id = node(name);
        let EntryId { index, term } = *snapshot;
        let records = [Record::Snapshot { index, term }];
        let mut files = disk(&id, &records);
        files.insert(SnapshotFile::Whole(index).file_name(), file.clone());
        let mut server = Server::start(&id, files);
        server.happens(Event::Tick);
        server
    }

    pub(super) fn happens(&mut self, event: Event) {
        self.step(event);
        self.drain();
    }

    fn step(&mut self, event: Event) {
        if let Some((recorder, _)) = &mut self.recording {
            recorder.step(self.now, &event);
        }
        self.replica.step(self.now, event);
    }

    /// From here on, and again, all that goes into the replica is recorded in a new file.
    pub(super) fn record(&mut self) {
        let header = record::Header { program: "1".into(), node_id: self.id.clone(), began_unix_ms: 0 };
        let (recorder, files) = self.recording.get_or_insert_default();
        files.push(recorder.begin(&header, &self.replica.checkpoint()).to_vec());
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            let actions = self.replica.drain();
            if let Some((recorder, files)) = &mut self.recording {
                files.last_mut().expect("begun").extend(recorder.drained(&self.replica, actions.len()));
            }
            let is_idle = actions.is_empty() && !self.replica.snapshots.has_more();
            for action in actions {
                match action {
                    Action::Disk(batch) if !self.writes_log => self.log_batches.push(batch),
                    Action::Disk(batch) => self.write_log(&batch),
                    Action::Aside { seq, op } => {
                        self.asked.push(op.clone());
                        if self.answers_aside {
                            let outcome = op.carry_out(&mut self.files);
                            self.step(Event::AsideDone { seq, outcome });
                        }
                    }
                    Action::Send { to, message } => self.sent.push((to, message)),
                    Action::Notice(notice) => self.notices.push(notice),
                    Action::Answer { token, reply } => self.answers.push((token, reply)),
                    _ => {}
                }
            }
            if is_idle {
                return;
            }
        }
        panic!("{} does not come to rest", self.id);
    }

    fn write_log(&mut self, batch: &DiskBatch) {
        batch.ops.iter().for_each(|op| apply(&mut self.files, op));
        if batch.sync {
            self.step(Event::Persisted(batch.seq));
        }
    }

    /// The disk goes on with the log.
    pub(super) fn writes_log_again(&mut self) {
        self.writes_log = true;
        for batch in core::mem::take(&mut self.log_batches) {
            self.write_log(&batch);
        }
        self.drain();
    }

    /// The disk is done with what it was asked to do aside last.
    pub(super) fn aside_is_done(&mut self) {
        let outcome = self.asked.last().expect("it was asked for something").carry_out(&mut self.files);
        self.happens(Event::AsideDone { seq: self.replica.aside.last, outcome });
    }

    /// The disk goes on with what it is to do aside.
    pub(super) fn answers_aside_again(&mut self) {
        self.answers_aside = true;
        self.aside_is_done();
    }

    pub(super) fn receives(&mut self, from: &str, message: Message) {
        self.happens(Event::Received { from: node(from), incarnation: Incarnation(1), message });
    }

    pub(super) fn takes(&mut self, to: &NodeId) -> Vec<Message> {
        let (mine, others) = core::mem::take(&mut self.sent).into_iter().partition(|(peer, _)| peer == to);
        self.sent = others;
        let mine: Vec<(NodeId, Message)> = mine;
        mine.into_iter().map(|(_, message)| message).collect()
    }

    pub(super) fn get(&self, key: u64) -> Bytes {
        let key = kv::Key::new(&format!("k{key}")).expect("a key");
        self.replica.query_machine(&kv::Query::Get { key }.encode())
    }

    /// The bytes that it wrote of a snapshot, where they are not written twice.
    pub(super) fn written(&self) -> u64 {
        let written = self.asked.iter().filter_map(|op| match op {
            AsideOp::Write { data, .. } => Some(data.len() as u64),
            _ => None,
        });
        written.sum()
    }

    /// The process is killed, and another starts from the disk.
    pub(super) fn restart(self) -> Server {
        let asked = self.asked;
        Server { asked, ..Server::start(&self.id, self.files) }
    }
}

/// A directory of a server that has met the others, with these records, each in a frame of its own.
pub(super) fn disk(id: &NodeId, records: &[Record]) -> BTreeMap<FileName, Vec<u8>> {
    let identity = Identity { cluster_id: Some(CLUSTER), ..Identity::new(id.clone(), Incarnation(1)) };
    let (mut writer, mut ops) = create(&identity, LOG);
    let others = ["n1", "n2", "n3"].map(node).into_iter().filter(|other| other != id);
    let met = |node_id| Record::Peer { node_id, incarnation: Incarnation(1) };
    let vote = Record::HardState(HardState { term: Term(1), voted_for: None });
    let first: Vec<Record> = others.map(met).chain([Record::Admitted, vote]).collect();
    ops.extend(writer.append(&first).1);
    for record in records {
        ops.extend(writer.append(core::slice::from_ref(record)).1);
    }
    let mut files = BTreeMap::new();
    ops.iter().for_each(|op| apply(&mut files, op));
    files
}

pub(super) fn apply(files: &mut BTreeMap<FileName, Vec<u8>>, op: &crate::disk::DiskOp) {
    use crate::disk::DiskOp;
    match op {
        DiskOp::Prepare { file, size, head } => {
            let mut content = vec![0; usize::try_from(*size).expect("small")];
            content[..head.len()].copy_from_slice(head);
            files.insert(file.clone(), content);
        }
        DiskOp::Write { file, offset, data } => {
            let offset = usize::try_from(*offset).expect("small");
            files.get_mut(file).expect("prepared")[offset..offset + data.len()].copy_from_slice(data);
        }
        DiskOp::Replace { file, content } => drop(files.insert(file.clone(), content.to_vec())),
        DiskOp::Remove { file } => drop(files.remove(file)),
    }
}

/// Elects it with the vote of n3.
pub(super) fn elect(server: &mut Server) {
    use crate::message::VoteReply;
    server.now = server.now + Duration::from_millis(400);
    server.happens(Event::Tick);
    let term = server.replica.consensus().term();
    for (term, pre_vote) in [(term.next(), true), (term.next(), false)] {
        let vote = VoteReply { term, pre_vote, refusal: None };
        server.receives("n3", Message::VoteReply(vote));
    }
    assert_eq!(server.replica.consensus().role(), Role::Leader, "{} leads", server.id);
}

/// Connects two servers.
pub(super) fn connect(a: &mut Server, b: &mut Server) {
    let (of_a, of_b) = (a.id.clone(), b.id.clone());
    a.happens(Event::Connected { peer: of_b });
    b.happens(Event::Connected { peer: of_a });
}

/// Lets a heartbeat's time pass and carries messages to and fro, but no more than the follower has written so
/// many bytes with.
pub(super) fn round(leader: &mut Server, follower: &mut Server, until: u64) {
    leader.now = leader.now + Duration::from_millis(50);
    leader.happens(Event::Tick);
    let (from, to) = (leader.id.clone(), follower.id.clone());
    for message in leader.takes(&to) {
        if follower.written() < until {
            follower.receives(from.as_str(), message);
        }
    }
    for message in follower.takes(&from) {
        leader.receives(to.as_str(), message);
    }
}

/// As many rounds as it takes.
pub(super) fn exchange(leader: &mut Server, follower: &mut Server, bytes: u64) {
    let until = follower.written().saturating_add(bytes);
    for _ in 0..200 {
        round(leader, follower, until);
        let consensus = leader.replica.consensus();
        let matched = consensus.leadership().expect("it leads").progress()[&follower.id].match_index;
        let applied = follower.replica.last_applied();
        if follower.written() >= until || matched.min(applied) == consensus.log().last_index() {
            return;
        }
    }
    panic!("the follower is never done: {:?}", follower.notices);
}
