//! `raft-bench`: puts or linearizable reads over HTTP JSON, kept-alive connections, one request in flight on
//! each; the same client against raft-server and etcd. One thread, hand-written HTTP: it shares the machine
//! with the servers it measures, so it has to be cheap. Ends by itself after `--seconds` or `--max-ops`. See
//! README.md.
#![forbid(unsafe_code)]

mod args;
mod http;
mod report;
mod requests;
mod worker;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use args::{Args, Operation, Route};
use report::Report;
use requests::Requests;
use tokio::task::LocalSet;
use worker::{Until, Worker};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => return fail(2, &message),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("no runtime: {error}")),
    };
    match LocalSet::new().block_on(&runtime, run(args)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => fail(1, &message),
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("raft-bench: {message}");
    ExitCode::from(code)
}

async fn run(mut args: Args) -> Result<serde_json::Value, String> {
    if args.route == Route::Leader {
        args.endpoints = vec![requests::find_leader(args.target, &args.endpoints).await?];
    }
    let args = Rc::new(args);
    if args.operation == Operation::Get {
        preload(&args).await?;
    }
    let _warm_up = phase(&args, args.warmup, u64::MAX).await;
    let began = Instant::now();
    let report = phase(&args, args.seconds, args.max_ops).await;
    Ok(report.finish(&args, began.elapsed()))
}

/// Writes every key once.
async fn preload(args: &Rc<Args>) -> Result<(), String> {
    let workers = u64::from(args.connections.min(16));
    let report = Rc::new(RefCell::new(Report::default()));
    let tasks = (0..workers).map(|n| {
        let requests = Requests::new(args.target, Operation::Put, args.value_bytes);
        let requests = requests.with_values(args.values, n + 1);
        let mut worker = Worker::new(args.clone(), requests, n, report.clone());
        let keys = (n..args.keys).step_by(workers as usize);
        tokio::task::spawn_local(async move { worker.write_all(keys).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.map_err(|e| e.to_string())??;
    }
    Ok(())
}

/// All connections at once, for so long.
async fn phase(args: &Rc<Args>, length: Duration, max_ops: u64) -> Report {
    let report = Rc::new(RefCell::new(Report::default()));
    let until = Until { deadline: Instant::now() + length, max_ops };
    let tasks = (0..u64::from(args.connections)).map(|n| {
        let requests = Requests::new(args.target, args.operation, args.value_bytes);
        let requests = requests.with_values(args.values, n + 1001);
        let mut worker = Worker::new(args.clone(), requests, n, report.clone());
        tokio::task::spawn_local(async move { worker.run(until).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        if let Err(error) = task.await {
            report.borrow_mut().error(&format!("panic: {error}"));
        }
    }
    report.take()
}
