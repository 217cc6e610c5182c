//! May a server with a new disk vote?
//!
//! Votes and entries must outlive a restart (paper §5.2); a server whose disk was wiped would vote and
//! acknowledge as if it never had. So each data directory draws an incarnation, every server keeps a durable
//! record of the incarnation by which it knows each peer, and
//!
//! - a server takes part in nothing until [`Configuration::witnesses`](super::Configuration::witnesses)
//!   others have such a record of it: any two groups of that size share a member, so whoever took part with
//!   another disk is recognised by at least one witness it cannot do without;
//! - a server listens to no peer whose incarnation differs from its record.
//!
//! A new cluster therefore forms once its members have met; a member that comes back without its disk stays
//! out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Consensus;
use crate::log::Record;
use crate::message::{Hello, Message, Unwelcome};
use crate::replica::Notice;
use crate::seeded::{self, Bug};
use crate::types::{Incarnation, NodeId, Time};

/// How often an introduction that was not answered is repeated.
const REPEAT: Duration = Duration::from_millis(250);

/// Who knows whom by which disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admission {
    standing: Standing,
    /// On record, durable or about to be.
    peers: BTreeMap<NodeId, Incarnation>,
    /// Connected peers that have not answered our introduction, and when it is to be repeated.
    unanswered: BTreeMap<NodeId, Time>,
    /// Peers that refuse us, or that we refuse, and why.
    refusals: BTreeMap<NodeId, Refusal>,
}

/// Whether this server may take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It may.
    Admitted,
    /// Its directory is new; these have noted it.
    Waiting {
        /// The witnesses so far.
        witnesses: BTreeSet<NodeId>,
    },
    /// A peer knows it by another disk.
    Wiped {
        /// The peer.
        peer: NodeId,
        /// The incarnation on record there.
        known: Incarnation,
    },
}

impl Admission {
    pub(super) fn new(admitted: bool, peers: BTreeMap<NodeId, Incarnation>) -> Admission {
        let standing = if admitted || seeded::is(Bug::WipedMemberVotes) {
            Standing::Admitted
        } else {
            Standing::Waiting { witnesses: BTreeSet::new() }
        };
        Admission { standing, peers, unanswered: BTreeMap::new(), refusals: BTreeMap::new() }
    }

    /// Whether this server may vote, stand and acknowledge.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.standing == Standing::Admitted
    }

    /// Whether, and if not, why not.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Which peers refuse us, or are refused by us.
    #[must_use]
    pub fn refusals(&self) -> &BTreeMap<NodeId, Refusal> {
        &self.refusals
    }

    /// The incarnation by which a peer is known.
    #[must_use]
    pub fn known(&self, peer: &NodeId) -> Option<Incarnation> {
        self.peers.get(peer).copied()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.unanswered.values().min().copied()
    }

    pub(super) fn connected(&mut self, peer: &NodeId, now: Time) {
        self.unanswered.insert(peer.clone(), now);
    }

    pub(super) fn disconnected(&mut self, peer: &NodeId) {
        self.unanswered.remove(peer);
    }
}

/// Why there is no understanding with a peer, in words from this server's point of view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// What the peer holds against this server, or both against each other.
    #[error("{0}")]
    There(Unwelcome),
    /// The peer shows another incarnation than the one on record: its data directory was lost or replaced.
    #[error("it came back with another data directory (incarnation {shown}; on record is {known})")]
    Here {
        /// The one on record.
        known: Incarnation,
        /// The one shown.
        shown: Incarnation,
    },
}

impl Refusal {
    /// The refuser's own view of what it tells the refused.
    fn here(told: Unwelcome) -> Refusal {
        match told {
            Unwelcome::OtherIncarnation { known, shown } => Refusal::Here { known, shown },
            Unwelcome::OtherCluster { theirs, yours } => {
                Refusal::There(Unwelcome::OtherCluster { theirs: yours, yours: theirs })
            }
            Unwelcome::OtherMembers { theirs, yours } => {
                Refusal::There(Unwelcome::OtherMembers { theirs: yours, yours: theirs })
            }
        }
    }
}

fn listed<'a>(members: impl IntoIterator<Item = &'a NodeId>) -> String {
    let names: Vec<&str> = members.into_iter().map(NodeId::as_str).collect();
    names.join(",")
}

