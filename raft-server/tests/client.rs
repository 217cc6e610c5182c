//! `raft-server client` against real nodes: results on stdout, all else on stderr, and the exit codes.
#![allow(clippy::unwrap_used)] // a panic is how a test fails, in its helpers too

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{Running, command, free_ports, run, run_with, stderr, stdout};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// A node that is a cluster of its own, with a leader.
struct Solo {
    directory: TempDir,
    endpoint: String,
    _node: Running,
}

impl Solo {
    fn start() -> Solo {
        let directory = tempdir().unwrap();
        let port = free_ports(1).to_string();
        let endpoint = format!("127.0.0.1:{port}");
        let peers = format!("solo={endpoint}");
        let node = ["solo", &port, "--ephemeral", "--peers", &peers];
        let mut node = Running::start(command(directory.path(), &node));
        node.line("started");
        let solo = Solo { directory, endpoint, _node: node };
        assert_eq!(solo.client(&["get", "nothing"]).status.code(), Some(1));
        solo
    }

    fn client(&self, arguments: &[&str]) -> Output {
        run(self.directory.path(), &[&["client", "--endpoints", &self.endpoint], arguments].concat())
    }

    fn client_with_stdin(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        let arguments = [&["client", "--endpoints", &self.endpoint], arguments].concat();
        let mut command = command(self.directory.path(), &arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command prints that is done.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
        stdout(&output)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[&["--output", "json"], arguments].concat())).unwrap()
    }
}

#[test]
fn values_keep_their_types() {
    let solo = Solo::start();
    assert!(solo.done(&["set", "text", "1.0"]).starts_with("set, revision "));
    assert_eq!(solo.done(&["get", "text"]), "1.0\n");
    assert_eq!(solo.json(&["get", "text"])["value"], json!("1.0"));
    solo.done(&["set", "number", "-1.50", "--json"]);
    assert_eq!(solo.done(&["get", "number", "--consistency", "stale"]), "-1.50\n");
    solo.done(&["set", "object", r#"{"b": [1, null]}"#, "--json"]);
    assert_eq!(solo.json(&["get", "object"])["value"], json!({ "b": [1, null] }));

    let bytes = [0, 255, b'\n'];
    assert!(solo.client_with_stdin(&["set", "bytes", "-"], &bytes).status.success());
    assert_eq!(solo.client(&["get", "bytes"]).stdout, bytes);
    assert_eq!(solo.json(&["get", "bytes"])["value"], json!({ "$base64": "AP8K" }));
    assert!(solo.client_with_stdin(&["set", "lines", "-"], b"a\nb\n").status.success());
    assert_eq!(solo.json(&["get", "lines"])["value"], json!("a\nb\n"));

    assert_eq!(solo.client(&["set", "bad", "{", "--json"]).status.code(), Some(2));
    assert_eq!(solo.client(&["set", "", "x"]).status.code(), Some(2));
    assert_eq!(solo.done(&["keys"]), "bytes\nlines\nnumber\nobject\ntext\n");
    assert_eq!(solo.json(&["keys", "n"])["keys"], json!(["number"]));
}

#[test]
fn no_is_an_exit_code_and_not_a_result() {
    let solo = Solo::start();
    for arguments in [["get", "missing"], ["delete", "missing"]] {
        let output = solo.client(&arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert_eq!(stderr(&output), "raft-server: key \"missing\" not found\n");
    }
    let output = solo.client(&["get", "missing", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer, json!({ "key": "missing", "value": null, "found": false }));

    solo.done(&["set", "--", "-dashed", "--value"]);
    assert_eq!(solo.json(&["delete", "--", "-dashed"])["deleted"], json!(true));
}

#[test]
fn status_why_and_demo() {
    let solo = Solo::start();
    let table = solo.done(&["status"]);
    assert!(table.contains("LEADER") && table.contains("solo") && table.contains("leader"), "{table}");
    let status = &solo.json(&["status"])["nodes"][0];
    assert_eq!(
        (&status["endpoint"], &status["status"]["leader_id"]),
        (&json!(solo.endpoint), &json!("solo"))
    );
    assert!(!solo.done(&["why"]).trim().is_empty());
    assert_eq!(solo.json(&["why"])["ok"], json!(true));
    let demo = solo.done(&["demo"]);
    assert!(demo.contains("All answers were as expected"), "{demo}");
    assert_eq!(solo.done(&["keys"]), "", "the demo left keys behind");
}

#[test]
fn a_cluster_that_is_not_there_or_has_no_leader_is_exit_code_3() {
    let directory = tempdir().unwrap();
    let port = free_ports(2);
    let endpoints = format!("127.0.0.1:{},127.0.0.1:{}", port, port + 1);
    let asked = |arguments: &[&str]| {
        let more = ["--timeout", "300"];
        run_with(
            directory.path(),
            &[&["client"], arguments, &more].concat(),
            &[("RAFT_ENDPOINTS", endpoints.as_str())],
        )
    };
    let commands: [&[&str]; 6] =
        [&["get", "k"], &["set", "k", "v"], &["delete", "k"], &["keys"], &["why"], &["demo"]];
    for arguments in commands {
        let output = asked(arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{arguments:?}: {}", stderr(&output));
    }
    let status = asked(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    assert_eq!(stdout(&status).matches("no answer").count(), 2, "{}", stdout(&status));

    let mut lonely = lonely(directory.path(), port);
    lonely.line("started");
    for arguments in [["get", "k"], ["delete", "k"]] {
        assert_eq!(asked(&arguments).status.code(), Some(3));
    }
    assert_eq!(asked(&["status"]).status.code(), Some(0));
    let why = asked(&["why"]);
    assert_eq!(why.status.code(), Some(0));
    assert!(stdout(&why).contains("b"), "{}", stdout(&why));
}

/// One of two, which cannot lead alone.
fn lonely(directory: &Path, port: u16) -> Running {
    let peers = format!("a=127.0.0.1:{port},b=127.0.0.1:{}", port + 1);
    let arguments = ["a", &port.to_string(), "--peers", &peers, "--ephemeral"];
    Running::start(command(directory, &arguments))
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let solo = Solo::start();
    let long = "x".repeat(500_000);
    assert!(solo.client_with_stdin(&["set", "long", "-"], long.as_bytes()).status.success());
    let arguments = ["client", "--endpoints", &solo.endpoint, "get", "long"];
    for arguments in [&arguments[..], &["--help"], &["completions", "bash"]] {
        let mut command = command(solo.directory.path(), arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}
