//! What can happen next.

use std::fmt;
use std::sync::Arc;

use raft_core::entry::{Entry, Payload};
use raft_core::message::{AppendResult, Message};
use raft_core::replica::Role;

use crate::names::Place;
use crate::packet::Packet;
use crate::server::View;

/// One step of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The server it happens to.
    pub server: Place,
    /// What happens.
    pub kind: Kind,
    /// Whether the server's disk leaves it waiting for what the step wrote.
    pub slow: bool,
}

/// The kinds of step.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An election timeout passes without a leader's word; at a leader, without a majority's.
    Timeout,
    /// A leader's heartbeat is due.
    Heartbeat,
    /// A message arrives; those sent before it over the same link are lost, unless it overtakes them.
    Deliver(Arc<Packet>, Way),
    /// A client proposes its command of this number.
    Propose(u8),
    /// A client asks its question of this number.
    Read(u8),
    /// The disk answers.
    Persist,
    /// The process dies, and another starts from the disk.
    Crash {
        /// Whether writes that the disk has not answered for are there all the same.
        kept: bool,
    },
}

/// How a message comes through its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Before any that was sent later.
    InOrder,
    /// Before some that were sent earlier.
    Overtaking,
    /// For the first time of two.
    Twice,
}

impl Kind {
    /// Whether it is one of the faults that bounds count together, at a server that looks like this.
    pub(crate) fn is_fault(&self, server: &View) -> bool {
        match self {
            Kind::Timeout => server.role == Role::Leader,
            Kind::Deliver(_, way) => *way != Way::InOrder,
            Kind::Crash { .. } => true,
            Kind::Heartbeat | Kind::Propose(_) | Kind::Read(_) | Kind::Persist => false,
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Deliver(a, way), Kind::Deliver(b, other)) => a.is_like(b) && way == other,
            (Kind::Propose(a), Kind::Propose(b)) | (Kind::Read(a), Kind::Read(b)) => a == b,
            (Kind::Crash { kept }, Kind::Crash { kept: other }) => kept == other,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server;
        match &self.kind {
            Kind::Timeout => write!(f, "{server} hears nobody for an election timeout")?,
            Kind::Heartbeat => write!(f, "{server} sends heartbeats")?,
            Kind::Deliver(packet, way) => {
                write!(f, "{server} receives from {}: {}", packet.from, Told(&packet.message))?;
                match way {
                    Way::InOrder => {}
                    Way::Overtaking => write!(f, " (out of order)")?,
                    Way::Twice => write!(f, " (it will come again)")?,
                }
            }
            Kind::Propose(number) => write!(f, "a client proposes command {number} to {server}")?,
            Kind::Read(number) => write!(f, "a client asks {server} its question {number}")?,
            Kind::Persist => write!(f, "the disk of {server} answers")?,
            Kind::Crash { kept: false } => write!(f, "{server} crashes and restarts from what is durable")?,
            Kind::Crash { kept: true } => {
                write!(f, "{server} crashes and restarts, with what it wrote and did not flush")?;
            }
        }
        if self.slow { write!(f, "; its disk takes its time") } else { Ok(()) }
    }
}

/// A message in the words of the paper.
struct Told<'a>(&'a Message);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::RequestVote(r) => {
                let what = if r.pre_vote { "would you vote for me" } else { "RequestVote" };
                write!(f, "{what}, term {}, last entry {}/{}", r.term, r.last_log_index, r.last_log_term)
            }
            Message::VoteReply(r) => {
                let what = if r.pre_vote { "pre-vote" } else { "vote" };
                match &r.refusal {
                    None => write!(f, "{what} granted, term {}", r.term),
                    Some(refusal) => write!(f, "{what} refused, term {}: {refusal}", r.term),
                }
            }
            Message::AppendEntries(a) => {
                write!(f, "AppendEntries, term {}, after {}/{}", a.term, a.prev_log_index, a.prev_log_term)?;
                if a.entries.is_empty() {
                    write!(f, ", no entries")?
                } else {
                    write!(f, ", ")?
                }
                write!(f, "{}, commit {}", entries(&a.entries), a.leader_commit)?;
                if a.round.0 > 0 { write!(f, ", round {}", a.round.0) } else { Ok(()) }
            }
            Message::AppendReply(r) => match r.result {
                AppendResult::Matched { match_index } => {
                    write!(f, "the logs match up to {match_index}, term {}", r.term)?;
                    if r.round.0 > 0 { write!(f, ", round {}", r.round.0) } else { Ok(()) }
                }
                AppendResult::Conflict { rejected, hint_index, hint_term } => {
                    write!(f, "no match at {rejected}, perhaps at {hint_index}/{hint_term}, term {}", r.term)
                }
                AppendResult::StaleTerm => write!(f, "your term is over, term {}", r.term),
            },
            Message::Forward { command, .. } => write!(f, "a client's command {:?}", &command.data[..]),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Entries as `index/term`, with what they hold.
pub(crate) fn entries(entries: &[Entry]) -> String {
    let told = entries.iter().map(|entry| {
        let what = match &entry.payload {
            Payload::Genesis(_) => "first".to_owned(),
            Payload::Configuration(_) => "configuration".to_owned(),
            Payload::Snapshot => "snapshot".to_owned(),
            Payload::Noop => "opens the term".to_owned(),
            Payload::Command(command) => format!("command {}", command.data[0]),
        };
        format!("[{}/{} {what}]", entry.index, entry.term)
    });
    told.collect::<Vec<_>>().join("")
}
