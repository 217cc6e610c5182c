//! `raft-sim`: runs seeds on all cores, and shows, tells and minimises those that fail.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
#[cfg(feature = "seeded-bugs")]
use raft_core::seeded::Bug;
use raft_sim::recorded::{Recorded, Verdict};
use raft_sim::{Counts, Fault, Options, Run, minimise, run};

/// Simulates whole clusters of the shipped replica, one from each seed, with everything going wrong.
#[derive(Debug, Parser)]
#[command(name = "raft-sim")]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Stop after so many seconds, whatever is left.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Run this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Tell the run of --seed as a story.
    #[arg(long, requires = "seed")]
    story: bool,
    /// Leave out of a failing run what the failure does not need.
    #[arg(long)]
    minimise: bool,
    /// Leave these faults out.
    #[arg(long, value_delimiter = ',', value_name = "FAULT,…")]
    without: Vec<String>,
    /// Let clients ask for so many operations only.
    #[arg(long, value_name = "N")]
    operations: Option<u64>,
    /// Check what real clients recorded in this file, one operation a line, and simulate nothing.
    #[arg(long, value_name = "FILE", exclusive = true)]
    history: Option<PathBuf>,
    /// Threads; all cores, if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Plant each deliberate bug in turn, and show which check catches it, after how many seeds.
    #[cfg(feature = "seeded-bugs")]
    #[arg(long)]
    bugs: bool,
    /// Plant this deliberate bug.
    #[cfg(feature = "seeded-bugs")]
    #[arg(long, value_name = "BUG")]
    bug: Option<String>,
    /// Show how often each fault struck.
    #[arg(long)]
    faults: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(path) = &args.history {
        return history(path);
    }
    let mut without = Vec::new();
    for name in &args.without {
        let Some(fault) = Fault::named(name) else {
            eprintln!("raft-sim: there is no fault {name:?}; --faults shows all of them");
            return ExitCode::from(2);
        };
        without.push(fault);
    }
    // A failing seed is reported in one line of its own.
    std::panic::set_hook(Box::new(|_| {}));
    #[cfg(feature = "seeded-bugs")]
    if args.bugs {
        return bugs(&args);
    }
    #[cfg(feature = "seeded-bugs")]
    if let Some(name) = &args.bug {
        let Some(bug) = Bug::ALL.iter().find(|bug| bug.name() == name) else {
            eprintln!("raft-sim: there is no bug {name:?}; --bugs shows all of them");
            return ExitCode::from(2);
        };
        raft_core::seeded::plant(Some(*bug));
    }
    let options = Options { without, operations: args.operations, is_told: args.story };
    match args.seed {
        Some(seed) => one(seed, &options, &args),
        None => many(&options, &args),
    }
}

/// Whether a recorded history can be right.
fn history(path: &Path) -> ExitCode {
    let began = Instant::now();
    let recorded = match Recorded::read(path) {
        Ok(recorded) => recorded,
        Err(error) => {
            eprintln!("raft-sim: {error}");
            return ExitCode::from(2);
        }
    };
    let Verdict { operations, keys, longest, violations } = recorded.check();
    let seconds = began.elapsed().as_secs_f64();
    violations.iter().for_each(|violation| println!("{violation}"));
    let verdict = match violations.len() {
        0 => "linearizable, each write once".to_owned(),
        violations => format!("{violations} violations"),
    };
    let size = format!("{operations} operations on {keys} keys, at most {longest} on one");
    println!("{size}, checked in {seconds:.2} s: {verdict}");
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn jobs(args: &Args) -> usize {
    args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// The table of deliberate bugs, each with the check that caught it.
#[cfg(feature = "seeded-bugs")]
fn bugs(args: &Args) -> ExitCode {
    let mut missed = 0;
    println!("| bug | caught by | at seed |\n| --- | --- | --- |");
    for &bug in Bug::ALL {
        match raft_sim::bugs::hunt(bug, args.seeds, jobs(args)) {
            Some(caught) => println!("| {} | {} | {} |", bug.name(), caught.failure.check, caught.seed),
            None => {
                missed += 1;
                println!("| {} | nothing in {} seeds | |", bug.name(), args.seeds);
            }
        }
    }
    let planted = Bug::ALL.len();
    println!("\n{planted} bugs planted, {missed} missed");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, options: &Options, args: &Args) -> ExitCode {
    let began = Instant::now();
    let found = run(seed, options);
    found.story.iter().for_each(|line| println!("{line}"));
    println!("{}", found.counts.to_text(began.elapsed().as_secs_f64()));
    if args.faults {
        print!("{}", found.counts.faults_to_text());
    }
    report(&found, options, args.minimise)
}

fn report(found: &Run, options: &Options, is_minimised: bool) -> ExitCode {
    let Some(failure) = &found.failure else { return ExitCode::SUCCESS };
    println!("seed {} fails: {}", found.seed, failure.message);
    println!("  replay: {}", replay(found.seed, options));
    if is_minimised && let Some((smallest, found)) = minimise::minimise(found.seed, options) {
        let kinds = found.counts.fired.iter().filter(|fired| **fired > 0).count();
        println!("  smallest: {} ({kinds} kinds of faults)", replay(found.seed, &smallest));
    }
    ExitCode::FAILURE
}

fn replay(seed: u64, options: &Options) -> String {
    let mut line = format!("cargo run --release -p raft-sim -- --seed {seed} --story");
    if !options.without.is_empty() {
        let names: Vec<&str> = options.without.iter().map(|fault| fault.name()).collect();
        line += &format!(" --without {}", names.join(","));
    }
    if let Some(operations) = options.operations {
        line += &format!(" --operations {operations}");
    }
    line
}

fn many(options: &Options, args: &Args) -> ExitCode {
    let began = Instant::now();
    let end = args.from.saturating_add(args.seeds);
    println!("seeds {}..{end}", args.from);
    let bar = ProgressBar::new(args.seeds);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left");
    bar.set_style(style.expect("a valid template"));
    let (next, is_over) = (AtomicU64::new(args.from), AtomicBool::new(false));
    let (total, failed) = (Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs(args).max(1) {
            scope.spawn(|| {
                let mut counts = Counts::default();
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let found = run(seed, options);
                    counts.add(&found.counts);
                    bar.inc(1);
                    if found.failure.is_some() {
                        let mut failed = failed.lock().expect("nobody panics holding it");
                        failed.push(found);
                        is_over.fetch_or(failed.len() >= 10, Ordering::Relaxed);
                    }
                    let late = |limit| began.elapsed() >= Duration::from_secs(limit);
                    is_over.fetch_or(args.seconds.is_some_and(late), Ordering::Relaxed);
                }
                total.lock().expect("nobody panics holding it").add(&counts);
            });
        }
    });
    bar.finish_and_clear();
    let (counts, failed) = (total.into_inner().expect("done"), failed.into_inner().expect("done"));
    println!("{}", counts.to_text(began.elapsed().as_secs_f64()));
    if args.faults {
        print!("{}", counts.faults_to_text());
    }
    let never: Vec<&str> = counts.never_fired().map(Fault::name).collect();
    if !never.is_empty() {
        println!("never struck: {}", never.join(", "));
    }
    for found in &failed {
        report(found, options, args.minimise);
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
