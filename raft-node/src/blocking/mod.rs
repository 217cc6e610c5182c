//! A node and a client for programs without an async runtime, and for other languages: each call blocks the
//! thread that makes it, and any number of threads may call at a time.
//!
//! [`Node`] is a node in this process, [`Client`] a connection to nodes elsewhere; what both do is [`Store`].

mod client;
mod node;
mod wait;

use std::time::Duration;

pub use crate::client::{NewMember, Snapshot};
pub use crate::failure::{Failure, FailureCode};
pub use crate::node::{Consistency, Deleted, Item, Value, Written};
pub use client::Client;
pub use node::Node;

/// How to carry one call out.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// How long it may take in all, up to a day; none for the default of the node or client.
    pub timeout: Option<Duration>,
    /// How fresh a read has to be; none for the default of the node (linearizable) or client.
    pub consistency: Option<Consistency>,
    /// Asked some twenty times a second, on the thread that calls, whether to give up: then the call fails
    /// with [`FailureCode::Interrupted`], and a write may have happened or may yet.
    pub interrupted: Option<&'a dyn Fn() -> bool>,
}

/// The longest a call waits, whatever it asks for: its end has to be a time that clocks can tell.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Call<'_> {
    /// How long the call may take; `default` where it does not say.
    fn time(&self, default: Duration) -> Result<Duration, Failure> {
        match self.timeout {
            Some(Duration::ZERO) => {
                Err(Failure::bad_request("the timeout is zero: nothing can be done in no time"))
            }
            timeout => Ok(timeout.unwrap_or(default).min(LONGEST)),
        }
    }
}

/// What can be done with the replicated store, through a node or a client.
pub trait Store {
    /// Sets a key, and waits until that is on the disks of a majority and applied. A write that is sent
    /// again because its answer was lost happens once.
    ///
    /// # Errors
    /// See [`FailureCode`]; only where [`Failure::maybe_happened`] says so is it open whether it happened.
    fn set(&self, key: &str, value: Value, call: Call<'_>) -> Result<Written, Failure>;

    /// Reads a key; none where it is not set.
    ///
    /// # Errors
    /// See [`FailureCode`].
    fn get(&self, key: &str, call: Call<'_>) -> Result<Option<Item>, Failure>;

    /// Deletes a key.
    ///
    /// # Errors
    /// As [`Store::set`].
    fn delete(&self, key: &str, call: Call<'_>) -> Result<Deleted, Failure>;

    /// All keys that start with `prefix`, in the order of their bytes. Long lists are read in pages, between
    /// which the store may change.
    ///
    /// # Errors
    /// See [`FailureCode`].
    fn keys(&self, prefix: &str, call: Call<'_>) -> Result<Vec<String>, Failure>;

    /// The JSON document of `GET /api/status`: the node's own, or that of whichever endpoint answers first.
    ///
    /// # Errors
    /// See [`FailureCode`].
    fn status(&self, call: Call<'_>) -> Result<String, Failure>;

    /// The JSON document of `GET /api/why`, likewise.
    ///
    /// # Errors
    /// See [`FailureCode`].
    fn explain(&self, call: Call<'_>) -> Result<String, Failure>;
}

/// What an operator can have done with the cluster, through a node or a client.
pub trait Administration {
    /// Has leadership handed over: to the voter that is named, or to the one that has most of the log. Gives
    /// the id of whoever leads then.
    ///
    /// # Errors
    /// See [`FailureCode`]; `Conflict` where the leader goes on leading, and why.
    fn transfer(&self, to: Option<&str>, call: Call<'_>) -> Result<String, Failure>;

    /// The JSON document of `GET /api/members`: the node's own, or that of whichever endpoint answers first.
    ///
    /// # Errors
    /// See [`FailureCode`].
    fn members(&self, call: Call<'_>) -> Result<String, Failure>;

    /// Has a server added, and waits until it has caught up and votes, or as a learner is a member. Gives the
    /// log index of the configuration. Asked for again, what is under way is waited for.
    ///
    /// # Errors
    /// See [`FailureCode`]; `Conflict` where the leader does not do it, and why.
    fn add_member(&self, member: &NewMember, call: Call<'_>) -> Result<u64, Failure>;

    /// Has a learner made a voter, once it has caught up.
    ///
    /// # Errors
    /// As [`Administration::add_member`].
    fn promote_member(&self, node_id: &str, call: Call<'_>) -> Result<u64, Failure>;

    /// Gives a member a priority: among those that could lead, the highest does.
    ///
    /// # Errors
    /// As [`Administration::add_member`].
    fn set_priority(&self, node_id: &str, priority: u8, call: Call<'_>) -> Result<u64, Failure>;

    /// Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more.
    ///
    /// # Errors
    /// See [`FailureCode`]; `Conflict` where the leader cannot write one, and why.
    fn snapshot(&self, call: Call<'_>) -> Result<Snapshot, Failure>;

    /// Has a member removed; with `force` also where a majority of those who stay cannot be reached.
    ///
    /// # Errors
    /// As [`Administration::add_member`].
    fn remove_member(&self, node_id: &str, force: bool, call: Call<'_>) -> Result<u64, Failure>;
}

#[cfg(test)]
mod tests;