impl Consensus {
    /// Sends the introductions that are due.
    pub(super) fn introduce(&mut self) {
        let now = self.now;
        let due: Vec<NodeId> = self
            .admission
            .unanswered
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in due {
            let members = self.configuration().voters().cloned().collect();
            self.send(&peer, Message::Hello(Hello { cluster_id: self.cluster_id, members }));
            self.admission.unanswered.insert(peer, now + REPEAT);
        }
    }

    /// Whether a message other than an introduction may be listened to. If not, the peer is told why.
    pub(crate) fn is_acquainted(&mut self, from: &NodeId, shown: Incarnation) -> bool {
        match self.admission.peers.get(from) {
            Some(&known) if known == shown || seeded::is(Bug::WipedMemberVotes) => {
                self.admission.is_admitted()
            }
            Some(&known) => {
                self.refuse(from, Unwelcome::OtherIncarnation { known, shown });
                false
            }
            // Its introduction has not come yet, or was refused.
            None => false,
        }
    }

    /// A peer introduces itself. It is welcomed once the record of it is durable: the answer waits in the
    /// outbox for that.
    pub(crate) fn handle_hello(&mut self, from: &NodeId, shown: Incarnation, hello: &Hello) {
        if let (Some(theirs), Some(yours)) = (self.cluster_id, hello.cluster_id)
            && theirs != yours
        {
            return self.refuse(from, Unwelcome::OtherCluster { theirs, yours });
        }
        if !self.configuration().voters().eq(hello.members.iter()) {
            let (theirs, yours) = (listed(self.configuration().voters()), listed(&hello.members));
            return self.refuse(from, Unwelcome::OtherMembers { theirs, yours });
        }
        match self.admission.peers.get(from) {
            Some(&known) if known != shown && !seeded::is(Bug::WipedMemberVotes) => {
                return self.refuse(from, Unwelcome::OtherIncarnation { known, shown });
            }
            Some(_) => {}
            None => {
                self.admission.peers.insert(from.clone(), shown);
                self.records.push(Record::Peer { node_id: from.clone(), incarnation: shown });
            }
        }
        self.admission.refusals.remove(from);
        self.send(from, Message::Welcome { known: shown });
    }

    fn refuse(&mut self, peer: &NodeId, reason: Unwelcome) {
        self.note_refusal(peer, Refusal::here(reason.clone()));
        self.send(peer, Message::Unwelcome(reason));
    }

    /// Keeps in mind that there is no understanding with a peer, and tells it once.
    fn note_refusal(&mut self, peer: &NodeId, refusal: Refusal) {
        let reason = refusal.to_string();
        if self.admission.refusals.insert(peer.clone(), refusal.clone()).as_ref() != Some(&refusal) {
            self.notify(Notice::Unwelcome { peer: peer.clone(), reason });
        }
    }

    /// A peer has a durable record of us, or of the directory that was here before.
    pub(crate) fn handle_welcome(&mut self, from: &NodeId, known: Incarnation) {
        if known != self.incarnation {
            return;
        }
        self.admission.unanswered.remove(from);
        self.admission.refusals.remove(from);
        if let Standing::Waiting { witnesses } = &mut self.admission.standing {
            witnesses.insert(from.clone());
        }
        self.admit_if_witnessed();
    }

    pub(super) fn admit_if_witnessed(&mut self) {
        if let Standing::Waiting { witnesses } = &self.admission.standing
            && witnesses.len() >= self.configuration().witnesses()
        {
            self.admission.standing = Standing::Admitted;
            self.records.push(Record::Admitted);
            self.notify(Notice::Admitted);
            self.reset_election_deadline();
        }
    }

    /// A peer refuses us.
    pub(crate) fn handle_unwelcome(&mut self, from: &NodeId, reason: Unwelcome) {
        let known = match &reason {
            Unwelcome::OtherIncarnation { known, shown } if *shown == self.incarnation => Some(*known),
            _ => None,
        };
        match (known, &self.admission.standing) {
            (Some(known), Standing::Waiting { .. }) => {
                self.admission.refusals.insert(from.clone(), Refusal::There(reason));
                self.admission.standing = Standing::Wiped { peer: from.clone(), known };
                self.notify(Notice::Wiped { peer: from.clone(), known });
            }
            _ => self.note_refusal(from, Refusal::There(reason)),
        }
    }
}
