//! Counters and gauges for Prometheus.

use std::sync::atomic::AtomicU64;

use hyper::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use raft_core::replica::SnapshotProgress;
use raft_core::types::NodeId;

use super::routes::ROUTES;
use crate::node::{Pace, Role, Status};

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NodeLabels {
    node_id: String,
    version: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

/// What is counted while the server runs.
pub(super) struct Metrics {
    family: Family<RequestLabels, Counter>,
    /// By route, then by class of status; the last row is for requests that no route fits. Looked up once
    /// here, so that a request costs one addition.
    requests: Vec<[Counter; 5]>,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let family = Family::<RequestLabels, Counter>::default();
        let known = ROUTES.iter().map(|route| (route.method, route.path));
        let requests = known
            .chain([("other", "other")])
            .map(|(method, route)| {
                CLASSES.map(|status| family.get_or_create_owned(&RequestLabels { method, route, status }))
            })
            .collect();
        Metrics { family, requests }
    }

    /// Counts a request by its route's position in [`ROUTES`].
    pub(super) fn count(&self, route: Option<usize>, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        if let Some(row) = self.requests.get(route.unwrap_or(ROUTES.len())) {
            row[class].inc();
        }
    }

    /// The text of `/metrics`.
    pub(super) fn render(&self, status: &Status, pace: &Pace, connections: usize) -> String {
        let mut registry = Registry::with_prefix("raft");
        registry.register(
            "http_requests",
            "Requests answered, by route and class of status",
            self.family.clone(),
        );
        let info = Family::<NodeLabels, Gauge>::default();
        let labels = NodeLabels { node_id: status.node_id.to_string(), version: status.version };
        info.get_or_create(&labels).set(1);
        registry.register("node_info", "Always 1: which node this is", info);
        let mut gauge = |name: &str, help: &str, value: u64| gauge(&mut registry, name, help, value);
        gauge("http_connections", "Open connections of clients", connections as u64);
        gauge("term", "The latest term this node has seen", status.term.0);
        gauge("is_leader", "1 on the leader", u64::from(status.state == Role::Leader));
        gauge("has_leader", "1 where this node knows a leader", u64::from(status.leader_id.is_some()));
        gauge("failed", "1 where this node has stopped working", u64::from(status.failed.is_some()));
        gauge(
            "diverged",
            "1 where its state was not the others'",
            u64::from(status.diverged_index.is_some()),
        );
        gauge("commit_index", "The highest log index known to be committed", status.commit_index.0);
        gauge("last_applied", "The highest log index applied", status.last_applied.0);
        gauge("last_log_index", "The highest log index present", status.last_log_index.0);
        gauge("snapshot_index", "The last log index covered by a snapshot", status.snapshot_index.0);
        gauge("snapshots_taken", "Snapshots that this process has taken", status.snapshots.taken);
        gauge("log_length", "Entries in the log", status.log_length);
        gauge("keys", "Keys in the store", status.keys);
        gauge("members", "Members of the cluster", status.members.len() as u64);
        tell_of_snapshots(&mut registry, &status.snapshots);
        follow_snapshots(&mut registry, status);
        time_turns(&mut registry, pace);
        of_peers(
            &mut registry,
            "peer_agreed_index",
            "On the leader, the highest log index at which a follower's state was found to be its own",
            status.peers.iter().map(|(peer, follows)| (peer, follows.agreed_index.0)),
        );
        seconds(
            &mut registry,
            "uptime_seconds",
            "Seconds since the node started",
            status.uptime_ms as f64 / 1000.0,
        );
        self.finish(&registry)
    }

    fn finish(&self, registry: &Registry) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing into a String has no way to fail.
        let _ = encode(&mut text, registry);
        text
    }
}

/// How far snapshots have come that are on their way between nodes.
fn follow_snapshots(registry: &mut Registry, status: &Status) {
    gauge(
        registry,
        "snapshot_receiving_bytes",
        "Of the snapshot that a leader is sending, how much is here; 0 where none is",
        status.snapshots.receiving.map_or(0, |part| part.bytes),
    );
    of_peers(
        registry,
        "peer_snapshot_bytes",
        "On the leader, how much of the snapshot that it is sending to a follower is durable there",
        status.peers.iter().filter_map(|(peer, follows)| Some((peer, follows.snapshot?.bytes))),
    );
}

fn time_turns(registry: &mut Registry, pace: &Pace) {
    seconds(
        registry,
        "longest_turn_seconds",
        "The longest time that the replica's thread was busy with one turn, since the node started",
        pace.longest().as_secs_f64(),
    );
    seconds(
        registry,
        "longest_lateness_seconds",
        "The longest time that the replica's clock was kept waiting, since the node started",
        pace.latest().as_secs_f64(),
    );
    let help = "How long the turns of the replica's thread took";
    registry.register("turn_seconds", help, pace.turns.clone());
}

fn tell_of_snapshots(registry: &mut Registry, snapshots: &SnapshotProgress) {
    let mut gauge = |name: &str, help: &str, value: u64| gauge(registry, name, help, value);
    gauge("snapshot_bytes", "The length of the last snapshot that this process took", snapshots.bytes);
    gauge("snapshot_taking", "1 while a snapshot is being taken", u64::from(snapshots.taking.is_some()));
    gauge(
        "snapshot_failed",
        "1 where the last snapshot could not be written",
        u64::from(snapshots.problem.is_some()),
    );
    seconds(registry, "snapshot_seconds", "Seconds that the last of them took", snapshots.took.as_secs_f64());
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn of_peers<'a>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a NodeId, u64)>,
) {
    let gauges = Family::<PeerLabels, Gauge<u64, AtomicU64>>::default();
    for (peer, value) in values {
        gauges.get_or_create(&PeerLabels { peer: peer.to_string() }).set(value);
    }
    registry.register(name, help, gauges);
}

fn seconds(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}
