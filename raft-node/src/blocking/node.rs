//! The blocking node.

use std::future::Future;
use std::thread;
use std::time::Duration;

use raft_core::types::NodeId;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::wait::{AtHome, Waiter};
use super::{
    Administration, Call, Deleted, Failure, FailureCode, Item, LONGEST, NewMember, Snapshot, Store, Value,
    Written,
};
use crate::config::{Config, split_address};
use crate::error::{RequestError, StartError};
use crate::node::{
    self, Change, ClientId, Key, ListRequest, ReadOptions, Sequence, SessionStep, WriteOptions,
};
use crate::session::{Session, Ticket};

/// How long after a call's deadline the node may take to say so.
const GRACE: Duration = Duration::from_secs(1);
/// How often a write is begun anew because the cluster did not know its session.
const SESSIONS_PER_WRITE: usize = 3;
/// Keys in one page of a listing.
const PAGE: u32 = 10_000;
/// How long a stop may take: the node's own bound, and what its threads need to end.
const STOP: Duration = Duration::from_secs(10);

/// A blocking [`node::Node`]. Its writes are numbered in a session, so that each happens once though the
/// leader may change meanwhile. Dropping it stops the node.
#[derive(Debug)]
pub struct Node {
    node: AtHome<node::Node>,
    session: AtHome<Session>,
    waiter: Waiter,
}

impl Node {
    /// Starts a node on threads of its own. It need not have a leader yet.
    ///
    /// # Errors
    /// `Config`, `Listen`, `DataDirectory`, `Damaged` or `System`: nothing is left running.
    pub fn start(config: Config) -> Result<Node, Failure> {
        let waiter = Waiter::new(false)?;
        Ok(Node::of(node::Node::start(config)?, waiter))
    }

    /// Likewise, and gives up when the call says so: reading a long log may take a while. Without a timeout
    /// in the call it may take up to a day.
    ///
    /// # Errors
    /// As [`Node::start`]; with `Timeout` and `Interrupted` a node that starts after all is stopped at once.
    pub fn start_by(config: Config, call: Call<'_>) -> Result<Node, Failure> {
        Node::start_with(move || node::Node::start(config), call)
    }

    /// Likewise, by a start of the caller's.
    pub(super) fn start_with(
        start: impl FnOnce() -> Result<node::Node, StartError> + Send + 'static,
        call: Call<'_>,
    ) -> Result<Node, Failure> {
        let deadline = Instant::now() + call.time(LONGEST)?;
        let waiter = Waiter::new(false)?;
        let (tell, started) = oneshot::channel();
        let work = move || {
            if let Err(Ok(unwanted)) = tell.send(start()) {
                unwanted.begin_stop();
            }
        };
        let thread = thread::Builder::new().name("raft-start".into()).spawn(work);
        thread.map_err(|error| Failure::new(FailureCode::System, format!("cannot start: {error}")))?;
        let node = waiter.wait(call, async {
            let detail = "the node was still reading its log when the time was up, and is not started";
            let late = |_| Failure::new(FailureCode::Timeout, detail);
            let ended = |_| Failure::new(FailureCode::Failed, "the start ended without a result");
            Ok(timeout_at(deadline, started).await.map_err(late)?.map_err(ended)??)
        })?;
        Ok(Node::of(node, waiter))
    }

    fn of(node: node::Node, waiter: Waiter) -> Node {
        Node { node: AtHome::new(node), session: AtHome::new(Session::default()), waiter }
    }

    /// The async node behind this one.
    #[must_use]
    pub fn inner(&self) -> &node::Node {
        &self.node
    }

    /// Hands leadership over if this node leads, stops it, and waits until its threads have ended. A node
    /// that has stopped stays stopped; stopping it again does nothing.
    ///
    /// # Errors
    /// `Timeout` where its threads do not end within 10 seconds (a disk that hangs), and `Interrupted`.
    pub fn stop(&self, call: Call<'_>) -> Result<(), Failure> {
        let deadline = Instant::now() + call.time(STOP)?;
        self.waiter.wait(call, async {
            let late = |_| {
                let detail = "the node was told to stop and has not yet: its disk may hang";
                Failure::new(FailureCode::Timeout, detail)
            };
            timeout_at(deadline, self.node.stop()).await.map_err(late)?;
            timeout_at(deadline, self.node.ended()).await.map_err(late)
        })
    }

