//! The handle to a running node: the one thing that HTTP, Python, C and the shell all open.

mod administration;
mod api;
mod driver;
mod explain;
mod join;
mod members;
mod pace;
mod portion;
mod snapshots;
mod start;
mod status;
#[cfg(test)]
mod tests;

pub use api::*;
pub(crate) use members::Addresses;
pub(crate) use pace::Pace;
pub use snapshots::Backup;
pub(crate) use snapshots::SnapshotSource;
pub(crate) use start::listen;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use raft_core::entry::{Command, Entry};
use raft_core::kv;
use raft_core::message::{AppendEntries, AppendResult, Message, RequestVote, VoteReply};
use raft_core::replica::{Call, CallReply, CommandResult, Outcome, Refused, Reply, Task};
use raft_core::types::{EntryId, Incarnation, LogIndex, NodeId, Time};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Config;
use crate::error::{RequestError, StartError};
use crate::record::{Archive, Recording, RecordingError};

/// Requests and messages waiting for the replica at most; past that, clients are told so at once.
const INBOX: usize = 16_384;

/// How long a node that stops waits for its leadership to be taken over and its clients to be answered.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long whoever waits for the end of a failed node is kept waiting for its recording to be saved.
const SAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running node. Cheap to clone; all clones are the same node.
#[derive(Clone, Debug)]
pub struct Node {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    inbox: mpsc::Sender<Input>,
    /// The origin of the replica's time.
    origin: Instant,
    life: watch::Receiver<Life>,
    /// Set by [`Node::stop`], for a node whose replica no longer listens.
    let_go: watch::Sender<bool>,
    /// Its sender is gone when the node's thread has nothing left to do but to end.
    ended: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Who belongs to the cluster, as the driver last saw it.
    members: watch::Sender<Members>,
    /// None where nothing is recorded.
    archive: Option<Archive>,
    snapshots: snapshots::Kept,
    /// How long the replica's thread is kept busy.
    pace: Pace,
    /// Holds true once a failed node has saved its recording, or has none to save.
    saved: watch::Sender<bool>,
}

/// Whether a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// It cannot go on, and says so to everybody who asks.
    Failed(String),
    Stopped,
}

/// What the replica's thread is given.
#[derive(Debug)]
pub(crate) enum Input {
    Propose {
        command: Command,
        deadline: Time,
        respond: oneshot::Sender<Answer>,
    },
    Query {
        query: Bytes,
        deadline: Time,
        consistency: Consistency,
        respond: oneshot::Sender<Answer>,
    },
    Administer {
        task: Task,
        deadline: Time,
        respond: oneshot::Sender<Answer>,
    },
    Call {
        from: NodeId,
        call: Call,
        respond: oneshot::Sender<CallReply>,
    },
    Status {
        respond: oneshot::Sender<Status>,
    },
    Explain {
        respond: oneshot::Sender<Explanation>,
    },
    /// The entry before the log's first, and the oldest snapshot that it goes on from.
    Beginning {
        respond: oneshot::Sender<(EntryId, Option<EntryId>)>,
    },
    /// The log's entries from `first` on, not beyond `last`: some of them, and none where there are none.
    Entries {
        first: LogIndex,
        last: LogIndex,
        respond: oneshot::Sender<Vec<Entry>>,
    },
    Received {
        from: NodeId,
        incarnation: Incarnation,
        messages: Vec<Message>,
    },
    Connected {
        peer: NodeId,
    },
    Disconnected {
        peer: NodeId,
        process_died: bool,
    },
    Stop,
}

/// The replica's answer to a client; with `NoLeader`, what is in the way.
#[derive(Debug)]
pub(crate) struct Answer {
    reply: Reply,
    obstacle: Option<String>,
}

impl Node {
    /// Binds the port, opens and recovers the data directory, and runs the node on threads of its own.
    ///
    /// # Errors
    /// See [`StartError`]: nothing is left running.
    pub fn start(config: Config) -> Result<Node, StartError> {
        start::start(config)
    }

    /// What it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// How long the replica's thread is kept busy.
    pub(crate) fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    pub(crate) fn inbox(&self) -> mpsc::Sender<Input> {
        self.shared.inbox.clone()
    }

    fn deadline(&self, timeout: Option<Duration>) -> Time {
        let now = driver::elapsed(self.shared.origin);
        now + timeout.unwrap_or(self.shared.config.request_timeout)
    }

