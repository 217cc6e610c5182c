//! What happened, in the paper's words and on one line.

use std::collections::BTreeMap;

use raft_core::consensus::{Configuration, Member, MemberRole, Promotion, Standing};
use raft_core::entry::{Command, Entry, Payload, Sequence};
use raft_core::kv;
use raft_core::log::Recovered;
use raft_core::message::{
    AppendEntries, AppendResult, ForwardOutcome, KnownBy, Message, RequestVote, TaskOutcome, VoteRefusal,
    VoteReply,
};
use raft_core::replica::{CallReply, CommandResult, Notice, Outcome, Replica, Reply, Role, Token};
use raft_core::types::{LogIndex, NodeId};

use super::cluster::Happening;

/// From this many entries on, only the ends of a list are shown.
const LONG: usize = 8;

pub(crate) fn happening(happening: &Happening, requests: &BTreeMap<Token, String>) -> Option<String> {
    let request = |token: &Token| requests.get(token).cloned().unwrap_or_else(|| format!("{token:?}"));
    Some(match happening {
        Happening::Delivered { from, to, message: sent } => format!("{from} -> {to} {}", message(sent)),
        Happening::Lost { from, to, message: sent } => {
            format!("{from} -> {to} {}: lost, {to} is down", message(sent))
        }
        Happening::Noticed { node, notice: noticed } => format!("{node} {}", notice(noticed)),
        Happening::Answered { node, token, reply: given } => {
            format!("{node} answers \"{}\": {}", request(token), reply(given))
        }
        Happening::CallAnswered { node, token, reply } => {
            format!("{node} answers \"{}\": {}", request(token), call_reply(reply))
        }
        Happening::MayStop { node } => format!("{node} may stop"),
    })
}

pub(crate) fn message(message: &Message) -> String {
    match message {
        Message::Hello(hello) => {
            let members: Vec<&str> = hello.members.iter().map(NodeId::as_str).collect();
            let cluster = if hello.cluster_id.is_some() { " cluster=known" } else { "" };
            let (index, wiped) = (hello.configuration_index, if hello.is_wiped { " wiped" } else { "" });
            let at = if index > LogIndex(1) { format!(" at={index}") } else { String::new() };
            format!("Hello members={}{at}{cluster}{wiped}", members.join(","))
        }
        Message::Welcome { by: KnownBy::Record, .. } => "Welcome".into(),
        Message::Welcome { by: KnownBy::Configuration, .. } => "Welcome, as the configuration says".into(),
        Message::Welcome { by: KnownBy::Introduction, .. } => "Welcome, whoever it is".into(),
        Message::Unwelcome(reason) => format!("Unwelcome: {reason}"),
        Message::RequestVote(request) => request_vote(request),
        Message::VoteReply(reply) => vote_reply(reply),
        Message::AppendEntries(append) => append_entries(append),
        Message::AppendReply(reply) => format!("AppendReply term={} {}", reply.term, result(&reply.result)),
        Message::InstallSnapshot(_) | Message::InstallReply(_) => raft_core::story::message(message),
        Message::TimeoutNow { term } => format!("TimeoutNow term={term}"),
        Message::ReadIndex { .. } => "ReadIndex".into(),
        Message::ReadIndexReply { index: Some(index), .. } => format!("ReadIndexReply index={index}"),
        Message::ReadIndexReply { index: None, .. } => "ReadIndexReply: not the leader".into(),
        Message::Forward { command: forwarded, .. } => format!("Forward {}", command(forwarded)),
        Message::ForwardReply { outcome, .. } => format!("ForwardReply {}", forward_outcome(outcome)),
        Message::Administer { task, .. } => format!("Administer {task}"),
        Message::AdministerReply { outcome, .. } => format!("AdministerReply {}", task_outcome(outcome)),
        Message::Diverged { term, at } => format!("Diverged term={term} at={}", at.index),
    }
}

fn request_vote(request: &RequestVote) -> String {
    let kind = if request.pre_vote { "RequestPreVote" } else { "RequestVote" };
    let transfer = if request.transfer { " transfer" } else { "" };
    let (index, last_term) = (request.last_log_index, request.last_log_term);
    format!("{kind} term={} last={index}/{last_term}{transfer}", request.term)
}

