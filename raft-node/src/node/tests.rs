use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use raft_core::kv::Store;
use raft_core::state_machine::{Committed, StateMachine};
use raft_core::types::NodeId;

use super::{Key, Node, ReadOptions, Value, WriteOptions, start};
use crate::config::{Config, Storage};
use crate::error::RequestError;
use crate::record::{ReplayError, Told, Which, replay, replay_on};

/// The store, with a defect that a certain value brings out.
struct Defective(Store);

impl StateMachine for Defective {
    fn apply(&mut self, batch: &[Committed<'_>]) -> Vec<Bytes> {
        let is_bad = |entry: &Committed<'_>| entry.command.windows(4).any(|part| part == b"boom");
        assert!(!batch.iter().any(is_bad), "it blew up");
        self.0.apply(batch)
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.0.query(query)
    }

    fn digest(&self) -> u64 {
        self.0.digest()
    }
}

fn alone(storage: Storage) -> Config {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let id = NodeId::new("n1").unwrap();
    let peers = BTreeMap::from([(id.clone(), format!("127.0.0.1:{port}"))]);
    Config { peers, storage, ..Config::new(id, port) }
}

async fn set(node: &Node, value: &str) -> Result<(), RequestError> {
    let value = Value::Json(format!("{value:?}").into());
    let options = WriteOptions { timeout: Some(Duration::from_secs(20)), ..WriteOptions::default() };
    node.set(Key::new("k").unwrap(), value, options).await.map(drop)
}

/// A node whose replica has broken down, and the last index it applied.
async fn broken_down(storage: Storage) -> (Node, u64) {
    let node = start::start_with(alone(storage), Box::new(Defective(Store::new()))).unwrap();
    for _ in 0..10 {
        set(&node, "good").await.unwrap();
    }
    let applied = node.status().await.last_applied.0;
    assert_eq!(set(&node, "boom").await.unwrap_err(), RequestError::Unknown);
    let failure = node.stopped().await.unwrap_err().to_string();
    assert!(failure.contains("it blew up"), "{failure}");
    (node, applied)
}

async fn fetch(node: &Node, file: &Path) {
    let mut recording = node.recording().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(some) = recording.next().await.unwrap() {
        bytes.extend(some);
    }
    std::fs::write(file, bytes).unwrap();
}

/// Replays it: the replica breaks down on the last event again, and on a store without the defect does not,
/// which is another thing than what was recorded.
fn assert_tells_of_the_end(file: &Path, applied: u64) {
    let mut story = Vec::<String>::new();
    let mut tell = |_, told: Told<'_>| story.push(told.to_string());
    let again =
        replay_on(file, Which::Current, &mut || Box::new(Defective(Store::new())), &mut tell).unwrap_err();
    let ReplayError::BrokeDown { as_recorded: true, reason, .. } = again else { panic!("{again}") };
    assert!(reason.contains("it blew up"), "{reason}");
    let done = format!("is done at {applied}");
    assert!(story.iter().any(|line| line.ends_with(&done)), "{story:#?}");
    assert!(story.iter().any(|line| line.contains("the replica broke down")), "{story:#?}");
    // What it did to the replica is not told: that did not come to its end.
    assert!(!story.last().unwrap().starts_with(' '), "{story:#?}");
    let mended = replay(file, Which::Current, &mut |_, _| {}).unwrap_err();
    assert!(matches!(&mended, ReplayError::Differs(why) if why.to_string().contains("broke down here")));
}

#[tokio::test]
async fn a_replica_that_breaks_down_leaves_the_events_that_led_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let (node, applied) = broken_down(Storage::Directory(directory.path().to_owned())).await;
    let is_saved = |path: &std::path::PathBuf| path.to_string_lossy().contains("/failed-");
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let saved: Vec<_> = files.filter(is_saved).collect();
    assert_eq!(saved.len(), 1);
    assert_tells_of_the_end(&saved[0], applied);
    assert_tells_of_the_end(directory.path(), applied);
    node.stop().await;
    node.ended().await;
}

#[tokio::test]
async fn what_is_left_of_a_node_says_that_it_has_failed_and_lends_its_recording() {
    let (node, applied) = broken_down(Storage::Ephemeral).await;
    let failed = |error: RequestError| {
        let RequestError::Failed { reason } = error else { return false };
        reason.contains("it blew up")
    };
    assert!(failed(set(&node, "good").await.unwrap_err()));
    assert!(failed(node.get(Key::new("k").unwrap(), ReadOptions::default()).await.unwrap_err()));
    assert!(node.status().await.failed.unwrap().contains("it blew up"));
    assert!(!node.explain().await.ok);
    let file = tempfile::NamedTempFile::new().unwrap();
    fetch(&node, file.path()).await;
    assert_tells_of_the_end(file.path(), applied);
    node.stop().await;
    node.ended().await;
}

#[tokio::test]
async fn a_replay_that_breaks_down_says_when() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(alone(Storage::Directory(directory.path().to_owned()))).unwrap();
    set(&node, "good").await.unwrap();
    let path = node.save_recording().await.unwrap();
    let mut lines = 0;
    let error = replay(&path, Which::Current, &mut |_, told| {
        lines += 1;
        assert!(!told.to_string().contains("becomes Leader"), "as a failed assertion would");
    });
    let Err(ReplayError::BrokeDown { as_recorded: false, reason, .. }) = error else { panic!("{error:?}") };
    assert!(reason.contains("as a failed"), "{reason}");
    assert!(lines > 3);
    node.stop().await;
    node.ended().await;
}
