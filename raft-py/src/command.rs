//! The `raft-server` command within Python. It is the same library as the binary's, not a second executable
//! in the
//! wheel: a wheel carries one build of the node, and pip needs no step of its own to install it.

use std::ffi::OsString;

use pyo3::prelude::*;
use raft_server::{Program, main_with};

/// Runs the command and gives its exit code. `name` is what a user types for it, `command` starts it once
/// more.
#[pyfunction]
pub(crate) fn main(
    py: Python<'_>,
    name: Vec<String>,
    command: Vec<OsString>,
    arguments: Vec<OsString>,
) -> u8 {
    py.detach(|| main_with(Program { name, command }, arguments))
}
