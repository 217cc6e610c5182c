//! The endpoints by which an operator has something done with the cluster.

use std::borrow::Cow;

use raft_core::types::NodeId;
use serde::{Deserialize, Serialize};

use super::api::Call;
use super::calls::render;
use super::input::Media;
use super::json::parse;
use super::problem::Problem;
use super::query::Param;
use super::reply::Response;
use super::store::WRITE;
use crate::config::split_address;
use crate::node::Change;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody<'a> {
    #[serde(borrow, default)]
    node_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct TransferAnswer<'a> {
    success: bool,
    leader_id: &'a NodeId,
    term: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody<'a> {
    #[serde(borrow)]
    node_id: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Option<Cow<'a, str>>,
    #[serde(default)]
    learner: bool,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    promote: bool,
    #[serde(borrow, default)]
    replaces: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotBody {}

#[derive(Serialize)]
struct SnapshotAnswer {
    success: bool,
    index: u64,
    bytes: u64,
    took_ms: u64,
}

#[derive(Serialize)]
struct ChangeAnswer {
    success: bool,
    configuration_index: u64,
}

/// What removals take in the query.
pub(crate) const REMOVE: &[Param] = &[Param::Force, Param::TimeoutMs];

/// What snapshots take.
pub(crate) const SNAPSHOT: &[Param] = &[Param::LongTimeoutMs];

/// Checks a node's name.
fn node_id(field: &str, text: &str) -> Result<NodeId, Problem> {
    NodeId::new(text).map_err(|error| Problem::bad_request(format!("field `{field}`: {error}")))
}

/// `POST /api/transfer`.
pub(super) async fn transfer(call: &mut Call<'_>) -> Result<Response, Problem> {
    let timeout = call.query(WRITE)?.timeout;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let to = parse::<TransferBody<'_>>(&body)?.node_id.map(|text| node_id("node_id", &text)).transpose()?;
    let done = call.api.node.transfer(to, timeout).await?;
    render(&TransferAnswer { success: true, leader_id: &done.leader_id, term: done.term.0 })
}

/// `POST /api/snapshot`.
pub(super) async fn snapshot(call: &mut Call<'_>) -> Result<Response, Problem> {
    let timeout = call.query(SNAPSHOT)?.timeout;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    parse::<SnapshotBody>(&body)?;
    let taken = call.api.node.snapshot(timeout).await?;
    let (index, bytes, took_ms) = (taken.index.0, taken.bytes, taken.took_ms());
    render(&SnapshotAnswer { success: true, index, bytes, took_ms })
}

impl MemberBody<'_> {
    /// What is to be done: which of the fields are there says it.
    fn change(self) -> Result<Change, Problem> {
        let id = node_id("node_id", &self.node_id)?;
        let (priority, learner_only) = (self.priority.unwrap_or_default(), self.learner);
        match (self.address, self.replaces, self.promote, self.priority) {
            (Some(address), None, false, _) => {
                let address = checked(&address)?;
                Ok(Change::Add { id, address, learner_only, priority })
            }
            (Some(address), Some(old), false, None) if !learner_only => {
                let (old, address) = (node_id("replaces", &old)?, checked(&address)?);
                Ok(Change::Replace { old, new: id, address })
            }
            (None, None, true, None) if !learner_only => Ok(Change::Promote { id }),
            (None, None, false, Some(priority)) if !learner_only => Ok(Change::SetPriority { id, priority }),
            _ => Err(Problem::bad_request(
                "to add a member give `address`, and maybe `learner` and `priority`; to put it in another's \
                 place `address` and `replaces`; to make a learner a voter `promote`; else `priority` alone",
            )),
        }
    }
}

fn checked(address: &str) -> Result<String, Problem> {
    split_address(address)
        .map(|_| address.to_owned())
        .map_err(|error| Problem::bad_request(format!("field `address`: {error}")))
}

/// `GET /api/members`.
pub(super) fn members(call: &Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    render(&call.api.node.members())
}

/// `POST /api/members`.
pub(super) async fn change_members(call: &mut Call<'_>) -> Result<Response, Problem> {
    let timeout = call.query(WRITE)?.timeout;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let change = parse::<MemberBody<'_>>(&body)?.change()?;
    let index = call.api.node.change_members(change, timeout).await?;
    render(&ChangeAnswer { success: true, configuration_index: index.0 })
}

/// `DELETE /api/members/{id}`.
pub(super) async fn remove_member(call: &Call<'_>) -> Result<Response, Problem> {
    let query = call.query(REMOVE)?;
    let change = Change::Remove { id: call.node_id()?, force: query.force };
    let index = call.api.node.change_members(change, query.timeout).await?;
    render(&ChangeAnswer { success: true, configuration_index: index.0 })
}
