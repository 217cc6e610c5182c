//! Doing again what a recording says, and seeing whether it comes to the same.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::DeserializeOwned;

use super::frame::{self, Found, Kind};
use super::{FORMAT_VERSION, Header, Mark, Piece};
use crate::replica::{Action, Beginning, Checkpoint, Event, Replica, ResumeError, Role};
use crate::state_machine::StateMachine;
use crate::story;
use crate::types::{LogIndex, StateHash, Term, Time};

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Who recorded, and when.
    pub header: Header,
    /// Events that the replica was stepped through.
    pub events: u64,
    /// Turns, each of which gave as many actions as before.
    pub turns: u64,
    /// How often the replica stood where it had stood before: marks, and checkpoints after the first.
    pub compared: u64,
    /// From the first checkpoint on.
    pub from: Time,
    /// To the last event.
    pub to: Time,
    /// Where the replica stands at the end.
    pub term: Term,
    /// Likewise.
    pub role: Role,
    /// Likewise.
    pub commit_index: LogIndex,
    /// Likewise.
    pub last_applied: LogIndex,
    /// The state hash there.
    pub applied_hash: StateHash,
    /// Bytes at the end that are no whole frame: the process died while it wrote.
    pub torn_bytes: u64,
}

/// What happens while it is done again. Its words are those of [`story`].
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// In the turn that comes now the replica broke down when it was recorded: it will panic again.
    BreaksOff,
    /// The replica is stepped through an event.
    Event(&'a Event),
    /// It wants something done.
    Action(&'a Action),
    /// It has come to stand elsewhere.
    Stands(&'a Mark),
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::BreaksOff => f.write_str("in what comes now, the replica broke down"),
            Told::Event(event) => f.write_str(&story::event(event)),
            Told::Action(action) => write!(f, "  {}", story::action(action)),
            Told::Stands(mark) => write!(f, "  {mark}"),
        }
    }
}

/// Why a recording cannot be replayed, or does not come to the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is something else, or empty.
    #[error("this is no recording: no frame stands at its beginning")]
    NotARecording,
    /// Another version of the format.
    #[error(
        "the recording has format {found}, and this program reads format {FORMAT_VERSION}: replay it with \
         the version that recorded it"
    )]
    OtherVersion {
        /// The recording's.
        found: u8,
    },
    /// Another version of the program, whose replica may do something else with the same events.
    #[error(
        "the recording was made by version {found}, and this is {ours}: replay it with the version that \
         recorded it"
    )]
    OtherProgram {
        /// The recording's.
        found: String,
        /// The one at hand.
        ours: String,
    },
    /// Bytes that no crash leaves.
    #[error("the recording is damaged at byte {offset}: {why}")]
    Damaged {
        /// Of the frame.
        offset: u64,
        /// In words.
        why: &'static str,
    },
    /// What it begins with does not fit the log.
    #[error("the recording does not go with this log: {0}")]
    Resume(ResumeError),
    /// The replica did something else.
    #[error("turn {turn}, at {} µs, differs (recorded by version {program}): {what}", time.as_micros())]
    Differs {
        /// Counted from the first of the recording.
        turn: u64,
        /// The replica's.
        time: Time,
        /// The version that recorded it.
        program: String,
        /// What was, and what is.
        what: String,
    },
}

