//! The bytes of each request, for each API.

use std::io::Write;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::args::{Operation, Target, Values};
use crate::http::Connection;

/// What needs no escape, neither in JSON nor in base64.
const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Builds the same kind of request again and again, in the same buffer.
pub(crate) struct Requests {
    target: Target,
    operation: Operation,
    value: String,
    /// Where values are drawn: the state of what they are drawn from.
    drawn: Option<u64>,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(target: Target, operation: Operation, value_bytes: usize) -> Requests {
        let text: String = ('a'..='z').cycle().take(value_bytes).collect();
        let value = if target == Target::Etcd { STANDARD.encode(text) } else { text };
        Requests { target, operation, value, drawn: None, body: Vec::new(), request: Vec::new() }
    }

    /// With another value in each request, drawn from this seed, if it is to be so.
    pub(crate) fn with_values(self, values: Values, seed: u64) -> Requests {
        let drawn = (values == Values::Drawn).then(|| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        Requests { drawn, ..self }
    }

    /// Letters and digits, of the same length: six bits of chance in each byte.
    fn draw(&mut self) {
        let Some(state) = &mut self.drawn else { return };
        let mut next = || {
            // Xorshift with 64 bits.
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            char::from(SYMBOLS[(*state >> 58) as usize])
        };
        self.value = (0..self.value.len()).map(|_| next()).collect();
    }

    /// The request about this key. Keys are of one length, whatever their number.
    pub(crate) fn about(&mut self, number: u64) -> &[u8] {
        let key = format!("key-{number:08}");
        self.draw();
        self.body.clear();
        self.request.clear();
        let value = &self.value;
        let written = match (self.target, self.operation) {
            (Target::Raft, Operation::Put) => write!(self.body, r#"{{"key":"{key}","value":"{value}"}}"#)
                .and_then(|()| self.post("/api/set")),
            (Target::Raft, Operation::Get) => {
                write!(self.request, "GET /api/get/{key} HTTP/1.1\r\nhost: bench\r\n\r\n")
            }
            (Target::Etcd, Operation::Put) => {
                let key = STANDARD.encode(key);
                write!(self.body, r#"{{"key":"{key}","value":"{value}"}}"#)
                    .and_then(|()| self.post("/v3/kv/put"))
            }
            (Target::Etcd, Operation::Get) => {
                let key = STANDARD.encode(key);
                write!(self.body, r#"{{"key":"{key}"}}"#).and_then(|()| self.post("/v3/kv/range"))
            }
        };
        written.expect("writing into memory");
        &self.request
    }

    fn post(&mut self, path: &str) -> std::io::Result<()> {
        let length = self.body.len();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )?;
        self.request.write_all(&self.body)
    }

    /// The least bytes that an answer can have: a read has to bring the value.
    pub(crate) fn least_answer(&self) -> usize {
        if self.operation == Operation::Get { self.value.len() } else { 0 }
    }
}

/// Asks every endpoint whether it leads.
pub(crate) async fn find_leader(target: Target, endpoints: &[SocketAddr]) -> Result<SocketAddr, String> {
    for endpoint in endpoints {
        let leads = match target {
            Target::Raft => ask(*endpoint, b"GET /api/status HTTP/1.1\r\nhost: bench\r\n\r\n")
                .await
                .is_some_and(|status| status["state"] == "leader"),
            Target::Etcd => {
                let request =
                    b"POST /v3/maintenance/status HTTP/1.1\r\nhost: bench\r\ncontent-length: 2\r\n\r\n{}";
                ask(*endpoint, request)
                    .await
                    .is_some_and(|status| status["leader"] == status["header"]["member_id"])
            }
        };
        if leads {
            return Ok(*endpoint);
        }
    }
    Err("none of the endpoints leads".to_owned())
}

async fn ask(endpoint: SocketAddr, request: &[u8]) -> Option<Value> {
    let mut connection = Connection::open(endpoint).await.ok()?;
    let answer = connection.ask(request).await.ok()?;
    serde_json::from_slice(answer.body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_in_its_own_words() {
        let text = |target, operation| {
            String::from_utf8(Requests::new(target, operation, 3).about(7).to_vec()).unwrap()
        };
        assert!(
            text(Target::Raft, Operation::Put)
                .ends_with("\r\n\r\n{\"key\":\"key-00000007\",\"value\":\"abc\"}")
        );
        assert!(text(Target::Raft, Operation::Get).starts_with("GET /api/get/key-00000007 "));
        assert!(text(Target::Etcd, Operation::Put).contains("\"value\":\"YWJj\""));
        assert!(text(Target::Etcd, Operation::Get).starts_with("POST /v3/kv/range "));
    }

    #[test]
    fn drawn_values_are_all_different_and_of_one_length() {
        let mut requests = Requests::new(Target::Raft, Operation::Put, 256).with_values(Values::Drawn, 1);
        let [one, other] = [1, 1].map(|number| requests.about(number).to_vec());
        assert_ne!(one, other);
        assert_eq!(one.len(), other.len());
        assert!(text_of(&one).contains(r#"{"key":"key-00000001","value":""#));
    }

    fn text_of(request: &[u8]) -> String {
        String::from_utf8_lossy(request).into_owned()
    }
}
