//! Nothing is said before what it rests on is durable (paper Figure 2: "updated on stable storage before
//! responding"). What is durable is asked of recovery itself.

use raft_core::entry::Entry;
use raft_core::log::Recovered;
use raft_core::message::{AppendResult, Message};
use raft_core::replica::Replica;
use raft_core::types::{LogIndex, Term};

use crate::disk::Disk;
use crate::names::Place;

/// Whether recovery would find an entry.
pub(crate) fn has(found: &Recovered, entry: &Entry) -> bool {
    let at = usize::try_from(entry.index.0).expect("fits") - 1;
    found.entries.get(at) == Some(entry)
}

/// What a message claims that a crash now would belie, if anything.
pub(crate) fn said_too_soon(
    from: Place,
    to: Place,
    message: &Message,
    replica: &Replica,
    disk: &Disk,
) -> Option<String> {
    let found = disk.durable();
    let too_soon = match message {
        Message::RequestVote(request) if request.pre_vote => None,
        Message::RequestVote(request) => vote(found, request.term, from),
        Message::VoteReply(reply) if reply.refusal.is_none() && reply.pre_vote => None,
        Message::VoteReply(reply) if reply.refusal.is_none() => vote(found, reply.term, to),
        _ => term(found, message.term().unwrap_or_default()),
    };
    let reported = match message {
        Message::AppendReply(reply) if reply.term == replica.consensus().term() => match reply.result {
            AppendResult::Matched { match_index } => match_index,
            _ => LogIndex::ZERO,
        },
        _ => LogIndex::ZERO,
    };
    let mut log = replica.consensus().log().range(LogIndex(1)..=reported);
    let missing = log.find(|entry| !has(found, entry));
    let missing = missing.map(|entry| format!("entry {}/{} is not on its disk", entry.index, entry.term));
    too_soon.or(missing).map(|what| format!("{from} spoke too soon to {to}: {what}"))
}

fn term(found: &Recovered, said: Term) -> Option<String> {
    let durable = found.hard_state.term;
    (durable < said).then(|| format!("it speaks of term {said}, on its disk is term {durable}"))
}

fn vote(found: &Recovered, said: Term, candidate: Place) -> Option<String> {
    let voted_for = found.hard_state.voted_for.as_ref().map(Place::of);
    let stands = found.hard_state.term > said || voted_for == Some(candidate);
    let vote = || format!("its vote for {candidate} in term {said} is not on its disk");
    term(found, said).or((!stands).then(vote))
}
