//! RequestVote and AppendEntries in their documented, human-readable form (paper, Figure 2).

use std::borrow::Cow;

use bytes::Bytes;
use raft_core::entry::{Command, Entry, Payload};
use raft_core::kv;
use raft_core::message::{AppendEntries, RequestVote, Round};
use raft_core::types::{LogIndex, NodeId, Term};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::input;
use super::json::parse;
use super::problem::{Code, Problem};

/// No log gets this long, and sums of two such indices cannot overflow.
const MAX_INDEX: u64 = 1 << 62;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteBody<'a> {
    term: u64,
    #[serde(borrow)]
    candidate_id: Cow<'a, str>,
    last_log_index: u64,
    last_log_term: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppendBody<'a> {
    term: u64,
    #[serde(borrow)]
    leader_id: Cow<'a, str>,
    prev_log_index: u64,
    prev_log_term: u64,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
    leader_commit: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryBody<'a> {
    term: u64,
    index: Option<u64>,
    #[serde(borrow, deserialize_with = "present")]
    command: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandBody<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

/// Tells a field that is null from one that is missing.
fn present<'a, D: Deserializer<'a>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads the body of `POST /api/vote`: the candidate and its request.
///
/// # Errors
/// 400, naming the field.
pub(crate) fn parse_vote(body: &Bytes) -> Result<(NodeId, RequestVote), Problem> {
    let vote: VoteBody<'_> = parse(body)?;
    let request = RequestVote {
        // The node judges this one, so that a stranger hears that he is one whatever term he claims.
        term: Term(vote.term),
        last_log_index: index("last_log_index", vote.last_log_index)?,
        last_log_term: term("last_log_term", vote.last_log_term)?,
        pre_vote: false,
        transfer: false,
    };
    Ok((node_id("candidate_id", &vote.candidate_id)?, request))
}

/// Reads the body of `POST /api/append_entries`: the leader and its request.
///
/// # Errors
/// 400, naming the field; 413 for a key or value over its limit.
pub(crate) fn parse_append(body: &Bytes, max_value: usize) -> Result<(NodeId, AppendEntries), Problem> {
    let append: AppendBody<'_> = parse(body)?;
    let prev_log_index = index("prev_log_index", append.prev_log_index)?;
    let mut entries = Vec::with_capacity(append.entries.len());
    let mut at = prev_log_index;
    for (position, text) in append.entries.into_iter().enumerate() {
        at = at.next();
        let entry = parse_entry(body, text, at, max_value);
        entries.push(entry.map_err(|problem| within(problem, position))?);
    }
    let request = AppendEntries {
        term: Term(append.term),
        prev_log_index,
        prev_log_term: term("prev_log_term", append.prev_log_term)?,
        entries,
        leader_commit: index("leader_commit", append.leader_commit)?,
        round: Round(0),
    };
    Ok((node_id("leader_id", &append.leader_id)?, request))
}

fn within(problem: Problem, position: usize) -> Problem {
    Problem { detail: format!("entries[{position}]: {}", problem.detail).into(), ..problem }
}

fn parse_entry(body: &Bytes, text: &RawValue, at: LogIndex, max_value: usize) -> Result<Entry, Problem> {
    let entry: EntryBody<'_> = parse(text.get().as_bytes())?;
    if let Some(given) = entry.index.filter(|given| *given != at.0) {
        return Err(Problem::bad_request(format!(
            "field `index` is {given}: by prev_log_index it would be {at}"
        )));
    }
    let payload = match entry.command {
        None => return Err(Problem::bad_request("missing field `command`")),
        Some(command) if command.get() == "null" => Payload::Noop,
        Some(command) => Payload::Command(Command {
            session: None,
            data: parse_command(body, command, max_value)?.encode(),
        }),
    };
    Ok(Entry { index: at, term: term("term", entry.term)?, payload })
}

fn parse_command(body: &Bytes, text: &RawValue, max_value: usize) -> Result<kv::Command, Problem> {
    let command: CommandBody<'_> = parse(text.get().as_bytes())?;
    let key = input::key(&command.key)?;
    match (&*command.op, command.value) {
        ("set", Some(text)) => {
            Ok(kv::Command::Set { key, value: input::value_in(body, text.get(), max_value)? })
        }
        ("set", None) => Err(Problem::bad_request("missing field `value` of the command")),
        ("delete", None) => Ok(kv::Command::Delete { key }),
        ("delete", Some(_)) => Err(Problem::bad_request("unknown field `value`: the command is a delete")),
        _ => Err(Problem::bad_request("field `op` of the command must be \"set\" or \"delete\"")),
    }
}

fn term(field: &str, given: u64) -> Result<Term, Problem> {
    if given > Term::MAX.0 {
        return Err(Problem::bad_request(format!(
            "field `{field}` is {given}: no cluster gets to that term"
        )));
    }
    Ok(Term(given))
}

fn index(field: &str, given: u64) -> Result<LogIndex, Problem> {
    if given > MAX_INDEX {
        return Err(Problem::bad_request(format!("field `{field}` is {given}: no log is that long")));
    }
    Ok(LogIndex(given))
}

