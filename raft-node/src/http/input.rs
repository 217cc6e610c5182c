//! The bodies and headers of clients' writes, from bytes to checked values.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::parse;
use super::problem::{Code, Problem};
use crate::node::{ClientId, Key, Sequence, SessionStep, Value};
use crate::value::{self, InvalidJson};

/// Names a write, so that its repetition happens once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The number of a write in the session that `Idempotency-Key` names.
pub(crate) const IDEMPOTENCY_SEQUENCE: HeaderName = HeaderName::from_static("idempotency-sequence");
/// The client has had the answers to all numbers below this one.
pub(crate) const IDEMPOTENCY_ANSWERED_BELOW: HeaderName =
    HeaderName::from_static("idempotency-answered-below");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteBody<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody<'a> {
    #[serde(borrow)]
    client: Cow<'a, str>,
}

/// Checks a key.
///
/// # Errors
/// 400 when it is empty, 413 when it is over its limit.
pub(crate) fn key(text: &str) -> Result<Key, Problem> {
    Key::new(text).map_err(|_| {
        if text.is_empty() {
            Problem::bad_request("the key is empty: it needs 1 byte at least")
        } else {
            Problem::too_large("the key", text.len(), Key::MAX_LEN)
        }
    })
}

/// Reads the body of `POST /api/set`.
pub(crate) fn parse_set(body: &Bytes, max_value: usize) -> Result<(Key, Value), Problem> {
    let set: SetBody<'_> = parse(body)?;
    Ok((key(&set.key)?, value_in(body, set.value.get(), max_value)?))
}

/// Reads the body of `POST /api/delete`.
pub(crate) fn parse_delete(body: &Bytes) -> Result<Key, Problem> {
    key(&parse::<DeleteBody<'_>>(body)?.key)
}

/// Reads the body of `POST /api/session`.
pub(crate) fn parse_session(body: &Bytes) -> Result<ClientId, Problem> {
    let client = parse::<SessionBody<'_>>(body)?.client;
    ClientId::new(client.as_bytes())
        .map_err(|_| Problem::bad_request("field `client` must be 1 to 128 printable ASCII characters"))
}

/// Reads the body of `PUT /api/raw/{key}`.
pub(crate) fn parse_raw(body: Bytes, media: Media, max_value: usize) -> Result<Value, Problem> {
    let value = match media {
        Media::OctetStream => Value::Bytes(body),
        Media::Json => {
            let text: &RawValue = serde_json::from_slice(&body)
                .map_err(|error| Problem::bad_request(format!("the body is not one JSON value: {error}")))?;
            value::check_readable(text.get().as_bytes()).map_err(|error| unreadable(&error))?;
            Value::Json(body.slice_ref(text.get().as_bytes()))
        }
    };
    within(value, max_value)
}

/// Reads field `value`, which stands in `body`.
///
/// # Errors
/// 413 when it is over `max_value` bytes, 400 when common readers of JSON could not read it back.
pub(crate) fn value_in(body: &Bytes, text: &str, max_value: usize) -> Result<Value, Problem> {
    let value = value::decode(body, text);
    if let Value::Json(text) = &value {
        value::check_readable(text).map_err(|error| unreadable(&error))?;
    }
    within(value, max_value)
}

fn unreadable(error: &InvalidJson) -> Problem {
    Problem::bad_request(format!("field `value` {error}"))
}

/// Refuses a value over its limit.
fn within(value: Value, limit: usize) -> Result<Value, Problem> {
    if value.len() > limit {
        return Err(Problem::too_large("the value", value.len(), limit));
    }
    Ok(value)
}

/// The media types that bodies may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    OctetStream,
}

impl Media {
    /// As it stands in a header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::OctetStream => "application/octet-stream",
        }
    }
}

/// Reads the content type of a body that may be `accepted`.
///
/// A missing one is refused too: a web page may send such a request to any host without asking, while
/// for these two its browser asks first.
///
/// # Errors
/// 415, naming what would be accepted.
pub(crate) fn media(headers: &HeaderMap, accepted: &[Media]) -> Result<Media, Problem> {
    let given = headers.get(CONTENT_TYPE).map_or(Ok(""), |value| value.to_str()).unwrap_or("?");
    let mut parts = given.split(';').map(str::trim);
    let media = match parts.next() {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Some(Media::Json),
        Some(kind) if kind.eq_ignore_ascii_case("application/octet-stream") => Some(Media::OctetStream),
        _ => None,
    };
    let utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    match media {
        Some(media) if utf8 && accepted.contains(&media) => Ok(media),
        _ => Err(refuse_media(given, accepted)),
    }
}

