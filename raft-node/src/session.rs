//! The session that makes each write of a client, or of a program with a node in it, happen once, however
//! often it is sent (dissertation §6.3).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;

/// The operating system gives no random numbers to name a session by.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub(crate) struct NoRandomNumbers(getrandom::Error);

/// A client's session: opened at the first write, and anew when the cluster has forgotten it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    numbers: Mutex<Option<Arc<Numbers>>>,
    /// Held while a session is being opened, so that writes that begin together open one.
    opening: tokio::sync::Mutex<()>,
}

/// The numbers given out in one session.
#[derive(Debug)]
struct Numbers {
    client: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: u64,
    /// Given out, and not done with.
    open: BTreeSet<u64>,
}

/// The number of one write. Dropping it says that the write will not be sent again.
#[derive(Debug)]
pub(crate) struct Ticket {
    numbers: Arc<Numbers>,
    number: u64,
}

impl Session {
    /// A number for a new write. `open` tells the cluster of a new session by its name.
    pub(crate) async fn begin<F, E>(&self, open: impl FnOnce(String) -> F) -> Result<Ticket, E>
    where
        F: Future<Output = Result<(), E>>,
        E: From<NoRandomNumbers>,
    {
        if let Some(ticket) = self.next() {
            return Ok(ticket);
        }
        let _opening = self.opening.lock().await;
        if let Some(ticket) = self.next() {
            return Ok(ticket);
        }
        let client = random_name()?;
        open(client.clone()).await?;
        let state = Mutex::new(State { last: 0, open: BTreeSet::new() });
        let numbers = Arc::new(Numbers { client, state });
        *self.numbers.lock() = Some(Arc::clone(&numbers));
        Ok(numbers.next())
    }

    fn next(&self) -> Option<Ticket> {
        self.numbers.lock().as_ref().map(Numbers::next)
    }

    /// The cluster does not know the session of this ticket: the next write opens another.
    pub(crate) fn forget(&self, ticket: &Ticket) {
        let mut current = self.numbers.lock();
        if current.as_ref().is_some_and(|numbers| Arc::ptr_eq(numbers, &ticket.numbers)) {
            *current = None;
        }
    }
}

impl Numbers {
    fn next(self: &Arc<Self>) -> Ticket {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        state.open.insert(number);
        Ticket { numbers: Arc::clone(self), number }
    }
}

impl Ticket {
    /// The session's name.
    pub(crate) fn client(&self) -> &str {
        &self.numbers.client
    }

    /// The write's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// All writes below this number are done with.
    pub(crate) fn answered_below(&self) -> u64 {
        self.numbers.state.lock().open.first().copied().unwrap_or(self.number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.numbers.state.lock().open.remove(&self.number);
    }
}

pub(crate) fn random_name() -> Result<String, NoRandomNumbers> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(NoRandomNumbers)?;
    let mut name = String::with_capacity(32);
    for byte in bytes {
        // Writing into a String has no way to fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientError;

    async fn begin(session: &Session) -> Ticket {
        session.begin(async |_| Ok::<(), ClientError>(())).await.unwrap()
    }

    #[tokio::test]
    async fn answered_below_is_the_lowest_write_under_way() {
        let session = Session::default();
        let (one, two) = (begin(&session).await, begin(&session).await);
        assert_eq!((one.number(), two.number()), (1, 2));
        assert_eq!((one.answered_below(), two.answered_below()), (1, 1));
        drop(one);
        assert_eq!(two.answered_below(), 2);
        let three = begin(&session).await;
        assert_eq!((three.number(), three.answered_below()), (3, 2));
        drop(two);
        assert_eq!(three.answered_below(), 3);
    }

    #[tokio::test]
    async fn writes_that_begin_together_open_one_session() {
        let session = Session::default();
        let opened = Mutex::new(Vec::new());
        let write = async || {
            session
                .begin(async |name| {
                    opened.lock().push(name);
                    tokio::task::yield_now().await;
                    Ok::<(), ClientError>(())
                })
                .await
                .unwrap()
        };
        let (one, two) = tokio::join!(write(), write());
        assert_eq!(opened.lock().len(), 1);
        assert_eq!(one.client(), two.client());
        assert_eq!(one.number() + two.number(), 3);
        assert_eq!(one.client().len(), 32);
    }

    #[tokio::test]
    async fn only_the_session_in_use_is_forgotten() {
        let session = Session::default();
        let old = begin(&session).await;
        session.forget(&old);
        let new = begin(&session).await;
        assert_ne!(old.client(), new.client());
        assert_eq!(new.number(), 1);
        session.forget(&old);
        assert_eq!(begin(&session).await.client(), new.client());
    }

    #[tokio::test]
    async fn a_session_that_could_not_be_opened_is_tried_again() {
        let session = Session::default();
        let no_leader = || ClientError::NoLeader { detail: "x".into() };
        let refused = session.begin(async |_| Err(no_leader())).await;
        assert_eq!(refused.map(|_| ()), Err(no_leader()));
        assert_eq!(begin(&session).await.number(), 1);
    }
}
