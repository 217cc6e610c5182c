//! `raft-server demo failover`.

use std::time::{Duration, Instant};

use raft_node::client::Consistency;

use super::nodes::Nodes;
use super::story::{Story, listed, ms, not_observed, spread};
use super::watching::{Leader, agreement, caught_up, store};
use super::writers::{EVERY, Ledger, PREFIX, Writers};
use crate::failure::Failure;

/// How the leader is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Pause,
}

/// What was seen of one failure.
struct Round {
    before: Leader,
    /// From the fault to the next acknowledged write.
    gap: Duration,
    after: Leader,
    /// From its return until the former leader follows with its log caught up.
    back: Duration,
}

/// Makes the leader fail again and again while clients write.
///
/// # Errors
/// When something was not as it should be.
pub(super) async fn run(nodes: &mut Nodes, story: &Story, rounds: usize) -> Result<(), Failure> {
    introduce(nodes, story).await?;
    let began = Instant::now();
    let mut writers = Writers::start(&nodes.all);
    writers.first_after(began).await?;

    story.title("1. The leader is killed (kill -9), and started again")?;
    story.line(
        "   Its kernel closes its connections: the followers know at once, and need not wait for a timeout.\n",
    )?;
    faults(nodes, story, &mut writers, Fault::Kill, rounds).await?;

    story.title("2. The leader is paused (SIGSTOP), and goes on (SIGCONT)")?;
    story.line(
        "   Its connections stay open. Only heartbeats are missing, so an election timeout has to pass.\n",
    )?;
    faults(nodes, story, &mut writers, Fault::Pause, rounds).await?;

    story.title("3. Nothing that was acknowledged is lost")?;
    let ledger = writers.finish().await;
    read_back(nodes, story, &ledger, began.elapsed()).await
}

async fn introduce(nodes: &mut Nodes, story: &Story) -> Result<(), Failure> {
    let began = Instant::now();
    nodes.start_all()?;
    let count = nodes.all.len();
    let all: Vec<usize> = (0..count).collect();
    let leader = agreement(&nodes.all, &all).await?;
    story.line(&format!(
        "{count} servers, each a process of its own, with their logs in {}:\n",
        nodes.directory()
    ))?;
    for node in &nodes.all {
        let pid = node.pid().unwrap_or_default();
        story.line(&format!("   {}  {}  pid {pid}", node.name, node.address))?;
    }
    let name = &nodes.all[leader.node].name;
    story.line(&format!(
        "\n{name} was elected leader of term {}, {} after they were started; the others follow it.",
        leader.term,
        ms(began.elapsed())
    ))?;
    story.line("Election timeouts are 150 to 300 ms, drawn at random; heartbeats go out every 50 ms.")?;
    story.line(&format!(
        "From now on a client at each server begins to set a new key every {} ms.",
        EVERY.as_millis()
    ))
}

/// Does it again and again, and prints a table.
async fn faults(
    nodes: &mut Nodes,
    story: &Story,
    writers: &mut Writers,
    fault: Fault,
    rounds: usize,
) -> Result<(), Failure> {
    let (did, back) = match fault {
        Fault::Kill => ("killed", "started again: caught up after"),
        Fault::Pause => ("paused", "goes on: caught up after"),
    };
    story.line(&format!("   {did:<18} no write for   elected            {back}"))?;
    let mut gaps = Vec::new();
    for _ in 0..rounds {
        let round = fail_once(nodes, writers, fault).await?;
        let leader = |of: Leader| format!("{}, term {}", nodes.all[of.node].name, of.term);
        story.line(&format!(
            "   {:<18} {:>12}   {:<18} {:>width$}",
            leader(round.before),
            ms(round.gap),
            leader(round.after),
            ms(round.back),
            width = back.len()
        ))?;
        gaps.push(round.gap);
    }
    story.line(&format!("\n   No write for: {}.", spread(&gaps)))
}

async fn fail_once(nodes: &mut Nodes, writers: &mut Writers, fault: Fault) -> Result<Round, Failure> {
    let all: Vec<usize> = (0..nodes.all.len()).collect();
    let before = agreement(&nodes.all, &all).await?;
    let survivors: Vec<usize> = all.into_iter().filter(|n| *n != before.node).collect();
    let hit = Instant::now();
    match fault {
        Fault::Kill => nodes.kill(before.node).await?,
        Fault::Pause => nodes.pause(before.node).await?,
    }
    // A write that began earlier may have been acknowledged by the leader's last breath.
    let next = writers.first_after(Instant::now()).await?;
    let after = agreement(&nodes.all, &survivors).await?;
    if after.term <= before.term {
        let name = &nodes.all[before.node].name;
        return Err(not_observed(format!(
            "a new term: {} was followed by {} in {name}'s absence",
            before.term, after.term
        )));
    }
    let returned = Instant::now();
    match fault {
        Fault::Kill => nodes.start(before.node)?,
        Fault::Pause => nodes.resume(before.node)?,
    }
    let now = caught_up(&nodes.all, before.node).await?;
    if now.node == before.node {
        return Err(not_observed(format!(
            "{} follows the leader that was elected",
            nodes.all[now.node].name
        )));
    }
    Ok(Round { before, gap: next - hit, after, back: returned.elapsed() })
}

/// Reads through each server whatever was acknowledged.
async fn read_back(nodes: &Nodes, story: &Story, ledger: &Ledger, took: Duration) -> Result<(), Failure> {
    let count = ledger.acknowledged.len();
    story.line(&format!(
        "   {count} writes were acknowledged in {:.1} s, {} failed, and {} may or may not have happened.\n",
        took.as_secs_f64(),
        ledger.refused,
        ledger.unknown
    ))?;
    for node in &nodes.all {
        let found = store(&node.client, Consistency::Linearizable, PREFIX).await?;
        let value = |key: &String| key.rsplit('/').next().unwrap_or_default().to_owned();
        let missing: Vec<&str> = ledger
            .acknowledged
            .iter()
            .filter(|key| found.get(*key) != Some(&value(key)))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let some = listed(&missing[..missing.len().min(3)]);
            return Err(not_observed(format!(
                "{} acknowledged writes, {some} among them, when they were read through {}",
                missing.len(),
                node.name
            )));
        }
        story.line(&format!("   read through {}: all {count} are there", node.name))?;
    }
    Ok(())
}
