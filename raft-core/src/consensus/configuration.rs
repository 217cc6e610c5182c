//! Who belongs to the cluster, who of them votes, and what a majority of them is (paper §5.1, §6).
//!
//! A change of the voters goes through a *joint* configuration (paper §6): while it is in force, every
//! decision needs a majority of the outgoing voters and one of the incoming. So the old and the new voters
//! never decide apart from each other, however many of them change at once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::seeded::{self, Bug};
use crate::types::{Incarnation, NodeId};

/// The members of a cluster. Every count of votes, matches and rounds goes through here, so that what a
/// majority means is said once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Configuration {
    pub(super) members: BTreeMap<NodeId, Member>,
    /// The voters before the change that is under way; none where there is no change.
    pub(super) outgoing: BTreeSet<NodeId>,
}

/// What a configuration says of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// `HOST:PORT` at which the others reach it; empty where that is not known.
    pub address: String,
    /// Its part.
    pub role: MemberRole,
    /// The data directory it takes part with. None of a voter of the first configuration: each peer keeps a
    /// record of that one itself. None of a learner that nobody has heard of yet.
    pub incarnation: Option<Incarnation>,
    /// The higher, the rather it leads: among those that could, the highest stands first.
    pub priority: u8,
    /// What becomes of a learner once it has caught up.
    pub promotion: Promotion,
}

/// A member's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// It votes, and its copy of an entry counts.
    #[default]
    Voter,
    /// It gets the log and counts for nothing (dissertation §4.2.1).
    Learner,
    /// It votes until the change that is under way is done, and is then no member.
    Leaving,
}

/// What becomes of a learner once it has caught up. It is in the log, so that another leader goes on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Promotion {
    /// It stays a learner.
    #[default]
    No,
    /// It becomes a voter.
    Voter,
    /// It becomes a voter, and this member leaves, in one change.
    InPlaceOf(NodeId),
}

impl Member {
    /// The longest address, in bytes: a name of 253, a colon and a port.
    pub const MAX_ADDRESS: usize = 259;

    /// Whether it is a learner of whose data directory nothing is known yet.
    pub(super) fn is_unnamed(&self) -> bool {
        self.role == MemberRole::Learner && self.incarnation.is_none()
    }

    /// A voter at an address.
    #[must_use]
    pub fn voter(address: String) -> Member {
        Member { address, ..Member::default() }
    }
}

impl Configuration {
    /// The most members that a configuration may have: more than are worth a decision by majority, and a
    /// bound on what a peer can make this server keep.
    pub const MAX_MEMBERS: usize = 64;

    /// A configuration of these voters, whose addresses only the world outside knows.
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Configuration {
        Configuration::with_addresses(voters.into_iter().map(|id| (id, String::new())))
    }

    /// A configuration of these voters at these addresses.
    #[must_use]
    pub fn with_addresses(voters: impl IntoIterator<Item = (NodeId, String)>) -> Configuration {
        let member = |(id, address)| (id, Member::voter(address));
        Configuration { members: voters.into_iter().map(member).collect(), outgoing: BTreeSet::new() }
    }

    /// What a server starts with that belongs to no cluster yet and waits to be added to one: nobody votes.
    #[must_use]
    pub fn waiting(id: NodeId, address: String) -> Configuration {
        let member = Member { role: MemberRole::Learner, ..Member::voter(address) };
        Configuration { members: [(id, member)].into(), outgoing: BTreeSet::new() }
    }

