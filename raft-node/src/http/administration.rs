//! The endpoints by which an operator has something done with the cluster.

use std::borrow::Cow;

use raft_core::types::NodeId;
use serde::Deserialize;

use super::api::Call;
use super::calls::render;
use super::input::Media;
use super::json::parse;
use super::problem::Problem;
use super::reply::Response;
use super::store::WRITE;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody<'a> {
    #[serde(borrow, default)]
    node_id: Option<Cow<'a, str>>,
}

#[derive(serde::Serialize)]
struct TransferAnswer<'a> {
    success: bool,
    leader_id: &'a NodeId,
    term: u64,
}

/// Checks a node's name.
fn node_id(text: &str) -> Result<NodeId, Problem> {
    NodeId::new(text).map_err(|error| Problem::bad_request(format!("field `node_id`: {error}")))
}

/// `POST /api/transfer`.
pub(super) async fn transfer(call: &mut Call<'_>) -> Result<Response, Problem> {
    let timeout = call.query(WRITE)?.timeout;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let to = parse::<TransferBody<'_>>(&body)?.node_id.map(|text| node_id(&text)).transpose()?;
    let done = call.api.node.transfer(to, timeout).await?;
    render(&TransferAnswer { success: true, leader_id: &done.leader_id, term: done.term.0 })
}