    /// Sets a key, through whichever node leads, and waits until that is committed and applied.
    ///
    /// # Errors
    /// See [`RequestError`]; only `Unknown` leaves open whether it happened.
    pub async fn set(&self, key: Key, value: Value, options: WriteOptions) -> Result<Written, RequestError> {
        let (size, limit) = (value.len(), self.shared.config.max_value_bytes);
        if size > limit {
            return Err(RequestError::TooLarge { what: "the value", size, limit });
        }
        let outcome = self.propose(kv::Command::Set { key, value }.encode(), options).await?;
        match answer_of(&outcome)? {
            kv::Answer::Set => Ok(Written { revision: outcome.index }),
            other => Err(misfit(other)),
        }
    }

    /// Deletes a key, likewise.
    ///
    /// # Errors
    /// As [`Node::set`].
    pub async fn delete(&self, key: Key, options: WriteOptions) -> Result<Deleted, RequestError> {
        let outcome = self.propose(kv::Command::Delete { key }.encode(), options).await?;
        match answer_of(&outcome)? {
            kv::Answer::Deleted(deleted) => Ok(Deleted { deleted, revision: outcome.index }),
            other => Err(misfit(other)),
        }
    }

    /// Opens a session for numbered writes. Opening it again does no harm.
    ///
    /// # Errors
    /// As [`Node::set`].
    pub async fn open_session(
        &self,
        client: ClientId,
        timeout: Option<Duration>,
    ) -> Result<(), RequestError> {
        let session = Some(SessionStep { client, sequence: Sequence::Open });
        let outcome = self.propose(Bytes::new(), WriteOptions { session, timeout }).await?;
        match outcome.result {
            CommandResult::SessionOpen => Ok(()),
            _ => answer_of(&outcome).map(|_| ()),
        }
    }

