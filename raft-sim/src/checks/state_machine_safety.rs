//! State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
//! server will ever apply a different log entry for the same index (paper §5.4.3). Nor the same one with
//! another answer, nor only some of them: the sessions decide alike everywhere (dissertation §6.3).

use raft_core::types::LogIndex;

use super::Server;
use crate::machine::Executed;

pub(crate) struct StateMachineSafety {
    /// What executing the log gives, in order, as far as any server has come.
    executed: Vec<Executed>,
    /// Up to where that is known to be all there is.
    applied: LogIndex,
    /// How much of it each server has executed.
    done: Vec<Done>,
}

/// What a server has executed.
#[derive(Clone, Debug, Default)]
struct Done {
    /// How often its state was made from a snapshot.
    restored: u64,
    /// So many commands are in that snapshot.
    before: usize,
    /// So many it has executed since.
    since: usize,
}

impl StateMachineSafety {
    pub(crate) fn new(servers: usize) -> StateMachineSafety {
        StateMachineSafety {
            executed: Vec::new(),
            applied: LogIndex::ZERO,
            done: vec![Done::default(); servers],
        }
    }

    pub(crate) fn starts(&mut self, at: usize) {
        self.done[at] = Done::default();
    }

    pub(crate) fn executed(&self) -> &[Executed] {
        &self.executed
    }

    pub(crate) fn check(&mut self, server: &Server<'_>) {
        let (id, done) = (server.id, &mut self.done[server.at]);
        let applied = server.replica.last_applied();
        if server.memory.restored() != done.restored {
            // Where the snapshot ends shows by what was executed next. The state hash says if it is right.
            let next = server.memory.executed_since(0).first().map_or(applied.next(), |next| next.index);
            let before = self.executed.partition_point(|executed| executed.index < next);
            *done = Done { restored: server.memory.restored(), before, since: 0 };
        }
        for executed in server.memory.executed_since(done.since) {
            match self.executed.get(done.before + done.since) {
                Some(known) => {
                    let is_spoiled = server.spoiled.is_some_and(|entry| entry.index == executed.index);
                    let is_same = *known == executed || (is_spoiled && known.answer == executed.answer);
                    assert!(is_same, "State Machine Safety: {id} executed {executed:?}, others {known:?}");
                }
                None => {
                    let index = executed.index;
                    assert!(
                        index > self.applied,
                        "State Machine Safety: {id} executed {index}, others did not"
                    );
                    self.executed.push(executed);
                }
            }
            done.since += 1;
        }
        let count = done.before + done.since;
        let missing = self.executed.get(count).filter(|executed| executed.index <= applied);
        assert!(missing.is_none(), "State Machine Safety: {id} did not execute {missing:?}");
        self.applied = self.applied.max(applied);
    }
}
