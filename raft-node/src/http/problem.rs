//! Errors as a client sees them: `application/problem+json` (RFC 9457) with a stable `code`.

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use super::reply::{Body, Response};
use crate::error::RequestError;
use crate::record::RecordingError;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What kind of problem: the contract's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    Overloaded,
    NoLeader,
    DiskFull,
    ShuttingDown,
    Failed,
    Timeout,
}

impl Code {
    const ALL: [Code; 14] = [
        Code::BadRequest,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::RequestTimeout,
        Code::Conflict,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::Overloaded,
        Code::NoLeader,
        Code::DiskFull,
        Code::ShuttingDown,
        Code::Failed,
        Code::Timeout,
    ];

    /// Status, code and title.
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Code::BadRequest => (400, "bad_request", "The request is not valid"),
            Code::Forbidden => (403, "forbidden", "The request is not allowed"),
            Code::NotFound => (404, "not_found", "Nothing is here"),
            Code::MethodNotAllowed => (405, "method_not_allowed", "The method does not fit the resource"),
            Code::RequestTimeout => (408, "request_timeout", "The request did not come in time"),
            Code::Conflict => (409, "conflict", "The request does not fit what was before"),
            Code::TooLarge => (413, "too_large", "The request is too large"),
            Code::UnsupportedMediaType => (415, "unsupported_media_type", "The content type does not fit"),
            Code::Overloaded => (429, "overloaded", "The node is overloaded"),
            Code::NoLeader => (503, "no_leader", "The cluster has no leader"),
            Code::DiskFull => (503, "disk_full", "The leader's disk is full"),
            Code::ShuttingDown => (503, "shutting_down", "The node is shutting down"),
            Code::Failed => (503, "failed", "The node has stopped working"),
            Code::Timeout => (504, "timeout", "No answer in time"),
        }
    }

    /// The code that stands in a document as `text`.
    pub(crate) fn named(text: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// As it stands in the document.
    pub(crate) fn as_str(self) -> &'static str {
        self.parts().1
    }

    /// The HTTP status it is sent with.
    pub(crate) fn status(self) -> u16 {
        self.parts().0
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Cow<'static, str>,
    /// Which of several causes of one code, where a program must tell them apart.
    pub(crate) reason: Option<&'static str>,
    /// The methods that would fit, for 405.
    pub(crate) allow: Option<&'static str>,
}

/// The reason of the 409 for a session that is not known.
pub(crate) const SESSION_EXPIRED: &str = "session_expired";
/// The reason of the 409 for a number reported as answered.
pub(crate) const SEQUENCE_REUSED: &str = "sequence_reused";
/// The reason of the 409 for a key or number that named another write before.
pub(crate) const COMMAND_DIFFERS: &str = "command_differs";

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { code, detail: detail.into(), reason: None, allow: None }
    }

    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(Code::BadRequest, detail)
    }

    pub(crate) fn too_large(what: &str, size: usize, limit: usize) -> Problem {
        Problem::new(Code::TooLarge, format!("{what} has {size} bytes: at most {limit} are accepted"))
    }

    /// The document.
    pub(crate) fn document(&self) -> Vec<u8> {
        self.document_with(self.code.status())
    }

    /// The document of an answer with another status of the same meaning.
    pub(super) fn document_with(&self, status: u16) -> Vec<u8> {
        let (_, code, title) = self.code.parts();
        let kind = format!("urn:raft:problem:{code}");
        let document =
            Document { kind: &kind, title, status, detail: &self.detail, code, reason: self.reason };
        serde_json::to_vec(&document).expect("encoding strings into memory")
    }

    /// The response.
    pub(crate) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.document()));
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Problem {
        let (code, reason) = match &error {
            RequestError::NoLeader { .. } => (Code::NoLeader, None),
            RequestError::Unknown | RequestError::ReadTimeout | RequestError::TaskUnknown => {
                (Code::Timeout, None)
            }
            RequestError::Declined(why) => (Code::Conflict, Some(why.name())),
            RequestError::NoSnapshot => (Code::NotFound, None),
            RequestError::Overloaded => (Code::Overloaded, None),
            RequestError::SessionExpired => (Code::Conflict, Some(SESSION_EXPIRED)),
            RequestError::SequenceReused => (Code::Conflict, Some(SEQUENCE_REUSED)),
            RequestError::CommandDiffers => (Code::Conflict, Some(COMMAND_DIFFERS)),
            RequestError::DiskFull { .. } => (Code::DiskFull, None),
            RequestError::ShuttingDown => (Code::ShuttingDown, None),
            RequestError::Failed { .. } => (Code::Failed, None),
            RequestError::Invalid(_) => (Code::BadRequest, None),
            RequestError::TooLarge { .. } => (Code::TooLarge, None),
            RequestError::NotAMember { .. } => (Code::Forbidden, None),
        };
        Problem { reason, ..Problem::new(code, error.to_string()) }
    }
}

impl From<RecordingError> for Problem {
    fn from(error: RecordingError) -> Problem {
        let code = match error {
            RecordingError::Node(error) => return error.into(),
            RecordingError::Off | RecordingError::GivenUp => Code::NotFound,
            RecordingError::Busy => Code::Overloaded,
            RecordingError::NoDirectory
            | RecordingError::Unreadable(_)
            | RecordingError::Unwritable { .. } => Code::Failed,
        };
        Problem::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use raft_core::replica::TaskRefused;

    use super::*;

    #[test]
    fn every_failure_has_its_status_and_code() {
        let table = [
            (RequestError::NoLeader { reason: "x".into() }, 503, "no_leader"),
            (RequestError::Unknown, 504, "timeout"),
            (RequestError::ReadTimeout, 504, "timeout"),
            (RequestError::NoSnapshot, 404, "not_found"),
            (RequestError::Overloaded, 429, "overloaded"),
            (RequestError::SessionExpired, 409, "conflict"),
            (RequestError::SequenceReused, 409, "conflict"),
            (RequestError::CommandDiffers, 409, "conflict"),
            (TaskRefused::NobodyThere.into(), 409, "conflict"),
            (RequestError::TaskUnknown, 504, "timeout"),
            (RequestError::DiskFull { reason: "x".into() }, 503, "disk_full"),
            (RequestError::ShuttingDown, 503, "shutting_down"),
            (RequestError::Failed { reason: "x".into() }, 503, "failed"),
            (RequestError::Invalid("x".into()), 400, "bad_request"),
            (RequestError::TooLarge { what: "the value", size: 2, limit: 1 }, 413, "too_large"),
        ];
        for (error, status, code) in table {
            let text = error.to_string();
            let problem = Problem::from(error);
            let response = problem.response();
            assert_eq!(response.status().as_u16(), status, "{text}");
            assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), matches!(status, 503 | 429), "{text}");
            let document: serde_json::Value = serde_json::from_slice(&problem.document()).unwrap();
            assert_eq!(document["status"], status);
            assert_eq!(document["code"], code);
            assert_eq!(Code::named(code), Some(problem.code));
            assert_eq!(document["detail"], text);
            assert_eq!(document["type"], format!("urn:raft:problem:{code}"));
            assert!(document["title"].is_string());
        }
    }

    #[test]
    fn an_unknown_outcome_says_so_and_how_to_repeat() {
        let detail = Problem::from(RequestError::Unknown).detail;
        assert!(detail.contains("may or may not have happened") && detail.contains("Idempotency-Key"));
    }
}
