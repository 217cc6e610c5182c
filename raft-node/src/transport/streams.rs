//! The streams that this node dials: one to each peer, for as long as it is one.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::types::{Incarnation, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::dial::{Caller, Dialler};
use super::links::{LinkStates, Outgoing};
use crate::config::Config;
use crate::node::{Addresses, Input};

/// How long the stream to one that is no peer any more is kept: it is to hear that.
const LINGER: Duration = Duration::from_secs(3);

/// How many may have one that are no peers: anybody may say that he was one.
const MAX_FORMER: usize = 16;

/// Keeps the streams.
#[derive(Debug)]
pub(crate) struct Streams {
    caller: Caller,
    states: LinkStates,
    inbox: mpsc::Sender<Input>,
    peers: BTreeMap<NodeId, Peer>,
    wanted: Addresses,
}

#[derive(Debug)]
struct Peer {
    /// The dialler ends when this is gone.
    addresses: watch::Sender<Vec<String>>,
    /// Not a peer any more; the stream ends then.
    ends: Option<Instant>,
}

impl Peer {
    fn is_at(&self, addresses: &[String]) {
        self.addresses.send_if_modified(|known| {
            let is_news = known != addresses;
            addresses.clone_into(known);
            is_news
        });
    }
}

impl Streams {
    pub(crate) fn new(
        config: &Config,
        incarnation: Incarnation,
        states: LinkStates,
        inbox: mpsc::Sender<Input>,
    ) -> Streams {
        let caller = Caller { id: config.node_id.clone(), incarnation };
        Streams { caller, states, inbox, peers: BTreeMap::new(), wanted: Addresses::new() }
    }

    /// Dials those that are wanted; the others are let go after a while. Must be called within the runtime.
    pub(crate) fn follow(&mut self, wanted: Addresses, outgoing: &mut Outgoing) {
        if wanted == self.wanted {
            return;
        }
        for (id, addresses) in &wanted {
            match self.peers.get_mut(id) {
                Some(peer) => {
                    peer.ends = None;
                    peer.is_at(addresses);
                }
                None => self.dial(id, addresses.clone(), outgoing),
            }
        }
        for (_, peer) in self.peers.iter_mut().filter(|(id, _)| !wanted.contains_key(*id)) {
            peer.ends.get_or_insert_with(|| Instant::now() + LINGER);
        }
        self.wanted = wanted;
    }

    /// Has a stream for a while to one that is no peer any more and does not know.
    pub(crate) fn bid_farewell(&mut self, id: &NodeId, address: &str, outgoing: &mut Outgoing) {
        if address.is_empty() || self.wanted.contains_key(id) || *id == self.caller.id {
            return;
        }
        let addresses = vec![address.to_owned()];
        let is_room = self.peers.len() < self.wanted.len() + MAX_FORMER;
        match self.peers.get(id) {
            Some(peer) => peer.is_at(&addresses),
            None if is_room => self.dial(id, addresses, outgoing),
            None => return,
        }
        self.peers.get_mut(id).expect("just seen to").ends = Some(Instant::now() + LINGER);
    }

    fn dial(&mut self, id: &NodeId, addresses: Vec<String>, outgoing: &mut Outgoing) {
        let (sender, receiver) = watch::channel(addresses);
        let dialler = Dialler {
            caller: self.caller.clone(),
            peer: id.clone(),
            addresses: receiver,
            states: self.states.clone(),
            inbox: self.inbox.clone(),
            queue: outgoing.add(id.clone()),
        };
        tokio::spawn(dialler.run());
        self.peers.insert(id.clone(), Peer { addresses: sender, ends: None });
    }

    /// Ends the streams whose time is over. To be called again and again.
    pub(crate) fn let_go(&mut self, outgoing: &mut Outgoing) {
        if self.peers.values().all(|peer| peer.ends.is_none()) {
            return;
        }
        let now = Instant::now();
        let (states, ended) = (&self.states, |peer: &Peer| peer.ends.is_some_and(|ends| ends <= now));
        self.peers.retain(|id, peer| {
            if ended(peer) {
                outgoing.remove(id);
                states.forget(id);
            }
            !ended(peer)
        });
    }
}
