//! The OpenAPI 3.1 description of the HTTP API.

mod operations;
mod schemas;

use std::sync::OnceLock;

use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::path::{HttpMethod, PathItem, PathsBuilder};

use super::routes::ROUTES;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Raft node",
        description = "A key-value store replicated by Raft. Any node takes any request: \
            a follower passes writes and linearizable reads on to the \
            leader itself. Errors are `application/problem+json`; what cannot be read as a \
            request is answered 400, and 431 or 414 where its head is too large, on every path."
    ),
    components(schemas(
        schemas::SetRequest,
        schemas::SetAnswer,
        schemas::DeleteRequest,
        schemas::DeleteAnswer,
        schemas::GetAnswer,
        schemas::Page,
        schemas::SessionRequest,
        schemas::SessionAnswer,
        schemas::TransferRequest,
        schemas::TransferAnswer,
        schemas::SnapshotRequest,
        schemas::SnapshotAnswer,
        schemas::Members,
        schemas::MemberRequest,
        schemas::MemberAnswer,
        schemas::Health,
        schemas::Role,
        schemas::Status,
        schemas::Member,
        schemas::Peer,
        schemas::Explanation,
        schemas::Reason,
        schemas::VoteRequest,
        schemas::VoteAnswer,
        schemas::AppendEntriesRequest,
        schemas::LogEntry,
        schemas::LogCommand,
        schemas::LogOperation,
        schemas::AppendEntriesAnswer,
        schemas::Problem,
        schemas::DashboardEvent,
        schemas::DashboardMember,
        schemas::DashboardReach,
    ))
)]
struct Components;

/// The document: made once, as it never changes.
pub(super) fn document() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_vec(&describe()).expect("a description in memory").into()).clone()
}

