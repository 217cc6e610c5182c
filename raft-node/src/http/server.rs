//! Accepting connections and running HTTP/1.1 on them.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;

use super::connections::{Connections, Place};
use super::refusal;
use super::reply::Response;
use super::watch::{CLOSING, Socket, Verdict, Watch, Watchdog};

/// Bytes a head may take: a key of 4 KiB is three times that when every byte is escaped.
pub(super) const HEAD_BYTES: usize = 32 << 10;
/// Bytes read ahead on a connection.
const READ_BUFFER: usize = 64 << 10;

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one. Every error is an answer too.
    fn handle(&self, request: Request<Incoming>, watch: &Watch) -> impl Future<Output = Response> + Send;
}

/// Accepts until `shutdown` holds true or its sender is gone, then gives the requests under way a second.
pub(crate) async fn run<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    connections: Arc<Connections>,
    mut shutdown: Receiver<bool>,
) {
    let mut stop = pin!(async move {
        // An error means that the sender is gone, and the node with it.
        let _ = shutdown.wait_for(|stop| *stop).await;
    });
    let mut pause = Backoff::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                pause = Backoff::default();
                admit(stream, &handler, &connections);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                let wait = pause.next();
                tracing::warn!(%error, ?wait, "cannot accept connections for now");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(CLOSING + Duration::from_millis(200), connections.emptied()).await;
}

/// Whether the connection being accepted failed, and not accepting as such.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How long to leave an operating system alone that has no descriptor or memory left.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        self.failures = (self.failures + 1).min(6);
        Duration::from_millis(10 << self.failures)
    }
}

fn admit<H: Handler>(stream: TcpStream, handler: &Arc<H>, connections: &Arc<Connections>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "a connection went away at once");
        return;
    }
    let watch = Watch::new();
    let Some(place) = connections.admit(Arc::clone(&watch)) else {
        tracing::debug!("a connection was closed at once: all places are taken by requests under way");
        return;
    };
    tokio::spawn(serve_connection(stream, watch, place, Arc::clone(handler)));
}

async fn serve_connection<H: Handler>(stream: TcpStream, watch: Arc<Watch>, place: Place, handler: Arc<H>) {
    let _place = place;
    let socket = Socket::new(stream, Arc::clone(&watch));
    let mut watchdog = Watchdog::new(Arc::clone(&watch));
    let service = service_fn(|request| {
        watch.working();
        let (handler, watch) = (Arc::clone(&handler), Arc::clone(&watch));
        async move {
            let response = handler.handle(request, &watch).await;
            if response.body().is_stream() {
                watch.streaming();
            } else {
                watch.answered();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(READ_BUFFER)
        .max_header_size(HEAD_BYTES)
        .serve_connection(socket, service)
        .with_upgrades();
    loop {
        let next = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(done) => Poll::Ready(Err(done)),
            Poll::Pending => watchdog.poll(cx).map(Ok),
        });
        match next.await {
            Ok(Verdict::Finish) => Pin::new(&mut connection).graceful_shutdown(),
            Ok(Verdict::Close(reason)) => {
                tracing::debug!(reason, "a connection was closed");
                return;
            }
            Ok(Verdict::Refuse(reason)) => {
                tracing::debug!(reason, "a connection was closed");
                if let Some(parts) = connection.into_parts() {
                    parts.io.say_last(refusal::too_slow(reason)).await;
                }
                return;
            }
            Err(Ok(())) => return,
            Err(Err(error)) => {
                tracing::trace!(%error, "a connection ended");
                if error.is_parse() || error.is_incomplete_message() {
                    refuse_silence(connection.into_parts().map(|parts| parts.io)).await;
                }
                return;
            }
        }
    }
}

/// hyper says nothing to some who do not speak HTTP/1.1, nor where a head breaks off.
async fn refuse_silence(socket: Option<Socket>) {
    if let Some(socket) = socket.filter(Socket::is_silent) {
        socket.say_last(refusal::unreadable()).await;
    }
}

#[cfg(test)]
mod tests;
