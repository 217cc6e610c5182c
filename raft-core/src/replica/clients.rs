//! Who waits for an answer, until when.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Replica;
use super::event::{Action, CommandResult, Refused, Reply, Token};
use crate::seeded::{self, Bug};
use crate::types::Time;

/// Requests of this node's clients that have no answer yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clients {
    pub(super) open: BTreeMap<Token, Open>,
    pub(super) deadlines: BTreeSet<(Time, Token)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) deadline: Time,
    pub(super) kind: Kind,
}

/// What the client waits for: it decides what an overdue request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A command or a task that has not left this replica's hands: it has had no effect.
    Parked,
    /// A task, or a command in the log, or with the leader: it may take effect.
    HandedOn,
    /// A command whose way was lost once: whatever becomes of a later attempt, the first may take effect.
    Uncertain,
    /// A question.
    Read,
}

impl Clients {
    /// Requests open at one time at most.
    pub(super) const MAX: usize = 32_768;

    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= Self::MAX
    }

    pub(super) fn is_open(&self, token: Token) -> bool {
        self.open.contains_key(&token)
    }

    pub(super) fn open(&mut self, token: Token, deadline: Time, kind: Kind) {
        self.open.insert(token, Open { deadline, kind });
        self.deadlines.insert((deadline, token));
    }

    pub(super) fn now_is(&mut self, token: Token, kind: Kind) {
        if let Some(open) = self.open.get_mut(&token)
            && open.kind != Kind::Uncertain
        {
            open.kind = kind;
        }
    }

    fn close(&mut self, token: Token) -> Option<Open> {
        let open = self.open.remove(&token)?;
        self.deadlines.remove(&(open.deadline, token));
        Some(open)
    }
}

impl Replica {
    /// Answers a client, unless it has had its answer. Where a command's way was lost once, no later refusal
    /// is certain.
    pub(super) fn answer(&mut self, token: Token, reply: Reply) {
        let Some(open) = self.clients.close(token) else { return };
        let reply = match reply {
            reply if open.kind == Kind::Uncertain && !tells_what_happened(&reply) => {
                Reply::Refused(Refused::Unknown)
            }
            reply => reply,
        };
        self.actions.push(Action::Answer { token, reply });
    }

    /// Answers those whose time is up.
    pub(super) fn expire_clients(&mut self) {
        let before = self.clients.open.len();
        while let Some(&(deadline, token)) = self.clients.deadlines.first()
            && deadline <= self.now
        {
            let refused = match self.clients.open.get(&token).map(|open| open.kind) {
                _ if seeded::is(Bug::UncertainToldNoEffect) => Refused::NoLeader,
                Some(Kind::HandedOn | Kind::Uncertain) => Refused::Unknown,
                Some(Kind::Read) if self.consensus.leader().is_some() => Refused::ReadTimeout,
                _ => Refused::NoLeader,
            };
            self.answer(token, Reply::Refused(refused));
        }
        if self.clients.open.len() < before {
            // Without a leader nothing else takes them out.
            self.writes.forget_answered(&self.clients);
            self.reads.forget_answered(&self.clients);
            self.administration.forget_answered(&self.clients);
        }
    }

    /// Answers everybody. A command that was handed on may still take effect, and its client is told so.
    pub(super) fn refuse_all(&mut self, reason: Refused) {
        while let Some((token, open)) = self.clients.open.pop_first() {
            let may_take_effect = matches!(open.kind, Kind::HandedOn | Kind::Uncertain);
            let refused = if may_take_effect { Refused::Unknown } else { reason };
            self.actions.push(Action::Answer { token, reply: Reply::Refused(refused) });
        }
        self.clients.deadlines.clear();
    }
}

/// Whether the reply to the last attempt at a command holds for all of them. A session that is not known (any
/// longer), or whose number was, says nothing about an attempt before.
fn tells_what_happened(reply: &Reply) -> bool {
    match reply {
        Reply::Done(outcome) => {
            !matches!(outcome.result, CommandResult::SessionExpired | CommandResult::SequenceReused)
        }
        Reply::Found(_) | Reply::Administered(_) | Reply::Declined(_) => true,
        Reply::Refused(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::*;
    use crate::consensus::{Configuration, Timing};
    use crate::kv::Store;
    use crate::log::{Identity, LogOptions, create};
    use crate::replica::{Options, Outcome, SnapshotEvery, Stored};
    use crate::types::{Incarnation, LogIndex, NodeId};

    fn replica() -> Replica {
        let id = NodeId::new("n1").unwrap();
        let identity = Identity::new(id.clone(), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let options = Options {
            configuration: Configuration::new([id]),
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::from_micros(0),
        };
        Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options)
    }

    fn told(kind: Kind, reply: Reply) -> Reply {
        let mut replica = replica();
        replica.clients.open(Token(1), Time::from_micros(1), kind);
        replica.answer(Token(1), reply);
        let answers: Vec<Action> = replica.actions;
        match answers.into_iter().next() {
            Some(Action::Answer { reply, .. }) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn after_a_lost_attempt_no_refusal_is_certain() {
        let done = |result| Reply::Done(Outcome { index: LogIndex(9), result });
        for refusal in [
            Reply::Refused(Refused::NoLeader),
            Reply::Refused(Refused::Overloaded),
            done(CommandResult::SessionExpired),
            done(CommandResult::SequenceReused),
        ] {
            assert_eq!(told(Kind::HandedOn, refusal.clone()), refusal);
            assert_eq!(told(Kind::Uncertain, refusal), Reply::Refused(Refused::Unknown));
        }
        let executed = done(CommandResult::Answer(bytes::Bytes::new()));
        assert_eq!(told(Kind::Uncertain, executed.clone()), executed);
    }
}
