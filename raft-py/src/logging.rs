//! A node's log in Python's `logging`, below the logger `raft_py`.
//!
//! Lines go through a queue and a thread: a node must not wait for the GIL, which a program may hold for
//! longer than an
//! election timeout. Where they are not taken as fast as they come, lines are dropped.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use crate::ending;

/// Lines that may wait.
const LINES: usize = 1024;
/// How long a start waits for a lock that a forked child may never get.
const PATIENCE: Duration = Duration::from_millis(200);

/// The queue, and the process whose thread empties it.
static QUEUE: RwLock<Option<(u32, SyncSender<Line>)>> = RwLock::new(None);
static INSTALLED: Mutex<bool> = Mutex::new(false);
/// The least level that Python's logger takes: 10 for DEBUG, 20 for INFO and so on.
static LEAST: AtomicU8 = AtomicU8::new(20);

/// A line of the log.
struct Line {
    level: u8,
    logger: String,
    message: String,
}

/// Takes this process's log over, unless something else has. Called at each start of a node: a logger that
/// was set to
/// DEBUG since the last one counts from now on.
pub(crate) fn start(py: Python<'_>) {
    if let Ok(least) = least(py) {
        LEAST.store(least, Ordering::Relaxed);
    }
    py.detach(|| {
        let Some(mut queue) = QUEUE.try_write_for(PATIENCE) else { return };
        let process = std::process::id();
        if queue.as_ref().is_none_or(|(owner, _)| *owner != process) {
            let (lines, waiting) = sync_channel(LINES);
            let made = thread::Builder::new().name("raft-py-log".into()).spawn(move || pass_on(&waiting));
            // In a forked child the queue before belonged to a thread that is not there.
            std::mem::forget(queue.replace((process, lines)).filter(|_| made.is_ok()));
        }
        drop(queue);
        if let Some(mut installed) = INSTALLED.try_lock_for(PATIENCE)
            && !*installed
        {
            let _ = tracing::subscriber::set_global_default(registry().with(ToPython));
            *installed = true;
        }
    });
}

fn least(py: Python<'_>) -> PyResult<u8> {
    let logger = py.import("logging")?.call_method1("getLogger", ("raft_py",))?;
    let level: u64 = logger.call_method0("getEffectiveLevel")?.extract()?;
    Ok(u8::try_from(level).unwrap_or(u8::MAX))
}

/// Gives the lines to Python until the interpreter ends.
fn pass_on(waiting: &Receiver<Line>) {
    while let Ok(first) = waiting.recv() {
        let alive = ending::attach(|py| {
            for line in std::iter::once(first).chain(waiting.try_iter()) {
                if let Err(error) = deliver(py, &line) {
                    error.write_unraisable(py, None);
                }
            }
        });
        if alive.is_none() {
            return;
        }
    }
}

fn deliver(py: Python<'_>, line: &Line) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", (&line.logger,))?;
    logger.call_method1("log", (line.level, "%s", &line.message)).map(|_| ())
}

/// The level's number in Python's `logging`. It has none for TRACE, which is DEBUG there.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => 10,
    }
}

/// `raft_node::node::driver` is `raft_py.node.driver`.
fn logger(target: &str) -> String {
    let inside =
        target.strip_prefix("raft_").map_or(target, |rest| rest.split_once("::").map_or("", |r| r.1));
    match inside {
        "" => "raft_py".to_owned(),
        inside => format!("raft_py.{}", inside.replace("::", ".")),
    }
}

struct ToPython;

impl<S: Subscriber> Layer<S> for ToPython {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = number(*metadata.level());
        if level < LEAST.load(Ordering::Relaxed) || !metadata.target().starts_with("raft_") {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let message = format!("{}{}", words.message, words.fields);
        let line = Line { level, logger: logger(metadata.target()), message };
        if let Some(queue) = QUEUE.try_read()
            && let Some((_, lines)) = &*queue
        {
            let _ = lines.try_send(line);
        }
    }
}

/// The message, and ` name=value` of each field.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}
