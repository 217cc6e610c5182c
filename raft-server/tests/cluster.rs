//! `raft-server cluster`: real processes, on free ports.
#![allow(clippy::unwrap_used)] // a panic is how a test fails, in its helpers too

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::{Running, command, free_ports, get, is_free, refusal, run, signal_to, wait_until};
use rustix::process::Signal;
use tempfile::tempdir;

/// A cluster of three that has formed, and its first port.
fn formed(directory: &Path, more: &[&str]) -> (Running, u16) {
    let base = free_ports(4);
    let (port, dashboard) = (base.to_string(), (base + 3).to_string());
    let arguments = [&["cluster", "--base-port", &port, "--dashboard-port", &dashboard], more].concat();
    let mut cluster = Running::start(command(directory, &arguments));
    cluster.line("Ctrl-C stops");
    (cluster, base)
}

/// The process id of a node, as the command printed it, and its name.
fn pid_of(cluster: &Running, what: impl Fn(&str) -> bool) -> (u32, String) {
    let line = cluster.seen.iter().find(|line| line.contains("  pid ") && what(line)).unwrap();
    let pid = line.split("pid ").nth(1).unwrap().split(',').next().unwrap();
    (pid.trim().parse().unwrap(), line.split_whitespace().next().unwrap().to_owned())
}

fn all_free(base: u16) -> bool {
    (base..base + 3).all(is_free)
}

#[test]
fn it_forms_says_so_and_stops_with_a_signal() {
    let directory = tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let (mut cluster, base) = formed(directory.path(), &["--data-dir", "data"]);
        let said = cluster.seen.join("\n");
        for n in 0..3 {
            assert!(said.contains(&format!("node_{n}  http://127.0.0.1:{}", base + n)), "{said}");
        }
        assert_eq!(said.matches(", the leader\n").count(), 1, "{said}");
        assert!(said.contains("--endpoints") && said.contains("/api/set"), "{said}");
        cluster.signal(signal);
        assert_eq!(cluster.end().code(), Some(0), "{:?}", cluster.seen);
        assert!(all_free(base), "a node outlived the cluster");
    }
    assert!(directory.path().join("data/node_2").is_dir());
}

#[test]
fn a_killed_leader_is_reported_replaced_and_can_be_brought_back() {
    let directory = tempdir().unwrap();
    let (mut cluster, base) = formed(directory.path(), &[]);
    let (pid, name) = pid_of(&cluster, |line| line.contains(", the leader"));
    signal_to(pid, Signal::KILL);
    let report = cluster.line(&format!("{name} was killed by signal 9"));
    assert!(report.contains("2 of 3 go on"), "{report}");
    let leads = cluster.line(" leads now");
    assert!(!leads.contains(&name), "{leads}");

    let (_, again) = report.split_once("in another terminal: ").unwrap();
    let arguments: Vec<&str> = again.split_whitespace().skip(1).collect();
    let mut node = Running::start(command(directory.path(), &arguments));
    node.line("follows");
    node.signal(Signal::TERM);
    assert_eq!(node.end().code(), Some(0));

    cluster.signal(Signal::INT);
    assert_eq!(cluster.end().code(), Some(0));
    assert!(all_free(base));
}

