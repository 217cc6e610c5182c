//! Clients that write all the time, and know what was acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_node::client::{Client, ClientError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::nodes::Node;
use super::story::not_observed;
use super::watching::PATIENCE;
use crate::failure::Failure;

/// What their keys begin with.
pub(super) const PREFIX: &str = "written/";
/// How often each begins a write, whether those before were answered or not.
pub(super) const EVERY: Duration = Duration::from_millis(5);
/// How long one write may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Writes of one client that may be under way.
const UNDER_WAY: usize = 200;

/// One write and what became of it.
struct Outcome {
    key: String,
    begun: Instant,
    ended: Instant,
    result: Result<(), ClientError>,
}

/// The clients, one at each server.
pub(super) struct Writers {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
    outcomes: UnboundedReceiver<Outcome>,
    ledger: Ledger,
}

/// What became of all writes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The keys of those that were acknowledged.
    pub(super) acknowledged: Vec<String>,
    /// How many ended without its being known whether they happened.
    pub(super) unknown: usize,
    /// How many did not happen: no server could be reached, or none led.
    pub(super) refused: usize,
}

impl Writers {
    /// Starts a client at each of these servers.
    pub(super) fn start<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Writers {
        let (tell, outcomes) = unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for node in nodes {
            let client = node.client.with_timeout(TIMEOUT);
            clients.spawn(write(client, node.name.clone(), tell.clone(), stopped.clone()));
        }
        Writers { stop, clients, outcomes, ledger: Ledger::default() }
    }

    /// Waits for the first write that was begun after `moment` and acknowledged; when that was.
    pub(super) async fn first_after(&mut self, moment: Instant) -> Result<Instant, Failure> {
        let found = timeout(PATIENCE, async {
            while let Some(outcome) = self.outcomes.recv().await {
                let (begun, ended) = (outcome.begun, outcome.ended);
                if self.ledger.enter(outcome) && begun > moment {
                    return Some(ended);
                }
            }
            None
        });
        let what = || not_observed(format!("an acknowledged write, in {} s", PATIENCE.as_secs()));
        found.await.ok().flatten().ok_or_else(what)
    }

    /// Begins no more writes, and waits until those under way have ended.
    pub(super) async fn finish(mut self) -> Ledger {
        self.stop.send_replace(true);
        while self.clients.join_next().await.is_some() {}
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.ledger.enter(outcome);
        }
        self.ledger
    }
}

impl Ledger {
    /// Enters a write; whether it was acknowledged.
    fn enter(&mut self, outcome: Outcome) -> bool {
        match outcome.result {
            Ok(()) => {
                self.acknowledged.push(outcome.key);
                return true;
            }
            Err(ClientError::Unknown { .. } | ClientError::Timeout { maybe_happened: true, .. }) => {
                self.unknown += 1;
            }
            Err(_) => self.refused += 1,
        }
        false
    }
}

async fn write(
    client: Client,
    name: String,
    tell: UnboundedSender<Outcome>,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut under_way = JoinSet::new();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for n in 0_u64.. {
        tokio::select! {
            _ = clock.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (client, tell, key) = (client.clone(), tell.clone(), format!("{PREFIX}{name}/{n}"));
        under_way.spawn(async move {
            let begun = Instant::now();
            let result = client.set(&key, &n.to_string()).await.map(|_| ());
            // Nobody listens any more when the demo is over.
            let _ = tell.send(Outcome { key, begun, ended: Instant::now(), result });
            drop(place);
        });
    }
    while under_way.join_next().await.is_some() {}
}
