//! What an operator wants done with the cluster: it goes to whoever leads, as commands do, and is answered
//! when it is done or cannot be.
//!
//! A task is no command: it is not in the log, and no session protects it. Where its way is lost, one that
//! does no harm twice is handed on again; of any other the operator is told that nobody knows.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::clients::{Clients, Kind};
use super::event::{Refused, Reply, Role, Token};
use super::membership::AwaitedChange;
use super::snapshots::AwaitedSnapshot;
use super::{Origin, Replica};
use crate::consensus::{Change, ChangeRefused};
use crate::message::{Message, RequestId, TaskOutcome};
use crate::types::{LogIndex, NodeId, Term, Time};

/// Something to be done with the cluster by its leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Task {
    /// Hand leadership over (dissertation §3.10). Done once another leader is known.
    Transfer {
        /// To this voter; where none is named, to the one that has most of the log.
        to: Option<NodeId>,
    },
    /// Change the members. Done once the change is committed and nothing of it is still to come.
    Change(Change),
    /// Take a snapshot now (paper §7), on all servers, of what was acknowledged before it was asked for and
    /// maybe more. Done once the leader's own is kept.
    Snapshot,
}

impl Task {
    /// Whether doing it a second time does no harm.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match self {
            Task::Transfer { to } => to.is_some(),
            Task::Change(_) | Task::Snapshot => true,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::Transfer { to: Some(to) } => write!(f, "transfer to {to}"),
            Task::Transfer { to: None } => f.write_str("transfer"),
            Task::Change(change) => write!(f, "{change}"),
            Task::Snapshot => f.write_str("snapshot"),
        }
    }
}

/// A task that was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Administered {
    /// Leadership is where it was wanted.
    Transferred {
        /// Who leads.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
    /// The members are as was asked for.
    Changed {
        /// Where the configuration that says so stands in the log.
        index: LogIndex,
    },
    /// The leader has a snapshot; the others have one of the same log index, or are about to.
    SnapshotTaken {
        /// The log index whose state it holds.
        index: LogIndex,
        /// The length of its file in bytes.
        bytes: u64,
        /// From its mark in the log until it was kept.
        took: Duration,
    },
}

impl fmt::Display for Administered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Administered::Transferred { leader, term } => write!(f, "{leader} leads term {term}"),
            Administered::Changed { index } => write!(f, "the members are changed, at log index {index}"),
            Administered::SnapshotTaken { index, bytes, took } => {
                let ms = took.as_millis();
                write!(f, "a snapshot of log index {index} was taken: {bytes} bytes, in {ms} ms")
            }
        }
    }
}

/// Why a leader did not do a task. All is as it was, unless the reason says something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum TaskRefused {
    /// The cluster has no such member.
    #[error("{node_id} is not a member of this cluster")]
    NoSuchMember {
        /// Who was named.
        node_id: NodeId,
    },
    /// It has no vote, and so cannot lead.
    #[error("{node_id} does not vote, and so cannot lead")]
    NotAVoter {
        /// Who was named.
        node_id: NodeId,
    },
    /// The leader has no stream to it, or has not heard from it in its term.
    #[error("the leader is not in touch with {node_id}")]
    NotConnected {
        /// Who was named.
        node_id: NodeId,
    },
    /// The leader is in touch with no other voter.
    #[error("there is nobody to hand over to: the leader is in touch with no other voter")]
    NobodyThere,
    /// Leadership is being handed over to another server already.
    #[error("leadership is being handed over to {to} already")]
    TransferUnderWay {
        /// To whom.
        to: NodeId,
    },
    /// The members were not changed.
    #[error(transparent)]
    Change(ChangeRefused),
    /// The server did not take over within an election timeout (dissertation §3.10): the leader goes on.
    #[error("{node_id} did not take over within an election timeout: the leader goes on leading")]
    NotTakenOver {
        /// Who was to lead.
        node_id: NodeId,
    },
    /// The leader stepped down, and a server other than the one that was named leads now.
    #[error("{leader} was elected instead, in term {term}")]
    AnotherLeads {
        /// Who leads.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
    /// The state machine takes none.
    #[error("the state machine takes no snapshots")]
    NoSnapshots,
    /// It could not be written. The log is kept until one can.
    #[error("a snapshot could not be written: {reason}")]
    SnapshotFailed {
        /// In words.
        reason: String,
    },
}

impl TaskRefused {
    /// A stable word for it, for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            TaskRefused::NoSuchMember { .. } => "no_such_member",
            TaskRefused::NotConnected { .. } => "not_connected",
            TaskRefused::NobodyThere => "nobody_there",
            TaskRefused::TransferUnderWay { .. } => "transfer_under_way",
            TaskRefused::NotTakenOver { .. } => "not_taken_over",
            TaskRefused::AnotherLeads { .. } => "another_leads",
            TaskRefused::NotAVoter { .. } => "not_a_voter",
            TaskRefused::NoSnapshots => "no_snapshots",
            TaskRefused::SnapshotFailed { .. } => "snapshot_failed",
            TaskRefused::Change(why) => why.name(),
        }
    }
}

