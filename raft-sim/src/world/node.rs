//! One server: a machine with a disk and a clock, on which processes come and go.

use std::collections::BTreeSet;

use raft_core::disk::{AsideOp, AsideSeq, WriteSeq};
use raft_core::entry::Entry;
use raft_core::replica::{Event, Replica};
use raft_core::types::{Incarnation, LogIndex, NodeId, Time};

use super::clock::Clock;
use super::disk::Disk;
use super::recording::Tape;
use crate::checks::Server;
use crate::machine::Memory;

pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    /// Its process, if one runs.
    pub(crate) replica: Option<Replica>,
    /// Where its process's store lives.
    pub(crate) memory: Memory,
    /// Whether it has been switched on: a spare machine is once it is to be added.
    pub(crate) is_in_use: bool,
    /// Whether it was there from the beginning; others wait to be added.
    pub(crate) is_original: bool,
    /// To whom it was last seen to it that there is a connection: where its configuration stood, and how many
    /// others it had met.
    pub(crate) dialled: (LogIndex, usize),
    /// Who it was told does not know yet that he was removed.
    pub(crate) former: BTreeSet<usize>,
    /// Which process this is, or was, from 1. What was meant for an earlier one comes to nothing.
    pub(crate) life: u64,
    /// What has come in and was not looked at.
    pub(crate) inbox: Vec<Event>,
    /// When it next looks, if that is settled.
    pub(crate) wakes_at: Option<Time>,
    /// Until when it stands still.
    pub(crate) paused_until: Time,
    pub(crate) was_wiped: bool,
    /// An entry that was damaged before it came into its log, if it came there.
    pub(crate) spoiled: Option<Entry>,
    /// Whether others have found that its state is not theirs.
    pub(crate) was_found_out: bool,
    /// Since when, by its own clock, the disk owes the process an answer that it has not looked at.
    pub(crate) owes_since: Option<Time>,
    /// What its disk does aside of the log.
    pub(crate) aside: Option<AsideOp>,
    /// Whether there is no room on its disk.
    pub(crate) is_full: bool,
    /// What is recorded of its process.
    pub(crate) tape: Option<Tape>,
}

impl Node {
    pub(crate) fn new(at: usize, id: NodeId, is_original: bool) -> Node {
        Node {
            at,
            id,
            incarnation: Incarnation(at as u64 + 1),
            disk: Disk::default(),
            clock: Clock::started(Time::ZERO, Clock::TRUE_RATE),
            replica: None,
            memory: Memory::default(),
            is_in_use: is_original,
            is_original,
            dialled: (LogIndex::ZERO, 0),
            former: BTreeSet::new(),
            life: 0,
            inbox: Vec::new(),
            wakes_at: None,
            paused_until: Time::ZERO,
            was_wiped: false,
            spoiled: None,
            was_found_out: false,
            owes_since: None,
            aside: None,
            is_full: false,
            tape: None,
        }
    }

    /// As the checks see it, if it runs.
    pub(crate) fn server(&self) -> Option<Server<'_>> {
        let replica = self.replica.as_ref()?;
        Some(Server {
            at: self.at,
            id: &self.id,
            replica,
            memory: &self.memory,
            spoiled: self.spoiled.as_ref(),
        })
    }

    pub(crate) fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// Whether the process has given up, though it is still there.
    pub(crate) fn has_failed(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| replica.failed().is_some())
    }
}

/// Something that will happen, unless what it needs is gone by then.
#[derive(Debug)]
pub(crate) enum Coming {
    /// A process looks at what has come in, and at its clock.
    Wake { at: usize, life: u64 },
    /// A message arrives.
    Arrival { from: usize, to: usize, stream: u64, is_late: bool, packet: super::network::Packet },
    /// A process tries to connect to another server.
    Dial { from: usize, to: usize, life: u64 },
    /// A process learns that its connection is gone.
    Ended { from: usize, to: usize, life: u64, stream: u64, process_died: bool },
    /// A disk has carried out a batch.
    DiskDone { at: usize, life: u64, seq: WriteSeq },
    /// A disk has done something aside of the log.
    AsideDone { at: usize, life: u64, seq: AsideSeq, op: AsideOp },
    /// Room is made on a disk that was full.
    DiskHasRoom { at: usize, life: u64 },
    /// A server starts.
    Start { at: usize, life: u64 },
    /// A server is killed, if it is the same process.
    Kill { at: usize, life: u64 },
    /// A cut in the network ends, or comes back.
    Cut { number: u64 },
    /// Something may go wrong.
    Chaos,
    /// A client asks for something new.
    Ask { client: usize },
    /// A client's request arrives at a server.
    Request { attempt: u64 },
    /// A client tries once more what failed.
    Repeat { attempt: u64 },
    /// A client has an answer, or knows that none will come.
    Heard { attempt: u64, answer: super::clients::Answer },
}
