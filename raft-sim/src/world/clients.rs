//! Those who use the cluster: each asks for one thing at a time, repeats what it may repeat, and remembers
//! what it was told.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raft_core::entry::{ClientId, Command, Sequence, SessionStep};
use raft_core::kv::{self, Query};
use raft_core::replica::{Consistency, Event, Reply, Token};

use super::World;
use super::node::{Coming, Node};
use crate::dice::Dice;
use crate::fault::Fault;
use crate::history::{Kind, Verdict, key_name, value_of};

/// How a client protects its writes from happening twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    /// Not at all.
    None,
    /// By a key of its own for each.
    Keys,
    /// By a session with numbers.
    Session,
}

#[derive(Debug)]
struct Client {
    protection: Protection,
    is_open: bool,
    next_number: u64,
    /// Numbers without an answer.
    unanswered: BTreeSet<u64>,
    /// The operation it waits for.
    current: Option<usize>,
    tries: u64,
    /// A command under a key, with its operation, that was answered.
    answered: Option<(usize, Command)>,
    prefers: usize,
}

/// What is sent to a server.
#[derive(Clone, Debug)]
enum Question {
    Propose(Command),
    Query(Consistency, Bytes),
}

/// One try at an operation, by one server. Its number is the server's token.
#[derive(Clone, Debug)]
struct Attempt {
    client: usize,
    operation: usize,
    question: Question,
    at: usize,
    life: u64,
    is_over: bool,
}

/// What a client gets.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    /// Nobody was there.
    NoConnection,
    /// The server died, or the answer was lost.
    Lost,
}

pub(crate) struct Clients {
    clients: Vec<Client>,
    attempts: Vec<Attempt>,
    /// Operations yet to be asked for.
    left: u64,
    dice: Dice,
}

impl Clients {
    pub(crate) fn new(seed: u64, clients: usize, operations: u64) -> Clients {
        let mut dice = Dice::stream(seed, "clients");
        let client = |_| Client {
            protection: [Protection::None, Protection::Keys, Protection::Session][dice.index(3)],
            is_open: false,
            next_number: 1,
            unanswered: BTreeSet::new(),
            current: None,
            tries: 0,
            answered: None,
            prefers: dice.index(100),
        };
        Clients { clients: (0..clients).map(client).collect(), attempts: Vec::new(), left: operations, dice }
    }

    /// Nothing new is asked for.
    pub(crate) fn retire(&mut self) {
        self.left = 0;
    }

    /// Every client asks for some things more, at the end.
    pub(crate) fn once_more(&mut self) {
        self.left = self.clients.len() as u64 * 2;
    }

    pub(crate) fn are_done(&self) -> bool {
        self.left == 0 && self.clients.iter().all(|client| client.current.is_none())
    }

    pub(crate) fn count(&self) -> usize {
        self.clients.len()
    }

    /// All clients turn to the server at this place among those that are switched on, for the time being.
    pub(super) fn prefer(&mut self, place: usize) {
        self.clients.iter_mut().for_each(|client| client.prefers = place);
    }
}

impl World {
    fn micros(&mut self, between: (u64, u64)) -> Duration {
        Duration::from_micros(self.clients.dice.between(between.0, between.1))
    }

    /// A client asks for something new, if it is free to.
    pub(super) fn ask(&mut self, client: usize) {
        if self.clients.left == 0 || self.clients.clients[client].current.is_some() {
            return;
        }
        self.clients.left -= 1;
        let kind = self.choose(client);
        let operation = self.history.ask(kind);
        let question = self.question(client, operation, kind);
        self.clients.clients[client].current = Some(operation);
        self.clients.clients[client].tries = 0;
        self.now_tell(|| format!("client {client} wants {operation}: {kind:?}"));
        let twice = kind.is_repeatable() && self.faults.strikes(Fault::TwiceAtOnce);
        self.send(client, operation, question.clone());
        if twice {
            self.send(client, operation, question);
        }
    }

    fn choose(&mut self, client: usize) -> Kind {
        let keys = self.plan.keys as u64;
        let known = &self.clients.clients[client];
        let (protected, is_open) = (known.protection != Protection::None, known.is_open);
        if known.protection == Protection::Session && !is_open {
            return Kind::Open;
        }
        if known.answered.is_some() && self.faults.strikes(Fault::KeyReused) {
            return Kind::Misuse;
        }
        let key = usize::try_from(self.clients.dice.below(keys)).expect("small");
        match self.clients.dice.below(20) {
            0..9 => Kind::Set { key, protected },
            9..11 => Kind::Delete { key, protected },
            11..18 => Kind::Get { key },
            18..19 => Kind::GetStale { key },
            _ => Kind::List,
        }
    }

