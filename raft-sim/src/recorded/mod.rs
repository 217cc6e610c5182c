//! A history that real clients recorded, one JSON object a line, and whether it can be right.
//!
//! `docs/simulation.md` has the form. Each key is a register of its own (`linearizable`); revisions, where
//! they were recorded, say more: they are indexes of one log, so that each write has one, and all of them
//! grow with time.

mod register;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::linearizable::{Search, Stuck, search};
use register::Register;

/// Why a file is no history.
#[derive(Debug, Error)]
pub enum RecordedError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not an operation.
    #[error("line {line} is not an operation: {reason}; docs/simulation.md has the form")]
    NotAnOperation {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Set,
    Delete,
    Get,
    GetStale,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Failed,
    Unknown,
}

/// An operation as a client recorded it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    client: String,
    kind: Kind,
    key: String,
    /// What was written, or found; none where nothing was there.
    value: Option<String>,
    /// Whether a deletion found something.
    deleted: Option<bool>,
    /// Nanoseconds on one clock.
    begin: u64,
    end: Option<u64>,
    outcome: Outcome,
    /// What each answer said: one for every time it was answered.
    #[serde(default)]
    revisions: Vec<u64>,
}

/// A history, in the order of its lines.
#[derive(Debug)]
pub struct Recorded {
    operations: Vec<Operation>,
}

/// What a history comes to.
#[derive(Debug)]
pub struct Verdict {
    /// How many operations there are.
    pub operations: usize,
    /// On how many keys.
    pub keys: usize,
    /// How many of them were on the key that was used most.
    pub longest: usize,
    /// What cannot be right, each beginning with the name of the check; none of a good history.
    pub violations: Vec<String>,
}

impl Operation {
    fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Set | Kind::Delete)
    }

    fn found(&self) -> Option<&str> {
        let is_read = matches!(self.kind, Kind::Get | Kind::GetStale);
        self.value.as_deref().filter(|_| is_read && self.is_ok())
    }

    /// What is wrong with its form.
    fn fault(&self) -> Option<&'static str> {
        match (self.kind, self.end) {
            (Kind::Set, _) if self.value.is_none() => Some("a set needs a value"),
            (Kind::Delete, _) if self.is_ok() && self.deleted.is_none() => Some("no deleted"),
            (_, None) if self.is_ok() => Some("what is ok has an end"),
            (_, Some(end)) if end < self.begin => Some("it ends before it begins"),
            _ => None,
        }
    }
}

