//! Doing again what a recording says, and seeing whether it comes to the same.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::de::DeserializeOwned;

use super::frame::{self, Found, Kind};
use super::{FORMAT_VERSION, Header, Mark, Piece};
use crate::message::Message;
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
    /// Files before the first that was replayed: of the log that these go with, part has given way to a
    /// snapshot since.
    pub passed_over: usize,
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
/// the snapshot that they go on from) unless `base` has these. Files from when the log began earlier are
/// passed over where that is missed. `program` is this program's version; `machine` makes an empty state
/// machine. `tell` hears what happens.
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
    machine: &mut dyn FnMut() -> Box<dyn StateMachine>,
    tell: &mut dyn FnMut(Time, Told<'_>),
) -> Result<Summary, ReplayError> {
    let (base, mut first) = (base.unwrap_or_default(), 0);
    let mut play = |first, attempt, tell: &mut dyn FnMut(Time, Told<'_>)| {
        Player::new(program, base.clone(), machine(), first, attempt).play(bytes, tell)
    };
    loop {
        match play(first, Attempt::Sure, tell) {
            Err(Stop::Doubtful(file)) => first = file,
            played => return played.map_err(Stop::error),
        }
        match play(first, Attempt::Rehearsal, &mut |_, _| {}) {
            Err(Stop::Misses) => first += 1,
            _ => return play(first, Attempt::Rehearsed, tell).map_err(Stop::error),
        }
    }
}

/// What a server had to send when its log began earlier may be missing now; to know, one has to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It begins with a file only where nothing can be missing.
    Sure,
    /// It tries, and nobody hears of it.
    Rehearsal,
    /// It was tried.
    Rehearsed,
}

struct Player<'a> {
    program: &'a str,
    beginning: Beginning,
    /// What has come of its snapshot.
    snapshot: Vec<u8>,
    machine: Option<Box<dyn StateMachine>>,
    /// The file that a replay may begin with: those before it that lack anything are passed over.
    first: usize,
    attempt: Attempt,
    replaying: Option<Replaying>,
    /// How many files were passed over, and why the last of them was.
    passed_over: usize,
    why: Option<ResumeError>,
}

/// Why it does not go on.
enum Stop {
    Damaged(&'static str),
    Error(ReplayError),
    /// With this file it would have to begin, and the log began earlier by then.
    Doubtful(usize),
    /// It did matter.
    Misses,
    /// A rehearsal has come as far as the recording.
    BrokeDown,
}

impl Stop {
    fn at(self, offset: usize) -> Stop {
        match self {
            Stop::Damaged(why) => Stop::Error(ReplayError::Damaged { offset: offset as u64, why }),
            other => other,
        }
    }

    fn error(self) -> ReplayError {
        match self {
            Stop::Error(error) => error,
            _ => unreachable!("where it was is known, and it was no attempt"),
        }
    }
}

impl<'a> Player<'a> {
    fn new(
        program: &'a str,
        beginning: Beginning,
        machine: Box<dyn StateMachine>,
        first: usize,
        attempt: Attempt,
    ) -> Player<'a> {
        Player {
            program,
            beginning,
            snapshot: Vec::new(),
            machine: Some(machine),
            first,
            attempt,
            replaying: None,
            passed_over: 0,
            why: None,
        }
    }

