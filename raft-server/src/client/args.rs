//! The command line of `raft-server client`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use raft_node::client::Consistency;

/// `raft-server client`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a COMMAND it reads commands line by line: from a terminal with history
and completion (help tells more), from a pipe without, going on after a failure
and ending with the exit code of the first:
  printf 'set a 1\\nget a\\n' | raft-server client

A KEY or VALUE that starts with a dash goes after two:
  raft-server client set -- -key -value

Exit codes: 0 done; 1 key not found; 2 usage; 3 the cluster could not be reached
or had no leader in time.")]
pub(crate) struct ClientArgs {
    /// Nodes to talk to; one that answers is enough [env: RAFT_ENDPOINTS] [default:
    /// 127.0.0.1:12000,127.0.0.1:12001,127.0.0.1:12002]
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub(crate) endpoints: Option<String>,
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<ClientCommand>,
}

/// How a command is carried out: said when the client is started, and in the shell again for a single line.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// How long a request may take in all, in milliseconds [default: 5000]
    #[arg(long, global = true, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: Option<u64>,
    /// How results are printed [default: text]
    #[arg(long, global = true, value_enum)]
    output: Option<Output>,
    /// Whether reads may be answered with older data [default: linearizable]
    #[arg(long, global = true, value_enum)]
    consistency: Option<Freshness>,
}

impl Options {
    /// Those of a command that has no others.
    pub(crate) fn of(timeout: Duration, stale: bool) -> Options {
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let consistency = if stale { Freshness::Stale } else { Freshness::Linearizable };
        Options { timeout: Some(timeout), output: None, consistency: Some(consistency) }
    }

    /// These, and where nothing is said, `others`.
    pub(crate) fn or(self, others: Options) -> Options {
        Options {
            timeout: self.timeout.or(others.timeout),
            output: self.output.or(others.output),
            consistency: self.consistency.or(others.consistency),
        }
    }

    /// How long a request may take in all.
    pub(crate) fn timeout(self) -> Duration {
        Duration::from_millis(self.timeout.unwrap_or(5000))
    }

    /// Likewise, for what takes longer.
    pub(crate) fn timeout_or(self, default: Duration) -> Duration {
        self.timeout.map_or(default, Duration::from_millis)
    }

    /// How results are printed.
    pub(crate) fn output(self) -> Output {
        self.output.unwrap_or_default()
    }

    /// How fresh reads are.
    pub(crate) fn consistency(self) -> Consistency {
        match self.consistency {
            None | Some(Freshness::Linearizable) => Consistency::Linearizable,
            Some(Freshness::Stale) => Consistency::Stale,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Freshness {
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
    /// Hand leadership over, and print who leads then
    Transfer {
        /// To this voter [default: the one that has most of the log]
        node: Option<String>,
    },
    /// Take a snapshot now, on all nodes, of all that was acknowledged before
    Snapshot,
    /// Show who belongs to the cluster, or change that: one change at a time
    Members {
        #[command(subcommand)]
        change: Option<MembersCommand>,
    },
    /// Fetch the recording of what a node did, for raft-server replay; keys and values are in it
    Record {
        /// Where to: - is stdout [default: NODE_ID.raftrec, which must not be there yet]
        file: Option<PathBuf>,
    },
    /// Set, read and delete some keys (raft-demo/…) through each node, and show what comes back
    Demo,
}

/// What can be done with the members. Each waits until it is done, a minute by default.
#[derive(Debug, Subcommand)]
pub(crate) enum MembersCommand {
    /// Add a server, started with --join: it votes once it has caught up
    Add {
        /// Its name
        node: String,
        /// Where the members reach it
        #[arg(value_name = "HOST:PORT")]
        address: String,
        /// It stays without a vote
        #[arg(long)]
        learner: bool,
        /// The higher, the rather it leads [default: 0]
        #[arg(long)]
        priority: Option<u8>,
    },
    /// Remove a member
    Remove {
        /// Its name
        node: String,
        /// Even where a majority of those who stay cannot be reached: until enough of them are back, nothing
        /// can be written
        #[arg(long)]
        force: bool,
    },
    /// Make a learner a voter, once it has caught up
    Promote {
        /// Its name
        node: String,
    },
    /// Put a server, started with --join, in the place of a voter once it has caught up
    Replace {
        /// The voter that leaves
        old: String,
        /// The server's name
        new: String,
        /// Where the members reach it
        #[arg(value_name = "HOST:PORT")]
        address: String,
    },
    /// Give a member a priority: among those that could lead, the highest does
    Priority {
        /// Its name
        node: String,
        /// 0 to 255
        priority: u8,
    },
}
