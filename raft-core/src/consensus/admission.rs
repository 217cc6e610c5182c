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
//! A new cluster therefore forms once its members have met. A member that comes back without its disk is kept
//! out so, until the leader has made a learner of it by a change of the configuration, which names its new
//! incarnation (`membership.rs`). What a configuration says of an incarnation goes before the records: the
//! change was committed without the member, so nothing that it may have forgotten can decide any more.
//!
//! A server need not know whoever speaks to it: its log may be behind, and the others' configuration a later
//! one (paper §6). Whoever shows a later configuration that names them both is listened to, with whatever
//! disk, for as long as that one is the later; whoever is not in a later one than its own is told that it was
//! removed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Configuration, Consensus, Member, MemberRole, RoleState};
use crate::log::Record;
use crate::message::{Hello, KnownBy, Message, Unwelcome};
use crate::replica::Notice;
use crate::seeded::{self, Bug};
use crate::types::{Incarnation, LogIndex, NodeId, Time};

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
    /// What members last said of themselves, for the leader to put in the configuration.
    introduced: BTreeMap<NodeId, Introduced>,
    /// Members of a later configuration than ours, as they introduced themselves.
    guests: BTreeMap<NodeId, Introduced>,
    /// Peers whose configuration names this server with this disk, or as a learner.
    listed_by: BTreeSet<NodeId>,
    /// Who says that this server was removed, and by the configuration at which index.
    removed_by: Option<(NodeId, LogIndex)>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduced {
    /// Its data directory's.
    pub incarnation: Incarnation,
    /// `HOST:PORT` at which it is reached; empty where it does not know.
    pub address: String,
    /// Whether it is known by another disk than the one it shows.
    pub(super) is_another_disk: bool,
    /// Where the configuration stands that it goes by.
    pub(super) configuration_index: LogIndex,
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
        Admission {
            standing,
            peers,
            unanswered: BTreeMap::new(),
            refusals: BTreeMap::new(),
            introduced: BTreeMap::new(),
            guests: BTreeMap::new(),
            listed_by: BTreeSet::new(),
            removed_by: None,
        }
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

    /// The incarnation by which a peer is on record.
    #[must_use]
    pub fn known(&self, peer: &NodeId) -> Option<Incarnation> {
        self.peers.get(peer).copied()
    }

    /// Members of a later configuration than this server's, and where they are reached: to be spoken to as
    /// members are.
    pub fn guests(&self) -> impl Iterator<Item = (&NodeId, &Introduced)> {
        self.guests.iter()
    }

    pub(super) fn introduced(&self) -> &BTreeMap<NodeId, Introduced> {
        &self.introduced
    }

    /// Who says that this server was removed, and by the configuration at which index.
    pub(super) fn removed_by(&self) -> Option<&(NodeId, LogIndex)> {
        self.removed_by.as_ref()
    }

    /// A leader speaks to this server: it is a member.
    pub(super) fn spoken_to(&mut self) {
        self.removed_by = None;
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
            Unwelcome::Removed { index } => Refusal::There(Unwelcome::Removed { index }),
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
            let hello = self.introduction();
            self.send(&peer, Message::Hello(hello));
            self.admission.unanswered.insert(peer, now + REPEAT);
        }
    }

    /// What a peer made of our introduction is out of date: one of us has another configuration by now. It is
    /// told after a while, so that no flood of messages makes one of introductions.
    pub(super) fn introduce_again(&mut self, peer: &NodeId) {
        if self.connected.contains(peer) {
            self.admission.unanswered.entry(peer.clone()).or_insert(self.now + REPEAT);
        }
    }

    fn introduction(&self) -> Hello {
        let members = self.configuration().members().map(|(id, _)| id.clone());
        // Its log says that another disk has taken the place of the one with which it was admitted.
        let named = self.configuration().member(&self.id).and_then(|member| member.incarnation);
        let is_replaced =
            self.admission.is_admitted() && named.is_some_and(|named| named != self.incarnation);
        Hello {
            cluster_id: self.cluster_id,
            members: if self.is_waiting_to_be_added() { Vec::new() } else { members.collect() },
            configuration_index: self.configurations.index(),
            address: self.address.clone(),
            is_wiped: is_replaced || matches!(self.admission.standing, Standing::Wiped { .. }),
        }
    }

    /// The incarnation by which a member takes part: as the configuration says, else as is on record. A
    /// learner of whose disk the configuration does not say anything yet takes no part. One that leaves is a
    /// member until the configuration without it is known to be committed: it may be the leader that commits
    /// it.
    fn known_incarnation(&self, peer: &NodeId) -> Option<Incarnation> {
        let (_, committed) = self.configurations.at(self.commit_index);
        let member = self.configuration().member(peer).or_else(|| committed.member(peer))?;
        match member.role {
            MemberRole::Learner => member.incarnation,
            _ => member.incarnation.or_else(|| self.admission.peers.get(peer).copied()),
        }
    }

    /// The incarnation by which a peer takes part that introduced itself as a member of a later
    /// configuration: while that is later than ours, or where ours does not say yet by which disk it is a
    /// member. Once ours is later, ours says by which disk, and whether it is a member at all.
    fn guest_incarnation(&self, peer: &NodeId, known: Option<Incarnation>) -> Option<Incarnation> {
        let guest = self.admission.guests.get(peer)?;
        let ours = self.configurations.index();
        let is_as_late = guest.configuration_index >= ours || self.configuration().contains(peer);
        let counts = guest.configuration_index > ours || (known.is_none() && is_as_late);
        counts.then_some(guest.incarnation)
    }

    /// Whether a message other than an introduction may be listened to. If not, the peer is told why.
    pub(crate) fn is_acquainted(&mut self, from: &NodeId, shown: Incarnation) -> bool {
        let known = self.known_incarnation(from);
        let known = self.guest_incarnation(from, known).filter(|_| known != Some(shown)).or(known);
        match known {
            Some(known) if known == shown || seeded::is(Bug::WipedMemberVotes) => {
                let may_listen = self.admission.is_admitted() || self.admission.listed_by.contains(from);
                if !may_listen {
                    // Its log may name this server's disk by now: when it answered last it need not have.
                    self.introduce_again(from);
                }
                may_listen
            }
            Some(known) => {
                self.refuse(from, Unwelcome::OtherIncarnation { known, shown });
                false
            }
            None if seeded::is(Bug::RemovedHeard) => self.admission.peers.get(from) == Some(&shown),
            None => {
                if self.configurations.index() > LogIndex::ZERO && !self.configuration().contains(from) {
                    let address = self.admission.introduced.get(from).map(|said| said.address.clone());
                    self.tell_of_removal(from, address.unwrap_or_default());
                }
                // Else its introduction has not come yet, or was refused.
                false
            }
        }
    }

    /// A peer introduces itself. It is welcomed once the record of it is durable: the answer waits in the
    /// outbox for that.
    pub(crate) fn handle_hello(&mut self, from: &NodeId, shown: Incarnation, hello: Hello) {
        if let (Some(theirs), Some(yours)) = (self.cluster_id, hello.cluster_id)
            && theirs != yours
        {
            return self.refuse(from, Unwelcome::OtherCluster { theirs, yours });
        }
        // It may have made a member of this server, and wait to hear by which disk: what it once made of our
        // introduction does not count then.
        let is_unnamed = self.configuration().member(&self.id).is_some_and(Member::is_unnamed);
        if is_unnamed || hello.configuration_index > self.configurations.index() {
            self.introduce_again(from);
        }
        if self.configuration().contains(from) {
            self.member_introduced(from, shown, hello);
        } else {
            self.stranger_introduced(from, shown, hello);
        }
    }

    fn member_introduced(&mut self, from: &NodeId, shown: Incarnation, hello: Hello) {
        // Before the first change both were started with what they say; later the log says it.
        let is_first = self.configurations.index().max(hello.configuration_index) <= LogIndex(1);
        let ours = || self.configuration().members().map(|(id, _)| id);
        if is_first
            && !hello.members.is_empty()
            && !self.is_waiting_to_be_added()
            && !ours().eq(&hello.members)
        {
            let (theirs, yours) = (listed(ours()), listed(&hello.members));
            return self.refuse(from, Unwelcome::OtherMembers { theirs, yours });
        }
        let known = self.known_incarnation(from);
        let differs = known.is_some_and(|known| known != shown) && !seeded::is(Bug::WipedMemberVotes);
        let member = self.configuration().member(from).cloned().unwrap_or_default();
        let (address, is_another_disk) = (hello.address.clone(), differs || hello.is_wiped);
        let configuration_index = hello.configuration_index;
        let introduced = Introduced { incarnation: shown, address, is_another_disk, configuration_index };
        self.admission.introduced.insert(from.clone(), introduced);
        if let Some(known) = known.filter(|_| differs) {
            // A change may have put its disk in a configuration that this server does not have yet. The first
            // configuration is no change and says nothing of disks.
            let is_later = hello.configuration_index > self.configurations.index().max(LogIndex(1));
            if is_later && !hello.is_wiped && self.is_guest(from, &hello) {
                return self.stranger_introduced(from, shown, hello);
            }
            return self.refuse(from, Unwelcome::OtherIncarnation { known, shown });
        }
        let by = match member.role {
            _ if member.incarnation.is_some() => KnownBy::Configuration,
            // The leader puts its incarnation in the configuration first. It may have, and be a voter by now.
            MemberRole::Learner if hello.configuration_index > self.configurations.index() => {
                return self.stranger_introduced(from, shown, hello);
            }
            MemberRole::Learner => return,
            MemberRole::Voter | MemberRole::Leaving => {
                if !self.admission.peers.contains_key(from) {
                    self.admission.peers.insert(from.clone(), shown);
                    self.records.push(Record::Peer { node_id: from.clone(), incarnation: shown });
                }
                KnownBy::Record
            }
        };
        self.welcome(from, shown, by);
    }

    fn welcome(&mut self, peer: &NodeId, known: Incarnation, by: KnownBy) {
        self.admission.refusals.remove(peer);
        self.send(peer, Message::Welcome { known, by });
    }

    /// A server that is no member here: one of us has a configuration that the other has not.
    fn stranger_introduced(&mut self, from: &NodeId, shown: Incarnation, hello: Hello) {
        let (ours, theirs) = (self.configurations.index(), hello.configuration_index);
        let is_member_there = hello.members.contains(from);
        if self.is_guest(from, &hello) {
            let guests = &mut self.admission.guests;
            if guests.len() < Configuration::MAX_MEMBERS || guests.contains_key(from) {
                let (address, is_another_disk) = (hello.address, hello.is_wiped);
                let guest =
                    Introduced { incarnation: shown, address, is_another_disk, configuration_index: theirs };
                guests.insert(from.clone(), guest);
                self.welcome(from, shown, KnownBy::Introduction);
            }
        } else if theirs > ours
            && hello.cluster_id.is_some()
            && is_member_there
            && !self.is_waiting_to_be_added()
        {
            self.told_of_removal(from, theirs);
        } else if is_member_there && theirs < ours {
            self.tell_of_removal(from, hello.address);
        }
        // Else it waits to be added, or knows that it was removed.
    }

    fn tell_of_removal(&mut self, peer: &NodeId, address: String) {
        self.notify(Notice::FormerMember { peer: peer.clone(), address });
        let index = self.configurations.index();
        self.send(peer, Message::Unwelcome(Unwelcome::Removed { index }));
    }

    /// Whether a peer shows a configuration as late as ours that names it and this server.
    fn is_guest(&self, from: &NodeId, hello: &Hello) -> bool {
        let (ours, theirs) = (self.configurations.index(), hello.configuration_index);
        let is_later = theirs > LogIndex::ZERO && theirs >= ours && hello.cluster_id.is_some();
        is_later && hello.members.contains(from) && hello.members.contains(&self.id)
    }

    /// A peer has a later configuration, without this server.
    fn told_of_removal(&mut self, peer: &NodeId, index: LogIndex) {
        let known = self.admission.removed_by.as_ref().map_or(self.configurations.index(), |(_, at)| *at);
        if index <= known || matches!(self.role, RoleState::Leader(_)) {
            return;
        }
        if self.admission.removed_by.replace((peer.clone(), index)).is_none() {
            self.notify(Notice::Removed { peer: peer.clone() });
        }
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
    pub(crate) fn handle_welcome(&mut self, from: &NodeId, known: Incarnation, by: KnownBy) {
        if known != self.incarnation {
            return;
        }
        self.admission.unanswered.remove(from);
        self.admission.refusals.remove(from);
        if by == KnownBy::Configuration {
            self.admission.listed_by.insert(from.clone());
        } else {
            self.admission.listed_by.remove(from);
        }
        if let Standing::Waiting { witnesses } = &mut self.admission.standing
            && by == KnownBy::Record
        {
            witnesses.insert(from.clone());
        }
        self.admit_if_witnessed();
    }

    pub(super) fn admit_if_witnessed(&mut self) {
        if let Standing::Waiting { witnesses } = &self.admission.standing
            && witnesses.len() >= self.configuration().witnesses()
            && self.configurations.index() == LogIndex::ZERO
            && !self.is_waiting_to_be_added()
        {
            self.admit();
        }
    }

    /// From now on this server takes part, and after a restart too.
    pub(super) fn admit(&mut self) {
        self.admission.standing = Standing::Admitted;
        self.records.push(Record::Admitted);
        self.notify(Notice::Admitted);
        self.reset_election_deadline();
    }

    /// A peer refuses us.
    pub(crate) fn handle_unwelcome(&mut self, from: &NodeId, reason: Unwelcome) {
        if let Unwelcome::Removed { index } = reason {
            if index <= self.configurations.index() && self.configuration().contains(from) {
                // It was removed, or this server was, and it has not heard that both are members again: the
                // stream between them may have stood all the while.
                return self.introduce_again(from);
            }
            return self.told_of_removal(from, index);
        }
        let known = match &reason {
            Unwelcome::OtherIncarnation { known, shown } if *shown == self.incarnation => Some(*known),
            _ => None,
        };
        if known.is_some() {
            // What an earlier process had said of its disk may have arrived last.
            self.introduce_again(from);
        }
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

#[cfg(test)]
pub(super) mod tests;
