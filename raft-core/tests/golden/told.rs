//! What a data directory holds, in words that do not change with the code's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use raft_core::consensus::{Configuration, MemberRole, Promotion};
use raft_core::disk::{FileName, SnapshotFile};
use raft_core::entry::{Command, Entry, Payload, Sequence};
use raft_core::kv::{self, Value};
use raft_core::log::{Recovered, Recovery, recover};
use raft_core::replica::{CommandResult, Consistency, Event, Reply, Role, Token};
use raft_core::snapshot::Reader;
use raft_core::types::{EntryId, NodeId};

use super::log::{LOG, repeated};
use super::members::node;
use super::scenario::cluster::{Cluster, Happening};
use super::scenario::disk::Disk;

/// What is found in a directory, and what a server that starts from it knows.
pub(crate) fn directory(files: &BTreeMap<FileName, Vec<u8>>) -> String {
    let found = match recover(files, &node(0), LOG).expect("it is read") {
        Recovery::Found(found) => *found,
        Recovery::Empty => panic!("there is no server in it"),
    };
    let mut told = at_rest(&found);
    for file in found.snapshot.iter().map(|snapshot| SnapshotFile::Whole(snapshot.index).file_name()) {
        let _ = writeln!(told, "{file}: {}", snapshot(&file, &files[&file]));
    }
    for entry in &found.entries {
        let _ = writeln!(told, "entry {}/{} {}", entry.index, entry.term, payload(entry));
    }
    let mut server = Server::start(files.clone());
    for (key, item) in server.keys() {
        let (index, value) = (item.revision, value(&item.value));
        let _ = writeln!(told, "key {key} {value} (since {index})");
    }
    for (name, command) in repeated() {
        let _ = writeln!(told, "repeated {name}: {}", server.propose(command));
    }
    told
}

fn at_rest(found: &Recovered) -> String {
    let mut told = String::new();
    let identity = &found.identity;
    let cluster = identity.cluster_id.map_or("none".to_owned(), |id| id.to_string());
    let _ = writeln!(
        told,
        "identity {} of cluster {cluster}, incarnation {}, format {}",
        identity.node_id, identity.incarnation, identity.format_version
    );
    let vote = found.hard_state.voted_for.as_ref().map_or("nobody", NodeId::as_str);
    let _ = writeln!(told, "hard state: term {}, voted for {vote}", found.hard_state.term);
    let peers: Vec<String> = found.peers.iter().map(|(id, known)| format!("{id} by {known}")).collect();
    let _ = writeln!(told, "knows {}; may vote: {}", peers.join(", "), found.admitted);
    let _ = writeln!(told, "committed up to {} at least", found.commit_hint);
    let EntryId { index, term } = found.base;
    let _ = writeln!(told, "log after {index}/{term}");
    told
}

fn snapshot(name: &str, file: &[u8]) -> String {
    let mut reader = Reader::new(name.to_owned());
    reader.feed(Bytes::copy_from_slice(file));
    let header = reader.finish().expect("a whole snapshot");
    format!(
        "{}/{} of cluster {}, state hash {}, configuration at {}: {}",
        header.index,
        header.term,
        header.cluster_id,
        header.state_hash,
        header.configuration_index,
        configuration(&header.configuration)
    )
}

fn payload(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => "noop".to_owned(),
        Payload::Snapshot => "mark".to_owned(),
        Payload::Genesis(genesis) => {
            format!("genesis of {}: {}", genesis.cluster_id, configuration(&genesis.configuration))
        }
        Payload::Configuration(given) => format!("configuration {}", configuration(given)),
        Payload::Command(given) => command(given),
    }
}

fn command(command: &Command) -> String {
    let what = match kv::Command::decode(&command.data) {
        Some(kv::Command::Set { key, value: given }) => format!("set {key} {}", value(&given)),
        Some(kv::Command::Delete { key }) => format!("delete {key}"),
        None => "no command".to_owned(),
    };
    let Some(step) = &command.session else { return what };
    let client = String::from_utf8_lossy(step.client.as_bytes()).into_owned();
    match step.sequence {
        Sequence::Only => format!("{what}; key {client}"),
        Sequence::Open => format!("{what}; opens {client}"),
        Sequence::Number { number, answered_below } => {
            format!("{what}; number {number} of {client}, answered below {answered_below}")
        }
    }
}

