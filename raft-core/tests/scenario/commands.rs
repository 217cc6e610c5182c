//! The commands of a scenario.
//!
//! | command | does |
//! | --- | --- |
//! | `cluster n1 n2 n3` | starts servers that have met, connected; with `fresh`, new ones, not connected |
//! | `log n1 1 1 2 term=3 commit=1` | gives a server a log of these terms, and restarts it |
//! | `belongs n1 7` | writes a cluster's id in its data directory, and restarts it |
//! | `elect n1` | lets its clock run until it stands, and delivers everything: it must win |
//! | `connect n1 n2`, `connect all`, `disconnect n1 n2`, `disconnect n1 n2 died` | streams |
//! | `partition n1 \| n2 n3`, `heal` | what is sent between groups is lost, unnoticed; some may be in two |
//! | `hold n1 n2`, `release n1 n2` | `settle` and `run` leave the direction alone |
//! | `deliver n1 n2`, with `2`, `last` or `all` | delivers the first message, another one, or all |
//! | `drop n1 n2`, `repeat n1 n2` | loses all, or doubles the first, of what is under way |
//! | `settle` | delivers everything until nothing is under way |
//! | `run 60ms`, `advance 60ms` | time passes, with deliveries or without |
//! | `timeout n1`, `tick n1` | time passes for one server: until it stands, or not at all |
//! | `disk n1 waits`, `disk n1 answers`, `sync n1`, `fail n1`, `disk n1 full`, `disk n1 roomy` | the disk |
//! | `flip n1 x` | a bit of the value of x turns over in memory |
//! | `crash n1`, `crash n1 torn`, `wipe n1` | a power failure, in the midst of a write, that takes the disk |
//! | `kill n1`, `restart n1`, with `members=n1,n2`, `address=h:1` | a process that dies; one that starts |
//! | `put n1 x=1`, `delete n1 x`, `open n1 session=c`, `get n1 x`, `get n1 x stale` | clients |
//! | `transfer n1`, `transfer n1 n2`, with `within=1s` | an operator asks n1 for another leader |
//! | `snapshot n1`, with `within=1s` | an operator asks n1 for a snapshot now |
//! | `stop n1 within=1s` | a clean stop |
//! | `call n1 from=n2 vote term=2 last=1/1` | a documented RPC |
//! | `call n1 from=n2 append term=2 prev=1/1 terms=2 commit=1` | the other one |
//! | `forge n2 n1 append ...`, `forge n2 n1 vote ...` | sends a message that the protocol would not |
//! | `forge n1 n2 timeout-now term=1`, `forge n2 n1 task request=1` | likewise |
//! | `forge n1 n2 diverged term=1`, with `index=1` | likewise, with the sender's own hash or another index |
//! | `forge n2 n1 welcome` | likewise: as by its record |
//! | `forge n2 n1 received term=1 snapshot=3/1 bytes=0` | likewise: what it has of a snapshot |
//! | `state`, `log`, `terms`, `disk`, each also of one server; `queue`, `queue n1 n2` | prints |
//! | `snapshots`, `snapshots n1` | prints the latest that is kept, and where the log begins |
//! | `compared n1` | prints what a leader knows of its followers' states |
//! | `new`, `change`, `members` | see `members.rs` |
//! | `votes n1` | prints who would vote for it, and who refused last time and why |
//!
//! A value `400KiB` is so long, `~400KiB` stays so long in a snapshot. Writes take `key=` or
//! `session= number= below=`, and `within=` and `times=`. `quietly` before a command keeps its output back.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use raft_core::consensus::Configuration;
use raft_core::entry::{ClientId, Command, Entry, Genesis, Payload, Sequence, SessionStep};
use raft_core::kv;
use raft_core::log::{Identity, Record};
use raft_core::message::{
    AppendEntries, InstallReply, KnownBy, Message, Received, RequestId, RequestVote, Round,
};
use raft_core::replica::{Call, Consistency, Event, Role, Task, Token};
use raft_core::types::{Applied, ClusterId, EntryId, HardState, LogIndex, NodeId, Term};

use super::cluster::{Cluster, Happening};
use super::dice::Dice;
use super::disk::Unanswered;
use super::members;
use super::network::Packet;
use super::show;

