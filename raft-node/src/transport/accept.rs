//! The called side of a stream: checks who calls, then passes on what is said.

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use raft_core::types::{Incarnation, NodeId};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{frame, header};
use crate::config::Config;
use crate::http::problem::{Code, Problem};
use crate::node::{Input, Node};

/// How long the connection may take to become a stream after it was accepted as one.
const UPGRADE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Answers a request to open a stream, and serves the stream if it is granted.
///
/// # Errors
/// 400 and 403; 503 where this node has failed.
pub(crate) fn accept(request: Request<Incoming>, node: &Node) -> Result<Response<()>, Problem> {
    let (from, incarnation) = check(request.headers(), node.config())
        .inspect_err(|problem| tracing::debug!(reason = %problem.detail, "refused a stream"))?;
    if let Some(error) = node.failure() {
        return Err(error.into());
    }
    let (inbox, node) = (node.inbox(), node.clone());
    tokio::spawn(async move {
        match timeout(UPGRADE_TIMEOUT, hyper::upgrade::on(request)).await {
            Ok(Ok(upgraded)) => {
                let reason = tokio::select! {
                    reason = receive(TokioIo::new(upgraded), &from, incarnation, &inbox) => reason,
                    // As if the process had died, so that the others need not wait a timeout out.
                    () = node.fails() => "this node has failed".to_owned(),
                };
                tracing::debug!(peer = %from, reason, "the peer's stream to this node ended");
            }
            Ok(Err(error)) => tracing::debug!(peer = %from, %error, "a stream did not come about"),
            Err(_) => tracing::debug!(peer = %from, "a stream did not come about in time"),
        }
    });
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, hyper::header::HeaderValue::from_static("raft"));
    Ok(response)
}

/// Reads who calls, and whether this node, with its configuration, is who was meant.
pub(super) fn check(headers: &HeaderMap, config: &Config) -> Result<(NodeId, Incarnation), Problem> {
    let bad = |reason: String| Problem::bad_request(reason);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let protocol = text("upgrade").unwrap_or_default();
    if !protocol.eq_ignore_ascii_case("raft") {
        return Err(bad(format!("streams here are opened with Upgrade: raft, not {protocol:?}")));
    }
    let version = text(header::VERSION).unwrap_or_default();
    if version.parse() != Ok(frame::VERSION) {
        let ours = frame::VERSION;
        return Err(bad(format!(
            "the caller speaks version {version:?} of the stream, this node version {ours}: run the same \
             release of the software on all members"
        )));
    }
    let own = &config.node_id;
    let to = text(header::TO).unwrap_or_default();
    if to != own.as_str() {
        let reason = format!("this node is {own}, and {to:?} was called: correct the address in --peers");
        return Err(Problem::new(Code::Forbidden, reason));
    }
    let from = text(header::FROM).unwrap_or_default();
    let from = NodeId::new(from).map_err(|error| bad(error.to_string()))?;
    if from == *own {
        let reason = format!("{from} is this node itself: give every node a name of its own");
        return Err(Problem::new(Code::Forbidden, reason));
    }
    let incarnation = text(header::INCARNATION).and_then(|text| u64::from_str_radix(text, 16).ok());
    let incarnation = incarnation.ok_or_else(|| bad("the caller's incarnation is missing".to_owned()))?;
    Ok((from, Incarnation(incarnation)))
}

/// Passes messages on until the stream ends; returns why it did.
async fn receive(
    mut stream: impl AsyncRead + Unpin,
    from: &NodeId,
    incarnation: Incarnation,
    inbox: &mpsc::Sender<Input>,
) -> String {
    let mut received = BytesMut::with_capacity(64 << 10);
    loop {
        let mut messages = Vec::new();
        loop {
            match frame::decode(&mut received) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return error.to_string(),
            }
        }
        if !messages.is_empty() {
            let input = Input::Received { from: from.clone(), incarnation, messages };
            // Waiting here makes the peer wait: its stream fills up.
            if inbox.send(input).await.is_err() {
                return "this node is stopping".to_owned();
            }
        }
        match stream.read_buf(&mut received).await {
            Ok(0) => return "closed by the peer".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}
