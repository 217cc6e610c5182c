use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use raft_node::config::Storage;

use super::*;
use crate::settings::{CONFIG, SETTINGS};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The settings of node_0 on port 1, given some flags, variables and the text of a file.
fn settings(flags: Pairs<'_>, variables: Pairs<'_>, file: &str) -> Result<NodeSettings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some.toml");
    fs::write(&path, file).unwrap();
    let variables: BTreeMap<&str, OsString> =
        variables.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
    let mut texts: BTreeMap<&'static str, String> = BTreeMap::new();
    for (name, text) in flags {
        let setting = SETTINGS.iter().find(|setting| setting.name == *name).unwrap();
        texts.insert(setting.name, (*text).to_owned());
    }
    texts.insert(CONFIG, path.display().to_string());
    let layers = Layers::load(&texts, |name| variables.get(name).cloned())?;
    layers.node(NodeId::new("node_0").unwrap(), 1)
}

fn refusal(flags: Pairs<'_>, variables: Pairs<'_>, file: &str) -> String {
    settings(flags, variables, file).unwrap_err().to_string()
}

/// Each setting with three good values (for the file, the environment and the flag), a bad one, and where it
/// ends up. The last value before the place is what the default looks like there.
struct Row {
    name: &'static str,
    given: [&'static str; 3],
    bad: &'static str,
    default: &'static str,
    place: fn(&NodeSettings) -> String,
}

const ROWS: &[Row] = &[
    Row {
        name: "peers",
        given: ["a=h:1", "a=h:2", "a=h:3"],
        bad: "a=h",
        default: "127.0.0.1:12000",
        place: |s| s.config.peers.values().next().unwrap().clone(),
    },
    Row {
        name: "join",
        given: ["a:1", "a:2,b:1", "a:3"],
        bad: "a",
        default: "",
        place: |s| s.config.join.join(","),
    },
    Row {
        name: "host",
        given: ["::1", "localhost", "127.0.0.2"],
        bad: "",
        default: "127.0.0.1",
        place: |s| s.config.host.clone(),
    },
    Row {
        name: "advertise",
        given: ["a:1", "a:2", "a:3"],
        bad: "a",
        default: "",
        place: |s| s.config.advertise.clone().unwrap_or_default(),
    },
    Row {
        name: "data-dir",
        given: ["a", "b", "c"],
        bad: "",
        default: "raft-data/node_0",
        place: |s| match &s.config.storage {
            Storage::Directory(directory) => directory.display().to_string(),
            Storage::Ephemeral => "ephemeral".to_owned(),
        },
    },
    Row {
        name: "ephemeral",
        given: ["yes", "0", "true"],
        bad: "perhaps",
        default: "false",
        place: |s| (s.config.storage == Storage::Ephemeral).to_string(),
    },
    Row {
        name: "election-timeout-min",
        given: ["1", "2", "3"],
        bad: "1s",
        default: "150",
        place: |s| s.config.timing.election_timeout_min.as_millis().to_string(),
    },
    Row {
        name: "election-timeout-max",
        given: ["1", "2", "3"],
        bad: "-1",
        default: "300",
        place: |s| s.config.timing.election_timeout_max.as_millis().to_string(),
    },
    Row {
        name: "heartbeat-interval",
        given: ["1", "2", "3"],
        bad: "1.5",
        default: "50",
        place: |s| s.config.timing.heartbeat_interval.as_millis().to_string(),
    },
    Row {
        name: "insecure",
        given: ["on", "false", "TRUE"],
        bad: "2",
        default: "false",
        place: |s| s.config.insecure.to_string(),
    },
    Row {
        name: "max-value-bytes",
        given: ["1", "2", "3"],
        bad: "1MB",
        default: "1048576",
        place: |s| s.config.max_value_bytes.to_string(),
    },
    Row {
        name: "request-timeout",
        given: ["1", "2", "3"],
        bad: "soon",
        default: "5000",
        place: |s| s.config.request_timeout.as_millis().to_string(),
    },
    Row {
        name: "io-threads",
        given: ["1", "2", "3"],
        bad: "many",
        default: "0",
        place: |s| s.config.io_threads.to_string(),
    },
    Row {
        name: "record-mib",
        given: ["0", "1", "2"],
        bad: "64M",
        default: "64",
        place: |s| s.config.record_mib.to_string(),
    },
    Row {
        name: "snapshot-mib",
        given: ["0", "1", "2"],
        bad: "64M",
        default: "64",
        place: |s| s.config.snapshot_mib.to_string(),
    },
    Row {
        name: "log-level",
        given: ["warn", "raft_node=trace", "off"],
        bad: "loud",
        default: "info",
        place: |s| s.log.filter.to_string(),
    },
    Row {
        name: "log-format",
        given: ["json", "text", "json"],
        bad: "xml",
        default: "text",
        place: |s| format!("{:?}", s.log.format).to_lowercase(),
    },
];

/// How a given value looks where it ends up.
fn expected(row: &Row, text: &str) -> String {
    match (row.name, text.to_lowercase().as_str()) {
        ("peers", text) => text.strip_prefix("a=").unwrap().to_owned(),
        ("ephemeral" | "insecure", text) => switch(text).unwrap().to_string(),
        (_, text) => text.to_owned(),
    }
}

fn names(row: &Row) -> (String, String) {
    let setting = SETTINGS.iter().find(|setting| setting.name == row.name).unwrap();
    (setting.variable(), setting.key())
}

#[test]
fn every_setting_has_a_row() {
    let tested: Vec<_> = ROWS.iter().map(|row| row.name).chain([CONFIG]).collect();
    assert_eq!(tested, SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>());
}

#[test]
fn flag_then_environment_then_file_then_default() {
    for row in ROWS {
        let (variable, key) = names(row);
        let [in_file, in_environment, in_flag] = row.given;
        let file = format!("{key} = {in_file:?}");
        let (flags, variables) = ([(row.name, in_flag)], [(variable.as_str(), in_environment)]);
        let check = |flags: Pairs<'_>, variables: Pairs<'_>, file: &str, want: &str| {
            let found = settings(flags, variables, file).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            assert_eq!((row.place)(&found), want, "{} {flags:?} {variables:?} {file:?}", row.name);
        };
        check(&[], &[], "", row.default);
        check(&[], &[], &file, &expected(row, in_file));
        check(&[], &[], &file.replacen(&key, row.name, 1), &expected(row, in_file));
        check(&[], &variables, &file, &expected(row, in_environment));
        check(&[], &[(&variable, "")], &file, &expected(row, in_file));
        check(&flags, &variables, &file, &expected(row, in_flag));
        check(&flags, &[], "", &expected(row, in_flag));
    }
}

#[test]
fn a_bad_value_is_refused_by_the_name_under_which_it_stands() {
    for row in ROWS {
        let (variable, key) = names(row);
        let flag = refusal(&[(row.name, row.bad)], &[], "");
        assert!(flag.starts_with(&format!("--{}: ", row.name)), "{flag}");
        let file = refusal(&[], &[], &format!("{key} = {:?}", row.bad));
        assert!(file.contains(&format!("some.toml: {key}: ")), "{file}");
        if !row.bad.is_empty() {
            let environment = refusal(&[], &[(&variable, row.bad)], "");
            assert!(environment.starts_with(&format!("{variable}: ")), "{environment}");
        }
    }
}

#[test]
fn toml_values_keep_their_own_types() {
    let file = "ephemeral = true\nrequest-timeout = 250\n[peers]\nnode_0 = \"h:1\"\nnode_1 = \"h:2\"";
    let found = settings(&[], &[], file).unwrap().config;
    assert_eq!(found.storage, Storage::Ephemeral);
    assert_eq!(found.request_timeout, Duration::from_millis(250));
    assert_eq!(found.peers.len(), 2);
}

#[test]
fn a_file_that_cannot_be_meant_is_refused() {
    let unknown = refusal(&[], &[], "data_dri = \"x\"");
    assert!(
        unknown.contains("some.toml: unknown key \"data_dri\"") && unknown.contains("data_dir"),
        "{unknown}"
    );
    assert!(refusal(&[], &[], "config = \"x\"").contains("unknown key"));
    assert!(refusal(&[], &[], "data_dir = \"x\"\ndata-dir = \"y\"").contains("data_dir is there twice"));
    assert!(refusal(&[], &[], "\n\nhost = [").contains("some.toml line 3: "));
    assert!(refusal(&[], &[], "host = [1]").contains("host: a value of type array"));
    assert!(refusal(&[], &[], "peers = { a = 1 }").contains("peers: the address of a"));
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let nowhere = BTreeMap::from([(CONFIG, "/nowhere/raft.toml".to_owned())]);
    assert!(Layers::load(&nowhere, |_| None).unwrap_err().to_string().contains("/nowhere/raft.toml"));
    assert!(Layers::load(&BTreeMap::new(), |_| None).is_ok());
}

#[test]
fn ephemeral_and_data_dir_the_stronger_layer_decides() {
    let storage = |flags, variables, file| settings(flags, variables, file).unwrap().config.storage;
    let x = || Storage::Directory("x".into());
    assert_eq!(storage(&[("ephemeral", "true")], &[], "data_dir = \"x\""), Storage::Ephemeral);
    assert_eq!(storage(&[("data-dir", "x")], &[("RAFT_EPHEMERAL", "1")], ""), x());
    assert_eq!(storage(&[("ephemeral", "false")], &[], "data_dir = \"x\""), x());
    let both = refusal(&[], &[], "data_dir = \"x\"\nephemeral = true");
    assert!(both.contains("some.toml: ephemeral: contradicts") && both.contains("data_dir"), "{both}");
}
