//! Messages of each kind, with each thing that one can carry.

use bytes::Bytes;
use raft_core::consensus::{Change, ChangeRefused};
use raft_core::entry::{ClientId, Command, Entry, Genesis, Payload, Sequence, SessionStep};
use raft_core::message::{
    AppendEntries, AppendReply, AppendResult, ForwardOutcome, Hello, InstallReply, InstallSnapshot, KnownBy,
    Message, Received, RequestId, RequestVote, Round, SnapshotChunk, TaskOutcome, Unwelcome, VoteRefusal,
    VoteReply,
};
use raft_core::replica::{Administered, CommandResult, Outcome, Task, TaskRefused};
use raft_core::types::{Applied, ClusterId, EntryId, LogIndex, StateHash, Term};

use super::members::{changes, incarnation, node};

/// So many kinds there are.
pub(super) const KINDS: usize = 17;

/// A kind's number. One that is new has to be counted here, and to be among [`all`].
pub(super) fn kind(message: &Message) -> usize {
    match message {
        Message::Hello(_) => 0,
        Message::Welcome { .. } => 1,
        Message::Unwelcome(_) => 2,
        Message::RequestVote(_) => 3,
        Message::VoteReply(_) => 4,
        Message::AppendEntries(_) => 5,
        Message::AppendReply(_) => 6,
        Message::InstallSnapshot(_) => 7,
        Message::InstallReply(_) => 8,
        Message::TimeoutNow { .. } => 9,
        Message::ReadIndex { .. } => 10,
        Message::ReadIndexReply { .. } => 11,
        Message::Forward { .. } => 12,
        Message::ForwardReply { .. } => 13,
        Message::Administer { .. } => 14,
        Message::AdministerReply { .. } => 15,
        Message::Diverged { .. } => 16,
    }
}

/// In the order of their kinds.
pub(super) fn all() -> Vec<Message> {
    [introductions(), votes(), entries(), snapshots(), reads(), commands(), tasks()].concat()
}

const CLUSTER: ClusterId = ClusterId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
const TERM: Term = Term(300);
const ROUND: Round = Round(70_000);
const REQUEST: RequestId = RequestId(0x1_0000_0001);
const INDEX: LogIndex = LogIndex(1_000_000);
const AT: Applied = Applied { index: INDEX, hash: StateHash(0xfedc_ba98_7654_3210) };

fn introductions() -> Vec<Message> {
    let known = Hello {
        cluster_id: Some(CLUSTER),
        members: (0..3).map(node).collect(),
        configuration_index: INDEX,
        address: "host.example:12000".to_owned(),
        is_wiped: true,
    };
    let welcome = |by| Message::Welcome { known: incarnation(2), by };
    let unwelcome = [
        Unwelcome::OtherIncarnation { known: incarnation(1), shown: incarnation(2) },
        Unwelcome::OtherCluster { theirs: CLUSTER, yours: ClusterId(1) },
        Unwelcome::Removed { index: INDEX },
        Unwelcome::OtherMembers { theirs: "node_0,node_1".to_owned(), yours: "node_2".to_owned() },
    ];
    [Message::Hello(Hello::default()), Message::Hello(known)]
        .into_iter()
        .chain([KnownBy::Record, KnownBy::Configuration, KnownBy::Introduction].map(welcome))
        .chain(unwelcome.map(Message::Unwelcome))
        .collect()
}

fn votes() -> Vec<Message> {
    let request = |pre_vote, transfer| {
        let (last_log_index, last_log_term) = (INDEX, Term(299));
        Message::RequestVote(RequestVote { term: TERM, last_log_index, last_log_term, pre_vote, transfer })
    };
    let refusals = [
        VoteRefusal::OldTerm,
        VoteRefusal::LeaderAlive { leader: node(0) },
        VoteRefusal::VotedFor { candidate: node(2) },
        VoteRefusal::LogBehind { last_log_index: INDEX, last_log_term: Term(299) },
        VoteRefusal::NotAdmitted,
        VoteRefusal::CannotStore,
    ];
    let reply = |refusal, pre_vote| Message::VoteReply(VoteReply { term: TERM, pre_vote, refusal });
    [request(true, false), request(false, true), reply(None, true)]
        .into_iter()
        .chain(refusals.map(|refusal| reply(Some(refusal), false)))
        .collect()
}

fn command(sequence: Option<Sequence>) -> Command {
    let client = ClientId::new(b"client-1").expect("a valid id");
    let session = sequence.map(|sequence| Box::new(SessionStep { client, sequence }));
    Command { session, data: Bytes::from_static(b"\x01a state machine's own\xff") }
}

fn payloads() -> Vec<Payload> {
    let numbered = Sequence::Number { number: 128, answered_below: 127 };
    let commands = [None, Some(Sequence::Only), Some(Sequence::Open), Some(numbered)].map(command);
    let [first, .., last] = changes();
    [
        Payload::Noop,
        Payload::Genesis(Box::new(Genesis { cluster_id: CLUSTER, configuration: last })),
        Payload::Snapshot,
    ]
    .into_iter()
    .chain(commands.map(Payload::Command))
    .chain([Payload::Configuration(Box::new(first))])
    .chain(
        changes()
            .into_iter()
            .filter(|change| change.is_joint())
            .map(|given| Payload::Configuration(Box::new(given))),
    )
    .collect()
}

