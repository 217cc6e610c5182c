//! What HTTP requests carry: heads, queries, keys in paths, bodies, values.
//!
//! The first byte says which; the rest is the text.
//!
//! - Nothing panics; what is refused is refused by a problem document with one of the documented statuses.
//! - A body is taken exactly if another reader finds in it the documented fields, once each, within their
//!   limits; and what is taken is what stands there. A value's text comes back as it was.
//! - Decoding a path or query agrees with another decoder, and with encoding.
//! - A query means the same in another order, and written anew.
//! - A write's session is what its headers say. A page of another origin is not let in.

use bytes::Bytes;
use raft_core::entry::{Sequence, SessionStep};
use raft_core::kv::{Key, Value};
use raft_node::Config;
use raft_node::config::parse_peers;
use raft_node::fuzzing::{self, Asked, HeaderMap, Method, Refusal, Request};
use raft_node::value::{self, MAX_DEPTH};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::json::{depth, is_refusal, pairs, texts};
use crate::world::member;

/// The limit of values: small, so that it is met.
const MAX_VALUE: usize = 512;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&kind, input)) = input.split_first() else { return };
    let body = Bytes::copy_from_slice(input);
    match kind % 8 {
        0 => set(&body),
        1 => delete(&body),
        2 => session(&body),
        3 => raw(&body),
        4 => query(input),
        5 => percent(input),
        6 => head(input),
        _ => value(input),
    }
}

fn set(body: &Bytes) {
    let texts = texts(body, &["key", "value"]);
    match fuzzing::set_body(body, MAX_VALUE) {
        Ok((key, value)) => {
            let texts = texts.expect("both fields, once");
            let said: String = serde_json::from_str(texts[0].get()).expect("a string");
            assert_eq!(said, key.as_str());
            is_value(&value, &texts[1]);
        }
        Err(refusal) => {
            is_refusal(&refusal, &[400, 413]);
            if let Some(texts) = texts {
                let key = serde_json::from_str::<String>(texts[0].get()).ok();
                let is_sound = key.is_some_and(|key| Key::new(&key).is_ok()) && is_sound_value(&texts[1]);
                assert!(!is_sound, "a sound body is refused: {body:?}");
            }
        }
    }
}

/// The value is what the text says, and the text comes back.
fn is_value(value: &Value, text: &RawValue) {
    assert!(value.len() <= MAX_VALUE);
    match value {
        Value::Json(kept) => assert_eq!(kept, text.get().as_bytes(), "the text is kept as it is"),
        Value::Bytes(_) => {
            let again: Json = serde_json::from_str(&fuzzing::json_of(value, true)).expect("JSON");
            assert_eq!(
                serde_json::from_str::<Json>(text.get()).ok(),
                Some(again),
                "bytes are what stands there"
            );
        }
    }
    comes_back(value);
}

fn comes_back(value: &Value) {
    assert_eq!(value::from_json(&fuzzing::json_of(value, true)).as_ref(), Ok(value));
    let shown = fuzzing::json_of(value, false);
    serde_json::from_str::<&RawValue>(&shown).expect("what is shown is JSON");
}

/// Whether a value has to be taken. Of a number that this reader cannot hold it does not know.
fn is_sound_value(text: &RawValue) -> bool {
    let json: Option<Json> = serde_json::from_str(text.get()).ok();
    json.is_some_and(|json| depth(&json) <= MAX_DEPTH) && text.get().len() <= MAX_VALUE
}

fn delete(body: &Bytes) {
    let said = pairs(body, &["key"]);
    let said = said.as_ref().and_then(|said| said[0].as_str()).filter(|key| Key::new(key).is_ok());
    let read = fuzzing::delete_body(body);
    read.as_ref().err().into_iter().for_each(|refusal| is_refusal(refusal, &[400, 413]));
    assert_eq!(read.ok().as_ref().map(Key::as_str), said);
}

fn session(body: &Bytes) {
    let said = pairs(body, &["client"]);
    let fits =
        |name: &&str| (1..=128).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b));
    let said = said.as_ref().and_then(|said| said[0].as_str()).filter(fits);
    let read = fuzzing::session_body(body);
    read.as_ref().err().into_iter().for_each(|refusal| is_refusal(refusal, &[400]));
    assert_eq!(read.ok().as_ref().map(|client| client.as_bytes()), said.map(str::as_bytes));
}

fn raw(body: &Bytes) {
    let as_bytes = fuzzing::raw_body(body, false, MAX_VALUE);
    assert_eq!(as_bytes.is_ok(), body.len() <= MAX_VALUE);
    as_bytes.iter().for_each(|value| assert_eq!(value, &Value::Bytes(body.clone())));
    let text: Option<&RawValue> = serde_json::from_slice(body).ok();
    match fuzzing::raw_body(body, true, MAX_VALUE) {
        Ok(Value::Json(kept)) => {
            assert_eq!(Some(&kept[..]), text.map(|text| text.get().as_bytes()));
            assert!(kept.len() <= MAX_VALUE);
        }
        Ok(Value::Bytes(_)) => panic!("JSON was taken for bytes"),
        Err(refusal) => {
            is_refusal(&refusal, &[400, 413]);
            assert!(!text.is_some_and(is_sound_value), "a sound value is refused: {body:?}");
        }
    }
}

