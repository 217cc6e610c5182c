//! `raft-server demo consistency`.

use std::time::{Duration, Instant};

use raft_node::client::{Consistency, Status};
use serde_json::json;

use super::ask::{self, Answer};
use super::nodes::{Node, Nodes};
use super::relay::Relays;
use super::story::{Story, listed, ms, not_observed, spread};
use super::watching::{Leader, agreement, eventually, status, store};
use super::writers::{Ledger, Writers};
use crate::failure::Failure;

/// Writes through each server, each read through all.
const WRITES: u64 = 20;
/// The key that the old leader and the new one disagree about.
const KEY: &str = "balance";
/// Keys that only the old leader is asked to set.
const UNACKNOWLEDGED: [&str; 3] = ["cut-off/1", "cut-off/2", "cut-off/3"];

/// Cuts the leader off, and heals the network.
///
/// # Errors
/// When something was not as it should be.
pub(super) async fn run(nodes: &mut Nodes, relays: &Relays, story: &Story) -> Result<(), Failure> {
    nodes.start_all()?;
    let leader = agreement(&nodes.all, &[0, 1, 2]).await?;
    story
        .line(&format!("3 servers, each a process of its own, with their logs in {}.", nodes.directory()))?;
    story.line("They reach each other through relays in this process, which can play a broken network.")?;
    let name = &nodes.all[leader.node].name;
    story.line(&format!("{name} is the leader of term {}; the others are its followers.", leader.term))?;
    linearizable(&nodes.all, story).await?;
    let cut = cut_off(&nodes.all, relays, story).await?;
    healed(&nodes.all, relays, story, &cut).await
}

/// What is written through one server is read through every other at once.
async fn linearizable(nodes: &[Node], story: &Story) -> Result<(), Failure> {
    story.title("1. Reads are linearizable: what was acknowledged is seen through every server, at once")?;
    for writer in nodes {
        let (mut sets, mut gets) = (Vec::new(), Vec::new());
        for value in 0..WRITES {
            let (key, json) = (format!("through/{}", writer.name), value.to_string());
            let began = Instant::now();
            writer.client.set(&key, &json).await?;
            sets.push(began.elapsed());
            for reader in nodes {
                let began = Instant::now();
                let item = reader.client.get(&key).await?;
                gets.push(began.elapsed());
                let read = item.map(|item| raft_node::value::to_json(&item.value, Default::default()));
                if read.as_ref() != Some(&json) {
                    let read = read.unwrap_or_else(|| "nothing".to_owned());
                    let (key, reader) = (&key, &reader.name);
                    return Err(not_observed(format!(
                        "{key} = {json} read through {reader}: it gave {read}"
                    )));
                }
            }
        }
        story.line(&format!("   set through {}: {WRITES} times, {}", writer.name, spread(&sets)))?;
        story.line(&format!("   read through each: all {} current, {}", gets.len(), spread(&gets)))?;
    }
    Ok(())
}

/// What is known when the cut ends.
struct Cut {
    old: Leader,
    /// How the old leader saw itself last.
    view: Status,
    /// What was written through the others.
    ledger: Ledger,
}

