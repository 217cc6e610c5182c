//! The client for programs without an async runtime: each call blocks the thread that makes it.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    ClientConfig, ClientError, Consistency, Deleted, Explanation, Health, Item, ListOptions, NodeView, Page,
    Status, Written,
};

/// A blocking [`Client`](super::Client), which any number of threads may use at a time.
#[derive(Debug)]
pub struct Client {
    client: super::Client,
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
}

impl Client {
    /// Makes a client. Nothing is dialled yet.
    ///
    /// # Errors
    /// As [`Client::new`](super::Client::new), and `System` where the operating system does not give what it
    /// takes to wait for sockets.
    pub fn new(config: ClientConfig) -> Result<Client, ClientError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::System(format!("cannot wait for sockets: {error}")))?;
        Ok(Client { client: super::Client::new(config)?, runtime: Some(runtime) })
    }

    fn wait<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let misused = || {
            ClientError::InvalidInput(
                "the blocking client would stop the async runtime it is called from: use the async one there"
                    .to_owned(),
            )
        };
        if Handle::try_current().is_ok() {
            return Err(misused());
        }
        self.runtime.as_ref().ok_or_else(misused)?.block_on(call)
    }

    /// The async client behind this one, for its settings.
    #[must_use]
    pub fn inner(&self) -> &super::Client {
        &self.client
    }

    /// Changes how long calls from now on may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.client = self.client.with_timeout(timeout);
    }

    /// Changes how fresh reads from now on are.
    pub fn set_consistency(&mut self, consistency: Consistency) {
        self.client = self.client.with_consistency(consistency);
    }

    /// See [`Client::set`](super::Client::set).
    ///
    /// # Errors
    /// As there.
    pub fn set(&self, key: &str, json: &str) -> Result<Written, ClientError> {
        self.wait(self.client.set(key, json))
    }

    /// See [`Client::set_bytes`](super::Client::set_bytes).
    ///
    /// # Errors
    /// As there.
    pub fn set_bytes(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, ClientError> {
        self.wait(self.client.set_bytes(key, value))
    }

    /// See [`Client::delete`](super::Client::delete).
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, key: &str) -> Result<Deleted, ClientError> {
        self.wait(self.client.delete(key))
    }

    /// See [`Client::get`](super::Client::get).
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, key: &str) -> Result<Option<Item>, ClientError> {
        self.wait(self.client.get(key))
    }

    /// See [`Client::list`](super::Client::list).
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, options: &ListOptions) -> Result<Page, ClientError> {
        self.wait(self.client.list(options))
    }

    /// See [`Client::keys`](super::Client::keys).
    ///
    /// # Errors
    /// As there.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        self.wait(self.client.keys(prefix))
    }

    /// See [`Client::status`](super::Client::status).
    ///
    /// # Errors
    /// As there.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.wait(self.client.status())
    }

    /// See [`Client::status_of`](super::Client::status_of).
    ///
    /// # Errors
    /// As there.
    pub fn status_of(&self, endpoint: &str) -> Result<Status, ClientError> {
        self.wait(self.client.status_of(endpoint))
    }

    /// See [`Client::status_of_all`](super::Client::status_of_all).
    ///
    /// # Errors
    /// `InvalidInput` when called from within an async runtime.
    pub fn status_of_all(&self) -> Result<Vec<NodeView>, ClientError> {
        self.wait(async { Ok(self.client.status_of_all().await) })
    }

    /// See [`Client::why`](super::Client::why).
    ///
    /// # Errors
    /// As there.
    pub fn why(&self) -> Result<Explanation, ClientError> {
        self.wait(self.client.why())
    }

    /// See [`Client::health`](super::Client::health).
    ///
    /// # Errors
    /// As there.
    pub fn health(&self, endpoint: &str) -> Result<Health, ClientError> {
        self.wait(self.client.health(endpoint))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, which panics where the client is dropped within another runtime.
            runtime.shutdown_background();
        }
    }
}
