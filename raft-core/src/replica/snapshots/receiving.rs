//! A follower's side: what a leader sends of a snapshot goes to a file aside, and into the state machine,
//! which keeps the state before until all is there. What is durable stays when the stream ends, the leader
//! changes or this server is started again; it goes on from there.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use super::super::Replica;
use super::super::aside::Purpose;
use super::super::event::{Notice, Role};
use super::restoring::{Restoring, Unusable};
use super::sending::CHUNK_BYTES;
use super::taking::SnapshotPart;
use crate::consensus::Offer;
use crate::disk::{AsideOp, AsideOutcome, SnapshotFile};
use crate::log::checksum;
use crate::message::{InstallSnapshot, Received, SnapshotChunk};
use crate::types::{EntryId, NodeId};

/// Bytes after which what was written is flushed.
const FLUSH_EVERY: u64 = 1 << 20;

/// So many bytes are taken from a leader ahead of the state machine.
const AHEAD: u64 = 2 << 20;

/// A snapshot that is being received.
#[derive(Clone, Debug)]
pub(in super::super) struct Receiving {
    pub(in super::super) snapshot: EntryId,
    /// Tells the answers to its operations from those to an earlier one's.
    number: u64,
    /// Who sends it, or did last.
    leader: NodeId,
    restoring: Restoring,
    stage: Stage,
    /// Bytes that have come, from the start and without a gap.
    received: u64,
    /// Of these, flushed.
    durable: u64,
    /// What has been told to the leader.
    reported: u64,
    /// Where each write under way ends, and whether all is flushed with it.
    writes: VecDeque<(u64, bool)>,
    is_last: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A file with a beginning of it, so many bytes of which were read.
    Found { file: SnapshotFile, read: u64, is_asked: bool, is_read: bool },
    /// A file for it is made.
    Making,
    /// Chunks come, for this file.
    Coming(SnapshotFile),
    /// All is there, and the file gets its name.
    Finishing,
}

impl Receiving {
    /// So much the leader may take for done with.
    fn acceptable(&self) -> u64 {
        self.durable.min(self.restoring.verified() + AHEAD)
    }

    /// Whether there is nothing to wait for any more.
    fn is_complete(&self) -> bool {
        self.is_last && self.durable == self.received && self.writes.is_empty() && !self.restoring.has_more()
    }

    /// What was found is read as far as it is whole.
    fn go_on_from_found(&mut self, file: SnapshotFile) {
        self.restoring.forget_unread();
        self.received = self.restoring.verified();
        self.durable = self.received;
        self.is_last = self.restoring.is_whole();
        self.stage = Stage::Coming(file);
    }

    pub(super) fn has_more(&self) -> bool {
        self.restoring.has_more()
    }

    /// What is here of it.
    pub(super) fn part(&self) -> SnapshotPart {
        SnapshotPart { index: self.snapshot.index, bytes: self.received }
    }
}

impl Replica {
    /// A leader has a snapshot, or a part of one, for this server.
    pub(in super::super) fn receive_snapshot(&mut self, from: &NodeId, install: InstallSnapshot) {
        let offer = self.consensus.snapshot_offered(from, &install);
        let InstallSnapshot { snapshot, sent, chunk, .. } = install;
        match offer {
            Offer::Wanted if !self.is_restoring() => {}
            // Its own state first: one after the other.
            Offer::Wanted | Offer::Refused => {
                return self.consensus.report_received(from, snapshot, Received::Unknown);
            }
            Offer::Superfluous => return,
        }
        // What there is of another one, the leader may have the rest of; if not, it insists.
        let insists = chunk.as_ref().is_some_and(|chunk| chunk.offset == 0);
        let known = self.snapshots.receiving.as_ref().map(|receiving| receiving.snapshot);
        match known {
            None if !insists => self.begin_receiving(from, self.most_wanted(snapshot)),
            None => self.begin_receiving(from, snapshot),
            Some(known) if known != snapshot && insists => self.begin_receiving(from, snapshot),
            Some(_) => {}
        }
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        let is_new_leader = receiving.leader != *from;
        receiving.leader = from.clone();
        if is_new_leader && matches!(receiving.stage, Stage::Coming(_)) {
            self.tell_where_it_goes_on();
        }
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        let is_it = receiving.snapshot == snapshot;
        match chunk {
            Some(chunk) if is_it => self.take_chunk(&chunk),
            // Of another one it has sent nothing.
            _ => self.report_received(Some(if is_it { sent } else { 0 })),
        }
    }

    /// The snapshot to go on with where a leader offers one: of which an earlier process left a part. That
    /// may be another than the leader's latest.
    fn most_wanted(&self, offered: EntryId) -> EntryId {
        let is_of_use = |snapshot: &EntryId| snapshot.index > self.consensus.commit_index;
        let mut begun = self.snapshots.later.iter().map(|later| later.snapshot).filter(is_of_use);
        if begun.clone().any(|snapshot| snapshot == offered) {
            return offered;
        }
        begun.next_back().unwrap_or(offered)
    }

