//! The client of asyncio programs. Calls run on one thread of the client's own; each ends by calling `done`
//! there, which hands the result to the event loop (`raft_py._async_client`).

use std::future::Future;

use parking_lot::Mutex;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use raft_node::blocking::{Failure, FailureCode};
use raft_node::client::{Changed, Client, ClientError};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::calls::{Options, closed};
use crate::client::configuration;
use crate::ending;
use crate::errors::{failure, raised};
use crate::node::{Joining, options};
use crate::values::{from_item, loads, to_value};

/// A call that is under way.
#[pyclass(frozen, module = "raft_py._native")]
pub(crate) struct Task {
    abort: AbortHandle,
}

#[pymethods]
impl Task {
    /// Gives it up; `done` is not called any more, unless it is being called already.
    fn cancel(&self) {
        self.abort.abort();
    }
}

/// The client and the thread that it runs on.
struct Running {
    client: Client,
    runtime: Runtime,
}

/// An asyncio client.
#[pyclass(frozen, module = "raft_py._native")]
pub(crate) struct AsyncClient {
    /// None once it is closed.
    running: Mutex<Option<Running>>,
    endpoints: Vec<String>,
    process: u32,
}

impl AsyncClient {
    fn is_at_home(&self) -> bool {
        self.process == std::process::id()
    }

    /// Begins a call. `translate` makes its result a Python object.
    fn begin<T, F>(
        &self,
        py: Python<'_>,
        options: Options,
        done: Py<PyAny>,
        work: impl FnOnce(Client) -> F,
        translate: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> PyResult<Task>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        if !self.is_at_home() {
            let why = "this process was forked from the one that made this client, and has none of its \
                       threads: make a new one here";
            return Err(raised(py, failure(FailureCode::Forked, why)));
        }
        let running = self.running.lock();
        let Some(Running { client, runtime }) = &*running else {
            return Err(raised(py, closed("this client")));
        };
        let mut client = client.clone();
        if let Some(timeout) = options.timeout {
            client = client.with_timeout(timeout);
        }
        if let Some(consistency) = options.consistency {
            client = client.with_consistency(consistency);
        }
        let work = work(client);
        let task = runtime.spawn(async move {
            let result = work.await.map_err(Failure::from);
            // Without an interpreter there is nobody to be told.
            let _ = ending::attach(|py| {
                let result = result.map_err(|failure| raised(py, failure));
                let told = match result.and_then(|found| translate(py, found)) {
                    Ok(found) => done.call1(py, (found, py.None())),
                    Err(error) => done.call1(py, (py.None(), error.into_value(py))),
                };
                if let Err(error) = told {
                    error.write_unraisable(py, Some(done.bind(py)));
                }
            });
        });
        Ok(Task { abort: task.abort_handle() })
    }

    fn let_go(&self) {
        let Some(Running { client, runtime }) = self.running.lock().take() else { return };
        if self.is_at_home() {
            drop(client);
            runtime.shutdown_background();
        } else {
            // Its locks may be held by threads that a forked child does not have.
            std::mem::forget((client, runtime));
        }
    }
}

#[pymethods]
impl AsyncClient {
    #[new]
    #[pyo3(signature = (endpoints=None, timeout=None, consistency=None))]
    fn new(
        py: Python<'_>,
        endpoints: Option<Vec<String>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
    ) -> PyResult<AsyncClient> {
        let made = configuration(endpoints, timeout, consistency)
            .and_then(|config| Client::new(config).map_err(Failure::from));
        let client = made.map_err(|failure| raised(py, failure))?;
        let endpoints = client.endpoints().map(str::to_owned).collect();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("raft-py-async")
            .enable_all()
            .build()
            .map_err(|error| {
                raised(py, failure(FailureCode::System, format!("no thread to wait in: {error}")))
            })?;
        let running = Mutex::new(Some(Running { client, runtime }));
        Ok(AsyncClient { running, endpoints, process: std::process::id() })
    }

    #[getter]
    fn endpoints(&self) -> Vec<String> {
        self.endpoints.clone()
    }

    /// Lets go of all connections and of the thread. Calls that are under way never end.
    fn close(&self) {
        self.let_go();
    }

