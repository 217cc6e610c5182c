//! The `raft-server` command: a node, a local cluster, a client, demos. It translates arguments and
//! results; what a node and a client do is raft-node's.
#![forbid(unsafe_code)]

mod args;
mod client;
mod cluster;
mod demo;
mod failure;
mod logging;
mod node;
mod settings;
mod signals;

use std::process::ExitCode;

use args::{Cli, Command};
use failure::Failure;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => node::run(cli.node),
        Some(Command::Completions { shell }) => {
            use std::io::Write;
            Ok(std::io::stdout().write_all(&args::completions(shell))?)
        }
        Some(Command::Cluster(args)) => cluster::run(&args),
        Some(Command::Client(args)) => client::run(args),
        Some(Command::Demo(args)) => demo::run(&args),
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