    fn question(&mut self, client: usize, operation: usize, kind: Kind) -> Question {
        let large = self.faults.strikes(Fault::LargeValue);
        let padding = if large {
            self.faults.dice(Fault::LargeValue).between(1000, 20_000)
        } else {
            self.clients.dice.between(0, self.plan.padding)
        };
        let value = value_of(operation, usize::try_from(padding).expect("small"));
        let data = match kind {
            Kind::Get { key } | Kind::GetStale { key } => {
                let consistency = if matches!(kind, Kind::Get { .. }) {
                    Consistency::Linearizable
                } else {
                    Consistency::Stale
                };
                return Question::Query(consistency, Query::Get { key: key_name(key) }.encode());
            }
            Kind::List => {
                let all = Query::List { prefix: String::new(), after: None, limit: 1000, values: true };
                return Question::Query(Consistency::Linearizable, all.encode());
            }
            Kind::Set { key, .. } => kv::Command::Set { key: key_name(key), value }.encode(),
            Kind::Delete { key, .. } => kv::Command::Delete { key: key_name(key) }.encode(),
            Kind::Open => Bytes::new(),
            Kind::Misuse => {
                let (_, used) = self.clients.clients[client].answered.clone().expect("chosen because of it");
                let data = kv::Command::Set { key: key_name(0), value }.encode();
                return Question::Propose(Command { session: used.session, data });
            }
        };
        Question::Propose(Command {
            session: self.clients.clients[client].step(client, operation, kind),
            data,
        })
    }

    fn send(&mut self, client: usize, operation: usize, question: Question) {
        // A machine that was never switched on is at no address that a client has; and once all is well, nor
        // is one that is no member any more.
        let members = self.healed_at.and_then(|_| self.configuration_of_leader());
        let is_there = |node: &&Node| node.is_in_use && members.is_none_or(|m| m.contains(&node.id));
        let there: Vec<usize> = self.nodes.iter().filter(is_there).map(|node| node.at).collect();
        let known = &mut self.clients.clients[client];
        if known.tries > 0 {
            known.prefers += 1;
        }
        known.tries += 1;
        // Now and then by another server, so that no server is left out.
        let other = self.clients.dice.one_in(4);
        let place = if other { self.clients.dice.index(there.len()) } else { known.prefers % there.len() };
        let at = there[place];
        self.history.attempted(operation);
        self.clients.attempts.push(Attempt { client, operation, question, at, life: 0, is_over: false });
        let way = self.micros(self.plan.latency);
        let attempt = self.clients.attempts.len() as u64 - 1;
        self.queue.put(self.now + way, Coming::Request { attempt });
    }

    /// A request arrives at a server.
    pub(super) fn request(&mut self, number: u64) {
        let attempt = self.clients.attempts[index(number)].clone();
        let node = &self.nodes[attempt.at];
        if !node.is_up() {
            let back = self.micros(self.plan.latency);
            return self
                .queue
                .put(self.now + back, Coming::Heard { attempt: number, answer: Answer::NoConnection });
        }
        self.clients.attempts[index(number)].life = node.life;
        let patience = if self.faults.strikes(Fault::ShortDeadline) {
            self.faults.dice(Fault::ShortDeadline).between(1, 30)
        } else {
            self.clients.dice.between(300, 2000)
        };
        let deadline = node.clock.read(self.now) + Duration::from_millis(patience);
        let token = Token(number);
        let event = match attempt.question {
            Question::Propose(command) => Event::Propose { token, deadline, command },
            Question::Query(consistency, query) => Event::Query { token, deadline, consistency, query },
        };
        self.comes_in(attempt.at, event);
    }

    /// A server answers one of its clients.
    pub(super) fn answer(&mut self, at: usize, token: Token, reply: Reply) {
        let attempt = &self.clients.attempts[index(token.0)];
        let is_its = attempt.at == at && attempt.life == self.nodes[at].life;
        assert!(is_its, "Answers: {} answers what it was not asked", self.nodes[at].id);
        if let Reply::Done(outcome) = &reply {
            self.checks.acknowledges(outcome.index);
        }
        // What a server with damaged memory says is not to be believed, nor held against the protocol.
        let is_lost = self.faults.strikes(Fault::AnswerLost) || self.may_be_wrong(at);
        let answer = if is_lost { Answer::Lost } else { Answer::Reply(reply) };
        let back = self.micros(self.plan.latency);
        self.queue.put(self.now + back, Coming::Heard { attempt: token.0, answer });
    }