    fn begin_receiving(&mut self, from: &NodeId, snapshot: EntryId) {
        self.abandon_receiving();
        let part = SnapshotFile::Part(snapshot.index);
        let later = core::mem::take(&mut self.snapshots.later);
        let found = later.iter().find(|later| later.snapshot == snapshot).map(|later| later.file);
        let others = later.into_iter().map(|later| later.file).filter(|file| Some(*file) != found);
        self.remove_aside(others.map(SnapshotFile::file_name));
        self.snapshots.receivings += 1;
        self.snapshots.receiving = Some(Receiving {
            snapshot,
            number: self.snapshots.receivings,
            leader: from.clone(),
            restoring: Restoring::new(part.file_name()),
            stage: match found {
                Some(file) => Stage::Found { file, read: 0, is_asked: false, is_read: false },
                None => Stage::Making,
            },
            received: 0,
            durable: 0,
            reported: 0,
            writes: VecDeque::new(),
            is_last: false,
        });
        if found.is_none() {
            self.ask_for_receiving(AsideOp::Create { file: part.file_name() });
        }
    }

    fn ask_for_receiving(&mut self, op: AsideOp) {
        self.aside.ask(Purpose::Receiving(self.snapshots.receivings), op);
    }

    /// A part of the file has come.
    fn take_chunk(&mut self, chunk: &SnapshotChunk) {
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        let Stage::Coming(file) = receiving.stage else { return self.report_received(None) };
        if chunk.offset != receiving.received || receiving.is_last {
            return self.report_received(Some(chunk.offset));
        }
        if checksum(&chunk.data) != chunk.checksum {
            return self.refuse("a part of it was changed on its way".to_string());
        }
        let end = receiving.received + chunk.data.len() as u64;
        let sync = chunk.is_last || end / FLUSH_EVERY > receiving.received / FLUSH_EVERY;
        let (file, offset, data) = (file.file_name(), chunk.offset, chunk.data.clone());
        receiving.received = end;
        receiving.is_last = chunk.is_last;
        receiving.writes.push_back((end, sync));
        receiving.restoring.feed(chunk.data.clone());
        self.ask_for_receiving(AsideOp::Write { file, offset, data, sync });
    }

    /// Tells the leader what there is. `sent` is how far it has sent: one that does not know yet how much is
    /// here need not send again what is on its way to the disk.
    fn report_received(&mut self, sent: Option<u64>) {
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        let is_missing = sent.is_some_and(|sent| sent > receiving.received) && !receiving.is_last;
        let is_asked = sent.is_some_and(|sent| sent < receiving.received);
        let received = match receiving.stage {
            Stage::Found { .. } | Stage::Making => Received::Unknown,
            Stage::Coming(_) if is_missing => Received::From(receiving.received),
            Stage::Coming(_) if is_asked => Received::UpTo(receiving.received),
            Stage::Coming(_) | Stage::Finishing => Received::UpTo(receiving.acceptable()),
        };
        receiving.reported = receiving.acceptable();
        let (leader, snapshot) = (receiving.leader.clone(), receiving.snapshot);
        self.consensus.report_received(&leader, snapshot, received);
    }

    fn begin_to_come(&mut self) {
        self.tell_where_it_goes_on();
        self.report_received(None);
    }

    fn tell_where_it_goes_on(&mut self) {
        let Some(Receiving { leader, snapshot, received, .. }) = &self.snapshots.receiving else { return };
        let (from, index, bytes) = (leader.clone(), snapshot.index, *received);
        self.consensus.notify(Notice::ReceivingSnapshot { from, index, bytes });
    }

    /// What was asked for aside is done.
    pub(in super::super) fn received_aside(&mut self, number: u64, outcome: AsideOutcome) {
        self.give_up_superfluous();
        let Some(receiving) = self.snapshots.receiving.as_mut().filter(|r| r.number == number) else {
            return;
        };
        let bytes = match outcome {
            Ok(bytes) => bytes,
            Err(error) => return self.refuse(error.to_string()),
        };
        match &mut receiving.stage {
            Stage::Found { read, is_asked, is_read, .. } => {
                *read += bytes.len() as u64;
                (*is_asked, *is_read) = (false, bytes.len() < CHUNK_BYTES as usize);
                receiving.restoring.feed(bytes);
            }
            Stage::Making => {
                receiving.stage = Stage::Coming(SnapshotFile::Part(receiving.snapshot.index));
                self.begin_to_come();
            }
            Stage::Coming(_) => {
                if let Some((end, true)) = receiving.writes.pop_front() {
                    receiving.durable = end;
                }
            }
            Stage::Finishing => self.install(),
        }
    }

