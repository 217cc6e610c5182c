//! The endpoints about the node and its cluster, and the documented form of the peers' calls.

use hyper::header::ACCEPT;
use raft_core::types::{NodeId, Term};
use serde::Serialize;

use super::api::Call;
use super::input::Media;
use super::problem::{Code, Problem};
use super::reply::{self, Response};
use super::rpc;
use crate::node::Role;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Serialize)]
struct Health<'a> {
    status: &'a str,
    node_id: &'a NodeId,
    state: Role,
    leader_id: &'a NodeId,
    term: Term,
}

#[derive(Serialize)]
struct VoteAnswer {
    term: Term,
    vote_granted: bool,
}

/// 200 with a type's own JSON.
pub(super) fn render<T: Serialize>(thing: &T) -> Result<Response, Problem> {
    match serde_json::to_vec(thing) {
        Ok(body) => Ok(reply::json(body)),
        Err(error) => Err(Problem::new(Code::Failed, format!("the answer cannot be written: {error}"))),
    }
}

/// `GET /health`.
pub(super) async fn health(call: &Call<'_>) -> Result<Response, Problem> {
    let status = call.api.node.status().await;
    match (&status.leader_id, &status.failed) {
        (Some(leader_id), None) => render(&Health {
            status: "ok",
            node_id: &status.node_id,
            state: status.state,
            leader_id,
            term: status.term,
        }),
        (_, failed) => {
            let code = if failed.is_some() { Code::Failed } else { Code::NoLeader };
            Err(Problem::new(code, call.api.node.explain().await.summary))
        }
    }
}

/// `GET /api/status`.
pub(super) async fn status(call: &Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    render(&call.api.node.status().await)
}

/// `GET /api/why`.
pub(super) async fn why(call: &Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    render(&call.api.node.explain().await)
}

/// `POST /api/vote`.
pub(super) async fn vote(call: &mut Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let (from, request) = rpc::parse_vote(&body)?;
    let reply = call.api.node.request_vote(from, request).await?;
    render(&VoteAnswer { term: reply.term, vote_granted: reply.refusal.is_none() })
}

/// `POST /api/append_entries`.
pub(super) async fn append_entries(call: &mut Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let (from, request) = rpc::parse_append(&body, call.api.max_value)?;
    render(&call.api.node.append_entries(from, request).await?)
}

/// `GET /metrics`.
pub(super) async fn metrics(call: &Call<'_>) -> Result<Response, Problem> {
    let status = call.api.node.status().await;
    let text = call.api.metrics.render(&status, call.api.node.pace(), call.api.connections.open());
    let accepts = call.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let open = accepts.contains("application/openmetrics-text");
    Ok(reply::ok(if open { OPEN_METRICS } else { PROMETHEUS_TEXT }, text))
}
