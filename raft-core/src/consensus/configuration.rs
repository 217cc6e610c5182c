//! Who votes, and what a majority of them is (paper §5.1, §6).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::seeded::{self, Bug};
use crate::types::NodeId;

/// The voting members. Every count of votes, matches and rounds goes through here, so that what a majority
/// means is said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    voters: BTreeSet<NodeId>,
}

impl Configuration {
    /// A configuration of these voters.
    ///
    /// # Panics
    /// When there are none: a cluster without voters can decide nothing.
    #[must_use]
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Configuration {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        assert!(!voters.is_empty(), "a configuration has at least one voter");
        Configuration { voters }
    }

    /// The voters, in the order of their ids.
    pub fn voters(&self) -> impl ExactSizeIterator<Item = &NodeId> {
        self.voters.iter()
    }

    /// Whether this server votes.
    #[must_use]
    pub fn contains(&self, id: &NodeId) -> bool {
        self.voters.contains(id)
    }

    /// How many voters a majority has: floor(n/2)+1.
    #[must_use]
    pub fn majority(&self) -> usize {
        let voters = self.voters.len();
        if seeded::is(Bug::HalfIsMajority) { voters.div_ceil(2) } else { voters / 2 + 1 }
    }

    /// Whether those for which `holds` is true make a majority.
    pub fn has_majority(&self, holds: impl Fn(&NodeId) -> bool) -> bool {
        self.voters.iter().filter(|id| holds(id)).count() >= self.majority()
    }

    /// The highest value that a majority has reached.
    pub fn reached_by_majority<T: Ord + Copy>(&self, value: impl Fn(&NodeId) -> T) -> T {
        let mut values: Vec<T> = self.voters.iter().map(value).collect();
        values.sort_unstable();
        values[values.len() - self.majority()]
    }

    /// How many *other* members must have noted a new server before it may vote: so many that any two
    /// such groups share a member, who would know if the server had been here before with another disk.
    #[must_use]
    pub fn witnesses(&self) -> usize {
        match self.voters.len() {
            1 => 0,
            n => (n - 1) / 2 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn of(n: usize) -> Configuration {
        Configuration::new((0..n).map(|i| NodeId::new(&format!("n{i}")).unwrap()))
    }

    #[test]
    fn majorities_are_floor_half_plus_one() {
        for (n, majority, witnesses) in [(1, 1, 0), (2, 2, 1), (3, 2, 2), (4, 3, 2), (5, 3, 3), (7, 4, 4)] {
            assert_eq!((of(n).majority(), of(n).witnesses()), (majority, witnesses), "of {n}");
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
        assert_eq!(values(&[7]), 7);
        assert_eq!(values(&[9, 4]), 4);
        assert_eq!(values(&[9, 4, 6]), 6);
        assert_eq!(values(&[1, 9, 4, 6]), 4);
        assert_eq!(values(&[1, 9, 9, 9, 2]), 9);
    }
}
