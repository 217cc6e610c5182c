//! The client: any number of endpoints of one cluster, each of which may fail.
//!
//! A call is sent to the endpoint that answered last, or to the leader where that is known, and to the
//! others in turn while there is no answer, until the call's deadline. Reads are simply repeated. Writes are
//! numbered in a session that the cluster keeps (dissertation §6.3), so that one that is repeated after its
//! answer was lost happens once.

mod administration;
mod backup;
mod call;
mod connection;
mod download;
mod error;
mod probe;
mod relay;
mod reports;
mod wire;

pub use crate::node::{Consistency, Deleted, Item, Value, Written};
pub use administration::{Changed, Members, NewMember, Snapshot, Transferred};
pub use backup::BackupDownload;
pub(crate) use connection::Answer;
pub use download::Download;
pub use error::{ClientError, EndpointFailure};
pub(crate) use probe::{Probe, Unanswered};
pub(crate) use relay::Relay;
pub use reports::{Explanation, Health, Member, Peer, Reason, Status};
pub use wire::{ListOptions, Page};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::session::Session;
use call::{Arrival, Ask, Endpoints, Journey, Once, Timed};
use connection::Endpoint;

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// How often the client looks who leads, so that requests need not be passed on.
const LOOK_FOR_LEADER: Duration = Duration::from_secs(2);
/// How often a write is begun anew because the cluster did not know its session.
const SESSIONS_PER_WRITE: usize = 3;

/// What a client is told when it is made.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `HOST:PORT` of the nodes to ask; not all need be there. Names are resolved at every dial.
    pub endpoints: Vec<String>,
    /// How long a call may take in all, whatever has to be tried.
    pub timeout: Duration,
    /// How fresh reads are.
    pub consistency: Consistency,
}

impl Default for ClientConfig {
    /// The documented cluster, 5 seconds, linearizable.
    fn default() -> ClientConfig {
        ClientConfig {
            endpoints: crate::config::documented_cluster().into_values().collect(),
            timeout: Duration::from_secs(5),
            consistency: Consistency::Linearizable,
        }
    }
}

/// A client of a cluster. Cheap to clone; clones share connections and session. Must be used within a tokio
/// runtime with I/O and time; see [`blocking`](crate::blocking) for one that need not.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    timeout: Duration,
    consistency: Consistency,
}

/// What one endpoint says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// `HOST:PORT`.
    pub endpoint: String,
    /// Its status, or why there is none.
    pub status: Result<Status, ClientError>,
}

#[derive(Debug)]
struct Shared {
    endpoints: Endpoints,
    session: Session,
    /// When to look for the leader again.
    look_at: Mutex<Instant>,
}

impl Client {
    /// Makes a client. Nothing is dialled yet.
    ///
    /// # Errors
    /// `InvalidInput` where there is no endpoint, or one is not `HOST:PORT`, or the timeout is zero.
    pub fn new(config: ClientConfig) -> Result<Client, ClientError> {
        let ClientConfig { endpoints, timeout, consistency } = config;
        if endpoints.is_empty() {
            return Err(ClientError::InvalidInput(
                "there is no endpoint: give one HOST:PORT at least".into(),
            ));
        }
        if timeout.is_zero() {
            return Err(ClientError::InvalidInput(
                "the timeout is zero: nothing can be done in no time".into(),
            ));
        }
        let endpoints = endpoints.iter().map(|text| Endpoint::parse(text)).collect::<Result<_, _>>()?;
        let shared = Shared {
            endpoints: Endpoints::new(endpoints),
            session: Session::default(),
            look_at: Mutex::new(Instant::now()),
        };
        Ok(Client { shared: Arc::new(shared), timeout, consistency })
    }

