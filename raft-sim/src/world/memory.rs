//! Memory that fails: what a server holds is not what it was told. Raft promises nothing then; the state hash
//! chain of `raft_core::replica` is there to find it.
//!
//! So that the others can tell who is wrong, and need nothing that only the damaged server has, one at most
//! is damaged at a time, of three or more.

use std::time::Duration;

use raft_core::consensus::EntryLog;
use raft_core::entry::{Entry, Payload};
use raft_core::kv::Command;
use raft_core::message::Message;
use raft_core::replica::DIGEST_EVERY;
use raft_core::types::LogIndex;

use super::World;
use super::node::Node;
use crate::fault::Fault;
use crate::history::key_name;
use crate::machine::flipped;

/// No message comes later than this after it was sent.
const LATEST: Duration = Duration::from_secs(10);

impl World {
    /// Whether nobody has lost anything that others may have to make up for.
    pub(super) fn all_are_sound(&self) -> bool {
        let is_sound = |node: &Node| !node.was_wiped && node.spoiled.is_none() && !node.memory.is_damaged();
        self.nodes.iter().all(is_sound)
    }

    /// Whether memory may fail: where members come and go, nobody could tell for certain that the others can
    /// do without the damaged one; and a snapshot of damaged memory would be the only copy of what it holds.
    /// A leader whose disk is full has one taken too.
    pub(super) fn memory_may_fail(&self) -> bool {
        let takes_snapshots = self.plan.snapshot_every.is_some() || self.faults.may_strike(Fault::FullDisk);
        let may = self.plan.spares == 0 && !takes_snapshots;
        may && self.plan.servers > 2 && self.all_are_sound()
    }

    /// A bit of a value turns over in a store, from this server and a key on the first that there is.
    pub(super) fn flip_state_bit(&mut self, first: usize) {
        let (servers, keys) = (self.nodes.len(), self.plan.keys);
        let first_key = self.faults.dice(Fault::StateBit).index(keys);
        let flip = |step: usize| {
            let (at, key) = ((first + step / keys) % servers, (first_key + step) % keys);
            let node = &self.nodes[at];
            (node.is_up() && node.memory.flip_bit(&key_name(key))).then_some((at, key))
        };
        let Some((at, key)) = (0..servers * keys).find_map(flip) else { return };
        self.counts.damaged += 1;
        self.nodes[at].was_found_out = false;
        // No recording knows of that.
        self.nodes[at].tape = None;
        self.now_tell(|| format!("n{} holds another value of k{key}", at + 1));
    }

    /// A bit of a value turns over in an entry that comes to a server. It must be one that all others have
    /// on their disks, and that is committed: none of them will ever ask this server for it.
    pub(super) fn spoil_on_arrival(&mut self, to: usize, message: &mut Message) {
        let Message::AppendEntries(append) = message else { return };
        if !self.faults.may_strike(Fault::EntryBit) || !self.memory_may_fail() {
            return;
        }
        let has = |at: usize, entry: &Entry| self.checks.has_safe(at, entry);
        let is_settled = |(_, entry): &(usize, &Entry)| {
            self.checks.is_committed(entry) && (0..self.nodes.len()).all(|at| has(at, entry) != (at == to))
        };
        let mut settled = append.entries.iter().enumerate().filter(is_settled);
        let flip = |(place, entry)| Some((place, with_a_bit_flipped(entry)?));
        let Some((place, other)) = settled.find_map(flip) else { return };
        if self.faults.strikes(Fault::EntryBit) {
            self.now_tell(|| format!("n{} will hold another entry {}", to + 1, other.index));
            self.counts.damaged += 1;
            append.entries[place] = other.clone();
            (self.nodes[to].spoiled, self.nodes[to].was_found_out) = (Some(other), false);
        }
    }

    /// Whether what a server knows may be wrong.
    pub(super) fn is_damaged(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        node.memory.is_damaged() || node.spoiled_log().is_some()
    }

    /// Whether an answer may be wrong because of damaged memory: that of a damaged server, and, where an
    /// entry was damaged, that of any server to which a damaged leader has passed the outcome on.
    pub(super) fn may_be_wrong(&self, at: usize) -> bool {
        self.is_damaged(at) || self.nodes.iter().any(|node| node.spoiled.is_some())
    }

    /// A process ends: what it made of damaged memory is on its way for some seconds yet.
    pub(super) fn end_damage(&mut self, at: usize) {
        if self.is_damaged(at) {
            self.wrong_until = self.now + LATEST;
        }
    }

    /// A server has given up because its state is not the others'.
    pub(super) fn found_out(&mut self, at: usize) {
        // Of two that are alone together, nobody can tell which is wrong; and what a damaged leader said may
        // come late.
        let is_late = self.now <= self.wrong_until;
        let is_possible = is_late || (0..self.nodes.len()).any(|at| self.is_damaged(at));
        assert!(is_possible, "State Hash: n{} gives up, and no memory is damaged", at + 1);
        if self.is_damaged(at) && !self.nodes[at].was_found_out {
            self.nodes[at].was_found_out = true;
            self.counts.found_out += 1;
        }
    }

    /// Whether a damaged server has applied enough that the others must find it out.
    pub(super) fn is_due(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let Some(replica) = &node.replica else { return false };
        let digest_after = |index: LogIndex| LogIndex(index.0.next_multiple_of(DIGEST_EVERY));
        let state = node.memory.shows_from().map(digest_after);
        [state, node.spoiled_log()].into_iter().flatten().any(|index| index <= replica.last_applied())
    }
}

impl Node {
    /// Which entry of its log is not what the others have there.
    pub(crate) fn spoiled_log(&self) -> Option<LogIndex> {
        let (spoiled, replica) = (self.spoiled.as_ref()?, self.replica.as_ref()?);
        let log: &EntryLog = replica.consensus().log();
        (log.get(spoiled.index) == Some(spoiled)).then_some(spoiled.index)
    }
}

fn with_a_bit_flipped(entry: &Entry) -> Option<Entry> {
    let Payload::Command(command) = &entry.payload else { return None };
    let Command::Set { key, value } = Command::decode(&command.data)? else { return None };
    let mut command = command.clone();
    command.data = Command::Set { key, value: flipped(&value) }.encode();
    Some(Entry { payload: Payload::Command(command), ..entry.clone() })
}