fn node_id(field: &str, given: &str) -> Result<NodeId, Problem> {
    NodeId::new(given).map_err(|error| Problem::new(Code::BadRequest, format!("field `{field}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(entries: &str) -> Result<(NodeId, AppendEntries), Problem> {
        let body = format!(
            r#"{{"term":3,"leader_id":"node_1","prev_log_index":4,"prev_log_term":2,
                "entries":{entries},"leader_commit":4}}"#
        );
        parse_append(&Bytes::from(body), 16)
    }

    #[test]
    fn a_vote_is_figure_2() {
        let body = r#"{"term":5,"candidate_id":"node_1","last_log_index":9,"last_log_term":4}"#;
        let (from, vote) = parse_vote(&Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(from.as_str(), "node_1");
        let (last_log_index, last_log_term) = (LogIndex(9), Term(4));
        let expected =
            RequestVote { term: Term(5), last_log_index, last_log_term, pre_vote: false, transfer: false };
        assert_eq!(vote, expected);
        let stranger = body.replace(":5,", ":18446744073709551615,");
        assert_eq!(parse_vote(&stranger.into()).unwrap().1.term, Term(u64::MAX), "for the node to judge");
    }

    #[test]
    fn a_bad_vote_is_named() {
        for (body, part) in [
            (r#"{"candidate_id":"a","last_log_index":9,"last_log_term":4}"#, "missing field `term`"),
            (r#"{"term":-1,"candidate_id":"a","last_log_index":9,"last_log_term":4}"#, "field `term`"),
            (r#"{"term":1.5,"candidate_id":"a","last_log_index":9,"last_log_term":4}"#, "field `term`"),
            (r#"{"term":"1","candidate_id":"a","last_log_index":9,"last_log_term":4}"#, "field `term`"),
            (
                r#"{"term":1,"candidate_id":"a b","last_log_index":9,"last_log_term":4}"#,
                "field `candidate_id`",
            ),
            (
                r#"{"term":1,"candidate_id":"a","last_log_index":18446744073709551615,"last_log_term":4}"#,
                "field `last_log_index`",
            ),
            (
                r#"{"term":1,"candidate_id":"a","last_log_index":9,"last_log_term":9223372036854775808}"#,
                "field `last_log_term`",
            ),
        ] {
            let problem = parse_vote(&Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
            assert_eq!(problem.code, Code::BadRequest);
            assert!(problem.detail.contains(part), "{body}: {}", problem.detail);
        }
    }

    #[test]
    fn entries_follow_from_the_one_before() {
        let (from, request) = append(
            r#"[{"term":3,"command":null},
                {"term":3,"index":6,"command":{"op":"set","key":"k","value":null}},
                {"index":7,"command":{"key":"k","op":"delete"},"term":3}]"#,
        )
        .unwrap();
        assert_eq!(from.as_str(), "node_1");
        assert_eq!(request.entries.iter().map(|entry| entry.index.0).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(request.entries[0].payload, Payload::Noop);
        let commands: Vec<_> = request.entries[1..]
            .iter()
            .map(|entry| match &entry.payload {
                Payload::Command(command) => kv::Command::decode(&command.data).unwrap(),
                other => panic!("not a command: {other:?}"),
            })
            .collect();
        let key = kv::Key::new("k").unwrap();
        let value = kv::Value::Json(Bytes::from_static(b"null"));
        assert_eq!(commands, [kv::Command::Set { key: key.clone(), value }, kv::Command::Delete { key }]);
        assert!(append("[]").unwrap().1.entries.is_empty());
    }

    #[test]
    fn a_bad_entry_is_named() {
        for (entry, code, part) in [
            ("7", Code::BadRequest, "JSON object"),
            (r#"{"command":null}"#, Code::BadRequest, "missing field `term`"),
            (r#"{"term":3}"#, Code::BadRequest, "missing field `command`"),
            (r#"{"term":3,"index":9,"command":null}"#, Code::BadRequest, "field `index` is 9"),
            (r#"{"term":9223372036854775808,"command":null}"#, Code::BadRequest, "field `term`"),
            (r#"{"term":3,"command":["set","k",1]}"#, Code::BadRequest, "JSON object"),
            (r#"{"term":3,"command":{"op":"get","key":"k"}}"#, Code::BadRequest, "field `op`"),
            (r#"{"term":3,"command":{"op":"set","key":"k"}}"#, Code::BadRequest, "missing field `value`"),
            (r#"{"term":3,"command":{"op":"delete","key":"k","value":1}}"#, Code::BadRequest, "`value`"),
            (r#"{"term":3,"command":{"op":"set","key":"","value":1}}"#, Code::BadRequest, "key is empty"),
            (
                r#"{"term":3,"command":{"op":"set","key":"k","value":"0123456789abcdef"}}"#,
                Code::TooLarge,
                "the value has 18 bytes",
            ),
        ] {
            let problem = append(&format!(r#"[{{"term":3,"command":null}},{entry}]"#)).unwrap_err();
            assert_eq!(problem.code, code, "{entry}");
            let detail = &problem.detail;
            assert!(detail.starts_with("entries[1]: ") && detail.contains(part), "{entry}: {detail}");
        }
    }
}