    /// A node's calls end by themselves at their deadline; this one does so whatever happens to the node.
    async fn by<T>(
        deadline: Instant,
        late: FailureCode,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, Failure> {
        match timeout_at(deadline + GRACE, work).await {
            Ok(done) => done.map_err(Failure::from),
            Err(_) => Err(Failure::new(late, "the node did not answer in time")),
        }
    }

    fn deadline(&self, call: Call<'_>) -> Result<Instant, Failure> {
        Ok(Instant::now() + call.time(self.node.config().request_timeout)?)
    }

    fn read_options(call: Call<'_>, deadline: Instant) -> ReadOptions {
        ReadOptions { consistency: call.consistency.unwrap_or_default(), timeout: Some(left(deadline)) }
    }

    async fn ticket(&self, deadline: Instant) -> Result<Ticket, Failure> {
        let open = async |name: String| {
            let client = client_id(&name)?;
            // No write was begun yet: whatever becomes of the session, it has no effect on the store.
            let opened = self.node.open_session(client, Some(left(deadline))).await;
            opened.map_err(|error| match error {
                RequestError::Unknown => Failure::new(FailureCode::Timeout, NO_SESSION),
                error => Failure::from(error),
            })
        };
        timeout_at(deadline + GRACE, self.session.begin(open))
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureCode::Timeout, NO_SESSION)))
    }

    /// Carries a write out under a number of its own.
    async fn write<T, F>(&self, call: Call<'_>, attempt: impl Fn(WriteOptions) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        let deadline = self.deadline(call)?;
        for _ in 0..SESSIONS_PER_WRITE {
            let ticket = self.ticket(deadline).await?;
            let sequence =
                Sequence::Number { number: ticket.number(), answered_below: ticket.answered_below() };
            let session = Some(SessionStep { client: client_id(ticket.client())?, sequence });
            let work = attempt(WriteOptions { session, timeout: Some(left(deadline)) });
            let work = async { Ok(work.await) };
            match Self::by(deadline, FailureCode::OutcomeUnknown, work).await? {
                Err(RequestError::SessionExpired) => self.session.forget(&ticket),
                done => return done.map_err(Failure::from),
            }
        }
        let detail = "the cluster forgets this node's session as soon as it is opened";
        Err(Failure::new(FailureCode::Conflict, detail))
    }
}

const NO_SESSION: &str = "no answer in time: the write was not begun";

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn client_id(name: &str) -> Result<ClientId, Failure> {
    ClientId::new(name.as_bytes()).map_err(|error| Failure::bad_request(error.to_string()))
}

fn key(text: &str) -> Result<Key, Failure> {
    Key::new(text).map_err(|error| Failure::bad_request(error.to_string()))
}

fn node_id(text: &str) -> Result<NodeId, Failure> {
    NodeId::new(text).map_err(|error| Failure::bad_request(error.to_string()))
}

fn document(report: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(report).map_err(|error| Failure::new(FailureCode::Failed, error.to_string()))
}

impl Store for Node {
    fn set(&self, text: &str, value: Value, call: Call<'_>) -> Result<Written, Failure> {
        let key = key(text)?;
        let set = |options| self.node.set(key.clone(), value.clone(), options);
        self.waiter.wait(call, self.write(call, set))
    }

    fn get(&self, text: &str, call: Call<'_>) -> Result<Option<Item>, Failure> {
        let (key, deadline) = (key(text)?, self.deadline(call)?);
        let get = self.node.get(key, Self::read_options(call, deadline));
        self.waiter.wait(call, Self::by(deadline, FailureCode::Timeout, get))
    }

    fn delete(&self, text: &str, call: Call<'_>) -> Result<Deleted, Failure> {
        let key = key(text)?;
        let delete = |options| self.node.delete(key.clone(), options);
        self.waiter.wait(call, self.write(call, delete))
    }

