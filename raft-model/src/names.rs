//! Servers by number, and all ways to rename them.

use raft_core::types::NodeId;

/// A server: its place in the cluster, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u8);

impl Place {
    /// For indexing.
    #[must_use]
    pub fn at(self) -> usize {
        usize::from(self.0)
    }

    /// Its name: `n1` and on.
    #[must_use]
    pub fn id(self) -> NodeId {
        NodeId::new(&self.to_string()).expect("a letter and a number")
    }

    /// The server of that name.
    #[must_use]
    pub fn of(id: &NodeId) -> Place {
        let number: u8 = id.as_str()[1..].parse().expect("a letter and a number");
        Place(number - 1)
    }

    /// All servers of a cluster.
    pub fn all(servers: u8) -> impl DoubleEndedIterator<Item = Place> + Clone {
        (0..servers).map(Place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0 + 1)
    }
}

/// One way to rename the servers: who gets which number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renaming(Vec<u8>);

impl Renaming {
    /// The number a server gets.
    pub(crate) fn of(&self, place: Place) -> u8 {
        self.0[place.at()]
    }

    /// All renamings of so many servers; the first leaves everything as it is. Servers start alike and
    /// follow the same rules, so states that a renaming makes equal have futures that it makes equal.
    pub(crate) fn all(servers: u8) -> Vec<Renaming> {
        let mut all = vec![vec![]];
        for next in 0..servers {
            all = all
                .into_iter()
                .flat_map(|shorter: Vec<u8>| {
                    (0..=shorter.len()).rev().map(move |at| {
                        let mut longer = shorter.clone();
                        longer.insert(at, next);
                        longer
                    })
                })
                .collect();
        }
        all.into_iter().map(Renaming).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_renamings_are_there_once_and_the_first_changes_nothing() {
        let all = Renaming::all(3);
        assert_eq!(all[0], Renaming(vec![0, 1, 2]));
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|renaming| renaming.0.clone()).collect();
        assert_eq!((all.len(), distinct.len()), (6, 6));
        assert_eq!(Renaming::all(4).len(), 24);
    }

    #[test]
    fn names_lead_back() {
        assert!(Place::all(5).all(|place| Place::of(&place.id()) == place));
    }
}
