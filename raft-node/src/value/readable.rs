//! What common readers of JSON cannot read back, and is therefore refused.

/// How deep a value may be nested. Readers of JSON commonly give up between 128 levels and 1,000, and a
/// value they cannot read would keep them from reading a whole listing (RFC 8259 §9 allows the limit).
pub const MAX_DEPTH: usize = 100;

/// Whether a JSON value is nested deeper than [`MAX_DEPTH`].
pub(super) fn too_deep(text: &[u8]) -> bool {
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
pub(super) fn has_half_a_pair(text: &[u8]) -> bool {
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
