//! The dashboard without a node: its own small server on loopback, which asks the nodes it is given, and
//! passes what the page asks for on to one that lives.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, body::Incoming};
use matchit::InsertError;
use tokio::sync::watch::Receiver;

use super::feed::Feed;
use super::{Dashboard, assets, watching};
use crate::client::{Answer, Client, ClientConfig, ClientError, Relay};
use crate::error::StartError;
use crate::http::access::Access;
use crate::http::budget::Budget;
use crate::http::connections::{Connections, fitting_limit};
use crate::http::input::{IDEMPOTENCY_ANSWERED_BELOW, IDEMPOTENCY_KEY, IDEMPOTENCY_SEQUENCE, Media};
use crate::http::problem::{Code, Problem};
use crate::http::query::{Param, Query};
use crate::http::reply::{Body, Response};
use crate::http::routes::{Endpoint, Routes};
use crate::http::server::{self, Handler};
use crate::http::store::{self, RAFT_REVISION};
use crate::http::watch::Watch;
use crate::http::{body, input};
use crate::{config, node};

const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Why the dashboard cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// Its port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] StartError),
    /// An endpoint cannot be read.
    #[error(transparent)]
    Endpoints(#[from] ClientError),
    /// A defect.
    #[error("the table of routes contradicts itself: {0}")]
    Routes(#[from] InsertError),
}

/// A dashboard that has its port and is ready to serve.
#[derive(Debug)]
pub struct Alone {
    listener: TcpListener,
    port: u16,
    client: Client,
}

impl Alone {
    /// Takes `port` of 127.0.0.1, for a dashboard of the nodes that `config` names. Nothing is dialled yet.
    ///
    /// # Errors
    /// When the port cannot be had, or an endpoint cannot be read.
    pub fn bind(port: u16, config: ClientConfig) -> Result<Alone, DashboardError> {
        let client = Client::new(config)?;
        let listener = node::listen(&HOST.to_string(), port)?;
        Ok(Alone { listener, port, client })
    }

    /// Where a browser finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Serves until `shutdown` holds true or its sender is gone. Must run within a tokio runtime with I/O and
    /// time.
    ///
    /// # Errors
    /// When the operating system does not let it.
    pub async fn serve(self, shutdown: Receiver<bool>) -> Result<(), DashboardError> {
        let addresses: Vec<String> = self.client.endpoints().map(str::to_owned).collect();
        watching::of_addresses(&addresses)?;
        let relay = Gateway {
            dashboard: Dashboard {
                policy: Some(assets::policy(std::iter::empty())),
                node: None,
                feed: Feed::new(watching::Source::Addresses(addresses), shutdown.clone()),
            },
            access: Access::local(),
            routes: Routes::new()?,
            budget: Budget::new(),
            client: self.client,
        };
        let connections = Connections::new(fitting_limit());
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(StartError::System)?;
        server::run(listener, Arc::new(relay), connections, shutdown).await;
        Ok(())
    }
}

/// Answers the page, and passes on what is the cluster's business.
struct Gateway {
    dashboard: Dashboard,
    access: Access,
    routes: Routes,
    budget: Budget,
    client: Client,
}

impl Handler for Gateway {
    async fn handle(&self, request: Request<Incoming>, watch: &Watch) -> Response {
        let (parts, mut body) = request.into_parts();
        let answer = self.answer(&parts, &mut body, watch).await;
        if !hyper::body::Body::is_end_stream(&body) {
            tokio::spawn(body::drain(body));
        }
        answer.unwrap_or_else(|problem| problem.response())
    }
}

impl Gateway {
    async fn answer(&self, parts: &Parts, body: &mut Incoming, watch: &Watch) -> Result<Response, Problem> {
        self.access.check_name(parts)?;
        let (endpoint, file) = self.routes.find(&parts.method, parts.uri.path())?;
        let known = match endpoint {
            Endpoint::Root => return Ok(self.dashboard.page()),
            Endpoint::DashboardFile => return Dashboard::asset(file),
            Endpoint::DashboardEvents => return self.dashboard.events(),
            Endpoint::Set | Endpoint::Delete | Endpoint::RawPut => store::WRITE,
            Endpoint::Get | Endpoint::RawGet => store::READ,
            Endpoint::StateMachine => store::LIST,
            _ => {
                let detail = "this is a dashboard: ask a node, whose address is on the page";
                return Err(Problem::new(Code::NotFound, detail));
            }
        };
        let relay = self.relay(endpoint, known, parts, body, watch).await?;
        let client = &self.client;
        client.relay(relay).await.map_or_else(|error| Err(problem(error)), |answer| Ok(response(answer)))
    }

    /// The request as it is passed on. What can be judged here is.
    async fn relay(
        &self,
        endpoint: Endpoint,
        known: &[Param],
        parts: &Parts,
        body: &mut Incoming,
        watch: &Watch,
    ) -> Result<Relay, Problem> {
        let timeout = Query::parse(parts.uri.query(), known)?.timeout;
        let mut relay = Relay {
            // hyper leaves the body of the answer to HEAD away by itself.
            method: if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() },
            target: without_timeout(parts.uri.path(), parts.uri.query()),
            content_type: None,
            body: bytes::Bytes::new(),
            idempotency_key: None,
            timeout,
        };
        let accepted = match endpoint {
            Endpoint::Set | Endpoint::Delete => &[Media::Json][..],
            Endpoint::RawPut => &[Media::OctetStream, Media::Json],
            _ => return Ok(relay),
        };
        let media = input::media(&parts.headers, accepted)?;
        relay.content_type = Some(media.name());
        relay.idempotency_key = Some(write_name(&parts.headers)?);
        let (data, _grant) =
            body::read(body, body::limit(config::MAX_VALUE_BYTES), &self.budget, watch).await?;
        relay.body = data;
        Ok(relay)
    }
}

