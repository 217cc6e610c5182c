//! The shipped store, with a record of what it was told, in memory that can be damaged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_core::kv::{Command, Key, Query, QueryAnswer, Store, Value};
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::LogIndex;

/// One command that took effect, and the store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) index: LogIndex,
    pub(crate) command: Bytes,
    pub(crate) answer: Bytes,
}

/// What a store has executed, in order.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Executed>>>);

impl History {
    pub(crate) fn since(&self, from: usize) -> Vec<Executed> {
        lock(&self.0)[from..].to_vec()
    }
}

/// The memory in which a store lives.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Cells>>);

#[derive(Default)]
struct Cells {
    store: Store,
    /// What the store's digest lacks because it does not know that its memory has changed.
    unnoticed: u64,
    damaged: bool,
}

impl Memory {
    /// A bit of a stored value turns over; whether there is such a value.
    ///
    /// The store cannot be made to forget that it was told to set a value. So it is told to set the damaged
    /// one, and all that it notes of this is taken back: its own revision, and the difference in its digest.
    pub(crate) fn flip_bit(&self, key: &Key) -> bool {
        let mut cells = lock(&self.0);
        let before = cells.store.digest();
        let list = Query::List { prefix: String::new(), after: None, limit: 0, values: false };
        let QueryAnswer::Page(page) = ask(&cells.store, &list) else { panic!("not a page") };
        let get = Query::Get { key: key.clone() };
        let QueryAnswer::Item(Some(item)) = ask(&cells.store, &get) else { return false };
        let Value::Json(text) = item.value else { return false };
        let mut value = text.to_vec();
        value[0] ^= 1;
        let (key, value) = (key.clone(), Value::Json(value.into()));
        tell(&mut cells.store, item.revision, &Command::Set { key, value });
        let passing = Key::new("passing").expect("valid");
        let value = Value::Json(Bytes::from_static(b"1"));
        tell(&mut cells.store, page.revision, &Command::Set { key: passing.clone(), value });
        tell(&mut cells.store, page.revision, &Command::Delete { key: passing });
        let missing = before.wrapping_sub(cells.store.digest());
        cells.unnoticed = cells.unnoticed.wrapping_add(missing);
        cells.damaged = true;
        true
    }

    /// Whether a bit has turned over.
    pub(crate) fn is_damaged(&self) -> bool {
        lock(&self.0).damaged
    }
}

pub(crate) struct RecordedStore {
    memory: Memory,
    history: History,
}

impl RecordedStore {
    pub(crate) fn new(memory: &Memory, history: &History) -> RecordedStore {
        RecordedStore { memory: memory.clone(), history: history.clone() }
    }
}

impl StateMachine for RecordedStore {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let answers = lock(&self.memory.0).store.apply(batch);
        let executed = batch.iter().zip(&answers).map(|(committed, answer)| Executed {
            index: committed.index,
            command: committed.command.clone(),
            answer: answer.clone(),
        });
        lock(&self.history.0).extend(executed);
        answers
    }

    fn query(&self, query: &Bytes) -> Bytes {
        lock(&self.memory.0).store.query(query)
    }

    fn digest(&self) -> u64 {
        let cells = lock(&self.memory.0);
        cells.store.digest().wrapping_add(cells.unnoticed)
    }
}

fn ask(store: &Store, query: &Query) -> QueryAnswer {
    QueryAnswer::decode(&store.query(&query.encode()))
}

fn tell(store: &mut Store, index: LogIndex, command: &Command) {
    store.apply(&[Committed { index, command: &command.encode() }]);
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