    /// Clients of a process that is gone find that out.
    pub(super) fn leave_clients(&mut self, at: usize) {
        let life = self.nodes[at].life;
        let open = |attempt: &Attempt| attempt.at == at && attempt.life == life && !attempt.is_over;
        let left: Vec<u64> =
            (0..).zip(&self.clients.attempts).filter(|(_, known)| open(known)).map(|(at, _)| at).collect();
        for attempt in left {
            let back = self.micros(self.plan.latency);
            self.queue.put(self.now + back, Coming::Heard { attempt, answer: Answer::Lost });
        }
    }

    /// A client hears what became of an attempt; at most once of each.
    pub(super) fn hear(&mut self, number: u64, answer: Answer) {
        let attempt = self.clients.attempts[index(number)].clone();
        if attempt.is_over {
            return;
        }
        self.clients.attempts[index(number)].is_over = true;
        let (client, operation) = (attempt.client, attempt.operation);
        let verdict = match &answer {
            Answer::Reply(reply) => self.history.hear(operation, reply),
            Answer::NoConnection => {
                self.history.not_sent(operation);
                Verdict::NoEffect
            }
            Answer::Lost => Verdict::Unknown,
        };
        self.now_tell(|| format!("client {client} hears of {operation}: {verdict:?}"));
        if self.clients.clients[client].current != Some(operation) {
            return;
        }
        if self.history.is_answered(operation) {
            return self.content(&attempt);
        }
        let is_last =
            !self.clients.attempts.iter().any(|other| other.operation == operation && !other.is_over);
        if !is_last {
            return;
        }
        let kind = self.history.kind(operation);
        let may_repeat = verdict == Verdict::NoEffect || kind.is_repeatable();
        let known = &self.clients.clients[client];
        if may_repeat && known.tries < 12 && !self.faults.strikes(Fault::GivesUp) {
            let pause = self.micros((1000, 40_000));
            return self.queue.put(self.now + pause, Coming::Repeat { attempt: number });
        }
        self.free(client);
    }

    /// A client tries the same once more.
    pub(super) fn repeat(&mut self, number: u64) {
        let Attempt { client, operation, question, .. } = self.clients.attempts[index(number)].clone();
        if self.clients.clients[client].current == Some(operation) {
            self.send(client, operation, question);
        }
    }

    /// A client has its answer.
    fn content(&mut self, attempt: &Attempt) {
        let client = attempt.client;
        if let Question::Propose(command) = &attempt.question {
            let known = &mut self.clients.clients[client];
            match command.session.as_ref().map(|step| step.sequence) {
                Some(Sequence::Open) => known.is_open = true,
                Some(Sequence::Number { number, .. }) => drop(known.unanswered.remove(&number)),
                Some(Sequence::Only) if self.history.kind(attempt.operation) != Kind::Misuse => {
                    known.answered = Some((attempt.operation, command.clone()));
                    if self.faults.strikes(Fault::AgainAfterAnswer) {
                        self.send(client, attempt.operation, attempt.question.clone());
                    }
                }
                _ => {}
            }
        }
        self.free(client);
    }

    fn free(&mut self, client: usize) {
        self.clients.clients[client].current = None;
        let pause = self.micros(self.plan.think);
        self.queue.put(self.now + pause, Coming::Ask { client });
    }
}

impl Client {
    /// What makes a repeated command take effect once.
    fn step(&mut self, at: usize, operation: usize, kind: Kind) -> Option<Box<SessionStep>> {
        let (name, sequence) = match self.protection {
            Protection::None => return None,
            Protection::Keys => (format!("key {operation}"), Sequence::Only),
            Protection::Session if kind == Kind::Open => (format!("session {at}"), Sequence::Open),
            Protection::Session => {
                let number = self.next_number;
                self.next_number += 1;
                self.unanswered.insert(number);
                let answered_below = self.unanswered.first().copied().unwrap_or(number);
                (format!("session {at}"), Sequence::Number { number, answered_below })
            }
        };
        let client = ClientId::new(name.as_bytes()).expect("a valid name");
        Some(Box::new(SessionStep { client, sequence }))
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("fits")
}
