//! The dashboard as it is served: by a node and alone, to pages that may have it and to those that may not.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use raft_node::client::ClientConfig;
use raft_node::config::Storage;
use raft_node::core::types::NodeId;
use raft_node::dashboard::Alone;
use raft_node::{Config, Node};
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A member of a cluster of two, of which the other one is not there: `address` of the other.
struct Lonely {
    node: Node,
    port: u16,
    other: String,
    runtime: Runtime,
}

impl Lonely {
    fn start() -> Lonely {
        let (port, other) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let id = |text| NodeId::new(text).unwrap();
        let mut config = Config::new(id("node_0"), port);
        config.peers =
            BTreeMap::from([(id("node_0"), format!("127.0.0.1:{port}")), (id("node_1"), other.clone())]);
        config.storage = Storage::Ephemeral;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Lonely { node: Node::start(config).unwrap(), port, other, runtime }
    }
}

impl Drop for Lonely {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

fn send(port: u16, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Head in lower case, and body.
fn ask(port: u16, method: &str, target: &str, headers: &str, body: &str) -> (String, String) {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}"
    );
    let mut answer = String::new();
    send(port, &request).read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn watch_events(port: u16) -> TcpStream {
    send(port, "GET /api/dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Reads events until one fits.
fn event(stream: &mut TcpStream, fits: impl Fn(&Json) -> bool) -> Json {
    let (mut text, deadline) = (String::new(), Instant::now() + PATIENCE);
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the stream ended: {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            if let Some(found) = serde_json::from_str(line).ok().filter(&fits) {
                return found;
            }
        }
    }
    panic!("no such event in {text}");
}

#[test]
fn a_node_serves_the_page_under_a_strict_policy() {
    let lonely = Lonely::start();
    let (head, body) = ask(lonely.port, "GET", "/", "", "");
    assert!(head.starts_with("http/1.1 200") && body.starts_with("<!doctype html>"), "{head}");
    for line in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "x-frame-options: deny",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in\n{head}");
    }
    let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.split("; ").any(|found| found == part), "{part} is not in {policy}");
    }
    assert!(policy.contains(&format!("http://{}", lonely.other)), "{policy}");
    let (head, _) = ask(lonely.port, "GET", "/dashboard/main.js", "", "");
    assert!(head.contains("content-type: text/javascript"), "{head}");
    assert!(ask(lonely.port, "GET", "/dashboard/none.js", "", "").0.starts_with("http/1.1 404"));
}

#[test]
fn the_stream_tells_who_is_there_and_why_there_is_no_leader() {
    let lonely = Lonely::start();
    let mut stream = watch_events(lonely.port);
    let found = event(&mut stream, |event| {
        let [own, other] = [&event["members"][0], &event["members"][1]];
        other["reach"] == "down" && own["why"]["reasons"][0]["code"].is_string()
    });
    assert_eq!(found["served_by"], "node_0");
    let [own, other] = [&found["members"][0], &found["members"][1]];
    assert_eq!((&own["node_id"], &own["reach"]), (&"node_0".into(), &"up".into()));
    assert_eq!(own["status"]["leader_id"], Json::Null);
    assert!(own["age_ms"].as_u64().unwrap() < 5000);
    assert_eq!((&other["address"], &other["status"]), (&lonely.other.clone().into(), &Json::Null));
    assert!(other["error"].as_str().unwrap().contains("refused"), "{other}");
}

#[test]
fn a_member_that_takes_connections_and_says_nothing_is_silent() {
    let lonely = Lonely::start();
    // Its kernel accepts; nobody answers.
    let _deaf = TcpListener::bind(&lonely.other).unwrap();
    event(&mut watch_events(lonely.port), |event| event["members"][1]["reach"] == "silent");
}

#[test]
fn the_places_for_viewers_are_bounded_and_given_back() {
    let lonely = Lonely::start();
    let mut viewers: Vec<TcpStream> = (0..64).map(|_| watch_events(lonely.port)).collect();
    for viewer in &mut viewers {
        event(viewer, |_| true);
    }
    let (head, body) = ask(lonely.port, "GET", "/api/dashboard/events", "", "");
    assert!(head.starts_with("http/1.1 429") && body.contains("overloaded"), "{head}\n{body}");
    drop(viewers);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = watch_events(lonely.port);
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        if &start == b"HTTP/1.1 200" {
            return;
        }
        assert!(Instant::now() < deadline, "no place was given back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stream_does_not_delay_the_nodes_stop() {
    let lonely = Lonely::start();
    let mut stream = watch_events(lonely.port);
    event(&mut stream, |_| true);
    lonely.runtime.block_on(lonely.node.stop());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "it was cut off instead of ended");
}

