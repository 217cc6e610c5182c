//! A small cluster that is moved by hand, and what is told with it.

pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod invariants;
/// The simulator's, so that both mean the same by a damaged memory.
#[path = "../../../raft-sim/src/machine.rs"]
#[allow(dead_code, reason = "the simulator asks it for more")]
pub(crate) mod machine;
pub(crate) mod members;
pub(crate) mod network;
pub(crate) mod paper;
pub(crate) mod random;
pub(crate) mod script;
pub(crate) mod show;
