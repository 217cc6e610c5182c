//! A state comes back from a snapshot, piece by piece: at a start from this server's own file, later from
//! what a leader sends. Meanwhile nothing is applied; the server votes and follows.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use bytes::Bytes;

use super::super::Replica;
use super::super::aside::Purpose;
use super::super::event::Notice;
use super::super::hash_chain::HashChain;
use super::super::sessions::Sessions;
use crate::disk::{AsideOp, AsideOutcome, FileName, SnapshotFile};
use crate::seeded::{self, Bug};
use crate::snapshot::{Header, Piece, Reader};
use crate::state_machine::StateMachine;
use crate::types::{Applied, EntryId};

/// Pieces taken in between two looks at what else has come, and after how many bytes of them no other is:
/// that many bytes of small values take as long as a few hundred writes.
const PIECES: usize = 4;
const TURN_BYTES: usize = 64 << 10;

/// Bytes read at a time.
const READ_BYTES: u32 = 256 << 10;

/// Why a snapshot does not become a state.
pub(super) enum Unusable {
    /// The bytes are not as they were written.
    Damaged(String),
    /// The state machine, or the sessions, will not have what they tell.
    Refused(String),
}

impl Unusable {
    pub(super) fn reason(self) -> String {
        match self {
            Unusable::Damaged(reason) => reason,
            Unusable::Refused(reason) => format!("the state cannot be made from it: {reason}"),
        }
    }
}

/// A snapshot on its way into the state machine.
#[derive(Clone)]
pub(in super::super) struct Restoring {
    reader: Reader,
    /// Whether what was fed may hold another piece.
    has_more: bool,
}

impl fmt::Debug for Restoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restoring").field("verified", &self.verified()).finish_non_exhaustive()
    }
}

impl Restoring {
    pub(super) fn new(file: FileName) -> Restoring {
        Restoring { reader: Reader::new(file), has_more: false }
    }

    pub(super) fn feed(&mut self, bytes: Bytes) {
        self.reader.feed(bytes);
        self.has_more = true;
    }

    /// Takes a few pieces in.
    pub(super) fn work(
        &mut self,
        machine: &mut dyn StateMachine,
        sessions: &mut Sessions,
    ) -> Result<(), Unusable> {
        let mut bytes = 0;
        for _ in 0..PIECES {
            if bytes >= TURN_BYTES {
                break;
            }
            let piece = self.reader.next_piece().map_err(|error| Unusable::Damaged(error.to_string()))?;
            let taken = match &piece {
                Some(Piece::Sessions(_)) if seeded::is(Bug::SnapshotLosesSessions) => Ok(()),
                Some(Piece::Sessions(piece)) => sessions.restore_piece(piece),
                Some(Piece::Machine(piece)) => machine.restore_piece(piece),
                None => {
                    self.has_more = false;
                    return Ok(());
                }
            };
            bytes += piece.as_ref().map_or(0, |piece| piece.bytes().len());
            taken.map_err(|error| Unusable::Refused(error.to_string()))?;
        }
        Ok(())
    }

    /// Whether there is work at hand.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// So many bytes from the start are as they were written.
    pub(super) fn verified(&self) -> u64 {
        self.reader.verified()
    }

    /// Forgets what was fed beyond that.
    pub(super) fn forget_unread(&mut self) {
        self.reader.forget_unread();
        self.has_more = false;
    }

    pub(super) fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }

    /// What it says of itself, once all was taken in.
    pub(super) fn finish(self, expected: EntryId) -> Result<Header, String> {
        let header = self.reader.finish().map_err(|error| error.to_string())?;
        if (EntryId { index: header.index, term: header.term }) != expected {
            return Err(format!(
                "it holds the state up to entry {} of term {}, and {expected} was to come",
                header.index, header.term
            ));
        }
        Ok(header)
    }
}

/// This server's own snapshot is being read, at a start.
#[derive(Clone, Debug)]
pub(in super::super) struct OwnRestoring {
    pub(super) snapshot: EntryId,
    restoring: Restoring,
    /// Bytes read.
    offset: u64,
    is_read: bool,
}

impl OwnRestoring {
    pub(super) fn has_more(&self) -> bool {
        self.restoring.has_more()
    }
}

