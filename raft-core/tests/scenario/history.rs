//! What clients asked and heard, and whether one register a key could have answered so.
//!
//! The log gives the order: a write takes its place at its index, a read after the write whose value it
//! found. What is left to check is that this order agrees with real time (linearizability), with what was
//! executed, and with what was refused "without effect".

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::entry::Command;
use raft_core::kv::{self, Item, Key, Query, QueryAnswer, Value};
use raft_core::replica::{CommandResult, Consistency, Refused, Reply, Token};

use super::machine::Executed;

/// One thing a client asked for; a write that is repeated under its key is one thing.
#[derive(Debug)]
struct Operation {
    kind: Kind,
    key: String,
    asked: u64,
    answered: Option<u64>,
    /// Where it stands in the order of the log.
    place: Option<u64>,
    attempts: u32,
    /// Attempts that were refused for certain.
    refused: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write(u64),
    Read,
    StaleRead,
}

#[derive(Default)]
pub(crate) struct History {
    now: u64,
    operations: Vec<Operation>,
    by_token: BTreeMap<Token, usize>,
    found: Vec<(String, Option<Item>)>,
    protected: BTreeMap<usize, Command>,
    repeatable: Vec<usize>,
}

impl History {
    pub(crate) fn step(&mut self) {
        self.now += 1;
    }

    pub(crate) fn set(key: &str, value: u64) -> Bytes {
        let key = Key::new(key).expect("valid");
        kv::Command::Set { key, value: Value::Json(Bytes::from(value.to_string())) }.encode()
    }

    fn asked(&mut self, token: Token, kind: Kind, key: &str) {
        self.by_token.insert(token, self.operations.len());
        self.operations.push(Operation {
            kind,
            key: key.to_owned(),
            asked: self.now,
            answered: None,
            place: None,
            attempts: 1,
            refused: 0,
        });
    }

    pub(crate) fn write(&mut self, token: Token, key: &str, value: u64, command: &Command) {
        self.asked(token, Kind::Write(value), key);
        if command.session.is_some() {
            self.repeatable.push(self.operations.len() - 1);
            self.protected.insert(self.operations.len() - 1, command.clone());
        }
    }

    /// Writes that may be asked for again.
    pub(crate) fn repeatable(&self) -> &[usize] {
        &self.repeatable
    }

    pub(crate) fn again(&mut self, token: Token, write: usize) -> Command {
        self.by_token.insert(token, write);
        self.operations[write].attempts += 1;
        self.protected[&write].clone()
    }

    pub(crate) fn read(&mut self, token: Token, key: &str, consistency: Consistency) -> Bytes {
        let kind = if consistency == Consistency::Stale { Kind::StaleRead } else { Kind::Read };
        self.asked(token, kind, key);
        Query::Get { key: Key::new(key).expect("valid") }.encode()
    }

    pub(crate) fn answered(&mut self, token: Token, reply: &Reply) {
        let operation = &mut self.operations[self.by_token[&token]];
        let place = match reply {
            Reply::Done(outcome) => {
                let is_answer = matches!(outcome.result, CommandResult::Answer(_));
                assert!(is_answer, "{operation:?} got {outcome:?}");
                outcome.index.0
            }
            Reply::Found(answer) => {
                let QueryAnswer::Item(item) = QueryAnswer::decode(answer) else { panic!("not an item") };
                let place = item.as_ref().map_or(0, |item| item.revision.0);
                self.found.push((operation.key.clone(), item));
                place
            }
            Reply::Refused(
                Refused::NoLeader | Refused::Overloaded | Refused::ShuttingDown | Refused::DiskFull,
            ) => {
                operation.refused += 1;
                return;
            }
            Reply::Refused(Refused::Unknown | Refused::ReadTimeout | Refused::Failed) => return,
            Reply::Administered(_) | Reply::Declined(_) => panic!("{operation:?} is no task"),
        };
        assert!(operation.place.is_none_or(|known| known == place), "{operation:?} is now at {place}");
        operation.place = Some(place);
        operation.answered.get_or_insert(self.now);
    }

    /// Checks all of it against what the log executed.
    pub(crate) fn check(&self, executed: &[Executed]) {
        let mut values: BTreeMap<u64, (u64, String)> = BTreeMap::new();
        let mut places: BTreeMap<u64, (String, Bytes)> = BTreeMap::new();
        for Executed { index, command, .. } in executed {
            let Some(kv::Command::Set { key, value: Value::Json(text) }) = kv::Command::decode(command)
            else {
                panic!("{index} executed what nobody asked for");
            };
            let value = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).expect("a number");
            let before = values.insert(value, (index.0, key.as_str().to_owned()));
            assert!(before.is_none(), "write {value} was executed twice, at {before:?} and {index}");
            places.insert(index.0, (key.as_str().to_owned(), text));
        }
        for operation in &self.operations {
            check_write(operation, &values);
        }
        for (key, item) in self.found.iter().filter_map(|(key, item)| Some((key, item.as_ref()?))) {
            let Value::Json(text) = &item.value else { panic!("not the value that was written") };
            assert_eq!(
                places.get(&item.revision.0),
                Some(&(key.clone(), text.clone())),
                "a value from nowhere"
            );
        }
        self.check_real_time();
    }

    fn check_real_time(&self) {
        let done = |operation: &&Operation| operation.place.is_some() && operation.kind != Kind::StaleRead;
        let done: Vec<&Operation> = self.operations.iter().filter(done).collect();
        for before in &done {
            for after in done.iter().filter(|after| after.key == before.key) {
                if before.answered.is_none_or(|answered| answered >= after.asked) {
                    continue;
                }
                let in_order = match after.kind {
                    Kind::Write(_) => before.place < after.place,
                    Kind::Read | Kind::StaleRead => before.place <= after.place,
                };
                assert!(in_order, "not linearizable: {before:?}\nwas answered before {after:?}");
            }
        }
    }
}

fn check_write(operation: &Operation, values: &BTreeMap<u64, (u64, String)>) {
    let Kind::Write(value) = operation.kind else { return };
    let executed = values.get(&value);
    if let Some(place) = operation.place {
        let expected = (place, operation.key.clone());
        assert_eq!(executed, Some(&expected), "{operation:?} was acknowledged and not executed there");
    }
    if operation.refused == operation.attempts {
        assert_eq!(executed, None, "{operation:?} was refused without effect, and executed");
    }
}
