//! Finding the server whose state is not what the log makes of it: by a bit that turned over in memory, by a
//! state machine that is not deterministic, by a fault in this software.
//!
//! Every answer of a follower to its leader carries how far it has applied its log and its state hash there
//! (`hash_chain.rs`). The leader compares that with its own hash at the same index. Who is wrong, the
//! majority says:
//!
//! - A follower that differs, while the leader and those that agree with it are a majority, is told so
//!   ([`Message::Diverged`]), looks for itself, and fails.
//! - A leader that differs from a majority fails itself; one of them is elected.
//! - Where neither is a majority for an election timeout, because the others are away, the smaller side
//!   fails, and in a tie the follower. It may be the wrong one: nobody can know. That is safe, since what is
//!   left is no majority and answers nothing; and when the follower was started again and differs once more,
//!   it was the leader.
//!
//! What fails is the whole replica, as after a failure of its disk, although its log may be sound and could
//! still count for a majority: a machine that has changed what it keeps in memory is not to be trusted with
//! what it acknowledges next, and its next entries pass through the same memory. Its disk is not touched.
//! Started again, it makes its state anew from the log, whose records carry checksums.
//!
//! Only the leader judges, and only its message makes a follower fail, so that a wrong leader does not fail
//! all its followers before it has heard that they agree with each other. The follower compares for itself
//! what it is told: a message about an earlier life of its process finds it in order.
//!
//! What this does not see: two servers that went wrong in the same way, and state that neither an answer nor
//! the state machine's digest shows.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Replica;
use super::event::{Divergence, Notice, Role};
use crate::message::Message;
use crate::seeded::{self, Bug};
use crate::types::{Applied, LogIndex, NodeId, StateHash, Term, Time};

/// What a leader knows of its followers' states.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// The term it leads; in another one it begins anew.
    term: Term,
    peers: BTreeMap<NodeId, Compared>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Compared {
    /// The highest index at which the states were the same.
    agreed: LogIndex,
    differs: Option<Difference>,
}

/// A follower whose state differs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Difference {
    index: LogIndex,
    ours: StateHash,
    theirs: StateHash,
    since: Time,
    /// Whether it was told since it last reported.
    told: bool,
}

impl Comparison {
    fn differing(&self) -> impl Iterator<Item = (&NodeId, Difference)> {
        self.peers.iter().filter_map(|(id, compared)| Some((id, compared.differs?)))
    }

    fn differs(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.differs.is_some())
    }

    /// Whether a follower is known to have the leader's state at an index.
    fn agrees(&self, peer: &NodeId, index: LogIndex) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.differs.is_none() && peer.agreed >= index)
    }
}

impl Replica {
    /// A follower tells how far it has applied its log.
    pub(super) fn compare(&mut self, from: &NodeId, term: Term, theirs: Applied) {
        let is_old = self.consensus.role() != Role::Leader || term != self.consensus.term();
        if is_old || seeded::is(Bug::StatesNotCompared) {
            return;
        }
        // Where one of the two is too far ahead, a later report will do.
        let Some(ours) = self.hash_at(theirs.index) else { return };
        if self.comparison.term != term {
            self.comparison = Comparison { term, peers: BTreeMap::new() };
        }
        let peer = self.comparison.peers.entry(from.clone()).or_default();
        if ours == theirs.hash {
            peer.agreed = peer.agreed.max(theirs.index);
            peer.differs = None;
        } else {
            let since = peer.differs.map_or(self.now, |known| known.since);
            let (index, theirs) = (theirs.index, theirs.hash);
            peer.differs = Some(Difference { index, ours, theirs, since, told: false });
        }
        self.judge();
    }

