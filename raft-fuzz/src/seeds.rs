//! Where looking begins: real directories, conversations, bodies and settings.

mod cluster;

use raft_core::consensus::Configuration;
use raft_core::entry::{ClientId, Command, Entry, Genesis, Payload, Sequence, SessionStep};
use raft_core::log::Record;
use raft_core::types::{ClusterId, HardState, LogIndex, NodeId, Term};

use crate::chunks::push;
use crate::peer::Kind;
use crate::world::{incarnation, member};
use crate::{config, log, snapshot};

/// The seeds of a target; none where there is no such target.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "log" => logs(),
        "snapshot" => snapshots(),
        "peer" => peers(),
        "rpc" => rpcs(),
        "http" => https(),
        "config" => configs(),
        _ => Vec::new(),
    }
}

/// Bytes that look random, to draw something whole from.
fn noise(seed: u32, length: u32) -> Vec<u8> {
    let byte = |n: u32| ((n + seed).wrapping_mul(2_654_435_761) >> 13 & 0xff) as u8;
    (0..length).map(byte).collect()
}

fn logs() -> Vec<Vec<u8>> {
    let drafts = (0..12).map(|seed| noise(seed * 1000, 160));
    let mut seeds: Vec<_> = drafts.clone().map(|draft| log::input_of(&log::written(&draft))).collect();
    for mode in [1, 2] {
        seeds.extend(drafts.clone().map(|draft| [&[mode], &draft[..]].concat()));
    }
    let payloads: Vec<Vec<u8>> = records().iter().map(|batch| payload(batch)).collect();
    seeds.push(log::input_of_payloads(payloads.iter().map(Vec::as_slice)));
    seeds.extend(payloads.iter().map(|one| log::input_of_payloads([one.as_slice()])));
    seeds
}

fn snapshots() -> Vec<Vec<u8>> {
    let draft = |seed: u8| {
        let mut draft = vec![seed];
        for turn in 0..u32::from(seed) {
            let kind = noise(turn + 3 * u32::from(seed), 1)[0];
            push(&mut draft, kind, &noise(turn, turn * u32::from(seed) % 90));
        }
        draft
    };
    let drafts: Vec<Vec<u8>> = [0, 1, 2, 5, 9, 23].map(draft).into();
    let files = drafts.iter().map(|draft| snapshot::written(&snapshot::pieces(draft)));
    let mut seeds: Vec<_> = files.map(|file| snapshot::input_of(&[&[6], &file[..]].concat())).collect();
    seeds.extend(drafts.iter().map(|draft| snapshot::input_of_pieces(&snapshot::pieces(draft))));
    for (edits, draft) in (0..4).zip(&drafts[2..]) {
        let places = noise(7, 3 * u32::from(edits));
        seeds.push([&[1, edits, 0], &places[..], &draft[..]].concat());
    }
    seeds
}

/// A frame's payload: the version, then the records.
fn payload(records: &[Record]) -> Vec<u8> {
    let encode = |record: &Record| postcard::to_allocvec(record).expect("a record can always be encoded");
    [vec![1], records.iter().flat_map(encode).collect()].concat()
}

fn records() -> Vec<Vec<Record>> {
    let entry =
        |index, term, payload| Record::Entry(Entry { index: LogIndex(index), term: Term(term), payload });
    let vote =
        |term: u64, who: Option<NodeId>| Record::HardState(HardState { term: Term(term), voted_for: who });
    let step = SessionStep {
        client: ClientId::new(b"client").expect("a valid id"),
        sequence: Sequence::Number { number: 2, answered_below: 1 },
    };
    let configuration = Configuration::new((0..3).map(member));
    let command = |step: Option<SessionStep>| {
        Payload::Command(Command { session: step.map(Box::new), data: b"data"[..].into() })
    };
    vec![
        vec![vote(1, Some(member(1))), Record::Peer { node_id: member(0), incarnation: incarnation(0) }],
        vec![
            Record::Admitted,
            entry(1, 1, Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId(9), configuration }))),
        ],
        vec![vote(2, None), entry(2, 2, command(None)), entry(3, 2, command(Some(step)))],
        vec![entry(3, 2, Payload::Noop), Record::CommitHint(LogIndex(2))],
    ]
}

fn peers() -> Vec<Vec<u8>> {
    let mut seeds = cluster::conversations();
    for beginning in 0..3 {
        for seed in 0..12 {
            let mut input = vec![beginning];
            for turn in 0..8 {
                let peer = 1 + u8::from(turn % 3 == 2);
                push(&mut input, Kind::Near.byte(peer), &noise(seed * 100 + turn * 7, 24));
                push(&mut input, Kind::Persist.byte(1), &[0]);
            }
            seeds.push(input);
        }
    }
    let head = b"upgrade: raft\nraft-version: 3\nraft-node: node_1\nraft-to: node_0\nraft-incarnation: 2\n";
    let mut input = vec![2];
    push(&mut input, Kind::Handshake.byte(1), head);
    seeds.push(input);
    seeds
}

