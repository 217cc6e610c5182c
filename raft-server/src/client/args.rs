//! The command line of `raft-server client`.

use clap::{Args, Subcommand, ValueEnum};

/// `raft-server client`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
A KEY or VALUE that starts with a dash goes after two:
  raft-server client set -- -key -value

Exit codes: 0 done; 1 key not found; 2 usage; 3 the cluster could not be reached
or had no leader in time."
)]
pub(crate) struct ClientArgs {
    /// Nodes to talk to; one that answers is enough [env: RAFT_ENDPOINTS] [default:
    /// 127.0.0.1:12000,127.0.0.1:12001,127.0.0.1:12002]
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub(crate) endpoints: Option<String>,
    /// How long a request may take in all, in milliseconds
    #[arg(long, global = true, value_name = "MS", default_value_t = 5000,
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) timeout: u64,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Whether reads may be answered with older data
    #[arg(long, global = true, value_enum, default_value_t = Freshness::Linearizable)]
    pub(crate) consistency: Freshness,
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Freshness {
    /// Every write that was acknowledged before is seen
    Linearizable,
    /// What the asked node has, at once
    Stale,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Set a key
    Set {
        /// 1 to 4096 bytes of UTF-8
        key: String,
        /// The value, a string; - reads it from stdin, to the end and as it is
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// VALUE is JSON and keeps its type: 1.5, true, {"a":1}
        #[arg(long)]
        json: bool,
    },
    /// Print a value: strings bare, other JSON as JSON, bytes as they are
    Get {
        /// The key
        key: String,
    },
    /// Delete a key
    Delete {
        /// The key
        key: String,
    },
    /// List keys in order, one a line
    Keys {
        /// Only keys that start with this
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Show how each node sees itself and the cluster
    Status,
    /// Say why there is no leader, or what else is in the way, and what would help
    Why,
    /// Set, read and delete some keys (raft-demo/…) through each node, and show what comes back
    Demo,
}
