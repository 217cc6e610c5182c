//! The pure Raft replica.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod consensus;
pub mod disk;
pub mod entry;
mod hash;
pub mod kv;
pub mod log;
pub mod message;
pub mod record;
pub mod replica;
pub mod seeded;
pub mod snapshot;
pub mod state_machine;
pub mod story;
pub mod types;