fn vote_reply(reply: &VoteReply) -> String {
    let kind = if reply.pre_vote { "PreVoteReply" } else { "VoteReply" };
    let answer = match &reply.refusal {
        None => "granted".to_owned(),
        Some(VoteRefusal::LeaderAlive { leader }) => format!("refused, {leader} leads"),
        Some(refusal) => format!("refused, {refusal}"),
    };
    format!("{kind} term={} {answer}", reply.term)
}

fn append_entries(append: &AppendEntries) -> String {
    let entries = if append.entries.is_empty() {
        String::new()
    } else {
        format!(" entries=[{}]", entries(&append.entries))
    };
    let (index, term) = (append.prev_log_index, append.prev_log_term);
    format!("AppendEntries term={} prev={index}/{term}{entries} commit={}", append.term, append.leader_commit)
}

fn result(result: &AppendResult) -> String {
    match result {
        AppendResult::Matched { match_index } => format!("match={match_index}"),
        AppendResult::Conflict { rejected, hint_index, hint_term } => {
            format!("conflict at={rejected} hint={hint_index}/{hint_term}")
        }
        AppendResult::StaleTerm => "refused, not the leader of this term".into(),
    }
}

/// A list of entries, the middle of a long one left out.
pub(crate) fn entries(entries: &[Entry]) -> String {
    let show = |entries: &[Entry]| entries.iter().map(entry).collect::<Vec<_>>().join(", ");
    if entries.len() < LONG {
        return show(entries);
    }
    let (first, last) = (&entries[..2], &entries[entries.len() - 1..]);
    format!("{}, .. {} more .., {}", show(first), entries.len() - 3, show(last))
}

pub(crate) fn entry(entry: &Entry) -> String {
    let payload = match &entry.payload {
        Payload::Noop => "noop".into(),
        Payload::Snapshot => "snapshot".into(),
        Payload::Genesis(_) => "genesis".into(),
        Payload::Command(given) => command(given),
        Payload::Configuration(given) => format!("configuration {}", configuration(given)),
    };
    format!("{}/{} {payload}", entry.index, entry.term)
}

/// Only the terms, as the paper's figures draw a log.
pub(crate) fn terms(entries: &[Entry]) -> String {
    let terms: Vec<String> = entries.iter().map(|entry| entry.term.to_string()).collect();
    if terms.is_empty() { "empty".into() } else { terms.join(" ") }
}

/// `n1 n2 +n3 -n4`: two voters, a learner, and one that leaves. A member that is on its way has a mark after
/// it: `?` while nobody has heard of its disk, `^` where it is to be a voter.
pub(crate) fn configuration(configuration: &Configuration) -> String {
    let member = |(id, member): (&NodeId, &Member)| {
        let role = match member.role {
            MemberRole::Voter => "",
            MemberRole::Learner => "+",
            MemberRole::Leaving => "-",
        };
        let unheard =
            if member.role == MemberRole::Learner && member.incarnation.is_none() { "?" } else { "" };
        let promotion = match &member.promotion {
            Promotion::No => String::new(),
            Promotion::Voter => "^".into(),
            Promotion::InPlaceOf(old) => format!("^{old}"),
        };
        format!("{role}{id}{unheard}{promotion}")
    };
    let members: Vec<String> = configuration.members().map(member).collect();
    let outgoing: Vec<&str> = configuration.outgoing().map(NodeId::as_str).collect();
    let before = if outgoing.is_empty() { String::new() } else { format!(" | {}", outgoing.join(" ")) };
    format!("[{}{before}]", members.join(" "))
}

fn command(command: &Command) -> String {
    let what = match kv::Command::decode(&command.data) {
        Some(kv::Command::Set { key, value }) => format!("put {key}={}", text(&value)),
        Some(kv::Command::Delete { key }) => format!("delete {key}"),
        None => String::new(),
    };
    let Some(step) = &command.session else { return what };
    let client = String::from_utf8_lossy(step.client.as_bytes()).into_owned();
    match step.sequence {
        Sequence::Only => format!("{what} key={client}"),
        Sequence::Open => format!("open session={client}"),
        Sequence::Number { number, .. } => format!("{what} session={client} number={number}"),
    }
}

