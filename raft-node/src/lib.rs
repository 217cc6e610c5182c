//! A running Raft node: threads, files, sockets, the HTTP API, and the client that talks to it.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod client;
pub mod config;
pub mod dashboard;
pub mod disk;
mod error;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod node;
pub mod offline;
pub mod record;
mod session;
mod transport;
pub mod value;

pub use config::Config;
pub use error::{RequestError, StartError};
pub use node::Node;
pub use raft_core as core;
