//! What happens, in the paper's words and on one line.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use crate::disk::AsideOp;
use crate::message::{AppendResult, ForwardOutcome, Message};
use crate::replica::{Action, Call, Event, Notice, Reply};
use crate::types::EntryId;

/// A message.
#[must_use]
pub fn message(message: &Message) -> String {
    match message {
        Message::RequestVote(request) => {
            let kind = if request.pre_vote { "RequestPreVote" } else { "RequestVote" };
            let (index, term) = (request.last_log_index, request.last_log_term);
            format!("{kind} term={} last={index}/{term}", request.term)
        }
        Message::VoteReply(reply) => {
            let kind = if reply.pre_vote { "PreVoteReply" } else { "VoteReply" };
            let refusal =
                reply.refusal.as_ref().map_or("granted".to_owned(), |why| format!("refused, {why}"));
            format!("{kind} term={} {refusal}", reply.term)
        }
        Message::AppendEntries(append) => format!(
            "AppendEntries term={} prev={}/{} entries={} commit={} round={}",
            append.term,
            append.prev_log_index,
            append.prev_log_term,
            append.entries.len(),
            append.leader_commit,
            append.round.0
        ),
        Message::AppendReply(reply) => {
            let result = match &reply.result {
                AppendResult::Matched { match_index } => format!("match={match_index}"),
                AppendResult::Conflict { rejected, hint_index, hint_term } => {
                    format!("conflict at={rejected} hint={hint_index}/{hint_term}")
                }
                AppendResult::StaleTerm => "refused, the term is over".to_owned(),
            };
            format!("AppendReply term={} round={} {result}", reply.term, reply.round.0)
        }
        Message::InstallSnapshot(install) => {
            let chunk = install.chunk.as_ref().map_or("no chunk".to_owned(), |chunk| {
                let is_last = if chunk.is_last { ", the last" } else { "" };
                format!("{} bytes at {}{is_last}", chunk.data.len(), chunk.offset)
            });
            let EntryId { index, term } = install.snapshot;
            format!("InstallSnapshot term={} snapshot={index}/{term} {chunk}", install.term)
        }
        Message::InstallReply(reply) => {
            let EntryId { index, term } = reply.snapshot;
            format!("InstallReply term={} snapshot={index}/{term} {:?}", reply.term, reply.received)
        }
        Message::ForwardReply { outcome: ForwardOutcome::Done(outcome), .. } => {
            format!("ForwardReply done at {}", outcome.index)
        }
        Message::ReadIndexReply { index, .. } => format!("ReadIndexReply {index:?}"),
        Message::TimeoutNow { term } => format!("TimeoutNow term={term}"),
        Message::Diverged { term, at } => format!("Diverged term={term} at={}", at.index),
        Message::Unwelcome(reason) => format!("Unwelcome: {reason}"),
        Message::Hello(_) => "Hello".to_owned(),
        Message::Welcome { .. } => "Welcome".to_owned(),
        Message::ReadIndex { .. } => "ReadIndex".to_owned(),
        Message::Forward { .. } => "Forward".to_owned(),
        Message::ForwardReply { outcome, .. } => format!("ForwardReply {outcome:?}"),
        Message::Administer { task, .. } => format!("Administer {task}"),
        Message::AdministerReply { outcome, .. } => format!("AdministerReply {outcome:?}"),
    }
}

/// What an operator would hear.
#[must_use]
pub fn notice(notice: &Notice) -> String {
    match notice {
        Notice::RoleChanged { role, term, reason } => format!("becomes {role:?} in term {term}: {reason}"),
        Notice::Following { leader, term } => format!("follows {leader} in term {term}"),
        Notice::Admitted => "may vote".to_owned(),
        Notice::Wiped { peer, .. } => format!("hears from {peer} that its disk is not the one it had"),
        Notice::Unwelcome { peer, reason } => format!("has no understanding with {peer}: {reason}"),
        Notice::SnapshotTaken { index, bytes } => format!("has a snapshot of {index}, {bytes} bytes"),
        Notice::SnapshotNotTaken { index, reason } => format!("gives up a snapshot of {index}: {reason}"),
        Notice::SnapshotNotSent { peer, reason } => format!("cannot send {peer} a snapshot: {reason}"),
        Notice::SendingSnapshot { to, index, bytes } => {
            format!("sends {to} the snapshot {index}, from byte {bytes} on")
        }
        Notice::ReceivingSnapshot { from, index, bytes } => {
            format!("receives the snapshot {index} from {from}, from byte {bytes} on")
        }
        Notice::SnapshotNotReceived { index, reason } => format!("gives up the snapshot {index}: {reason}"),
        Notice::SnapshotInstalled { index } => format!("installs the snapshot {index}"),
        Notice::FormerMember { peer, .. } => {
            format!("hears from {peer}, which was removed and does not know")
        }
        Notice::Removed { peer } => format!("hears from {peer} that it was removed"),
        Notice::Diverged(divergence) => format!("differs in its state at {}", divergence.index),
        Notice::DiskHangs { waited } => format!("has had no answer from its disk for {waited:?}"),
        Notice::DiskAnswers { waited } => format!("has its disk's answer after {waited:?}"),
        Notice::DiskFull { reason } => format!("has no room on its disk: {reason}"),
        Notice::DiskHasRoom => "has room on its disk again".to_owned(),
        Notice::Failed { reason } => format!("gives up: {reason}"),
    }
}