fn text(value: &kv::Value) -> String {
    let (kv::Value::Json(bytes) | kv::Value::Bytes(bytes)) = value;
    if bytes.len() > 40 {
        return format!("({} bytes)", bytes.len());
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn forward_outcome(outcome: &ForwardOutcome) -> String {
    match outcome {
        ForwardOutcome::Done(done) => self::outcome(done),
        ForwardOutcome::NotLeader => "not the leader".into(),
        ForwardOutcome::Overloaded => "overloaded".into(),
        ForwardOutcome::Unknown => "unknown".into(),
        ForwardOutcome::DiskFull => "the disk is full".into(),
    }
}

fn task_outcome(outcome: &TaskOutcome) -> String {
    match outcome {
        TaskOutcome::Done(done) => done.to_string(),
        TaskOutcome::Refused(why) => format!("refused, {why}"),
        TaskOutcome::NotLeader => "not the leader".into(),
        TaskOutcome::Overloaded => "overloaded".into(),
    }
}

fn outcome(outcome: &Outcome) -> String {
    let index = outcome.index;
    match &outcome.result {
        CommandResult::Answer(answer) => match kv::Answer::decode(answer) {
            kv::Answer::Set => format!("done at {index}"),
            kv::Answer::Deleted(true) => format!("deleted at {index}"),
            kv::Answer::Deleted(false) => format!("nothing to delete at {index}"),
            kv::Answer::Unreadable => format!("unreadable at {index}"),
        },
        CommandResult::SessionOpen => format!("session open at {index}"),
        CommandResult::SessionExpired => "no such session".into(),
        CommandResult::SequenceReused => "number used before".into(),
        CommandResult::CommandDiffers => "key used before for another command".into(),
    }
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Done(done) => outcome(done),
        Reply::Found(answer) => match kv::QueryAnswer::decode(answer) {
            kv::QueryAnswer::Item(Some(item)) => {
                format!("{} (revision {})", text(&item.value), item.revision)
            }
            kv::QueryAnswer::Item(None) => "not found".into(),
            kv::QueryAnswer::Page(page) => format!("{} keys", page.keys),
            kv::QueryAnswer::Unreadable => "unreadable".into(),
        },
        Reply::Administered(done) => done.to_string(),
        Reply::Declined(why) => format!("declined, {why}"),
        Reply::Refused(refused) => format!("refused, {refused:?}"),
    }
}

fn call_reply(reply: &CallReply) -> String {
    match reply {
        CallReply::Vote(reply) => vote_reply(reply),
        CallReply::Append { term, result: given } => format!("AppendReply term={term} {}", result(given)),
        CallReply::Refused { reason } => format!("refused, {reason}"),
    }
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Learner => "learner",
    }
}

fn notice(notice: &Notice) -> String {
    match notice {
        Notice::RoleChanged { role: new, term, reason } => {
            format!("is {} in term {term}: {reason}", role(*new))
        }
        Notice::Following { leader, term } => format!("follows {leader} in term {term}"),
        Notice::Admitted => "is admitted: it may vote".into(),
        Notice::Wiped { peer, .. } => format!("learns from {peer} that its disk was wiped"),
        Notice::FormerMember { peer, .. } => {
            format!("hears from {peer}, which was removed and does not know")
        }
        Notice::Removed { peer } => format!("hears from {peer} that it was removed"),
        Notice::Unwelcome { peer, reason } => {
            format!("and {peer} have nothing to do with each other: {reason}")
        }
        Notice::SnapshotTaken { index, .. } => format!("has a snapshot of {index}"),
        Notice::SnapshotNotTaken { index, reason } => format!("gives up a snapshot of {index}: {reason}"),
        Notice::Diverged(found) => {
            let peers: Vec<&str> = found.peers.iter().map(NodeId::as_str).collect();
            format!("has another state than {} at {}", peers.join(", "), found.index)
        }
        Notice::SnapshotNotSent { peer, reason } => format!("cannot send {peer} a snapshot: {reason}"),
        Notice::SendingSnapshot { to, index, bytes } => {
            format!("sends {to} the snapshot {index}, from byte {bytes} on")
        }
        Notice::ReceivingSnapshot { from, index, bytes } => {
            format!("receives the snapshot {index} from {from}, from byte {bytes} on")
        }
        Notice::SnapshotNotReceived { index, reason } => format!("gives up the snapshot {index}: {reason}"),
        Notice::SnapshotInstalled { index } => format!("has the state of the snapshot {index}"),
        Notice::DiskHangs { waited } => format!("has had no answer from its disk for {waited:?}"),
        Notice::DiskAnswers { waited } => format!("has its disk's answer after {waited:?}"),
        Notice::DiskFull { reason } => format!("has no room on its disk: {reason}"),
        Notice::DiskHasRoom => "has room on its disk again".into(),
        Notice::Failed { reason } => format!("has failed: {reason}"),
    }
}

