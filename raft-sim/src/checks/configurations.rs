//! Who belongs to the cluster is what the log says (paper §6): each server goes by the latest configuration
//! in its log, committed or not. One follows from another in one of two ways: the voters stay, or a joint
//! configuration lies between. And a leader begins a change only when the one before is committed, and an
//! entry of its own term (the fault of single-server changes that was found in 2015 is that it did without).

use std::collections::BTreeSet;

use raft_core::consensus::Configuration;
use raft_core::entry::{Entry, Payload};
use raft_core::replica::Role;
use raft_core::types::{LogIndex, NodeId};

use super::Server;
use super::leader_completeness::LeaderCompleteness;

/// The configurations of each server's log.
pub(crate) struct Configurations {
    in_log: Vec<Vec<(LogIndex, Configuration)>>,
}

pub(super) fn brought_by(entry: &Entry) -> Option<&Configuration> {
    match &entry.payload {
        Payload::Genesis(genesis) => Some(&genesis.configuration),
        Payload::Configuration(configuration) => Some(configuration),
        _ => None,
    }
}

fn voters(configuration: &Configuration) -> BTreeSet<&NodeId> {
    configuration.voters().collect()
}

/// Whether a configuration may follow another (paper §6).
fn may_follow(before: &Configuration, after: &Configuration) -> bool {
    if after.is_joint() {
        !before.is_joint() && voters(before).into_iter().eq(after.outgoing())
    } else {
        voters(before) == voters(after)
    }
}

impl Configurations {
    pub(crate) fn new(servers: usize) -> Configurations {
        Configurations { in_log: vec![Vec::new(); servers] }
    }

    /// A server starts with another log than it had.
    pub(crate) fn starts(&mut self, at: usize) {
        self.in_log[at].clear();
    }

    /// The server's log is as before up to `kept`.
    pub(crate) fn check(&mut self, server: &Server<'_>, kept: LogIndex, committed: &LeaderCompleteness) {
        let consensus = server.replica.consensus();
        let (id, log, known) = (consensus.id(), consensus.log(), &mut self.in_log[server.at]);
        let base = log.first_index().prev();
        let has_started = known.is_empty();
        known.retain(|(index, _)| *index <= kept);
        if known.last().is_none_or(|(index, _)| *index <= base) && base > LogIndex::ZERO {
            // A snapshot has it.
            let before = usize::try_from(base.0).expect("fits");
            let entries = committed.committed().iter().take(before).rev();
            let mut brought =
                entries.filter_map(|(entry, _)| Some((entry.index, brought_by(entry)?.clone())));
            known.clear();
            known.extend(brought.next());
        }
        // One that has just started is looked at from its beginning on.
        let from = if has_started { base } else { kept.max(base) };
        for entry in log.range(from.next()..=log.last_index()) {
            let Some(brought) = brought_by(entry) else { continue };
            if let Some((before_at, before)) = known.last() {
                let may = may_follow(before, brought);
                assert!(may, "Configuration Change: {id} goes from {before:?} straight to {brought:?}");
                if consensus.role() == Role::Leader && entry.term == consensus.term() {
                    let committed_at = consensus.commit_index();
                    let is_settled =
                        *before_at <= committed_at && log.term_at(committed_at) == Some(consensus.term());
                    assert!(
                        is_settled,
                        "Configuration Change: {id} begins one at {} when {committed_at} is committed, and \
                         the last one stands at {before_at}",
                        entry.index
                    );
                }
            }
            known.push((entry.index, brought.clone()));
        }
        let is_restoring = server.replica.last_applied() < base;
        if is_restoring && !consensus.knows_configuration() {
            // Until it has read its snapshot it may vote and follow, no more.
            let is_modest = matches!(consensus.role(), Role::Follower | Role::Learner);
            return assert!(is_modest, "Latest Configuration: {id} stands without knowing who votes");
        }
        if let Some((index, latest)) = known.last() {
            let is_in_force =
                consensus.configuration_index() == *index && consensus.configuration() == latest;
            assert!(
                is_in_force,
                "Latest Configuration: {id} goes by that of {}, its log has {latest:?} at {index}",
                consensus.configuration_index()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &str) -> Configuration {
        Configuration::new(names.split(' ').map(|name| NodeId::new(name).expect("valid")))
    }

    #[test]
    fn voters_do_not_change_at_once() {
        assert!(may_follow(&of("a b c"), &of("a b c")));
        assert!(!may_follow(&of("a b c"), &of("a b c d")));
        assert!(!may_follow(&of("a b c"), &of("a b")));
    }
}
