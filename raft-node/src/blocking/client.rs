//! The blocking client.

use super::wait::{AtHome, Waiter};
use super::{Administration, Call, Deleted, Failure, Item, NewMember, Snapshot, Store, Value, Written};
use crate::client::{self, ClientConfig};

/// A blocking [`client::Client`].
#[derive(Debug)]
pub struct Client {
    client: AtHome<client::Client>,
    waiter: Waiter,
}

impl Client {
    /// Makes a client. Nothing is dialled yet.
    ///
    /// # Errors
    /// `BadRequest` where there is no endpoint, one is not `HOST:PORT`, or the timeout is zero.
    pub fn new(config: ClientConfig) -> Result<Client, Failure> {
        Ok(Client { client: AtHome::new(client::Client::new(config)?), waiter: Waiter::new(true)? })
    }

    /// The async client behind this one.
    #[must_use]
    pub fn inner(&self) -> &client::Client {
        &self.client
    }

    /// Waits for anything the async client does, set as the call says.
    ///
    /// # Errors
    /// As the async client, and see [`Call::interrupted`].
    pub fn wait<T>(
        &self,
        call: Call<'_>,
        work: impl AsyncFnOnce(client::Client) -> Result<T, client::ClientError>,
    ) -> Result<T, Failure> {
        let mut client = self.client.with_timeout(call.time(self.client.timeout())?);
        if let Some(consistency) = call.consistency {
            client = client.with_consistency(consistency);
        }
        self.waiter.wait(call, async { work(client).await.map_err(Failure::from) })
    }
}

impl Store for Client {
    fn set(&self, key: &str, value: Value, call: Call<'_>) -> Result<Written, Failure> {
        self.wait(call, async |client| client.set_value(key, value).await)
    }

    fn get(&self, key: &str, call: Call<'_>) -> Result<Option<Item>, Failure> {
        self.wait(call, async |client| client.get(key).await)
    }

    fn delete(&self, key: &str, call: Call<'_>) -> Result<Deleted, Failure> {
        self.wait(call, async |client| client.delete(key).await)
    }

    fn keys(&self, prefix: &str, call: Call<'_>) -> Result<Vec<String>, Failure> {
        self.wait(call, async |client| client.keys(prefix).await)
    }

    fn status(&self, call: Call<'_>) -> Result<String, Failure> {
        self.wait(call, async |client| client.document("/api/status").await)
    }

    fn explain(&self, call: Call<'_>) -> Result<String, Failure> {
        self.wait(call, async |client| client.document("/api/why").await)
    }
}

impl Administration for Client {
    fn transfer(&self, to: Option<&str>, call: Call<'_>) -> Result<String, Failure> {
        self.wait(call, async |client| Ok(client.transfer(to).await?.leader_id))
    }

    fn members(&self, call: Call<'_>) -> Result<String, Failure> {
        self.wait(call, async |client| client.document("/api/members").await)
    }

    fn add_member(&self, member: &NewMember, call: Call<'_>) -> Result<u64, Failure> {
        self.wait(call, async |client| Ok(client.add_member(member).await?.configuration_index))
    }

    fn promote_member(&self, node_id: &str, call: Call<'_>) -> Result<u64, Failure> {
        self.wait(call, async |client| Ok(client.promote_member(node_id).await?.configuration_index))
    }

    fn set_priority(&self, node_id: &str, priority: u8, call: Call<'_>) -> Result<u64, Failure> {
        self.wait(call, async |client| Ok(client.set_priority(node_id, priority).await?.configuration_index))
    }

    fn snapshot(&self, call: Call<'_>) -> Result<Snapshot, Failure> {
        self.wait(call, async |client| client.snapshot().await)
    }

    fn remove_member(&self, node_id: &str, force: bool, call: Call<'_>) -> Result<u64, Failure> {
        self.wait(call, async |client| Ok(client.remove_member(node_id, force).await?.configuration_index))
    }
}
