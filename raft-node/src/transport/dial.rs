//! The calling side of a stream: dials, introduces itself, sends; dials again when the stream ends.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use raft_core::message::Message;
use raft_core::types::{Incarnation, NodeId};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::links::LinkStates;
use super::{PATH, frame, header};
use crate::config::split_address;
use crate::node::Input;

/// How long resolving, connecting and shaking hands may take together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long sent data may stay unanswered by the peer's kernel before the connection is given up, so that
/// one that outlived a partition does not linger in its retransmission pauses.
const SILENCE: Duration = Duration::from_secs(2);

/// The first pause between attempts, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How a node introduces itself.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) id: NodeId,
    pub(super) incarnation: Incarnation,
}

/// Keeps one peer's stream open.
pub(super) struct Dialler {
    pub(super) caller: Caller,
    pub(super) peer: NodeId,
    /// Where it may be reached. The dialler ends when nobody holds the other side.
    pub(super) addresses: watch::Receiver<Vec<String>>,
    pub(super) states: LinkStates,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) queue: mpsc::Receiver<Vec<Message>>,
}

impl Dialler {
    pub(super) async fn run(mut self) {
        let (mut pause, mut turn) = (FIRST_PAUSE, 0);
        while !self.inbox.is_closed() && self.addresses.has_changed().is_ok() {
            let address = {
                let addresses = self.addresses.borrow_and_update();
                addresses.get(turn % addresses.len().max(1)).cloned().unwrap_or_default()
            };
            let dialled = timeout(DIAL_TIMEOUT, self.dial(&address)).await;
            let dialled = dialled.unwrap_or_else(|_| Err(format!("no answer within {DIAL_TIMEOUT:?}")));
            let error = match dialled {
                Ok(stream) => {
                    pause = FIRST_PAUSE;
                    self.serve(stream).await
                }
                Err(error) => {
                    turn += 1;
                    error
                }
            };
            if self.states.failed(&self.peer, error.clone()) {
                tracing::debug!(peer = %self.peer, address, error, "no stream to a peer");
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects and shakes hands. The address is resolved anew every time.
    async fn dial(&self, given: &str) -> Result<TcpStream, String> {
        let address = split_address(given).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(address).await.map_err(|error| describe(&error))?;
        configure(&stream).map_err(|error| describe(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(self.request(given)?).await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            let body = Limited::new(response.into_body(), 16 << 10).collect().await;
            connection.abort();
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return Err(format!("it refused: {}", reason(status, &body)));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| error.to_string())?;
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| "not a TCP stream".to_owned())?;
        Ok(parts.io.into_inner())
    }

    /// What opens a stream.
    pub(super) fn request(&self, address: &str) -> Result<Request<Empty<Bytes>>, String> {
        Request::get(PATH)
            .header(HOST, address)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "raft")
            .header(header::VERSION, frame::VERSION)
            .header(header::FROM, self.caller.id.as_str())
            .header(header::TO, self.peer.as_str())
            .header(header::INCARNATION, self.caller.incarnation.to_string())
            .body(Empty::new())
            .map_err(|error| error.to_string())
    }

    /// Sends until the stream ends; returns why it did.
    async fn serve(&mut self, stream: TcpStream) -> String {
        // What waited while there was no stream is out of date.
        while self.queue.try_recv().is_ok() {}
        self.states.opened(&self.peer);
        if self.inbox.send(Input::Connected { peer: self.peer.clone() }).await.is_err() {
            return "this node is stopping".to_owned();
        }
        let (error, process_died) = self.send_all(stream).await;
        tracing::debug!(peer = %self.peer, error, "a stream to a peer ended");
        let ended = Input::Disconnected { peer: self.peer.clone(), process_died };
        let _ = self.inbox.send(ended).await;
        error
    }

    async fn send_all(&mut self, stream: TcpStream) -> (String, bool) {
        let (mut reader, mut writer) = stream.into_split();
        let mut buffer = Vec::with_capacity(64 << 10);
        let mut unexpected = [0; 64];
        loop {
            let batch = tokio::select! {
                batch = self.queue.recv() => batch,
                // The peer says nothing on this stream: what can be read is its end.
                read = reader.read(&mut unexpected) => match read {
                    Ok(0) => return ("the peer closed the connection".to_owned(), true),
                    Ok(_) => return ("the peer spoke out of turn".to_owned(), false),
                    Err(error) => return (describe(&error), is_far_end(&error)),
                },
            };
            let Some(batch) = batch else { return ("it is no member any more".to_owned(), false) };
            for message in &batch {
                if let Err(error) = frame::encode(message, &mut buffer) {
                    return (format!("a message cannot be encoded: {error}"), false);
                }
            }
            if let Err(error) = writer.write_all(&buffer).await {
                return (describe(&error), is_far_end(&error));
            }
            buffer.clear();
        }
    }
}

fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 2).with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    Ok(())
}

/// Whether an error means that the far kernel closed the connection, as it does when the process is gone.
fn is_far_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        _ => error.to_string(),
    }
}

/// The reason in a refusal's body, else its status.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.map_or_else(|| format!("HTTP {status}"), ToOwned::to_owned)
}
