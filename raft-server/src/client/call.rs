//! One command of the client: a call, and its result on stdout.

use std::io::{Read, Write};
use std::time::Duration;

use raft_node::client::{Changed, Client, ClientError, NewMember};
use raft_node::config::MAX_VALUE_BYTES;
use raft_node::value::string_to_json;

use super::args::{ClientCommand, MembersCommand, Options, Output};
use super::{demo, record, show};
use crate::failure::{Failure, NO, UNAVAILABLE};

/// What stdout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screen {
    /// Whatever it is, it gets results as they are.
    Plain,
    /// A terminal on which a prompt follows: it begins on a line of its own.
    Prompted,
}

/// Carries one command out.
///
/// # Errors
/// When the answer is no, the command cannot be understood, or the cluster does not answer.
pub(super) async fn carry_out(
    client: &Client,
    command: ClientCommand,
    options: Options,
    screen: Screen,
) -> Result<(), Failure> {
    let output = options.output();
    match command {
        ClientCommand::Set { key, value, json } => {
            let written = match read_value(value, json)? {
                Given::Json(text) => client.set(&key, &text).await?,
                Given::Bytes(data) => client.set_bytes(&key, data).await?,
            };
            print(&show::written(&key, written.revision.0, output))
        }
        ClientCommand::Get { key } => {
            let item = client.get(&key).await?;
            let mut text = show::item(&key, item.as_ref(), output)?;
            if screen == Screen::Prompted && text.last().is_some_and(|last| *last != b'\n') {
                text.push(b'\n');
            }
            print(&text)?;
            item.map(|_| ()).ok_or_else(|| not_found(&key))
        }
        ClientCommand::Delete { key } => {
            let deleted = client.delete(&key).await?;
            print(&show::deleted(&key, deleted, output))?;
            if deleted.deleted { Ok(()) } else { Err(not_found(&key)) }
        }
        ClientCommand::Keys { prefix } => print(&show::keys(&client.keys(&prefix).await?, output)),
        ClientCommand::Status => {
            let views = client.status_of_all().await;
            print(&show::status(&views, output))?;
            match views.iter().any(|view| view.status.is_ok()) {
                true => Ok(()),
                false => Err(Failure::new(UNAVAILABLE, "no endpoint could be reached")),
            }
        }
        ClientCommand::Why => print(&show::why(&client.why().await?, output)),
        ClientCommand::Transfer { node } => {
            print(&show::transferred(&client.transfer(node.as_deref()).await?, output))
        }
        ClientCommand::Snapshot => {
            let client = client.with_timeout(options.timeout_or(LONG_TIMEOUT));
            print(&show::snapshot(client.snapshot().await?, output))
        }
        ClientCommand::Members { change: None } => print(&show::members(&client.members().await?, output)),
        ClientCommand::Members { change: Some(change) } => {
            let client = client.with_timeout(options.timeout_or(LONG_TIMEOUT));
            print(&show::changed(change_members(&client, change).await?, output))
        }
        ClientCommand::Record { file } => print(&record::fetch(client, file, output).await?),
        ClientCommand::Demo => match output {
            Output::Text => demo::run(client, options.timeout()).await,
            Output::Json => Err(Failure::usage("the demo is for people: it has no --output json")),
        },
    }
}

/// How long a change of the members may take where nothing is said, or a snapshot: a server that is added has
/// to catch up, and a store may be large.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);

async fn change_members(client: &Client, change: MembersCommand) -> Result<Changed, ClientError> {
    match change {
        MembersCommand::Add { node: node_id, address, learner, priority } => {
            client.add_member(&NewMember { node_id, address, learner, priority, replaces: None }).await
        }
        MembersCommand::Remove { node, force } => client.remove_member(&node, force).await,
        MembersCommand::Promote { node } => client.promote_member(&node).await,
        MembersCommand::Replace { old, new: node_id, address } => {
            let member = NewMember { node_id, address, replaces: Some(old), ..NewMember::default() };
            client.add_member(&member).await
        }
        MembersCommand::Priority { node, priority } => client.set_priority(&node, priority).await,
    }
}

/// A value from the command line or stdin.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Json(String),
    Bytes(Vec<u8>),
}

/// Reads VALUE: a string, or JSON where that was asked for; `-` is stdin, where what is not UTF-8 is bytes.
fn read_value(value: String, json: bool) -> Result<Given, Failure> {
    let data = if value == "-" { read_stdin()? } else { value.into_bytes() };
    match (String::from_utf8(data), json) {
        (Ok(text), true) => Ok(Given::Json(text)),
        (Ok(text), false) => Ok(Given::Json(string_to_json(&text))),
        (Err(_), true) => Err(Failure::usage("the value is not JSON: it is not UTF-8")),
        (Err(error), false) => Ok(Given::Bytes(error.into_bytes())),
    }
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut data = Vec::new();
    let limit = MAX_VALUE_BYTES as u64;
    let read = std::io::stdin().lock().take(limit + 1).read_to_end(&mut data);
    read.map_err(|error| Failure::usage(format!("cannot read the value from stdin: {error}")))?;
    if data.len() as u64 > limit {
        return Err(Failure::usage(format!("the value has more than {limit} bytes: no node accepts that")));
    }
    Ok(data)
}

fn not_found(key: &str) -> Failure {
    Failure::new(NO, format!("key {key:?} not found"))
}

/// Writes a result to stdout, whole.
pub(super) fn print(result: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(result)?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_string_unless_json_is_asked_for() {
        assert_eq!(read_value("1.0".into(), false).unwrap(), Given::Json("\"1.0\"".into()));
        assert_eq!(read_value("1.0".into(), true).unwrap(), Given::Json("1.0".into()));
    }
}
