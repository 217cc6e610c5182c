//! Settings: flags, environment, `raft.toml`, peer lists.
//!
//! Chunks, of these kinds: the file's text; a flag; a variable; a peer list alone.
//!
//! - Nothing panics; what is refused is refused by the name of the flag, the variable, or the file.
//! - A variable means what the flag of the same setting would mean, where there is no flag. The file is the
//!   weakest: what a flag says alone does not change by what the file says of the same setting.
//! - A peer list that is taken comes back as it was, each id and address sound and there once.
//! - A configuration that is valid is one a cluster can run with.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use raft_core::types::NodeId;
use raft_node::Config;
use raft_node::config::{parse_peers, split_address};
use raft_server::fuzzing::{self, Names, Settings};

use crate::chunks::{Chunk, Chunks};

/// Settings that decide together where the log is kept, by which layer is stronger.
const STORAGE: [&str; 2] = ["ephemeral", "data-dir"];

/// The kind of a chunk that is the file's text.
pub const FILE: u8 = 0;
/// The kind of a chunk that is a peer list.
pub const PEERS: u8 = 1;
/// The kind of a chunk that is a flag's value: a setting's number goes on top.
pub const FLAG: u8 = 0x40;
/// The kind of a chunk that is a variable's value.
pub const VARIABLE: u8 = 0x80;

#[derive(Default)]
struct Given {
    flags: BTreeMap<&'static str, String>,
    variables: BTreeMap<String, OsString>,
    file: String,
}

/// One input.
pub fn run(input: &[u8]) {
    let names = fuzzing::names();
    let mut given = Given::default();
    for Chunk { kind, data } in Chunks::of(input) {
        let text = || String::from_utf8_lossy(data).into_owned();
        let setting = &names[usize::from(kind & 0x3f) % names.len()];
        match kind {
            VARIABLE.. => {
                drop(given.variables.insert(setting.variable.clone(), OsString::from_vec(data.to_vec())))
            }
            FLAG.. => drop(given.flags.insert(setting.flag, text())),
            PEERS => peers(&text()),
            _ => given.file = text(),
        }
    }
    settings(&given, &names);
}

fn settings(given: &Given, names: &[Names]) {
    match fuzzing::settings(&given.flags, &given.variables, &given.file) {
        Ok(found) => {
            sound(&found.config);
            as_flags(given, &found, names);
        }
        Err(error) => assert!(is_named(&error, given, names), "{error}"),
    }
}

/// Whether a refusal begins with where the setting stands.
fn is_named(error: &str, given: &Given, names: &[Names]) -> bool {
    let file = given.flags.get("config").cloned();
    let file = file.or_else(|| given.variables.get("RAFT_CONFIG")?.clone().into_string().ok());
    let file = file.filter(|name| !name.is_empty());
    names.iter().any(|name| {
        (error.starts_with(&format!("--{}: ", name.flag)) && given.flags.contains_key(name.flag))
            || (error.starts_with(&format!("{}: ", name.variable))
                && given.variables.contains_key(&name.variable))
    }) || error.starts_with(file.as_deref().unwrap_or("raft.toml"))
        || given.flags.get("config").is_some_and(String::is_empty)
}

/// The variables as flags, where there is no flag: the same settings come out.
fn as_flags(given: &Given, found: &Settings, names: &[Names]) {
    let mut flags = given.flags.clone();
    for name in names.iter().filter(|name| !STORAGE.contains(&name.flag)) {
        if let Some(value) = given.variables.get(&name.variable).filter(|value| !value.is_empty()) {
            let text = value.clone().into_string().expect("what is not text is refused");
            flags.entry(name.flag).or_insert(text);
        }
    }
    let left: BTreeMap<_, _> = names
        .iter()
        .filter(|name| STORAGE.contains(&name.flag))
        .filter_map(|name| Some((name.variable.clone(), given.variables.get(&name.variable)?.clone())))
        .collect();
    let again = fuzzing::settings(&flags, &left, &given.file).expect("the same settings");
    assert_eq!(shown(&again), shown(found));
    // Nothing of the file is left once every setting but those two has a flag.
    if flags.len() + STORAGE.len() >= names.len()
        && !names.iter().any(|name| STORAGE.contains(&name.flag) && given.file.contains(&name.key))
    {
        let alone = fuzzing::settings(&flags, &left, "").expect("the same settings");
        assert_eq!(shown(&alone), shown(found));
    }
}

fn shown(settings: &Settings) -> String {
    format!("{:?} {}", settings.config, settings.log)
}

/// What a configuration may not be, once it is valid.
fn sound(config: &Config) {
    if !config.peers.is_empty() {
        list_comes_back(&config.peers);
    }
    if let Err(error) = config.validate() {
        return assert!(!error.to_string().is_empty());
    }
    let timing = config.timing;
    assert_eq!(config.peers.contains_key(&config.node_id), config.join.is_empty());
    assert!(timing.heartbeat_interval * 2 <= timing.election_timeout_min);
    assert!(timing.election_timeout_min < timing.election_timeout_max);
    assert!((1..=8 << 20).contains(&config.max_value_bytes) && config.io_threads <= 256);
    assert!((1..=3_600_000).contains(&config.request_timeout.as_millis()));
    let host = config.host.parse::<std::net::IpAddr>();
    assert!(config.insecure || config.host == "localhost" || host.is_ok_and(|ip| ip.is_loopback()));
    split_address(&config.advertised()).expect("others have an address to dial");
}

fn peers(text: &str) {
    match parse_peers(text) {
        Ok(list) => list_comes_back(&list),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn list_comes_back(list: &BTreeMap<NodeId, String>) {
    let written: Vec<String> = list.iter().map(|(id, address)| format!("{id}={address}")).collect();
    assert_eq!(parse_peers(&written.join(",")).ok().as_ref(), Some(list), "{written:?}");
    let addresses: BTreeSet<&String> = list.values().collect();
    assert_eq!(addresses.len(), list.len(), "an address is there twice");
    for address in addresses {
        let (host, port) = split_address(address).expect("a sound address");
        assert!(!host.is_empty() && port != 0 && !host.contains(['[', ' ']), "{address}");
    }
}
