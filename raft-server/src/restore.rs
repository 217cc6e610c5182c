//! `raft-server restore`: the first member of a new cluster, made of a backup.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use raft_node::config::{ConfigError, split_address};
use raft_node::core::types::NodeId;
use raft_node::offline::{Restored, restore};
use serde_json::json;

use crate::client::args::Output;
use crate::failure::Failure;

/// `raft-server restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
The new cluster has the state at one log index, one member, and an id of its own;
others are added with --join. A snapshot-… of a node's data directory is a backup
too, of the log index that it is named after, and may be copied while the node
runs.

Example:
  raft-server backup > backup
  raft-server restore backup new_0 10.0.0.7:12000 --data-dir new/new_0

Exit codes: 0 done; 2 nothing was made, for a reason that is told.")]
pub(crate) struct RestoreArgs {
    /// What raft-server backup wrote
    file: PathBuf,
    /// The new cluster's first member
    node_id: NodeId,
    /// The address at which others will reach it
    #[arg(value_name = "HOST:PORT", value_parser = address)]
    address: String,
    /// The directory; it must not hold a node's data [default: ./raft-data/<NODE_ID>]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How it is told [default: text]
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    output: Output,
}

/// Makes the directory, and tells what is in it on stdout.
///
/// # Errors
/// When the file or the directory cannot be used.
pub(crate) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { file, node_id, address, data_dir, output } = args;
    let directory = data_dir.clone().unwrap_or_else(|| PathBuf::from("raft-data").join(node_id.as_str()));
    let Restored { from, cluster_id, at, state_hash } =
        restore(file, node_id, &directory, address).map_err(Failure::usage)?;
    let text = match output {
        Output::Text => format!(
            "Made {} of {node_id}, in the new cluster {cluster_id}: the state of cluster {from} at index {}, \
             hash {state_hash}.\n",
            directory.display(),
            at.index
        ),
        Output::Json => {
            let told = json!({
                "node_id": node_id, "data_dir": directory, "cluster_id": cluster_id.to_string(),
                "from_cluster_id": from.to_string(), "index": at.index, "term": at.term,
                "state_hash": state_hash.to_string(),
            });
            format!("{told}\n")
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn address(text: &str) -> Result<String, ConfigError> {
    split_address(text).map(|_| text.to_owned())
}
