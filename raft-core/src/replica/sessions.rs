//! Exactly once: the table that recognises a command's repetition (dissertation §6.3).
//!
//! It is part of the replicated state: every server fills it from the log alone, so that a new leader knows
//! what the old one did. It is bounded by forgetting the session that was used longest ago, which the log
//! decides and no clock. What a forgotten client may not do is have a numbered command executed again: its
//! session is unknown from then on, and an unknown session executes nothing.

#[allow(dead_code, reason = "the replica takes no snapshots yet")]
mod snapshot;

use alloc::collections::BTreeMap;

use bytes::Bytes;
use crc::{CRC_64_XZ, Crc, Table};
use serde::{Deserialize, Serialize};

use super::event::{CommandResult, Outcome};
use crate::entry::{ClientId, Sequence, SessionStep};
use crate::types::LogIndex;

use snapshot::Snapshots;

/// Sessions remembered at most.
pub const MAX_SESSIONS: usize = 262_144;

/// Answers kept for one session at most, where a client reports none as received.
pub const MAX_ANSWERS: usize = 1024;

static FINGERPRINT: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_XZ);

/// Tells whether a repeated command is the same command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint(u64);

impl Fingerprint {
    fn of(command: &Bytes) -> Fingerprint {
        Fingerprint(FINGERPRINT.checksum(command))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Executed {
    command: Fingerprint,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Session {
    /// One command under a key of its own. None while it is executed: it has its place in the table from when
    /// it is judged, so that what is forgotten does not depend on what is executed together.
    Only(Option<Executed>),
    /// Numbered commands: those below `floor` are answered for good.
    Numbered { floor: u64, executed: BTreeMap<u64, Executed> },
}

/// A session, with the log index that used it last.
type Used = (LogIndex, Session);

/// The sessions of all clients.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    sessions: BTreeMap<ClientId, Used>,
    by_use: BTreeMap<LogIndex, ClientId>,
    capacity: usize,
    snapshots: Snapshots,
}

/// What is to be done with a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new: execute it, then tell [`Sessions::executed`], before another one of its session is judged.
    Execute,
    /// It is not to be executed; this is its outcome.
    Answer(Outcome),
}

impl Sessions {
    pub(crate) fn new() -> Sessions {
        Sessions {
            sessions: BTreeMap::new(),
            by_use: BTreeMap::new(),
            capacity: MAX_SESSIONS,
            snapshots: Snapshots::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_capacity(capacity: usize) -> Sessions {
        Sessions { capacity, ..Sessions::new() }
    }

    /// Judges the command at `index`.
    pub(crate) fn judge(&mut self, index: LogIndex, step: &SessionStep, command: &Bytes) -> Verdict {
        let answer = |result| Verdict::Answer(Outcome { index, result });
        self.save(&step.client);
        let known = self.touch(index, &step.client);
        match (step.sequence, known) {
            (Sequence::Open, None) => {
                self.insert(index, &step.client, Session::Numbered { floor: 1, executed: BTreeMap::new() });
                answer(CommandResult::SessionOpen)
            }
            (Sequence::Open, Some(Session::Numbered { .. })) => answer(CommandResult::SessionOpen),
            (Sequence::Only, None) => {
                self.insert(index, &step.client, Session::Only(None));
                Verdict::Execute
            }
            (Sequence::Only, Some(Session::Only(executed))) => {
                let executed = executed.as_ref().expect("a session's commands are judged one by one");
                repeat(index, executed, command)
            }
            (Sequence::Number { .. }, None) => answer(CommandResult::SessionExpired),
            (Sequence::Number { number, answered_below }, Some(Session::Numbered { floor, executed })) => {
                *floor = answered_below.min(number).max(*floor);
                *executed = executed.split_off(floor);
                match executed.get(&number) {
                    Some(executed) => repeat(index, executed, command),
                    None if number < *floor => answer(CommandResult::SequenceReused),
                    None => Verdict::Execute,
                }
            }
            // One name for two kinds of session.
            (Sequence::Open | Sequence::Number { .. }, Some(Session::Only(_)))
            | (Sequence::Only, Some(Session::Numbered { .. })) => answer(CommandResult::CommandDiffers),
        }
    }

    /// Remembers what a command gave.
    pub(crate) fn executed(&mut self, step: &SessionStep, command: &Bytes, outcome: &Outcome) {
        let entry = Executed { command: Fingerprint::of(command), outcome: outcome.clone() };
        match step.sequence {
            Sequence::Open => {}
            Sequence::Only => {
                if let Some((_, Session::Only(executed))) = self.sessions.get_mut(&step.client) {
                    *executed = Some(entry);
                }
            }
            Sequence::Number { number, .. } => {
                if let Some((_, Session::Numbered { floor, executed })) = self.sessions.get_mut(&step.client)
                {
                    executed.insert(number, entry);
                    if executed.len() > MAX_ANSWERS
                        && let Some((oldest, _)) = executed.pop_first()
                    {
                        *floor = oldest + 1;
                    }
                }
            }
        }
    }

    fn touch(&mut self, index: LogIndex, client: &ClientId) -> Option<&mut Session> {
        let (used, session) = self.sessions.get_mut(client)?;
        self.by_use.remove(used);
        self.by_use.insert(index, client.clone());
        *used = index;
        Some(session)
    }

    fn insert(&mut self, index: LogIndex, client: &ClientId, session: Session) {
        self.sessions.insert(client.clone(), (index, session));
        self.by_use.insert(index, client.clone());
        while self.sessions.len() > self.capacity
            && let Some((_, forgotten)) = self.by_use.pop_first()
        {
            self.save(&forgotten);
            self.sessions.remove(&forgotten);
        }
        debug_assert_eq!(self.sessions.len(), self.by_use.len());
    }
}

fn repeat(index: LogIndex, executed: &Executed, command: &Bytes) -> Verdict {
    if executed.command == Fingerprint::of(command) {
        Verdict::Answer(executed.outcome.clone())
    } else {
        Verdict::Answer(Outcome { index, result: CommandResult::CommandDiffers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(client: &str, sequence: Sequence) -> SessionStep {
        SessionStep { client: ClientId::new(client.as_bytes()).unwrap(), sequence }
    }

    fn number(number: u64, answered_below: u64) -> Sequence {
        Sequence::Number { number, answered_below }
    }

    /// Runs a command the way the replica does; the state machine's answer is the command itself.
    fn run(sessions: &mut Sessions, index: u64, step: &SessionStep, command: &'static str) -> Outcome {
        let (index, command) = (LogIndex(index), Bytes::from_static(command.as_bytes()));
        match sessions.judge(index, step, &command) {
            Verdict::Answer(outcome) => outcome,
            Verdict::Execute => {
                let outcome = Outcome { index, result: CommandResult::Answer(command.clone()) };
                sessions.executed(step, &command, &outcome);
                outcome
            }
        }
    }

    fn answer(index: u64, text: &'static str) -> Outcome {
        Outcome { index: LogIndex(index), result: CommandResult::Answer(Bytes::from_static(text.as_bytes())) }
    }

    #[test]
    fn a_key_executes_one_command_once() {
        let mut sessions = Sessions::new();
        let only = step("k", Sequence::Only);
        assert_eq!(run(&mut sessions, 1, &only, "a"), answer(1, "a"));
        assert_eq!(run(&mut sessions, 2, &only, "a"), answer(1, "a"));
        assert_eq!(run(&mut sessions, 3, &only, "b").result, CommandResult::CommandDiffers);
    }

    #[test]
    fn numbered_commands_need_an_open_session() {
        let mut sessions = Sessions::new();
        assert_eq!(
            run(&mut sessions, 1, &step("c", number(1, 1)), "a").result,
            CommandResult::SessionExpired
        );
        for index in 2..4 {
            assert_eq!(
                run(&mut sessions, index, &step("c", Sequence::Open), "").result,
                CommandResult::SessionOpen
            );
        }
        assert_eq!(
            run(&mut sessions, 4, &step("c", number(2, 1)), "b"),
            answer(4, "b"),
            "out of order is fine"
        );
        assert_eq!(run(&mut sessions, 5, &step("c", number(1, 1)), "a"), answer(5, "a"));
        assert_eq!(run(&mut sessions, 6, &step("c", number(2, 1)), "b"), answer(4, "b"));
        assert_eq!(run(&mut sessions, 7, &step("c", number(3, 3)), "c"), answer(7, "c"));
        let stale = run(&mut sessions, 8, &step("c", number(2, 1)), "b");
        assert_eq!(stale.result, CommandResult::SequenceReused, "its answer was received long ago");
    }

    #[test]
    fn a_client_that_reports_no_answers_costs_bounded_memory() {
        let mut sessions = Sessions::new();
        run(&mut sessions, 1, &step("c", Sequence::Open), "");
        let most = MAX_ANSWERS as u64;
        for n in 1..=most {
            run(&mut sessions, n + 1, &step("c", number(n, 1)), "x");
        }
        assert_eq!(
            run(&mut sessions, 5000, &step("c", number(1, 1)), "x"),
            answer(2, "x"),
            "the first of all"
        );
        run(&mut sessions, 5001, &step("c", number(most + 1, 1)), "x");
        let late = run(&mut sessions, 5002, &step("c", number(1, 1)), "x");
        assert_eq!(late.result, CommandResult::SequenceReused, "forgotten, and not executed again");
        assert_eq!(run(&mut sessions, 5003, &step("c", number(2, 1)), "x"), answer(3, "x"));
    }

    #[test]
    fn the_session_used_longest_ago_is_forgotten_first_and_never_executed_twice() {
        let mut sessions = Sessions { capacity: 2, ..Sessions::new() };
        run(&mut sessions, 1, &step("a", Sequence::Open), "");
        run(&mut sessions, 2, &step("b", Sequence::Open), "");
        run(&mut sessions, 3, &step("a", number(1, 1)), "x");
        run(&mut sessions, 4, &step("c", Sequence::Open), "");
        assert_eq!(
            run(&mut sessions, 5, &step("b", number(1, 1)), "x").result,
            CommandResult::SessionExpired
        );
        assert_eq!(run(&mut sessions, 6, &step("a", number(1, 1)), "x"), answer(3, "x"));
    }

    #[test]
    fn one_name_is_one_kind_of_session() {
        let mut sessions = Sessions::new();
        run(&mut sessions, 1, &step("k", Sequence::Only), "a");
        for (index, sequence) in [(2, Sequence::Open), (3, number(1, 1))] {
            let outcome = run(&mut sessions, index, &step("k", sequence), "a");
            assert_eq!(outcome.result, CommandResult::CommandDiffers);
        }
    }
}
