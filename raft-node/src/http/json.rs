//! Reading JSON bodies so that what is wrong is named, and writing JSON without detours.

use std::io::Write as _;

use serde::Deserialize;

use super::problem::Problem;

/// How deep a value may be nested. Readers of JSON commonly give up between 128 levels and 1,000, and a
/// value they cannot read would keep them from reading a whole listing (RFC 8259 §9 allows the limit).
pub(crate) const MAX_DEPTH: usize = 100;

/// Reads one JSON object.
///
/// # Errors
/// 400, naming the field and what was expected there.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        // Without this a JSON array would do: serde takes the fields of a struct by position too.
        Some(b'{') => {
            serde_json::from_slice(text).map_err(|error| Problem::bad_request(explain::<T>(text, error)))
        }
        Some(_) => Err(Problem::bad_request("a JSON object is needed here")),
        None => Err(Problem::bad_request("it is empty: a JSON object is needed here")),
    }
}

/// Reads again, slower, to find where it went wrong.
fn explain<'a, T: Deserialize<'a>>(text: &'a [u8], error: serde_json::Error) -> String {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) if error.path().iter().next().is_some() => {
            format!("field `{}`: {}", error.path(), error.inner())
        }
        _ => format!("not as it should be: {error}"),
    }
}

/// Whether a JSON value is nested deeper than [`MAX_DEPTH`].
pub(crate) fn too_deep(text: &[u8]) -> bool {
    if text.len() <= 2 * MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Whether a JSON text escapes half of a surrogate pair, which is no character: RFC 8259 §8.2 leaves open
/// what readers do with it, and strict ones refuse the whole document.
pub(crate) fn has_half_a_pair(text: &[u8]) -> bool {
    let mut rest = text;
    let mut first_half = false;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        // An escape follows the first half at once, or the pair stays incomplete.
        let escaped = unit(&rest[at..]);
        let second_half = matches!(escaped, Some(0xdc00..=0xdfff));
        if (first_half && at > 0) || first_half != second_half {
            return true;
        }
        first_half = matches!(escaped, Some(0xd800..=0xdbff));
        rest = rest.get(at + if escaped.is_some() { 6 } else { 2 }..).unwrap_or_default();
    }
    first_half
}

/// The number of a `\uXXXX` at the start.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("encoding a string into memory");
}

/// Appends a number.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("writing into memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_found_and_a_whole_one_is_not() {
        for half in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\uDC00\uD800""#,
            r#""\ud83dx\ude00""#,
            r#""\ud83d\n\ude00""#,
            r#""\ud83d\ud83d\ude00""#,
            r#"{"\ud83d":"\ude00"}"#,
            r#"["\ud83d\ude00\udc00"]"#,
        ] {
            assert!(has_half_a_pair(half.as_bytes()), "{half}");
        }
        for whole in [
            r#""\ud83d\ude00\uD83D\uDE00""#,
            r#""\\ud800""#,
            r#""\\\\ud800""#,
            r#""\u00e9\"\n""#,
            "1",
            "\"\\\\\"",
        ] {
            assert!(!has_half_a_pair(whole.as_bytes()), "{whole}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(!too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(too_deep(nested(MAX_DEPTH + 1).as_bytes()));
        let text = format!("\"{}\\\"{}\"", "[".repeat(300), "{".repeat(300));
        assert!(!too_deep(text.as_bytes()));
        assert!(!too_deep(format!("[{}]", vec!["{}"; 500].join(",")).as_bytes()));
    }
}
