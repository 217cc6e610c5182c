//! Everything that a node reads from outside, fed with anything.
//!
//! A *target* is a plain function of some bytes that panics where something does not hold. `fuzz/` hands
//! each to libFuzzer, which looks for bytes that do; `tests/bounded.rs` runs each over its corpus and a
//! fixed number of mutations, with nothing but a stable compiler. docs/fuzzing.md says what each target
//! holds.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `log/` | does recovery survive any data directory, and stand by what it accepts? |
//! | `snapshot` | is a snapshot read as it was written, or refused, and does the store survive any? |
//! | `peer` | can a peer, whatever it says, make a replica panic, forget or lie? |
//! | `rpc` | can a caller of the two readable RPCs? |
//! | `http` | does what HTTP requests carry mean what it says, or get refused? |
//! | `config` | does every setting come from where it should, or is it refused by name? |
//! | `chunks` | how is an input cut into steps? |
//! | `seeds`, `mutate` | where does looking begin, and how does it go on without libFuzzer? |
//! | `world` | one replica and its disk, and what must hold after every step |
#![forbid(unsafe_code)]
#![cfg(feature = "targets")]

pub mod chunks;
pub mod config;
pub mod http;
mod json;
pub mod log;
mod machine;
mod message;
pub mod mutate;
pub mod peer;
pub mod rpc;
pub mod seeds;
pub mod snapshot;
pub mod world;

/// A function that panics where something does not hold.
pub type Target = fn(&[u8]);

/// All targets, by the names under which `fuzz/` has them and their corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("log", log::run),
    ("snapshot", snapshot::run),
    ("peer", peer::run),
    ("rpc", rpc::run),
    ("http", http::run),
    ("config", config::run),
];
