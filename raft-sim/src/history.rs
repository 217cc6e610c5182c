//! What clients asked for and what they heard, and whether that can be right.
//!
//! Each operation is known by its place here; a write's value is that place, so that no two writes are alike.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::kv::{self, Answer, Key, ListPage, QueryAnswer, Value};
use raft_core::replica::{CommandResult, Outcome, Refused, Reply};

use crate::linearizable::{Action, Call, Search, search};
use crate::machine::Executed;

/// What an operation is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Set {
        key: usize,
        protected: bool,
    },
    Delete {
        key: usize,
        protected: bool,
    },
    Get {
        key: usize,
    },
    GetStale {
        key: usize,
    },
    List,
    /// Opens a session.
    Open,
    /// A set under a key that was used for another command: it must not take effect.
    Misuse,
}

impl Kind {
    /// Whether it may be asked for again when nobody knows what became of it.
    pub(crate) fn is_repeatable(self) -> bool {
        !matches!(self, Kind::Set { protected: false, .. } | Kind::Delete { protected: false, .. })
    }
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Set,
    Deleted(bool),
    Found(Option<u64>),
    Listed(BTreeMap<String, u64>),
    Opened,
    Differs,
}

#[derive(Debug)]
struct Operation {
    kind: Kind,
    asked: u64,
    answered: Option<u64>,
    told: Option<Told>,
    /// The log index at which it took effect, or which its answer shows.
    index: u64,
    attempts: u32,
    /// Attempts that had no effect for certain.
    without_effect: u32,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    NoEffect,
    Unknown,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    operations: Vec<Operation>,
    /// Numbers the questions and answers.
    now: u64,
}

/// Which writes ran: at which index, on which key.
type Ran = BTreeMap<u64, (u64, String)>;

/// A key's name.
pub(crate) fn key_name(key: usize) -> Key {
    Key::new(&format!("k{key}")).expect("a valid key")
}

/// A write's value: its number, and blanks to make it longer.
pub(crate) fn value_of(operation: usize, padding: usize) -> Value {
    Value::Json(Bytes::from(format!("{operation}{}", " ".repeat(padding))))
}

fn number(value: &Value) -> u64 {
    let (Value::Json(text) | Value::Bytes(text)) = value;
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.trim_end().parse().unwrap_or_else(|_| panic!("A Value From Nowhere: {text:?}"))
}

impl History {
    pub(crate) fn ask(&mut self, kind: Kind) -> usize {
        self.now += 1;
        let (asked, told) = (self.now, None);
        let operation =
            Operation { kind, asked, answered: None, told, index: 0, attempts: 0, without_effect: 0 };
        self.operations.push(operation);
        self.operations.len() - 1
    }

    pub(crate) fn attempted(&mut self, operation: usize) {
        self.operations[operation].attempts += 1;
    }

    pub(crate) fn kind(&self, operation: usize) -> Kind {
        self.operations[operation].kind
    }

    pub(crate) fn is_answered(&self, operation: usize) -> bool {
        self.operations[operation].answered.is_some()
    }

    pub(crate) fn count(&self) -> (u64, u64) {
        let answered = self.operations.iter().filter(|operation| operation.answered.is_some()).count();
        (self.operations.len() as u64, answered as u64)
    }

    /// The attempt never reached a server.
    pub(crate) fn not_sent(&mut self, operation: usize) {
        self.operations[operation].without_effect += 1;
    }

