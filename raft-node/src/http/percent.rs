//! Percent-encoding (RFC 3986 §2.1), for keys in paths and values in queries.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether `+` stands for a space, as it does in queries but not in paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    /// It is a plus sign.
    Literal,
    /// It is a space.
    Space,
}

/// Text that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEncoding {
    #[error("has a % that two hexadecimal digits do not follow (write a percent sign as %25)")]
    Escape,
    #[error("is not UTF-8 once decoded")]
    Utf8,
}

/// Decodes; borrows where there is nothing to decode.
pub(crate) fn decode(text: &str, plus: Plus) -> Result<Cow<'_, str>, BadEncoding> {
    let special = |b: &u8| *b == b'%' || (*b == b'+' && plus == Plus::Space);
    let Some(first) = text.as_bytes().iter().position(special) else {
        return Ok(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text.as_bytes()[..first]);
    let mut rest = text.as_bytes()[first..].iter();
    while let Some(&byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let (high, low) = (hex(rest.next())?, hex(rest.next())?);
                high << 4 | low
            }
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| BadEncoding::Utf8)
}

fn hex(digit: Option<&u8>) -> Result<u8, BadEncoding> {
    let value = digit.and_then(|b| char::from(*b).to_digit(16)).ok_or(BadEncoding::Escape)?;
    u8::try_from(value).map_err(|_| BadEncoding::Escape)
}

/// Appends `text` so that it is one path segment, or one part of a query.
pub(crate) fn encode_into(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a String has no way to fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        for text in ["", "plain", "a/b?c#d%e+f g", "ключ\u{1F980}", "\u{0}\r\n\"\\"] {
            let mut encoded = String::new();
            encode_into(&mut encoded, text);
            assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)), "{encoded}");
            for plus in [Plus::Literal, Plus::Space] {
                assert_eq!(decode(&encoded, plus).as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn plus_and_mistakes() {
        assert_eq!(decode("a+b", Plus::Literal).as_deref(), Ok("a+b"));
        assert_eq!(decode("a+b%2B", Plus::Space).as_deref(), Ok("a b+"));
        for bad in ["%", "%1", "x%zz", "%+1", "a%2"] {
            assert_eq!(decode(bad, Plus::Literal), Err(BadEncoding::Escape), "{bad}");
        }
        assert_eq!(decode("%ff%fe", Plus::Literal), Err(BadEncoding::Utf8));
    }
}
