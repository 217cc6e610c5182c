use std::cell::Cell;
use std::net::TcpListener;
use std::time::Instant;

use bytes::Bytes;
use raft_core::types::NodeId;

use super::*;
use crate::client::ClientConfig;
use crate::config::{Config, Storage, parse_peers};
use crate::value::from_json;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One of `members` nodes, none of the others of which is there.
fn config(members: usize) -> Config {
    let ports: Vec<u16> = (0..members).map(|_| free_port()).collect();
    let peers: Vec<String> =
        ports.iter().enumerate().map(|(n, port)| format!("n{n}=127.0.0.1:{port}")).collect();
    let mut config = Config::new(NodeId::new("n0").unwrap(), ports[0]);
    config.peers = parse_peers(&peers.join(",")).unwrap();
    config.storage = Storage::Ephemeral;
    config
}

fn bytes(text: &'static str) -> Value {
    Value::Bytes(Bytes::from_static(text.as_bytes()))
}

fn uses_the_store(store: &dyn Store) {
    let call = Call::default();
    let first = store.set("a/1", from_json(" {\"x\": 1.0} ").unwrap(), call).unwrap();
    let second = store.set("b", bytes("\0"), call).unwrap();
    assert!(first.revision < second.revision);
    let item = store.get("a/1", call).unwrap().unwrap();
    assert_eq!(
        item,
        Item { value: Value::Json(Bytes::from_static(b"{\"x\": 1.0}")), revision: first.revision }
    );
    assert_eq!(store.get("b", call).unwrap().unwrap().value, bytes("\0"));
    assert_eq!(store.get("c", call).unwrap(), None);
    assert_eq!(store.keys("", call).unwrap(), ["a/1", "b"]);
    assert_eq!(store.keys("a/", call).unwrap(), ["a/1"]);
    assert!(store.delete("b", call).unwrap().deleted);
    assert!(!store.delete("b", call).unwrap().deleted);
    let status: serde_json::Value = serde_json::from_str(&store.status(call).unwrap()).unwrap();
    assert_eq!((&status["state"], &status["keys"]), (&"leader".into(), &1.into()));
    let explanation: serde_json::Value = serde_json::from_str(&store.explain(call).unwrap()).unwrap();
    assert_eq!(explanation["ok"], true);
    store.delete("a/1", call).unwrap();
}

fn refuses_what_cannot_be_used(store: &dyn Store) {
    let call = Call::default();
    let zero = Call { timeout: Some(Duration::ZERO), ..call };
    for refused in [
        store.set("", bytes("x"), call).unwrap_err(),
        store.set(&"k".repeat(5000), bytes("x"), call).unwrap_err(),
        store.set("k", bytes("x"), zero).unwrap_err(),
        store.get("", call).unwrap_err(),
        store.get("k", zero).unwrap_err(),
        from_json("{").map_err(Failure::from).unwrap_err(),
        from_json("1 2").map_err(Failure::from).unwrap_err(),
        from_json(r#""\ud800""#).map_err(Failure::from).unwrap_err(),
    ] {
        assert_eq!(refused.code, FailureCode::BadRequest, "{refused}");
    }
    let large = Value::Bytes(Bytes::from(vec![0; (1 << 20) + 1]));
    assert_eq!(store.set("k", large, call).unwrap_err().code, FailureCode::TooLarge);
    let long = Call { timeout: Some(Duration::MAX), ..call };
    assert_eq!(store.get("k", long).unwrap(), None);
}

#[test]
fn a_node_and_a_client_do_the_same() {
    let config = config(1);
    let endpoints = vec![config.advertised()];
    let node = Node::start(config).unwrap();
    let client = Client::new(ClientConfig { endpoints, ..ClientConfig::default() }).unwrap();
    let stores: [&dyn Store; 2] = [&node, &client];
    for store in stores {
        uses_the_store(store);
        refuses_what_cannot_be_used(store);
    }
    node.stop(Call::default()).unwrap();
    node.stop(Call::default()).unwrap();
    let after = node.set("k", bytes("x"), Call::default()).unwrap_err();
    assert_eq!(after.code, FailureCode::ShuttingDown, "{after}");
    let gone = client.get("k", Call { timeout: Some(Duration::from_millis(200)), ..Call::default() });
    let gone = gone.unwrap_err();
    assert_eq!(gone.code, FailureCode::Unreachable, "{gone}");
    assert_eq!(gone.endpoints.len(), 1);
}

#[test]
fn without_a_leader_a_call_ends_at_its_deadline() {
    let node = Node::start(config(3)).unwrap();
    let call = Call { timeout: Some(Duration::from_millis(200)), ..Call::default() };
    let begun = Instant::now();
    for failure in [node.set("k", bytes("x"), call).unwrap_err(), node.get("k", call).unwrap_err()] {
        assert_eq!(failure.code, FailureCode::NoLeader, "{failure}");
        assert!(!failure.maybe_happened());
    }
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert!(node.explain(Call::default()).unwrap().contains("peer_unreachable"));
}

#[test]
fn a_call_can_be_interrupted() {
    let node = Node::start(config(3)).unwrap();
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() == 3
    };
    let call =
        Call { timeout: Some(Duration::from_secs(60)), interrupted: Some(&interrupted), ..Call::default() };
    let begun = Instant::now();
    assert_eq!(node.get("k", call).unwrap_err().code, FailureCode::Interrupted);
    assert_eq!(asked.get(), 3);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_start_can_be_given_up() {
    let at_once = || true;
    let hurry = Call { timeout: Some(Duration::from_nanos(1)), ..Call::default() };
    let interrupted = Call { interrupted: Some(&at_once), ..Call::default() };
    for (call, code) in [(hurry, FailureCode::Timeout), (interrupted, FailureCode::Interrupted)] {
        let config = config(1);
        let (given_up, wait) = std::sync::mpsc::channel();
        let slow = config.clone();
        let start = move || {
            wait.recv().unwrap();
            crate::node::Node::start(slow)
        };
        let failure = Node::start_with(start, call).unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        given_up.send(()).unwrap();
        // The one that came too late lets go of the port.
        let deadline = Instant::now() + Duration::from_secs(20);
        let node = loop {
            match Node::start_by(config.clone(), Call::default()) {
                Ok(node) => break node,
                Err(failure) => assert_eq!(failure.code, FailureCode::Listen, "{failure}"),
            }
            assert!(Instant::now() < deadline);
        };
        node.set("k", bytes("x"), Call::default()).unwrap();
    }
}

#[test]
fn inside_an_async_runtime_a_call_is_refused_and_a_drop_does_not_wait() {
    let node = Node::start(config(1)).unwrap();
    let inner = node.inner().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let refused = node.get("k", Call::default()).unwrap_err();
        assert_eq!(refused.code, FailureCode::BadRequest, "{refused}");
        drop(node);
        inner.stopped().await.unwrap();
    });
}

#[test]
fn threads_write_through_one_node_at_a_time() {
    let node = Node::start(config(1)).unwrap();
    let mut revisions: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| node.set("k", bytes("x"), Call::default()).unwrap().revision))
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), 8);
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_node_leaves_no_descriptor_of_its_port() {
    let config = config(1);
    for _ in 0..3 {
        let node = Node::start(config.clone()).unwrap();
        node.set("k", bytes("x"), Call::default()).unwrap();
        drop(node);
        drop(TcpListener::bind(("127.0.0.1", config.port)).unwrap());
    }
}