/// A running server's state (paper Figure 2).
pub(crate) fn state(replica: &Replica) -> String {
    let consensus = replica.consensus();
    if let Some(reason) = replica.failed() {
        return format!("failed: {reason}");
    }
    let log = consensus.log();
    let vote = consensus.hard_state().voted_for.as_ref().map_or("none", NodeId::as_str);
    let leader = consensus.leader().map_or("none", NodeId::as_str);
    let standing = match consensus.admission().standing() {
        Standing::Admitted => String::new(),
        Standing::Waiting { witnesses } => format!(" not admitted ({} witnesses)", witnesses.len()),
        Standing::Wiped { .. } => " not admitted (wiped)".into(),
    };
    format!(
        "{} term={} vote={vote} leader={leader} last={}/{} durable={} commit={} applied={}{standing}",
        role(consensus.role()),
        consensus.term(),
        log.last_index(),
        log.last_term(),
        log.durable(),
        consensus.commit_index(),
        replica.last_applied(),
    )
}

/// The latest snapshot that is kept, and where the log begins.
pub(crate) fn snapshots(replica: &Replica) -> String {
    let consensus = replica.consensus();
    let latest = consensus
        .latest_snapshot()
        .map_or("no snapshot".to_owned(), |latest| format!("a snapshot of {}/{}", latest.index, latest.term));
    let (base, last) = (consensus.log().base(), consensus.log().last_index());
    format!("has {latest}, and the log after {}/{} up to {last}", base.index, base.term)
}

/// What a leader knows of its followers' states.
pub(crate) fn compared(replica: &Replica) -> String {
    let consensus = replica.consensus();
    let others = consensus.configuration().members().map(|(id, _)| id).filter(|id| *id != consensus.id());
    let mut known: Vec<String> =
        others.map(|id| format!("{id} agreed at {}", replica.agreed_index(id))).collect();
    let differing = replica.differing_peers();
    known.extend(differing.iter().map(|(id, index)| format!("{id} differs at {index}")));
    known.join(", ")
}

/// What an operator is told of a server that finds no majority.
pub(crate) fn votes(replica: &Replica) -> String {
    let consensus = replica.consensus();
    let list = |of: Vec<String>| if of.is_empty() { "none".to_owned() } else { of.join(", ") };
    let voters = consensus.configuration().voters();
    let granted = voters.filter(|id| consensus.has_vote_of(id)).map(NodeId::to_string).collect();
    let refusals = consensus.vote_refusals();
    let refused = refusals.iter().map(|(id, reason)| format!("{id} ({reason})")).collect();
    format!("has the votes of: {}; is refused by: {}", list(granted), list(refused))
}

/// What a restart would find.
pub(crate) fn durable(found: &Recovered) -> String {
    let vote = found.hard_state.voted_for.as_ref().map_or("none", NodeId::as_str);
    let last = found.entries.last().map_or(LogIndex::ZERO, |entry| entry.index);
    format!("on disk term={} vote={vote} last={last}", found.hard_state.term)
}