/// Tasks on their way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Administration {
    /// No leader to hand them to.
    pub(super) parked: VecDeque<(Token, Task)>,
    /// The leader of this term answered that it does not lead: not before this time to that one again.
    pub(super) retry_at: Option<(Time, Term)>,
    pub(super) forwarded: BTreeMap<RequestId, Forwarded>,
    pub(super) next_request: RequestId,
    pub(super) handover: Option<Handover>,
    pub(super) changes: Vec<AwaitedChange>,
    pub(super) snapshots: Vec<AwaitedSnapshot>,
}

/// A task that is with the leader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    pub(super) token: Token,
    pub(super) to: NodeId,
    pub(super) task: Task,
}

/// A handover that somebody waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Handover {
    /// Of this leader's term.
    pub(super) term: Term,
    pub(super) target: NodeId,
    /// Who asked, and whom he named.
    pub(super) waiting: Vec<(Origin, Option<NodeId>)>,
}

impl Administration {
    /// Those who wait for one handover, at most.
    const MAX_WAITING: usize = 256;

    pub(super) fn new(next_request: RequestId) -> Administration {
        Administration { next_request, ..Administration::default() }
    }

    /// Lets go of what is not begun, and whose client no longer waits for it.
    pub(super) fn forget_answered(&mut self, clients: &Clients) {
        self.parked.retain(|(token, _)| clients.is_open(*token));
        self.snapshots.retain(|awaited| awaited.is_open(clients));
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.retry_at.filter(|_| !self.parked.is_empty()).map(|(at, _)| at)
    }
}

impl Replica {
    /// An operator's task.
    pub(super) fn administer(&mut self, token: Token, deadline: Time, task: Task) {
        if self.takes_up(token, deadline) {
            self.hand_task_on(token, task);
        }
    }

    /// Hands a task on to whoever leads.
    fn hand_task_on(&mut self, token: Token, task: Task) {
        let waiting = self.administration.retry_at.is_some();
        if self.consensus.role() == Role::Leader {
            self.clients.now_is(token, Kind::HandedOn);
            self.perform(Origin::Client(token), &task);
        } else if let Some(leader) = self.other_leader().filter(|_| !waiting) {
            let request = self.ask_to(&leader, task.clone());
            self.administration.forwarded.insert(request, Forwarded { token, to: leader, task });
            self.clients.now_is(token, Kind::HandedOn);
        } else {
            self.administration.parked.push_back((token, task));
        }
    }

    /// Asks the leader, if that is another server, for something whose answer nobody waits for. Whether it
    /// could be asked.
    pub(super) fn ask_leader_alone(&mut self, task: &Task) -> bool {
        let Some(leader) = self.other_leader() else { return false };
        self.ask_to(&leader, task.clone());
        true
    }

    fn ask_to(&mut self, leader: &NodeId, task: Task) -> RequestId {
        let request = self.administration.next_request;
        self.administration.next_request = RequestId(request.0 + 1);
        self.consensus.send(leader, Message::Administer { request, task });
        request
    }

    /// Hands on what waited for a leader, now that there may be one.
    pub(super) fn resume_tasks(&mut self) {
        let leads = self.consensus.role() == Role::Leader;
        if leads || self.may_ask_again(self.administration.retry_at) {
            self.administration.retry_at = None;
        }
        let may_forward = self.other_leader().is_some() && self.administration.retry_at.is_none();
        if leads || may_forward {
            for (token, task) in core::mem::take(&mut self.administration.parked) {
                if self.clients.is_open(token) {
                    self.hand_task_on(token, task);
                }
            }
        }
    }

    /// A peer passes its operator's task on.
    pub(super) fn administer_for_peer(&mut self, from: &NodeId, request: RequestId, task: &Task) {
        let origin = Origin::Peer { id: from.clone(), request };
        if self.consensus.role() != Role::Leader || self.stopping.is_some() || self.stopped {
            return self.task_ends(origin, TaskOutcome::NotLeader);
        }
        self.perform(origin, task);
    }

    /// This leader does a task, or begins to.
    fn perform(&mut self, origin: Origin, task: &Task) {
        match task {
            Task::Transfer { to } => self.transfer(origin, to.clone()),
            Task::Change(change) => self.change_members(origin, change.clone()),
            Task::Snapshot => self.ask_for_snapshot(origin),
        }
    }

