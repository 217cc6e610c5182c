//! The stream's format and handshake, for [`crate::fuzzing`].

use bytes::BytesMut;
use hyper::HeaderMap;
use raft_core::message::Message;
use raft_core::types::{Incarnation, NodeId};

use super::{accept, frame};
use crate::config::Config;
use crate::http::problem::Problem;

pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode(message, &mut out).expect("a message can always be encoded");
    out
}

pub(crate) fn decode(received: &mut BytesMut) -> Result<Option<Message>, String> {
    frame::decode(received).map_err(|error| error.to_string())
}

pub(crate) fn handshake(headers: &HeaderMap, config: &Config) -> Result<(NodeId, Incarnation), Problem> {
    accept::check(headers, config)
}
