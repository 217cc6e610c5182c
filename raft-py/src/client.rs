//! The blocking client.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use raft_node::blocking::{self, Administration, Failure, Store};
use raft_node::client::ClientConfig;

use crate::calls::{blocking, closed, read_consistency, seconds};
use crate::errors::raised;
use crate::node::{Joining, delete, document, get, options, set};

/// A client of nodes elsewhere.
#[pyclass(frozen, module = "raft_py._native")]
pub(crate) struct Client {
    /// None once it is closed.
    client: Mutex<Option<Arc<blocking::Client>>>,
    endpoints: Vec<String>,
}

impl Client {
    fn open(&self, py: Python<'_>) -> PyResult<Arc<blocking::Client>> {
        self.client.lock().clone().ok_or_else(|| raised(py, closed("this client")))
    }
}

/// Reads what a client is made with; none for each default.
pub(crate) fn configuration(
    endpoints: Option<Vec<String>>,
    timeout: Option<f64>,
    consistency: Option<&str>,
) -> Result<ClientConfig, Failure> {
    let mut config = ClientConfig::default();
    if let Some(endpoints) = endpoints {
        config.endpoints = endpoints;
    }
    if let Some(timeout) = timeout {
        config.timeout = seconds("the timeout", timeout)?;
    }
    if let Some(word) = consistency {
        config.consistency = read_consistency(word)?;
    }
    Ok(config)
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (endpoints=None, timeout=None, consistency=None))]
    fn new(
        py: Python<'_>,
        endpoints: Option<Vec<String>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
    ) -> PyResult<Client> {
        let made = configuration(endpoints, timeout, consistency).and_then(blocking::Client::new);
        let client = made.map_err(|failure| raised(py, failure))?;
        let endpoints = client.inner().endpoints().map(str::to_owned).collect();
        Ok(Client { client: Mutex::new(Some(Arc::new(client))), endpoints })
    }

    #[getter]
    fn endpoints(&self) -> Vec<String> {
        self.endpoints.clone()
    }

    /// Lets go of all connections. Calls that are under way come to their end.
    fn close(&self) {
        drop(self.client.lock().take());
    }

    #[pyo3(signature = (key, value, timeout=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        set(py, &*self.open(py)?, key, value, timeout)
    }

    #[pyo3(signature = (key, consistency=None, timeout=None))]
    fn get(
        &self,
        py: Python<'_>,
        key: &str,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(Py<PyAny>, u64)>> {
        get(py, &*self.open(py)?, key, options(py, timeout, consistency)?)
    }

    #[pyo3(signature = (key, timeout=None))]
    fn delete(&self, py: Python<'_>, key: &str, timeout: Option<f64>) -> PyResult<(bool, u64)> {
        delete(py, &*self.open(py)?, key, timeout)
    }

    #[pyo3(signature = (prefix, consistency=None, timeout=None))]
    fn keys(
        &self,
        py: Python<'_>,
        prefix: &str,
        consistency: Option<&str>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<String>> {
        let client = self.open(py)?;
        blocking(py, options(py, timeout, consistency)?, |call| client.keys(prefix, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn status(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let client = self.open(py)?;
        document(py, timeout, |call| client.status(call))
    }

    #[pyo3(signature = (timeout=None))]
    fn explain(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let client = self.open(py)?;
        document(py, timeout, |call| client.explain(call))
    }

    #[pyo3(signature = (to=None, timeout=None))]
    fn transfer(&self, py: Python<'_>, to: Option<&str>, timeout: Option<f64>) -> PyResult<String> {
        let client = self.open(py)?;
        blocking(py, options(py, timeout, None)?, |call| client.transfer(to, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn members(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let client = self.open(py)?;
        document(py, timeout, |call| client.members(call))
    }

    #[pyo3(signature = (member, timeout=None))]
    fn add_member(&self, py: Python<'_>, member: Joining, timeout: Option<f64>) -> PyResult<u64> {
        let client = self.open(py)?;
        let member = member.into();
        blocking(py, options(py, timeout, None)?, |call| client.add_member(&member, call))
    }

    #[pyo3(signature = (node_id, timeout=None))]
    fn promote_member(&self, py: Python<'_>, node_id: &str, timeout: Option<f64>) -> PyResult<u64> {
        let client = self.open(py)?;
        blocking(py, options(py, timeout, None)?, |call| client.promote_member(node_id, call))
    }

    #[pyo3(signature = (node_id, priority, timeout=None))]
    fn set_priority(
        &self,
        py: Python<'_>,
        node_id: &str,
        priority: u8,
        timeout: Option<f64>,
    ) -> PyResult<u64> {
        let client = self.open(py)?;
        blocking(py, options(py, timeout, None)?, |call| client.set_priority(node_id, priority, call))
    }

    #[pyo3(signature = (timeout=None))]
    fn snapshot(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<(u64, u64, u64)> {
        let client = self.open(py)?;
        let taken = blocking(py, options(py, timeout, None)?, |call| client.snapshot(call))?;
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
        let client = self.open(py)?;
        blocking(py, options(py, timeout, None)?, |call| client.remove_member(node_id, force, call))
    }
}