    #[pyo3(signature = (done, key, value, timeout=None))]
    fn set(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        key: String,
        value: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let (value, options) = (to_value(value)?, options(py, timeout, None)?);
        let work = |client: Client| async move { client.set_value(&key, value).await };
        self.begin(py, options, done, work, |py, written| object(py, written.revision.0))
    }

    #[pyo3(signature = (done, key, consistency=None, timeout=None))]
    fn get(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        key: String,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let asked = key.clone();
        let work = |client: Client| async move { client.get(&asked).await };
        self.begin(py, options(py, timeout, consistency)?, done, work, move |py, item| {
            object(py, item.map(|item| from_item(py, &key, &item)).transpose()?)
        })
    }

    #[pyo3(signature = (done, key, timeout=None))]
    fn delete(&self, py: Python<'_>, done: Py<PyAny>, key: String, timeout: Option<f64>) -> PyResult<Task> {
        let work = |client: Client| async move { client.delete(&key).await };
        self.begin(py, options(py, timeout, None)?, done, work, |py, done| {
            object(py, (done.deleted, done.revision.0))
        })
    }

    #[pyo3(signature = (done, prefix, consistency=None, timeout=None))]
    fn keys(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        prefix: String,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.keys(&prefix).await };
        self.begin(py, options(py, timeout, consistency)?, done, work, |py, keys: Vec<String>| {
            object(py, keys)
        })
    }

    #[pyo3(signature = (done, timeout=None))]
    fn status(&self, py: Python<'_>, done: Py<PyAny>, timeout: Option<f64>) -> PyResult<Task> {
        self.document(py, done, "/api/status", timeout)
    }

    #[pyo3(signature = (done, timeout=None))]
    fn explain(&self, py: Python<'_>, done: Py<PyAny>, timeout: Option<f64>) -> PyResult<Task> {
        self.document(py, done, "/api/why", timeout)
    }

    #[pyo3(signature = (done, to=None, timeout=None))]
    fn transfer(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        to: Option<String>,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.transfer(to.as_deref()).await };
        self.begin(py, options(py, timeout, None)?, done, work, |py, done| object(py, done.leader_id))
    }

    #[pyo3(signature = (done, timeout=None))]
    fn members(&self, py: Python<'_>, done: Py<PyAny>, timeout: Option<f64>) -> PyResult<Task> {
        self.document(py, done, "/api/members", timeout)
    }

    #[pyo3(signature = (done, member, timeout=None))]
    fn add_member(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        member: Joining,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let member = member.into();
        let work = |client: Client| async move { client.add_member(&member).await };
        self.begin(py, options(py, timeout, None)?, done, work, changed)
    }

    #[pyo3(signature = (done, node_id, timeout=None))]
    fn promote_member(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        node_id: String,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.promote_member(&node_id).await };
        self.begin(py, options(py, timeout, None)?, done, work, changed)
    }

    #[pyo3(signature = (done, node_id, priority, timeout=None))]
    fn set_priority(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        node_id: String,
        priority: u8,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.set_priority(&node_id, priority).await };
        self.begin(py, options(py, timeout, None)?, done, work, changed)
    }

    #[pyo3(signature = (done, timeout=None))]
    fn snapshot(&self, py: Python<'_>, done: Py<PyAny>, timeout: Option<f64>) -> PyResult<Task> {
        let work = |client: Client| async move { client.snapshot().await };
        self.begin(py, options(py, timeout, None)?, done, work, |py, taken| {
            object(py, (taken.index, taken.bytes, taken.took_ms))
        })
    }

    #[pyo3(signature = (done, node_id, force, timeout=None))]
    fn remove_member(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        node_id: String,
        force: bool,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.remove_member(&node_id, force).await };
        self.begin(py, options(py, timeout, None)?, done, work, changed)
    }
}

impl AsyncClient {
    fn document(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        target: &'static str,
        timeout: Option<f64>,
    ) -> PyResult<Task> {
        let work = |client: Client| async move { client.document(target).await };
        self.begin(py, options(py, timeout, None)?, done, work, |py, text| Ok(loads(py, &text)?.unbind()))
    }
}

impl Drop for AsyncClient {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn object<'py>(py: Python<'py>, found: impl IntoPyObject<'py>) -> PyResult<Py<PyAny>> {
    found.into_py_any(py)
}

fn changed(py: Python<'_>, changed: Changed) -> PyResult<Py<PyAny>> {
    object(py, changed.configuration_index)
}
