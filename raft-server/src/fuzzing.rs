//! The settings of a node, as a function that a fuzzer can call. Behind a feature that nothing which ships
//! turns on; no part of the interface.

use std::collections::BTreeMap;
use std::ffi::OsString;

use raft_node::Config;
use raft_node::core::types::NodeId;

use crate::settings::{Layers, NodeSettings, SETTINGS};

/// The names of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of its flag, without the dashes.
    pub flag: &'static str,
    /// Of its environment variable.
    pub variable: String,
    /// Of its key in `raft.toml`.
    pub key: String,
}

/// What the settings came to.
#[derive(Debug)]
pub struct Settings {
    /// For the node.
    pub config: Config,
    /// For the log: what is logged, and in which form.
    pub log: String,
}

/// All settings.
#[must_use]
pub fn names() -> Vec<Names> {
    let of = |setting: &crate::settings::Setting| Names {
        flag: setting.name,
        variable: setting.variable(),
        key: setting.key(),
    };
    SETTINGS.iter().map(of).collect()
}

/// The settings of node_0 on port 12000, from flags, environment and the text of `raft.toml`.
///
/// # Errors
/// In the words that the user gets.
pub fn settings(
    flags: &BTreeMap<&'static str, String>,
    variables: &BTreeMap<String, OsString>,
    file: &str,
) -> Result<Settings, String> {
    let layers = Layers::without_file(flags, |name| variables.get(name).cloned());
    let layers = layers.and_then(|layers| layers.with_file(file)).map_err(|error| error.to_string())?;
    let node_id = NodeId::new("node_0").map_err(|error| error.to_string())?;
    let NodeSettings { config, log } = layers.node(node_id, 12000).map_err(|error| error.to_string())?;
    Ok(Settings { config, log: format!("{:?} {}", log.format, log.filter) })
}