    pub(crate) fn hear(&mut self, operation: usize, reply: &Reply) -> Verdict {
        let kind = self.operations[operation].kind;
        let (told, index) = match reply {
            // A second copy that comes when the client has said that it has its answer.
            Reply::Done(Outcome { result: CommandResult::SequenceReused, .. })
                if self.is_answered(operation) =>
            {
                return Verdict::Done;
            }
            Reply::Done(outcome) => (told_by(kind, outcome), outcome.index.0),
            Reply::Found(answer) => found_by(kind, answer),
            Reply::Refused(
                Refused::NoLeader | Refused::Overloaded | Refused::ShuttingDown | Refused::DiskFull,
            ) => {
                self.operations[operation].without_effect += 1;
                return Verdict::NoEffect;
            }
            Reply::Administered(_) | Reply::Declined(_) => panic!("{operation} is no task"),
            Reply::Refused(Refused::Unknown | Refused::ReadTimeout | Refused::Failed) => {
                return Verdict::Unknown;
            }
        };
        self.now += 1;
        let known = &mut self.operations[operation];
        if known.answered.is_some() {
            // A read asked by two servers may find two values; a write has one outcome, however often it is
            // asked for.
            let is_write = matches!(kind, Kind::Set { .. } | Kind::Delete { .. });
            let same = known.told.as_ref() == Some(&told) && known.index == index;
            assert!(!is_write || same, "Exactly Once: {known:?} is now {told:?} at {index}");
            return Verdict::Done;
        }
        (known.told, known.index, known.answered) = (Some(told), index, Some(self.now));
        Verdict::Done
    }

    /// Checks all of it against what the log executed, and every key's register.
    pub(crate) fn check(&self, executed: &[Executed], keys: usize) {
        let (ran, mut deletes) = self.check_executed(executed);
        for operation in &self.operations {
            // What is left is what deletions did of which nobody heard.
            if let (Kind::Delete { key, .. }, Some(_)) = (operation.kind, &operation.told) {
                deletes.entry(key_name(key).to_string()).or_default().retain(|at| *at != operation.index);
            }
        }
        for (number, operation) in self.operations.iter().enumerate() {
            check_effect(operation, ran.get(&(number as u64)));
            check_values(operation, &ran);
        }
        for key in 0..keys {
            let unheard = deletes.remove(key_name(key).as_str()).unwrap_or_default();
            let calls = self.calls(key, &ran, unheard);
            match search(&calls) {
                Search::Found => {}
                Search::None(_) => {
                    panic!("Linearizability: no order explains what was seen of k{key}: {calls:?}")
                }
                Search::Undecided(_) => panic!("Undecided: too many orders to try for k{key}: {calls:?}"),
            }
        }
    }

    /// Where each write was executed, and that none was twice.
    fn check_executed(&self, executed: &[Executed]) -> (Ran, BTreeMap<String, Vec<u64>>) {
        let mut ran = Ran::new();
        let mut deletes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for Executed { index, command, .. } in executed {
            match kv::Command::decode(command) {
                Some(kv::Command::Set { key, value }) => {
                    let before = ran.insert(number(&value), (index.0, key.to_string()));
                    assert!(before.is_none(), "Exactly Once: write {value:?} ran at {before:?} and {index}");
                }
                Some(kv::Command::Delete { key }) => {
                    deletes.entry(key.to_string()).or_default().push(index.0)
                }
                None => panic!("Exactly Once: {index} executed what nobody asked for"),
            }
        }
        for (key, ran) in &deletes {
            let is_it = |kind| matches!(kind, Kind::Delete { key: at, .. } if key_name(at).as_str() == *key);
            let asked = self.operations.iter().filter(|operation| is_it(operation.kind)).count();
            let ran = ran.len();
            assert!(ran <= asked, "Exactly Once: {asked} deletions of {key} were asked for, {ran} ran");
        }
        (ran, deletes)
    }