async fn cut_off(nodes: &[Node], relays: &Relays, story: &Story) -> Result<Cut, Failure> {
    nodes[0].client.set(KEY, "100").await?;
    let old = agreement(nodes, &[0, 1, 2]).await?;
    let majority: Vec<usize> = (0..nodes.len()).filter(|n| *n != old.node).collect();
    let (lone, first, second) = (&nodes[old.node], &nodes[majority[0]], &nodes[majority[1]]);
    let others = listed(&[&first.name, &second.name]);
    story.title(&format!("2. The leader, {}, is cut off from {others}", lone.name))?;
    story.line(&format!(
        "   {KEY} is 100. Nothing passes any more between {} and the others, though",
        lone.name
    ))?;
    story.line("   connections stay open. Its process lives, and clients still reach it:\n")?;

    let began = Instant::now();
    relays.cut_off(old.node);
    let asked = tokio::join!(
        ask::set(lone, KEY, 200),
        ask::set(lone, UNACKNOWLEDGED[0], 1),
        ask::set(lone, UNACKNOWLEDGED[1], 2),
        ask::set(lone, UNACKNOWLEDGED[2], 3),
        ask::get(lone, KEY, "linearizable"),
        ask::get(lone, KEY, "stale"),
        first_write(nodes, &majority, began),
    );
    let (set, other, another, third, get, stale, gap) = asked;
    let unacknowledged = [refused(set)?, refused(other)?, refused(another)?, refused(third)?];
    answered(story, &format!("set {KEY} = 200"), &unacknowledged[0])?;
    answered(story, &format!("get {KEY}"), &refused(get)?)?;
    stale_is(story, stale, 100)?;
    let (gap, ledger) = gap?;

    let new = agreement(nodes, &majority).await?;
    if new.term <= old.term {
        return Err(not_observed(format!("a term after {}: {}", old.term, new.term)));
    }
    story.line(&format!(
        "\n   {others} are a majority. They elected {} leader of term {}. Their first write was\n   \
         acknowledged {} after the cut; {} were in all.\n",
        nodes[new.node].name,
        new.term,
        ms(gap),
        ledger.acknowledged.len()
    ))?;
    majority_goes_on(story, lone, first, second).await?;
    let view = leftover(nodes, old).await?;
    story.line(&format!(
        "\n   In {}'s log {} entries of term {} wait, to no avail: it has no majority for them.",
        lone.name,
        view.last_log_index - view.commit_index,
        view.last_log_term
    ))?;
    Ok(Cut { old, view, ledger })
}

/// Writes through the majority, and how long after the cut the first of them was acknowledged.
async fn first_write(
    nodes: &[Node],
    majority: &[usize],
    began: Instant,
) -> Result<(Duration, Ledger), Failure> {
    let mut writers = Writers::start(majority.iter().map(|n| &nodes[*n]));
    let first = writers.first_after(began).await?;
    Ok((first - began, writers.finish().await))
}

/// The majority has the new value, the old leader the old one, which it gives only when it may be old.
async fn majority_goes_on(story: &Story, lone: &Node, first: &Node, second: &Node) -> Result<(), Failure> {
    let answer = ask::set(first, KEY, 300).await.map_err(not_observed)?;
    if answer.status != 200 {
        return Err(not_observed(format!("{KEY} set through {}: {}", first.name, answer.brief())));
    }
    story.line(&format!("   set {KEY} = 300 through {}: {}", first.name, answer.brief()))?;
    for node in [first, second] {
        let answer = ask::get(node, KEY, "linearizable").await.map_err(not_observed)?;
        if answer.body["value"] != json!(300) {
            return Err(not_observed(format!("{KEY} = 300 read through {}: {}", node.name, answer.body)));
        }
        story.line(&format!("   get {KEY} through {}: 300", node.name))?;
    }
    story.line(&format!("\n   {}, still cut off, meanwhile:\n", lone.name))?;
    let get = ask::get(lone, KEY, "linearizable").await;
    answered(story, &format!("get {KEY}"), &refused(get)?)?;
    stale_is(story, ask::get(lone, KEY, "stale").await, 100)
}

/// What the old leader was refused: it must be one of the two statuses that acknowledge nothing.
fn refused(answer: Result<Answer, String>) -> Result<Answer, Failure> {
    let answer = answer.map_err(not_observed)?;
    match answer.is_refusal() {
        true => Ok(answer),
        false => {
            let said = format!("{} {}", answer.status, answer.body);
            Err(not_observed(format!("503 or 504 from the server that is cut off: it answered {said}")))
        }
    }
}

fn answered(story: &Story, what: &str, answer: &Answer) -> Result<(), Failure> {
    story.line(&format!("   {what:<31} {}", answer.brief()))?;
    for line in wrapped(answer.detail(), 60) {
        story.line(&format!("   {:<31} > {line}", ""))?;
    }
    Ok(())
}

fn stale_is(story: &Story, answer: Result<Answer, String>, value: u64) -> Result<(), Failure> {
    let answer = answer.map_err(not_observed)?;
    if answer.status != 200 || answer.body["value"] != json!(value) {
        return Err(not_observed(format!("a stale read of {value}: {} {}", answer.status, answer.body)));
    }
    let what = format!("get {KEY}?consistency=stale");
    story.line(&format!("   {what:<31} 200: {value}, which may be old: stale was asked for"))
}

