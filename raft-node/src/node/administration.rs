//! What an operator has done with the cluster, through any of its nodes.

use std::time::Duration;

use raft_core::replica::{Administered, Refused, Reply, Task};
use raft_core::types::{LogIndex, NodeId};

use super::{Answer, Change, Input, Node, Snapshot, Transferred, misfit, refusal};
use crate::error::RequestError;

impl Node {
    /// Has leadership handed over (dissertation §3.10): to the voter that is named, or else to the one that
    /// has most of the log. Answers once another leader is known; at once where the one that is named leads
    /// already.
    ///
    /// # Errors
    /// See [`RequestError`]: `Declined` where the leader goes on leading, with the reason, or where another
    /// was elected; only `TaskUnknown` leaves open what became of it.
    pub async fn transfer(
        &self,
        to: Option<NodeId>,
        timeout: Option<Duration>,
    ) -> Result<Transferred, RequestError> {
        match self.administer(Task::Transfer { to }, timeout).await? {
            Administered::Transferred { leader, term } => Ok(Transferred { leader_id: leader, term }),
            other => Err(misfit(other)),
        }
    }

    /// Has the members changed (paper §6). Answers once the change is committed and nothing of it is still to
    /// come: a server that is added to vote votes by then. Gives the log index of the configuration that is
    /// in force. Asked for again, a change that is under way is waited for.
    ///
    /// # Errors
    /// See [`RequestError`]: `Declined` where the leader does not begin it, or another change took it back;
    /// only `TaskUnknown` leaves open what became of it, and it may go on.
    pub async fn change_members(
        &self,
        change: Change,
        timeout: Option<Duration>,
    ) -> Result<LogIndex, RequestError> {
        match self.administer(Task::Change(change), timeout).await? {
            Administered::Changed { index } => Ok(index),
            other => Err(misfit(other)),
        }
    }

    /// Has a snapshot taken now (paper §7), on all nodes, of all that was acknowledged before this call and
    /// maybe more. Answers once the leader's own is on its disk.
    ///
    /// # Errors
    /// See [`RequestError`]: `Declined` where the leader cannot write one, or the state machine takes none;
    /// only `TaskUnknown` leaves open what became of it.
    pub async fn snapshot(&self, timeout: Option<Duration>) -> Result<Snapshot, RequestError> {
        match self.administer(Task::Snapshot, timeout).await? {
            Administered::SnapshotTaken { index, bytes, took } => Ok(Snapshot { index, bytes, took }),
            other => Err(misfit(other)),
        }
    }

    async fn administer(&self, task: Task, timeout: Option<Duration>) -> Result<Administered, RequestError> {
        let deadline = self.deadline(timeout);
        let answer = self.ask(|respond| Input::Administer { task, deadline, respond }).await?;
        match answer.ok_or(RequestError::TaskUnknown)? {
            Answer { reply: Reply::Administered(done), .. } => Ok(done),
            Answer { reply: Reply::Declined(why), .. } => Err(RequestError::Declined(why)),
            Answer { reply: Reply::Refused(Refused::Unknown), .. } => Err(RequestError::TaskUnknown),
            answer @ Answer { reply: Reply::Refused(_), .. } => Err(refusal(answer)),
            answer => Err(misfit(answer.reply)),
        }
    }
}
