//! Results as text for people and as JSON for programs.

use std::fmt::Write as _;

use raft_node::client::{
    Changed, Deleted, Explanation, Item, Members, NodeView, Snapshot, Status, Transferred, Value,
};
use raft_node::value::{BytesAs, to_json};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::args::Output;
use crate::failure::{Failure, NO};
use crate::table::aligned;

fn line(value: &serde_json::Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// A key was set.
pub(super) fn written(key: &str, revision: u64, output: Output) -> Vec<u8> {
    match output {
        Output::Text => format!("set, revision {revision}\n").into_bytes(),
        Output::Json => line(&json!({ "success": true, "key": key, "revision": revision })),
    }
}

/// A key was deleted, or was not there.
pub(super) fn deleted(key: &str, deleted: Deleted, output: Output) -> Vec<u8> {
    let Deleted { deleted, revision } = deleted;
    match output {
        Output::Text if deleted => format!("deleted, revision {revision}\n").into_bytes(),
        Output::Text => Vec::new(),
        Output::Json => {
            line(&json!({ "success": true, "key": key, "deleted": deleted, "revision": revision.0 }))
        }
    }
}

/// Leadership was handed over.
pub(super) fn transferred(transferred: &Transferred, output: Output) -> Vec<u8> {
    let Transferred { leader_id, term } = transferred;
    match output {
        Output::Text => format!("{leader_id} leads term {term}\n").into_bytes(),
        Output::Json => line(&json!({ "success": true, "leader_id": leader_id, "term": term })),
    }
}

/// A snapshot was taken.
pub(super) fn snapshot(snapshot: Snapshot, output: Output) -> Vec<u8> {
    let Snapshot { index, bytes, took_ms } = snapshot;
    match output {
        Output::Text => {
            format!("has a snapshot of log index {index}: {bytes} bytes, in {took_ms} ms\n").into_bytes()
        }
        Output::Json => line(&json!({ "success": true, "index": index, "bytes": bytes, "took_ms": took_ms })),
    }
}

/// Who belongs to the cluster.
pub(super) fn members(members: &Members, output: Output) -> Vec<u8> {
    if output == Output::Json {
        return line(&json!(members));
    }
    let mut rows = vec![["NODE", "ADDRESS", "ROLE", "PRIORITY"].map(str::to_owned)];
    rows.extend(members.members.iter().map(|member| {
        [member.node_id.clone(), member.address.clone(), member.role.clone(), member.priority.to_string()]
    }));
    aligned(&rows).into_bytes()
}

/// The members were changed.
pub(super) fn changed(changed: Changed, output: Output) -> Vec<u8> {
    let index = changed.configuration_index;
    match output {
        Output::Text => format!("done, configuration at log index {index}\n").into_bytes(),
        Output::Json => line(&json!({ "success": true, "configuration_index": index })),
    }
}

/// `GET /api/get/{key}`, as the contract has it.
#[derive(Serialize)]
struct Found<'a> {
    key: &'a str,
    value: &'a RawValue,
    found: bool,
    revision: u64,
}

/// A value, or that there is none: then text says nothing on stdout.
///
/// # Errors
/// When the value cannot be printed, which would be a fault of the node's.
pub(super) fn item(key: &str, item: Option<&Item>, output: Output) -> Result<Vec<u8>, Failure> {
    match (item, output) {
        (None, Output::Text) => Ok(Vec::new()),
        (None, Output::Json) => Ok(line(&json!({ "key": key, "value": null, "found": false }))),
        (Some(item), Output::Text) => Ok(bare(&item.value)),
        (Some(item), Output::Json) => {
            let unprintable = |error| Failure::new(NO, format!("cannot print the value of {key:?}: {error}"));
            let value = RawValue::from_string(as_json(&item.value)).map_err(unprintable)?;
            let found = Found { key, value: &value, found: true, revision: item.revision.0 };
            let mut text = serde_json::to_vec(&found).map_err(unprintable)?;
            text.push(b'\n');
            Ok(text)
        }
    }
}

/// A string as its characters, other JSON as JSON, each with a line end; bytes as they are.
fn bare(value: &Value) -> Vec<u8> {
    let mut text = match value {
        Value::Bytes(data) => return data.to_vec(),
        Value::Json(text) => match serde_json::from_slice::<String>(text) {
            Ok(string) => string.into_bytes(),
            Err(_) => text.to_vec(),
        },
    };
    text.push(b'\n');
    text
}

/// The JSON of a value: bytes are a string where they are UTF-8, else base64.
pub(super) fn as_json(value: &Value) -> String {
    to_json(value, BytesAs::Text)
}

/// Keys, one a line.
pub(super) fn keys(keys: &[String], output: Output) -> Vec<u8> {
    match output {
        Output::Text => keys.iter().flat_map(|key| [key, "\n"]).collect::<String>().into_bytes(),
        Output::Json => line(&json!({ "keys": keys })),
    }
}

/// How each node sees itself.
pub(super) fn status(views: &[NodeView], output: Output) -> Vec<u8> {
    match output {
        Output::Text => table(views).into_bytes(),
        Output::Json => {
            let nodes = views.iter().map(|NodeView { endpoint, status }| match status {
                Ok(status) => json!({ "endpoint": endpoint, "status": status }),
                Err(error) => json!({ "endpoint": endpoint, "error": error.to_string() }),
            });
            line(&json!({ "nodes": nodes.collect::<Vec<_>>() }))
        }
    }
}

const COLUMNS: [&str; 10] =
    ["NODE", "ENDPOINT", "STATE", "TERM", "LEADER", "COMMITTED", "APPLIED", "LOG", "KEYS", "UPTIME"];