fn configuration(configuration: &Configuration) -> String {
    let mut told: Vec<String> = Vec::new();
    for (id, member) in configuration.members() {
        let role = match member.role {
            MemberRole::Voter => "votes",
            MemberRole::Learner => "learns",
            MemberRole::Leaving => "leaves",
        };
        let promotion = match &member.promotion {
            Promotion::No => String::new(),
            Promotion::Voter => ", to vote".to_owned(),
            Promotion::InPlaceOf(old) => format!(", to vote in place of {old}"),
        };
        let incarnation = member.incarnation.map_or(String::new(), |known| format!(" by {known}"));
        let (address, priority) = (&member.address, member.priority);
        told.push(format!("{id}{incarnation} at {address} {role}{promotion}, priority {priority}"));
    }
    let outgoing: Vec<&str> = configuration.outgoing().map(NodeId::as_str).collect();
    let before =
        if outgoing.is_empty() { String::new() } else { format!(" (until now {})", outgoing.join(", ")) };
    format!("{}{before}", told.join("; "))
}

/// As the tests of the command read it: JSON as it is, other bytes in hexadecimal.
fn value(value: &Value) -> String {
    match value {
        Value::Json(text) => format!("json {}", String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("bytes {}", hex.concat())
        }
    }
}

/// A server that was started from a directory in which it is the only voter.
pub(crate) struct Server {
    cluster: Cluster,
}

impl Server {
    pub(crate) fn start(files: BTreeMap<FileName, Vec<u8>>) -> Server {
        let mut cluster = Cluster::fresh(&[node(0)], 1);
        cluster.node(&node(0)).disk = Disk::holding(files);
        cluster.start(&node(0));
        cluster.pass(Duration::from_secs(2), true);
        let leads = cluster.replica(&node(0)).is_some_and(|r| r.consensus().role() == Role::Leader);
        assert!(leads, "it leads: {:?}", cluster.happenings);
        Server { cluster }
    }

    /// The file of the snapshot that it took or started from.
    pub(crate) fn snapshot(&mut self) -> (EntryId, Vec<u8>) {
        let replica = self.cluster.replica(&node(0)).expect("it runs");
        let snapshot = replica.consensus().latest_snapshot().expect("there is one");
        let name = SnapshotFile::Whole(snapshot.index).file_name();
        (snapshot, self.cluster.node(&node(0)).disk.files()[&name].clone())
    }

    fn answer(&mut self, event: impl FnOnce(Token) -> Event) -> Reply {
        let token = self.cluster.token();
        self.cluster.step(&node(0), event(token));
        self.cluster.pass(Duration::from_secs(1), true);
        let answers = |happening: &Happening| match happening {
            Happening::Answered { token: of, reply, .. } if *of == token => Some(reply.clone()),
            _ => None,
        };
        self.cluster.happenings.iter().find_map(answers).expect("an answer")
    }

    fn keys(&mut self) -> Vec<(kv::Key, kv::Item)> {
        let deadline = self.cluster.now + Duration::from_secs(5);
        let list = kv::Query::List { prefix: String::new(), after: None, limit: 1000, values: true };
        let reply = self.answer(|token| Event::Query {
            token,
            deadline,
            consistency: Consistency::Linearizable,
            query: list.encode(),
        });
        let Reply::Found(found) = reply else { panic!("no page: {reply:?}") };
        let kv::QueryAnswer::Page(page) = kv::QueryAnswer::decode(&found) else { panic!("no page") };
        page.entries.into_iter().map(|(key, item)| (key, item.expect("values were asked for"))).collect()
    }

    fn propose(&mut self, command: Command) -> String {
        let deadline = self.cluster.now + Duration::from_secs(5);
        let reply = self.answer(|token| Event::Propose { token, deadline, command });
        let Reply::Done(done) = reply else { panic!("not done: {reply:?}") };
        let result = match done.result {
            CommandResult::SessionOpen => "the session is open",
            CommandResult::Answer(answer) => match kv::Answer::decode(&answer) {
                kv::Answer::Set => "set",
                kv::Answer::Deleted(_) | kv::Answer::Unreadable => "not set",
            },
            CommandResult::SessionExpired => "no such session",
            CommandResult::SequenceReused => "that number is done with",
            CommandResult::CommandDiffers => "another command",
        };
        format!("{result}, at {}", done.index)
    }
}