impl Replica {
    /// Whether the state is still on its way from this server's own snapshot.
    pub(in super::super) fn is_restoring(&self) -> bool {
        self.snapshots.own.is_some()
    }

    /// At a start: the state is that of the latest snapshot, as soon as it has been read.
    pub(in super::super) fn begin_restoring(&mut self) {
        let Some(snapshot) = self.consensus.snapshots.back().copied() else { return };
        let file = SnapshotFile::Whole(snapshot.index).file_name();
        let restoring = Restoring::new(file);
        self.snapshots.own = Some(OwnRestoring { snapshot, restoring, offset: 0, is_read: false });
        self.read_own(0);
    }

    fn read_own(&mut self, offset: u64) {
        let Some(own) = &self.snapshots.own else { return };
        let file = SnapshotFile::Whole(own.snapshot.index).file_name();
        self.aside.ask(Purpose::Restoring, AsideOp::Read { file, offset, length: READ_BYTES });
    }

    /// A part of it was read.
    pub(in super::super) fn own_read(&mut self, outcome: AsideOutcome) {
        let Some(own) = &mut self.snapshots.own else { return };
        match outcome {
            Ok(bytes) => {
                own.is_read = bytes.len() < READ_BYTES as usize;
                own.offset += bytes.len() as u64;
                own.restoring.feed(bytes);
            }
            Err(error) => self.fail(format!("the state cannot be restored: {error}")),
        }
    }

    /// Takes in a little more of the state, and asks for what follows.
    pub(in super::super) fn restore_own(&mut self) {
        let Some(mut own) = self.snapshots.own.take() else { return };
        if !own.restoring.has_more() {
            self.snapshots.own = Some(own);
            return;
        }
        let result = own.restoring.work(&mut *self.machine, &mut self.sessions);
        let done = match result {
            Ok(()) if own.restoring.has_more() => None,
            Ok(()) if own.is_read => Some(own.restoring.clone().finish(own.snapshot)),
            Ok(()) => {
                let offset = own.offset;
                self.snapshots.own = Some(own);
                return self.read_own(offset);
            }
            Err(unusable) => Some(Err(unusable.reason())),
        };
        let restored = match done {
            None => {
                self.snapshots.own = Some(own);
                return;
            }
            Some(Ok(header)) => self.put_in_place(&header),
            Some(Err(reason)) => Err(reason),
        };
        if let Err(reason) = restored {
            self.fail(format!("the state cannot be restored: {reason}"));
        }
    }

    /// The state that was taken in becomes this server's.
    pub(super) fn put_in_place(&mut self, header: &Header) -> Result<(), String> {
        // One of an older state: it is needed no longer.
        self.abandon_taking();
        self.take_over(header)?;
        let (index, configuration) = (header.configuration_index, header.configuration.clone());
        self.consensus.restore_configuration(header.index, index, configuration);
        self.join_cluster(header.cluster_id);
        Ok(())
    }

    /// The state at a snapshot, from its file as a whole, without telling anybody.
    pub(in super::super) fn restore_whole(&mut self, file: Bytes) -> Result<(), String> {
        let mut restoring = Restoring::new("the snapshot".into());
        restoring.feed(file);
        while restoring.has_more() {
            restoring.work(&mut *self.machine, &mut self.sessions).map_err(Unusable::reason)?;
        }
        let header = restoring.reader.finish().map_err(|error| error.to_string())?;
        self.take_over(&header)
    }

    fn take_over(&mut self, header: &Header) -> Result<(), String> {
        let applied = Applied { index: header.index, hash: header.state_hash };
        self.machine.restored().map_err(|error| format!("the state machine refuses it: {error}"))?;
        self.sessions.restored();
        self.chain = HashChain::after(applied);
        self.last_applied = applied.index;
        self.consensus.applied = applied;
        Ok(())
    }

    /// What was taken in is forgotten.
    pub(super) fn abandon_restoring(&mut self) {
        self.machine.abandon_restore();
        self.sessions.abandon_restore();
    }

    /// Tells the operator that a snapshot was not received.
    pub(super) fn not_received(&mut self, snapshot: EntryId, reason: String) {
        self.consensus.notify(Notice::SnapshotNotReceived { index: snapshot.index, reason });
    }
}
