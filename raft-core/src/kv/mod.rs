//! The key-value store: the state machine every node runs.

mod command;
mod snapshot;
mod store;
mod stored;
mod value;

pub use command::{Answer, Command, ListPage, Query, QueryAnswer};
pub use store::Store;
pub use value::{InvalidKey, Item, Key, Value};
