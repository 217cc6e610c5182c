//! A running Raft node: threads, files, sockets, the HTTP API, and the client that talks to it.
#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod disk;
mod error;
mod http;
pub mod node;
mod transport;
pub mod value;

pub use config::Config;
pub use error::{RequestError, StartError};
pub use node::Node;
pub use raft_core as core;
