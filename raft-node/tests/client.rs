//! The client over running nodes, through connections and nodes that go away.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raft_node::client::{Client, ClientConfig, ClientError, Consistency};
use raft_node::config::Storage;
use raft_node::core::types::NodeId;
use raft_node::{Config, Node};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Starts a cluster in this process; each node with its address.
fn cluster(size: usize) -> Vec<(Node, String)> {
    let listeners: Vec<_> = (0..size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(listeners);
    let id = |n: usize| NodeId::new(&format!("node_{n}")).unwrap();
    let peers: BTreeMap<_, _> = (0..size).map(|n| (id(n), format!("127.0.0.1:{}", ports[n]))).collect();
    (0..size)
        .map(|n| {
            let mut config = Config::new(id(n), ports[n]);
            config.peers.clone_from(&peers);
            config.storage = Storage::Ephemeral;
            (Node::start(config).unwrap(), peers[&id(n)].clone())
        })
        .collect()
}

/// Waits until all members have met: two of three that have are enough to write, but not to lose one.
async fn formed(nodes: &[(Node, String)]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    for (node, _) in nodes {
        while !node.explain().await.ok {
            assert!(Instant::now() < deadline, "{:?}", node.explain().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn client(endpoints: Vec<String>) -> Client {
    let timeout = Duration::from_secs(20);
    Client::new(ClientConfig { endpoints, timeout, consistency: Consistency::Linearizable }).unwrap()
}

/// Passes connections on to `target`, and closes each in place of every third answer: the request has
/// arrived, and its sender cannot know.
async fn losing_proxy(target: String) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (answers, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (target, answers, lost) = (target.clone(), Arc::clone(&answers), Arc::clone(&counted));
            tokio::spawn(async move {
                let far = TcpStream::connect(target).await.unwrap();
                let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = from_far.read(&mut buffer).await {
                    if answers.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                        lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    if to_near.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, lost)
}

#[tokio::test]
async fn writes_happen_once_though_answers_are_lost() {
    let nodes = cluster(1);
    let (proxy, lost) = losing_proxy(nodes[0].1.clone()).await;
    let client = client(vec![proxy]);
    for turn in 0..100 {
        let key = format!("k{turn}");
        client.set(&key, "1").await.unwrap();
        // Done twice, it would find nothing to delete.
        assert!(client.delete(&key).await.unwrap().deleted, "turn {turn}");
    }
    assert!(lost.load(Ordering::Relaxed) > 60, "{lost:?}");
    nodes[0].0.stop().await;
}

#[tokio::test]
async fn writers_at_once_happen_once_though_answers_are_lost() {
    let nodes = cluster(1);
    let (proxy, _) = losing_proxy(nodes[0].1.clone()).await;
    let client = client(vec![proxy]);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let client = client.clone();
        writers.spawn(async move {
            for turn in 0..25 {
                let key = format!("{writer}/{turn}");
                client.set_bytes(&key, "x").await.unwrap();
                assert!(client.delete(&key).await.unwrap().deleted, "{key}");
            }
        });
    }
    writers.join_all().await;
    nodes[0].0.stop().await;
}

#[tokio::test]
async fn a_cluster_that_loses_its_leader_goes_on_being_served() {
    let nodes = cluster(3);
    let client = client(nodes.iter().map(|(_, address)| address.clone()).collect());
    formed(&nodes).await;
    for turn in 0..20 {
        client.set(&format!("k{turn}"), &turn.to_string()).await.unwrap();
    }
    let leader = client.status().await.unwrap().leader_id.unwrap();
    let (gone, left): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|(node, _)| node.config().node_id.as_str() == leader);
    gone[0].0.stop().await;
    for turn in 0..20 {
        let key = format!("k{turn}");
        let value = client.get(&key).await.unwrap().unwrap().value;
        assert_eq!(value, raft_node::client::Value::Json(turn.to_string().into()));
        assert!(client.delete(&key).await.unwrap().deleted, "{key}");
    }
    left[0].0.stop().await;
    let start = Instant::now();
    let error = client.with_timeout(Duration::from_millis(700)).set("k", "1").await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let expected = matches!(error, ClientError::NoLeader { .. } | ClientError::Timeout { .. });
    assert!(expected, "one of three cannot lead: {error:?}");
    left[1].0.stop().await;
}