    /// Says which side is wrong, where states differ and that is clear, or has been unclear for too long. Its
    /// heartbeats bring a leader here often enough for the latter.
    pub(super) fn judge(&mut self) {
        if !self.compares() {
            return;
        }
        let term = self.consensus.term();
        let differing: Vec<(NodeId, Difference)> =
            self.comparison.differing().map(|(id, difference)| (id.clone(), difference)).collect();
        for (peer, difference) in &differing {
            let configuration = self.consensus.configuration();
            let differs = |id: &NodeId| self.comparison.differs(id);
            let agrees =
                |id: &NodeId| *id == self.consensus.id || self.comparison.agrees(id, difference.index);
            let is_overdue = difference.since + self.patience() <= self.now;
            let count = |side: &dyn Fn(&NodeId) -> bool| configuration.voters().filter(|id| side(id)).count();
            let outnumbered = is_overdue && count(&differs) > count(&agrees);
            if configuration.has_majority(differs) || outnumbered {
                let peers = differing.iter().map(|(peer, _)| peer.clone()).collect();
                let Difference { index, ours, theirs, .. } = *difference;
                return self.diverge(Divergence { index, ours, theirs, peers });
            }
            if !difference.told && (configuration.has_majority(agrees) || is_overdue) {
                let at = Applied { index: difference.index, hash: difference.ours };
                self.consensus.send(peer, Message::Diverged { term, at });
                self.told(peer);
            }
        }
    }

    fn told(&mut self, peer: &NodeId) {
        let compared = self.comparison.peers.get_mut(peer);
        if let Some(difference) = compared.and_then(|compared| compared.differs.as_mut()) {
            difference.told = true;
        }
    }

    /// Whether this server leads and has compared in its term.
    fn compares(&self) -> bool {
        self.consensus.role() == Role::Leader && self.comparison.term == self.consensus.term()
    }

    /// How long those that are to decide may take: an election timeout, after which they count as silent.
    fn patience(&self) -> core::time::Duration {
        self.consensus.timing.election_timeout_max
    }

    /// A peer is there anew, and may be another process than the one that was compared.
    pub(super) fn forget_comparison_with(&mut self, peer: &NodeId) {
        self.comparison.peers.remove(peer);
    }

    /// The hash after an index, while it is remembered: not from before the latest snapshot. This process may
    /// have begun with that one, and a replay of it with an earlier one, or the other way round; both are to
    /// know the same.
    fn hash_at(&self, index: LogIndex) -> Option<StateHash> {
        let latest = self.consensus.latest_snapshot().unwrap_or_default().index;
        self.chain.at(index).filter(|_| index >= latest)
    }

    /// The leader says that this server's state is wrong.
    pub(super) fn told_of_divergence(&mut self, from: &NodeId, term: Term, at: Applied) {
        if term != self.consensus.term() || self.consensus.leader() != Some(from) {
            return;
        }
        let (index, theirs) = (at.index, at.hash);
        if let Some(ours) = self.hash_at(index).filter(|ours| *ours != theirs) {
            self.diverge(Divergence { index, ours, theirs, peers: [from.clone()].into() });
        }
    }

    fn diverge(&mut self, divergence: Divergence) {
        let reason = alloc::format!("{divergence}");
        self.consensus.notify(Notice::Diverged(divergence.clone()));
        self.diverged = Some(divergence);
        self.fail(reason);
    }

    /// How this server's state was found to differ, where that is why it has failed.
    #[must_use]
    pub fn diverged(&self) -> Option<&Divergence> {
        self.diverged.as_ref()
    }

    /// The state hash at the last log index applied.
    #[must_use]
    pub fn applied_hash(&self) -> StateHash {
        self.chain.applied().hash
    }

    /// On the leader, the highest log index at which a follower's state was the leader's; 0 where they have
    /// not been compared.
    #[must_use]
    pub fn agreed_index(&self, peer: &NodeId) -> LogIndex {
        let compared = self.comparison.peers.get(peer).filter(|_| self.compares());
        compared.map_or(LogIndex::ZERO, |compared| compared.agreed)
    }

    /// On the leader, the followers whose state differs, and the log index at which that was last seen.
    #[must_use]
    pub fn differing_peers(&self) -> Vec<(NodeId, LogIndex)> {
        let differing = self.comparison.differing().filter(|_| self.compares());
        differing.map(|(peer, difference)| (peer.clone(), difference.index)).collect()
    }
}
