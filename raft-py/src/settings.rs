//! What a node is started with.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use raft_node::blocking::{Failure, FailureCode};
use raft_node::config::{Config, ConfigError, Storage, check_peers};
use raft_node::core::types::NodeId;

use crate::calls::seconds;
use crate::errors::{failure, raised};

/// What Python gives: none for each default.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Given {
    node_id: String,
    port: i64,
    peers: Option<Vec<(String, String)>>,
    join: Option<Vec<String>>,
    host: Option<String>,
    advertise: Option<String>,
    data_dir: Option<PathBuf>,
    ephemeral: bool,
    election_timeout_min: Option<f64>,
    election_timeout_max: Option<f64>,
    heartbeat_interval: Option<f64>,
    request_timeout: Option<f64>,
    max_value_bytes: Option<u64>,
    insecure: bool,
    io_threads: Option<u64>,
    record_mib: Option<u64>,
    snapshot_mib: Option<u64>,
}

/// The checked configuration of a node.
#[pyclass(frozen, module = "raft_py._native")]
pub(crate) struct Settings {
    pub(crate) config: Config,
}

#[pymethods]
impl Settings {
    #[new]
    fn new(py: Python<'_>, given: Given) -> PyResult<Settings> {
        let config = read(given).map_err(|failure| raised(py, failure))?;
        Ok(Settings { config })
    }

    /// The `HOST:PORT` at which others reach the node.
    #[getter]
    fn address(&self) -> String {
        self.config.advertised()
    }

    /// All members with their addresses.
    #[getter]
    fn peers(&self) -> Vec<(&str, &str)> {
        self.config.peers.iter().map(|(id, address)| (id.as_str(), address.as_str())).collect()
    }

    /// Where the log is; none in memory.
    #[getter]
    fn data_dir(&self) -> Option<PathBuf> {
        match &self.config.storage {
            Storage::Directory(directory) => Some(directory.clone()),
            Storage::Ephemeral => None,
        }
    }
}

fn refused(error: impl ToString) -> Failure {
    failure(FailureCode::Config, error.to_string())
}

fn read(given: Given) -> Result<Config, Failure> {
    let node_id = NodeId::new(&given.node_id).map_err(refused)?;
    let port = u16::try_from(given.port).ok().filter(|port| *port != 0);
    let port =
        port.ok_or_else(|| refused(format!("port {}: a port is a number from 1 to 65535", given.port)))?;
    let mut config = Config::new(node_id, port);
    if let Some(peers) = &given.peers {
        let pairs = peers.iter().map(|(id, address)| (id.as_str(), address.as_str()));
        config.peers = check_peers(pairs).map_err(refused)?;
    }
    if let Some(join) = given.join {
        config.join = join;
        if given.peers.is_none() {
            config.peers.clear();
        }
    }
    config.storage = match (given.ephemeral, given.data_dir) {
        (true, Some(_)) => {
            return Err(refused("data_dir and ephemeral=True contradict each other: give one of them"));
        }
        (true, None) => Storage::Ephemeral,
        (false, Some(directory)) => Storage::Directory(directory),
        (false, None) => config.storage,
    };
    config.host = given.host.unwrap_or(config.host);
    config.advertise = given.advertise;
    let timing = &mut config.timing;
    milliseconds(&mut timing.election_timeout_min, "election_timeout_min", given.election_timeout_min)?;
    milliseconds(&mut timing.election_timeout_max, "election_timeout_max", given.election_timeout_max)?;
    milliseconds(&mut timing.heartbeat_interval, "heartbeat_interval", given.heartbeat_interval)?;
    if let Some(time) = given.request_timeout {
        config.request_timeout =
            seconds("request_timeout", time).map_err(|failure| refused(failure.message))?;
    }
    config.insecure = given.insecure;
    config.max_value_bytes = given.max_value_bytes.map_or(config.max_value_bytes, size);
    config.io_threads = given.io_threads.map_or(config.io_threads, size);
    config.record_mib = given.record_mib.map_or(config.record_mib, size);
    config.snapshot_mib = given.snapshot_mib.map_or(config.snapshot_mib, size);
    config.validate().map_err(|error| refused(in_python(&error)))?;
    Ok(config)
}

/// A message that names an option of the command names the parameter that is the same here.
fn in_python(error: &ConfigError) -> String {
    let text = error.to_string();
    [
        ("--peers", "peers"),
        ("--join", "join"),
        ("--advertise ", "advertise="),
        ("--insecure", "insecure=True"),
    ]
    .iter()
    .fold(text, |text, (flag, parameter)| text.replace(flag, parameter))
}

fn size(given: u64) -> usize {
    usize::try_from(given).unwrap_or(usize::MAX)
}

fn milliseconds(place: &mut Duration, name: &str, given: Option<f64>) -> Result<(), Failure> {
    let Some(given) = given else { return Ok(()) };
    *place = Duration::try_from_secs_f64(given / 1000.0)
        .map_err(|error| refused(format!("{name} is {given} ms: {error}")))?;
    Ok(())
}
