//! Values between JSON and the store, the same through every door.
//!
//! A value keeps the type and the text it was set with. JSON has no bytes: `{"$base64":"…"}` stands for them.

mod readable;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use raft_core::kv::Value;
pub use readable::MAX_DEPTH;

/// Why a text cannot be stored as JSON. The messages go on from the name of what was read: `the value …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// It is not one JSON value; what a reader said of it.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// It escapes half of a surrogate pair.
    #[error("escapes half of a surrogate pair, which is no character")]
    HalfAPair,
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// How bytes are written into JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BytesAs {
    /// As a string where they are UTF-8, else as base64.
    #[default]
    Text,
    /// Always as base64, so that they can be told from strings.
    Base64,
}

/// Bytes in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64<'a> {
    #[serde(rename = "$base64", borrow)]
    data: Cow<'a, str>,
}

/// Reads a value from its JSON text, which keeps its spelling. `{"$base64":"…"}` is bytes. How large a value
/// may be is the cluster's to say.
///
/// # Errors
/// When it is not one JSON value, or one that common readers of JSON could not read back.
pub fn from_json(text: &str) -> Result<Value, InvalidJson> {
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| InvalidJson::NotJson(error.to_string()))?;
    let body = Bytes::copy_from_slice(value.get().as_bytes());
    match bytes_in(value.get()) {
        Some(data) => Ok(Value::Bytes(data)),
        None => check_readable(&body).map(|()| Value::Json(body)),
    }
}

/// A value as the text of one JSON value: as it was set, bytes as `bytes_as` says.
#[must_use]
pub fn to_json(value: &Value, bytes_as: BytesAs) -> String {
    let mut text = Vec::new();
    push_json(&mut text, value, bytes_as);
    // JSON is UTF-8: only a program that embeds a node can have set anything else.
    String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A value from JSON text that stands somewhere in `body`, without looking at it closely.
pub(crate) fn decode(body: &Bytes, text: &str) -> Value {
    bytes_in(text).map_or_else(|| Value::Json(body.slice_ref(text.as_bytes())), Value::Bytes)
}

/// The bytes that `{"$base64":"…"}` stands for.
fn bytes_in(text: &str) -> Option<Bytes> {
    if !text.starts_with('{') {
        return None;
    }
    let Base64 { data } = serde_json::from_str(text).ok()?;
    STANDARD.decode(data.as_bytes()).ok().map(Bytes::from)
}

/// Refuses JSON that common readers of JSON could not read back.
pub(crate) fn check_readable(text: &[u8]) -> Result<(), InvalidJson> {
    if readable::has_half_a_pair(text) {
        return Err(InvalidJson::HalfAPair);
    }
    if readable::too_deep(text) {
        return Err(InvalidJson::TooDeep);
    }
    Ok(())
}

/// Appends a value as JSON.
pub(crate) fn push_json(out: &mut Vec<u8>, value: &Value, bytes_as: BytesAs) {
    match value {
        Value::Json(text) => out.extend_from_slice(text),
        Value::Bytes(data) => match std::str::from_utf8(data) {
            Ok(text) if bytes_as == BytesAs::Text => push_string(out, text),
            _ => {
                out.extend_from_slice(b"{\"$base64\":\"");
                out.extend_from_slice(STANDARD.encode(data).as_bytes());
                out.extend_from_slice(b"\"}");
            }
        },
    }
}

/// A text as the JSON string that it is.
#[must_use]
pub fn string_to_json(text: &str) -> String {
    serde_json::to_string(text).expect("encoding a string into memory")
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("encoding a string into memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        from_json(text).unwrap()
    }

    #[test]
    fn json_keeps_its_exact_text() {
        for text in [
            "\"1.0\"",
            "1.0",
            "1e400",
            "null",
            "{ \"a\" : [1, 2.50] }",
            "\"\\ud83d\\ude00\"",
            "{\"$base64\":1}",
        ] {
            let value = read(text);
            assert_eq!(value, Value::Json(Bytes::copy_from_slice(text.as_bytes())));
            assert_eq!(to_json(&value, BytesAs::Text), text);
            let body = Bytes::from([b"[", text.as_bytes(), b"]"].concat());
            assert_eq!(decode(&body, std::str::from_utf8(&body[1..=text.len()]).unwrap()), value);
        }
        assert_eq!(read(" 1 "), read("1"), "what is around it is not part of it");
    }

    #[test]
    fn only_one_valid_base64_field_is_bytes() {
        assert_eq!(read("{\"$base64\":\"AP8=\"}"), Value::Bytes(Bytes::from_static(&[0, 255])));
        assert_eq!(read(" { \"$base64\" : \"\" }"), Value::Bytes(Bytes::new()));
        for json in ["{\"$base64\":\"AP8\"}", "{\"$base64\":\"!!\"}", "{\"$base64\":\"AP8=\",\"x\":1}", "{}"]
        {
            assert!(matches!(read(json), Value::Json(_)), "{json}");
        }
    }

    #[test]
    fn bytes_come_back_as_text_where_they_are() {
        let text = Value::Bytes(Bytes::from_static("h\"é".as_bytes()));
        assert_eq!(to_json(&text, BytesAs::Text), "\"h\\\"é\"");
        assert_eq!(to_json(&text, BytesAs::Base64), "{\"$base64\":\"aCLDqQ==\"}");
        let blob = Value::Bytes(Bytes::from_static(&[0, 255]));
        assert_eq!(to_json(&blob, BytesAs::Text), "{\"$base64\":\"AP8=\"}");
    }

    #[test]
    fn what_cannot_be_read_back_is_refused_in_words() {
        let deep = ["[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1)].concat();
        for (text, want) in [
            ("", "is not JSON: EOF while parsing"),
            ("1 2", "is not JSON: trailing characters"),
            (r#""\ud800""#, "escapes half of a surrogate pair"),
            (&deep, "is nested deeper than 100 levels"),
        ] {
            let said = from_json(text).unwrap_err().to_string();
            assert!(said.starts_with(want), "{text}: {said}");
        }
    }
}