    async fn propose(&self, data: Bytes, options: WriteOptions) -> Result<Outcome, RequestError> {
        let command = Command { session: options.session.map(Box::new), data };
        let deadline = self.deadline(options.timeout);
        let answer = self.ask(|respond| Input::Propose { command, deadline, respond }).await?;
        match answer.ok_or(RequestError::Unknown)? {
            Answer { reply: Reply::Done(outcome), .. } => Ok(outcome),
            answer => Err(refusal(answer)),
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn get(&self, key: Key, options: ReadOptions) -> Result<Option<Item>, RequestError> {
        match self.query(&kv::Query::Get { key }, options).await? {
            kv::QueryAnswer::Item(item) => Ok(item),
            other => Err(misfit(other)),
        }
    }

    /// Lists a part of the store.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn list(&self, request: ListRequest, options: ReadOptions) -> Result<ListPage, RequestError> {
        let ListRequest { prefix, after, limit, values } = request;
        match self.query(&kv::Query::List { prefix, after, limit, values }, options).await? {
            kv::QueryAnswer::Page(page) => Ok(page),
            other => Err(misfit(other)),
        }
    }

    async fn query(&self, query: &kv::Query, options: ReadOptions) -> Result<kv::QueryAnswer, RequestError> {
        let (query, consistency) = (query.encode(), options.consistency);
        let deadline = self.deadline(options.timeout);
        let answer = self.ask(|respond| Input::Query { query, deadline, consistency, respond }).await?;
        match answer.ok_or(RequestError::ReadTimeout)? {
            Answer { reply: Reply::Found(found), .. } => Ok(kv::QueryAnswer::decode(&found)),
            answer => Err(refusal(answer)),
        }
    }

    /// Hands a request to the replica and waits for its answer; none if the replica's thread ended meanwhile.
    async fn ask<T>(
        &self,
        input: impl FnOnce(oneshot::Sender<T>) -> Input,
    ) -> Result<Option<T>, RequestError> {
        let (respond, answer) = oneshot::channel();
        match self.shared.inbox.try_send(input(respond)) {
            Ok(()) => Ok(answer.await.ok()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(RequestError::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.gone()),
        }
    }

    /// Why this node cannot go on, if it cannot.
    pub(crate) fn failure(&self) -> Option<RequestError> {
        let has_failed = matches!(&*self.shared.life.borrow(), Life::Failed(_));
        has_failed.then(|| self.gone())
    }

    /// Returns once the node has failed.
    pub(crate) async fn fails(&self) {
        let mut life = self.shared.life.clone();
        let failed = life.wait_for(|life| matches!(life, Life::Failed(_))).await.is_ok();
        if !failed {
            // It has stopped, and so will whoever waits here.
            std::future::pending::<()>().await;
        }
    }

    fn gone(&self) -> RequestError {
        match &*self.shared.life.borrow() {
            Life::Failed(reason) => RequestError::Failed { reason: reason.clone() },
            Life::Running | Life::Stopped => RequestError::ShuttingDown,
        }
    }

    /// The node's view of itself and its cluster. Answers also when there is no leader, and after a failure.
    pub async fn status(&self) -> Status {
        let (respond, answer) = oneshot::channel();
        // A status is worth waiting for: it is asked for when the node is busy.
        if self.shared.inbox.send(Input::Status { respond }).await.is_ok()
            && let Ok(status) = answer.await
        {
            return status;
        }
        status::of_stopped(&self.shared.config, self.members(), self.shared.origin, &self.gone())
    }

    /// Who belongs to the cluster, by the configuration that is in force here.
    #[must_use]
    pub fn members(&self) -> Members {
        self.shared.members.borrow().clone()
    }

    /// Likewise, and whenever that changes. Ends with the node.
    pub(crate) fn members_seen(&self) -> watch::Receiver<Members> {
        self.shared.members.subscribe()
    }

    /// Why there is no leader, and what would help.
    pub async fn explain(&self) -> Explanation {
        let (respond, answer) = oneshot::channel();
        if self.shared.inbox.send(Input::Explain { respond }).await.is_ok()
            && let Ok(explanation) = answer.await
        {
            return explanation;
        }
        explain::of_stopped(&self.shared.config.node_id, &self.gone())
    }

    /// The documented form of RequestVote: answered by the same core as a peer's.
    ///
    /// # Errors
    /// `NotAMember` for a stranger; `Invalid` for a term that no peer could have reached.
    pub async fn request_vote(&self, from: NodeId, request: RequestVote) -> Result<VoteReply, RequestError> {
        match self.call(from, Call::RequestVote(request)).await? {
            CallReply::Vote(reply) => Ok(reply),
            other => Err(call_refused(other)),
        }
    }

    /// The documented form of AppendEntries.
    ///
    /// # Errors
    /// As [`Node::request_vote`].
    pub async fn append_entries(
        &self,
        from: NodeId,
        request: AppendEntries,
    ) -> Result<AppendOutcome, RequestError> {
        match self.call(from, Call::AppendEntries(request)).await? {
            CallReply::Append { term, result } => Ok(match result {
                AppendResult::Matched { match_index } => AppendOutcome { term, success: true, match_index },
                AppendResult::Conflict { .. } | AppendResult::StaleTerm => {
                    AppendOutcome { term, success: false, match_index: raft_core::types::LogIndex::ZERO }
                }
            }),
            other => Err(call_refused(other)),
        }
    }

    async fn call(&self, from: NodeId, call: Call) -> Result<CallReply, RequestError> {
        let is_member = self.members().members.iter().any(|member| member.node_id == from);
        if from == self.shared.config.node_id || !is_member {
            return Err(RequestError::NotAMember { node_id: from });
        }
        let answer = self.ask(|respond| Input::Call { from, call, respond }).await?;
        answer.ok_or_else(|| self.gone())
    }

    /// Begins to read the flight recorder's recording: all that went into the replica, as far back as
    /// [`Config::record_mib`] reaches, keys and values in it. A failed node has it too.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub async fn recording(&self) -> Result<Recording, RecordingError> {
        self.shared.archive.as_ref().ok_or(RecordingError::Off)?.read(self.clone()).await
    }

    /// Saves the recording in a new file of the data directory, and gives its path.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub async fn save_recording(&self) -> Result<PathBuf, RecordingError> {
        self.shared.archive.as_ref().ok_or(RecordingError::Off)?.save(self.clone(), false).await
    }

    /// Saves the recording of a node that fails, once it does.
    async fn save_failure(self) {
        let mut life = self.shared.life.clone();
        let failed =
            life.wait_for(|life| *life != Life::Running).await.is_ok_and(|life| *life != Life::Stopped);
        if let Some(archive) = self.shared.archive.as_ref().filter(|_| failed) {
            match archive.save(self.clone(), true).await {
                Ok(file) => tracing::error!(
                    file = %file.display(),
                    "saved the recording of what led to the failure: raft-server replay shows it"
                ),
                Err(error) => tracing::error!("the recording of what led to the failure: {error}"),
            }
        }
        self.shared.saved.send_replace(true);
    }