/// How the old leader sees itself: it has entries that are not committed.
async fn leftover(nodes: &[Node], old: Leader) -> Result<Status, Failure> {
    let what = format!("entries of term {} that {} cannot commit", old.term, nodes[old.node].name);
    eventually(&what, async || {
        let view = status(&nodes[old.node]).await?;
        (view.last_log_term == old.term && view.last_log_index > view.commit_index).then_some(view)
    })
    .await
}

async fn healed(nodes: &[Node], relays: &Relays, story: &Story, cut: &Cut) -> Result<(), Failure> {
    let lone = &nodes[cut.old.node];
    story.title("3. The network is healed")?;
    let began = Instant::now();
    relays.heal();
    let leader = agreement(nodes, &[0, 1, 2]).await?;
    let follows = began.elapsed();
    if leader.node == cut.old.node {
        return Err(not_observed(format!("{} follows: it leads again, in term {}", lone.name, leader.term)));
    }
    story.line(&format!(
        "   {} sees term {}, which is higher than its own: it follows {}, {} later (paper §5.1).",
        lone.name,
        leader.term,
        nodes[leader.node].name,
        ms(follows)
    ))?;
    let revived = nodes[0].client.set("after/healing", "true").await?.revision.0;
    let what = "the same log and store on all three servers";
    eventually(what, async || {
        let mut ends = Vec::new();
        for node in nodes {
            let view = status(node).await?;
            ends.push((view.last_log_index, view.last_log_term, view.last_applied));
        }
        let same = ends.iter().all(|end| *end == ends[0] && end.0 == end.2 && end.0 >= revived);
        same.then_some(())
    })
    .await?;
    story.line(&format!(
        "   Its log agrees with the leader's again, {} after the healing: the {} entries of term {} that\n   \
         it could not commit are replaced (paper §5.3). They were never acknowledged.",
        ms(began.elapsed()),
        cut.view.last_log_index - cut.view.commit_index,
        cut.old.term
    ))?;
    compare(nodes, story, &cut.ledger).await
}

/// Compares the stores key by key, through each server.
async fn compare(nodes: &[Node], story: &Story, ledger: &Ledger) -> Result<(), Failure> {
    let first = store(&nodes[0].client, Consistency::Stale, "").await?;
    for node in nodes {
        // Stale: what this very server has.
        let own = store(&node.client, Consistency::Stale, "").await?;
        let differs = own.iter().find(|(key, value)| first.get(*key) != Some(*value)).map(|(key, _)| key);
        if let Some(key) = differs.or_else(|| first.keys().find(|key| !own.contains_key(*key))) {
            return Err(not_observed(format!("the same {key} on {} and {}", nodes[0].name, node.name)));
        }
        if let Some(key) = ledger.acknowledged.iter().find(|key| !own.contains_key(*key)) {
            return Err(not_observed(format!("the acknowledged write of {key} on {}", node.name)));
        }
        if let Some(key) = UNACKNOWLEDGED.iter().find(|key| own.contains_key(**key)) {
            return Err(not_observed(format!("{key}, which no majority had, gone from {}", node.name)));
        }
        if own.get(KEY).map(String::as_str) != Some("300") {
            return Err(not_observed(format!("{KEY} = 300 on {}: {:?}", node.name, own.get(KEY))));
        }
        story.line(&format!("   {} holds {} keys; {KEY} is 300", node.name, own.len()))?;
    }
    story.line("   Key by key, all three stores are the same.")
}

/// Breaks a text between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("seventeen", 3), ["seventeen"]);
        assert_eq!(wrapped("", 3), [""; 0]);
    }

    #[test]
    fn only_the_two_statuses_acknowledge_nothing() {
        let answer = |status| Ok(Answer { status, body: json!({ "code": "x" }) });
        assert_eq!(refused(answer(503)).unwrap().brief(), "503 x");
        assert!(refused(answer(504)).is_ok());
        for status in [200, 400, 429, 500] {
            assert!(refused(answer(status)).is_err(), "{status}");
        }
        assert!(refused(Err("gone".to_owned())).is_err());
    }
}
