//! The HTTP API of a running node, and the client over it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use raft_node::client::{Client, ClientConfig, ClientError, Consistency, ListOptions, Value};
use raft_node::config::Storage;
use raft_node::core::types::NodeId;
use raft_node::{Config, Node};
use serde_json::{Value as Json, json};

struct Running {
    node: Node,
    address: String,
    runtime: tokio::runtime::Runtime,
}

/// What a node answered.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Running {
    /// A cluster of one node that has elected itself.
    fn start() -> Running {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (id, address) = (NodeId::new("node_0").unwrap(), format!("127.0.0.1:{port}"));
        let mut config = Config::new(id.clone(), port);
        config.peers = BTreeMap::from([(id, address.clone())]);
        config.storage = Storage::Ephemeral;
        config.max_value_bytes = 1 << 20;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let running = Running { node: Node::start(config).unwrap(), address, runtime };
        let deadline = Instant::now() + Duration::from_secs(10);
        while running.get("/health").status != 200 {
            assert!(Instant::now() < deadline, "no leader: {}", running.get("/api/why").text());
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    /// Sends these bytes, and reads until the node closes.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: answer[end + 4..].to_vec() }
    }

    fn send(&self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\
             {headers}\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "", b"")
    }

    fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, "Content-Type: application/json\r\n", body.as_bytes())
    }

    fn post_with(&self, target: &str, headers: &str, body: &str) -> Answer {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.send("POST", target, &headers, body.as_bytes())
    }

    fn client(&self) -> Client {
        Client::new(ClientConfig { endpoints: vec![self.address.clone()], ..ClientConfig::default() })
            .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

#[test]
fn the_documented_requests() {
    let node = Running::start();
    let set = node.post("/api/set", r#"{"key":"name","value":"Raft Cluster"}"#).json();
    let revision = set["revision"].as_u64().unwrap();
    assert_eq!(set, json!({"success": true, "key": "name", "revision": revision}));
    let found = json!({"key": "name", "value": "Raft Cluster", "found": true, "revision": revision});
    for target in ["/api/get/name", "/api/get/name?consistency=stale", "/api/get/%6eame?timeout_ms=100"] {
        assert_eq!(node.get(target).json(), found, "{target}");
    }
    let listing = node.get("/api/state_machine").json();
    assert_eq!(listing, json!({"state_machine": {"name": "Raft Cluster"}, "revision": revision}));
    let deleted = node.post("/api/delete", r#"{"key":"name"}"#).json();
    assert_eq!(deleted, json!({"success": true, "key": "name", "deleted": true, "revision": revision + 1}));
    assert_eq!(node.get("/api/get/name").json(), json!({"key": "name", "value": null, "found": false}));
    let health = node.get("/health").json();
    let term = health["term"].as_u64().unwrap();
    let leader =
        json!({"status": "ok", "node_id": "node_0", "state": "leader", "leader_id": "node_0", "term": term});
    assert_eq!(health, leader);
    let status = node.get("/api/status").json();
    assert_eq!((&status["state"], &status["leader_address"]), (&json!("leader"), &json!(node.address)));
    let hash = status["applied_hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    assert!(node.get("/metrics").text().contains("\nraft_diverged 0\n"));
    assert_eq!(node.get("/api/why").json()["ok"], true);
}

#[test]
fn values_and_keys_come_back_as_they_were_set() {
    let node = Running::start();
    for (key, value) in [
        ("number", "1.0"),
        ("big", "123456789012345678901234567890.5e400"),
        ("object", "{ \"a\" : [1, null, true] }"),
        ("a/b c?d#e%", "\"slashes\""),
        ("ключ", "\"\\u00e9\\ud83d\\ude00\""),
        ("\u{0}\n", "\"\""),
    ] {
        let name = serde_json::to_string(key).unwrap();
        let set = node.post("/api/set", &format!("{{\"key\":{name},\"value\":{value}}}"));
        assert_eq!(set.status, 200, "{}", set.text());
        let path: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let got = node.get(&format!("/api/get/{path}")).text();
        assert!(got.contains(&format!("\"value\":{value},")), "{got}");
    }
    assert_eq!(node.get("/api/get/a/b%20c%3Fd%23e%25").json()["found"], true, "a slash may stand as it is");
}

#[test]
fn bytes_are_bytes_at_every_door() {
    let node = Running::start();
    node.post("/api/set", r#"{"key":"blob","value":{"$base64":"AP8="}}"#);
    let raw = node.get("/api/raw/blob");
    assert_eq!((raw.status, raw.body.as_slice()), (200, &[0, 255][..]));
    assert!(raw.head.contains("content-type: application/octet-stream"), "{}", raw.head);
    assert!(raw.head.contains("raft-revision: "), "{}", raw.head);
    assert_eq!(node.get("/api/get/blob").json()["value"], json!({"$base64": "AP8="}));
    let put = node.send("PUT", "/api/raw/text", "Content-Type: application/octet-stream\r\n", b"hi\"");
    assert_eq!(put.json()["success"], true);
    assert_eq!(node.get("/api/get/text").json()["value"], "hi\"");
    assert_eq!(
        node.get("/api/state_machine?bytes=base64").json()["state_machine"]["text"]["$base64"],
        "aGki"
    );
    let put = node.send("PUT", "/api/raw/json", "Content-Type: application/json\r\n", b" [1] ");
    assert_eq!(put.status, 200);
    let raw = node.get("/api/raw/json");
    assert_eq!(raw.text(), "[1]");
    assert!(raw.head.contains("content-type: application/json"), "{}", raw.head);
    let missing = node.get("/api/raw/missing");
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("not_found")));
}

const AS_JSON: &str = "Content-Type: application/json\r\n";
const AS_TEXT: &str = "Content-Type: text/plain\r\n";
const NUMBERED: &str = "Content-Type: application/json\r\nIdempotency-Sequence: 1\r\n";
const SET: &str = r#"{"key":"k","value":1}"#;
const VOTE: &str =
    r#"{"term":18446744073709551615,"candidate_id":"eve","last_log_index":9,"last_log_term":9}"#;

const OLD_STREAM: &str = "upgrade: raft\r\nraft-version: 1\r\n";

/// Request line, headers and body; then the status, the code, and a part of the detail.
type Refusal = (&'static str, &'static str, &'static str, u16, &'static str, &'static str);

const REFUSALS: &[Refusal] = &[
    ("POST /api/set", AS_JSON, "{}", 400, "bad_request", "key"),
    ("POST /api/set", AS_JSON, r#"{"key":"","value":1}"#, 400, "bad_request", "empty"),
    ("POST /api/set", AS_JSON, r#"{"key":1,"value":1}"#, 400, "bad_request", "`key`"),
    ("POST /api/set?ttl=1", AS_JSON, SET, 400, "bad_request", "ttl"),
    ("POST /api/set?timeout_ms=0", AS_JSON, SET, 400, "bad_request", "timeout_ms"),
    ("POST /api/set", AS_TEXT, SET, 415, "unsupported_media_type", "text/plain"),
    ("POST /api/set", NUMBERED, SET, 400, "bad_request", "Idempotency-Key"),
    ("POST /api/delete", AS_JSON, r#"{"key":"a","x":1}"#, 400, "bad_request", "`x`"),
    ("GET /api/get/", "", "", 400, "bad_request", "empty"),
    ("GET /api/get/%zz", "", "", 400, "bad_request", "%"),
    ("GET /api/get/%ff", "", "", 400, "bad_request", "UTF-8"),
    ("GET /api/get/k?consistency=maybe", "", "", 400, "bad_request", "consistency"),
    ("GET /api/state_machine?limit=0", "", "", 400, "bad_request", "limit"),
    ("GET /api/status?x=1", "", "", 400, "bad_request", "\"x\""),
    ("GET /api/set", "", "", 405, "method_not_allowed", "POST"),
    ("PATCH /health", "", "", 405, "method_not_allowed", "GET"),
    ("GET /nothing", "", "", 404, "not_found", "openapi"),
    ("GET /raft/stream", "", "", 400, "bad_request", "Upgrade"),
    (
        "GET /raft/stream",
        OLD_STREAM,
        "",
        400,
        "bad_request",
        "version \"1\" of the stream, this node version 3",
    ),
    ("POST /api/vote", AS_JSON, VOTE, 403, "forbidden", "eve"),
    ("POST /api/vote", AS_JSON, r#"{"term":1}"#, 400, "bad_request", "candidate_id"),
    ("POST /api/append_entries", AS_JSON, "[]", 400, "bad_request", "object"),
];

fn check_refusal(node: &Running, (line, headers, body, status, code, part): Refusal) {
    let (method, target) = line.split_once(' ').unwrap();
    let answer = node.send(method, target, headers, body.as_bytes());
    assert_eq!(answer.status, status, "{line} {body}: {}", answer.text());
    assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(part), "{line}: {detail}");
    assert_eq!(answer.head.contains("\nallow: "), status == 405, "{}", answer.head);
}

#[test]
fn bad_requests_are_refused_by_name_and_change_nothing() {
    let node = Running::start();
    let before = node.get("/api/status").json();
    for refusal in REFUSALS {
        check_refusal(&node, *refusal);
    }
    let long_key = "k".repeat(4097);
    let long = node.post("/api/set", &format!(r#"{{"key":"{long_key}","value":1}}"#));
    assert_eq!((long.status, node.get(&format!("/api/get/{long_key}")).status), (413, 413));
    let after = node.get("/api/status").json();
    for field in ["term", "voted_for", "last_log_index", "commit_index", "keys"] {
        assert_eq!(before[field], after[field], "{field}");
    }
}

#[test]
fn large_values_fit_and_larger_ones_are_refused_in_words() {
    let node = Running::start();
    let text = "x".repeat((1 << 20) - 2);
    let fits = node.post("/api/set", &format!(r#"{{"key":"k","value":"{text}"}}"#));
    assert_eq!(fits.status, 200, "{}", fits.text());
    assert_eq!(node.get("/api/get/k").json()["value"], text);
    let value = "x".repeat((1 << 20) - 1);
    let just = node.post("/api/set", &format!(r#"{{"key":"k","value":"{value}"}}"#));
    assert_eq!(just.status, 413, "{}", just.text());
    // Its sender writes all of it before it reads.
    let far = node.post("/api/set", &format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(8 << 20)));
    assert_eq!((far.status, far.json()["code"].as_str()), (413, Some("too_large")));
    let wrong = node.send("POST", "/api/set", "Content-Type: text/plain\r\n", &vec![b'x'; 8 << 20]);
    assert_eq!(wrong.status, 415);
    let nested = format!(r#"{{"key":"k","value":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(node.post("/api/set", &nested).status, 400);
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn a_repeated_write_happens_once() {
    let node = Running::start();
    let key = "Idempotency-Key: 6f1c\r\n";
    let first = node.post_with("/api/set", key, r#"{"key":"k","value":1}"#).json();
    node.post("/api/set", r#"{"key":"k","value":2}"#);
    let again = node.post_with("/api/set", key, r#"{"key":"k","value":1}"#).json();
    assert_eq!(first["revision"], again["revision"]);
    assert_eq!(node.get("/api/get/k").json()["value"], 2);
    let other = node.post_with("/api/set", key, r#"{"key":"other","value":1}"#);
    assert_eq!((other.status, other.json()["reason"].as_str()), (409, Some("command_differs")));
}

#[test]
fn numbered_writes_need_their_session_and_happen_once() {
    let node = Running::start();
    let headers = |number: u64, below: u64| {
        format!(
            "Idempotency-Key: s1\r\nIdempotency-Sequence: {number}\r\nIdempotency-Answered-Below: {below}\r\n"
        )
    };
    let body = r#"{"key":"k","value":1}"#;
    let early = node.post_with("/api/set", &headers(1, 0), body);
    assert_eq!((early.status, early.json()["reason"].as_str()), (409, Some("session_expired")));
    for _ in 0..2 {
        assert_eq!(node.post("/api/session", r#"{"client":"s1"}"#).json(), json!({"success": true}));
    }
    let first = node.post_with("/api/set", &headers(1, 0), body).json();
    let again = node.post_with("/api/set", &headers(1, 0), body).json();
    assert_eq!(first, again);
    assert_eq!(node.post_with("/api/delete", &headers(2, 2), r#"{"key":"k"}"#).json()["deleted"], true);
    let late = node.post_with("/api/set", &headers(1, 0), body);
    assert_eq!((late.status, late.json()["reason"].as_str()), (409, Some("sequence_reused")));
    assert_eq!(node.get("/api/get/k").json()["found"], false);
}

#[test]
fn listings_are_paged() {
    let node = Running::start();
    for name in ["a/1", "a/2", "a/3", "b"] {
        node.post("/api/set", &format!(r#"{{"key":"{name}","value":0}}"#));
    }
    let page = node.get("/api/state_machine?prefix=a/&limit=2").json();
    assert_eq!(page["state_machine"], json!({"a/1": 0, "a/2": 0}));
    assert_eq!((&page["more"], &page["after"]), (&json!(true), &json!("a/2")));
    let rest = node.get("/api/state_machine?prefix=a/&limit=2&after=a%2F2").json();
    assert_eq!(rest["state_machine"], json!({"a/3": 0}));
    assert!(rest.get("more").is_none() && rest.get("after").is_none());
    let keys = node.get("/api/state_machine?values=false&consistency=stale").json();
    assert_eq!(keys["keys"], json!(["a/1", "a/2", "a/3", "b"]));
}

#[test]
fn descriptions_and_metrics() {
    let node = Running::start();
    node.post("/api/set", r#"{"key":"k","value":1}"#);
    let api = node.get("/openapi.json").json();
    assert_eq!(api["openapi"], "3.1.0");
    let metrics = node.get("/metrics");
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let text = metrics.text();
    let line = "raft_http_requests_total{method=\"POST\",route=\"/api/set\",status=\"2xx\"} 1";
    assert!(text.lines().any(|found| found == line), "{text}");
    assert!(text.contains("\nraft_is_leader 1\n") && text.contains("\nraft_keys 1\n"), "{text}");
    let head = node.send("HEAD", "/api/get/k", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(node.get("/").text().starts_with("<!doctype html>"));
}

#[test]
fn figure_2_is_answered_by_the_consensus_core() {
    let node = Running::start();
    let term = node.get("/health").json()["term"].as_u64().unwrap();
    let vote = r#"{"term":0,"candidate_id":"node_0","last_log_index":0,"last_log_term":0}"#;
    let answer = node.post("/api/vote", vote);
    assert!(answer.status == 403 || answer.json()["vote_granted"] == false, "{}", answer.text());
    let append =
        r#"{"term":0,"leader_id":"eve","prev_log_index":0,"prev_log_term":0,"entries":[],"leader_commit":0}"#;
    assert_eq!(node.post("/api/append_entries", append).status, 403);
    assert_eq!(node.get("/health").json()["term"], term);
}

#[test]
fn noise_and_idle_connections_do_no_harm() {
    let node = Running::start();
    let mut idle = Vec::new();
    for turn in 0..2000_u32 {
        let Ok(mut stream) = TcpStream::connect(&node.address) else { break };
        if turn % 4 == 0 {
            let noise: Vec<u8> = (0..64).map(|byte: u32| (byte * 7 + turn * 13) as u8).collect();
            let _ = stream.write_all(&noise);
        }
        idle.push(stream);
    }
    assert!(idle.len() > 500, "{}", idle.len());
    assert_eq!(node.post("/api/set", r#"{"key":"k","value":1}"#).status, 200);
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn the_client_over_a_running_node() {
    let node = Running::start();
    node.runtime.block_on(use_the_client(&node, node.client()));
}

async fn use_the_client(node: &Running, client: Client) {
    let first = client.set("a", "{\"x\": 1.0}").await.unwrap();
    let second = client.set_bytes("b/é", vec![0, 255]).await.unwrap();
    assert!(second.revision > first.revision);
    let item = client.get("a").await.unwrap().unwrap();
    assert_eq!((item.value, item.revision), (Value::Json("{\"x\": 1.0}".into()), first.revision));
    assert_eq!(client.get("b/é").await.unwrap().unwrap().value, Value::Bytes(vec![0, 255].into()));
    assert_eq!(client.get("c").await.unwrap(), None);
    let page = client.list(&ListOptions { limit: Some(1), ..ListOptions::default() }).await.unwrap();
    assert_eq!(page.entries, [("a".to_owned(), Some(Value::Json("{\"x\": 1.0}".into())))]);
    assert!(page.more);
    assert_eq!(client.keys("").await.unwrap(), ["a", "b/é"]);
    assert!(client.delete("a").await.unwrap().deleted);
    assert!(!client.delete("a").await.unwrap().deleted);
    assert_eq!(client.status().await.unwrap().keys, 1);
    assert_eq!(client.status_of_all().await[0].status.as_ref().unwrap().state, "leader");
    assert_eq!(client.health(&node.address).await.unwrap().leader_id.as_deref(), Some("node_0"));
    assert!(client.why().await.unwrap().ok);
    let large = client.set_bytes("k", vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert!(matches!(large, ClientError::Problem { status: 413, .. }), "{large:?}");
    node.node.stop().await;
    let client = client.with_timeout(Duration::from_millis(300)).with_consistency(Consistency::Stale);
    let gone = client.get("a").await.unwrap_err();
    assert!(matches!(gone, ClientError::Unreachable { .. }), "{gone:?}");
}

#[test]
fn the_recording_comes_as_a_stream() {
    let node = Running::start();
    node.post("/api/set", r#"{"key":"k","value":1}"#);
    let answer = node.get("/api/recording");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\ntransfer-encoding: chunked"), "{}", answer.head);
    assert!(answer.head.contains("filename=\"node_0.raftrec\""), "{}", answer.head);
    // Without its last chunk it would not be whole.
    assert!(answer.body.ends_with(b"\r\n0\r\n\r\n"));
    let head = node.send("HEAD", "/api/recording", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    node.runtime.block_on(async {
        let mut download = node.client().recording().await.unwrap();
        assert_eq!(download.node_id().map(NodeId::as_str), Some("node_0"));
        let mut bytes = 0;
        while let Some(some) = download.next().await.unwrap() {
            bytes += some.len();
        }
        assert!(bytes > 500, "{bytes}");
        let readers = [node.node.recording().await.unwrap(), node.node.recording().await.unwrap()];
        let busy = node.client().recording().await.unwrap_err();
        assert!(matches!(busy, ClientError::Problem { status: 429, .. }), "{busy:?}");
        drop(readers);
        assert!(node.client().recording().await.is_ok());
    });
}

#[test]
fn a_recording_that_breaks_off_is_not_taken_for_a_whole_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1000]).unwrap();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                    Content-Disposition: attachment; filename=\"../x.raftrec\"\r\n\r\n";
        stream.write_all(format!("{head}4\r\npart\r\n").as_bytes()).unwrap();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoints = vec![address];
        let client = Client::new(ClientConfig { endpoints, ..ClientConfig::default() }).unwrap();
        let mut download = client.recording().await.unwrap();
        assert_eq!(download.node_id(), None, "no node has such a name");
        assert_eq!(download.next().await.unwrap().unwrap(), "part");
        let error = download.next().await.unwrap_err();
        assert!(error.to_string().contains("broke off"), "{error}");
    });
    node.join().unwrap();
}