/// A scenario as it runs.
#[derive(Default)]
pub(crate) struct Story {
    cluster: Option<Cluster>,
    requests: BTreeMap<Token, String>,
    lines: Vec<String>,
    quiet: bool,
}

pub(crate) type Outcome = Result<(), String>;

/// A command's words: in order, and by name.
pub(crate) struct Words<'a> {
    pub(crate) plain: Vec<&'a str>,
    pub(crate) named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Words<'a> {
        let (named, plain): (Vec<&str>, Vec<&str>) =
            text.split_whitespace().partition(|word| word.contains('='));
        Words { plain, named: named.into_iter().filter_map(|word| word.split_once('=')).collect() }
    }

    pub(crate) fn at(&self, at: usize) -> Result<&'a str, String> {
        self.plain.get(at).copied().ok_or_else(|| "a word is missing".to_owned())
    }

    pub(crate) fn node(&self, at: usize) -> Result<NodeId, String> {
        NodeId::new(self.at(at)?).map_err(|error| error.to_string())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &&str| match *text {
            "max" => Ok(Term::MAX.0),
            "max+1" => Ok(Term::MAX.0 + 1),
            "last" => Ok(u64::MAX),
            text => number(text),
        };
        self.named.get(name).map(parse).transpose()
    }

    /// `index/term`.
    fn position(&self, name: &str) -> Result<(LogIndex, Term), String> {
        let Some(text) = self.named.get(name) else { return Ok((LogIndex::ZERO, Term(0))) };
        let (index, term) = text.split_once('/').ok_or("index/term is wanted")?;
        let index = if index == "max" { u64::MAX } else { number(index)? };
        Ok((LogIndex(index), Term(number(term)?)))
    }
}

pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => Ok(Duration::from_millis(number(ms)?)),
        (None, Some(s)) => Ok(Duration::from_secs(number(s)?)),
        _ => Err(format!("{text:?} is no time")),
    }
}

/// The entry that `log` and `call` put at an index in a term: the same one wherever it is.
fn entry_of(index: u64, term: u64, members: &[NodeId]) -> Entry {
    let payload = if index == 1 {
        let configuration = Configuration::new(members.iter().cloned());
        Payload::Genesis(Box::new(Genesis { cluster_id: ClusterId(u128::from(term)), configuration }))
    } else {
        let data = set(&format!("k{index}"), &format!("t{term}"));
        Payload::Command(Command { session: None, data })
    };
    Entry { index: LogIndex(index), term: Term(term), payload }
}

fn set(key: &str, value: &str) -> Bytes {
    let size = value.strip_suffix("KiB").and_then(|size| {
        let is_noise = size.starts_with('~');
        Some((is_noise, size.trim_start_matches('~').parse::<usize>().ok()? << 10))
    });
    let value = match size {
        Some((false, bytes)) => Bytes::from(vec![b'1'; bytes]),
        Some((true, bytes)) => noise(bytes),
        None => Bytes::copy_from_slice(value.as_bytes()),
    };
    let key = kv::Key::new(key).expect("a valid key");
    kv::Command::Set { key, value: kv::Value::Json(value) }.encode()
}

/// Text of which compression makes nothing less.
fn noise(bytes: usize) -> Bytes {
    let mut dice = Dice::new(1);
    let mut next = || b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[dice.below(64)];
    (0..bytes).map(|_| next()).collect()
}

