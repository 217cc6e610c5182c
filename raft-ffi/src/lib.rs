//! The C library: translates between C and `raft_node::blocking`, and decides nothing.
//!
//! `include/raft.h` is written from these files by cbindgen, comments included, so what stands beside a
//! function here is its documentation there. The rules they share:
//!
//! - every export runs within [`problem::guard`] or [`problem::status_of`], so no panic crosses into C;
//! - every out-parameter is given a safe value before anything else can go wrong;
//! - every length is compared with the most that can be meant before memory is looked at;
//! - handles are borrowed for the time of a call and freed by one function each.
//!
//! `python-tests/test_c_abuse.py` holds every function of the header to them.

#![allow(non_camel_case_types)]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

// In the order in which a reader of the header meets them.
pub mod version;

pub mod status;

pub mod problem;

pub mod consistency;

pub mod node_config;

pub mod node;

pub mod client_config;

pub mod client;

pub mod value;

pub mod keys;

pub mod log;

mod administration;
mod input;
mod store;
