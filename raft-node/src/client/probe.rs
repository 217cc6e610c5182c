//! Asking one node how it is, again and again, over a connection that is kept.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::call::{Ask, request};
use super::connection::{Endpoint, Lost};
use super::error::ClientError;

/// One node to be asked.
#[derive(Debug)]
pub(crate) struct Probe {
    endpoint: Endpoint,
}

/// Why a node did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// It was given all the time there was: it may be there and hang. Otherwise nobody is there.
    pub(crate) timed_out: bool,
    /// In words.
    pub(crate) error: String,
}

impl Probe {
    /// Reads `HOST:PORT`. Nothing is dialled yet.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub(crate) fn new(address: &str) -> Result<Probe, ClientError> {
        Ok(Probe { endpoint: Endpoint::parse(address)? })
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.endpoint.address
    }

    /// Asks for one of the node's reports on itself.
    ///
    /// # Errors
    /// Where nothing that can be read came in time.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        target: &str,
        timeout: Duration,
    ) -> Result<T, Unanswered> {
        let end = Instant::now() + timeout;
        let ask = Ask::report(target);
        let answer = loop {
            let was_kept = self.endpoint.is_connected();
            match self.endpoint.exchange(request(&ask, end), end).await {
                Ok(answer) => break answer,
                Err(Lost::NotSent(error) | Lost::OnTheWay(error)) => {
                    let timed_out = Instant::now() >= end;
                    // A kept connection may have been closed for reasons of its own: only a new one tells.
                    if timed_out || !was_kept {
                        return Err(Unanswered { timed_out, error });
                    }
                }
            }
        };
        let unreadable = |error: String| Unanswered { timed_out: false, error };
        if answer.status >= 300 {
            return Err(unreadable(format!("it answered with status {}", answer.status)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| unreadable(format!("its answer cannot be read: {error}")))
    }
}
