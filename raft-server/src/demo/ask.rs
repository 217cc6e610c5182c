//! One HTTP request to one server, with the answer as it comes: a client would try again.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::nodes::Node;

/// How long the server may take.
pub(super) const SERVER: Duration = Duration::from_millis(1000);
/// How long this side waits: longer, so that it is the server that answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The document.
    pub(super) body: Value,
}

impl Answer {
    /// Whether it is one of the two that say: not now.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, 503 | 504)
    }

    /// `503 no_leader`.
    pub(super) fn brief(&self) -> String {
        match self.body["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }

    /// The server's own words.
    pub(super) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

/// `POST /api/set`.
pub(super) async fn set(node: &Node, key: &str, value: u64) -> Result<Answer, String> {
    let target = format!("/api/set?timeout_ms={}", SERVER.as_millis());
    let body = json!({ "key": key, "value": value }).to_string();
    ask(node, Method::POST, &target, body).await
}

/// `GET /api/get/{key}`, linearizable or stale.
pub(super) async fn get(node: &Node, key: &str, consistency: &str) -> Result<Answer, String> {
    let target = format!("/api/get/{key}?consistency={consistency}&timeout_ms={}", SERVER.as_millis());
    ask(node, Method::GET, &target, String::new()).await
}

async fn ask(node: &Node, method: Method, target: &str, body: String) -> Result<Answer, String> {
    let exchange = exchange(&node.address, method, target, body);
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{} does not answer: {error}", node.name)),
        Err(_) => Err(format!("{} does not answer within {} s", node.name, PATIENCE.as_secs())),
    }
}

async fn exchange(
    address: &str,
    method: Method,
    target: &str,
    body: String,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, address)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&body)? })
    };
    let mut answer = std::pin::pin!(answer);
    // The connection moves the bytes, and may end before the answer has been put together.
    tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}
