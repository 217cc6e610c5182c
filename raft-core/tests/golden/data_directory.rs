//! Data directories: a log from its first entry on, and one that goes on from a snapshot.

use raft_core::disk::SnapshotFile;
use raft_core::log::{FORMAT_VERSION, Record};
use raft_core::types::EntryId;

use super::files::{CONTENT, Files, Golden};
use super::log::{self, Log};
use super::told::{self, Server};

const WHOLE: &str = "whole/";
const COMPACTED: &str = "compacted/";

fn golden() -> Golden {
    Golden::of(env!("CARGO_MANIFEST_DIR"), "data-directory")
}

/// The same log after the snapshot at its mark: its beginning is gone. What a snapshot's file holds follows
/// from the log alone, so that a server that applies it takes the one that belongs there.
fn compacted(log: &mut Log) -> (String, Vec<u8>) {
    let (EntryId { index, term }, file) = Server::start(log.files().clone()).snapshot();
    log.frame(&[Record::Snapshot { index, term }]);
    log.compact(index);
    (SnapshotFile::Whole(index).file_name(), file)
}

fn written() -> Files {
    let mut files = Files::new();
    let mut keep = |directory: &str, log: &Log| {
        let named = log.files().iter().map(|(name, content)| (format!("{directory}{name}"), content.clone()));
        files.extend(named);
    };
    let mut log = log::whole();
    keep(WHOLE, &log);
    let (name, snapshot) = compacted(&mut log);
    keep(COMPACTED, &log);
    files.insert(format!("{COMPACTED}{name}"), snapshot);
    files.insert(CONTENT.to_owned(), told(&files).into_bytes());
    files
}

fn told(files: &Files) -> String {
    let one = |directory: &str| {
        let below = files
            .iter()
            .filter_map(|(name, content)| Some((name.strip_prefix(directory)?.to_owned(), content.clone())));
        told::directory(&below.collect())
    };
    format!("{WHOLE}\n{}\n{COMPACTED}\n{}", one(WHOLE), one(COMPACTED))
}

#[test]
fn data_directories_are_written_as_they_were_and_read() {
    golden().check(FORMAT_VERSION, &written());
    golden().check_read(|_, files| told(files));
}

#[test]
fn there_is_one_of_each_thing_in_them() {
    let files = written();
    let has = |part: &str| files.keys().filter(|name| name.starts_with(part)).count();
    assert!(has("whole/log-") >= 4 && has("whole/snapshot-") == 0, "{:?}", files.keys());
    assert!(has("compacted/log-") < has("whole/log-") && has("compacted/snapshot-") == 1);
    assert!(!files.contains_key("compacted/log-00000000000000000001"));
}
