//! What an operator has done with the cluster.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::call::{Ask, Journey, Once};
use super::error::ClientError;
use super::{Client, JSON, answer_of, wire};

/// Leadership was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Transferred {
    /// Who leads.
    pub leader_id: String,
    /// Its term.
    pub term: u64,
}

impl Client {
    /// Has leadership handed over: to the voter that is named, or else to the one that has most of the log.
    /// With a name it is repeated until it is answered; without, it is not repeated once it may have arrived,
    /// since leadership would move a second time.
    ///
    /// # Errors
    /// See [`ClientError`]; `Problem` with `conflict` where the leader goes on leading, and why.
    pub async fn transfer(&self, to: Option<&str>) -> Result<Transferred, ClientError> {
        let (body, once) = match to {
            Some(node_id) => (json!({ "node_id": node_id }), Once::Harmless),
            None => (json!({}), Once::Alone),
        };
        self.order(Method::POST, "/api/transfer", &body, once).await
    }

    /// Asks for something that changes the cluster.
    async fn order<T: for<'a> Deserialize<'a>>(
        &self,
        method: Method,
        target: &str,
        body: &serde_json::Value,
        once: Once<'_>,
    ) -> Result<T, ClientError> {
        let endpoints = &self.shared.endpoints;
        let mut journey = Journey::new(endpoints, self.timeout);
        let ask = Ask {
            method,
            target: target.to_owned(),
            content_type: Some(JSON),
            body: body.to_string().into(),
            timed: true,
            once: Some(once),
        };
        let answer = answer_of(endpoints.call(&ask, &mut journey).await?)?;
        self.look_for_leader();
        wire::report(&answer)
    }
}
