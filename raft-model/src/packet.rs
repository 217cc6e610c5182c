//! Messages in flight.

use raft_core::message::{AppendResult, Message};
use raft_core::replica::Role;
use raft_core::replica::model::project_message;

use crate::bounds::Bounds;
use crate::names::{Place, Renaming};
use crate::print::{Transcript, mix};
use crate::server::View;

/// A message on its way.
#[derive(Debug)]
pub struct Packet {
    /// Its sender.
    pub from: Place,
    /// Its receiver.
    pub to: Place,
    /// What it says.
    pub message: Message,
    /// The message's fingerprint, apart from who sends it to whom.
    content: u64,
}

impl Packet {
    pub(crate) fn new(from: Place, to: Place, message: Message) -> Packet {
        let mut transcript = Transcript::default();
        project_message(&message, &mut transcript);
        let content = std::hash::Hasher::finish(&transcript);
        Packet { from, to, message, content }
    }

    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// Its fingerprint after a renaming.
    pub(crate) fn print(&self, renaming: &Renaming) -> u64 {
        let ends = u64::from(renaming.of(self.from)) << 8 | u64::from(renaming.of(self.to));
        mix(self.content ^ mix(ends + 1))
    }

    /// Whether two packets are the same to everyone.
    pub(crate) fn is_like(&self, other: &Packet) -> bool {
        (self.from, self.to, self.content) == (other.from, other.to, other.content)
    }

    /// Whether both go from the same server to the same server.
    pub(crate) fn same_link(&self, other: &Packet) -> bool {
        (self.from, self.to) == (other.from, other.to)
    }

    /// Whether it belongs to a stream that ends with either process. The protocol's own messages may come
    /// late, twice and to another process; what clients have passed on may not.
    pub(crate) fn is_client_traffic(&self) -> bool {
        matches!(
            self.message,
            Message::Forward { .. }
                | Message::ForwardReply { .. }
                | Message::ReadIndex { .. }
                | Message::ReadIndexReply { .. }
                | Message::Administer { .. }
                | Message::AdministerReply { .. }
        )
    }

    /// Whether it can never again change anything: an answer to a question of a past term, a refusal that
    /// brings no later term, a question whose answer is such a refusal. Terms only grow, but for those that
    /// a crash takes back because they were not durable; a server leads or stands in a term only once. To
    /// leave such a packet out joins states with the same future.
    pub(crate) fn is_dead(&self, sender: &View, receiver: &View, bounds: &Bounds) -> bool {
        // Within the bounds, the sender can learn of no later term.
        let knows_last_term = sender.durable_term.0 >= bounds.terms;
        match &self.message {
            _ if bounds.keep_dead => false,
            Message::VoteReply(reply) if reply.refusal.is_some() => reply.term <= receiver.durable_term,
            // A granted pre-vote names the term asked about, the one after the asker's.
            Message::VoteReply(reply) if reply.pre_vote => reply.term <= receiver.durable_term,
            Message::VoteReply(reply) => {
                reply.term < receiver.term
                    || (reply.term == receiver.term && receiver.role != Role::Candidate)
            }
            Message::AppendReply(reply) if reply.result == AppendResult::StaleTerm => {
                reply.term <= receiver.durable_term
            }
            Message::AppendReply(reply) => {
                reply.term < receiver.term || (reply.term == receiver.term && receiver.role != Role::Leader)
            }
            Message::RequestVote(request) if !request.pre_vote => {
                let decided = receiver.durable_vote.is_some() && receiver.durable_term == request.term;
                knows_last_term && (decided || receiver.durable_term > request.term)
            }
            Message::AppendEntries(append) => knows_last_term && append.term < receiver.durable_term,
            _ => false,
        }
    }
}
