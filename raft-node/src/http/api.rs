//! From a request to its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request};
use matchit::InsertError;
use raft_core::types::NodeId;
use tokio::sync::watch::Receiver;

use super::access::Access;
use super::budget::{Budget, Grant};
use super::connections::Connections;
use super::input::{self, Media};
use super::metrics::Metrics;
use super::percent::{self, Plus};
use super::problem::Problem;
use super::query::{Param, Query};
use super::reply::{self, Body, Response};
use super::routes::{Endpoint, Routes};
use super::server::Handler;
use super::watch::Watch;
use super::{administration, body, calls, files, openapi, store};
use crate::dashboard::Dashboard;
use crate::node::{Key, Node};

/// Everything that answering takes.
pub(super) struct Api {
    pub(super) node: Node,
    pub(super) budget: Budget,
    pub(super) metrics: Metrics,
    pub(super) connections: Arc<Connections>,
    pub(super) max_value: usize,
    routes: Routes,
    access: Access,
    dashboard: Dashboard,
}

/// One request on its way through a handler.
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    parts: &'a Parts,
    body: &'a mut Incoming,
    watch: &'a Watch,
    path_key: &'a str,
}

impl Api {
    /// Streams end when `shutdown` holds true.
    pub(super) fn new(
        node: Node,
        connections: Arc<Connections>,
        shutdown: Receiver<bool>,
    ) -> Result<Api, InsertError> {
        let max_value = node.config().max_value_bytes;
        let (budget, metrics, routes) = (Budget::new(), Metrics::new(), Routes::new()?);
        let (access, dashboard) = (
            Access::of_node(node.config()).following(node.members_seen()),
            Dashboard::of_node(&node, shutdown),
        );
        Ok(Api { node, budget, metrics, connections, max_value, routes, access, dashboard })
    }

    async fn dispatch(&self, endpoint: Endpoint, mut call: Call<'_>) -> Result<Response, Problem> {
        match endpoint {
            Endpoint::Set => store::set(&mut call).await,
            Endpoint::Get => store::get(&call).await,
            Endpoint::Delete => store::delete(&mut call).await,
            Endpoint::StateMachine => store::state_machine(&call).await,
            Endpoint::RawGet => store::raw_get(&call).await,
            Endpoint::RawPut => store::raw_put(&mut call).await,
            Endpoint::Session => store::session(&mut call).await,
            Endpoint::Health => calls::health(&call).await,
            Endpoint::Status => calls::status(&call).await,
            Endpoint::Why => calls::why(&call).await,
            Endpoint::Vote => calls::vote(&mut call).await,
            Endpoint::AppendEntries => calls::append_entries(&mut call).await,
            Endpoint::Metrics => calls::metrics(&call).await,
            Endpoint::OpenApi => Ok(reply::json(openapi::document())),
            Endpoint::Root => Ok(self.dashboard.page()),
            Endpoint::DashboardFile => Dashboard::asset(call.path_key),
            Endpoint::DashboardEvents => self.dashboard.events(),
            Endpoint::Transfer => administration::transfer(&mut call).await,
            Endpoint::Members => administration::members(&call),
            Endpoint::ChangeMembers => administration::change_members(&mut call).await,
            Endpoint::RemoveMember => administration::remove_member(&call).await,
            Endpoint::Snapshot => administration::snapshot(&mut call).await,
            Endpoint::Backup => files::backup(&call).await,
            Endpoint::Recording => files::recording(&call).await,
            Endpoint::Stream => Err(Problem::bad_request(
                "this is where the members of the cluster talk to each other: it needs `Upgrade: raft`",
            )),
        }
    }
}

impl Handler for Api {
    async fn handle(&self, request: Request<Incoming>, watch: &Watch) -> Response {
        if let Some(answer) = self.access.preflight(&request, &self.routes) {
            self.metrics.count(None, answer.status());
            return answer;
        }
        let found = self.routes.find(request.method(), request.uri().path());
        let endpoint = found.as_ref().ok().map(|(endpoint, _)| *endpoint);
        if endpoint == Some(Endpoint::Stream) && asks_for_stream(request.headers()) {
            return take_over(request, &self.node);
        }
        let position = endpoint.map(|endpoint| endpoint as usize);
        let path_key_at = found.as_ref().map_or(0, |(_, key)| request.uri().path().len() - key.len());
        let failure = found.err();
        let (parts, mut body) = request.into_parts();
        let answer = match (endpoint, failure) {
            (Some(endpoint), _) => match self.access.check_name(&parts) {
                Ok(()) => {
                    let path_key = &parts.uri.path()[path_key_at..];
                    let call = Call { api: self, parts: &parts, body: &mut body, watch, path_key };
                    self.dispatch(endpoint, call).await
                }
                Err(problem) => Err(problem),
            },
            (None, Some(problem)) => Err(problem),
            (None, None) => Err(Problem::bad_request("the request names nothing")),
        };
        let mut response = answer.unwrap_or_else(|problem| problem.response());
        self.access.let_read(endpoint, &parts.headers, &mut response);
        if !body.is_end_stream() {
            tokio::spawn(body::drain(body));
        }
        self.metrics.count(position, response.status());
        response
    }
}

fn asks_for_stream(headers: &HeaderMap) -> bool {
    headers.get(hyper::header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"raft"))
}

fn take_over(request: Request<Incoming>, node: &Node) -> Response {
    match crate::transport::accept(request, node) {
        Ok(granted) => granted.map(|()| Body::default()),
        Err(problem) => problem.response(),
    }
}

impl Call<'_> {
    /// Reads the query, in which only `known` may stand.
    pub(super) fn query(&self, known: &[Param]) -> Result<Query, Problem> {
        Query::parse(self.parts.uri.query(), known)
    }

    /// Whether the answer's body is sent, which it is not to a HEAD.
    pub(super) fn wants_body(&self) -> bool {
        self.parts.method != hyper::Method::HEAD
    }

    /// The headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The key in the path.
    pub(super) fn key(&self) -> Result<Key, Problem> {
        let text = percent::decode(self.path_key, Plus::Literal)
            .map_err(|error| Problem::bad_request(format!("the key in the path {error}")))?;
        input::key(&text)
    }

    /// The node's id in the path.
    pub(super) fn node_id(&self) -> Result<NodeId, Problem> {
        let text = percent::decode(self.path_key, Plus::Literal)
            .map_err(|error| Problem::bad_request(format!("the id in the path {error}")))?;
        NodeId::new(&text).map_err(|error| Problem::bad_request(error.to_string()))
    }

    /// Reads a body of one of the media types.
    pub(super) async fn body(
        &mut self,
        accepted: &[Media],
    ) -> Result<(Bytes, Media, Option<Grant>), Problem> {
        let media = input::media(&self.parts.headers, accepted)?;
        let limit = body::limit(self.api.max_value);
        let (data, grant) = body::read(self.body, limit, &self.api.budget, self.watch).await?;
        Ok((data, media, grant))
    }
}
