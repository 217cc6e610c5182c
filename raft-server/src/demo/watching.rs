//! Waiting for what should come, and asking the servers how they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use raft_node::client::{Client, Consistency, ListOptions, Status};
use raft_node::value::{BytesAs, to_json};
use tokio::time::{sleep, timeout};

use super::nodes::Node;
use super::story::not_observed;
use crate::failure::Failure;

/// How long something may take that should happen soon. Machines are busy at times.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How often servers are asked.
const POLL: Duration = Duration::from_millis(5);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    /// Its number.
    pub(super) node: usize,
    /// In which term.
    pub(super) term: u64,
}

/// Repeats `attempt` until it gives something.
///
/// # Errors
/// When it has not for too long.
pub(super) async fn eventually<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> Result<T, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Ok(Some(found)) = timeout(PATIENCE, attempt()).await {
            return Ok(found);
        }
        if Instant::now() > end {
            return Err(not_observed(format!("{what}, in {} s", PATIENCE.as_secs())));
        }
        sleep(POLL).await;
    }
}

/// How a server sees itself, if it says.
pub(super) async fn status(node: &Node) -> Option<Status> {
    node.client.with_timeout(ANSWER).status_of(&node.address).await.ok()
}

/// Waits until all these servers, by number, know the same leader, and it is one of them.
pub(super) async fn agreement(nodes: &[Node], these: &[usize]) -> Result<Leader, Failure> {
    let names: Vec<&str> = these.iter().map(|n| nodes[*n].name.as_str()).collect();
    let what = format!("one leader that {} agree on", super::story::listed(&names));
    eventually(&what, async || {
        let mut views = Vec::new();
        for n in these {
            views.push((*n, status(&nodes[*n]).await?));
        }
        agreed(&views)
    })
    .await
}

fn agreed(views: &[(usize, Status)]) -> Option<Leader> {
    let (node, leader) = views.iter().find(|(_, view)| view.state == "leader")?;
    let follows =
        |view: &Status| view.term == leader.term && view.leader_id.as_ref() == Some(&leader.node_id);
    views.iter().all(|(_, view)| follows(view)).then_some(Leader { node: *node, term: leader.term })
}

/// Waits until a server is a follower of a living leader and has applied all that was committed when asked,
/// and gives the leader.
pub(super) async fn caught_up(nodes: &[Node], node: usize) -> Result<Leader, Failure> {
    let all: Vec<usize> = (0..nodes.len()).collect();
    let leader = agreement(nodes, &all).await?;
    let name = &nodes[node].name;
    let what = format!("the log of {name} catches up with that of the leader");
    let committed = eventually(&what, async || Some(status(&nodes[leader.node]).await?.commit_index)).await?;
    eventually(&what, async || {
        let view = status(&nodes[node]).await?;
        (view.state == "follower" && view.last_applied >= committed).then_some(leader)
    })
    .await
}

/// The store as one server has or gives it: key → JSON.
///
/// # Errors
/// When it does not answer.
pub(super) async fn store(
    client: &Client,
    freshness: Consistency,
    prefix: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let client = client.with_consistency(freshness);
    let mut options = ListOptions { prefix: prefix.to_owned(), ..ListOptions::default() };
    let mut found = BTreeMap::new();
    loop {
        let page = client.list(&options).await?;
        options.after = page.entries.last().map(|(key, _)| key.clone());
        found.extend(page.entries.into_iter().map(|(key, value)| {
            (key, value.map(|value| to_json(&value, BytesAs::Base64)).unwrap_or_default())
        }));
        if !page.more {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(node_id: &str, state: &str, term: u64, leader: &str) -> Status {
        let [node_id, state] = [node_id, state].map(str::to_owned);
        Status { node_id, state, term, leader_id: Some(leader.to_owned()), ..Status::default() }
    }

    #[test]
    fn all_must_know_the_same_leader_of_the_same_term() {
        let (a, b) = ((0, view("a", "leader", 2, "a")), (1, view("b", "follower", 2, "a")));
        assert_eq!(agreed(&[a.clone(), b.clone()]), Some(Leader { node: 0, term: 2 }));
        assert_eq!(agreed(std::slice::from_ref(&b)), None);
        for other in
            [view("c", "follower", 3, "a"), view("c", "follower", 2, "b"), view("c", "leader", 1, "c")]
        {
            assert_eq!(agreed(&[a.clone(), b.clone(), (2, other)]), None);
        }
    }
}