    fn keys(&self, prefix: &str, call: Call<'_>) -> Result<Vec<String>, Failure> {
        let deadline = self.deadline(call)?;
        self.waiter.wait(call, async {
            let (mut keys, mut after) = (Vec::new(), None);
            loop {
                let request = ListRequest { prefix: prefix.to_owned(), after, limit: PAGE, values: false };
                let list = self.node.list(request, Self::read_options(call, deadline));
                let page = Self::by(deadline, FailureCode::Timeout, list).await?;
                keys.extend(page.entries.into_iter().map(|(key, _)| String::from(key)));
                if !page.more {
                    return Ok(keys);
                }
                after = keys.last().cloned();
            }
        })
    }

    fn status(&self, call: Call<'_>) -> Result<String, Failure> {
        let deadline = self.deadline(call)?;
        let status = async { Ok(self.node.status().await) };
        document(&self.waiter.wait(call, Self::by(deadline, FailureCode::Timeout, status))?)
    }

    fn explain(&self, call: Call<'_>) -> Result<String, Failure> {
        let deadline = self.deadline(call)?;
        let explain = async { Ok(self.node.explain().await) };
        document(&self.waiter.wait(call, Self::by(deadline, FailureCode::Timeout, explain))?)
    }
}

impl Node {
    fn change_members(&self, change: Change, call: Call<'_>) -> Result<u64, Failure> {
        let deadline = self.deadline(call)?;
        let changed = self.node.change_members(change, Some(left(deadline)));
        let index = self.waiter.wait(call, Self::by(deadline, FailureCode::OutcomeUnknown, changed))?;
        Ok(index.0)
    }
}

impl Administration for Node {
    fn transfer(&self, to: Option<&str>, call: Call<'_>) -> Result<String, Failure> {
        let (to, deadline) = (to.map(node_id).transpose()?, self.deadline(call)?);
        let transfer = self.node.transfer(to, Some(left(deadline)));
        let done = self.waiter.wait(call, Self::by(deadline, FailureCode::OutcomeUnknown, transfer))?;
        Ok(done.leader_id.to_string())
    }

    fn members(&self, _: Call<'_>) -> Result<String, Failure> {
        document(&self.node.members())
    }

    fn add_member(&self, member: &NewMember, call: Call<'_>) -> Result<u64, Failure> {
        let (id, address) = (node_id(&member.node_id)?, member.address.clone());
        split_address(&address).map_err(|error| Failure::bad_request(format!("field `address`: {error}")))?;
        let (learner_only, priority) = (member.learner, member.priority.unwrap_or_default());
        let change = match &member.replaces {
            None => Change::Add { id, address, learner_only, priority },
            Some(old) => Change::Replace { old: node_id(old)?, new: id, address },
        };
        self.change_members(change, call)
    }

    fn set_priority(&self, id: &str, priority: u8, call: Call<'_>) -> Result<u64, Failure> {
        self.change_members(Change::SetPriority { id: node_id(id)?, priority }, call)
    }

    fn snapshot(&self, call: Call<'_>) -> Result<Snapshot, Failure> {
        let deadline = self.deadline(call)?;
        let snapshot = self.node.snapshot(Some(left(deadline)));
        let taken = self.waiter.wait(call, Self::by(deadline, FailureCode::OutcomeUnknown, snapshot))?;
        Ok(Snapshot { index: taken.index.0, bytes: taken.bytes, took_ms: taken.took_ms() })
    }

    fn promote_member(&self, id: &str, call: Call<'_>) -> Result<u64, Failure> {
        self.change_members(Change::Promote { id: node_id(id)? }, call)
    }

    fn remove_member(&self, id: &str, force: bool, call: Call<'_>) -> Result<u64, Failure> {
        self.change_members(Change::Remove { id: node_id(id)?, force }, call)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.waiter.is_at_home() {
            // Whether it could be waited for or not, the node has been told to stop.
            self.node.begin_stop();
            let _ = self.stop(Call::default());
        }
    }
}