impl Story {
    /// Runs one line.
    pub(crate) fn run(&mut self, line: &str) -> Outcome {
        let (quiet, line) = match line.strip_prefix("quietly ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        self.quiet = quiet;
        let words = Words::of(line);
        match words.at(0)? {
            "cluster" => self.setup(&words),
            "log" if words.plain.len() > 2 => self.preload(&words),
            "belongs" => self.belongs(&words),
            "elect" | "timeout" | "tick" | "run" | "advance" => self.time(&words),
            "connect" | "disconnect" | "partition" | "heal" | "hold" | "release" => self.streams(&words),
            "deliver" | "drop" | "repeat" | "settle" => self.messages(&words),
            "sync" | "fail" | "flip" | "crash" | "kill" | "restart" | "wipe" => self.server(&words),
            "disk" if words.plain.len() > 2 => self.server(&words),
            "put" | "delete" | "open" => self.write(line, &words),
            "get" | "transfer" | "snapshot" | "stop" | "call" | "forge" => self.ask(line, &words),
            "new" | "change" => self.membership(line, &words),
            _ => self.look(&words),
        }
    }

    /// What there is to tell since the last call.
    pub(crate) fn tell(&mut self) -> Vec<String> {
        let happenings = self.cluster.as_mut().map(|c| std::mem::take(&mut c.happenings)).unwrap_or_default();
        let mut lines: Vec<String> =
            happenings.iter().filter_map(|happening| show::happening(happening, &self.requests)).collect();
        lines.append(&mut self.lines);
        if self.quiet { Vec::new() } else { lines }
    }

    pub(crate) fn cluster(&mut self) -> Result<&mut Cluster, String> {
        self.cluster.as_mut().ok_or_else(|| "begin with `cluster`".to_owned())
    }

    fn setup(&mut self, words: &Words<'_>) -> Outcome {
        let mut names = words.plain[1..].to_vec();
        let fresh = names.last() == Some(&"fresh");
        names.truncate(names.len() - usize::from(fresh));
        let members: Vec<NodeId> = names.iter().map(|name| NodeId::new(name).expect("valid")).collect();
        let mut cluster = if fresh { Cluster::fresh(&members, 1) } else { Cluster::acquainted(&members, 1) };
        for id in &members {
            cluster.start(id);
        }
        if !fresh {
            cluster.connect_all();
            cluster.settle();
            cluster.happenings.clear();
        }
        self.cluster = Some(cluster);
        Ok(())
    }

    fn preload(&mut self, words: &Words<'_>) -> Outcome {
        let id = words.node(1)?;
        let terms: Vec<u64> = words.plain[2..].iter().map(|term| number(term)).collect::<Result<_, _>>()?;
        let term = words.number("term")?.or(terms.last().copied()).unwrap_or_default();
        let commit = words.number("commit")?;
        let cluster = self.cluster()?;
        let members = cluster.ids();
        let mut records: Vec<Record> =
            vec![Record::HardState(HardState { term: Term(term), voted_for: None })];
        records.extend((1..).zip(terms).map(|(i, term)| Record::Entry(entry_of(i, term, &members))));
        records.extend(commit.map(|index| Record::CommitHint(LogIndex(index))));
        cluster.crash(&id, Unanswered::Kept);
        let node = cluster.node(&id);
        let mut recovered = node.disk.durable(&id).ok_or("its disk is empty")?;
        let ops = recovered.writer.append(&records).1;
        node.disk.apply_all(&recovered.repairs);
        node.disk.apply_all(&ops);
        cluster.restart(&id);
        cluster.settle();
        cluster.happenings.clear();
        Ok(())
    }

    fn belongs(&mut self, words: &Words<'_>) -> Outcome {
        let (id, cluster_id) = (words.node(1)?, ClusterId(number(words.at(2)?)?.into()));
        let cluster = self.cluster()?;
        cluster.crash(&id, Unanswered::Kept);
        let node = cluster.node(&id);
        let identity = node.disk.durable(&id).ok_or("its disk is empty")?.identity;
        node.disk.apply_all(&[Identity { cluster_id: Some(cluster_id), ..identity }.store()]);
        cluster.restart(&id);
        Ok(())
    }

    fn time(&mut self, words: &Words<'_>) -> Outcome {
        let cluster = self.cluster()?;
        match words.at(0)? {
            "run" => cluster.pass(duration(words.at(1)?)?, true),
            "advance" => cluster.pass(duration(words.at(1)?)?, false),
            "timeout" => cluster.time_out(&words.node(1)?),
            "tick" => cluster.step(&words.node(1)?, Event::Tick),
            _ => {
                let id = words.node(1)?;
                cluster.time_out(&id);
                cluster.settle();
                let term = cluster.replica(&id).map(|replica| replica.consensus().term());
                let leads = cluster.replica(&id).is_some_and(|r| r.consensus().role() == Role::Leader);
                if !leads {
                    return Err("it did not win".to_owned());
                }
                cluster.happenings.retain(|happening| matches!(happening, Happening::Answered { .. }));
                self.lines.push(format!("{id} leads term {}", term.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn streams(&mut self, words: &Words<'_>) -> Outcome {
        let cluster = self.cluster()?;
        match words.at(0)? {
            "connect" if words.at(1)? == "all" => cluster.connect_all(),
            "connect" => cluster.connect(&words.node(1)?, &words.node(2)?),
            "disconnect" => {
                cluster.disconnect(&words.node(1)?, &words.node(2)?, words.at(3).is_ok_and(|w| w == "died"));
            }
            "partition" => {
                let groups: Vec<Vec<NodeId>> = words.plain[1..]
                    .split(|word| *word == "|")
                    .map(|group| group.iter().map(|name| NodeId::new(name).expect("valid")).collect())
                    .collect();
                cluster.network.partition(&groups);
            }
            "heal" => cluster.network.heal(),
            verb => {
                cluster.network.link(&words.node(1)?, &words.node(2)?).held = verb == "hold";
            }
        }
        Ok(())
    }

    fn messages(&mut self, words: &Words<'_>) -> Outcome {
        let cluster = self.cluster()?;
        if words.at(0)? == "settle" {
            cluster.settle();
            return Ok(());
        }
        let (from, to) = (words.node(1)?, words.node(2)?);
        let link = cluster.network.link(&from, &to);
        let waiting = link.queue.len();
        match (words.at(0)?, words.at(3).unwrap_or("1")) {
            (_, _) if waiting == 0 => return Err("nothing is under way there".to_owned()),
            ("drop", "1") => link.queue.clear(),
            ("drop", place) => drop(link.queue.remove(place_in(place, waiting)?)),
            ("repeat", place) => {
                let packet = link.queue[place_in(place, waiting)?].clone();
                link.queue.push_back(packet);
            }
            (_, "all") => {
                for _ in 0..waiting {
                    cluster.deliver(&from, &to, 0);
                }
            }
            (_, place) => cluster.deliver(&from, &to, place_in(place, waiting)?),
        }
        Ok(())
    }

    fn server(&mut self, words: &Words<'_>) -> Outcome {
        let id = words.node(1)?;
        let cluster = self.cluster()?;
        match words.at(0)? {
            "disk" if words.at(2)? == "full" => {
                cluster.step(&id, Event::DiskFull { reason: "no room for a segment".to_owned() });
            }
            "disk" if words.at(2)? == "roomy" => cluster.step(&id, Event::DiskHasRoom),
            "disk" => {
                cluster.node(&id).disk_answers = words.at(2)? == "answers";
                if cluster.node(&id).disk_answers {
                    cluster.flush_disk(&id);
                }
            }
            "sync" if !cluster.node(&id).disk.is_busy() => return Err("its disk is idle".to_owned()),
            "sync" => cluster.flush_disk(&id),
            "fail" => {
                cluster.step(&id, Event::DiskFailed { reason: "the disk is broken".to_owned() });
            }
            "flip" => {
                let key = kv::Key::new(words.at(2)?).map_err(|error| error.to_string())?;
                if !cluster.node(&id).memory.flip_bit(&key) {
                    return Err("it has no such value".to_owned());
                }
            }
            "crash" => {
                let torn = words.at(2).is_ok_and(|word| word == "torn");
                cluster.crash(&id, if torn { Unanswered::Torn } else { Unanswered::Lost });
            }
            "kill" => {
                cluster.crash(&id, Unanswered::Kept);
                for peer in cluster.ids().into_iter().filter(|peer| *peer != id) {
                    if cluster.network.link(&id, &peer).open {
                        cluster.disconnect(&id, &peer, true);
                    }
                }
            }
            "restart" => {
                if let Some(members) = words.named.get("members") {
                    cluster.node(&id).members =
                        members.split(',').map(|m| NodeId::new(m).expect("valid")).collect();
                }
                if let Some(address) = words.named.get("address") {
                    (*address).clone_into(&mut cluster.node(&id).address);
                }
                cluster.restart(&id);
            }
            _ => {
                if cluster.is_up(&id) {
                    cluster.crash(&id, Unanswered::Lost);
                }
                cluster.wipe(&id);
            }
        }
        Ok(())
    }

    pub(crate) fn request(&mut self, text: &str) -> Result<Token, String> {
        let token = self.cluster()?.token();
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.skip(1).filter(|word| !word.starts_with("within=")).collect();
        self.requests.insert(token, format!("{verb} {}", rest.join(" ")).trim_end().to_owned());
        Ok(token)
    }

    fn write(&mut self, line: &str, words: &Words<'_>) -> Outcome {
        let id = words.node(1)?;
        let data = match words.at(0)? {
            "put" => {
                let word = line.split_whitespace().nth(2).ok_or("put what?")?;
                let (key, value) = word.split_once('=').ok_or("key=value is wanted")?;
                set(key, value)
            }
            "delete" => kv::Command::Delete { key: kv::Key::new(words.at(2)?).expect("valid") }.encode(),
            _ => Bytes::new(),
        };
        let client = |name: &str| ClientId::new(name.as_bytes()).map_err(|error| error.to_string());
        let step = match (words.named.get("key"), words.named.get("session")) {
            (Some(key), _) => Some(SessionStep { client: client(key)?, sequence: Sequence::Only }),
            (None, Some(session)) => {
                let sequence = match words.number("number")? {
                    None => Sequence::Open,
                    Some(number) => {
                        let answered_below = words.number("below")?.unwrap_or_default();
                        Sequence::Number { number, answered_below }
                    }
                };
                Some(SessionStep { client: client(session)?, sequence })
            }
            (None, None) => None,
        };
        let within = words.named.get("within").map_or(Ok(Duration::from_secs(5)), |text| duration(text))?;
        for _ in 0..words.number("times")?.unwrap_or(1) {
            let token = self.request(line)?;
            let cluster = self.cluster()?;
            let deadline = cluster.now + within;
            let command = Command { session: step.clone().map(Box::new), data: data.clone() };
            cluster.step(&id, Event::Propose { token, deadline, command });
        }
        Ok(())
    }

    fn ask(&mut self, line: &str, words: &Words<'_>) -> Outcome {
        let id = words.node(1)?;
        let within = words.named.get("within").map_or(Ok(Duration::from_secs(5)), |text| duration(text))?;
        match words.at(0)? {
            "get" => {
                let token = self.request(line)?;
                let stale = words.at(3).is_ok_and(|word| word == "stale");
                let consistency = if stale { Consistency::Stale } else { Consistency::Linearizable };
                let key = kv::Key::new(words.at(2)?).map_err(|error| error.to_string())?;
                let query = kv::Query::Get { key }.encode();
                let cluster = self.cluster()?;
                let deadline = cluster.now + within;
                cluster.step(&id, Event::Query { token, deadline, consistency, query });
            }
            "transfer" | "snapshot" => {
                let token = self.request(line)?;
                let task = match words.at(0)? {
                    "snapshot" => Task::Snapshot,
                    _ => Task::Transfer { to: words.plain.get(2).map(|_| words.node(2)).transpose()? },
                };
                let cluster = self.cluster()?;
                let deadline = cluster.now + within;
                cluster.step(&id, Event::Administer { token, deadline, task });
            }
            "stop" => {
                let cluster = self.cluster()?;
                let deadline = cluster.now + within;
                cluster.step(&id, Event::Stop { deadline });
            }
            "call" => {
                let token = self.request(line)?;
                let from = NodeId::new(words.named.get("from").ok_or("from= is missing")?)
                    .map_err(|error| error.to_string())?;
                let call = match self.rpc(words)? {
                    Message::RequestVote(request) => Call::RequestVote(request),
                    Message::AppendEntries(append) => Call::AppendEntries(append),
                    _ => return Err("vote or append".to_owned()),
                };
                self.cluster()?.step(&id, Event::Called { token, from, call });
            }
            _ => {
                let (from, to) = (id, words.node(2)?);
                let message = self.rpc(words)?;
                let cluster = self.cluster()?;
                let incarnation = cluster.node(&from).incarnation;
                cluster.network.send(&from, &to, Packet { incarnation, message });
            }
        }
        Ok(())
    }

    /// `vote` or `append`, as written in the script.
    fn rpc(&mut self, words: &Words<'_>) -> Result<Message, String> {
        let term = Term(words.number("term")?.unwrap_or_default());
        if words.plain.contains(&"timeout-now") {
            return Ok(Message::TimeoutNow { term });
        }
        if words.plain.contains(&"task") {
            let request = RequestId(words.number("request")?.unwrap_or_default());
            return Ok(Message::Administer { request, task: Task::Transfer { to: None } });
        }
        if words.plain.contains(&"vote") {
            let (last_log_index, last_log_term) = words.position("last")?;
            let (pre_vote, transfer) = (words.plain.contains(&"pre"), words.plain.contains(&"transfer"));
            let request = RequestVote { term, last_log_index, last_log_term, pre_vote, transfer };
            return Ok(Message::RequestVote(request));
        }
        if words.plain.contains(&"received") {
            let (index, its_term) = words.position("snapshot")?;
            let received = Received::UpTo(words.number("bytes")?.unwrap_or_default());
            let (round, snapshot) = (Round::default(), EntryId { index, term: its_term });
            return Ok(Message::InstallReply(InstallReply { term, round, snapshot, received }));
        }
        if words.plain.contains(&"welcome") {
            let to = words.node(2)?;
            let known = self.cluster()?.node(&to).incarnation;
            return Ok(Message::Welcome { known, by: KnownBy::Record });
        }
        if words.plain.contains(&"diverged") {
            let (from, cluster) = (words.node(1)?, self.cluster()?);
            cluster.invariants.expect_divergence();
            let sender = cluster.replica(&from).ok_or("the sender is down")?;
            let (last, hash) = (sender.last_applied(), sender.applied_hash());
            let index = words.number("index")?.map_or(last, LogIndex);
            return Ok(Message::Diverged { term, at: Applied { index, hash } });
        }
        let members = self.cluster()?.ids();
        let (prev_log_index, prev_log_term) = words.position("prev")?;
        let terms = words.named.get("terms").copied().unwrap_or_default();
        let terms: Vec<u64> =
            terms.split(',').filter(|term| !term.is_empty()).map(number).collect::<Result<_, _>>()?;
        let first = prev_log_index.0.wrapping_add(1);
        let entries = (0..).zip(terms).map(|(i, term)| entry_of(first.wrapping_add(i), term, &members));
        Ok(Message::AppendEntries(AppendEntries {
            term,
            prev_log_index,
            prev_log_term,
            entries: entries.collect(),
            leader_commit: LogIndex(words.number("commit")?.unwrap_or_default()),
            round: Round(words.number("round")?.unwrap_or_default()),
        }))
    }

    fn look(&mut self, words: &Words<'_>) -> Outcome {
        let verb = words.at(0)?;
        let one = words.node(1).ok();
        let cluster = self.cluster()?;
        let mut lines = Vec::new();
        if verb == "queue" {
            let wanted = (one, words.node(2).ok());
            for ((from, to), link) in cluster.network.links() {
                if wanted.0.as_ref().is_none_or(|id| id == from)
                    && wanted.1.as_ref().is_none_or(|id| id == to)
                {
                    let shown = link.queue.iter().map(|packet| show::message(&packet.message));
                    lines.extend(shown.map(|message| format!("waiting: {from} -> {to} {message}")));
                }
            }
            lines.is_empty().then(|| lines.push("nothing is under way".to_owned()));
        } else {
            for id in one.map_or(cluster.ids(), |id| vec![id]) {
                lines.push(match (verb, cluster.replica(&id)) {
                    ("disk", _) => match cluster.node(&id).disk.durable(&id) {
                        Some(found) => format!("{id} {}", show::durable(&found)),
                        None => format!("{id} has an empty disk"),
                    },
                    (_, None) => format!("{id} is down"),
                    ("state", Some(replica)) => format!("{id} {}", show::state(replica)),
                    ("members", Some(replica)) => format!("{id} {}", members::of(replica)),
                    ("snapshots", Some(replica)) => format!("{id} {}", show::snapshots(replica)),
                    ("compared", Some(replica)) => format!("{id} {}", show::compared(replica)),
                    ("votes", Some(replica)) => format!("{id} {}", show::votes(replica)),
                    ("log" | "terms", Some(replica)) => {
                        let log = replica.consensus().log();
                        let entries: Vec<Entry> =
                            log.range(LogIndex(1)..=log.last_index()).cloned().collect();
                        let text =
                            if verb == "log" { show::entries(&entries) } else { show::terms(&entries) };
                        format!("{id} log: {text}")
                    }
                    _ => return Err("there is no such command".to_owned()),
                });
            }
        }
        self.lines.append(&mut lines);
        Ok(())
    }
}

fn place_in(place: &str, waiting: usize) -> Result<usize, String> {
    let at = if place == "last" { waiting } else { usize::try_from(number(place)?).unwrap_or(usize::MAX) };
    if (1..=waiting).contains(&at) { Ok(at - 1) } else { Err(format!("only {waiting} messages wait there")) }
}
