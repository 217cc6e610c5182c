//! The settings of one node, read and put together.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use raft_node::Config;
use raft_node::config::{Storage, parse_addresses, parse_peers, split_address};
use raft_node::core::types::NodeId;

use super::layers::{Layers, SettingsError};
use crate::logging::{Format, LogSettings, default_filter, read_filter, read_format};

/// What `raft-server <NODE_ID> <PORT>` runs with.
#[derive(Debug)]
pub(crate) struct NodeSettings {
    /// For the node.
    pub(crate) config: Config,
    /// For this process's log.
    pub(crate) log: LogSettings,
}

impl Layers {
    /// Reads every setting of a node. Whether they fit together is the node's to say.
    ///
    /// # Errors
    /// The first one that cannot be read.
    pub(crate) fn node(&self, node_id: NodeId, port: u16) -> Result<NodeSettings, SettingsError> {
        let mut config = Config::new(node_id, port);
        put(&mut config.peers, self.read("peers", parse_peers)?);
        if let Some(join) = self.read("join", parse_addresses)? {
            config.join = join;
            if self.strongest("peers").is_none() {
                config.peers.clear();
            }
        }
        put(&mut config.host, self.read("host", text)?);
        config.advertise = self.read("advertise", |t| split_address(t).map(|_| t.to_owned()))?;
        put(&mut config.storage, self.storage()?);
        put(&mut config.timing.election_timeout_min, self.read("election-timeout-min", milliseconds)?);
        put(&mut config.timing.election_timeout_max, self.read("election-timeout-max", milliseconds)?);
        put(&mut config.timing.heartbeat_interval, self.read("heartbeat-interval", milliseconds)?);
        put(&mut config.insecure, self.read("insecure", switch)?);
        put(&mut config.max_value_bytes, self.read("max-value-bytes", number)?);
        put(&mut config.request_timeout, self.read("request-timeout", milliseconds)?);
        put(&mut config.io_threads, self.read("io-threads", number)?);
        put(&mut config.record_mib, self.read("record-mib", number)?);
        put(&mut config.snapshot_mib, self.read("snapshot-mib", number)?);
        Ok(NodeSettings { config, log: self.log()? })
    }

    /// Where the log is to be kept; none where nothing was said. `ephemeral` and `data-dir` say opposite
    /// things, so the stronger layer decides between them.
    ///
    /// # Errors
    /// When one cannot be read, or both stand in the same layer.
    pub(crate) fn storage(&self) -> Result<Option<Storage>, SettingsError> {
        let directory = self.read("data-dir", text)?.map(PathBuf::from);
        let ephemeral = self.read("ephemeral", switch)?.unwrap_or(false);
        let layer = |name| self.strongest(name).map(|(layer, _)| layer);
        match directory {
            Some(_) if ephemeral && layer("ephemeral") == layer("data-dir") => {
                let [ephemeral, data_dir] = ["ephemeral", "data-dir"]
                    .map(|name| layer(name).map_or(String::new(), |layer| self.origin(layer, name)));
                let reason = format!("contradicts {data_dir}: give one of them");
                Err(SettingsError::Value { origin: ephemeral, reason })
            }
            Some(directory) if !ephemeral || layer("data-dir") > layer("ephemeral") => {
                Ok(Some(Storage::Directory(directory)))
            }
            _ => Ok(ephemeral.then_some(Storage::Ephemeral)),
        }
    }

    fn log(&self) -> Result<LogSettings, SettingsError> {
        Ok(LogSettings {
            filter: self.read("log-level", read_filter)?.unwrap_or_else(default_filter),
            format: self.read("log-format", read_format)?.unwrap_or(Format::Text),
        })
    }
}

fn put<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number in range"))
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => Err(format!("{text:?} is not a whole number of milliseconds")),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

#[cfg(test)]
mod tests;
