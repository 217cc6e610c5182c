//! Explores everything that can happen within bounds, and says what it found.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use raft_model::{Bounds, Effort, run};

/// Checks the shipped replica exhaustively within small bounds. Exits with 1 where a rule is broken, or not
/// every state was seen, or something that should be possible never was.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    bounds: Bounds,
    /// Threads that explore.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
    /// Stop after generating so many states, repetitions included. Ten million take about 1.2 GiB of memory.
    #[arg(long, default_value_t = 40_000_000)]
    max_states: usize,
    /// Plant this bug first, and stop at the first counterexample.
    #[cfg(feature = "seeded-bugs")]
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[allow(unused_mut)]
    let mut effort =
        Effort { threads: arguments.threads, max_states: arguments.max_states, until_broken: true };
    #[cfg(feature = "seeded-bugs")]
    if let Some(name) = &arguments.bug {
        use raft_core::seeded::{Bug, plant};
        let Some(bug) = Bug::ALL.iter().find(|bug| bug.name() == name) else {
            let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            eprintln!("there is no bug {name}; there are {}", names.join(" "));
            return ExitCode::from(2);
        };
        plant(Some(*bug));
        // One thread finds a shortest way first.
        effort.threads = 1;
    }
    // A replica's assertion that fails is an answer, not an accident.
    std::panic::set_hook(Box::new(|_| {}));
    let report = run(arguments.bounds, effort);
    print!("{report}");
    if let Some(peak) = peak_memory() {
        println!("peak memory: {peak}");
    }
    if report.complete && report.never_seen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As the kernel counts it, where it does.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().to_owned())
}
