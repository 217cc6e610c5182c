//! Responses: a body is one buffer, with the memory it was granted, or a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use super::budget::Grant;

/// What every handler answers.
pub(crate) type Response = hyper::Response<Body>;

/// A whole body in memory, or events that come one by one.
#[derive(Debug, Default)]
pub(crate) struct Body {
    data: Bytes,
    /// Given back when the body has been sent or dropped.
    grant: Option<Grant>,
    /// Sent in place of the data, until they end.
    events: Option<mpsc::Receiver<Bytes>>,
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
        self.events.is_some()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(data: T) -> Body {
        Body { data: data.into(), grant: None, events: None }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(events) = &mut self.events {
            return events.poll_recv(cx).map(|event| event.map(|data| Ok(Frame::data(data))));
        }
        let data = std::mem::take(&mut self.data);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !self.is_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.events {
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
    let mut response = ok("text/event-stream", Body { events: Some(events), ..Body::default() });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What ends a stream is the end of its connection, on which no other request follows.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