    /// Where the log was enough after all, what has come of a snapshot is of no use. Before anything is
    /// applied: the state at that index may then be written to the same file.
    pub(in super::super) fn give_up_superfluous(&mut self) {
        let commit_index = self.consensus.commit_index;
        // A leader has all that is committed (paper §5.4), and commits by counting alone.
        let leads = self.consensus.role() == Role::Leader;
        if self.snapshots.receiving.as_ref().is_some_and(|r| leads || r.snapshot.index <= commit_index) {
            self.abandon_receiving();
        }
    }

    /// Takes in a little more of what has come, and sees what follows.
    pub(in super::super) fn restore_received(&mut self) {
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        if receiving.restoring.has_more() {
            let taken = receiving.restoring.work(&mut *self.machine, &mut self.sessions);
            match (taken, receiving.stage) {
                (Ok(()), _) => {}
                // What an earlier process wrote may have been lost with the power.
                (Err(Unusable::Damaged(_)), Stage::Found { file, .. }) => {
                    receiving.go_on_from_found(file);
                    return self.begin_to_come();
                }
                (Err(unusable), _) => return self.refuse(unusable.reason()),
            }
        }
        if !self.snapshots.receiving.as_ref().is_some_and(Receiving::has_more) {
            self.go_on_receiving();
        }
    }

    /// All that has come is taken in.
    fn go_on_receiving(&mut self) {
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        match receiving.stage {
            Stage::Found { file, is_read: true, .. } => {
                receiving.go_on_from_found(file);
                self.begin_to_come();
            }
            Stage::Found { file, read, is_asked: false, is_read } => {
                receiving.stage = Stage::Found { file, read, is_asked: true, is_read };
                let op = AsideOp::Read { file: file.file_name(), offset: read, length: CHUNK_BYTES };
                self.ask_for_receiving(op);
            }
            Stage::Coming(file) if receiving.is_last && !receiving.restoring.is_whole() => {
                self.refuse(format!("{} ends before its end mark", file.file_name()));
            }
            Stage::Coming(_) if receiving.is_complete() => self.finish_file(),
            Stage::Coming(_) if receiving.acceptable() >= receiving.reported + u64::from(CHUNK_BYTES) => {
                self.report_received(None);
            }
            Stage::Found { .. } | Stage::Making | Stage::Coming(_) | Stage::Finishing => {}
        }
    }

    fn finish_file(&mut self) {
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        let Stage::Coming(file) = receiving.stage else { return };
        receiving.stage = Stage::Finishing;
        let name = SnapshotFile::Whole(receiving.snapshot.index).file_name();
        let op = AsideOp::Finish { file: file.file_name(), length: receiving.received, name };
        self.ask_for_receiving(op);
    }

    /// The file is whole and durable: the state that it holds becomes this server's.
    fn install(&mut self) {
        let Some(receiving) = self.snapshots.receiving.take() else { return };
        let snapshot = receiving.snapshot;
        let installed = receiving.restoring.finish(snapshot).and_then(|header| {
            let ours = self.consensus.cluster_id.unwrap_or(header.cluster_id);
            if ours != header.cluster_id {
                return Err(format!("it is of cluster {}", header.cluster_id));
            }
            self.put_in_place(&header)
        });
        if let Err(reason) = installed {
            self.remove_aside([SnapshotFile::Whole(snapshot.index).file_name()]);
            self.abandon_restoring();
            self.consensus.report_received(&receiving.leader, snapshot, Received::Refused);
            return self.not_received(snapshot, reason);
        }
        self.forget_outcomes(snapshot.index);
        self.consensus.install(snapshot);
        self.snapshot_whole(snapshot);
        self.record_snapshot();
        self.consensus.notify(Notice::SnapshotInstalled { index: snapshot.index });
    }

    /// What has come is of no use: the leader may begin again, later.
    fn refuse(&mut self, reason: String) {
        let Some(receiving) = &self.snapshots.receiving else { return };
        let (leader, snapshot) = (receiving.leader.clone(), receiving.snapshot);
        self.abandon_receiving();
        self.consensus.report_received(&leader, snapshot, Received::Refused);
        self.not_received(snapshot, reason);
    }

    /// Forgets what has come of a snapshot.
    fn abandon_receiving(&mut self) {
        let Some(receiving) = self.snapshots.receiving.take() else { return };
        self.aside.forget(Purpose::Receiving(receiving.number));
        // The latest kept here is older: neither file is one of those.
        let index = receiving.snapshot.index;
        self.remove_aside(
            [SnapshotFile::Part(index), SnapshotFile::Whole(index)].map(SnapshotFile::file_name),
        );
        self.abandon_restoring();
    }
}
