//! What an operator has done with the cluster.

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::{Ask, Journey, Once, Timed};
use super::error::ClientError;
use super::{Client, JSON, Member, answer_of, wire};
use crate::http::percent;

/// Leadership was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Transferred {
    /// Who leads.
    pub leader_id: String,
    /// Its term.
    pub term: u64,
}

/// Who belongs to the cluster: `GET /api/members`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Members {
    /// Where the configuration that says so stands in the log; 0 before there is one.
    pub configuration_index: u64,
    /// All members, in the order of their ids.
    pub members: Vec<Member>,
}

/// The members were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Changed {
    /// Where the configuration that says so stands in the log.
    pub configuration_index: u64,
}

/// A snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The log index whose state it holds.
    pub index: u64,
    /// The length of its file in bytes.
    pub bytes: u64,
    /// How long the leader took over it, in milliseconds.
    pub took_ms: u64,
}

/// A server that is to become a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewMember {
    /// Its id.
    pub node_id: String,
    /// `HOST:PORT` at which the members reach it.
    pub address: String,
    /// Whether it stays a learner; otherwise it votes once it has caught up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub learner: bool,
    /// The higher, the rather it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The voter whose place it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
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

    /// Who belongs to the cluster, as whichever node answers first sees it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn members(&self) -> Result<Members, ClientError> {
        wire::report(&self.read("/api/members".to_owned(), Timed::Not).await?)
    }

    /// Has a server added, and waits until it has caught up and votes, or as a learner is a member. Asked for
    /// again, what is under way is waited for.
    ///
    /// # Errors
    /// See [`ClientError`]; `Problem` with `conflict` where the leader does not do it, and why.
    pub async fn add_member(&self, member: &NewMember) -> Result<Changed, ClientError> {
        let body = json!(member);
        self.order(Method::POST, "/api/members", &body, Once::Harmless).await
    }

    /// Has a learner made a voter, once it has caught up.
    ///
    /// # Errors
    /// As [`Client::add_member`].
    pub async fn promote_member(&self, node_id: &str) -> Result<Changed, ClientError> {
        let body = json!({ "node_id": node_id, "promote": true });
        self.order(Method::POST, "/api/members", &body, Once::Harmless).await
    }

    /// Gives a member a priority: among those that could lead, the highest does.
    ///
    /// # Errors
    /// As [`Client::add_member`].
    pub async fn set_priority(&self, node_id: &str, priority: u8) -> Result<Changed, ClientError> {
        let body = json!({ "node_id": node_id, "priority": priority });
        self.order(Method::POST, "/api/members", &body, Once::Harmless).await
    }

    /// Has a member removed. `force` also where a majority of those who stay cannot be reached: until enough
    /// of them are back, nothing can be written.
    ///
    /// # Errors
    /// As [`Client::add_member`].
    pub async fn remove_member(&self, node_id: &str, force: bool) -> Result<Changed, ClientError> {
        let mut target = String::from("/api/members/");
        percent::encode_into(&mut target, node_id);
        if force {
            target.push_str("?force=true");
        }
        self.order(Method::DELETE, &target, &json!({}), Once::Harmless).await
    }

    /// Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more.
    ///
    /// # Errors
    /// See [`ClientError`]; `Problem` with `conflict` where the leader cannot write one, and why.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        let (target, timed) = ("/api/snapshot".to_owned(), Timed::Hour);
        self.order_within(timed, Method::POST, target, &json!({}), Once::Harmless).await
    }

    /// Asks for something that changes the cluster.
    async fn order<T: for<'a> Deserialize<'a>>(
        &self,
        method: Method,
        target: &str,
        body: &serde_json::Value,
        once: Once<'_>,
    ) -> Result<T, ClientError> {
        self.order_within(Timed::Minute, method, target.to_owned(), body, once).await
    }

    async fn order_within<T: for<'a> Deserialize<'a>>(
        &self,
        timed: Timed,
        method: Method,
        target: String,
        body: &serde_json::Value,
        once: Once<'_>,
    ) -> Result<T, ClientError> {
        let endpoints = &self.shared.endpoints;
        let mut journey = Journey::new(endpoints, self.timeout);
        let ask = Ask {
            method,
            target,
            content_type: Some(JSON),
            body: body.to_string().into(),
            timed,
            once: Some(once),
        };
        let answer = answer_of(endpoints.call(&ask, &mut journey).await?)?;
        self.look_for_leader();
        wire::report(&answer)
    }
}
