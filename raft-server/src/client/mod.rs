//! `raft-server client`: one call of the client, its result on stdout.

pub(crate) mod args;
mod demo;
mod show;

pub(crate) use args::ClientArgs;

use std::io::{Read, Write};
use std::time::Duration;

use raft_node::client::{Client, ClientConfig, ClientError, Consistency};
use raft_node::config::MAX_VALUE_BYTES;
use raft_node::value::string_to_json;

use crate::failure::{Failure, NO, UNAVAILABLE, USAGE};
use args::{ClientCommand, Freshness, Output};

/// Carries one command out.
///
/// # Errors
/// When the answer is no, the command cannot be understood, or the cluster does not answer.
pub(crate) fn run(args: ClientArgs) -> Result<(), Failure> {
    let variable = std::env::var("RAFT_ENDPOINTS").ok().filter(|text| !text.is_empty());
    let client = client(&args, variable)?;
    crate::runtime()?.block_on(carry_out(&client, args.command, args.output))
}

/// A client for the endpoints of the flag, else of the variable, else of the documented cluster.
fn client(args: &ClientArgs, variable: Option<String>) -> Result<Client, Failure> {
    let mut config = ClientConfig {
        timeout: Duration::from_millis(args.timeout),
        consistency: match args.consistency {
            Freshness::Linearizable => Consistency::Linearizable,
            Freshness::Stale => Consistency::Stale,
        },
        ..ClientConfig::default()
    };
    let given = match (&args.endpoints, variable) {
        (Some(text), _) => Some(("--endpoints", text.clone())),
        (None, text) => text.map(|text| ("RAFT_ENDPOINTS", text)),
    };
    if let Some((_, text)) = &given {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        config.endpoints = parts.map(str::to_owned).collect();
    }
    Client::new(config).map_err(|error| match given {
        Some((origin, _)) => Failure::usage(format!("{origin}: {error}")),
        None => Failure::from(error),
    })
}

async fn carry_out(client: &Client, command: ClientCommand, output: Output) -> Result<(), Failure> {
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
            print(&show::item(&key, item.as_ref(), output)?)?;
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
        ClientCommand::Demo => match output {
            Output::Text => demo::run(client).await,
            Output::Json => Err(Failure::usage("the demo is for people: it has no --output json")),
        },
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
fn print(result: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(result)?;
    Ok(stdout.flush()?)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let code = match &error {
            ClientError::InvalidInput(_) => USAGE,
            // What a node refuses because of the request itself; not that it has too much to do.
            ClientError::Problem { status, .. } if *status < 500 && *status != 429 => USAGE,
            _ => UNAVAILABLE,
        };
        Failure::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(endpoints: Option<&str>) -> ClientArgs {
        ClientArgs {
            endpoints: endpoints.map(str::to_owned),
            timeout: 1,
            output: Output::Text,
            consistency: Freshness::Stale,
            command: ClientCommand::Status,
        }
    }

    #[test]
    fn endpoints_flag_then_environment_then_the_documented_cluster() {
        let endpoints = |flag, variable: Option<&str>| -> Vec<String> {
            let client = client(&args(flag), variable.map(str::to_owned)).unwrap();
            client.endpoints().map(str::to_owned).collect()
        };
        assert_eq!(endpoints(Some("a:1, b:2,"), Some("c:3")), ["a:1", "b:2"]);
        assert_eq!(endpoints(None, Some("c:3")), ["c:3"]);
        assert_eq!(endpoints(None, None), ["127.0.0.1:12000", "127.0.0.1:12001", "127.0.0.1:12002"]);
    }

    #[test]
    fn bad_endpoints_are_refused_by_where_they_stand() {
        let refusal = |flag, variable: Option<&str>| {
            format!("{:?}", client(&args(flag), variable.map(str::to_owned)).unwrap_err())
        };
        assert!(refusal(Some("a"), None).contains("--endpoints: "));
        assert!(refusal(Some(","), None).contains("--endpoints: "));
        assert!(refusal(None, Some("a")).contains("RAFT_ENDPOINTS: "));
    }

    #[test]
    fn a_value_is_a_string_unless_json_is_asked_for() {
        assert_eq!(read_value("1.0".into(), false).unwrap(), Given::Json("\"1.0\"".into()));
        assert_eq!(read_value("1.0".into(), true).unwrap(), Given::Json("1.0".into()));
    }

    #[test]
    fn each_error_has_the_exit_code_of_the_contract() {
        let problem = |status| ClientError::Problem { code: String::new(), status, detail: "no".to_owned() };
        let no_leader = ClientError::NoLeader { detail: "no".to_owned() };
        for (error, code) in [
            (ClientError::InvalidInput("no".to_owned()), USAGE),
            (problem(413), USAGE),
            (problem(429), UNAVAILABLE),
            (problem(503), UNAVAILABLE),
            (no_leader, UNAVAILABLE),
        ] {
            assert_eq!(Failure::from(error.clone()), Failure::new(code, "no"), "{error:?}");
        }
    }
}
