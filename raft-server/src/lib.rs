//! The `raft-server` command as a library, so that the binary and the Python package are one program: a
//! node, a local cluster, a dashboard, a client, demos. It translates arguments and results; what a node and
//! a client do is raft-node's.
#![forbid(unsafe_code)]

mod args;
mod backup;
mod client;
mod cluster;
mod dashboard;
mod demo;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod logging;
mod node;
mod part;
mod program;
mod recover;
mod replay;
mod restore;
mod settings;
mod signals;
mod table;

use std::ffi::OsString;
use std::io::Write;

use args::{Cli, Command};
use failure::Failure;
pub use program::Program;

/// Runs the command with its arguments, the program's name not among them, and gives the exit code. Takes the
/// signals and the log of this process over; meant to be called once in a process, and to be its last work.
pub fn main_with(program: Program, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    program::remember(program);
    let code = match args::parse(arguments).and_then(run) {
        Ok(()) => 0,
        Err(failure) => failure.report(),
    };
    // Only a Rust program flushes this by itself at its end.
    let _ = std::io::stdout().flush();
    code
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => node::run(cli.node),
        Some(Command::Completions { shell }) => Ok(std::io::stdout().write_all(&args::completions(shell))?),
        Some(Command::Cluster(args)) => cluster::run(&args),
        Some(Command::Dashboard(args)) => dashboard::run(&args),
        Some(Command::Client(args)) => client::run(args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Recover(args)) => recover::run(&args),
        Some(Command::Backup(args)) => backup::run(args),
        Some(Command::Restore(args)) => restore::run(&args),
    }
}

/// The runtime that waits for signals, children and answers. The node has threads of its own.
///
/// # Errors
/// When the operating system refuses.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::usage(format!("cannot start: {error}")))
}
