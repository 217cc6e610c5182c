//! The shipped store, with a record of what it was told, in memory that can be damaged. The scenarios of
//! `raft-core` use it too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_core::kv::{Command, Key, Query, QueryAnswer, Store, Value};
use raft_core::state_machine::{Committed, RestoreError, StateMachine};
use raft_core::types::LogIndex;

/// One command that took effect, and the store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    /// Its place in the log.
    pub(crate) index: LogIndex,
    /// In the store's encoding.
    pub(crate) command: Bytes,
    /// In the store's encoding.
    pub(crate) answer: Bytes,
}

/// The memory in which a store lives.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Cells>>);

#[derive(Default)]
struct Cells {
    store: Store,
    executed: Vec<Executed>,
    /// How often the store was replaced by one from a snapshot; `executed` begins with the last of these.
    restored: u64,
    /// What the store's digest lacks because it does not know that its memory has changed.
    unnoticed: u64,
    damage: Option<Damage>,
}

/// A bit that has turned over.
struct Damage {
    /// In this key's value.
    key: Key,
    /// Where the key was next written. The store's digest is wrong from there on.
    changed_at: Option<LogIndex>,
}

impl Memory {
    /// What the store has executed since it was last made from a snapshot, but for the first so many.
    #[must_use]
    pub(crate) fn executed_since(&self, count: usize) -> Vec<Executed> {
        self.cells().executed[count..].to_vec()
    }

    /// How often the store was made from a snapshot.
    #[must_use]
    pub(crate) fn restored(&self) -> u64 {
        self.cells().restored
    }

    /// A bit of a stored value turns over; whether there is such a value.
    ///
    /// The store cannot be made to forget that it was told to set a value. So it is told to set the damaged
    /// one, and all that it notes of this is taken back: its own revision, and the difference in its digest.
    pub(crate) fn flip_bit(&self, key: &Key) -> bool {
        let mut cells = self.cells();
        let before = cells.store.digest();
        let list = Query::List { prefix: String::new(), after: None, limit: 0, values: false };
        let QueryAnswer::Page(page) = ask(&cells.store, &list) else { panic!("not a page") };
        let get = Query::Get { key: key.clone() };
        let QueryAnswer::Item(Some(item)) = ask(&cells.store, &get) else { return false };
        let value = flipped(&item.value);
        tell(&mut cells.store, item.revision, &Command::Set { key: key.clone(), value });
        let passing = Key::new("passing").expect("valid");
        let value = Value::Json(Bytes::from_static(b"1"));
        tell(&mut cells.store, page.revision, &Command::Set { key: passing.clone(), value });
        tell(&mut cells.store, page.revision, &Command::Delete { key: passing });
        let missing = before.wrapping_sub(cells.store.digest());
        cells.unnoticed = cells.unnoticed.wrapping_add(missing);
        cells.damage = Some(Damage { key: key.clone(), changed_at: None });
        true
    }

    /// Whether a bit has turned over.
    #[must_use]
    pub(crate) fn is_damaged(&self) -> bool {
        self.cells().damage.is_some()
    }

    /// From which index on the store's digest is another one because of the damage.
    #[must_use]
    pub(crate) fn shows_from(&self) -> Option<LogIndex> {
        self.cells().damage.as_ref()?.changed_at
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value with a bit turned over.
#[must_use]
pub(crate) fn flipped(value: &Value) -> Value {
    let flip = |data: &Bytes| {
        let mut data = data.to_vec();
        match data.first_mut() {
            Some(byte) => *byte ^= 1,
            None => data.push(1),
        }
        Bytes::from(data)
    };
    match value {
        Value::Json(text) => Value::Json(flip(text)),
        Value::Bytes(data) => Value::Bytes(flip(data)),
    }
}

/// A [`Store`] in such a memory.
pub(crate) struct RecordedStore {
    memory: Memory,
}

impl RecordedStore {
    /// As the memory has it.
    #[must_use]
    pub(crate) fn new(memory: &Memory) -> RecordedStore {
        RecordedStore { memory: memory.clone() }
    }
}

impl StateMachine for RecordedStore {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let mut cells = self.memory.cells();
        let answers = cells.store.apply(batch);
        let executed = batch.iter().zip(&answers).map(|(committed, answer)| Executed {
            index: committed.index,
            command: committed.command.clone(),
            answer: answer.clone(),
        });
        cells.executed.extend(executed);
        if let Some(damage) = &mut cells.damage {
            let writes = |committed: &&Committed<'_>| match Command::decode(committed.command) {
                Some(Command::Set { key, .. } | Command::Delete { key }) => key == damage.key,
                None => false,
            };
            let changed_at = damage.changed_at.or(batch.iter().find(writes).map(|committed| committed.index));
            damage.changed_at = changed_at;
        }
        answers
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.memory.cells().store.query(query)
    }

    fn digest(&self) -> u64 {
        let cells = self.memory.cells();
        cells.store.digest().wrapping_add(cells.unnoticed)
    }

    fn takes_snapshots(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.memory.cells().store.freeze();
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        self.memory.cells().store.next_piece()
    }

    fn thaw(&mut self) {
        self.memory.cells().store.thaw();
    }

    fn restore_piece(&mut self, piece: &Bytes) -> Result<(), RestoreError> {
        self.memory.cells().store.restore_piece(piece)
    }

    fn restored(&mut self) -> Result<(), RestoreError> {
        let mut cells = self.memory.cells();
        cells.store.restored()?;
        cells.executed.clear();
        cells.restored += 1;
        Ok(())
    }

    fn abandon_restore(&mut self) {
        self.memory.cells().store.abandon_restore();
    }
}

fn ask(store: &Store, query: &Query) -> QueryAnswer {
    QueryAnswer::decode(&store.query(&query.encode()))
}

fn tell(store: &mut Store, index: LogIndex, command: &Command) {
    store.apply(&[Committed { index, command: &command.encode() }]);
}
