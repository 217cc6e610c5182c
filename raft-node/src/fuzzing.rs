//! What a node reads from outside, as functions that a fuzzer can call. Behind a feature that nothing which
//! ships turns on; no part of the interface.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_core::entry::{ClientId, SessionStep};
use raft_core::kv::{Key, Value};
use raft_core::message::{AppendEntries, Message, RequestVote};
use raft_core::replica::Consistency;
use raft_core::types::{Incarnation, NodeId};

use crate::config::Config;
use crate::http::access::Access;
use crate::http::input::{self, Media};
use crate::http::percent::{self, Plus};
use crate::http::problem::Problem;
use crate::http::query::{Param, Query};
use crate::http::routes::Routes;
use crate::http::rpc;
use crate::transport;
use crate::value::{self, BytesAs};

pub use hyper::{HeaderMap, Method, Request, header};

/// A refusal as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// The whole document, JSON.
    pub document: Vec<u8>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        let response = problem.response();
        Refusal {
            status: response.status().as_u16(),
            code: problem.code.as_str(),
            document: problem.document(),
        }
    }
}

/// A message as it goes over a stream.
#[must_use]
pub fn frame(message: &Message) -> Vec<u8> {
    transport::fuzzing::encode(message)
}

/// Takes the next message out of what a stream brought.
///
/// # Errors
/// When the stream does not hold messages.
pub fn next_message(received: &mut BytesMut) -> Result<Option<Message>, String> {
    transport::fuzzing::decode(received)
}

/// Reads the head of a request for a stream.
///
/// # Errors
/// 400 and 403.
pub fn handshake(headers: &HeaderMap, config: &Config) -> Result<(NodeId, Incarnation), Refusal> {
    Ok(transport::fuzzing::handshake(headers, config)?)
}

/// Reads the body of `POST /api/set`.
///
/// # Errors
/// 400 and 413.
pub fn set_body(body: &Bytes, max_value: usize) -> Result<(Key, Value), Refusal> {
    Ok(input::parse_set(body, max_value)?)
}

/// Reads the body of `POST /api/delete`.
///
/// # Errors
/// 400 and 413.
pub fn delete_body(body: &Bytes) -> Result<Key, Refusal> {
    Ok(input::parse_delete(body)?)
}

/// Reads the body of `POST /api/session`.
///
/// # Errors
/// 400.
pub fn session_body(body: &Bytes) -> Result<ClientId, Refusal> {
    Ok(input::parse_session(body)?)
}

/// Reads the body of `PUT /api/raw/{key}`, JSON or bytes.
///
/// # Errors
/// 400 and 413.
pub fn raw_body(body: &Bytes, json: bool, max_value: usize) -> Result<Value, Refusal> {
    let media = if json { Media::Json } else { Media::OctetStream };
    Ok(input::parse_raw(body.clone(), media, max_value)?)
}

/// Reads the body of `POST /api/vote`.
///
/// # Errors
/// 400.
pub fn vote_body(body: &Bytes) -> Result<(NodeId, RequestVote), Refusal> {
    Ok(rpc::parse_vote(body)?)
}

/// Reads the body of `POST /api/append_entries`.
///
/// # Errors
/// 400 and 413.
pub fn append_body(body: &Bytes, max_value: usize) -> Result<(NodeId, AppendEntries), Refusal> {
    Ok(rpc::parse_append(body, max_value)?)
}

/// Decodes a part of a path, or of a query.
///
/// # Errors
/// In words.
pub fn percent_decode(text: &str, in_query: bool) -> Result<Cow<'_, str>, String> {
    let plus = if in_query { Plus::Space } else { Plus::Literal };
    percent::decode(text, plus).map_err(|error| error.to_string())
}

/// Encodes a part of a path or of a query.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    percent::encode_into(&mut out, text);
    out
}

/// Everything that a query may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `consistency=stale`.
    pub stale: bool,
    /// `timeout_ms`.
    pub timeout: Option<Duration>,
    /// `prefix`.
    pub prefix: String,
    /// `limit`.
    pub limit: u32,
    /// `after`.
    pub after: Option<String>,
    /// `values`.
    pub values: bool,
    /// `bytes=base64`.
    pub base64: bool,
}

/// Reads a query in which every parameter may stand.
///
/// # Errors
/// 400.
pub fn query(text: Option<&str>) -> Result<Asked, Refusal> {
    const ALL: [Param; 8] = [
        Param::Consistency,
        Param::TimeoutMs,
        Param::Prefix,
        Param::Limit,
        Param::After,
        Param::Values,
        Param::BytesAs,
        Param::Force,
    ];
    let Query { consistency, timeout, prefix, limit, after, values, bytes_as, force: _ } =
        Query::parse(text, &ALL)?;
    let (stale, base64) = (consistency == Consistency::Stale, bytes_as == BytesAs::Base64);
    Ok(Asked { stale, timeout, prefix, limit, after, values, base64 })
}

/// What is made of the head of a request.
#[derive(Debug)]
pub struct Head {
    /// Whether it was taken for a browser's question, and answered.
    pub is_preflight: bool,
    /// The endpoint's number among the routes, and the key in the path where it has one.
    pub route: Result<(usize, Option<Key>), Refusal>,
    /// Whether it came under a name that belongs here.
    pub name: Result<(), Refusal>,
    /// The query.
    pub query: Result<Asked, Refusal>,
    /// What makes a repeated write happen once.
    pub session: Result<Option<SessionStep>, Refusal>,
    /// Whether the body is said to be JSON; else it is bytes.
    pub is_json: Result<bool, Refusal>,
}

static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new().expect("the table of routes is sound"));

/// Reads the head of a request, as the server does on its way to a handler.
///
/// # Panics
/// When the table of routes is not sound.
#[must_use]
pub fn head(request: Request<()>, config: &Config) -> Head {
    let access = Access::of_node(config);
    let is_preflight = access.preflight(&request, &ROUTES).is_some();
    let (parts, ()) = request.into_parts();
    Head {
        is_preflight,
        route: route(&parts.method, parts.uri.path()).map_err(Refusal::from),
        name: access.check_name(&parts).map_err(Refusal::from),
        query: query(parts.uri.query()),
        session: input::session_step(&parts.headers).map_err(Refusal::from),
        is_json: input::media(&parts.headers, &[Media::Json, Media::OctetStream])
            .map(|media| media == Media::Json)
            .map_err(Refusal::from),
    }
}

fn route(method: &Method, path: &str) -> Result<(usize, Option<Key>), Problem> {
    let (endpoint, key) = ROUTES.find(method, path)?;
    // The handler cuts the path so.
    let key = &path[path.len() - key.len()..];
    if key.is_empty() {
        return Ok((endpoint as usize, None));
    }
    let text =
        percent::decode(key, Plus::Literal).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok((endpoint as usize, Some(input::key(&text)?)))
}

/// A value as it is written into a document.
#[must_use]
pub fn json_of(value: &Value, base64: bool) -> String {
    value::to_json(value, if base64 { BytesAs::Base64 } else { BytesAs::Text })
}