/// What comes into a replica.
#[must_use]
pub fn event(event: &Event) -> String {
    match event {
        Event::Tick => "the clock".to_owned(),
        Event::Received { from, message: said, .. } => format!("from {from}: {}", message(said)),
        Event::Connected { peer } => format!("a stream to {peer} opens"),
        Event::Disconnected { peer, process_died: true } => format!("{peer}'s process is gone"),
        Event::Disconnected { peer, process_died: false } => format!("the stream with {peer} ends"),
        Event::Called { from, call: Call::RequestVote(request), .. } => {
            format!("called by {from}: {}", message(&Message::RequestVote(request.clone())))
        }
        Event::Called { from, call: Call::AppendEntries(append), .. } => {
            format!("called by {from}: {}", message(&Message::AppendEntries(append.clone())))
        }
        Event::Persisted(seq) => format!("the disk has batch {}", seq.0),
        Event::AsideDone { seq, outcome: Ok(_) } => format!("operation {} aside is done", seq.0),
        Event::AsideDone { seq, outcome: Err(error) } => format!("operation {} aside fails: {error}", seq.0),
        Event::DiskFailed { reason } => format!("the disk fails: {reason}"),
        Event::DiskFull { reason } => format!("the disk is full: {reason}"),
        Event::DiskHasRoom => "the disk has room again".to_owned(),
        Event::Propose { token, command, .. } => {
            format!("request {}: a command of {} bytes", token.0, command.data.len())
        }
        Event::Query { token, consistency, .. } => format!("request {}: a {consistency:?} query", token.0),
        Event::Administer { token, task, .. } => format!("request {}: {task}", token.0),
        Event::Stop { .. } => "the node is to stop".to_owned(),
    }
}

/// What a replica wants done.
#[must_use]
pub fn action(action: &Action) -> String {
    match action {
        Action::Send { to, message: said } => format!("to {to}: {}", message(said)),
        Action::Disk(batch) => {
            let flushed = if batch.sync { "" } else { ", not flushed" };
            format!("batch {} goes to the disk{flushed}", batch.seq.0)
        }
        Action::Aside { seq, op } => format!("operation {} aside: {}", seq.0, aside(op)),
        Action::Answer { token, reply } => match reply {
            Reply::Done(outcome) => format!("request {} is done at {}", token.0, outcome.index),
            Reply::Found(_) => format!("request {} has its answer", token.0),
            Reply::Administered(done) => format!("request {} is done: {done}", token.0),
            Reply::Declined(why) => format!("request {} is declined: {why}", token.0),
            Reply::Refused(why) => format!("request {} is refused: {why:?}", token.0),
        },
        Action::CallReply { token, .. } => format!("call {} has its answer", token.0),
        Action::Notice(told) => notice(told),
        Action::Stopped => "it has stopped".to_string(),
    }
}

fn aside(op: &AsideOp) -> String {
    match op {
        AsideOp::Create { file } => format!("make {file}"),
        AsideOp::Write { file, offset, data, sync } => {
            let flushed = if *sync { ", flushed" } else { "" };
            format!("write {} bytes to {file} at {offset}{flushed}", data.len())
        }
        AsideOp::Finish { file, length, name } => format!("finish {file} of {length} bytes as {name}"),
        AsideOp::Read { file, offset, length } => format!("read {length} bytes of {file} at {offset}"),
        AsideOp::Remove { file } => format!("remove {file}"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::AsideSeq;

    #[test]
    fn what_is_to_be_done_aside_of_the_log_is_told() {
        let (file, data) = ("snapshot-7.part".to_owned(), Bytes::from_static(b"abc"));
        let ops = [
            (AsideOp::Create { file: file.clone() }, "make snapshot-7.part"),
            (
                AsideOp::Write { file, offset: 9, data, sync: true },
                "write 3 bytes to snapshot-7.part at 9, flushed",
            ),
        ];
        for (op, expected) in ops {
            let told = action(&Action::Aside { seq: AsideSeq(4), op });
            assert_eq!(told, format!("operation 4 aside: {expected}"));
        }
    }
}
