//! Those who administer the cluster: they ask a server for something, and believe what it tells them.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::replica::{Administered, Event, Refused, Reply, Task, Token};
use raft_core::types::LogIndex;

use super::World;
use crate::fault::Fault;

/// Their tokens begin here: clients' begin at zero.
const FIRST: u64 = 1 << 62;

/// Their tasks.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    asked: u64,
    /// Of that, changes of the members.
    changes: u64,
    open: BTreeMap<Token, Asked>,
    /// Of the answers, those that left it open whether what was asked for will be done.
    doubts: u64,
}

/// What an operator waits for.
#[derive(Debug)]
struct Asked {
    /// Which server was asked, and which life of it.
    of: (usize, u64),
    /// Up to here all was committed then: nothing more can have been acknowledged.
    committed: LogIndex,
}

impl Operators {
    /// Whether the token is one of theirs.
    pub(super) fn own(token: Token) -> bool {
        token.0 >= FIRST
    }

    /// Whether something may yet be done that somebody asked for.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubts > 0 || !self.open.is_empty()
    }

    /// Whether a change of the members was ever asked for.
    pub(super) fn has_changed_members(&self) -> bool {
        self.changes > 0
    }
}

impl World {
    /// An operator wants another leader, or one of his choice.
    pub(super) fn order_transfer(&mut self, at: usize) {
        let servers = self.nodes.len();
        let dice = self.faults.dice(Fault::Transfer);
        let (names, to, patience) = (dice.one_in(2), dice.index(servers), dice.between(100, 2000));
        let to = names.then(|| self.nodes[to].id.clone());
        self.order(at, Task::Transfer { to }, patience);
    }

    /// An operator wants a snapshot.
    pub(super) fn order_snapshot(&mut self, at: usize) {
        let patience = self.faults.dice(Fault::TakeSnapshot).between(100, 5000);
        self.order(at, Task::Snapshot, patience);
    }

    /// An operator asks a server for something, and waits so many milliseconds.
    pub(super) fn order(&mut self, at: usize, task: Task, patience: u64) {
        let node = &self.nodes[at];
        if !node.is_up() {
            return;
        }
        let deadline = node.clock.read(self.now) + Duration::from_millis(patience);
        let token = Token(FIRST + self.operators.asked);
        self.operators.asked += 1;
        self.operators.changes += u64::from(matches!(task, Task::Change(_)));
        let committed = LogIndex(self.checks.committed().len() as u64);
        self.operators.open.insert(token, Asked { of: (at, node.life), committed });
        self.now_tell(|| format!("operator asks n{} to {task}", at + 1));
        self.comes_in(at, Event::Administer { token, deadline, task });
    }

    /// Whether a server that runs still owes an operator an answer: it may yet begin what it was asked for.
    pub(super) fn owes_operators(&self) -> bool {
        let lives =
            |Asked { of: (at, life), .. }: &Asked| self.nodes[*at].is_up() && self.nodes[*at].life == *life;
        self.operators.open.values().any(lives)
    }

    /// A server answers an operator.
    pub(super) fn operator_hears(&mut self, at: usize, token: Token, reply: &Reply) {
        let asked = self.operators.open.remove(&token);
        let asked = asked.filter(|asked| asked.of == (at, self.nodes[at].life));
        let Some(Asked { committed, .. }) = asked else {
            panic!("Answers: {} answers an operator who asked nothing", self.nodes[at].id)
        };
        self.now_tell(|| format!("operator hears of {}: {reply:?}", token.0 - FIRST));
        self.operators.doubts += u64::from(*reply == Reply::Refused(Refused::Unknown));
        if let Reply::Administered(Administered::Changed { index }) = reply {
            self.counts.changes += 1;
            let is_committed = self.checks.committed_at(*index).is_some();
            assert!(is_committed, "Answers: the change at {index} is said to be done and is not committed");
        }
        if let Reply::Administered(Administered::SnapshotTaken { index, .. }) = reply {
            let is_whole = self.checks.is_snapshot_anywhere(*index);
            assert!(is_whole, "Answers: a snapshot of {index} is said to be taken, and nobody had it whole");
            assert!(
                *index > committed,
                "Answers: the snapshot of {index} lacks what was acknowledged before"
            );
        }
        if let Reply::Administered(Administered::Transferred { leader, term }) = reply
            && !self.may_be_wrong(at)
        {
            let leads = self.nodes.iter().position(|node| node.id == *leader);
            let elected = self.checks.leader_of(*term);
            assert!(elected.is_some() && elected == leads, "Answers: {leader} did not win term {term}");
        }
    }
}
