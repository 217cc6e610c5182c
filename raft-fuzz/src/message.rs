//! Messages that a peer might send, with numbers near those of the one who receives them: a hostile peer
//! knows its way about.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use raft_core::consensus::Configuration;
use raft_core::consensus::Consensus;
use raft_core::entry::{ClientId, Command, Entry, Genesis, Payload, Sequence, SessionStep};
use raft_core::kv;
use raft_core::message::{
    AppendEntries, AppendReply, AppendResult, ForwardOutcome, Hello, KnownBy, Message, RequestId,
    RequestVote, Round, TaskOutcome, Unwelcome, VoteRefusal, VoteReply,
};
use raft_core::replica::{Administered, CommandResult, Outcome, Replica, TaskRefused};
use raft_core::types::{Applied, ClusterId, Incarnation, LogIndex, StateHash, Term};

use crate::world::{incarnation, member, task};

/// Entries of one message at most.
const MAX_ENTRIES: usize = 8;

/// A number, by its distance from one that the receiver has.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Near {
    It,
    Off(i8),
    Zero,
    Most,
    Any(u64),
}

impl Near {
    pub(crate) fn to(self, number: u64) -> u64 {
        match self {
            Near::It => number,
            Near::Off(by) => number.saturating_add_signed(by.into()),
            Near::Zero => 0,
            Near::Most => 1 << 62,
            Near::Any(any) => any,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Load {
    Noop,
    Genesis(u8),
    Set { key: u8, value: u8 },
    Session { client: u8, sequence: Step, key: u8 },
    Bytes([u8; 4]),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Only,
    Open,
    Number(u8, u8),
    Any(u64, u64),
}

#[derive(Arbitrary, Debug)]
enum Draft {
    Append {
        term: Near,
        prev: Near,
        prev_term: Option<Near>,
        commit: Near,
        round: Near,
        loads: Vec<(bool, Load)>,
    },
    AppendReply {
        term: Near,
        round: Near,
        result: Reply,
        applied: Near,
        hash: Option<u64>,
    },
    RequestVote {
        term: Near,
        last: Near,
        last_term: Near,
        pre_vote: bool,
        transfer: bool,
    },
    VoteReply {
        term: Near,
        pre_vote: bool,
        refusal: Option<u8>,
    },
    Hello {
        cluster: Option<bool>,
        members: u8,
    },
    Welcome {
        same: bool,
    },
    Unwelcome {
        kind: u8,
    },
    TimeoutNow {
        term: Near,
    },
    ReadIndex {
        request: u64,
    },
    ReadIndexReply {
        request: u64,
        index: Option<Near>,
    },
    Forward {
        request: u64,
        load: Load,
    },
    ForwardReply {
        request: u64,
        outcome: u8,
    },
    Diverged {
        term: Near,
        index: Near,
        hash: Option<u64>,
    },
    Administer {
        request: u64,
        to: Option<u8>,
    },
    AdministerReply {
        request: u64,
        outcome: u8,
    },
}

#[derive(Arbitrary, Debug)]
enum Reply {
    Matched(Near),
    Conflict { rejected: Near, hint: Near, hint_term: Near },
    StaleTerm,
}

/// Reads one message.
pub(crate) fn read(from: &mut Unstructured<'_>, replica: &Replica) -> arbitrary::Result<Message> {
    Ok(Maker { replica, consensus: replica.consensus() }.make(Draft::arbitrary(from)?))
}

struct Maker<'a> {
    replica: &'a Replica,
    consensus: &'a Consensus,
}

impl Maker<'_> {
    fn term(&self, near: Near) -> Term {
        Term(near.to(self.consensus.term().0))
    }

    fn index(&self, near: Near) -> LogIndex {
        LogIndex(near.to(self.consensus.log().last_index().0))
    }

    fn applied(&self, index: Near, hash: Option<u64>) -> Applied {
        let index = LogIndex(index.to(self.replica.last_applied().0));
        Applied { index, hash: hash.map_or(self.replica.applied_hash(), StateHash) }
    }

    fn make(&self, draft: Draft) -> Message {
        match draft {
            Draft::Append { .. } => self.append(draft),
            Draft::AppendReply { term, round, result, applied, hash } => Message::AppendReply(AppendReply {
                term: self.term(term),
                round: Round(round.to(0)),
                result: self.result(&result),
                applied: self.applied(applied, hash),
            }),
            Draft::RequestVote { term, last, last_term, pre_vote, transfer } => {
                let last_log_term = Term(last_term.to(self.consensus.log().last_term().0));
                let (term, last_log_index) = (self.term(term), self.index(last));
                Message::RequestVote(RequestVote { term, last_log_index, last_log_term, pre_vote, transfer })
            }
            Draft::VoteReply { term, pre_vote, refusal } => Message::VoteReply(VoteReply {
                term: self.term(term),
                pre_vote,
                refusal: refusal.map(refused),
            }),
            Draft::Hello { cluster, members } => {
                let cluster_id = cluster.map(|same| match self.consensus.cluster_id().filter(|_| same) {
                    Some(id) => id,
                    None => ClusterId(members.into()),
                });
                let count = if members < 0xf0 { 3 } else { members & 0xf };
                let configuration_index = LogIndex((members % 4).into());
                let members = (0..count).map(member).collect();
                Message::Hello(Hello { cluster_id, members, configuration_index, ..Hello::default() })
            }
            Draft::Welcome { same } => {
                Message::Welcome { known: incarnation(u8::from(!same)), by: KnownBy::Record }
            }
            Draft::Unwelcome { kind } => Message::Unwelcome(unwelcome(kind)),
            Draft::TimeoutNow { term } => Message::TimeoutNow { term: self.term(term) },
            Draft::ReadIndex { request } => Message::ReadIndex { request: RequestId(request) },
            Draft::ReadIndexReply { request, index } => {
                let index = index.map(|index| self.index(index));
                Message::ReadIndexReply { request: RequestId(request), index }
            }
            Draft::Forward { request, load } => {
                Message::Forward { request: RequestId(request), command: command(&load) }
            }
            Draft::ForwardReply { request, outcome } => {
                Message::ForwardReply { request: RequestId(request), outcome: self.outcome(outcome) }
            }
            Draft::Diverged { term, index, hash } => {
                Message::Diverged { term: self.term(term), at: self.applied(index, hash) }
            }
            Draft::Administer { request, to } => {
                Message::Administer { request: RequestId(request), task: task(to) }
            }
            Draft::AdministerReply { request, outcome } => {
                let outcome = self.task_outcome(outcome);
                Message::AdministerReply { request: RequestId(request), outcome }
            }
        }
    }

    fn append(&self, draft: Draft) -> Message {
        let Draft::Append { term, prev, prev_term, commit, round, loads } = draft else {
            unreachable!("called for nothing else")
        };
        let (term, prev_log_index) = (self.term(term), self.index(prev));
        let known = self.consensus.log().term_at(prev_log_index).unwrap_or_default();
        let prev_log_term = prev_term.map_or(known, |near| Term(near.to(known.0)));
        let mut entries = Vec::new();
        let mut at = (prev_log_index, prev_log_term);
        for (next_term, load) in loads.iter().take(MAX_ENTRIES) {
            at = (LogIndex(at.0.0.wrapping_add(1)), if *next_term { term } else { at.1 });
            entries.push(Entry { index: at.0, term: at.1, payload: payload(load) });
        }
        let leader_commit = LogIndex(commit.to(at.0.0));
        let round = Round(round.to(0));
        Message::AppendEntries(AppendEntries {
            term,
            prev_log_index,
            prev_log_term,
            entries,
            leader_commit,
            round,
        })
    }

    fn result(&self, reply: &Reply) -> AppendResult {
        match *reply {
            Reply::Matched(index) => AppendResult::Matched { match_index: self.index(index) },
            Reply::Conflict { rejected, hint, hint_term } => AppendResult::Conflict {
                rejected: self.index(rejected),
                hint_index: self.index(hint),
                hint_term: self.term(hint_term),
            },
            Reply::StaleTerm => AppendResult::StaleTerm,
        }
    }

    fn task_outcome(&self, kind: u8) -> TaskOutcome {
        let node_id = member(kind);
        match kind % 5 {
            0 => {
                TaskOutcome::Done(Administered::Transferred { leader: node_id, term: self.consensus.term() })
            }
            4 => {
                let (index, bytes, took) = (LogIndex(kind.into()), 100, Duration::from_millis(10));
                TaskOutcome::Done(Administered::SnapshotTaken { index, bytes, took })
            }
            1 => TaskOutcome::Refused(TaskRefused::NotTakenOver { node_id }),
            2 => TaskOutcome::NotLeader,
            _ => TaskOutcome::Overloaded,
        }
    }

    fn outcome(&self, kind: u8) -> ForwardOutcome {
        match kind % 4 {
            0 => {
                let index = self.consensus.log().last_index();
                ForwardOutcome::Done(Outcome { index, result: CommandResult::SessionOpen })
            }
            1 => ForwardOutcome::NotLeader,
            2 => ForwardOutcome::Overloaded,
            3 if kind < 128 => ForwardOutcome::Unknown,
            _ => ForwardOutcome::DiskFull,
        }
    }
}

fn refused(kind: u8) -> VoteRefusal {
    match kind % 6 {
        0 => VoteRefusal::OldTerm,
        1 => VoteRefusal::LeaderAlive { leader: member(kind) },
        2 => VoteRefusal::VotedFor { candidate: member(kind) },
        3 => VoteRefusal::LogBehind { last_log_index: LogIndex(kind.into()), last_log_term: Term(1) },
        4 => VoteRefusal::NotAdmitted,
        _ => VoteRefusal::CannotStore,
    }
}

fn unwelcome(kind: u8) -> Unwelcome {
    match kind % 4 {
        0 => Unwelcome::OtherIncarnation { known: Incarnation(kind.into()), shown: incarnation(kind / 3) },
        1 => Unwelcome::OtherCluster { theirs: ClusterId(kind.into()), yours: ClusterId(7) },
        2 => Unwelcome::Removed { index: LogIndex(kind.into()) },
        _ => Unwelcome::OtherMembers { theirs: "a".repeat(kind.into()), yours: "b".to_owned() },
    }
}

fn payload(load: &Load) -> Payload {
    match load {
        Load::Noop => Payload::Noop,
        Load::Genesis(id) => {
            let configuration = Configuration::new((0..id % 4).map(member));
            Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId((*id).into()), configuration }))
        }
        other => Payload::Command(command(other)),
    }
}

fn command(load: &Load) -> Command {
    let set = |key: u8, value: u8| {
        let key = kv::Key::new(&format!("k{}", key % 4)).expect("a valid key");
        kv::Command::Set { key, value: kv::Value::Bytes(Bytes::copy_from_slice(&[value])) }.encode()
    };
    match load {
        Load::Noop | Load::Genesis(_) => Command { session: None, data: Bytes::new() },
        Load::Set { key, value } => Command { session: None, data: set(*key, *value) },
        Load::Bytes(bytes) => Command { session: None, data: Bytes::copy_from_slice(bytes) },
        Load::Session { client, sequence, key } => {
            let client = ClientId::new(format!("c{}", client % 4).as_bytes()).expect("a valid id");
            let sequence = match *sequence {
                Step::Only => Sequence::Only,
                Step::Open => Sequence::Open,
                Step::Number(number, answered_below) => {
                    Sequence::Number { number: number.into(), answered_below: answered_below.into() }
                }
                Step::Any(number, answered_below) => Sequence::Number { number, answered_below },
            };
            Command { session: Some(Box::new(SessionStep { client, sequence })), data: set(*key, *key) }
        }
    }
}
