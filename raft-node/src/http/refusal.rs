//! Requests that cannot be read: their connections end with a problem like every other error.
//!
//! hyper answers what is not HTTP with a bare status, and a request that is too slow is not its business.

use hyper::StatusCode;

use super::problem::{Code, PROBLEM_JSON, Problem};
use super::server::HEAD_BYTES;

/// hyper's own bound.
const MAX_HEADERS: usize = 100;

/// Whether these bytes may begin a refusal: a first look that costs nothing.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 4")
}

/// The answer in place of the bare one that hyper writes to a request it cannot read; none where this is not
/// one. To be asked only while nothing else is written to the connection.
pub(super) fn in_words(bare: &[u8]) -> Option<Vec<u8>> {
    let status = bare.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok().filter(StatusCode::is_client_error)?;
    let problem = match status {
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            let limits = format!(
                "the head of the request is too large: at most {HEAD_BYTES} bytes and {MAX_HEADERS} headers are accepted"
            );
            Problem::new(Code::TooLarge, limits)
        }
        _ => return Some(unreadable()),
    };
    Some(last_answer(status, &problem))
}

/// The answer to what is not HTTP, or not all of a request.
pub(super) fn unreadable() -> Vec<u8> {
    let problem = Problem::bad_request("what came is not a whole request in HTTP/1.1");
    last_answer(StatusCode::BAD_REQUEST, &problem)
}

/// The answer to a request that did not come in time.
pub(super) fn too_slow(what: &'static str) -> Vec<u8> {
    last_answer(StatusCode::REQUEST_TIMEOUT, &Problem::new(Code::RequestTimeout, what))
}

fn last_answer(status: StatusCode, problem: &Problem) -> Vec<u8> {
    let document = problem.document_with(status.as_u16());
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        document.len()
    )
    .into_bytes();
    answer.extend_from_slice(&document);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_put_in_words() {
        for other in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"] {
            assert_eq!(in_words(other), None);
        }
        let answer = in_words(b"HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\n\r\n").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{answer}");
        assert!(answer.contains("\"status\":414") && answer.contains("too_large"), "{answer}");
    }
}
