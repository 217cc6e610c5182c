//! Failures as exceptions. Which class belongs to which code is a table in `raft_py._errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use raft_node::blocking::{Failure, FailureCode};

static FAILURE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for a failure.
pub(crate) fn raised(py: Python<'_>, failure: Failure) -> PyErr {
    exception(py, &failure).map_or_else(|error| error, PyErr::from_value)
}

fn exception<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyAny>> {
    let make = FAILURE.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("raft_py._errors")?.getattr("exception_of")?.unbind())
    })?;
    let endpoints = PyDict::new(py);
    for at in &failure.endpoints {
        endpoints.set_item(&at.endpoint, &at.error)?;
    }
    make.bind(py).call1((failure.code.as_str(), &failure.message, endpoints, failure.maybe_happened()))
}

/// A failure that this door itself found.
pub(crate) fn failure(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), endpoints: Vec::new() }
}

/// The codes of all failures there are.
#[pyfunction]
pub(crate) fn failure_codes() -> Vec<&'static str> {
    FailureCode::ALL.iter().map(|code| code.as_str()).collect()
}
