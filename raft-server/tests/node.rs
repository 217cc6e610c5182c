//! `raft-server <NODE_ID> <PORT>` from its start to its end.

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::{Running, command, free_ports, is_free, refusal, run};
use rustix::process::Signal;
use tempfile::tempdir;

/// A cluster of one.
fn solo(directory: &Path, port: u16, more: &[&str]) -> Running {
    let (port, peers) = (port.to_string(), format!("solo=127.0.0.1:{port}"));
    let arguments = [&["solo", &port, "--peers", &peers], more].concat();
    Running::start(command(directory, &arguments))
}

#[test]
fn a_signal_stops_it_cleanly_and_its_data_are_kept() {
    let directory = tempdir().unwrap();
    let port = free_ports(1);
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = solo(directory.path(), port, &[]);
        let line = node.line("started");
        for part in ["node_id=solo", &format!("127.0.0.1:{port}"), "raft-data/solo", "peers="] {
            assert!(line.contains(part), "{part:?} is missing in {line}");
        }
        assert!(!line.contains('\u{1b}'), "colour where there is no terminal: {line:?}");
        node.signal(signal);
        assert_eq!(node.end().code(), Some(0), "{:?}", node.seen);
        assert!(node.seen.last().unwrap().contains("stopped"), "{:?}", node.seen);
        assert!(is_free(port));
    }
    assert!(directory.path().join("raft-data/solo").is_dir());
}

#[test]
fn json_lines_are_json() {
    let directory = tempdir().unwrap();
    let mut node = solo(directory.path(), free_ports(1), &["--ephemeral", "--log-format", "json"]);
    let line: serde_json::Value = serde_json::from_str(&node.line("started")).unwrap();
    assert_eq!((line["node_id"].as_str(), line["level"].as_str()), (Some("solo"), Some("INFO")));
    node.signal(Signal::TERM);
    assert_eq!(node.end().code(), Some(0));
    assert!(!directory.path().join("raft-data").exists(), "ephemeral, and yet on disk");
}

#[test]
fn it_stops_with_its_parent_where_it_was_told_to() {
    let directory = tempdir().unwrap();
    let mut node = solo(directory.path(), free_ports(1), &["--exit-with-parent"]);
    node.line("started");
    node.close_stdin();
    assert_eq!(node.end().code(), Some(0));
}

#[test]
fn a_port_in_use_is_refused() {
    let directory = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let peers = format!("solo=127.0.0.1:{port}");
    let line = refusal(&run(directory.path(), &["solo", &port.to_string(), "--peers", &peers]));
    assert!(line.contains(&port.to_string()) && line.contains("in use"), "{line}");
}

#[test]
fn a_data_directory_that_cannot_be_is_refused() {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let port = free_ports(1);
    let peers = format!("solo=127.0.0.1:{port}");
    let arguments = ["solo", &port.to_string(), "--peers", &peers, "--data-dir", "file/solo"];
    let line = refusal(&run(directory.path(), &arguments));
    assert!(line.contains("file/solo"), "{line}");
}

#[test]
fn a_data_directory_of_another_node_is_refused() {
    let directory = tempdir().unwrap();
    let port = free_ports(1);
    let mut node = solo(directory.path(), port, &["--data-dir", "data"]);
    node.line("started");
    node.signal(Signal::TERM);
    node.end();
    let peers = format!("other=127.0.0.1:{port}");
    let arguments = ["other", &port.to_string(), "--peers", &peers, "--data-dir", "data"];
    let line = refusal(&run(directory.path(), &arguments));
    assert!(line.contains("solo") && line.contains("other"), "{line}");
}
