//! Responses: a body is one buffer, with the memory it was granted, or a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use super::budget::Grant;

/// What every handler answers.
pub(crate) type Response = hyper::Response<Body>;

/// A stream that did not come to its end: the connection is cut, so that nobody takes a part for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenOff;

/// What comes bit by bit.
#[derive(Debug)]
enum Stream {
    /// Until they end, which is no failure.
    Events(mpsc::Receiver<Bytes>),
    Chunks(mpsc::Receiver<Result<Bytes, BrokenOff>>),
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        match self {
            Stream::Events(events) => events.poll_recv(cx).map(|event| event.map(Ok)),
            Stream::Chunks(chunks) => chunks.poll_recv(cx),
        }
    }
}

/// A whole body in memory, or one that comes bit by bit.
#[derive(Debug, Default)]
pub(crate) struct Body {
    data: Bytes,
    /// Given back when the body has been sent or dropped.
    grant: Option<Grant>,
    /// Sent in place of the data.
    stream: Option<Stream>,
}

impl Body {
    /// Ties the memory's grant to the body.
    pub(crate) fn holding(mut self, grant: Option<Grant>) -> Body {
        self.grant = grant;
        self
    }

    /// Its size in bytes, as far as it is there.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no telling when it ends.
    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(data: T) -> Body {
        Body { data: data.into(), grant: None, stream: None }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(stream) = &mut self.stream {
            return stream.poll_next(cx).map(|next| next.map(|data| data.map(Frame::data)));
        }
        let data = std::mem::take(&mut self.data);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !self.is_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.stream {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.len() as u64),
        }
    }
}

/// 200 with a body of the given media type.
pub(crate) fn ok(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// 200 with JSON.
pub(crate) fn json(body: impl Into<Body>) -> Response {
    ok("application/json", body)
}

/// 200 with a stream of events.
pub(crate) fn events(events: mpsc::Receiver<Bytes>) -> Response {
    stream("text/event-stream", Stream::Events(events))
}

/// 200 with bytes that come chunk by chunk, as a file to be saved under a name.
pub(crate) fn file(name: &str, chunks: mpsc::Receiver<Result<Bytes, BrokenOff>>) -> Response {
    let mut response = stream("application/octet-stream", Stream::Chunks(chunks));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

fn stream(media_type: &'static str, stream: Stream) -> Response {
    let mut response = ok(media_type, Body { stream: Some(stream), ..Body::default() });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What ends a stream is the end of its connection, on which no other request follows.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