/// Replays a recording: its files, one after the other, behind the entries up to the first one's base (and
/// the snapshot that they go on from) unless `base` has these. Files that begin before the log does are
/// passed over. `program` is this program's version; the state machine is an empty one. `tell` hears what
/// happens.
///
/// # Errors
/// See [`ReplayError`]. A torn end is none.
///
/// # Panics
/// Where the replica panicked when it was recorded, and does so again.
pub fn replay(
    bytes: &[u8],
    base: Option<Beginning>,
    program: &str,
    machine: Box<dyn StateMachine>,
    tell: &mut dyn FnMut(Time, Told<'_>),
) -> Result<Summary, ReplayError> {
    let (beginning, machine) = (base.unwrap_or_default(), Some(machine));
    let mut player =
        Player { program, beginning, snapshot: Vec::new(), machine, replaying: None, passed_over: None };
    let mut at = 0;
    let torn_bytes = loop {
        match frame::read(bytes, at) {
            Found::Frame { kind, payload, next } => {
                player.take(kind, payload, tell).map_err(|stop| stop.at(at))?;
                at = next;
            }
            Found::End => break 0,
            Found::OtherVersion(found) => return Err(ReplayError::OtherVersion { found }),
            Found::Torn => break (bytes.len() - at) as u64,
            Found::Bad { .. } if at == 0 => return Err(ReplayError::NotARecording),
            Found::Bad { next } if frame::any_from(bytes, next) => {
                let why = "the frame does not fit its checksum, and whole ones follow";
                return Err(ReplayError::Damaged { offset: at as u64, why });
            }
            Found::Bad { .. } => break (bytes.len() - at) as u64,
        }
    };
    let none = player.passed_over.map_or(ReplayError::NotARecording, ReplayError::Resume);
    player.replaying.map(|replaying| replaying.sum_up(torn_bytes)).ok_or(none)
}

struct Player<'a> {
    program: &'a str,
    beginning: Beginning,
    /// What has come of its snapshot.
    snapshot: Vec<u8>,
    machine: Option<Box<dyn StateMachine>>,
    replaying: Option<Replaying>,
    /// Why the last file that was passed over was.
    passed_over: Option<ResumeError>,
}

