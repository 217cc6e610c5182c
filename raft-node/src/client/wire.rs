//! What the client writes and reads: paths, bodies and answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::types::LogIndex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::connection::Answer;
use super::error::ClientError;
use crate::http::percent;
use crate::node::{Consistency, Deleted, Item, Key, Value, Written};
use crate::value::{self, push_string};

/// Which part of the store to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOptions {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most so many, from 1; none for as many as fit a page, which is some 8 MiB.
    pub limit: Option<u32>,
    /// Whether values are wanted, or keys alone.
    pub values: bool,
}

impl Default for ListOptions {
    /// Everything, with values.
    fn default() -> ListOptions {
        ListOptions { prefix: String::new(), after: None, limit: None, values: true }
    }
}

/// A part of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys in the order of their bytes, each with its value where values were asked for.
    pub entries: Vec<(String, Option<Value>)>,
    /// Whether keys remain after the last of `entries`.
    pub more: bool,
    /// The log index at which the store last changed; 0 if it never did.
    pub revision: LogIndex,
}

#[derive(Deserialize)]
struct WriteAnswer {
    revision: u64,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct PageAnswer<'a> {
    #[serde(borrow)]
    state_machine: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
    keys: Option<Vec<String>>,
    revision: u64,
    #[serde(default)]
    more: bool,
}

#[derive(Serialize)]
struct SessionBody<'a> {
    client: &'a str,
}

fn check_key(key: &str) -> Result<(), ClientError> {
    Key::new(key).map(|_| ()).map_err(|error| ClientError::InvalidInput(error.to_string()))
}

/// A path that ends in a key.
pub(super) fn key_path(prefix: &str, key: &str) -> Result<String, ClientError> {
    check_key(key)?;
    let mut path = String::with_capacity(prefix.len() + key.len() + 64);
    path.push_str(prefix);
    percent::encode_into(&mut path, key);
    Ok(path)
}

/// As it stands in a query.
pub(super) fn consistency(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Linearizable => "linearizable",
        Consistency::Stale => "stale",
    }
}

/// Path and query of a listing.
pub(super) fn list_target(options: &ListOptions, freshness: Consistency) -> Result<String, ClientError> {
    let mut target = format!("/api/state_machine?bytes=base64&consistency={}", consistency(freshness));
    if options.limit == Some(0) {
        return Err(ClientError::InvalidInput("the limit of a listing is 1 at least".to_owned()));
    }
    if let Some(limit) = options.limit {
        target.push_str(&format!("&limit={limit}"));
    }
    if !options.values {
        target.push_str("&values=false");
    }
    let texts = [("&prefix=", Some(&options.prefix)), ("&after=", options.after.as_ref())];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            if text.len() > Key::MAX_LEN {
                let limit = Key::MAX_LEN;
                return Err(ClientError::InvalidInput(format!("no key is longer than {limit} bytes")));
            }
            target.push_str(name);
            percent::encode_into(&mut target, text);
        }
    }
    Ok(target)
}

/// Checks the text of a JSON value.
pub(super) fn json_value(text: &str) -> Result<Bytes, ClientError> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) => Ok(Bytes::copy_from_slice(value.get().as_bytes())),
        Err(error) => Err(ClientError::InvalidInput(format!("the value is not JSON: {error}"))),
    }
}

/// The body of a delete.
pub(super) fn delete_body(key: &str) -> Result<Bytes, ClientError> {
    check_key(key)?;
    let mut body = Vec::with_capacity(key.len() + 16);
    body.extend_from_slice(b"{\"key\":");
    push_string(&mut body, key);
    body.push(b'}');
    Ok(body.into())
}

/// The body that opens a session.
pub(super) fn session_body(client: &str) -> Bytes {
    serde_json::to_vec(&SessionBody { client }).expect("encoding a string into memory").into()
}

/// Reads an answer that is one JSON document.
pub(super) fn report<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(answer, &error.to_string()))
}

fn unreadable(answer: &Answer, error: &str) -> ClientError {
    let detail = format!("its answer cannot be read: {error}");
    ClientError::Protocol { endpoint: answer.endpoint.clone(), detail }
}

/// Reads the answer to a set.
pub(super) fn written(answer: &Answer) -> Result<Written, ClientError> {
    let WriteAnswer { revision, .. } = report(answer)?;
    Ok(Written { revision: LogIndex(revision) })
}

