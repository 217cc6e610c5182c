//! What must hold of a replica, whatever is said to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_core::entry::{Entry, Payload, Sequence};
use raft_core::log::{Recovered, Recovery, recover};
use raft_core::message::{AppendResult, KnownBy, Message};
use raft_core::replica::{CallReply, Replica};
use raft_core::types::{LogIndex, NodeId, Term};

use super::member;
use crate::log::{Directory, OPTIONS};

/// What is known so far.
#[derive(Default)]
pub(super) struct Checks {
    /// Everything that was committed at some moment.
    committed: Vec<Entry>,
    term: Term,
    applied: LogIndex,
    votes: BTreeMap<Term, NodeId>,
    executed: LogIndex,
    /// Clients whose one command was executed.
    once: BTreeSet<Bytes>,
    /// What recovery finds on the disk, since the disk changed last.
    stored: Option<Recovered>,
}

impl Checks {
    pub(super) fn of(replica: &Replica) -> Checks {
        let mut checks = Checks::default();
        checks.after(replica, &[]);
        checks
    }

    /// The disk is another one now.
    pub(super) fn disk_changed(&mut self) {
        self.stored = None;
    }

    fn stored(&mut self, disk: &Directory) -> &Recovered {
        self.stored.get_or_insert_with(|| match recover(disk, &member(0), OPTIONS) {
            Ok(Recovery::Found(found)) => *found,
            Ok(Recovery::Empty) => panic!("the directory is empty"),
            Err(error) => panic!("a directory that the replica wrote is refused: {error}"),
        })
    }

    /// After every step: nothing goes back, nothing committed changes, one vote a term, applied in order and
    /// once.
    pub(super) fn after(&mut self, replica: &Replica, executed: &[(LogIndex, Bytes)]) {
        let consensus = replica.consensus();
        assert!(consensus.term() >= self.term, "terms only grow");
        self.term = consensus.term();
        if let Some(voted_for) = &consensus.hard_state().voted_for {
            let first = self.votes.entry(self.term).or_insert_with(|| voted_for.clone());
            assert_eq!(first, voted_for, "one vote a term");
        }
        let commit_index = consensus.commit_index();
        assert!(commit_index.0 >= self.committed.len() as u64, "the commit index never falls");
        let now: Vec<&Entry> = consensus.log().range(LogIndex(1)..=commit_index).collect();
        assert_eq!(now.len() as u64, commit_index.0, "what is committed is in the log");
        assert!(now.iter().zip(&self.committed).all(|(now, then)| *now == then), "what is committed stays");
        let news = now.into_iter().skip(self.committed.len()).cloned().collect::<Vec<_>>();
        self.committed.extend(news);
        assert!(
            (self.applied..=commit_index).contains(&replica.last_applied()),
            "what is committed is applied"
        );
        self.applied = replica.last_applied();
        executed.iter().for_each(|(index, command)| self.executed(*index, command));
    }

    fn executed(&mut self, index: LogIndex, command: &Bytes) {
        assert!(self.executed < index && index <= self.applied, "applied in order, once");
        self.executed = index;
        let entry = usize::try_from(index.0 - 1).ok().and_then(|at| self.committed.get(at));
        let Some(Entry { payload: Payload::Command(of_log), .. }) = entry else {
            panic!("{index} was executed and is no command")
        };
        assert_eq!(&of_log.data, command, "what is executed is what is committed");
        if let Some(step) = of_log.session.as_ref().filter(|step| step.sequence == Sequence::Only) {
            let client = Bytes::copy_from_slice(step.client.as_bytes());
            assert!(self.once.insert(client), "a repeated command takes effect once");
        }
    }

    /// A message leaves: what it rests on is on the disk.
    pub(super) fn sent(&mut self, disk: &Directory, to: &NodeId, message: &Message) {
        let stored = self.stored(disk);
        let (term, voted_for) = (stored.hard_state.term, stored.hard_state.voted_for.as_ref());
        let voted =
            |in_term: Term, who: &NodeId| term > in_term || (term == in_term && voted_for == Some(who));
        match message {
            Message::Welcome { known, by: KnownBy::Record } => {
                assert_eq!(stored.peers.get(to), Some(known), "welcomed before it is noted");
            }
            Message::RequestVote(request) if !request.pre_vote => {
                assert!(voted(request.term, &member(0)), "stands before its own vote is stored");
            }
            Message::VoteReply(reply) if !reply.pre_vote && reply.refusal.is_none() => {
                assert!(voted(reply.term, to), "votes before that is stored");
            }
            // Of these the term is only spoken of.
            Message::RequestVote(_) | Message::VoteReply(_) => {}
            other => {
                assert!(other.term().unwrap_or_default() <= term, "a term is spoken before it is stored")
            }
        }
        if let Message::AppendReply(reply) = message
            && let AppendResult::Matched { match_index } = reply.result
        {
            assert!(match_index.0 <= stored.entries.len() as u64, "acknowledged before it is stored");
        }
        // An AppendReply it may give to a peer that says the configuration names its disk, and it is no vote.
        let takes_part = matches!(
            message,
            Message::RequestVote(_) | Message::AppendEntries(_) | Message::TimeoutNow { .. }
        ) || matches!(message, Message::VoteReply(reply) if reply.refusal.is_none());
        assert!(stored.admitted || !takes_part, "takes part before it may: {message:?}");
    }

    /// A readable RPC is answered: what the answer rests on is on the disk.
    pub(super) fn answered(&mut self, disk: &Directory, replica: &Replica, reply: &CallReply) {
        let stored = self.stored(disk);
        let hard_state = &stored.hard_state;
        match reply {
            CallReply::Vote(reply) if reply.refusal.is_none() => {
                let kept = hard_state.term == reply.term && hard_state.voted_for.is_some();
                assert!(hard_state.term > reply.term || kept, "votes before that is stored");
            }
            CallReply::Append { term, result } => {
                assert!(*term <= hard_state.term, "a term is spoken before it is stored");
                if let AppendResult::Matched { match_index } = result {
                    assert!(match_index.0 <= stored.entries.len() as u64, "acknowledged before it is stored");
                    assert!(*match_index <= replica.consensus().log().durable());
                }
            }
            CallReply::Vote(_) | CallReply::Refused { .. } => {}
        }
    }

    /// A replica that started again has everything that was committed.
    pub(super) fn kept_by(&self, again: &Replica) {
        for committed in &self.committed {
            assert_eq!(again.consensus().log().get(committed.index), Some(committed), "committed and lost");
        }
    }
}