    fn transfer(&mut self, origin: Origin, to: Option<NodeId>) {
        if to.as_ref() == Some(&self.consensus.id) {
            let (leader, term) = (self.consensus.id.clone(), self.consensus.term());
            return self.task_ends(origin, TaskOutcome::Done(Administered::Transferred { leader, term }));
        }
        if let Some(under_way) = self.consensus.transfer_target().cloned() {
            return match &mut self.administration.handover {
                Some(handover) if handover.waiting.len() >= Administration::MAX_WAITING => {
                    self.task_ends(origin, TaskOutcome::Overloaded);
                }
                Some(handover) if to.is_none() || to.as_ref() == Some(&under_way) => {
                    handover.waiting.push((origin, to));
                }
                _ => {
                    let reason = TaskRefused::TransferUnderWay { to: under_way };
                    self.task_ends(origin, TaskOutcome::Refused(reason));
                }
            };
        }
        self.settle_handover();
        // Dissertation §3.10: a target that has not taken over within about an election timeout will not.
        let deadline = self.now + self.consensus.timing.election_timeout_max;
        match self.consensus.begin_transfer(to.as_ref(), deadline) {
            Ok(target) => {
                let (term, waiting) = (self.consensus.term(), alloc::vec![(origin, to)]);
                self.administration.handover = Some(Handover { term, target, waiting });
            }
            Err(reason) => self.task_ends(origin, TaskOutcome::Refused(reason)),
        }
    }

    /// Answers those who wait for a handover that has come to an end, one way or the other.
    pub(super) fn settle_handover(&mut self) {
        let Some(handover) = &self.administration.handover else { return };
        let term = self.consensus.term();
        let leads = self.consensus.role() == Role::Leader;
        let outcome = match self.consensus.leader() {
            Some(leader) if !leads && term > handover.term => Some(leader.clone()),
            _ if leads && (term > handover.term || !self.consensus.is_transferring()) => None,
            _ => return,
        };
        let Some(Handover { target, waiting, .. }) = self.administration.handover.take() else { return };
        for (origin, named) in waiting {
            let outcome = match outcome.clone() {
                None => TaskOutcome::Refused(TaskRefused::NotTakenOver { node_id: target.clone() }),
                Some(leader) if named.as_ref().is_none_or(|named| *named == leader) => {
                    TaskOutcome::Done(Administered::Transferred { leader, term })
                }
                Some(leader) => TaskOutcome::Refused(TaskRefused::AnotherLeads { leader, term }),
            };
            self.task_ends(origin, outcome);
        }
    }

    /// Tells whoever asked what became of a task.
    pub(super) fn task_ends(&mut self, origin: Origin, outcome: TaskOutcome) {
        match (origin, outcome) {
            (Origin::Peer { id, request }, outcome) => {
                self.consensus.send(&id, Message::AdministerReply { request, outcome });
            }
            (Origin::Client(token), TaskOutcome::Done(done)) => self.answer(token, Reply::Administered(done)),
            (Origin::Client(token), TaskOutcome::Refused(why)) => self.answer(token, Reply::Declined(why)),
            (Origin::Client(token), TaskOutcome::NotLeader) => {
                self.answer(token, Reply::Refused(Refused::NoLeader));
            }
            (Origin::Client(token), TaskOutcome::Overloaded) => {
                self.answer(token, Reply::Refused(Refused::Overloaded));
            }
        }
    }

    /// The leader says what became of a task.
    pub(super) fn task_answered(&mut self, from: &NodeId, request: RequestId, outcome: TaskOutcome) {
        if self.administration.forwarded.get(&request).is_none_or(|forwarded| forwarded.to != *from) {
            return;
        }
        let Some(Forwarded { token, task, .. }) = self.administration.forwarded.remove(&request) else {
            return;
        };
        if outcome == TaskOutcome::NotLeader {
            self.administration.retry_at = Some(self.not_soon());
            return self.park_task(token, task, Kind::Parked);
        }
        self.task_ends(Origin::Client(token), outcome);
    }

    /// This server does not lead any more, or leads again: whoever leads is to be asked for a task that was
    /// begun.
    pub(super) fn ask_again(&mut self, origin: Origin, task: Task) {
        match origin {
            Origin::Client(token) => self.park_task(token, task, Kind::Uncertain),
            origin @ Origin::Peer { .. } => self.task_ends(origin, TaskOutcome::NotLeader),
        }
    }

    fn park_task(&mut self, token: Token, task: Task, kind: Kind) {
        if self.clients.is_open(token) {
            self.clients.now_is(token, kind);
            self.administration.parked.push_back((token, task));
        }
    }

    /// The stream to a peer is gone, and with it its answers about tasks.
    pub(super) fn forget_tasks_with(&mut self, peer: &NodeId) {
        let lost = self.administration.forwarded.extract_if(.., |_, forwarded| forwarded.to == *peer);
        for (_, Forwarded { token, task, .. }) in lost.collect::<Vec<_>>() {
            if task.is_repeatable() {
                self.park_task(token, task, Kind::Uncertain);
            } else {
                self.answer(token, Reply::Refused(Refused::Unknown));
            }
        }
    }
}