fn rpcs() -> Vec<Vec<u8>> {
    let vote = br#"{"term":5,"candidate_id":"node_1","last_log_index":9,"last_log_term":4}"#;
    let append =
        br#"{"term":4,"leader_id":"node_2","prev_log_index":5,"prev_log_term":3,"entries":[{"term":4,
        "command":null},{"term":4,"index":7,"command":{"op":"set","key":"k","value":{"$base64":"AP8="}}},
        {"index":8,"command":{"key":"k","op":"delete"},"term":4}],"leader_commit":6}"#;
    let heartbeat = br#"{"term":4,"leader_id":"node_2","prev_log_index":8,"prev_log_term":4,"entries":[],
        "leader_commit":8}"#;
    let mut seeds = Vec::new();
    for beginning in 0..3 {
        let mut input = vec![beginning];
        for (kind, body) in [(1, &append[..]), (5, &[0]), (1, heartbeat), (4, &[200]), (0, vote), (5, &[0])] {
            push(&mut input, kind, body);
        }
        seeds.push(input);
        for seed in 0..6 {
            let mut input = vec![beginning];
            for turn in 0..8 {
                push(&mut input, 2 + u8::from(turn % 4 != 0), &noise(seed * 50 + turn * 11, 20));
                push(&mut input, 5, &[0]);
            }
            seeds.push(input);
        }
    }
    seeds
}

fn https() -> Vec<Vec<u8>> {
    let head = "POST /api/set?timeout_ms=500 HTTP/1.1\r\nHost: localhost:12000\r\n\
                Content-Type: application/json; charset=utf-8\r\nIdempotency-Key: order-17\r\n\
                Idempotency-Sequence: 3\r\nIdempotency-Answered-Below: 2\r\n\r\n";
    let texts: [(u8, &str); 24] = [
        (0, r#"{"key":"name","value":"Raft Cluster"}"#),
        (0, r#"{"key":"a\u00e9\n","value":{"$base64":"AP8="}}"#),
        (0, r#" { "value" : [1, 2.50, {"a":null}, "\ud83d\ude00"] , "key" : "a/b" } "#),
        (0, r#"{"key":"k","value":1e400,"ttl":2}"#),
        (1, r#"{"key":"name"}"#),
        (2, r#"{"client":"c-1"}"#),
        (3, r#" {"a":[true,false]} "#),
        (3, r#""\ud800""#),
        (
            4,
            "consistency=stale&timeout_ms=60000&prefix=a%2Fb+c&limit=10&after=%C3%A9&values=false&bytes=base64",
        ),
        (4, "consistency=linearizable&&limit=4294967295"),
        (4, "prefix=a&prefix=b"),
        (5, "a%2Fb+c%25%C3%A9"),
        (5, "100%"),
        (6, head),
        (6, "GET /api/get/a%2Fb/c?consistency=stale HTTP/1.1\r\nHost: db.example:12001\r\n\r\n"),
        (
            6,
            "PUT /api/raw/k HTTP/1.1\r\nContent-Type: application/octet-stream\r\nHost: evil.example\r\n\r\n",
        ),
        (
            6,
            "OPTIONS /api/set HTTP/1.1\r\nOrigin: http://db.example:12001\r\n\
             Access-Control-Request-Method: POST\r\n\r\n",
        ),
        (6, "GET /raft/stream HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: raft\r\n\r\n"),
        (6, "GET http://db.example/health HTTP/1.1\r\nHost: x\r\n\r\n"),
        (6, "GET /dashboard/app.js HTTP/1.1\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"),
        (7, r#"{"$base64":"aGk="}"#),
        (7, r#"{"$base64":"aGk"}"#),
        (7, "[[[[\"\\\\ud800\"]]]]"),
        (7, "-0.5e-7"),
    ];
    texts.iter().map(|(kind, text)| [&[*kind], text.as_bytes()].concat()).collect()
}

fn configs() -> Vec<Vec<u8>> {
    let file = "host = \"127.0.0.1\"\nelection_timeout_min = 300\nelection-timeout-max = 600\n\
                heartbeat_interval = 100\nlog_level = \"warn,raft_node=debug\"\nlog_format = \"json\"\n\
                ephemeral = true\nio_threads = 2\nmax_value_bytes = 4096\nrequest_timeout = 250\n\
                [peers]\nnode_0 = \"10.0.0.1:12000\"\nnode_1 = \"[::1]:12000\"\n";
    let list = b"node_0=127.0.0.1:12000, node_1=db.example:12001,node_2=[fe80::1]:7";
    let values: [&[u8]; 15] = [
        list,
        b"0.0.0.0",
        b"10.0.0.1:12000",
        b"data",
        b"true",
        b"200",
        b"400",
        b"40",
        b"yes",
        b"1024",
        b"900",
        b"4",
        b"off",
        b"text",
        b"other.toml",
    ];
    let whole = |base: u8| {
        let mut input = Vec::new();
        (0..).zip(values).for_each(|(setting, value)| push(&mut input, base + setting, value));
        push(&mut input, config::FILE, file.as_bytes());
        input
    };
    let one = |kind: u8, data: &[u8]| {
        let mut input = Vec::new();
        push(&mut input, kind, data);
        input
    };
    let mut seeds = vec![whole(config::FLAG), whole(config::VARIABLE)];
    seeds.push(one(config::FILE, file.as_bytes()));
    seeds.push(one(config::PEERS, list));
    for (setting, value) in (0..).zip(values) {
        seeds.push(one(config::FLAG + setting, value));
        seeds.push(one(config::VARIABLE + setting, value));
    }
    seeds
}