/// Reads the answer to a delete.
pub(super) fn deleted(answer: &Answer) -> Result<Deleted, ClientError> {
    let WriteAnswer { revision, deleted } = report(answer)?;
    Ok(Deleted { deleted, revision: LogIndex(revision) })
}

/// Reads a raw value.
pub(super) fn item(answer: Answer) -> Result<Item, ClientError> {
    let Some(revision) = answer.revision else {
        return Err(unreadable(&answer, "it has no Raft-Revision"));
    };
    let is_json = answer.content_type.starts_with("application/json");
    let value = if is_json { Value::Json(answer.body) } else { Value::Bytes(answer.body) };
    Ok(Item { value, revision: LogIndex(revision) })
}

/// Reads a listing.
pub(super) fn page(answer: &Answer) -> Result<Page, ClientError> {
    let page: PageAnswer<'_> =
        serde_json::from_slice(&answer.body).map_err(|error| unreadable(answer, &error.to_string()))?;
    let entries = match (page.state_machine, page.keys) {
        (Some(values), _) => values
            .into_iter()
            .map(|(key, text)| (key.into_owned(), Some(value::decode(&answer.body, text.get()))))
            .collect(),
        (None, Some(keys)) => keys.into_iter().map(|key| (key, None)).collect(),
        (None, None) => return Err(unreadable(answer, "it has neither state_machine nor keys")),
    };
    Ok(Page { entries, more: page.more, revision: LogIndex(page.revision) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer {
            endpoint: "h:1".into(),
            status: 200,
            content_type: "application/json".into(),
            revision: Some(3),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn listings_keep_types_and_order() {
        let text = r#"{"state_machine":{"a":"x","b":{"$base64":"AP8="},"c\n":[1, 2]},
            "revision":9,"more":true,"after":"c\n","new":1}"#;
        let json = |text: &'static str| Some(Value::Json(Bytes::from_static(text.as_bytes())));
        let expected = Page {
            entries: vec![
                ("a".into(), json("\"x\"")),
                ("b".into(), Some(Value::Bytes(Bytes::from_static(&[0, 255])))),
                ("c\n".into(), json("[1, 2]")),
            ],
            more: true,
            revision: LogIndex(9),
        };
        assert_eq!(page(&answer(text)), Ok(expected));
        let keys = page(&answer(r#"{"keys":["b","a"],"revision":1}"#)).unwrap();
        assert_eq!(keys.entries, [("b".into(), None), ("a".into(), None)]);
        assert!(!keys.more);
        for bad in ["", "{}", "[]", r#"{"revision":1}"#] {
            assert!(matches!(page(&answer(bad)), Err(ClientError::Protocol { .. })), "{bad}");
        }
    }

    #[test]
    fn targets_are_encoded() {
        assert_eq!(key_path("/api/raw/", "a/b ?é").unwrap(), "/api/raw/a%2Fb%20%3F%C3%A9");
        let options =
            ListOptions { prefix: "a&b".into(), after: Some("+".into()), limit: Some(2), values: false };
        assert_eq!(
            list_target(&options, Consistency::Stale).unwrap(),
            "/api/state_machine?bytes=base64&consistency=stale&limit=2&values=false&prefix=a%26b&after=%2B"
        );
        assert!(list_target(&ListOptions { limit: Some(0), ..options }, Consistency::Stale).is_err());
    }

    #[test]
    fn bad_input_is_refused_before_it_is_sent() {
        for key in ["", &"k".repeat(4097)] {
            assert!(matches!(key_path("/", key), Err(ClientError::InvalidInput(_))));
            assert!(matches!(delete_body(key), Err(ClientError::InvalidInput(_))));
        }
        for value in ["", "{", "1 2", "nul", "{\"a\":1},\"x\":2"] {
            assert!(matches!(json_value(value), Err(ClientError::InvalidInput(_))), "{value}");
        }
        assert_eq!(json_value(" [1, 2] ").unwrap(), "[1, 2]");
        assert_eq!(delete_body("a\"").unwrap(), r#"{"key":"a\""}"#);
    }

    #[test]
    fn raw_values_have_the_type_they_were_set_with() {
        let json = item(answer("\"x\"")).unwrap();
        assert_eq!(json.value, Value::Json(Bytes::from_static(b"\"x\"")));
        assert_eq!(json.revision, LogIndex(3));
        let bytes = Answer { content_type: "application/octet-stream".into(), ..answer("x") };
        assert_eq!(item(bytes).unwrap().value, Value::Bytes(Bytes::from_static(b"x")));
        assert!(item(Answer { revision: None, ..answer("x") }).is_err());
    }
}
