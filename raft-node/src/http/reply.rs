//! Responses: each body is one buffer, with the memory it was granted.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::budget::Grant;

/// What every handler answers.
pub(crate) type Response = hyper::Response<Body>;

/// A whole body, in memory.
#[derive(Debug, Default)]
pub(crate) struct Body {
    data: Bytes,
    /// Given back when the body has been sent or dropped.
    grant: Option<Grant>,
}

impl Body {
    /// Ties the memory's grant to the body.
    pub(crate) fn holding(mut self, grant: Option<Grant>) -> Body {
        self.grant = grant;
        self
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(data: T) -> Body {
        Body { data: data.into(), grant: None }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = std::mem::take(&mut self.data);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
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
