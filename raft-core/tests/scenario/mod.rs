//! A small cluster that is moved by hand, and what is told with it.

pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod invariants;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod paper;
pub(crate) mod random;
pub(crate) mod script;
pub(crate) mod show;
