//! A running node.

use pyo3::prelude::*;
use raft_node::blocking::{self, Administration, Call, NewMember, Store};

use crate::calls::{Options, blocking};
use crate::errors::raised;
use crate::logging;
use crate::settings::Settings;
use crate::values::{from_item, loads, to_value};

/// A node in this process. It stops when it is dropped.
#[pyclass(frozen, module = "raft_py._native")]
pub(crate) struct Node {
    /// None only while it is being dropped.
    node: Option<blocking::Node>,
}

impl Node {
    fn node(&self) -> &blocking::Node {
        self.node.as_ref().expect("the node is there until it is dropped")
    }
}

#[pymethods]
impl Node {
    /// Starts it.
    #[new]
    #[pyo3(signature = (settings, timeout=None))]
    fn new(py: Python<'_>, settings: &Settings, timeout: Option<f64>) -> PyResult<Node> {
        logging::start(py);
        let options = options(py, timeout, None)?;
        let config = settings.config.clone();
        let node = blocking(py, options, |call| blocking::Node::start_by(config, call))?;
        Ok(Node { node: Some(node) })
    }

    #[pyo3(signature = (timeout=None))]
    fn stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        blocking(py, options(py, timeout, None)?, |call| self.node().stop(call))
    }

    /// Likewise, in an interpreter that ends: no signal and no end of waiting cuts it short but its own.
    fn stop_at_exit(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.node().stop(Call::default())).map_err(|failure| raised(py, failure))
    }

    #[pyo3(signature = (key, value, timeout=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        set(py, self.node(), key, value, timeout)
    }

    #[pyo3(signature = (key, consistency=None, timeout=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: &str,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(Py<PyAny>, u64)>> {
        get(py, self.node(), key, options(py, timeout, consistency)?)
    }

    #[pyo3(signature = (key, timeout=None))]
    fn delete(&self, py: Python<'_>, key: &str, timeout: Option<f64>) -> PyResult<(bool, u64)> {
        delete(py, self.node(), key, timeout)
    }

    #[pyo3(signature = (prefix, consistency=None, timeout=None))]
    fn keys(
        &self,
        py: Python<'_>,
        prefix: &str,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<String>> {
        blocking(py, options(py, timeout, consistency)?, |call| self.node().keys(prefix, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn status(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        document(py, timeout, |call| self.node().status(call))
    }

    #[pyo3(signature = (timeout=None))]
    fn explain(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        document(py, timeout, |call| self.node().explain(call))
    }

    #[pyo3(signature = (to=None, timeout=None))]
    fn transfer(&self, py: Python<'_>, to: Option<&str>, timeout: Option<f64>) -> PyResult<String> {
        blocking(py, options(py, timeout, None)?, |call| self.node().transfer(to, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn members(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        document(py, timeout, |call| self.node().members(call))
    }

    #[pyo3(signature = (member, timeout=None))]
    fn add_member(&self, py: Python<'_>, member: Joining, timeout: Option<f64>) -> PyResult<u64> {
        let member = member.into();
        blocking(py, options(py, timeout, None)?, |call| self.node().add_member(&member, call))
    }

    #[pyo3(signature = (node_id, timeout=None))]
    fn promote_member(&self, py: Python<'_>, node_id: &str, timeout: Option<f64>) -> PyResult<u64> {
        blocking(py, options(py, timeout, None)?, |call| self.node().promote_member(node_id, call))
    }

    #[pyo3(signature = (node_id, priority, timeout=None))]
    fn set_priority(
        &self,
        py: Python<'_>,
        node_id: &str,
        priority: u8,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        blocking(py, options(py, timeout, None)?, |call| self.node().set_priority(node_id, priority, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn snapshot(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<(u64, u64, u64)> {
        let taken = blocking(py, options(py, timeout, None)?, |call| self.node().snapshot(call))?;
        Ok((taken.index, taken.bytes, taken.took_ms))
    }

    #[pyo3(signature = (node_id, force, timeout=None))]
    fn remove_member(
        &self,
        py: Python<'_>,
        node_id: &str,
        force: bool,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        blocking(py, options(py, timeout, None)?, |call| self.node().remove_member(node_id, force, call))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let node = self.node.take();
        // Its stop takes a moment; other threads of the program go on meanwhile.
        Python::try_attach(|py| py.detach(|| drop(node)));
    }
}

/// A server that is to become a member.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Joining {
    node_id: String,
    address: String,
    learner: bool,
    priority: Option<u8>,
    replaces: Option<String>,
}

impl From<Joining> for NewMember {
    fn from(joining: Joining) -> NewMember {
        let Joining { node_id, address, learner, priority, replaces } = joining;
        NewMember { node_id, address, learner, priority, replaces }
    }
}

/// Reads the arguments of a call.
pub(crate) fn options(py: Python<'_>, timeout: Option<f64>, consistency: Option<&str>) -> PyResult<Options> {
    Options::read(timeout, consistency).map_err(|failure| raised(py, failure))
}

pub(crate) fn set(
    py: Python<'_>,
    store: &(impl Store + Sync),
    key: &str,
    value: &Bound<'_, PyAny>,
    timeout: Option<f64>,
) -> PyResult<u64> {
    let value = to_value(value)?;
    let written = blocking(py, options(py, timeout, None)?, |call| store.set(key, value, call))?;
    Ok(written.revision.0)
}

pub(crate) fn get(
    py: Python<'_>,
    store: &(impl Store + Sync),
    key: &str,
    options: Options,
) -> PyResult<Option<(Py<PyAny>, u64)>> {
    let found = blocking(py, options, |call| store.get(key, call))?;
    found.map(|item| from_item(py, key, &item)).transpose()
}

pub(crate) fn delete(
    py: Python<'_>,
    store: &(impl Store + Sync),
    key: &str,
    timeout: Option<f64>,
) -> PyResult<(bool, u64)> {
    let done = blocking(py, options(py, timeout, None)?, |call| store.delete(key, call))?;
    Ok((done.deleted, done.revision.0))
}

/// A JSON document as Python objects.
pub(crate) fn document(
    py: Python<'_>,
    timeout: Option<f64>,
    ask: impl Send + FnOnce(Call<'_>) -> Result<String, raft_node::blocking::Failure>,
) -> PyResult<Py<PyAny>> {
    let text = blocking(py, options(py, timeout, None)?, ask)?;
    Ok(loads(py, &text)?.unbind())
}