impl Recorded {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds something that is no history.
    pub fn read(path: &Path) -> Result<Recorded, RecordedError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecordedError::Unreadable { path: path.to_owned(), source })?;
        Recorded::parse(&text)
    }

    /// Reads the lines of a file.
    ///
    /// # Errors
    ///
    /// A line is not an operation, or writes a value that another line writes.
    pub fn parse(text: &str) -> Result<Recorded, RecordedError> {
        let mut operations: Vec<Operation> = Vec::new();
        let mut written = HashSet::new();
        for (n, line) in text.lines().enumerate() {
            let wrong = |reason: String| RecordedError::NotAnOperation { line: n + 1, reason };
            let operation: Operation =
                serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            if let Some(fault) = operation.fault() {
                return Err(wrong(fault.to_owned()));
            }
            if operation.kind == Kind::Set && !written.insert(operation.value.clone()) {
                return Err(wrong(format!("{:?} was written before", operation.value.unwrap_or_default())));
            }
            operations.push(operation);
        }
        Ok(Recorded { operations })
    }

    /// Checks all of it.
    #[must_use]
    pub fn check(&self) -> Verdict {
        let mut keys: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, operation) in self.operations.iter().enumerate() {
            keys.entry(&operation.key).or_default().push(at);
        }
        let mut violations = self.check_values();
        self.check_order(&mut violations);
        violations.extend(keys.iter().filter_map(|(key, places)| self.check_register(key, places)));
        let longest = keys.values().map(Vec::len).max().unwrap_or(0);
        Verdict { operations: self.operations.len(), keys: keys.len(), longest, violations }
    }

    /// Whatever was read had been written, to that key; and each write took effect once, in one place.
    fn check_values(&self) -> Vec<String> {
        let mut violations = Vec::new();
        let set = |(at, operation): (usize, &Operation)| {
            (operation.kind == Kind::Set).then(|| (operation.value.clone().unwrap_or_default(), at))
        };
        let sets: HashMap<String, usize> = self.operations.iter().enumerate().filter_map(set).collect();
        // Of each write, where it was first seen to be, and by whom.
        let mut seen: HashMap<usize, (u64, usize)> = HashMap::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let write = match operation.found() {
                None if operation.is_write() => at,
                None => continue,
                Some(value) => match sets.get(value) {
                    Some(&write) => write,
                    None => {
                        violations.push(format!("A Value From Nowhere: {}", self.tell(at)));
                        continue;
                    }
                },
            };
            let source = &self.operations[write];
            if source.key != operation.key || operation.end.is_some_and(|end| end < source.begin) {
                let (at, write) = (self.tell(at), self.tell(write));
                violations.push(format!("A Value From Nowhere: {at}, but {write}"));
            } else if source.outcome == Outcome::Failed && write != at {
                let (at, write) = (self.tell(at), self.tell(write));
                violations.push(format!("Without Effect: {write}, but {at}"));
            }
            for &revision in &operation.revisions {
                let (first, by) = *seen.entry(write).or_insert((revision, at));
                if first != revision {
                    let (write, by, at) = (self.tell(write), self.tell(by), self.tell(at));
                    violations.push(format!(
                        "Exactly Once: {write} took effect at revision {first} ({by}) and at {revision} \
                         ({at})"
                    ));
                }
            }
        }
        violations
    }

    /// What was acknowledged before something was asked for is at a lower revision than a later write, and at
    /// no higher one than a later read of its key finds.
    fn check_order(&self, violations: &mut Vec<String>) {
        let revised = |at: &usize| self.operations[*at].is_ok() && !self.operations[*at].revisions.is_empty();
        let revised: Vec<usize> = (0..self.operations.len()).filter(revised).collect();
        let mut asked = revised.clone();
        asked.retain(|at| self.operations[*at].kind != Kind::GetStale);
        asked.sort_by_key(|at| self.operations[*at].begin);
        let mut acked = revised;
        acked.retain(|at| self.operations[*at].is_write());
        acked.sort_by_key(|at| self.operations[*at].end);
        let mut acked = acked.into_iter().peekable();
        let mut highest: Option<(u64, usize)> = None;
        let mut of_key: HashMap<&str, (u64, usize)> = HashMap::new();
        for at in asked {
            let operation = &self.operations[at];
            let is_before = |write: &usize| self.operations[*write].end < Some(operation.begin);
            while let Some(write) = acked.next_if(is_before) {
                let place = (self.operations[write].revisions[0], write);
                highest = highest.max(Some(place));
                let last = of_key.entry(&self.operations[write].key).or_insert(place);
                *last = place.max(*last);
            }
            let revision = operation.revisions[0];
            let (before, name) = match operation.is_write() {
                true => (highest.filter(|(before, _)| *before >= revision), "Order"),
                false => {
                    let last = of_key.get(operation.key.as_str()).copied();
                    (last.filter(|(before, _)| *before > revision), "Stale Read")
                }
            };
            if let Some((_, before)) = before {
                violations.push(format!("{name}: {}, after {} was over", self.tell(at), self.tell(before)));
            }
        }
    }

    /// Whether one register explains what was seen of a key.
    fn check_register(&self, key: &str, places: &[usize]) -> Option<String> {
        let register = Register::of(&self.operations, places);
        let (stuck, why) = match search(&register.calls) {
            Search::Found => return None,
            Search::None(stuck) => (stuck, "Linearizability: no order explains what was seen of"),
            Search::Undecided(stuck) => (stuck, "Undecided: too many orders to try for"),
        };
        Some(format!("{why} {key:?}: {}", self.tell_stuck(&stuck, &register)))
    }

    fn tell_stuck(&self, stuck: &Stuck, register: &Register<'_>) -> String {
        let held = stuck.value.and_then(|value| register.values.get(value as usize));
        let held = held.map_or("nothing".to_owned(), |value| format!("{value:?}"));
        let tell = |calls: &[usize]| {
            let calls = calls.iter().map(|&call| self.tell(register.places[call]));
            calls.collect::<Vec<_>>().join("; ")
        };
        let (placed, all, next) = (stuck.placed, register.calls.len(), tell(&stuck.next));
        let why = match stuck.unread.as_slice() {
            [] => "none of these fits".to_owned(),
            unread => format!("{} found that later; but first one of these has to come", tell(unread)),
        };
        format!("after {placed} of {all} it holds {held}, and {why}: {next}")
    }

    /// An operation in words, with its line.
    fn tell(&self, at: usize) -> String {
        let operation = &self.operations[at];
        let (client, key, value) = (&operation.client, &operation.key, operation.value.as_deref());
        let did = match (operation.kind, operation.outcome) {
            (Kind::Set, _) => format!("set {key:?} to {:?}", value.unwrap_or_default()),
            (Kind::Delete, _) => format!("delete {key:?}, found {:?}", operation.deleted),
            (Kind::Get, _) => format!("get {key:?}, found {value:?}"),
            (Kind::GetStale, _) => format!("stale get {key:?}, found {value:?}"),
        };
        let seconds = |time: u64| time as f64 / 1e9;
        let until = operation.end.map_or_else(String::new, |end| format!("–{:.6}", seconds(end)));
        let revisions = match operation.revisions.as_slice() {
            [] => String::new(),
            revisions => format!(", revisions {revisions:?}"),
        };
        let (line, begin, outcome) = (at + 1, seconds(operation.begin), operation.outcome);
        format!("line {line} ({client}: {did}, {outcome:?}, {begin:.6}{until} s{revisions})")
    }
}
