//! `raft-server restore`: a member of a new cluster, made of a snapshot.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use raft_node::config::parse_peers;
use raft_node::core::types::NodeId;
use raft_node::offline::{Restored, restore};
use serde_json::json;

use crate::client::args::Output;
use crate::failure::Failure;

/// `raft-server restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each member of the new cluster is made by itself, on its own machine, from the same
FILE and with the same --peers: the cluster's id follows from both. Any whole
snapshot-… of a node's data directory will do, copied while the node runs. The
state is the one at the log index that the file is named after.

Example:
  cp raft-data/node_0/snapshot-00000000000000001000 backup
  raft-server restore backup new_0 --data-dir new/new_0 \\
    --peers new_0=10.0.0.7:12000,new_1=10.0.0.8:12000,new_2=10.0.0.9:12000

Exit codes: 0 done; 2 nothing was made, for a reason that is told.")]
pub(crate) struct RestoreArgs {
    /// A snapshot of a node
    file: PathBuf,
    /// The member whose data directory is made
    node_id: NodeId,
    /// The directory; it must not hold a node's data [default: ./raft-data/<NODE_ID>]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// All members of the new cluster, each with the address at which the others will reach it
    #[arg(long, value_name = "ID=HOST:PORT,…", required = true)]
    peers: String,
    /// How it is told [default: text]
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    output: Output,
}

/// Makes the directory, and tells what is in it on stdout.
///
/// # Errors
/// When the file or the directory cannot be used.
pub(crate) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { file, node_id, data_dir, peers, output } = args;
    let members = parse_peers(peers).map_err(Failure::usage)?;
    let directory = data_dir.clone().unwrap_or_else(|| PathBuf::from("raft-data").join(node_id.as_str()));
    let Restored { from, cluster_id, at, state_hash } =
        restore(file, node_id, &directory, &members).map_err(Failure::usage)?;
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