    /// Some entries of the log, from `first` on and not beyond `last`: one at least.
    pub(crate) async fn entries(&self, first: LogIndex, last: LogIndex) -> Result<Vec<Entry>, RequestError> {
        let (respond, answer) = oneshot::channel();
        if self.shared.inbox.send(Input::Entries { first, last, respond }).await.is_ok()
            && let Ok(entries) = answer.await
            && !entries.is_empty()
        {
            return Ok(entries);
        }
        Err(self.gone())
    }

    /// Hands leadership over if this node leads, then stops serving and waits until all is on disk.
    pub async fn stop(&self) {
        self.shared.let_go.send_replace(true);
        let _ = self.shared.inbox.send(Input::Stop).await;
        let mut life = self.shared.life.clone();
        let _ = life.wait_for(|life| *life == Life::Stopped).await;
    }

    /// Tells the node to stop, and does not wait.
    pub(crate) fn begin_stop(&self) {
        self.shared.let_go.send_replace(true);
        if let Err(mpsc::error::TrySendError::Full(stop)) = self.shared.inbox.try_send(Input::Stop) {
            let inbox = self.inbox();
            // Without a thread to wait in, the node goes on until its process ends.
            drop(std::thread::Builder::new().spawn(move || inbox.blocking_send(stop)));
        }
    }

    /// Waits until the node's threads have ended, which they do once it has stopped.
    pub(crate) async fn ended(&self) {
        let mut ended = self.shared.ended.clone();
        while ended.changed().await.is_ok() {}
        let thread = self.shared.thread.lock().take();
        if let Some(thread) = thread {
            // A panic in it has been reported as the node's failure.
            let _ = thread.join();
        }
    }

    /// Waits until the node has stopped, by [`Node::stop`] or by a failure it cannot go on after and whose
    /// recording has been saved.
    ///
    /// # Errors
    /// The failure.
    pub async fn stopped(&self) -> Result<(), RequestError> {
        let mut life = self.shared.life.clone();
        let life = life.wait_for(|life| *life != Life::Running).await.map(|life| life.clone());
        let Ok(Life::Failed(reason)) = life else { return Ok(()) };
        let mut saved = self.shared.saved.subscribe();
        let _ = tokio::time::timeout(SAVE_TIMEOUT, saved.wait_for(|saved| *saved)).await;
        Err(RequestError::Failed { reason })
    }
}

/// The store's answer to a command that was executed.
fn answer_of(outcome: &Outcome) -> Result<kv::Answer, RequestError> {
    match &outcome.result {
        CommandResult::Answer(answer) => Ok(kv::Answer::decode(answer)),
        CommandResult::SessionExpired => Err(RequestError::SessionExpired),
        CommandResult::SequenceReused => Err(RequestError::SequenceReused),
        CommandResult::CommandDiffers | CommandResult::SessionOpen => Err(RequestError::CommandDiffers),
    }
}

fn misfit(answer: impl std::fmt::Debug) -> RequestError {
    RequestError::Failed { reason: format!("the store gave an answer of another kind: {answer:?}") }
}

fn refusal(answer: Answer) -> RequestError {
    let obstacle = answer.obstacle.unwrap_or_default();
    match answer.reply {
        Reply::Refused(Refused::NoLeader) => RequestError::NoLeader { reason: obstacle },
        Reply::Refused(Refused::DiskFull) => RequestError::DiskFull { reason: obstacle },
        Reply::Refused(Refused::Unknown) => RequestError::Unknown,
        Reply::Refused(Refused::ReadTimeout) => RequestError::ReadTimeout,
        Reply::Refused(Refused::Overloaded) => RequestError::Overloaded,
        Reply::Refused(Refused::ShuttingDown) => RequestError::ShuttingDown,
        Reply::Refused(Refused::Failed) => RequestError::Failed { reason: obstacle },
        other => misfit(other),
    }
}

fn call_refused(reply: CallReply) -> RequestError {
    match reply {
        CallReply::Refused { reason } => RequestError::Invalid(reason),
        other => misfit(other),
    }
}