/// A row for each node; what does not fit a row follows below.
pub(super) fn table(views: &[NodeView]) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    let mut notes = String::new();
    for NodeView { endpoint, status } in views {
        match status {
            Ok(status) => {
                rows.push(row(endpoint, status));
                if let Some(reason) = &status.failed {
                    let _ = writeln!(notes, "{} has failed: {reason}", status.node_id);
                }
            }
            Err(error) => {
                rows.push(["-", endpoint, "no answer", "-", "-", "-", "-", "-", "-", "-"].map(str::to_owned));
                let _ = writeln!(notes, "{}", about(endpoint, &error.to_string()));
            }
        }
    }
    let gap = if notes.is_empty() { "" } else { "\n" };
    format!("{}{gap}{notes}", aligned(&rows))
}

/// Something said about `whom`, who is named unless that was done already.
fn about(whom: &str, said: &str) -> String {
    if said.contains(whom) { said.to_owned() } else { format!("{whom}: {said}") }
}

fn row(endpoint: &str, status: &Status) -> [String; 10] {
    [
        status.node_id.clone(),
        endpoint.to_owned(),
        if status.failed.is_some() { "failed".to_owned() } else { status.state.clone() },
        status.term.to_string(),
        status.leader_id.clone().unwrap_or_else(|| "none".to_owned()),
        status.commit_index.to_string(),
        status.last_applied.to_string(),
        status.last_log_index.to_string(),
        status.keys.to_string(),
        duration(status.uptime_ms),
    ]
}

/// Milliseconds as people say them, in the two largest units.
fn duration(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    match (minutes, hours, hours / 24) {
        (0, _, _) => format!("{seconds} s"),
        (_, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (_, _, 0) => format!("{hours} h {} min", minutes % 60),
        (_, _, days) => format!("{days} d {} h", hours % 24),
    }
}

/// What is in the way, and what would help.
pub(super) fn why(explanation: &Explanation, output: Output) -> Vec<u8> {
    if output == Output::Json {
        return line(&json!(explanation));
    }
    let mut text = format!("{}\n", explanation.summary);
    for reason in &explanation.reasons {
        let detail = about(reason.node_id.as_deref().unwrap_or_default(), &reason.detail);
        let _ = writeln!(text, "\n- {detail} [{}]", reason.code);
        if !reason.advice.is_empty() {
            let _ = writeln!(text, "  {}", reason.advice);
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use raft_node::client::{ClientError, Reason};
    use raft_node::core::types::LogIndex;

    use super::*;

    fn found(value: Value, output: Output) -> String {
        let item = Item { value, revision: LogIndex(7) };
        String::from_utf8(super::item("k", Some(&item), output).unwrap()).unwrap()
    }

    #[test]
    fn values() {
        let json = |text: &'static str| Value::Json(text.into());
        for (value, text, as_json) in [
            (json("\"a\\nb\""), "a\nb\n", "\"a\\nb\""),
            (json("1.0"), "1.0\n", "1.0"),
            (json("12345678901234567890123"), "12345678901234567890123\n", "12345678901234567890123"),
            (json("{\"b\":1,\"a\":[null]}"), "{\"b\":1,\"a\":[null]}\n", "{\"b\":1,\"a\":[null]}"),
            (Value::Bytes("text".into()), "text", "\"text\""),
        ] {
            assert_eq!(found(value.clone(), Output::Text), text);
            let want = format!("{{\"key\":\"k\",\"value\":{as_json},\"found\":true,\"revision\":7}}\n");
            assert_eq!(found(value, Output::Json), want);
        }
        assert_eq!(as_json(&Value::Bytes(vec![0xff].into())), r#"{"$base64":"/w=="}"#);
    }

    #[test]
    fn a_missing_key() {
        assert_eq!(item("k", None, Output::Text).unwrap(), b"");
        let json = item("k", None, Output::Json).unwrap();
        assert_eq!(json, b"{\"found\":false,\"key\":\"k\",\"value\":null}\n");
    }

    #[test]
    fn durations() {
        for (ms, text) in [
            (999, "0 s"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (3_720_000, "1 h 2 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_endpoint_and_says_what_is_wrong() {
        let leader = Status { node_id: "a".into(), state: "leader".into(), term: 3, ..Status::default() };
        let failed = Status { node_id: "b".into(), failed: Some("disk".into()), ..Status::default() };
        let views = [
            NodeView { endpoint: "h:1".into(), status: Ok(leader) },
            NodeView { endpoint: "h:2".into(), status: Ok(failed) },
            NodeView { endpoint: "h:3".into(), status: Err(ClientError::System("refused".into())) },
        ];
        let text = table(&views);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0][..3], ["NODE", "ENDPOINT", "STATE"]);
        assert_eq!(rows[1][..5], ["a", "h:1", "leader", "3", "none"]);
        assert_eq!(rows[2][..3], ["b", "h:2", "failed"]);
        assert_eq!(rows[3][..4], ["-", "h:3", "no", "answer"]);
        assert!(text.ends_with("\n\nb has failed: disk\nh:3: refused\n"), "{text}");
    }

    #[test]
    fn nobody_is_named_twice() {
        assert_eq!(about("b", "refused"), "b: refused");
        assert_eq!(about("node_0", "node_0 cannot be reached"), "node_0 cannot be reached");
        assert_eq!(about("", "the disk is full"), "the disk is full");
    }

    #[test]
    fn reasons_come_with_advice() {
        let reason = Reason {
            code: "peer_unreachable".into(),
            detail: "disk full".into(),
            node_id: Some("b".into()),
            advice: "start it".into(),
        };
        let explanation = Explanation { ok: false, summary: "no majority".into(), reasons: vec![reason] };
        let text = String::from_utf8(why(&explanation, Output::Text)).unwrap();
        assert_eq!(text, "no majority\n\n- b: disk full [peer_unreachable]\n  start it\n");
    }
}
