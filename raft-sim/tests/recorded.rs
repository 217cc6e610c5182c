//! Histories from files: `raft-sim --history` passes what can be right, and names what cannot.

use std::process::{Command, Output};

use raft_sim::recorded::Recorded;

/// One operation: milliseconds, and as the last thing whatever else its line has.
fn line(client: &str, kind: &str, key: &str, (begin, end): (u64, u64), rest: &str) -> String {
    let (begin, end) = (begin * 1_000_000, end * 1_000_000);
    let what = format!(r#""client":"{client}","kind":"{kind}","key":"{key}","begin":{begin},"end":{end}"#);
    format!("{{{what},{rest}}}\n")
}

fn set(key: &str, value: &str, at: (u64, u64), rest: &str) -> String {
    line("a", "set", key, at, &format!(r#""value":"{value}",{rest}"#))
}

fn get(key: &str, value: &str, at: (u64, u64), rest: &str) -> String {
    line("b", "get", key, at, &format!(r#""value":{value},{rest}"#))
}

fn delete(key: &str, deleted: bool, at: (u64, u64), rest: &str) -> String {
    line("c", "delete", key, at, &format!(r#""deleted":{deleted},{rest}"#))
}

const OK: &str = r#""outcome":"ok""#;
const UNKNOWN: &str = r#""outcome":"unknown""#;
const FAILED: &str = r#""outcome":"failed""#;

fn at(revision: u64) -> String {
    format!(r#"{OK},"revisions":[{revision}]"#)
}

fn violations(lines: &[String]) -> Vec<String> {
    Recorded::parse(&lines.concat()).expect("a history").check().violations
}

/// There is a violation of this check, and it names all of these.
fn assert_caught(lines: &[String], check: &str, named: &[&str]) {
    let found = violations(lines);
    let is_it = |violation: &&String| violation.starts_with(check);
    let violation = found.iter().find(is_it).unwrap_or_else(|| panic!("not {check}: {found:?}"));
    for name in named {
        assert!(violation.contains(name), "{name} is not in {violation}");
    }
}

#[test]
fn what_can_be_right_passes() {
    let history = [
        set("k", "v1", (1, 2), &at(1)),
        get("k", r#""v1""#, (3, 4), &at(1)),
        set("k", "v2", (5, 6), UNKNOWN),
        set("k", "v3", (5, 6), FAILED),
        get("k", r#""v1""#, (7, 8), &at(1)),
        get("k", r#""v2""#, (9, 10), &at(2)),
        line("d", "get_stale", "k", (11, 12), &format!(r#""value":"v1",{}"#, at(1))),
        delete("k", true, (13, 14), &at(3)),
        get("k", "null", (15, 16), OK),
        delete("k", false, (17, 18), &at(4)),
        set("j", "v4", (15, 20), &format!(r#"{OK},"revisions":[5,5]"#)),
        get("j", r#""v4""#, (18, 19), &at(5)),
    ];
    assert_eq!(violations(&history), Vec::<String>::new());
}

#[test]
fn a_stale_read() {
    let without =
        |read: &str| [set("k", "v1", (1, 2), OK), set("k", "v2", (3, 4), OK), get("k", read, (5, 6), OK)];
    assert_eq!(violations(&without(r#""v2""#)), Vec::<String>::new());
    let named = [r#""k""#, r#"holds "v1""#, "line 3 (b: get", "line 2 (a: set"];
    assert_caught(&without(r#""v1""#), "Linearizability", &named);
    let with =
        [set("k", "v1", (1, 2), &at(1)), set("k", "v2", (3, 4), &at(2)), get("k", r#""v1""#, (5, 6), &at(1))];
    assert_caught(&with, "Stale Read", &["line 3 (b: get", "line 2 (a: set"]);
    assert_caught(&with, "Linearizability", &named);
}

#[test]
fn a_lost_write() {
    let history = [set("other", "v0", (1, 2), OK), set("k", "v1", (1, 2), OK), get("k", "null", (3, 4), OK)];
    assert_caught(&history, "Linearizability", &[r#""k""#, r#"holds "v1""#, "line 3 (b: get"]);
}

#[test]
fn a_write_done_twice() {
    let again = |revision: u64| {
        [
            set("k", "v1", (1, 2), &at(1)),
            set("k", "v2", (3, 4), &at(2)),
            get("k", r#""v1""#, (5, 6), &at(revision)),
        ]
    };
    let history = again(3);
    assert_caught(&history, "Linearizability", &[r#""k""#, "line 3 (b: get"]);
    assert_caught(&history, "Exactly Once", &["line 1 (a: set", "revision 1", "at 3 (line 3"]);
    let answered = [set("k", "v1", (1, 9), &format!(r#"{OK},"revisions":[4,4,7]"#))];
    assert_caught(&answered, "Exactly Once", &["line 1 (a: set", "revision 4", "at 7"]);
}

#[test]
fn a_deletion_done_twice() {
    let history = [
        set("k", "v1", (1, 2), OK),
        delete("k", true, (3, 4), OK),
        set("k", "v2", (5, 6), OK),
        get("k", "null", (7, 8), OK),
    ];
    assert_caught(&history, "Linearizability", &[r#"holds "v2""#, "line 4 (b: get"]);
}

#[test]
fn what_nobody_wrote_or_what_had_no_effect() {
    let history =
        [set("j", "v1", (1, 2), OK), get("k", r#""v1""#, (3, 4), OK), get("j", r#""x""#, (3, 4), OK)];
    assert_caught(&history, "A Value From Nowhere: line 2", &["line 1"]);
    assert_caught(&history[2..], "A Value From Nowhere: line 1", &[]);
    let early =
        [line("d", "get_stale", "k", (1, 2), &format!(r#""value":"v1",{OK}"#)), set("k", "v1", (3, 4), OK)];
    assert_caught(&early, "A Value From Nowhere: line 1", &["line 2"]);
    let refused = [set("k", "v1", (1, 2), FAILED), get("k", r#""v1""#, (3, 4), OK)];
    assert_caught(&refused, "Without Effect: line 1", &["line 2"]);
}

#[test]
fn revisions_that_do_not_grow_with_time() {
    let history = [set("k", "v1", (1, 2), &at(7)), delete("j", false, (3, 4), &at(6))];
    assert_caught(&history, "Order: line 2", &["line 1"]);
}

fn raft_sim(file: &std::path::Path) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_raft-sim")).arg("--history").arg(file).output();
    program.expect("raft-sim runs")
}

#[test]
fn the_command_says_so_by_its_exit_code() {
    let directory = std::env::temp_dir().join(format!("raft-sim-history-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("history.jsonl");
    let cases = [
        (set("k", "v1", (1, 2), OK), 0, "linearizable, each write once", ""),
        (get("k", r#""v1""#, (1, 2), OK), 1, "A Value From Nowhere: line 1 (b: get", ""),
        ("{}".to_owned(), 2, "", "line 1 is not an operation"),
        (
            set("k", "v1", (1, 2), OK).repeat(2),
            2,
            "",
            "line 2 is not an operation: \"v1\" was written before",
        ),
    ];
    for (text, code, stdout, stderr) in cases {
        std::fs::write(&file, text).expect("a file");
        let output = raft_sim(&file);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(stdout), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(stderr), "{output:?}");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
    assert_eq!(raft_sim(&file).status.code(), Some(2), "a file that is not there");
}
