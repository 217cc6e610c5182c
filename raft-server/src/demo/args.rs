//! The command line of `raft-server demo`.

use clap::{Args, Subcommand};

/// `raft-server demo`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
A demo starts servers of its own, on free ports of 127.0.0.1 and with their data in
a temporary directory; nothing else is touched. It stops them and removes the
directory at its end, after Ctrl-C too. For a demo of a cluster that runs already:
raft-server client demo

Exit codes: 0 all that was said was observed; 1 something was not, and it says
what; 130 interrupted."
)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) demo: Demo,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Demo {
    /// Kill and pause the leader while clients write: who leads next, how long no write was
    /// acknowledged, and that nothing acknowledged was lost
    Failover {
        /// How many servers: 3 survive the loss of one, 5 of two
        #[arg(long, value_name = "3|5", default_value_t = 3, value_parser = size)]
        nodes: usize,
        /// How often the leader is killed, and how often it is paused
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = rounds)]
        rounds: usize,
    },
    /// Read through every server what was written through another; cut the leader off from the rest, and
    /// show that it answers nothing wrong; heal the network, and compare all stores
    Consistency,
}

fn size(text: &str) -> Result<usize, String> {
    match text {
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("3 or 5".to_owned()),
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(|| "a number from 1 to 100".to_owned())
}
