//! The command line.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use raft_node::core::types::NodeId;

use crate::backup::BackupArgs;
use crate::client::ClientArgs;
use crate::cluster::ClusterArgs;
use crate::dashboard::DashboardArgs;
use crate::demo::DemoArgs;
use crate::failure::{Failure, USAGE, one_line};
use crate::recover::RecoverArgs;
use crate::replay::ReplayArgs;
use crate::restore::RestoreArgs;
use crate::settings::NodeFlags;

/// A Raft cluster that stores keys and values: run a node of it, a whole one on this machine, or use one.
///
/// A cluster of three keeps working when one node is lost, one of five when two are. What it has acknowledged
/// is on the disks of a majority. Any node takes any request.
#[derive(Debug, Parser)]
#[command(
    name = "raft-server",
    version,
    override_usage = "raft-server <NODE_ID> <PORT> [OPTIONS]\n       raft-server <COMMAND> …",
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do, if not to run one node.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

const EXAMPLES: &str = "\
Examples:
  A whole cluster on this machine, and a first key in it:
    raft-server cluster
    raft-server client set name Raft
    raft-server client get name

  The same cluster, a node to a terminal:
    raft-server node_0 12000
    raft-server node_1 12001
    raft-server node_2 12002

  See a leader killed, and what becomes of it:
    raft-server demo failover

  The dashboard of the same cluster, on http://localhost:8080:
    raft-server dashboard

  One node alone:
    raft-server solo 7000 --peers solo=127.0.0.1:7000

Settings:
  Each option of a node is also an environment variable (--data-dir:
  RAFT_DATA_DIR) and a key of raft.toml (data_dir or data-dir). A flag wins over
  the environment, that over the file, that over the default. In raft.toml peers
  may be a table:
    [peers]
    node_0 = \"10.0.0.1:12000\"
    node_1 = \"10.0.0.2:12000\"
  A first word that is a command is that command: a node cannot be named
  cluster, dashboard, client, demo, replay, recover, backup, restore,
  completions or help.

Exit codes:
  0    done
  1    the answer is no (key not found), a node failed after it had started, a
       demo did not observe what it should, or a replay came to something else
  2    usage or configuration
  3    the cluster could not be reached or had no leader in time
  130  interrupted: a node or cluster a second time while stopping, a demo
  SIGTERM and Ctrl-C stop a node cleanly; kill -9 loses nothing acknowledged.
  SIGUSR1 makes a node save its recording in its data directory.";

const COMPLETIONS_EXAMPLE: &str = "\
Example: raft-server completions bash > ~/.local/share/bash-completion/completions/raft-server";

/// `raft-server <NODE_ID> <PORT>`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// This node's name, one of --peers: 1 to 64 characters of A-Z a-z 0-9 _ . -
    #[arg(required = true)]
    pub(crate) node_id: Option<NodeId>,
    /// The port to listen on, for clients and peers
    #[arg(required = true, value_parser = port)]
    pub(crate) port: Option<u16>,
    /// Stop when stdin ends: the parent holds the other end, and is gone when it closes.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
    #[command(flatten)]
    pub(crate) flags: NodeFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole cluster on this machine, until Ctrl-C
    Cluster(ClusterArgs),
    /// Serve the dashboard of a cluster on this machine, until Ctrl-C
    Dashboard(DashboardArgs),
    /// Use a cluster, by one command or in a shell: set, get, delete and list keys, and see how it is
    Client(ClientArgs),
    /// See a cluster of its own lose its leader, or its network, and what becomes of it
    Demo(DemoArgs),
    /// Do again what a node recorded, and say what happened
    Replay(ReplayArgs),
    /// Make a new cluster of what is left of one that has lost its majority for good
    Recover(RecoverArgs),
    /// Fetch a backup of a cluster that runs
    Backup(BackupArgs),
    /// Make the first member of a new cluster out of a backup
    Restore(RestoreArgs),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Reads a port, 1 to 65535.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

/// Reads the command line, the program's name not in it.
///
/// # Errors
/// A usage error on one line, or the end of the command where it only asked for help or the version.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let words = [OsString::from("raft-server")].into_iter().chain(arguments);
    Cli::try_parse_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            Failure::silent(0)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Failure::silent(USAGE)
        }
        _ => Failure::usage(format!("{} (see raft-server --help)", brief(&error.to_string()))),
    })
}

/// What is wrong, without the usage and the general tips that clap adds in lines of their own.
pub(crate) fn brief(text: &str) -> String {
    let ends = ["\n\nUsage:", "\n\nFor more information", "\n\n  tip: to pass"];
    let end = ends.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let text = one_line(&text[..end]).replace(" tip: ", "; ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// The completion script for a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raft-server", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::args::ClientCommand;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["raft-server"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_node() {
        let cli = parse("node_0 12000 --ephemeral --peers a=h:1").unwrap();
        assert_eq!((cli.node.node_id.unwrap().as_str(), cli.node.port), ("node_0", Some(12000)));
        let texts = cli.node.flags.texts();
        assert_eq!((texts["ephemeral"].as_str(), texts["peers"].as_str()), ("true", "a=h:1"));
    }

    #[test]
    fn a_first_word_that_is_a_command_is_the_command() {
        assert!(matches!(parse("cluster").unwrap().command, Some(Command::Cluster(_))));
        assert!(parse("cluster 12000").is_err());
        assert!(parse("clusters 12000").is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            "node_0",
            "node_0 0",
            "node_0 65536",
            "no/de 1",
            "node_0 1 --jion x",
            "cluster --nodes 0",
            "cluster --nodes 10",
            "cluster --peers a=h:1",
            "client set k",
            "client get k --output xml",
            "client get k --timeout 0",
            "client watch",
            "demo",
            "demo nonsense",
            "demo failover --nodes 4",
            "demo failover --rounds 0",
            "dashboard --port 0",
            "dashboard 8080",
            "cluster --dashboard-port 1 --no-dashboard",
            "replay",
            "replay --previous",
            "replay a b",
            "recover",
            "restore",
            "restore file node_0",
            "restore file no/de h:1",
            "restore file node_0 h",
            "backup file",
            "backup --timeout 0",
            "client snapshot now",
            "recover raft-data",
            "recover --data-dir a --yes",
        ] {
            assert!(parse(line).is_err(), "{line:?} was taken");
        }
    }

    #[test]
    fn client_options_stand_anywhere_and_values_may_be_negative() {
        let cli = parse("client set k -5 --json --endpoints h:1").unwrap();
        let Some(Command::Client(client)) = cli.command else { panic!("not a client") };
        assert_eq!(client.endpoints.as_deref(), Some("h:1"));
        assert!(
            matches!(client.command, Some(ClientCommand::Set { value, json: true, .. }) if value == "-5")
        );
        assert!(parse("client --endpoints h:1 get k").is_ok());
        assert!(parse("client set k -").is_ok());
        assert!(parse("client set -- -k -v").is_ok());
    }

    #[test]
    fn usage_errors_are_one_line() {
        let line = brief(&parse("node_0").unwrap_err().to_string());
        assert_eq!(line, "the following required arguments were not provided: <PORT>");
        let line = brief(&parse("node_0 x").unwrap_err().to_string());
        assert_eq!(line, "invalid value 'x' for '<PORT>': a port is a number from 1 to 65535");
    }
}