    /// All members, in the order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&NodeId, &Member)> {
        self.members.iter()
    }

    /// What it says of a member.
    #[must_use]
    pub fn member(&self, id: &NodeId) -> Option<&Member> {
        self.members.get(id)
    }

    /// Whether this server is a member, in whatever role.
    #[must_use]
    pub fn contains(&self, id: &NodeId) -> bool {
        self.members.contains_key(id)
    }

    /// The voters, in the order of their ids; of a joint configuration, the incoming ones.
    pub fn voters(&self) -> impl Iterator<Item = &NodeId> {
        let is_voter = |(id, member): (_, &Member)| (member.role == MemberRole::Voter).then_some(id);
        self.members.iter().filter_map(is_voter)
    }

    /// How many voters there are; of a joint configuration, incoming ones.
    #[must_use]
    pub fn voter_count(&self) -> usize {
        self.voters().count()
    }

    /// The voters before the change that is under way, in the order of their ids; none where there is none.
    pub fn outgoing(&self) -> impl ExactSizeIterator<Item = &NodeId> {
        self.outgoing.iter()
    }

    /// Whether the voters are being changed.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether this server votes, after the change that may be under way too.
    #[must_use]
    pub fn is_voter(&self, id: &NodeId) -> bool {
        self.members.get(id).is_some_and(|member| member.role == MemberRole::Voter)
    }

    /// Whether this server's vote and copies count, for the incoming voters or the outgoing ones.
    #[must_use]
    pub fn votes(&self, id: &NodeId) -> bool {
        self.members.get(id).is_some_and(|member| member.role != MemberRole::Learner)
    }

    /// Whether those for which `holds` is true make a majority: floor(n/2)+1, while a change is under way of
    /// both sides.
    pub fn has_majority(&self, holds: impl Fn(&NodeId) -> bool) -> bool {
        self.reached_by_majority(|id| holds(id))
    }

    /// The highest value that a majority has reached; the least of all where nobody votes.
    pub fn reached_by_majority<T: Ord + Copy + Default>(&self, value: impl Fn(&NodeId) -> T) -> T {
        if seeded::is(Bug::LearnerCounted) {
            return reached_by(self.members.keys(), self.members.len(), value);
        }
        let incoming = reached_by(self.voters(), self.voter_count(), &value);
        if !self.is_joint() || seeded::is(Bug::JointIsNewAlone) {
            return incoming;
        }
        // A learner among the outgoing has lost its disk: what it says now stands for nothing it said before.
        let counts = |id: &NodeId| if self.votes(id) { value(id) } else { T::default() };
        if seeded::is(Bug::JointIsOne) {
            let all: BTreeSet<&NodeId> = self.outgoing.iter().chain(self.voters()).collect();
            return reached_by(all.iter().copied(), all.len(), counts);
        }
        incoming.min(reached_by(self.outgoing.iter(), self.outgoing.len(), counts))
    }

    /// How many *other* members must have noted a new server before it may vote: so many that any two
    /// such groups share a member, who would know if the server had been here before with another disk.
    #[must_use]
    pub fn witnesses(&self) -> usize {
        match self.voter_count() {
            0 | 1 => 0,
            n => (n - 1) / 2 + 1,
        }
    }

    /// Whether it is one that a cluster can be in. A peer's is asked this before it is believed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_kept = |(id, member): (&NodeId, &Member)| match member.role {
            MemberRole::Leaving => self.outgoing.contains(id),
            MemberRole::Voter | MemberRole::Learner => true,
        };
        let fits = |(_, member): (&NodeId, &Member)| member.address.len() <= Member::MAX_ADDRESS;
        self.voter_count() > 0
            && self.members.len() <= Self::MAX_MEMBERS
            && self.members.iter().all(fits)
            && self.members.iter().all(is_kept)
            && self.outgoing.iter().all(|id| self.members.contains_key(id))
    }

    /// Bytes it takes on the wire and on disk, near enough for flow control.
    pub(crate) fn cost(&self) -> usize {
        let member = |(id, member): (&NodeId, &Member)| {
            let incarnation = if member.incarnation.is_some() { 10 } else { 0 };
            id.as_str().len() + member.address.len() + incarnation + 6
        };
        self.members.iter().map(member).sum::<usize>()
            + self.outgoing.iter().map(|id| id.as_str().len() + 1).sum::<usize>()
    }
}

fn majority_of(voters: usize) -> usize {
    if seeded::is(Bug::HalfIsMajority) { voters.div_ceil(2) } else { voters / 2 + 1 }
}

