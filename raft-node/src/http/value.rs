//! Values between JSON and the store: the contract's §1.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::json;
use super::problem::Problem;
use crate::node::Value;

/// Bytes in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64<'a> {
    #[serde(rename = "$base64", borrow)]
    data: Cow<'a, str>,
}

/// Reads a value from its JSON text, which `body` holds. `{"$base64":"…"}` is bytes.
///
/// # Errors
/// 413 when it is over `limit` bytes, 400 when common readers of JSON could not read it back.
pub(crate) fn from_json(body: &Bytes, text: &str, limit: usize) -> Result<Value, Problem> {
    let value = decode(body, text);
    if let Value::Json(text) = &value {
        check_readable(text)?;
    }
    within(value, limit)
}

/// The same without limits, for answers.
pub(crate) fn decode(body: &Bytes, text: &str) -> Value {
    if text.starts_with('{')
        && let Ok(Base64 { data }) = serde_json::from_str(text)
        && let Ok(data) = STANDARD.decode(data.as_bytes())
    {
        return Value::Bytes(data.into());
    }
    Value::Json(body.slice_ref(text.as_bytes()))
}

/// Refuses what common readers of JSON could not read back.
pub(crate) fn check_readable(text: &[u8]) -> Result<(), Problem> {
    if json::has_half_a_pair(text) {
        return Err(Problem::bad_request(
            "field `value` escapes half of a surrogate pair, which is no character",
        ));
    }
    if json::too_deep(text) {
        return Err(Problem::bad_request(format!(
            "field `value` is nested deeper than {} levels",
            json::MAX_DEPTH
        )));
    }
    Ok(())
}

/// Refuses a value over its limit.
pub(crate) fn within(value: Value, limit: usize) -> Result<Value, Problem> {
    if value.len() > limit {
        return Err(Problem::too_large("the value", value.len(), limit));
    }
    Ok(value)
}

/// How bytes are written into JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BytesAs {
    /// As a string where they are UTF-8, else as base64.
    #[default]
    Text,
    /// Always as base64, so that they can be told from strings.
    Base64,
}

/// Appends a value as JSON.
pub(crate) fn push_json(out: &mut Vec<u8>, value: &Value, bytes_as: BytesAs) {
    match value {
        Value::Json(text) => out.extend_from_slice(text),
        Value::Bytes(data) => match std::str::from_utf8(data) {
            Ok(text) if bytes_as == BytesAs::Text => json::push_string(out, text),
            _ => {
                out.extend_from_slice(b"{\"$base64\":\"");
                out.extend_from_slice(STANDARD.encode(data).as_bytes());
                out.extend_from_slice(b"\"}");
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let inner = std::str::from_utf8(&body).unwrap();
        from_json(&body, inner, 1000).unwrap()
    }

    fn write(value: &Value, bytes_as: BytesAs) -> String {
        let mut out = Vec::new();
        push_json(&mut out, value, bytes_as);
        String::from_utf8(out).unwrap()
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
            assert_eq!(write(&value, BytesAs::Text), text);
        }
    }

    #[test]
    fn only_one_valid_base64_field_is_bytes() {
        assert_eq!(read("{\"$base64\":\"AP8=\"}"), Value::Bytes(Bytes::from_static(&[0, 255])));
        assert_eq!(read(" { \"$base64\" : \"\" }".trim()), Value::Bytes(Bytes::new()));
        for json in ["{\"$base64\":\"AP8\"}", "{\"$base64\":\"!!\"}", "{\"$base64\":\"AP8=\",\"x\":1}", "{}"]
        {
            assert!(matches!(read(json), Value::Json(_)), "{json}");
        }
    }

    #[test]
    fn bytes_come_back_as_text_where_they_are() {
        let text = Value::Bytes(Bytes::from_static("h\"é".as_bytes()));
        assert_eq!(write(&text, BytesAs::Text), "\"h\\\"é\"");
        assert_eq!(write(&text, BytesAs::Base64), "{\"$base64\":\"aCLDqQ==\"}");
        let blob = Value::Bytes(Bytes::from_static(&[0, 255]));
        assert_eq!(write(&blob, BytesAs::Text), "{\"$base64\":\"AP8=\"}");
    }
}