    /// The same client with another timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        Client { timeout, ..self.clone() }
    }

    /// How long a call may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same client with another consistency of reads.
    #[must_use]
    pub fn with_consistency(&self, consistency: Consistency) -> Client {
        Client { consistency, ..self.clone() }
    }

    /// The endpoints that it was made with, as `HOST:PORT`. It also asks members that nodes tell it of.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.shared.endpoints.given.iter().map(|endpoint| endpoint.address.as_str())
    }

    /// Sets a key to the JSON value that `json` is the text of.
    ///
    /// # Errors
    /// See [`ClientError`]; only `Unknown`, and `Timeout` where it says so, leave open whether it happened.
    pub async fn set(&self, key: &str, json: &str) -> Result<Written, ClientError> {
        let body = wire::json_value(json)?;
        self.put(key, JSON, body).await
    }

    /// Sets a key to a value.
    ///
    /// # Errors
    /// As [`Client::set`].
    pub async fn set_value(&self, key: &str, value: Value) -> Result<Written, ClientError> {
        match value {
            Value::Json(text) => self.put(key, JSON, text).await,
            Value::Bytes(data) => self.put(key, BYTES, data).await,
        }
    }

    /// Sets a key to bytes.
    ///
    /// # Errors
    /// As [`Client::set`].
    pub async fn set_bytes(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, ClientError> {
        self.put(key, BYTES, value.into()).await
    }

    async fn put(&self, key: &str, content_type: &'static str, body: Bytes) -> Result<Written, ClientError> {
        let target = wire::key_path("/api/raw/", key)?;
        let answer = self.write(Method::PUT, target, content_type, body).await?;
        wire::written(&answer)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`Client::set`].
    pub async fn delete(&self, key: &str) -> Result<Deleted, ClientError> {
        let body = wire::delete_body(key)?;
        let answer = self.write(Method::POST, "/api/delete".to_owned(), JSON, body).await?;
        wire::deleted(&answer)
    }

    /// Reads a key; none where it is not set.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, key: &str) -> Result<Option<Item>, ClientError> {
        let target = wire::key_path("/api/raw/", key)?;
        let target = format!("{target}?consistency={}", wire::consistency(self.consistency));
        match self.read(target, Timed::Minute).await {
            Ok(answer) => wire::item(answer).map(Some),
            Err(ClientError::Problem { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a part of the store: one page, which says whether more follows.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list(&self, options: &ListOptions) -> Result<Page, ClientError> {
        let target = wire::list_target(options, self.consistency)?;
        wire::page(&self.read(target, Timed::Minute).await?)
    }

    /// All keys that start with `prefix`, in order. Read page by page: each page is as fresh as the client's
    /// consistency says, and the store may change between two of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let mut options = ListOptions { prefix: prefix.to_owned(), values: false, ..ListOptions::default() };
        let mut keys = Vec::new();
        loop {
            let page = self.list(&options).await?;
            let more = page.more;
            keys.extend(page.entries.into_iter().map(|(key, _)| key));
            match keys.last() {
                Some(last) if more => options.after = Some(last.clone()),
                _ => return Ok(keys),
            }
        }
    }

    /// The view of whichever node answers first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        wire::report(&self.read("/api/status".to_owned(), Timed::Not).await?)
    }

    /// The text of a node's JSON document, such as `/api/status`, from whichever node answers first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn document(&self, target: &str) -> Result<String, ClientError> {
        let answer = self.read(target.to_owned(), Timed::Not).await?;
        wire::report::<&RawValue>(&answer).map(|document| document.get().to_owned())
    }

    /// The view of the node at one of the endpoints.
    ///
    /// # Errors
    /// See [`ClientError`]; `InvalidInput` where the client has no such endpoint.
    pub async fn status_of(&self, endpoint: &str) -> Result<Status, ClientError> {
        wire::report(&self.ask_one(endpoint, "/api/status").await?)
    }

    /// The view of every node, in the order of the endpoints.
    pub async fn status_of_all(&self) -> Vec<NodeView> {
        let mut asking = JoinSet::new();
        for (position, endpoint) in self.endpoints().enumerate() {
            let (client, endpoint) = (self.clone(), endpoint.to_owned());
            asking.spawn(async move {
                let status = client.status_of(&endpoint).await;
                (position, NodeView { endpoint, status })
            });
        }
        let mut all = asking.join_all().await;
        all.sort_by_key(|(position, _)| *position);
        all.into_iter().map(|(_, view)| view).collect()
    }

    /// What is in the way, as whichever node answers first sees it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why(&self) -> Result<Explanation, ClientError> {
        wire::report(&self.read("/api/why".to_owned(), Timed::Not).await?)
    }

    /// Whether the node at one of the endpoints can serve.
    ///
    /// # Errors
    /// `NoLeader` or another of [`ClientError`] with the reason, where it cannot.
    pub async fn health(&self, endpoint: &str) -> Result<Health, ClientError> {
        wire::report(&self.ask_one(endpoint, "/health").await?)
    }

    /// Asks one endpoint alone and once, over a connection of its own.
    async fn ask_one(&self, endpoint: &str, target: &str) -> Result<Answer, ClientError> {
        let endpoint = Endpoint::parse(endpoint)?;
        if self.shared.endpoints.position(&endpoint.address).is_none() {
            let detail = format!("{} is not one of the client's endpoints", endpoint.address);
            return Err(ClientError::InvalidInput(detail));
        }
        call::ask_once(&endpoint, &Ask::report(target), self.timeout).await
    }

    async fn read(&self, target: String, timed: Timed) -> Result<Answer, ClientError> {
        let mut journey = Journey::new(&self.shared.endpoints, self.timeout);
        let ask = Ask { timed, ..Ask::report(&target) };
        let arrival = self.shared.endpoints.call(&ask, &mut journey).await?;
        self.look_for_leader();
        answer_of(arrival)
    }

    async fn write(
        &self,
        method: Method,
        target: String,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let endpoints = &self.shared.endpoints;
        let mut journey = Journey::new(endpoints, self.timeout);
        for _ in 0..SESSIONS_PER_WRITE {
            let ticket = self.shared.session.begin(|name| self.open_session(name, journey.fresh())).await?;
            let ask = Ask {
                method: method.clone(),
                target: target.clone(),
                content_type: Some(content_type),
                body: body.clone(),
                timed: Timed::Minute,
                once: Some(Once::Ticket(&ticket)),
            };
            match endpoints.call(&ask, &mut journey).await? {
                Arrival::Answer(answer) => {
                    self.look_for_leader();
                    return Ok(answer);
                }
                Arrival::SessionExpired => self.shared.session.forget(&ticket),
            }
        }
        Err(ClientError::Problem {
            code: "conflict".to_owned(),
            status: 409,
            detail: "the cluster forgets this client's session as soon as it is opened".to_owned(),
        })
    }

    async fn open_session(&self, name: String, mut journey: Journey) -> Result<(), ClientError> {
        let ask = Ask {
            method: Method::POST,
            target: "/api/session".to_owned(),
            content_type: Some(JSON),
            body: wire::session_body(&name),
            timed: Timed::Minute,
            once: None,
        };
        self.shared.endpoints.call(&ask, &mut journey).await.map(|_| ())
    }

    /// Finds out in the background who leads, once in a while, and prefers him if he is an endpoint.
    fn look_for_leader(&self) {
        if self.shared.endpoints.all().len() < 2 {
            return;
        }
        let now = Instant::now();
        {
            let mut look_at = self.shared.look_at.lock();
            if now < *look_at {
                return;
            }
            *look_at = now + LOOK_FOR_LEADER;
        }
        let client = self.with_timeout(LOOK_FOR_LEADER);
        tokio::spawn(async move {
            let endpoints = &client.shared.endpoints;
            let mut journey = Journey::new(endpoints, client.timeout);
            let Ok(arrival) = endpoints.call(&Ask::report("/api/status"), &mut journey).await else { return };
            let status = answer_of(arrival).and_then(|answer| wire::report::<Status>(&answer));
            let Ok(status) = status else { return };
            if status.leader_id.is_some() && !status.members.is_empty() {
                endpoints.learn(status.members.iter().map(|member| member.address.as_str()));
            }
            let leader = status.leader_address;
            if let Some(position) = leader.and_then(|address| endpoints.position(&address)) {
                endpoints.prefer(position);
            }
        });
    }
}

/// A call without a ticket has no session that could expire.
fn answer_of(arrival: Arrival) -> Result<Answer, ClientError> {
    match arrival {
        Arrival::Answer(answer) => Ok(answer),
        Arrival::SessionExpired => {
            Err(ClientError::Unknown { detail: "no session was part of it".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests;
