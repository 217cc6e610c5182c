//! Blocking calls: without the GIL, until an answer, the deadline, a signal, or the interpreter's end.

use std::sync::OnceLock;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use raft_node::blocking::{Call, Failure, FailureCode};
use raft_node::client::Consistency;

use crate::errors::{failure, raised};

/// The thread in which the interpreter ends. From then on the others, which can only be daemons, do not wait.
static LEAVING: OnceLock<ThreadId> = OnceLock::new();

/// The longest wait, as in raft-node; Python's `inf` is that too.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Tells the calls of all other threads to end: called at the interpreter's exit.
#[pyfunction]
pub(crate) fn leave() {
    let _ = LEAVING.set(thread::current().id());
}

fn is_left_behind() -> bool {
    LEAVING.get().is_some_and(|leaving| *leaving != thread::current().id())
}

/// How a call from Python is to be carried out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) consistency: Option<Consistency>,
}

impl Options {
    /// Reads the arguments of a call.
    pub(crate) fn read(timeout: Option<f64>, consistency: Option<&str>) -> Result<Options, Failure> {
        Ok(Options {
            timeout: timeout.map(|given| seconds("the timeout", given)).transpose()?,
            consistency: consistency.map(read_consistency).transpose()?,
        })
    }
}

/// Reads `linearizable` or `stale`.
pub(crate) fn read_consistency(word: &str) -> Result<Consistency, Failure> {
    match word {
        "linearizable" => Ok(Consistency::Linearizable),
        "stale" => Ok(Consistency::Stale),
        _ => Err(Failure::bad_request(format!(
            "{word:?} is no consistency: it is \"linearizable\" or \"stale\""
        ))),
    }
}

/// Reads a time in seconds. Zero is for raft-node to refuse, where it means nothing.
pub(crate) fn seconds(what: &str, given: f64) -> Result<Duration, Failure> {
    if given > LONGEST.as_secs_f64() {
        return Ok(LONGEST);
    }
    match Duration::try_from_secs_f64(given) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(Failure::bad_request(format!("{what} is {given} seconds: it must be more than 0"))),
    }
}

/// Makes a blocking call without the GIL.
pub(crate) fn blocking<T: Send>(
    py: Python<'_>,
    options: Options,
    work: impl Send + FnOnce(Call<'_>) -> Result<T, Failure>,
) -> PyResult<T> {
    let error: Mutex<Option<PyErr>> = Mutex::new(None);
    let done = py.detach(|| {
        let interrupted = || is_interrupted(&error);
        let Options { timeout, consistency } = options;
        work(Call { timeout, consistency, interrupted: Some(&interrupted) })
    });
    if let Some(error) = error.into_inner() {
        return Err(error);
    }
    done.map_err(|failure| match is_left_behind() {
        // Nobody is there to be told; threading takes this one without a word.
        true => PySystemExit::new_err(()),
        false => raised(py, failure),
    })
}

/// Runs the handlers of signals that came, which Python only does in its main thread.
fn is_interrupted(error: &Mutex<Option<PyErr>>) -> bool {
    if is_left_behind() {
        return true;
    }
    match Python::try_attach(|py| py.check_signals()) {
        Some(Ok(())) => false,
        Some(Err(raised)) => {
            *error.lock() = Some(raised);
            true
        }
        None => true,
    }
}

/// What is closed takes no calls.
pub(crate) fn closed(what: &str) -> Failure {
    failure(FailureCode::ShuttingDown, format!("{what} is closed"))
}
