//! The two RPCs of Figure 2 in their documented form, answered by the same core as a peer's messages.

use alloc::format;
use alloc::string::{String, ToString};

use super::Replica;
use super::event::{Action, Call, CallReply, Token};
use crate::disk::WriteSeq;
use crate::message::AppendResult;
use crate::types::{LogIndex, NodeId, Term};

/// How far ahead of this server's term a call's may be. Anybody who reaches the port can make calls, and
/// terms cannot be taken back: without a bound one call could use up all there are.
const MAX_TERM_STEP: u64 = 1 << 20;

/// A call whose answer waits for the disk.
#[derive(Clone, Debug)]
pub(super) struct PendingCall {
    pub(super) token: Token,
    /// The batch that carries the hard state behind the answer.
    needs: WriteSeq,
    answer: Pending,
}

#[derive(Clone, Debug)]
enum Pending {
    Ready(CallReply),
    /// Entries up to here, taken from the leader of this term, have to be durable.
    Entries(LogIndex, Term),
}

impl Replica {
    /// Answers a documented RPC, once what the answer rests on is durable.
    pub(super) fn call(&mut self, token: Token, from: &NodeId, call: Call) {
        let term = match &call {
            Call::RequestVote(request) => request.term,
            Call::AppendEntries(append) => append.term,
        };
        if let Some(reason) = self.reason_to_refuse_call(from, term) {
            let reply = CallReply::Refused { reason };
            return self.actions.push(Action::CallReply { token, reply });
        }
        let answer = match call {
            Call::RequestVote(request) => {
                Pending::Ready(CallReply::Vote(self.consensus.handle_request_vote(from, &request)))
            }
            Call::AppendEntries(append) => {
                let end = LogIndex(append.prev_log_index.0.saturating_add(append.entries.len() as u64));
                match self.consensus.append_from_leader(from, append) {
                    AppendResult::Matched { .. } => Pending::Entries(end, self.consensus.term()),
                    result => Pending::Ready(CallReply::Append { term: self.consensus.term(), result }),
                }
            }
        };
        self.calls.push(PendingCall { token, needs: self.state_needed(), answer });
    }

    fn reason_to_refuse_call(&self, from: &NodeId, term: Term) -> Option<String> {
        if !self.is_peer(from) {
            return Some(format!("{from} is not another member of this cluster"));
        }
        let most = Term::MAX.min(Term(self.consensus.term().0.saturating_add(MAX_TERM_STEP)));
        if term > most {
            return Some(format!("term {term} is too far ahead: this node takes calls up to term {most}"));
        }
        if !self.consensus.admission.is_admitted() {
            return Some("this node's data directory is new and it takes no part yet".to_string());
        }
        None
    }

    /// Answers the calls whose foundations are durable.
    pub(super) fn finish_calls(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let (durable, term) = (self.consensus.log.durable(), self.consensus.term());
        let is_term_stored = self.is_stored(self.state_needed());
        for call in core::mem::take(&mut self.calls) {
            let reply = match &call.answer {
                _ if !self.is_stored(call.needs) => None,
                Pending::Ready(reply) => Some(reply.clone()),
                // The answer speaks of another term than the call did: that one has to be durable too.
                Pending::Entries(_, taken_in) if *taken_in != term => {
                    is_term_stored.then_some(CallReply::Append { term, result: AppendResult::StaleTerm })
                }
                Pending::Entries(end, _) if *end <= durable => {
                    Some(CallReply::Append { term, result: AppendResult::Matched { match_index: *end } })
                }
                Pending::Entries(..) => None,
            };
            match reply {
                Some(reply) => self.actions.push(Action::CallReply { token: call.token, reply }),
                None => self.calls.push(call),
            }
        }
    }

    pub(super) fn refuse_call(&mut self, token: Token) {
        let reason = "this node has stopped working".to_string();
        self.actions.push(Action::CallReply { token, reply: CallReply::Refused { reason } });
    }
}
