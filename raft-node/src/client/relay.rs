//! Passing a request on as it came, for a server that stands between a page and the cluster.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderValue;

use super::call::{Arrival, Ask, Journey, Once, Timed};
use super::connection::Answer;
use super::{Client, ClientError};

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) method: Method,
    /// Path and query, encoded, without `timeout_ms`.
    pub(crate) target: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    /// What a write is named by, so that it may be sent to several nodes and happens once.
    pub(crate) idempotency_key: Option<HeaderValue>,
    /// How long it may take in all; none for the client's default.
    pub(crate) timeout: Option<Duration>,
}

impl Client {
    /// Sends a request to one node after the other until one answers it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(crate) async fn relay(&self, relay: Relay) -> Result<Answer, ClientError> {
        let endpoints = &self.shared.endpoints;
        let mut journey = Journey::new(endpoints, relay.timeout.unwrap_or(self.timeout));
        let ask = Ask {
            method: relay.method,
            target: relay.target,
            content_type: relay.content_type,
            body: relay.body,
            timed: Timed::Minute,
            once: relay.idempotency_key.as_ref().map(Once::Key),
        };
        match endpoints.call(&ask, &mut journey).await? {
            Arrival::Answer(answer) => {
                self.look_for_leader();
                Ok(answer)
            }
            Arrival::SessionExpired => {
                Err(ClientError::Unknown { detail: "the write has no session that could end".to_owned() })
            }
        }
    }
}