    fn play(mut self, bytes: &[u8], tell: &mut dyn FnMut(Time, Told<'_>)) -> Result<Summary, Stop> {
        let mut at = 0;
        let torn_bytes = loop {
            match frame::read(bytes, at) {
                Found::Frame { kind, payload, next } => {
                    self.take(kind, payload, tell).map_err(|stop| stop.at(at))?;
                    at = next;
                }
                Found::End => break 0,
                Found::OtherVersion(found) => return Err(Stop::Error(ReplayError::OtherVersion { found })),
                Found::Torn => break (bytes.len() - at) as u64,
                Found::Bad { .. } if at == 0 => return Err(Stop::Error(ReplayError::NotARecording)),
                Found::Bad { next } if frame::any_from(bytes, next) => {
                    let why = "the frame does not fit its checksum, and whole ones follow";
                    return Err(Stop::Damaged(why).at(at));
                }
                Found::Bad { .. } => break (bytes.len() - at) as u64,
            }
        };
        let none = self.why.map_or(ReplayError::NotARecording, ReplayError::Resume);
        let summary = self.replaying.map(|replaying| replaying.sum_up(torn_bytes, self.passed_over));
        summary.ok_or(Stop::Error(none))
    }

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
            (Kind::Turn, Some(replaying)) => replaying.turn(payload, self.attempt, tell),
            (Kind::Turn, None) if self.passed_over > 0 => Ok(()),
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
        if let Some(why) = self.why_not(&checkpoint)? {
            self.passed_over += 1;
            self.why = Some(why);
            return Ok(());
        }
        let (from, missing) = (checkpoint.at(), checkpoint.log_began()..self.beginning.base.index);
        let machine = self.machine.take().expect("one replica is made");
        let replica = Replica::resume(checkpoint, core::mem::take(&mut self.beginning), machine)
            .map_err(|error| Stop::Error(ReplayError::Resume(error)))?;
        let mark = Mark::of(&replica);
        tell(from, Told::Stands(&mark));
        self.replaying = Some(Replaying {
            header,
            replica,
            missing,
            from,
            time: from,
            events: 0,
            turns: 0,
            compared: 0,
            mark,
        });
        Ok(())
    }

    /// Why the file that begins so is to be passed over, if it is.
    fn why_not(&self, checkpoint: &Checkpoint) -> Result<Option<ResumeError>, Stop> {
        match (checkpoint.check(&self.beginning), checkpoint.lacks(&self.beginning)) {
            (Err(error @ ResumeError::TooOld { .. }), _) => Ok(Some(error)),
            (Err(error), _) => Err(Stop::Error(ReplayError::Resume(error))),
            (Ok(()), lacks @ Some(_)) if self.passed_over < self.first => Ok(lacks),
            (Ok(()), Some(_)) if self.attempt == Attempt::Sure => Err(Stop::Doubtful(self.passed_over)),
            (Ok(()), _) => Ok(None),
        }
    }
}

struct Replaying {
    header: Header,
    replica: Replica,
    /// Its log began after the first of these when this was recorded, and does after the last now.
    missing: Range<LogIndex>,
    from: Time,
    time: Time,
    events: u64,
    turns: u64,
    compared: u64,
    /// Where it stood last.
    mark: Mark,
}

impl Replaying {
    fn turn(
        &mut self,
        mut payload: &[u8],
        attempt: Attempt,
        tell: &mut dyn FnMut(Time, Told<'_>),
    ) -> Result<(), Stop> {
        self.turns += 1;
        let mut pieces = Vec::new();
        while !payload.is_empty() {
            pieces.push(next::<Piece<Event>>(&mut payload)?);
        }
        if !matches!(pieces.last(), Some(Piece::Drained { .. })) {
            if attempt == Attempt::Rehearsal {
                return Err(Stop::BrokeDown);
            }
            tell(self.time, Told::BreaksOff);
        }
        for piece in pieces {
            match piece {
                Piece::Step { after, event } => {
                    self.events += 1;
                    self.time = self.time + core::time::Duration::from_micros(after);
                    tell(self.time, Told::Event(&event));
                    if self.misses_snapshot(&event) {
                        return Err(Stop::Misses);
                    }
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
        if self.misses_entries() {
            return Err(Stop::Misses);
        }
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

    /// Whether a follower lacks what this leader's log had then, and does not have now.
    fn misses_entries(&self) -> bool {
        let mut followers =
            self.replica.consensus().leadership().into_iter().flat_map(|leads| leads.progress().values());
        followers.any(|progress| self.missing.contains(&progress.next_index.prev()))
    }

    /// Whether a follower has a part of a snapshot that would be sent on if the log began as early as then.
    fn misses_snapshot(&self, event: &Event) -> bool {
        let Event::Received { message: Message::InstallReply(reply), .. } = event else { return false };
        self.replica.consensus().leadership().is_some() && self.missing.contains(&reply.snapshot.index)
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

    fn sum_up(self, torn_bytes: u64, passed_over: usize) -> Summary {
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
            passed_over,
        }
    }
}

fn next<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Stop> {
    let (thing, rest) = postcard::take_from_bytes(bytes)
        .map_err(|_| Stop::Damaged("what the frame holds cannot be read, though its checksum fits"))?;
    *bytes = rest;
    Ok(thing)
}
