//! The HTTP API of a node, on the port it shares with its peers.
//!
//! A request takes this way: [`server`](self) accepts the connection and bounds how many there are and how
//! slow they may be; `api` finds the route, and hands the request to a handler in `store`, `calls`, `files`
//! or `administration`; these read it with `query`, `input` and `rpc`, ask the [`Node`], and write the
//! answer. What goes wrong is a `problem`. `openapi` describes all of it, and a test holds the two together.

pub(crate) mod access;
pub(crate) mod administration;
mod api;
pub(crate) mod body;
pub(crate) mod budget;
mod calls;
pub(crate) mod connections;
pub(crate) mod files;
pub(crate) mod input;
pub(crate) mod json;
mod metrics;
mod openapi;
pub(crate) mod percent;
pub(crate) mod problem;
pub(crate) mod query;
mod refusal;
pub(crate) mod reply;
pub(crate) mod routes;
pub(crate) mod rpc;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod watch;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;

use crate::node::Node;

/// Serves clients and peers on `listener` until `shutdown` holds true or its sender is gone; requests under
/// way then have a second to finish.
///
/// Must run within a tokio runtime with I/O and time; connections are tasks of their own on it.
pub(crate) async fn serve(listener: TcpListener, node: Node, shutdown: Receiver<bool>) {
    let connections = connections::Connections::new(connections::fitting_limit());
    match api::Api::new(node, Arc::clone(&connections), shutdown.clone()) {
        Ok(api) => server::run(listener, Arc::new(api), connections, shutdown).await,
        // The table of routes is fixed, and a test builds it.
        Err(error) => tracing::error!(%error, "the table of routes contradicts itself"),
    }
}
