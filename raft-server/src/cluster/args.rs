//! The command line of `raft-server cluster`.

use clap::Args;

use crate::args::port;
use crate::dashboard;
use crate::settings::ClusterFlags;

/// `raft-server cluster`.
#[derive(Debug, Args)]
#[command(after_help = "\
The nodes are processes of their own, named node_0, node_1, …, on 127.0.0.1. One
that dies is reported and not started again, so that you can kill it and watch;
the command that brings it back is printed. All of them stop with this one.")]
pub(crate) struct ClusterArgs {
    /// How many nodes, 1 to 9
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: u16,
    /// The port of node_0; the others follow it
    #[arg(long, value_name = "PORT", default_value_t = 12000, value_parser = port)]
    pub(crate) base_port: u16,
    /// The port of the dashboard
    #[arg(long, value_name = "PORT", default_value_t = dashboard::PORT, value_parser = port)]
    pub(crate) dashboard_port: u16,
    /// Leave the dashboard out
    #[arg(long, conflicts_with = "dashboard_port")]
    pub(crate) no_dashboard: bool,
    #[command(flatten)]
    pub(crate) flags: ClusterFlags,
}