fn entries() -> Vec<Message> {
    let append = |entries| {
        Message::AppendEntries(AppendEntries {
            term: TERM,
            prev_log_index: INDEX,
            prev_log_term: Term(299),
            entries,
            leader_commit: LogIndex(999_999),
            round: ROUND,
        })
    };
    let numbered = (INDEX.0 + 1..).map(LogIndex).zip(payloads());
    let all = numbered.map(|(index, payload)| Entry { index, term: TERM, payload }).collect();
    let results = [
        AppendResult::Matched { match_index: INDEX },
        AppendResult::Conflict { rejected: INDEX, hint_index: LogIndex(7), hint_term: Term(3) },
        AppendResult::StaleTerm,
    ];
    let reply = |result| Message::AppendReply(AppendReply { term: TERM, round: ROUND, result, applied: AT });
    [append(Vec::new()), append(all)].into_iter().chain(results.map(reply)).collect()
}

fn snapshots() -> Vec<Message> {
    let snapshot = EntryId { index: INDEX, term: Term(299) };
    let install = |sent, chunk| {
        Message::InstallSnapshot(InstallSnapshot { term: TERM, round: ROUND, snapshot, sent, chunk })
    };
    let chunk = SnapshotChunk {
        offset: 262_144,
        data: Bytes::from_static(b"a part of a file"),
        checksum: 0x89ab_cdef,
        is_last: true,
    };
    let received = [Received::Unknown, Received::UpTo(262_144), Received::From(262_144), Received::Refused];
    let reply =
        |received| Message::InstallReply(InstallReply { term: TERM, round: ROUND, snapshot, received });
    [install(0, None), install(262_160, Some(chunk))].into_iter().chain(received.map(reply)).collect()
}

fn reads() -> Vec<Message> {
    let reply = |index| Message::ReadIndexReply { request: REQUEST, index };
    let asked = Message::ReadIndex { request: REQUEST };
    vec![Message::TimeoutNow { term: TERM }, asked, reply(Some(INDEX)), reply(None)]
}

fn commands() -> Vec<Message> {
    let results = [
        CommandResult::Answer(Bytes::from_static(b"\x01\x00")),
        CommandResult::SessionOpen,
        CommandResult::SessionExpired,
        CommandResult::SequenceReused,
        CommandResult::CommandDiffers,
    ];
    let done = results.map(|result| ForwardOutcome::Done(Outcome { index: INDEX, result }));
    let others = [
        ForwardOutcome::NotLeader,
        ForwardOutcome::Overloaded,
        ForwardOutcome::Unknown,
        ForwardOutcome::DiskFull,
    ];
    let reply = |outcome| Message::ForwardReply { request: REQUEST, outcome };
    [None, Some(Sequence::Only)]
        .map(|sequence| Message::Forward { request: REQUEST, command: command(sequence) })
        .into_iter()
        .chain(done.into_iter().chain(others).map(reply))
        .collect()
}

fn change_refusals() -> [ChangeRefused; 10] {
    let id = || node(3);
    [
        ChangeRefused::Conflict { under_way: "node_3 is added".to_owned() },
        ChangeRefused::TermNotOpen,
        ChangeRefused::AlreadyMember { id: id() },
        ChangeRefused::NoSuchMember { id: id() },
        ChangeRefused::NotAVoter { id: id() },
        ChangeRefused::LastVoter { id: id() },
        ChangeRefused::WouldLoseQuorum { voters: 3, reachable: 1, needed: 2 },
        ChangeRefused::TooManyMembers { most: 64 },
        ChangeRefused::BadAddress { address: "nowhere".to_owned(), most: 259 },
        ChangeRefused::TakenBack,
    ]
}

fn tasks() -> Vec<Message> {
    let (id, address) = (|| node(3), || "10.0.0.3:12000".to_owned());
    let changes = [
        Change::Add { id: id(), address: address(), learner_only: true, priority: 7 },
        Change::Promote { id: id() },
        Change::Remove { id: id(), force: true },
        Change::Replace { old: node(2), new: id(), address: address() },
        Change::SetPriority { id: id(), priority: 255 },
        Change::SetAddress { id: id(), address: address() },
    ];
    let transfers = [Task::Transfer { to: None }, Task::Transfer { to: Some(id()) }];
    let done =
        [Administered::Transferred { leader: id(), term: TERM }, Administered::Changed { index: INDEX }];
    let refusals = [
        TaskRefused::NoSuchMember { node_id: id() },
        TaskRefused::NotAVoter { node_id: id() },
        TaskRefused::NotConnected { node_id: id() },
        TaskRefused::NobodyThere,
        TaskRefused::TransferUnderWay { to: id() },
        TaskRefused::NotTakenOver { node_id: id() },
        TaskRefused::AnotherLeads { leader: id(), term: TERM },
        TaskRefused::NoSnapshots,
        TaskRefused::SnapshotFailed { reason: "no room".to_owned() },
    ];
    let refused = refusals.into_iter().chain(change_refusals().map(TaskRefused::Change));
    let outcomes = done
        .map(TaskOutcome::Done)
        .into_iter()
        .chain(refused.map(TaskOutcome::Refused))
        .chain([TaskOutcome::NotLeader, TaskOutcome::Overloaded]);
    transfers
        .into_iter()
        .chain(changes.map(Task::Change))
        .chain([Task::Snapshot])
        .map(|task| Message::Administer { request: REQUEST, task })
        .chain(outcomes.map(|outcome| Message::AdministerReply { request: REQUEST, outcome }))
        .chain([Message::Diverged { term: TERM, at: AT }])
        .collect()
}
