//! The driver's end: what goes into the replica is encoded as it goes, and handed over turn by turn.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use raft_core::record::{Header, Recorder};
use raft_core::replica::{Event, Replica};
use raft_core::types::{NodeId, Time};

use super::buffer::Start;
use super::writer::{Keeper, Writer};

/// Records one replica. Where the node records nothing it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Tape(Option<Reel>);

#[derive(Debug)]
struct Reel {
    recorder: Recorder,
    header: Header,
    keeper: Arc<Keeper>,
    /// Ends the thread when the driver ends.
    _writer: Writer,
    /// Of turns in a piece, after which a new one starts.
    piece_bytes: usize,
    /// Of turns that may still go into this piece.
    left: usize,
    stage: Stage,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The piece goes on.
    Turns,
    /// A new piece, at the end of a turn. Until then events are not recorded.
    Piece { after_gap: bool },
}

impl Tape {
    /// Records from the end of the first turn on, in pieces of so many bytes.
    pub(super) fn new(node_id: NodeId, piece_bytes: usize, keeper: Arc<Keeper>, writer: Writer) -> Tape {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            node_id,
            began_unix_ms: u64::try_from(began.as_millis()).unwrap_or(u64::MAX),
        };
        let recorder = Recorder::new();
        let stage = Stage::Piece { after_gap: false };
        Tape(Some(Reel { recorder, header, keeper, _writer: writer, piece_bytes, left: 0, stage }))
    }

    /// Before each [`Replica::step`].
    pub(crate) fn step(&mut self, now: Time, event: &Event) {
        if let Some(reel) = self.0.as_mut().filter(|reel| reel.stage == Stage::Turns) {
            reel.recorder.step(now, event);
        }
    }

    /// After each [`Replica::drain`], with the number of its actions.
    pub(crate) fn drained(&mut self, replica: &Replica, actions: usize) {
        let Some(reel) = &mut self.0 else { return };
        if !reel.keeper.buffer.is_on() {
            self.0 = None;
            return;
        }
        match reel.stage {
            Stage::Turns => reel.turn(replica, actions),
            Stage::Piece { after_gap } => {
                if reel.keeper.buffer.has_room() && replica.has_checkpoint() {
                    reel.start_piece(replica, after_gap);
                }
            }
        }
    }

    /// Once the turn's actions have been carried out: what was recorded may wait longer than they.
    pub(crate) fn nudge(&self) {
        if let Some(reel) = &self.0 {
            reel.keeper.buffer.nudge();
        }
    }

    /// The replica broke down in the middle of a turn: the events that it broke down on are all the more
    /// worth keeping.
    pub(crate) fn break_off(&mut self) {
        if let Some(reel) = self.0.as_mut().filter(|reel| reel.stage == Stage::Turns) {
            reel.keeper.buffer.append(reel.recorder.broken_off());
            reel.keeper.buffer.nudge();
        }
    }
}

impl Reel {
    fn turn(&mut self, replica: &Replica, actions: usize) {
        let frame = self.recorder.drained(replica, actions);
        if frame.is_empty() {
            return;
        }
        if !self.keeper.buffer.append(frame) {
            tracing::warn!("the recording cannot be written as fast as it comes: it has a gap");
            self.stage = Stage::Piece { after_gap: true };
            return;
        }
        self.left = self.left.saturating_sub(frame.len());
        // A piece goes on for as long as a state is on its way into the state machine.
        if self.left == 0 && replica.has_checkpoint() {
            self.start_piece(replica, false);
        }
    }

    fn start_piece(&mut self, replica: &Replica, after_gap: bool) {
        let checkpoint = replica.checkpoint();
        let start = Start { base: checkpoint.base(), after_gap };
        let bytes = self.recorder.begin(&self.header, &checkpoint);
        self.keeper.buffer.start(start, bytes);
        // A long checkpoint (many entries that are not committed) must not be written again and again.
        self.left = self.piece_bytes.max(bytes.len());
        self.stage = Stage::Turns;
    }
}