fn describe() -> utoipa::openapi::OpenApi {
    let mut api = Components::openapi();
    let mut paths = PathsBuilder::new();
    for route in &ROUTES {
        let method = match route.method {
            "GET" => HttpMethod::Get,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Post,
        };
        paths = paths.path(route.path, PathItem::new(method, operations::describe(route)));
    }
    api.paths = paths.build();
    api
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use raft_core::replica::{SnapshotPart, SnapshotProgress};
    use raft_core::types::{ClusterId, LogIndex, NodeId, StateHash, Term};
    use serde_json::Value;

    use super::*;
    use crate::http::problem::{Code, Problem};
    use crate::node::{
        AppendOutcome, Explanation, MemberStatus, Members, Pace, PeerStatus, Reason, Role, Status,
    };

    fn parsed() -> Value {
        serde_json::from_slice(&document()).unwrap()
    }

    fn names(object: &Value) -> BTreeSet<String> {
        object.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = parsed();
        assert_eq!(document["openapi"], "3.1.0");
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| names(item).into_iter().map(move |method| format!("{method} {path}")))
            .collect();
        let routes =
            ROUTES.iter().map(|route| format!("{} {}", route.method.to_lowercase(), route.path)).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let text = String::from_utf8(document().to_vec()).unwrap();
        let used: BTreeSet<String> = text
            .split("\"#/components/schemas/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect();
        assert_eq!(used, names(&parsed()["components"]["schemas"]));
    }

    #[test]
    fn operations_have_distinct_names_and_answers() {
        let document = parsed();
        let mut ids = BTreeSet::new();
        for route in &ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", route.path);
            assert!(operation["summary"].is_string());
            assert!(!names(&operation["responses"]).is_empty());
            let described = operation["parameters"].as_array().is_some_and(|all| {
                all.iter().any(|parameter| parameter["name"] == "key" && parameter["in"] == "path")
            });
            assert_eq!(described, route.path.contains("{key}"));
        }
    }

    /// The fields of a real document are those of its schema, and those the schema requires are there.
    fn fits(document: &Value, schema: &str) {
        let api = parsed();
        let schema = &api["components"]["schemas"][schema];
        let (there, known) = (names(document), names(&schema["properties"]));
        assert!(there.is_subset(&known), "not described: {:?}", there.difference(&known));
        for required in schema["required"].as_array().unwrap() {
            assert!(there.contains(required.as_str().unwrap()), "not there: {required}");
        }
    }

    fn status() -> Status {
        let id = NodeId::new("a").unwrap();
        let peer = PeerStatus {
            match_index: LogIndex(1),
            next_index: LogIndex(2),
            agreed_index: LogIndex(1),
            last_contact_ms: None,
            reachable: true,
            state: "snapshot",
            snapshot: Some(SnapshotPart { index: LogIndex(9), bytes: 70 }),
        };
        Status {
            node_id: id.clone(),
            state: Role::PreCandidate,
            term: Term(1),
            leader_id: None,
            leader_address: None,
            voted_for: None,
            commit_index: LogIndex(1),
            last_applied: LogIndex(1),
            applied_hash: StateHash(1),
            last_log_index: LogIndex(1),
            last_log_term: Term(1),
            log_length: 1,
            snapshot_index: LogIndex(0),
            first_log_index: LogIndex(1),
            keys: 0,
            uptime_ms: 1500,
            version: "1",
            cluster_id: Some(ClusterId(1)),
            failed: None,
            diverged_index: None,
            members: vec![MemberStatus {
                node_id: id.clone(),
                address: "h:1".into(),
                role: "voter",
                priority: 0,
            }],
            snapshots: SnapshotProgress {
                taken: 4,
                bytes: 1000,
                took: Duration::from_millis(250),
                problem: Some("no room".to_owned()),
                receiving: Some(SnapshotPart { index: LogIndex(9), bytes: 71 }),
                ..SnapshotProgress::default()
            },
            peers: BTreeMap::from([(id, peer)]),
        }
    }

    #[test]
    fn what_nodes_answer_fits_its_description() {
        let mut status_json = serde_json::to_value(status()).unwrap();
        fits(&status_json, "Status");
        fits(&status_json["members"][0], "Member");
        fits(&serde_json::to_value(Members::default()).unwrap(), "Members");
        fits(&status_json["peers"]["a"], "Peer");
        assert_eq!(status_json["applied_hash"], "0000000000000001");
        status_json["failed"] = "x".into();
        status_json["diverged_index"] = 64.into();
        fits(&status_json, "Status");
        let reason = Reason { code: "lagging", detail: "x".into(), node_id: None, advice: "y".into() };
        let explanation = Explanation { ok: false, summary: "x".into(), reasons: vec![reason] };
        let explanation = serde_json::to_value(explanation).unwrap();
        fits(&explanation, "Explanation");
        fits(&explanation["reasons"][0], "Reason");
        let outcome = AppendOutcome { term: Term(1), success: true, match_index: LogIndex(1) };
        fits(&serde_json::to_value(outcome).unwrap(), "AppendEntriesAnswer");
        let problem = Problem::new(Code::Timeout, "x").document();
        fits(&serde_json::from_slice(&problem).unwrap(), "Problem");
    }

    #[test]
    fn metrics_follow_the_status() {
        let metrics = crate::http::metrics::Metrics::new();
        metrics.count(Some(0), hyper::StatusCode::OK);
        metrics.count(None, hyper::StatusCode::NOT_FOUND);
        let text = metrics.render(&status(), &Pace::new(), 3);
        for line in [
            "raft_http_requests_total{method=\"POST\",route=\"/api/set\",status=\"2xx\"} 1",
            "raft_http_requests_total{method=\"other\",route=\"other\",status=\"4xx\"} 1",
            "raft_http_connections 3",
            "raft_is_leader 0",
            "raft_term 1",
            "raft_commit_index 1",
            "raft_diverged 0",
            "raft_peer_agreed_index{peer=\"a\"} 1",
            "raft_peer_snapshot_bytes{peer=\"a\"} 70",
            "raft_snapshot_receiving_bytes 71",
            "raft_snapshots_taken 4",
            "raft_longest_turn_seconds 0.0",
            "raft_turn_seconds_count 0",
            "raft_uptime_seconds 1.5",
            "raft_snapshot_bytes 1000",
            "raft_snapshot_taking 0",
            "raft_snapshot_failed 1",
            "raft_snapshot_seconds 0.25",
            "raft_node_info{node_id=\"a\",version=\"1\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
