//! The command line and the settings, as far as they can be seen without a running node.

mod common;

use std::fs;
use std::path::Path;

use common::{refusal, run, run_with, stdout};
use tempfile::tempdir;

#[test]
fn help_tells_what_a_newcomer_needs() {
    let directory = tempdir().unwrap();
    let output = run(directory.path(), &["--help"]);
    assert!(output.status.success());
    let help = stdout(&output);
    for word in [
        "raft-server <NODE_ID> <PORT>",
        "raft-server cluster",
        "raft-server client set name Raft",
        "--peers",
        "--join",
        "RAFT_PEERS",
        "--election-timeout-min",
        "[default: 150]",
        "raft.toml",
        "Exit codes:",
        "cannot be named",
        "raft-server demo failover",
        "raft-server dashboard",
    ] {
        assert!(help.contains(word), "{word:?} is missing in\n{help}");
    }
    for later in ["watch", "--exit-with-parent"] {
        assert!(!help.contains(later), "{later:?} is in the help but does not exist");
    }
}

#[test]
fn the_version_is_printed() {
    let output = run(Path::new("."), &["--version"]);
    assert_eq!(stdout(&output), format!("raft-server {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nothing_at_all_is_answered_with_help() {
    let output = run(Path::new("."), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(common::stderr(&output).contains("Usage: raft-server <NODE_ID> <PORT>"));
}

#[test]
fn completions_know_the_settings() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(Path::new("."), &["completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("heartbeat-interval"), "{shell}");
        assert!(stdout(&output).contains("failover"), "{shell}");
    }
}

#[test]
fn what_cannot_work_is_refused_on_one_line() {
    let directory = tempdir().unwrap();
    for (arguments, word) in [
        (&["node_0"][..], "<PORT>"),
        (&["node_0", "99999"], "1 to 65535"),
        (&["no/de", "12000"], "not valid"),
        (&["node_0", "12000", "--nonsense"], "--nonsense"),
        (&["node_7", "12007"], "--peers"),
        (&["node_0", "12001"], "--advertise"),
        (&["node_0", "12000", "--peers", "node_0"], "--peers: "),
        (&["node_0", "12000", "--host", "0.0.0.0"], "--insecure"),
        (&["node_0", "12000", "--heartbeat-interval", "1s"], "--heartbeat-interval: "),
        (&["node_0", "12000", "--heartbeat-interval", "100"], "timings do not fit"),
        (&["node_0", "12000", "--log-level", "loud"], "--log-level: "),
        (&["node_0", "12000", "--config", "nowhere.toml"], "nowhere.toml"),
        (&["node_0", "12000", "--ephemeral", "--data-dir", "x"], "--data-dir"),
        (&["cluster", "--nodes", "10"], "--nodes"),
        (&["cluster", "--base-port", "65535"], "--base-port"),
        (&["cluster", "--io-threads", "x"], "--io-threads: "),
        (&["completions", "cmd"], "bash"),
    ] {
        let line = refusal(&run(directory.path(), arguments));
        assert!(line.contains(word), "{arguments:?}: {word:?} is missing in {line}");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "a refusal left something behind");
}

#[test]
fn raft_toml_of_the_working_directory_is_read_and_its_errors_name_it() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("raft.toml");
    for (text, word) in [
        ("pears = \"a=h:1\"", "raft.toml: unknown key \"pears\""),
        ("\nhost = \"127.0.0.1", "raft.toml line 2: "),
        ("io-threads = \"x\"", "raft.toml: io_threads: "),
    ] {
        fs::write(&file, text).unwrap();
        let line = refusal(&run(directory.path(), &["node_0", "12000"]));
        assert!(line.contains(word), "{word:?} is missing in {line}");
    }
}

#[test]
fn flag_wins_over_environment_over_file() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("raft.toml"), "request_timeout = \"file\"").unwrap();
    fs::write(directory.path().join("other.toml"), "request_timeout = \"other\"").unwrap();
    let node = ["node_0", "12000"];
    let asked = |more: &[&str], variables: &[(&str, &str)]| {
        refusal(&run_with(directory.path(), &[&node[..], more].concat(), variables))
    };
    let variable = ("RAFT_REQUEST_TIMEOUT", "environment");
    assert!(asked(&[], &[]).contains("raft.toml: request_timeout: \"file\""));
    assert!(asked(&["--config", "other.toml"], &[]).contains("other.toml: request_timeout: \"other\""));
    assert!(asked(&[], &[("RAFT_CONFIG", "other.toml")]).contains("\"other\""));
    assert!(asked(&[], &[variable]).contains("RAFT_REQUEST_TIMEOUT: \"environment\""));
    assert!(asked(&["--request-timeout", "flag"], &[variable]).contains("--request-timeout: \"flag\""));
}
