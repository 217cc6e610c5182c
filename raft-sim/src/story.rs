//! What happened, in the paper's words and on one line.

use raft_core::message::{AppendResult, ForwardOutcome, Message};
use raft_core::replica::Notice;

/// A message.
pub(crate) fn message(message: &Message) -> String {
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
    }
}

/// What an operator would hear.
pub(crate) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::RoleChanged { role, term, reason } => format!("becomes {role:?} in term {term}: {reason}"),
        Notice::Following { leader, term } => format!("follows {leader} in term {term}"),
        Notice::Admitted => "may vote".to_owned(),
        Notice::Wiped { peer, .. } => format!("hears from {peer} that its disk is not the one it had"),
        Notice::Unwelcome { peer, reason } => format!("has no understanding with {peer}: {reason}"),
        Notice::Diverged(divergence) => format!("differs in its state at {}", divergence.index),
        Notice::Failed { reason } => format!("gives up: {reason}"),
    }
}
