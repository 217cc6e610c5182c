//! `raft-server client` without a command: a shell that reads commands line by line.

mod complete;
mod editor;
mod history;
mod line;

use std::future::Future;
use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use raft_node::client::{Client, Consistency, ListOptions};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::args::{ClientCommand, Options};
use super::call::{Screen, carry_out, print};
use crate::failure::{Failure, INTERRUPTED, say};
use line::{LineCommand, Parsed};

/// Keys that are offered at once.
const OFFERED: u32 = 100;
/// How long the prompt waits for the keys it offers, or for who leads: it must not hang with the cluster.
const GLANCE: Duration = Duration::from_millis(400);

/// Reads commands from stdin until its end.
///
/// # Errors
/// From a terminal none but a terminal that fails. Else that of the first command that failed, already told.
pub(super) fn run(runtime: Runtime, client: Client, options: Options) -> Result<(), Failure> {
    let shell = Shell { runtime, client, options };
    if io::stdin().is_terminal() {
        return editor::run(shell);
    }
    shell.run_all(&mut io::stdin().lock())
}

/// What commands are carried out with. All of them share one client, and so one session.
struct Shell {
    runtime: Runtime,
    client: Client,
    options: Options,
}

/// Whether to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Line,
    Leave,
}

impl Shell {
    /// Carries a line out, unless `stop` ends first.
    fn run_line(&self, text: &str, screen: Screen, stop: impl Future<Output = ()>) -> Result<Next, Failure> {
        let line = match line::parse(text)? {
            Parsed::Nothing => return Ok(Next::Line),
            Parsed::Help(help) => return print(help.as_bytes()).map(|()| Next::Line),
            Parsed::Line(line) => *line,
        };
        let command = match line.command {
            LineCommand::Exit => return Ok(Next::Leave),
            LineCommand::Client(command) => command,
        };
        let options = line.options.or(self.options);
        let client = self.client.with_timeout(options.timeout()).with_consistency(options.consistency());
        let writes =
            matches!(command, ClientCommand::Set { .. } | ClientCommand::Delete { .. } | ClientCommand::Demo);
        self.runtime.block_on(async {
            tokio::select! {
                done = carry_out(&client, command, options, screen) => done.map(|()| Next::Line),
                () = stop => Err(Failure::new(INTERRUPTED, interrupted(writes))),
            }
        })
    }

    /// Carries out what is not typed: on after a failure, each told with its line.
    fn run_all(&self, input: &mut dyn BufRead) -> Result<(), Failure> {
        let mut first = None;
        for number in 1_u64.. {
            let mut line = Vec::new();
            let read = input.read_until(b'\n', &mut line);
            if read.map_err(|error| Failure::usage(format!("cannot read stdin: {error}")))? == 0 {
                break;
            }
            let done = match std::str::from_utf8(&line) {
                Ok(text) => self.run_line(text.trim_end(), Screen::Plain, std::future::pending()),
                Err(_) => Err(Failure::usage("it is not UTF-8")),
            };
            match done {
                Ok(Next::Line) => {}
                Ok(Next::Leave) => break,
                // Nobody reads the results any more.
                Err(failure) if failure.code() == 0 => break,
                Err(failure) => {
                    say(&format!("raft-server: line {number}: {}", failure.message().unwrap_or_default()));
                    first.get_or_insert(failure.code());
                }
            }
        }
        first.map_or(Ok(()), |code| Err(Failure::silent(code)))
    }

    /// Some keys that begin with `prefix`, and whether there are more; none if nobody says so at once.
    fn glance_at_keys(&self, prefix: &str) -> Option<(Vec<String>, bool)> {
        let limit = Some(OFFERED);
        let options = ListOptions { prefix: prefix.to_owned(), limit, values: false, after: None };
        // Without a leader too there is something to offer.
        let client = self.client.with_timeout(GLANCE).with_consistency(Consistency::Stale);
        let page = self.runtime.block_on(async { timeout(GLANCE, client.list(&options)).await });
        let page = page.ok()?.ok()?;
        Some((page.entries.into_iter().map(|(key, _)| key).collect(), page.more))
    }

    /// Who leads, in a few words.
    fn glance_at_leader(&self) -> String {
        let client = self.client.with_timeout(GLANCE);
        let views = self.runtime.block_on(client.status_of_all());
        let all = views.len();
        let known: Vec<_> = views.into_iter().filter_map(|view| view.status.ok()).collect();
        let newest =
            known.iter().filter(|status| status.leader_id.is_some()).max_by_key(|status| status.term);
        match newest.and_then(|status| Some((status.leader_id.as_ref()?, status.term))) {
            _ if known.is_empty() => "no endpoint answers; status says more".to_owned(),
            None => "no leader is known; why says more".to_owned(),
            Some((leader, term)) => {
                format!("{leader} leads in term {term}; {} of {all} endpoints answer", known.len())
            }
        }
    }
}

fn interrupted(writes: bool) -> &'static str {
    if writes { "interrupted: the write may or may not have happened" } else { "interrupted" }
}
