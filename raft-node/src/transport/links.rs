//! The state of the streams to the peers, for the operator's eyes and for sending.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use raft_core::message::Message;
use raft_core::types::NodeId;
use tokio::sync::mpsc;

/// Batches of messages waiting for one peer's stream at most. Beyond that they are dropped, as a network may.
const QUEUE: usize = 1024;

/// What is known of the stream to a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkState {
    /// Whether it is open.
    pub(crate) connected: bool,
    /// Why it could not be opened last, or was closed.
    pub(crate) error: Option<String>,
}

/// All peers' streams as seen from this node.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkStates(Arc<Mutex<BTreeMap<NodeId, LinkState>>>);

impl LinkStates {
    /// A peer's stream.
    pub(crate) fn of(&self, peer: &NodeId) -> LinkState {
        self.0.lock().get(peer).cloned().unwrap_or_default()
    }

    pub(super) fn opened(&self, peer: &NodeId) {
        self.0.lock().insert(peer.clone(), LinkState { connected: true, error: None });
    }

    pub(super) fn forget(&self, peer: &NodeId) {
        self.0.lock().remove(peer);
    }

    /// Returns whether the reason is news.
    pub(super) fn failed(&self, peer: &NodeId, error: String) -> bool {
        let state = LinkState { connected: false, error: Some(error) };
        let before = self.0.lock().insert(peer.clone(), state.clone());
        before.is_none_or(|before| before.connected || before.error != state.error)
    }
}

/// Where messages to the peers go.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    queues: BTreeMap<NodeId, mpsc::Sender<Vec<Message>>>,
    batches: BTreeMap<NodeId, Vec<Message>>,
}

impl Outgoing {
    pub(super) fn add(&mut self, peer: NodeId) -> mpsc::Receiver<Vec<Message>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.queues.insert(peer, sender);
        receiver
    }

    pub(super) fn remove(&mut self, peer: &NodeId) {
        self.queues.remove(peer);
        self.batches.remove(peer);
    }

    /// Adds a message to the batch for a peer. Without a stream to it there is no way to send it.
    pub(crate) fn push(&mut self, to: NodeId, message: Message) {
        if self.queues.contains_key(&to) {
            self.batches.entry(to).or_default().push(message);
        }
    }

    /// Sends the batches off.
    pub(crate) fn flush(&mut self) {
        for (peer, batch) in &mut self.batches {
            if !batch.is_empty()
                && let Some(queue) = self.queues.get(peer)
            {
                // A full queue drops the batch: the leader finds out by the next heartbeat.
                let _ = queue.try_send(std::mem::take(batch));
            }
        }
    }
}
