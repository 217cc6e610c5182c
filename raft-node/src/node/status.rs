//! What a node shows of itself.

use std::collections::BTreeMap;
use std::time::Instant;

use raft_core::consensus::progress::{Pace, Progress};
use raft_core::kv;
use raft_core::replica::{Replica, Role, SnapshotPart, SnapshotProgress};
use raft_core::types::{LogIndex, NodeId, StateHash, Term, Time};

use super::{Members, Node, PeerStatus, Status, members};
use crate::config::Config;
use crate::error::RequestError;
use crate::transport::LinkStates;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn of(node: &Node, replica: &Replica, states: &LinkStates, now: Time) -> Status {
    let (config, consensus) = (node.config(), replica.consensus());
    let log = consensus.log();
    let configuration = consensus.configuration();
    Status {
        node_id: config.node_id.clone(),
        state: consensus.role(),
        term: consensus.term(),
        leader_id: consensus.leader().cloned(),
        leader_address: consensus.leader().map(|leader| members::address_of(config, configuration, leader)),
        voted_for: consensus.hard_state().voted_for.clone(),
        commit_index: consensus.commit_index(),
        last_applied: replica.last_applied(),
        applied_hash: replica.applied_hash(),
        last_log_index: log.last_index(),
        last_log_term: log.last_term(),
        log_length: log.last_index().0 - log.base().index.0,
        snapshot_index: replica.snapshots().index,
        first_log_index: log.first_index(),
        keys: keys(replica),
        uptime_ms: millis(now),
        version: VERSION,
        cluster_id: consensus.cluster_id(),
        failed: replica.failed().map(ToOwned::to_owned),
        diverged_index: replica.diverged().map(|divergence| divergence.index),
        members: members::of_replica(config, replica).members,
        snapshots: replica.snapshots(),
        peers: peers(replica, states, now),
    }
}

/// Of a node whose thread has ended.
pub(super) fn of_stopped(
    config: &Config,
    members: Members,
    origin: Instant,
    reason: &RequestError,
) -> Status {
    Status {
        node_id: config.node_id.clone(),
        state: Role::Follower,
        term: Term(0),
        leader_id: None,
        leader_address: None,
        voted_for: None,
        commit_index: LogIndex::ZERO,
        last_applied: LogIndex::ZERO,
        applied_hash: StateHash::default(),
        last_log_index: LogIndex::ZERO,
        last_log_term: Term(0),
        log_length: 0,
        snapshot_index: LogIndex::ZERO,
        first_log_index: LogIndex::ZERO,
        keys: 0,
        uptime_ms: u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX),
        version: VERSION,
        cluster_id: None,
        failed: Some(reason.to_string()),
        diverged_index: None,
        members: members.members,
        snapshots: SnapshotProgress::default(),
        peers: BTreeMap::new(),
    }
}

fn keys(replica: &Replica) -> u64 {
    let nothing = kv::Query::List { prefix: String::new(), after: None, limit: 0, values: false };
    match kv::QueryAnswer::decode(&replica.query_machine(&nothing.encode())) {
        kv::QueryAnswer::Page(page) => page.keys,
        _ => 0,
    }
}

fn millis(time: Time) -> u64 {
    time.as_micros() / 1000
}

fn peers(replica: &Replica, states: &LinkStates, now: Time) -> BTreeMap<NodeId, PeerStatus> {
    let Some(leadership) = replica.consensus().leadership() else { return BTreeMap::new() };
    let peer = |(id, progress): (&NodeId, &Progress)| {
        let contact = now.since(progress.last_contact).as_millis();
        let status = PeerStatus {
            match_index: progress.match_index,
            next_index: progress.next_index,
            agreed_index: replica.agreed_index(id),
            last_contact_ms: progress.answered.then(|| u64::try_from(contact).unwrap_or(u64::MAX)),
            reachable: states.of(id).connected,
            state: match progress.pace {
                Pace::Probe { .. } => "probe",
                Pace::Replicate(_) => "replicate",
                Pace::Snapshot(_) => "snapshot",
            },
            snapshot: progress.installing().map(|installing| SnapshotPart {
                index: installing.snapshot.index,
                bytes: installing.acknowledged,
            }),
        };
        (id.clone(), status)
    };
    leadership.progress().iter().map(peer).collect()
}