/// What the write is named by: it may be sent to more than one node.
fn write_name(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    if headers.contains_key(IDEMPOTENCY_SEQUENCE) || headers.contains_key(IDEMPOTENCY_ANSWERED_BELOW) {
        return Err(Problem::bad_request("a dashboard keeps no sessions: send numbered writes to a node"));
    }
    // Judged here, so that what is wrong is not asked of every node.
    input::session_step(headers)?;
    if let Some(key) = headers.get(IDEMPOTENCY_KEY) {
        return Ok(key.clone());
    }
    let name =
        crate::session::random_name().map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    HeaderValue::from_str(&name).map_err(|error| Problem::new(Code::Failed, error.to_string()))
}

/// Path and query for a node, which is told by the client how much time is left.
fn without_timeout(path: &str, query: Option<&str>) -> String {
    let mut target = path.to_owned();
    let name = Param::TimeoutMs.name();
    let is_timeout = |part: &&str| part.split('=').next().is_some_and(|found| found == name);
    let parts = query.into_iter().flat_map(|query| query.split('&')).filter(|part| !is_timeout(part));
    for (position, part) in parts.enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(part);
    }
    target
}

/// A node's answer, as it came.
fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(&answer.content_type) {
        headers.insert(CONTENT_TYPE, media_type);
    }
    if let Some(revision) = answer.revision {
        headers.insert(RAFT_REVISION, revision.into());
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

/// Why there is no answer, as a node would say it.
fn problem(error: ClientError) -> Problem {
    let detail = error.to_string();
    let code = match &error {
        ClientError::InvalidInput(_) => Code::BadRequest,
        ClientError::Problem { code, .. } => Code::named(code).unwrap_or(Code::BadRequest),
        ClientError::Unreachable { .. } | ClientError::NoLeader { .. } => Code::NoLeader,
        ClientError::Timeout { .. } | ClientError::Unknown { .. } => Code::Timeout,
        ClientError::Protocol { .. } | ClientError::System(_) => Code::Failed,
    };
    Problem::new(code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limit_is_the_clients_to_pass_on() {
        for (query, target) in [
            (None, "/p"),
            (Some("timeout_ms=5"), "/p"),
            (Some("limit=1&timeout_ms=5&prefix=timeout_ms%3D"), "/p?limit=1&prefix=timeout_ms%3D"),
            (Some("timeout_ms_=1"), "/p?timeout_ms_=1"),
        ] {
            assert_eq!(without_timeout("/p", query), target);
        }
    }

    #[test]
    fn every_write_has_a_name() {
        let mut headers = HeaderMap::new();
        let (first, second) = (write_name(&headers).unwrap(), write_name(&headers).unwrap());
        assert_ne!(first, second);
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("mine"));
        assert_eq!(write_name(&headers).unwrap(), "mine");
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static(""));
        assert_eq!(write_name(&headers).unwrap_err().code, Code::BadRequest);
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("mine"));
        headers.insert(IDEMPOTENCY_SEQUENCE, HeaderValue::from_static("1"));
        assert_eq!(write_name(&headers).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn a_lost_answer_stays_a_504() {
        let lost = ClientError::Timeout { maybe_happened: true, failures: Vec::new() };
        assert_eq!(problem(lost).code, Code::Timeout);
        let refused = ClientError::Problem { code: "too_large".into(), status: 413, detail: "x".into() };
        assert_eq!(problem(refused), Problem::new(Code::TooLarge, "x"));
    }
}
