//! `raft-server client demo`: the basic operations, through each node, with what came back.

use std::time::Duration;

use raft_node::client::{Client, ClientConfig, Consistency, Item};
use raft_node::value::string_to_json;

use super::call::print;
use super::show;
use crate::failure::{Failure, NO};

/// What the demo's keys begin with. They are deleted at its end.
const PREFIX: &str = "raft-demo/";

/// Values of every type, as JSON. The second and third differ in type alone.
const TYPES: [(&str, &str); 7] = [
    ("text", r#""Raft Cluster""#),
    ("number_as_text", r#""1.0""#),
    ("number", "1.0"),
    ("boolean", "true"),
    ("nothing", "null"),
    ("list", r#"[1,"two",3.5]"#),
    ("object", r#"{"name":"Raft","nodes":3}"#),
];

/// Runs the demo on whichever endpoints answer.
///
/// # Errors
/// When none does, a call fails, or an answer is not what was written.
pub(super) async fn run(client: &Client, timeout: Duration) -> Result<(), Failure> {
    let nodes = introduce(client, timeout).await?;
    let shown = show_all(client, &nodes).await;
    if shown.is_err() {
        // What went wrong is what matters; a next run deletes what this cannot.
        for key in client.keys(PREFIX).await.unwrap_or_default() {
            let _ = client.delete(&key).await;
        }
        return shown;
    }
    say("\nAll answers were as expected. The keys of the demo are deleted again.")
}

async fn show_all(client: &Client, nodes: &[Through]) -> Result<(), Failure> {
    types(client).await?;
    through_each(nodes).await?;
    freshness(client, nodes).await?;
    deletion(client).await
}

/// A node, asked alone.
struct Through {
    name: String,
    client: Client,
}

fn say(line: &str) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Shows who is there, and makes a client for each that is.
async fn introduce(client: &Client, timeout: Duration) -> Result<Vec<Through>, Failure> {
    say("1. The cluster\n")?;
    let views = client.status_of_all().await;
    print(show::table(&views).as_bytes())?;
    let mut nodes = Vec::new();
    let mut last_error = None;
    for view in views {
        match view.status {
            Ok(status) => {
                let config =
                    ClientConfig { endpoints: vec![view.endpoint], timeout, ..ClientConfig::default() };
                nodes.push(Through { name: status.node_id, client: Client::new(config)? });
            }
            Err(error) => last_error = Some(error),
        }
    }
    match last_error {
        Some(error) if nodes.is_empty() => Err(error.into()),
        _ => Ok(nodes),
    }
}

async fn types(client: &Client) -> Result<(), Failure> {
    say("\n2. A value keeps its type\n")?;
    for (name, json) in TYPES {
        let key = key(name);
        let revision = client.set(&key, json).await?.revision;
        expect(&key, client.get(&key).await?.as_ref(), Some(json))?;
        say(&format!("   set and got  {key:<26} {json}  (revision {revision})"))?;
    }
    let key = key("bytes");
    client.set_bytes(&key, vec![0u8, 1, 254, 255]).await?;
    let json = r#"{"$base64":"AAH+/w=="}"#;
    expect(&key, client.get(&key).await?.as_ref(), Some(json))?;
    say(&format!("   set and got  {key:<26} 4 bytes that are no text"))
}

async fn through_each(nodes: &[Through]) -> Result<(), Failure> {
    say("\n3. Any node takes any request\n")?;
    for writer in nodes {
        let key = key(&format!("from_{}", writer.name));
        let json = string_to_json(&format!("hello from {}", writer.name));
        writer.client.set(&key, &json).await?;
        let mut readers = Vec::new();
        for reader in nodes {
            expect(&key, reader.client.get(&key).await?.as_ref(), Some(&json))?;
            readers.push(reader.name.as_str());
        }
        say(&format!("   set through {}: {json}; got through {}", writer.name, readers.join(", ")))?;
    }
    Ok(())
}

async fn freshness(client: &Client, nodes: &[Through]) -> Result<(), Failure> {
    say("\n4. Reads are linearizable unless stale is asked for\n")?;
    let key = key("counter");
    for round in ["1", "2", "3"] {
        client.set(&key, round).await?;
        for node in nodes {
            let stale = node.client.with_consistency(Consistency::Stale).get(&key).await?;
            let fresh = node.client.get(&key).await?;
            expect(&key, fresh.as_ref(), Some(round))?;
            let stale = stale.map_or("nothing yet".to_owned(), |item| show::as_json(&item.value));
            say(&format!("   set {round}; {} says {round} linearizable, {stale} stale", node.name))?;
        }
    }
    Ok(())
}

async fn deletion(client: &Client) -> Result<(), Failure> {
    say("\n5. Delete\n")?;
    for key in client.keys(PREFIX).await? {
        client.delete(&key).await?;
        expect(&key, client.get(&key).await?.as_ref(), None)?;
        say(&format!("   deleted      {key:<26} and it is not found any more"))?;
    }
    Ok(())
}

/// Checks an answer, so that a demo that goes wrong does not look as if it went well.
fn expect(key: &str, got: Option<&Item>, want: Option<&str>) -> Result<(), Failure> {
    let got = got.map(|item| show::as_json(&item.value));
    if got.as_deref() == want {
        return Ok(());
    }
    let [got, want] = [got.as_deref(), want].map(|value| value.unwrap_or("nothing"));
    Err(Failure::new(NO, format!("{key} should be {want}, but is {got}")))
}
