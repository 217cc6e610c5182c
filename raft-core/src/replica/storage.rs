//! What goes to the disk, and what waits for it.
//!
//! At most one flushed batch is under way. What comes up meanwhile goes together with the next one: group
//! commit, without a timer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Replica;
use super::event::Action;
use crate::disk::{DiskBatch, DiskOp, WriteSeq};
use crate::log::{FrameSeq, Record, Writer};
use crate::message::Message;
use crate::seeded::{self, Bug};
use crate::types::{LogIndex, NodeId, Time};

/// Bytes of entries in one batch at most, unless a single entry is larger.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// How long the disk must have been idle before the commit index is noted on it.
const HINT_DELAY: core::time::Duration = core::time::Duration::from_millis(100);

/// The replica's side of the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Storage {
    pub(super) writer: Writer,
    pub(super) next_seq: WriteSeq,
    pub(super) in_flight: Option<InFlight>,
    /// The last batch that carried hard state or other records that messages rest on.
    pub(super) state_seq: WriteSeq,
    pub(super) durable_seq: WriteSeq,
    /// Operations that go with the next batch.
    pub(super) extra: Vec<DiskOp>,
    /// Messages, each with the batch that must be durable before it leaves. The numbers never fall.
    pub(super) held: VecDeque<(WriteSeq, NodeId, Message)>,
    pub(super) hinted: LogIndex,
    pub(super) hint_due: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) seq: WriteSeq,
    pub(super) frame: FrameSeq,
    pub(super) last_entry: LogIndex,
    /// When it was handed over.
    pub(super) since: Time,
}

impl Storage {
    pub(super) fn new(writer: Writer, hinted: LogIndex) -> Storage {
        Storage {
            writer,
            next_seq: WriteSeq(1),
            in_flight: None,
            state_seq: WriteSeq(0),
            durable_seq: WriteSeq(0),
            extra: Vec::new(),
            held: VecDeque::new(),
            hinted,
            hint_due: Time::ZERO,
        }
    }

    /// Adds an operation to the next batch.
    pub(super) fn also(&mut self, op: DiskOp) {
        self.extra.push(op);
    }

    fn take_seq(&mut self) -> WriteSeq {
        let seq = self.next_seq;
        self.next_seq = WriteSeq(seq.0 + 1);
        seq
    }
}

impl Replica {
    /// Gives the disk what has come up, if it is free.
    pub(super) fn write(&mut self) {
        let storage = &mut self.storage;
        if storage.in_flight.is_some() {
            return;
        }
        let log = &self.consensus.log;
        let (has_state, has_entries) = (self.consensus.has_unwritten_state(), log.has_unwritten());
        if !has_state && !has_entries && storage.extra.is_empty() {
            return self.write_hint();
        }
        let mut ops = core::mem::take(&mut storage.extra);
        let mut records = self.consensus.take_state_records();
        let entries = self.consensus.log.take_unwritten(MAX_BATCH_BYTES);
        records.extend(entries.into_iter().map(Record::Entry));
        let seq = storage.take_seq();
        if has_state {
            storage.state_seq = seq;
        }
        if !records.is_empty() {
            let ahead = seeded::is(Bug::CommitIndexAheadOfLog);
            let hint = if ahead { self.consensus.log.last_index() } else { self.consensus.commit_index };
            if hint > storage.hinted {
                storage.hinted = hint;
                records.push(Record::CommitHint(storage.hinted));
            }
            ops.extend(storage.writer.append(&records).1);
        }
        let (frame, last_entry) = (storage.writer.last_frame(), self.consensus.log.written());
        storage.in_flight = Some(InFlight { seq, frame, last_entry, since: self.now });
        storage.hint_due = self.now + HINT_DELAY;
        self.actions.push(Action::Disk(DiskBatch { seq, ops, sync: true }));
    }

    /// Notes the commit index once things are quiet. It is not flushed: losing it costs nothing. It also
    /// carries the number of the last durable frame, so that even the log's last batch cannot be
    /// damaged unnoticed.
    fn write_hint(&mut self) {
        let (storage, commit_index) = (&mut self.storage, self.consensus.commit_index);
        if commit_index <= storage.hinted || self.now < storage.hint_due {
            return;
        }
        storage.hinted = commit_index;
        let ops = storage.writer.append(&[Record::CommitHint(commit_index)]).1;
        let seq = storage.take_seq();
        self.actions.push(Action::Disk(DiskBatch { seq, ops, sync: false }));
    }

    /// When a quiet disk is next due a commit hint.
    pub(super) fn hint_deadline(&self) -> Option<Time> {
        let storage = &self.storage;
        (storage.in_flight.is_none() && self.consensus.commit_index > storage.hinted)
            .then_some(storage.hint_due)
    }

    /// The disk has answered for all batches up to `seq`.
    pub(super) fn persisted(&mut self, seq: WriteSeq) {
        let storage = &mut self.storage;
        let Some(in_flight) = storage.in_flight.take_if(|in_flight| in_flight.seq <= seq) else { return };
        storage.durable_seq = in_flight.seq;
        storage.writer.note_durable(in_flight.frame);
        self.consensus.entries_durable(in_flight.last_entry);
        self.disk_answered();
        self.snapshot_recorded();
    }

    /// Lets those messages go whose foundations are durable, and holds the others back.
    pub(super) fn release_messages(&mut self) {
        let required = if seeded::is(Bug::TermNotPersisted) { WriteSeq(0) } else { self.state_needed() };
        let (storage, hangs) = (&mut self.storage, self.consensus.disk.is_hung());
        for (to, message) in self.consensus.take_outbox() {
            if hangs {
                storage.forget_outdated(&message, &to);
            }
            storage.held.push_back((required, to, message));
        }
        while let Some((_, to, message)) = storage.held.pop_front_if(|(seq, ..)| *seq <= storage.durable_seq)
        {
            self.actions.push(Action::Send { to, message });
        }
        if hangs {
            self.actions.extend(storage.take_unfounded());
        }
    }
}

impl Replica {
    /// The batch that will have carried everything that an answer given now rests on, entries aside.
    pub(super) fn state_needed(&self) -> WriteSeq {
        if self.consensus.has_unwritten_state() { self.storage.next_seq } else { self.storage.state_seq }
    }

    /// Whether messages wait for the disk.
    pub(super) fn holds_messages(&self) -> bool {
        !self.storage.held.is_empty()
    }

    /// Whether that batch is durable.
    pub(super) fn is_stored(&self, seq: WriteSeq) -> bool {
        seq <= self.storage.durable_seq
    }
}