fn refuse_media(given: &str, accepted: &[Media]) -> Problem {
    let names: Vec<_> = accepted.iter().map(|media| media.name()).collect();
    let given = if given.is_empty() { "missing".to_owned() } else { format!("{given:?}") };
    let wanted = names.join(" or ");
    let detail = format!("the Content-Type is {given}: send {wanted} (UTF-8, with a Content-Type header)");
    Problem::new(Code::UnsupportedMediaType, detail)
}

/// Reads the headers that make a repeated write happen once.
///
/// # Errors
/// 400, naming the header.
pub(crate) fn session_step(headers: &HeaderMap) -> Result<Option<SessionStep>, Problem> {
    let sequence = number(headers, &IDEMPOTENCY_SEQUENCE)?;
    let answered_below = number(headers, &IDEMPOTENCY_ANSWERED_BELOW)?;
    let Some(client) = single(headers, &IDEMPOTENCY_KEY)? else {
        return match (sequence, answered_below) {
            (None, None) => Ok(None),
            _ => Err(Problem::bad_request(
                "Idempotency-Sequence needs an Idempotency-Key that names the session",
            )),
        };
    };
    let client = ClientId::new(client)
        .map_err(|_| Problem::bad_request("Idempotency-Key must be 1 to 128 printable ASCII characters"))?;
    let sequence = match (sequence, answered_below) {
        (None, None) => Sequence::Only,
        (None, Some(_)) => {
            return Err(Problem::bad_request("Idempotency-Answered-Below needs an Idempotency-Sequence"));
        }
        (Some(0), _) => return Err(Problem::bad_request("Idempotency-Sequence counts from 1")),
        (Some(number), below) if below.unwrap_or(0) <= number => {
            Sequence::Number { number, answered_below: below.unwrap_or(0) }
        }
        (Some(_), _) => {
            return Err(Problem::bad_request(
                "Idempotency-Answered-Below is above Idempotency-Sequence: \
                 that would report this write as answered",
            ));
        }
    };
    Ok(Some(SessionStep { client, sequence }))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes())),
        (Some(_), Some(_)) => Err(Problem::bad_request(format!("the header {name} is there more than once"))),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(value) = single(headers, name)? else { return Ok(None) };
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(Problem::bad_request(format!("the header {name} must be a whole number below 2^64"))),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn set(body: &str) -> Result<(Key, Value), Problem> {
        parse_set(&Bytes::copy_from_slice(body.as_bytes()), 64)
    }

    #[test]
    fn a_set_is_a_key_and_any_json_value() {
        for (body, key, value) in [
            (r#"{"key":"a","value":"1.0"}"#, "a", "\"1.0\""),
            (r#" { "value" : [1, 2 ] , "key" : "a\u00e9\n" } "#, "aé\n", "[1, 2 ]"),
            (r#"{"key":"a/b","value":null}"#, "a/b", "null"),
            (r#"{"key":"a","value":{"key":1,"key":2}}"#, "a", r#"{"key":1,"key":2}"#),
        ] {
            let (k, v) = set(body).unwrap();
            assert_eq!(k.as_str(), key);
            assert_eq!(v, Value::Json(Bytes::copy_from_slice(value.as_bytes())));
        }
    }

    #[test]
    fn a_bad_set_is_refused_and_the_field_named() {
        let long_key = format!(r#"{{"key":"{}","value":1}}"#, "k".repeat(4097));
        let long_value = format!(r#"{{"key":"k","value":"{}"}}"#, "v".repeat(64));
        for (body, code, part) in [
            ("", Code::BadRequest, "empty"),
            ("  \n", Code::BadRequest, "empty"),
            ("[\"k\",1]", Code::BadRequest, "JSON object"),
            ("null", Code::BadRequest, "JSON object"),
            ("{", Code::BadRequest, "EOF"),
            (r#"{"key":"a","value":1"#, Code::BadRequest, "EOF"),
            (r#"{"key":"a"}"#, Code::BadRequest, "missing field `value`"),
            (r#"{"value":1}"#, Code::BadRequest, "missing field `key`"),
            (r#"{"key":"a","value":1,"ttl":2}"#, Code::BadRequest, "unknown field `ttl`"),
            (r#"{"key":"a","value":1,"value":2}"#, Code::BadRequest, "duplicate field `value`"),
            (r#"{"key":"a","key":"b","value":2}"#, Code::BadRequest, "duplicate field `key`"),
            (r#"{"key":7,"value":1}"#, Code::BadRequest, "field `key`: invalid type: integer `7`"),
            (r#"{"key":null,"value":1}"#, Code::BadRequest, "field `key`: invalid type: null"),
            (r#"{"key":"","value":1}"#, Code::BadRequest, "key is empty"),
            (r#"{"key":"\ud800","value":1}"#, Code::BadRequest, "field `key`"),
            (r#"{"key":"a","value":}"#, Code::BadRequest, "field `value`"),
            (r#"{"key":"a","value":01}"#, Code::BadRequest, "line 1 column"),
            (r#"{"key":"a","value":NaN}"#, Code::BadRequest, "field `value`"),
            (r#"{"key":"a","value":1} x"#, Code::BadRequest, "trailing characters"),
            (&long_key, Code::TooLarge, "the key has 4097 bytes"),
            (&long_value, Code::TooLarge, "the value has 66 bytes: at most 64"),
        ] {
            let problem = set(body).unwrap_err();
            assert_eq!(problem.code, code, "{body}");
            assert!(problem.detail.contains(part), "{body}: {:?}", problem.detail);
        }
        let not_utf8 = Bytes::from_static(b"{\"key\":\"a\",\"value\":\"\xff\"}");
        assert_eq!(parse_set(&not_utf8, 64).unwrap_err().code, Code::BadRequest);
        let deep = format!(r#"{{"key":"k","value":{}{}}}"#, "[".repeat(300), "]".repeat(300));
        assert!(parse_set(&deep.into(), 1000).unwrap_err().detail.contains("nested"));
        assert!(set(r#"{"key":"k","value":"\ud800"}"#).unwrap_err().detail.contains("surrogate"));
    }

    #[test]
    fn raw_bodies_keep_the_type_they_are_sent_with() {
        let json = parse_raw(Bytes::from_static(b" {\"$base64\":\"AP8=\"} "), Media::Json, 64).unwrap();
        assert_eq!(json, Value::Json(Bytes::from_static(b"{\"$base64\":\"AP8=\"}")));
        let data = parse_raw(Bytes::from_static(b"{"), Media::OctetStream, 64).unwrap();
        assert_eq!(data, Value::Bytes(Bytes::from_static(b"{")));
        for bad in ["", "{", "1 2"] {
            let body = Bytes::copy_from_slice(bad.as_bytes());
            assert_eq!(parse_raw(body, Media::Json, 64).unwrap_err().code, Code::BadRequest, "{bad:?}");
        }
        assert_eq!(parse_raw(vec![0; 65].into(), Media::OctetStream, 64).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn content_types() {
        let check = |given: Option<&'static str>, accepted: &[Media]| {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(given));
            }
            media(&headers, accepted)
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert_eq!(check(Some(good), &[Media::Json]), Ok(Media::Json), "{good}");
        }
        for bad in [
            None,
            Some("text/plain"),
            Some("application/jsonp"),
            Some("application/octet-stream"),
            Some("application/json; charset=utf-16"),
        ] {
            let problem = check(bad, &[Media::Json]).unwrap_err();
            assert_eq!(problem.code, Code::UnsupportedMediaType, "{bad:?}");
            assert!(problem.detail.contains("application/json"));
        }
        let both = [Media::Json, Media::OctetStream];
        assert_eq!(check(Some("application/octet-stream"), &both), Ok(Media::OctetStream));
    }

    #[test]
    fn idempotency_headers() {
        let step = |given: &[(&HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append((*name).clone(), HeaderValue::from_static(value));
            }
            session_step(&headers)
        };
        let (k, s, a) = (&IDEMPOTENCY_KEY, &IDEMPOTENCY_SEQUENCE, &IDEMPOTENCY_ANSWERED_BELOW);
        let client = ClientId::new(b"c 1").unwrap();
        assert_eq!(step(&[]), Ok(None));
        let only = SessionStep { client: client.clone(), sequence: Sequence::Only };
        assert_eq!(step(&[(k, "c 1")]), Ok(Some(only)));
        let numbered = Sequence::Number { number: 7, answered_below: 5 };
        assert_eq!(
            step(&[(k, "c 1"), (s, "7"), (a, "5")]),
            Ok(Some(SessionStep { client, sequence: numbered }))
        );
        for bad in [
            &[(s, "1")][..],
            &[(a, "1")],
            &[(k, "")],
            &[(k, "a"), (k, "b")],
            &[(k, "a"), (a, "1")],
            &[(k, "a"), (s, "0")],
            &[(k, "a"), (s, "-1")],
            &[(k, "a"), (s, "+1")],
            &[(k, "a"), (s, "18446744073709551616")],
            &[(k, "a"), (s, "1"), (a, "2")],
            &[(k, "a"), (s, "")],
        ] {
            assert_eq!(step(bad).unwrap_err().code, Code::BadRequest, "{bad:?}");
        }
    }

    #[test]
    fn sessions_and_deletes() {
        let body = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(parse_delete(&body(r#"{"key":"a"}"#)).unwrap().as_str(), "a");
        assert!(parse_delete(&body(r#"{"key":"a","value":1}"#)).unwrap_err().detail.contains("`value`"));
        assert_eq!(parse_session(&body(r#"{"client":"x"}"#)).unwrap().as_bytes(), b"x");
        assert!(parse_session(&body(r#"{"client":"é"}"#)).unwrap_err().detail.contains("`client`"));
    }
}