#[test]
fn only_members_pages_may_read_and_write() {
    let lonely = Lonely::start();
    let ours = format!("Origin: http://{}\r\n", lonely.other);
    let theirs = "Origin: http://evil.example\r\n";
    let wants = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let (head, _) = ask(lonely.port, "OPTIONS", "/api/set", &format!("{ours}{wants}"), "");
    let allowed = format!("access-control-allow-origin: http://{}", lonely.other);
    assert!(head.starts_with("http/1.1 204") && head.contains(&allowed), "{head}");
    let (head, _) = ask(lonely.port, "OPTIONS", "/api/set", &format!("{theirs}{wants}"), "");
    assert!(head.starts_with("http/1.1 405") && !head.contains("access-control"), "{head}");
    let (head, _) = ask(lonely.port, "GET", "/api/status", &ours, "");
    assert!(head.contains(&allowed) && head.contains("vary: origin"), "{head}");
    let (head, _) = ask(lonely.port, "GET", "/api/status", theirs, "");
    assert!(!head.contains("access-control"), "{head}");
    let plain = format!("{theirs}Content-Type: text/plain\r\n");
    let (head, _) = ask(lonely.port, "POST", "/api/set", &plain, r#"{"key":"k","value":1}"#);
    assert!(head.starts_with("http/1.1 415"), "a page may send this without asking: {head}");
    let mut answer = String::new();
    let rebound = "GET /api/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    send(lonely.port, rebound).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("forbidden"), "{answer}");
}

/// A cluster of one that has elected itself, and a dashboard of it alone.
struct Pair {
    node: Node,
    port: u16,
    runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl Pair {
    fn start() -> Pair {
        let node_port = free_port();
        let (id, address) = (NodeId::new("node_0").unwrap(), format!("127.0.0.1:{node_port}"));
        let mut config = Config::new(id.clone(), node_port);
        config.peers = BTreeMap::from([(id, address.clone())]);
        config.storage = Storage::Ephemeral;
        let node = Node::start(config).unwrap();
        let dead = format!("127.0.0.1:{}", free_port());
        let port = free_port();
        let client = ClientConfig { endpoints: vec![dead, address], ..ClientConfig::default() };
        let alone = Alone::bind(port, client).unwrap();
        assert_eq!(alone.url(), format!("http://localhost:{port}"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(alone.serve(stopped));
        Pair { node, port, runtime, _stop: stop }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.stop());
    }
}

#[test]
fn alone_it_shows_its_nodes_and_passes_requests_on_to_one_that_lives() {
    let pair = Pair::start();
    let (head, body) = ask(pair.port, "GET", "/", "", "");
    assert!(body.starts_with("<!doctype html>") && head.contains("connect-src 'self';"), "{head}");
    let found = event(&mut watch_events(pair.port), |event| {
        event["members"][0]["reach"] == "down" && event["members"][1]["status"]["state"] == "leader"
    });
    assert_eq!((&found["served_by"], &found["members"][1]["node_id"]), (&Json::Null, &"node_0".into()));

    let json = "Content-Type: application/json\r\nIdempotency-Key: once\r\n";
    let set = r#"{"key":"a b","value":1.0}"#;
    let (head, first) = ask(pair.port, "POST", "/api/set?timeout_ms=9000", json, set);
    assert!(head.starts_with("http/1.1 200"), "{head}\n{first}");
    let (_, again) = ask(pair.port, "POST", "/api/set", json, set);
    assert_eq!(first, again, "the same write happened twice");
    let (head, body) = ask(pair.port, "GET", "/api/raw/a%20b", "", "");
    assert_eq!(body, "1.0");
    assert!(head.contains("raft-revision: ") && head.contains("content-type: application/json"), "{head}");
    let (_, body) = ask(pair.port, "GET", "/api/state_machine?prefix=a%20&limit=5", "", "");
    assert!(body.contains(r#"{"a b":1.0}"#), "{body}");
    let (head, body) = ask(pair.port, "GET", "/api/raw/none", "", "");
    assert!(head.starts_with("http/1.1 404") && body.contains("not_found"), "{head}\n{body}");
    let delete = "Content-Type: application/json\r\n";
    let (_, body) = ask(pair.port, "POST", "/api/delete", delete, r#"{"key":"a b"}"#);
    assert!(body.contains(r#""deleted":true"#), "{body}");
}

#[test]
fn alone_it_refuses_what_a_node_would_and_what_is_not_its_to_pass_on() {
    let pair = Pair::start();
    let json = "Content-Type: application/json\r\n";
    let numbered = format!("{json}Idempotency-Key: a\r\nIdempotency-Sequence: 1\r\n");
    let set = r#"{"key":"k","value":1}"#;
    for (method, target, headers, body, status) in [
        ("POST", "/api/set", "Content-Type: text/plain\r\n", set, 415),
        ("POST", "/api/set?ttl=1", json, set, 400),
        ("POST", "/api/set", json, "{", 400),
        ("POST", "/api/set", numbered.as_str(), set, 400),
        ("POST", "/api/vote", json, "{}", 404),
        ("GET", "/raft/stream", "", "", 404),
        ("DELETE", "/api/get/k", "", "", 405),
        (
            "OPTIONS",
            "/api/set",
            "Origin: http://localhost:1\r\nAccess-Control-Request-Method: POST\r\n",
            "",
            405,
        ),
    ] {
        let (head, text) = ask(pair.port, method, target, headers, body);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{method} {target}: {head}\n{text}");
        assert!(!head.contains("access-control"), "{head}");
    }
    let mut answer = String::new();
    let rebound = "GET / HTTP/1.1\r\nHost: evil.example:8080\r\nConnection: close\r\n\r\n";
    send(pair.port, rebound).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn a_taken_port_is_told_before_anything_is_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Alone::bind(port, ClientConfig::default()).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()) && error.contains("in use"), "{error}");
}
