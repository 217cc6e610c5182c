//! The `raft-server` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use raft_server::{Program, main_with};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(main_with(Program::this_executable(), std::env::args_os().skip(1)))
}
