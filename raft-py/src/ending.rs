//! The interpreter's end, for this module's own threads that call into it.
//!
//! Up to Python 3.13 a thread that asks for the GIL while the interpreter ends is ended on the spot, which
//! aborts the process where Rust code is on its stack. So none is within when it begins, and none goes in
//! afterwards.

use std::time::Duration;

use parking_lot::RwLock;
use pyo3::prelude::*;

/// How long the end waits for them: handlers of the program's own may be what they run.
const PATIENCE: Duration = Duration::from_secs(1);

/// Read by each thread that is within; true once none may go in.
static ENDS: RwLock<bool> = RwLock::new(false);

/// Does something in Python, on a thread of this module's own. None: there is no interpreter any more.
pub(crate) fn attach<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let ends = ENDS.read();
    if *ends { None } else { Python::try_attach(work) }
}

/// Lets no thread of this module in any more, and waits for those within: the last step of the module's exit.
#[pyfunction]
pub(crate) fn end(py: Python<'_>) {
    py.detach(|| {
        if let Some(mut ends) = ENDS.try_write_for(PATIENCE) {
            *ends = true;
        }
    });
}
