//! The readable RPCs, `POST /api/vote` and `POST /api/append_entries`, into a live replica.
//!
//! The first byte says how the replica begins; chunks follow: bodies as they come, bodies made from numbers
//! near the replica's, and what the world does in between.
//!
//! - What a body says is what the replica is asked, or it is refused with a problem that names why.
//! - The rest is as for a peer: nothing panics, nothing committed changes, and what is answered is on the
//!   disk.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use raft_core::entry::Payload;
use raft_core::kv;
use raft_core::message::AppendEntries;
use raft_core::replica::Call;
use raft_node::fuzzing;
use serde_json::Value as Json;

use crate::chunks::{Chunk, Chunks};
use crate::json::{is_refusal, pairs};
use crate::message::Near;
use crate::peer::{Kind, around, beginning_of};
use crate::world::World;

/// The limit of values: small, so that it is met.
const MAX_VALUE: usize = 64;

/// The most that the bodies' indexes and terms may be.
const MOST: u64 = 1 << 62;

/// Numbers of a request, as they stand to the replica's.
#[derive(Arbitrary, Debug)]
struct Draft {
    from: u8,
    term: Near,
    index: Near,
    index_term: Option<Near>,
    commit: Near,
    entries: Vec<(bool, u8)>,
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&beginning, input)) = input.split_first() else { return };
    let mut world = World::new(beginning_of(beginning));
    for Chunk { kind, data } in Chunks::of(input) {
        let peer = 1 + (kind >> 7);
        match kind & 7 {
            0 => vote(&mut world, data),
            1 => append(&mut world, data),
            2 | 3 => near(&mut world, kind & 7 == 2, data),
            4 => around(&mut world, Kind::Wait, peer, data),
            5 => around(&mut world, Kind::Persist, peer, data),
            6 => around(&mut world, Kind::Link, peer, data),
            _ => around(&mut world, Kind::Client, peer, data),
        }
    }
    world.restart();
}

fn vote(world: &mut World, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    let fields = pairs(&body, &["term", "candidate_id", "last_log_index", "last_log_term"]);
    let number = |at: usize| fields.as_ref().and_then(|fields| fields[at].as_u64());
    match fuzzing::vote_body(&body) {
        Ok((from, request)) => {
            let (index, term) = (request.last_log_index.0, request.last_log_term.0);
            assert_eq!([number(0), number(2), number(3)], [Some(request.term.0), Some(index), Some(term)]);
            assert_eq!(fields.expect("an object")[1], from.as_str());
            assert!(index <= MOST && term <= MOST && !request.pre_vote && !request.transfer);
            world.call(from, Call::RequestVote(request));
        }
        Err(refusal) => {
            is_refusal(&refusal, &[400]);
            let id = fields.as_ref().and_then(|fields| fields[1].as_str()).is_some_and(is_node_id);
            let numbers = [number(2), number(3)].iter().all(|n| n.is_some_and(|n| n <= MOST));
            assert!(!(id && numbers && number(0).is_some()), "a sound vote is refused: {body:?}");
        }
    }
}

fn append(world: &mut World, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    match fuzzing::append_body(&body, MAX_VALUE) {
        Ok((from, request)) => {
            let names = ["term", "leader_id", "prev_log_index", "prev_log_term", "leader_commit", "entries"];
            // A number that only its text can hold is none for this reader.
            if let Some(fields) = pairs(&body, &names) {
                let numbers = [0, 2, 3, 4].map(|at| fields[at].as_u64());
                let AppendEntries { term, prev_log_index, prev_log_term, leader_commit, .. } = &request;
                let said = [term.0, prev_log_index.0, prev_log_term.0, leader_commit.0].map(Some);
                assert_eq!((numbers, fields[1].as_str()), (said, Some(from.as_str())));
                same_entries(&request, fields[5].as_array().expect("a list"));
            }
            world.call(from, Call::AppendEntries(request));
        }
        Err(refusal) => is_refusal(&refusal, &[400, 413]),
    }
}

fn same_entries(request: &AppendEntries, said: &[Json]) {
    assert_eq!(request.entries.len(), said.len());
    let mut index = request.prev_log_index;
    for (entry, said) in request.entries.iter().zip(said) {
        index = index.next();
        assert_eq!((entry.index, said["term"].as_u64()), (index, Some(entry.term.0)));
        let Payload::Command(command) = &entry.payload else {
            assert_eq!((&entry.payload, &said["command"]), (&Payload::Noop, &Json::Null));
            continue;
        };
        let command = kv::Command::decode(&command.data).expect("what was read can be read");
        let said = &said["command"];
        assert_eq!(said["key"], command.key().as_str());
        match &command {
            kv::Command::Set { value, .. } => {
                assert!(said["op"] == "set" && value.len() <= MAX_VALUE);
                let text = fuzzing::json_of(value, true);
                assert_eq!(serde_json::from_str::<Json>(&text).ok().as_ref(), Some(&said["value"]));
            }
            kv::Command::Delete { .. } => assert!(said["op"] == "delete" && said.get("value").is_none()),
        }
    }
}

/// A body in the documented form.
fn near(world: &mut World, is_vote: bool, data: &[u8]) {
    let mut from = Unstructured::new(data);
    let Ok(draft) = Draft::arbitrary(&mut from) else { return };
    let consensus = world.replica().consensus();
    let (term, last) = (consensus.term().0, consensus.log().last_index());
    let id = format!("node_{}", draft.from % 4);
    let (term, index) = (draft.term.to(term), draft.index.to(last.0));
    let known = consensus.log().term_at(raft_core::types::LogIndex(index)).unwrap_or_default().0;
    let index_term = draft.index_term.map_or(known, |near| near.to(known));
    if is_vote {
        let body = format!(
            r#"{{"term":{term},"candidate_id":"{id}","last_log_index":{index},"last_log_term":{index_term}}}"#
        );
        return vote(world, body.as_bytes());
    }
    let entries: Vec<String> = draft
        .entries
        .iter()
        .take(8)
        .map(|(new, kind)| {
            let term = if *new { term } else { index_term };
            let command = match kind % 3 {
                0 => "null".to_owned(),
                1 => format!(r#"{{"op":"set","key":"k{}","value":{kind}}}"#, kind % 7),
                _ => format!(r#"{{"op":"delete","key":"k{}"}}"#, kind % 7),
            };
            format!(r#"{{"term":{term},"command":{command}}}"#)
        })
        .collect();
    let (commit, entries) = (draft.commit.to(last.0), entries.join(","));
    let body = format!(
        r#"{{"term":{term},"leader_id":"{id}","prev_log_index":{index},"prev_log_term":{index_term},
            "entries":[{entries}],"leader_commit":{commit}}}"#
    );
    append(world, body.as_bytes());
}

fn is_node_id(text: &str) -> bool {
    raft_core::types::NodeId::new(text).is_ok()
}