    /// The operations on one key, as the register's calls.
    fn calls(&self, key: usize, ran: &Ran, unheard: Vec<u64>) -> Vec<Call> {
        let mut unheard = unheard.into_iter();
        let mut calls = Vec::new();
        for (number, operation) in self.operations.iter().enumerate() {
            let written = number as u64;
            let action = match (operation.kind, &operation.told) {
                (Kind::Set { key: at, .. }, told) if at == key => {
                    if told.is_none() && !ran.contains_key(&written) {
                        continue;
                    }
                    Action::Write(written)
                }
                (Kind::Delete { key: at, .. }, told) if at == key => match told {
                    Some(Told::Deleted(existed)) => Action::Delete(Some(*existed)),
                    _ if operation.attempts == operation.without_effect => continue,
                    _ => Action::Delete(None),
                },
                (Kind::Get { key: at }, Some(Told::Found(found))) if at == key => Action::Read(*found),
                (Kind::List, Some(Told::Listed(found))) => {
                    Action::Read(found.get(key_name(key).as_str()).copied())
                }
                _ => continue,
            };
            let suggested = match action {
                Action::Delete(None) => unheard.next().unwrap_or_default(),
                _ => ran.get(&written).map_or(operation.index, |(index, _)| *index),
            };
            let suggested = if suggested == 0 { u64::MAX } else { suggested };
            calls.push(Call { action, asked: operation.asked, answered: operation.answered, suggested });
        }
        calls
    }
}

fn told_by(kind: Kind, outcome: &Outcome) -> Told {
    match (&outcome.result, kind) {
        (CommandResult::SessionOpen, Kind::Open) => Told::Opened,
        (CommandResult::CommandDiffers, Kind::Misuse) => Told::Differs,
        (CommandResult::Answer(answer), _) => match (Answer::decode(answer), kind) {
            (Answer::Set, Kind::Set { .. }) => Told::Set,
            (Answer::Deleted(existed), Kind::Delete { .. }) => Told::Deleted(existed),
            (answer, _) => panic!("Exactly Once: {kind:?} was answered {answer:?}"),
        },
        (result, _) => panic!("Exactly Once: {kind:?} was answered {result:?}"),
    }
}

fn found_by(kind: Kind, answer: &Bytes) -> (Told, u64) {
    match (QueryAnswer::decode(answer), kind) {
        (QueryAnswer::Item(item), Kind::Get { .. } | Kind::GetStale { .. }) => {
            let index = item.as_ref().map_or(0, |item| item.revision.0);
            (Told::Found(item.map(|item| number(&item.value))), index)
        }
        (QueryAnswer::Page(ListPage { entries, more: false, revision, .. }), Kind::List) => {
            let item = |(key, item): (Key, Option<kv::Item>)| Some((key.to_string(), number(&item?.value)));
            (Told::Listed(entries.into_iter().filter_map(item).collect()), revision.0)
        }
        (answer, _) => panic!("A Value From Nowhere: {kind:?} was answered {answer:?}"),
    }
}

/// What was acknowledged was executed where it says; what had no effect was not.
fn check_effect(operation: &Operation, ran: Option<&(u64, String)>) {
    match operation.kind {
        Kind::Set { key, .. } => {
            if operation.told.is_some() {
                let expected = (operation.index, key_name(key).to_string());
                assert_eq!(ran, Some(&expected), "Nothing Acknowledged Is Lost: {operation:?}");
            }
            if operation.attempts == operation.without_effect {
                assert_eq!(ran, None, "Without Effect: {operation:?} was refused, and executed");
            }
        }
        Kind::Misuse => assert_eq!(ran, None, "Exactly Once: {operation:?} used a key that was used before"),
        _ => {}
    }
}

/// Whatever was read had been written, to that key, at that index.
fn check_values(operation: &Operation, ran: &Ran) {
    let is_known = |key: &str, value: &u64, index: Option<u64>| {
        let (written, at) = ran.get(value).map(|(index, at)| (*index, at.as_str())).unwrap_or_default();
        let fits = at == key && index.is_none_or(|index| index == written);
        assert!(fits, "A Value From Nowhere: {operation:?}");
    };
    match (&operation.told, operation.kind) {
        (Some(Told::Found(Some(value))), Kind::Get { key } | Kind::GetStale { key }) => {
            is_known(key_name(key).as_str(), value, Some(operation.index));
        }
        (Some(Told::Listed(found)), _) => found.iter().for_each(|(key, value)| is_known(key, value, None)),
        _ => {}
    }
}
