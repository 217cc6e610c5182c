//! A leader whose disk does not answer hands over, or steps down (hashicorp/raft #503: one that went on
//! leading kept its cluster from having a leader that could work).

use raft_core::replica::{Replica, Role};
use raft_core::types::Time;

/// Panics where a server leads others though its disk has owed it an answer since long. It looks whenever its
/// clock calls, which for a leader is with every heartbeat at the latest.
pub(crate) fn check(replica: &Replica, owes_since: Option<Time>, now: Time) {
    let consensus = replica.consensus();
    let Some(since) = owes_since.filter(|_| consensus.role() == Role::Leader) else { return };
    let timing = consensus.timing();
    let longest = timing.election_timeout_max * 2 + timing.heartbeat_interval;
    // Nor was there anybody before a second voter that has just been added.
    let (_, committed) = consensus.configuration_at(consensus.commit_index());
    let is_alone = [consensus.configuration(), committed].iter().any(|known| known.voters().count() == 1);
    assert!(
        is_alone || now.since(since) <= longest,
        "Hung Disk: {} leads term {}, and its disk has not answered for {:?}",
        consensus.id(),
        consensus.term(),
        now.since(since)
    );
}