#[test]
fn nodes_do_not_outlive_a_cluster_that_is_killed() {
    let directory = tempdir().unwrap();
    let (mut cluster, base) = formed(directory.path(), &["--ephemeral"]);
    cluster.signal(Signal::KILL);
    cluster.end();
    wait_until("the nodes are gone", || all_free(base));
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_long() {
    let directory = tempdir().unwrap();
    let (mut cluster, base) = formed(directory.path(), &["--ephemeral"]);
    let (pid, _) = pid_of(&cluster, |line| line.contains("node_1 "));
    signal_to(pid, Signal::STOP);
    cluster.signal(Signal::INT);
    wait_until("the others have stopped", || is_free(base) && is_free(base + 2));
    cluster.signal(Signal::INT);
    assert_eq!(cluster.end().code(), Some(130), "{:?}", cluster.seen);
    assert!(all_free(base));
}

#[test]
fn a_cluster_of_which_nothing_is_left_ends() {
    let directory = tempdir().unwrap();
    let (mut cluster, _) = formed(directory.path(), &["--ephemeral"]);
    for n in 0..3 {
        let (pid, _) = pid_of(&cluster, |line| line.contains(&format!("node_{n} ")));
        signal_to(pid, Signal::KILL);
    }
    assert_eq!(cluster.end().code(), Some(1), "{:?}", cluster.seen);
    assert!(cluster.seen.iter().any(|line| line.contains("no node is left")), "{:?}", cluster.seen);
}

#[test]
fn a_port_in_use_stops_it_before_it_starts() {
    let directory = tempdir().unwrap();
    let base = free_ports(3);
    let taken = TcpListener::bind(("127.0.0.1", base + 1)).unwrap();
    let line =
        refusal(&run(directory.path(), &["cluster", "--no-dashboard", "--base-port", &base.to_string()]));
    assert!(line.contains(&(base + 1).to_string()) && line.contains("--base-port"), "{line}");
    drop(taken);
    assert!(all_free(base));
    assert!(!directory.path().join("raft-data").exists());
}

#[test]
fn a_dashboard_whose_port_is_in_use_stops_it_before_it_starts() {
    let directory = tempdir().unwrap();
    let base = free_ports(4);
    let taken = TcpListener::bind(("127.0.0.1", base + 3)).unwrap();
    let (port, dashboard) = (base.to_string(), (base + 3).to_string());
    let arguments = ["cluster", "--base-port", &port, "--dashboard-port", &dashboard];
    let line = refusal(&run(directory.path(), &arguments));
    assert!(line.contains(&dashboard) && line.contains("--dashboard-port"), "{line}");
    drop(taken);
    assert!(all_free(base));
    assert!(!directory.path().join("raft-data").exists());
}

#[test]
fn the_dashboard_is_served_and_outlives_every_node_but_the_last() {
    let directory = tempdir().unwrap();
    let (mut cluster, base) = formed(directory.path(), &["--ephemeral"]);
    let said = cluster.seen.join("\n");
    assert!(said.contains(&format!("The dashboard is at http://localhost:{}", base + 3)), "{said}");
    for n in 0..2 {
        let (pid, _) = pid_of(&cluster, |line| line.contains(&format!("node_{n} ")));
        signal_to(pid, Signal::KILL);
        cluster.line(&format!("node_{n} was killed"));
        assert!(get(base + 3, "/").contains("<title>Raft"), "the dashboard went with node_{n}");
    }
    cluster.signal(Signal::INT);
    assert_eq!(cluster.end().code(), Some(0));
    assert!(is_free(base + 3), "the dashboard outlived the cluster");
}

#[test]
fn without_a_dashboard_none_is_served() {
    let directory = tempdir().unwrap();
    let base = free_ports(3);
    let arguments = ["cluster", "--ephemeral", "--no-dashboard", "--base-port", &base.to_string()];
    let mut cluster = Running::start(command(directory.path(), &arguments));
    cluster.line("Ctrl-C stops");
    assert!(!cluster.seen.join("\n").contains("dashboard"), "{:?}", cluster.seen);
}

#[test]
fn a_node_that_refuses_to_start_ends_the_others_too() {
    let directory = tempdir().unwrap();
    std::fs::create_dir(directory.path().join("raft-data")).unwrap();
    std::fs::write(directory.path().join("raft-data/node_1"), "").unwrap();
    let base = free_ports(3);
    let line =
        refusal(&run(directory.path(), &["cluster", "--no-dashboard", "--base-port", &base.to_string()]));
    assert!(line.contains("node_1 did not start"), "{line}");
    assert!(all_free(base));
}
