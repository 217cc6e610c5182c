//! What the nodes say of their cluster.

use std::time::Duration;

use raft_node::client::{Client, ClientConfig, Status};
use tokio::time::sleep;

use super::plan::Member;

/// How often nodes are asked until they agree.
const POLL: Duration = Duration::from_millis(50);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// The leader that all know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// Who leads.
    pub(crate) leader: String,
    /// In which term.
    pub(crate) term: u64,
}

/// Waits until all of `members` know the same leader, and it is one of them.
pub(crate) async fn agreement(members: Vec<Member>) -> Agreement {
    let Some(client) = client(&members) else { return std::future::pending().await };
    loop {
        let views: Option<Vec<Status>> =
            client.status_of_all().await.into_iter().map(|view| view.status.ok()).collect();
        if let Some(agreement) = views.as_deref().and_then(agreed) {
            return agreement;
        }
        sleep(POLL).await;
    }
}

/// What stands in the way of a leader, in one sentence.
pub(crate) async fn why(members: &[Member]) -> String {
    match client(members) {
        None => "no node is left".to_owned(),
        Some(client) => match client.why().await {
            Ok(explanation) => explanation.summary,
            Err(error) => error.to_string(),
        },
    }
}

fn client(members: &[Member]) -> Option<Client> {
    let endpoints = members.iter().map(Member::address).collect();
    Client::new(ClientConfig { endpoints, timeout: ANSWER, ..ClientConfig::default() }).ok()
}

fn agreed(views: &[Status]) -> Option<Agreement> {
    // One that was killed this moment is still the leader to those who have not noticed.
    let leader = views.iter().find(|view| view.state == "leader")?;
    let follows =
        |view: &Status| view.term == leader.term && view.leader_id.as_ref() == Some(&leader.node_id);
    views.iter().all(follows).then(|| Agreement { leader: leader.node_id.clone(), term: leader.term })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(node_id: &str, state: &str, term: u64, leader: Option<&str>) -> Status {
        let (node_id, state) = (node_id.to_owned(), state.to_owned());
        Status { node_id, state, term, leader_id: leader.map(str::to_owned), ..Status::default() }
    }

    #[test]
    fn all_must_know_the_same_living_leader() {
        let (a, b) = (view("a", "leader", 2, Some("a")), view("b", "follower", 2, Some("a")));
        assert_eq!(agreed(&[b.clone(), a.clone()]), Some(Agreement { leader: "a".into(), term: 2 }));
        for other in [
            view("c", "follower", 1, Some("a")),
            view("c", "candidate", 2, None),
            view("c", "leader", 1, Some("c")),
        ] {
            assert_eq!(agreed(&[a.clone(), b.clone(), other.clone()]), None, "{other:?}");
        }
        assert_eq!(agreed(std::slice::from_ref(&b)), None, "the leader is not among them");
        assert_eq!(agreed(&[]), None);
    }
}