fn value(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match value::from_json(text) {
        Ok(value) => comes_back(&value),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn query(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match fuzzing::query(Some(text)) {
        Ok(asked) => {
            assert_eq!(fuzzing::query(Some(&written(&asked))).as_ref(), Ok(&asked), "written anew");
            let backwards: Vec<&str> = text.rsplit('&').collect();
            assert_eq!(fuzzing::query(Some(&backwards.join("&"))), Ok(asked), "in another order");
        }
        Err(refusal) => is_refusal(&refusal, &[400]),
    }
}

/// A query that asks for this.
fn written(asked: &Asked) -> String {
    let Asked { stale, timeout, prefix, limit, after, values, base64 } = asked;
    let encode = fuzzing::percent_encode;
    let mut parts = vec![
        format!("consistency={}", if *stale { "stale" } else { "linearizable" }),
        format!("prefix={}&limit={limit}&values={values}", encode(prefix)),
        format!("bytes={}", if *base64 { "base64" } else { "text" }),
    ];
    parts.extend(timeout.map(|timeout| format!("timeout_ms={}", timeout.as_millis())));
    parts.extend(after.as_ref().map(|after| format!("after={}", encode(after))));
    parts.join("&")
}

fn percent(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for in_query in [false, true] {
        let plain = if in_query { text.replace('+', " ") } else { text.to_owned() };
        let other = percent_encoding::percent_decode_str(&plain).decode_utf8().ok();
        match fuzzing::percent_decode(text, in_query) {
            Ok(decoded) => {
                assert_eq!(Some(&decoded), other.as_ref());
                let again = fuzzing::percent_encode(&decoded);
                assert_eq!(fuzzing::percent_decode(&again, in_query).as_ref(), Ok(&decoded));
            }
            Err(_) => assert!(other.is_none() || has_bad_escape(text), "{text:?}"),
        }
    }
    assert_eq!(fuzzing::percent_decode(&fuzzing::percent_encode(text), true).as_deref(), Ok(text));
}

fn has_bad_escape(text: &str) -> bool {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let bad = |at: usize| !is_hex(bytes.get(at + 1)) || !is_hex(bytes.get(at + 2));
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && bad(at))
}

fn config() -> Config {
    let mut config = Config::new(member(0), 12000);
    config.peers =
        parse_peers("node_0=127.0.0.1:12000,node_1=db.example:12001,node_2=[::1]:80").expect("a sound list");
    config
}

/// The head of a request, read by the parser that hyper uses too.
fn head(input: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut fields);
    if !matches!(parsed.parse(input), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let target = parsed.path.unwrap_or("/");
    let mut request =
        Request::builder().method(parsed.method.unwrap_or("GET")).uri(parsed.path.unwrap_or("/"));
    for field in parsed.headers.iter() {
        request = request.header(field.name, field.value);
    }
    let Ok(request) = request.body(()) else { return };
    let (method, path, headers) =
        (request.method().clone(), request.uri().path().to_owned(), request.headers().clone());
    let head = fuzzing::head(request, &config());
    if head.is_preflight {
        let origin = headers.get("origin").expect("a page asks").to_str().expect("text");
        let allowed = [
            "127.0.0.1:12000",
            "localhost:12000",
            "[::1]:12000",
            "db.example:12001",
            "[::1]",
            "127.0.0.1",
            "localhost",
        ];
        assert!(
            method == Method::OPTIONS && allowed.iter().any(|name| origin == format!("http://{name}")),
            "{origin}"
        );
    }
    match &head.route {
        Ok((_, Some(key))) => {
            let encoded = path.splitn(4, '/').nth(3).or_else(|| path.splitn(3, '/').nth(2));
            let decoded = encoded.map(|encoded| fuzzing::percent_decode(encoded, false));
            assert_eq!(decoded, Some(Ok(key.as_str().into())), "the key is what stands in the path");
        }
        Ok((_, None)) => {}
        Err(refusal) => is_refusal(refusal, &[400, 404, 405, 413]),
    }
    refused(&head.name, &[403]);
    refused(&head.query, &[400]);
    refused(&head.is_json, &[415]);
    match &head.session {
        Ok(step) => is_session(step.as_ref(), &headers),
        Err(refusal) => is_refusal(refusal, &[400]),
    }
    if target.starts_with('/') {
        knows(&headers, head.name.is_ok());
    }
}

fn refused<T>(result: &Result<T, Refusal>, statuses: &[u16]) {
    result.as_ref().err().into_iter().for_each(|refusal| is_refusal(refusal, statuses));
}

fn is_session(step: Option<&SessionStep>, headers: &HeaderMap) {
    let all =
        |name: &str| headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let (keys, numbers, belows) =
        (all("idempotency-key"), all("idempotency-sequence"), all("idempotency-answered-below"));
    let Some(SessionStep { client, sequence }) = step else {
        return assert!(keys.is_empty() && numbers.is_empty() && belows.is_empty());
    };
    assert_eq!(keys, [client.as_bytes()]);
    let parsed = |text: &[Vec<u8>]| match text {
        [one] => std::str::from_utf8(one).ok().and_then(|text| text.parse::<u64>().ok()),
        _ => None,
    };
    match *sequence {
        Sequence::Only => assert!(numbers.is_empty() && belows.is_empty()),
        Sequence::Open => panic!("a header opens no session"),
        Sequence::Number { number, answered_below } => {
            assert_eq!(parsed(&numbers), Some(number));
            assert_eq!(parsed(&belows).unwrap_or(0), answered_below);
            assert!(number >= 1 && answered_below <= number);
        }
    }
}

/// A page whose own name is made to lead here is not let in: only names that belong here are. Of a target
/// that names a host itself, as no browser's does, that one is judged instead.
fn knows(headers: &HeaderMap, is_let_in: bool) {
    let hosts: Vec<_> = headers.get_all("host").iter().collect();
    let [host] = hosts[..] else { return };
    let host = host.to_str().unwrap_or_default();
    let is_name = host.bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
    let bare = host.trim_end_matches('.');
    let is_ours = bare == "db.example" || bare == "localhost" || bare.ends_with(".localhost");
    if is_name && !is_ours && bare.contains('.') {
        assert!(!is_let_in, "{host} is let in");
    }
}