fn reached_by<'a, T: Ord + Copy + Default>(
    voters: impl Iterator<Item = &'a NodeId>,
    count: usize,
    value: impl Fn(&NodeId) -> T,
) -> T {
    let mut values: Vec<T> = voters.map(value).collect();
    values.sort_unstable();
    count.checked_sub(majority_of(count)).and_then(|at| values.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn of(n: usize) -> Configuration {
        Configuration::new((0..n).map(|i| id(&format!("n{i}"))))
    }

    /// `a b` vote, `+c` learns, `-d` leaves; those after the bar are the outgoing voters.
    fn configuration(text: &str) -> Configuration {
        let (members, outgoing) = text.split_once('|').unwrap_or((text, ""));
        let member = |word: &str| {
            let (role, name) = match word.split_at(1) {
                ("+", name) => (MemberRole::Learner, name),
                ("-", name) => (MemberRole::Leaving, name),
                _ => (MemberRole::Voter, word),
            };
            (id(name), Member { role, ..Member::default() })
        };
        Configuration {
            members: members.split_whitespace().map(member).collect(),
            outgoing: outgoing.split_whitespace().map(id).collect(),
        }
    }

    #[test]
    fn majorities_are_floor_half_plus_one() {
        for (n, majority, witnesses) in [(1, 1, 0), (2, 2, 1), (3, 2, 2), (4, 3, 2), (5, 3, 3), (7, 4, 4)] {
            assert_eq!((majority_of(n), of(n).witnesses()), (majority, witnesses), "of {n}");
        }
    }

    #[test]
    fn two_groups_of_witnesses_always_share_a_member() {
        for n in 2..20 {
            assert!(2 * of(n).witnesses() > n - 1, "of {n}");
        }
    }

    #[test]
    fn the_value_a_majority_reached() {
        let values = |list: &'static [u64]| {
            let voters = of(list.len());
            voters.reached_by_majority(|id| list[id.as_str()[1..].parse::<usize>().unwrap()])
        };
        assert_eq!(values(&[]), 0);
        assert_eq!(values(&[7]), 7);
        assert_eq!(values(&[9, 4]), 4);
        assert_eq!(values(&[9, 4, 6]), 6);
        assert_eq!(values(&[1, 9, 4, 6]), 4);
        assert_eq!(values(&[1, 9, 9, 9, 2]), 9);
    }

    #[test]
    fn a_joint_configuration_needs_both_majorities() {
        for (members, holding, decides) in [
            // Two of three are replaced.
            ("a d e -b -c | a b c", "a b", false),
            ("a d e -b -c | a b c", "a d", false),
            ("a d e -b -c | a b c", "d e", false),
            ("a d e -b -c | a b c", "b c", false),
            ("a d e -b -c | a b c", "a b d", true),
            ("a d e -b -c | a b c", "b c d e", true),
            // One is added to three: three of four, and two of three.
            ("a b c d | a b c", "a b", false),
            ("a b c d | a b c", "a b d", true),
            ("a b c d | a b c", "a b c", true),
            // From one to three.
            ("a b c | a", "b c", false),
            ("a b c | a", "a b", true),
            // No change is under way.
            ("a b c", "b c", true),
            ("a b c", "c", false),
        ] {
            let holding: Vec<NodeId> = holding.split_whitespace().map(id).collect();
            let found = configuration(members).has_majority(|id| holding.contains(id));
            assert_eq!(found, decides, "{members}: {holding:?}");
        }
    }

    #[test]
    fn the_value_that_both_majorities_reached() {
        let joint = configuration("a d e -b -c | a b c");
        let value = |id: &NodeId| match id.as_str() {
            "a" => 5,
            "b" => 9,
            "c" => 2,
            "d" => 7,
            _ => 1,
        };
        // Of a b c, two have 5; of a d e, two have 5 as well. Without a, the new side is the slower one.
        assert_eq!(joint.reached_by_majority(value), 5);
        assert_eq!(joint.reached_by_majority(|id| if id.as_str() == "a" { 1 } else { value(id) }), 1);
    }

    #[test]
    fn who_leaves_votes_and_is_no_voter_afterwards() {
        let joint = configuration("a b -c | a b c");
        assert!(joint.votes(&id("c")) && !joint.is_voter(&id("c")));
    }

    #[test]
    fn learners_count_for_nothing() {
        let three = configuration("a b c +d +e");
        assert!(!three.has_majority(|id| ["a", "d", "e"].contains(&id.as_str())));
        assert!(three.has_majority(|id| ["a", "b"].contains(&id.as_str())));
        assert!(!three.votes(&id("d")) && three.contains(&id("d")));
        assert!(!three.is_voter(&id("d")) && three.is_voter(&id("a")) && !three.is_voter(&id("z")));
        assert_eq!(three.witnesses(), 2);
        // One of the outgoing lost its disk: its place is counted, its word is not.
        let without = configuration("a b +c | a b c");
        assert!(!without.has_majority(|id| ["a", "c"].contains(&id.as_str())));
        assert!(without.has_majority(|id| ["a", "b"].contains(&id.as_str())));
    }

    #[test]
    fn whoever_waits_to_be_added_decides_nothing() {
        let waiting = Configuration::waiting(id("a"), "h:1".into());
        assert!(!waiting.has_majority(|_| true));
        assert_eq!((waiting.witnesses(), waiting.votes(&id("a"))), (0, false));
        assert!(!waiting.is_sound());
    }

    #[test]
    fn what_no_cluster_is_in_is_not_believed() {
        for (text, is_sound) in [
            ("a", true),
            ("a +b", true),
            ("a -b | a b", true),
            ("", false),
            ("+a", false),
            ("-a | a", false),
            ("a -b", false),
            ("a | b", false),
        ] {
            assert_eq!(configuration(text).is_sound(), is_sound, "{text:?}");
        }
        let far = |length| Configuration::with_addresses([(id("a"), "x".repeat(length))]);
        assert!(far(Member::MAX_ADDRESS).is_sound() && !far(Member::MAX_ADDRESS + 1).is_sound());
        assert!(of(Configuration::MAX_MEMBERS).is_sound() && !of(Configuration::MAX_MEMBERS + 1).is_sound());
    }

    /// Whoever sends or stores entries counts in it.
    #[test]
    fn a_cost_is_near_what_is_written() {
        let written = |configuration: &Configuration| postcard::to_allocvec(configuration).unwrap().len();
        let three =
            Configuration::with_addresses(["a", "bc", "def"].map(|name| (id(name), "h:12000".into())));
        let mut named = of(Configuration::MAX_MEMBERS);
        named.members.values_mut().for_each(|member| member.incarnation = Some(Incarnation(u64::MAX)));
        let outgoing = named.members.keys().cloned().collect();
        let joint = Configuration { outgoing, ..named.clone() };
        for configuration in [three, named, joint] {
            let (cost, written) = (configuration.cost(), written(&configuration));
            assert!(cost.abs_diff(written) <= 8, "{cost} of {written}: {configuration:?}");
        }
    }
}