/// Why it does not go on.
enum Stop {
    Damaged(&'static str),
    Error(ReplayError),
}

impl Stop {
    fn at(self, at: usize) -> ReplayError {
        match self {
            Stop::Damaged(why) => ReplayError::Damaged { offset: at as u64, why },
            Stop::Error(error) => error,
        }
    }
}

impl Player<'_> {
    fn take(&mut self, kind: Kind, payload: &[u8], tell: &mut dyn FnMut(Time, Told<'_>)) -> Result<(), Stop> {
        match (kind, &mut self.replaying) {
            (Kind::Entries, None) => {
                let mut rest = payload;
                while !rest.is_empty() {
                    self.beginning.entries.push(next(&mut rest)?);
                }
                Ok(())
            }
            (Kind::Snapshot, None) => {
                let mut rest = payload;
                self.beginning.base = next(&mut rest)?;
                self.snapshot.extend_from_slice(rest);
                Ok(())
            }
            (Kind::Entries | Kind::Snapshot, Some(_)) => {
                Err(Stop::Damaged("entries stand only before the first file"))
            }
            (Kind::Begin, Some(replaying)) => replaying.compare_checkpoint(payload),
            (Kind::Begin, None) => self.begin(payload, tell),
            (Kind::Turn, Some(replaying)) => replaying.turn(payload, tell),
            (Kind::Turn, None) if self.passed_over.is_some() => Ok(()),
            (Kind::Turn, None) => Err(Stop::Damaged("a turn stands before the first checkpoint")),
        }
    }

    fn begin(&mut self, mut payload: &[u8], tell: &mut dyn FnMut(Time, Told<'_>)) -> Result<(), Stop> {
        // The header comes first, and is read by itself: another version's checkpoint may not be readable.
        let header: Header = next(&mut payload)?;
        if header.program != self.program {
            let (found, ours) = (header.program, self.program.into());
            return Err(Stop::Error(ReplayError::OtherProgram { found, ours }));
        }
        let checkpoint: Checkpoint = next(&mut payload)?;
        if !self.snapshot.is_empty() {
            self.beginning.snapshot = Some(core::mem::take(&mut self.snapshot).into());
        }
        match checkpoint.check(&self.beginning) {
            Err(error @ ResumeError::TooOld { .. }) => {
                self.passed_over = Some(error);
                return Ok(());
            }
            checked => checked.map_err(|error| Stop::Error(ReplayError::Resume(error)))?,
        }
        let from = checkpoint.at();
        let machine = self.machine.take().expect("one replica is made");
        let replica = Replica::resume(checkpoint, core::mem::take(&mut self.beginning), machine)
            .map_err(|error| Stop::Error(ReplayError::Resume(error)))?;
        let mark = Mark::of(&replica);
        tell(from, Told::Stands(&mark));
        self.replaying =
            Some(Replaying { header, replica, from, time: from, events: 0, turns: 0, compared: 0, mark });
        Ok(())
    }
}

struct Replaying {
    header: Header,
    replica: Replica,
    from: Time,
    time: Time,
    events: u64,
    turns: u64,
    compared: u64,
    /// Where it stood last.
    mark: Mark,
}

impl Replaying {
    fn turn(&mut self, mut payload: &[u8], tell: &mut dyn FnMut(Time, Told<'_>)) -> Result<(), Stop> {
        self.turns += 1;
        let mut pieces = Vec::new();
        while !payload.is_empty() {
            pieces.push(next::<Piece<Event>>(&mut payload)?);
        }
        if !matches!(pieces.last(), Some(Piece::Drained { .. })) {
            tell(self.time, Told::BreaksOff);
        }
        for piece in pieces {
            match piece {
                Piece::Step { after, event } => {
                    self.events += 1;
                    self.time = self.time + core::time::Duration::from_micros(after);
                    tell(self.time, Told::Event(&event));
                    self.replica.step(self.time, event);
                }
                Piece::Drained { actions, mark } => return self.drained(actions, mark, tell),
            }
        }
        self.replica.drain();
        Err(self.differs("the replica broke down here, and does not now".into()))
    }

    fn drained(
        &mut self,
        count: u64,
        recorded: Option<Mark>,
        tell: &mut dyn FnMut(Time, Told<'_>),
    ) -> Result<(), Stop> {
        let actions = self.replica.drain();
        for action in &actions {
            tell(self.time, Told::Action(action));
        }
        let mark = Mark::of(&self.replica);
        if mark != self.mark {
            tell(self.time, Told::Stands(&mark));
        }
        if actions.len() as u64 != count {
            return Err(self.differs(format!("{} actions, and there were {count}", actions.len())));
        }
        self.mark = mark;
        match recorded {
            Some(recorded) if recorded != self.mark => {
                Err(self.differs(format!("the replica {}, and it {recorded}", self.mark)))
            }
            Some(_) => {
                self.compared += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A later file begins: with the state that was reached.
    fn compare_checkpoint(&mut self, payload: &[u8]) -> Result<(), Stop> {
        let mut again = Vec::with_capacity(payload.len());
        frame::put(&mut again, &self.header);
        frame::put(&mut again, &self.replica.state());
        if again != payload {
            return Err(self.differs("the state is not that of the file which begins here".into()));
        }
        self.compared += 1;
        Ok(())
    }

    fn differs(&self, what: String) -> Stop {
        let (turn, time, program) = (self.turns, self.time, self.header.program.clone());
        Stop::Error(ReplayError::Differs { turn, time, program, what })
    }

    fn sum_up(self, torn_bytes: u64) -> Summary {
        let Mark { term, role, commit_index, applied } = Mark::of(&self.replica);
        Summary {
            header: self.header,
            events: self.events,
            turns: self.turns,
            compared: self.compared,
            from: self.from,
            to: self.time,
            term,
            role,
            commit_index,
            last_applied: applied.index,
            applied_hash: applied.hash,
            torn_bytes,
        }
    }
}

fn next<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Stop> {
    let (thing, rest) = postcard::take_from_bytes(bytes)
        .map_err(|_| Stop::Damaged("what the frame holds cannot be read, though its checksum fits"))?;
    *bytes = rest;
    Ok(thing)
}
