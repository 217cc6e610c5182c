//! Connections to one endpoint, kept between requests.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::ClientError;
use crate::config::split_address;
use crate::http::store::RAFT_REVISION;

/// Connections kept for later at most.
const KEPT: usize = 64;
/// The largest answer taken: several pages of the store.
const MAX_ANSWER: usize = 256 << 20;
/// How long a dial may take where there are other endpoints to try.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

type Sender = SendRequest<Full<Bytes>>;

/// One node's address, and the connections to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// `HOST:PORT`.
    pub(super) address: String,
    host: String,
    port: u16,
    host_header: HeaderValue,
    idle: Mutex<Vec<Sender>>,
}

/// An answer in full.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Who answered.
    pub(crate) endpoint: String,
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) revision: Option<u64>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The endpoint has not seen the request.
    NotSent(String),
    /// It may have.
    OnTheWay(String),
}

impl Endpoint {
    /// Reads `HOST:PORT`, with or without `http://` before it.
    pub(super) fn parse(text: &str) -> Result<Endpoint, ClientError> {
        let text = text.trim();
        let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let invalid = |error: String| ClientError::InvalidInput(format!("bad endpoint: {error}"));
        let (host, port) = split_address(address).map_err(|error| invalid(error.to_string()))?;
        let host_header = HeaderValue::from_str(address).map_err(|error| invalid(error.to_string()))?;
        Ok(Endpoint {
            address: address.to_owned(),
            host: host.to_owned(),
            port,
            host_header,
            idle: Mutex::default(),
        })
    }

    /// Sends a request and reads the answer, by `deadline`.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, Lost> {
        let (response, sender) = self.send(request, deadline).await?;
        let answer = match timeout_at(deadline, read(response, &self.address)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Lost::OnTheWay("only a part of the answer came in time".to_owned())),
        };
        self.keep(sender);
        Ok(answer)
    }

    /// Sends a request, and gives the answer as far as its head. Its connection is not used again.
    pub(super) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Lost> {
        self.send(request, deadline).await.map(|(response, _)| response)
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<(Response<Incoming>, Sender), Lost> {
        request.headers_mut().insert(HOST, self.host_header.clone());
        let mut sender = match self.kept().await {
            Some(sender) => sender,
            None => self.dial(deadline).await?,
        };
        let sent = timeout_at(deadline, sender.send_request(request)).await;
        match sent {
            Ok(Ok(response)) => Ok((response, sender)),
            Ok(Err(error)) if error.is_canceled() => Err(Lost::NotSent(describe(&error))),
            Ok(Err(error)) => Err(Lost::OnTheWay(describe(&error))),
            Err(_) => Err(Lost::OnTheWay("no answer in time".to_owned())),
        }
    }

    /// A connection from an earlier request that still stands, as far as this side can tell.
    async fn kept(&self) -> Option<Sender> {
        loop {
            let mut sender = self.idle.lock().pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock();
        if !sender.is_closed() && idle.len() < KEPT {
            idle.push(sender);
        }
    }

    /// Whether a connection is kept.
    pub(super) fn is_connected(&self) -> bool {
        !self.idle.lock().is_empty()
    }

    /// Names are resolved anew at every dial: a node may have moved.
    async fn dial(&self, deadline: Instant) -> Result<Sender, Lost> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match timeout_at(deadline.min(Instant::now() + DIAL_TIMEOUT), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Lost::NotSent(format!("cannot connect: {error}"))),
            Err(_) => return Err(Lost::NotSent("cannot connect: no answer in time".to_owned())),
        };
        stream.set_nodelay(true).map_err(|error| Lost::NotSent(error.to_string()))?;
        // Not vectored, for the reason given in http/watch.rs.
        let (sender, connection) = http1::Builder::new()
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Lost::NotSent(describe(&error)))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection of the client ended");
            }
        });
        Ok(sender)
    }
}

pub(super) async fn read(response: Response<Incoming>, endpoint: &str) -> Result<Answer, Lost> {
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let content_type = response.headers().get(CONTENT_TYPE).map(text).unwrap_or_default();
    let revision = response.headers().get(RAFT_REVISION).and_then(|value| value.to_str().ok()?.parse().ok());
    match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
        Ok(body) => Ok(Answer {
            endpoint: endpoint.to_owned(),
            status,
            content_type,
            revision,
            body: body.to_bytes(),
        }),
        Err(error) => Err(Lost::OnTheWay(format!("the answer broke off: {error}"))),
    }
}

/// The cause too: hyper's own message says little without it.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
