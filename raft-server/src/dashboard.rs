//! `raft-server dashboard`: the dashboard alone, for the nodes it is told of.

use std::time::Duration;

use clap::Args;
use raft_node::client::{ClientConfig, Consistency};
use raft_node::dashboard::{Alone, DashboardError};
use tokio::sync::watch;

use crate::args::port;
use crate::client::{endpoints, endpoints_variable};
use crate::failure::{Failure, NO, show};
use crate::signals::Signals;

/// Where the dashboard is, unless told.
pub(crate) const PORT: u16 = 8080;
/// How long what the page asks for may take, unless it says so itself.
const TIMEOUT: Duration = Duration::from_secs(5);

/// `raft-server dashboard`.
#[derive(Debug, Args)]
#[command(after_help = "\
It listens on this machine alone (127.0.0.1), and goes on while any node lives.
Every node serves the same page too: http://localhost:12000")]
pub(crate) struct DashboardArgs {
    /// The port to listen on
    #[arg(long, value_name = "PORT", default_value_t = PORT, value_parser = port)]
    port: u16,
    /// The nodes to show [env: RAFT_ENDPOINTS] [default: 127.0.0.1:12000,127.0.0.1:12001,127.0.0.1:12002]
    #[arg(long, value_name = "HOST:PORT,…")]
    endpoints: Option<String>,
}

/// Serves the dashboard until a signal.
///
/// # Errors
/// When its port cannot be had, or an endpoint cannot be read.
pub(crate) fn run(args: &DashboardArgs) -> Result<(), Failure> {
    let (nodes, origin) = endpoints(args.endpoints.as_deref(), endpoints_variable());
    let alone = bind(args.port, nodes).map_err(|error| match (&error, origin) {
        (DashboardError::Listen(_), _) => Failure::usage(format!("{error} with --port")),
        (_, Some(origin)) => Failure::usage(format!("{origin}: {error}")),
        (_, None) => Failure::usage(error),
    })?;
    crate::runtime()?.block_on(serve(alone))
}

/// Takes the port, for a dashboard of these nodes.
///
/// # Errors
/// When the port cannot be had, or an endpoint cannot be read.
pub(crate) fn bind(port: u16, endpoints: Vec<String>) -> Result<Alone, DashboardError> {
    let consistency = Consistency::Linearizable;
    Alone::bind(port, ClientConfig { endpoints, timeout: TIMEOUT, consistency })
}

async fn serve(alone: Alone) -> Result<(), Failure> {
    let mut signals = Signals::take().map_err(Failure::usage)?;
    show(&format!("The dashboard is at {}. Ctrl-C stops it.", alone.url()));
    let (_stop, stopped) = watch::channel(false);
    tokio::select! {
        served = alone.serve(stopped) => served.map_err(|error| Failure::new(NO, error)),
        // Whoever still looks is told by the end of the stream.
        () = signals.next() => Ok(()),
    }
}
