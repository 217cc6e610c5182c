//! Whom to ask how they are, and asking them.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;

use super::frame::{Reach, View};
use crate::client::{ClientError, Probe, Status, Unanswered};
use crate::node::{MemberStatus, Members, Node};

/// How often each member is asked.
pub(crate) const EVERY: Duration = Duration::from_millis(150);
/// How long a member may take to answer. One that takes longer delays no other.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often a leader is asked what is in the way although it leads.
const LOOK_CLOSER: Duration = Duration::from_secs(1);

/// A member to be asked.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name, where that is known before it is asked.
    pub(crate) node_id: Option<String>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// The node that serves this, asked without a detour.
    Own {
        node: Node,
        address: String,
    },
    Other(Probe),
}

/// Those who are asked, and for whom.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// The node that asks; none where it is not a node.
    pub(crate) served_by: Option<String>,
    pub(crate) all: Vec<Target>,
}

/// Where it is known from who is to be asked.
#[derive(Debug)]
pub(crate) enum Source {
    /// A node: the members of its cluster, as they are at the time.
    Node(Node),
    /// The nodes at these addresses, whoever they are, and whoever they say belongs to their cluster.
    Addresses(Vec<String>),
}

/// A member of which the others told.
pub(crate) type Told = (String, String);

impl Source {
    /// Those who are to be asked now. `told` are members that were not given and became known.
    pub(crate) fn targets(&self, told: &[Told]) -> Targets {
        match self {
            Source::Node(node) => of_node(node),
            Source::Addresses(addresses) => {
                // They were read once already.
                let mut targets = of_addresses(addresses).unwrap_or_default();
                let target = |(id, address): &Told| {
                    Some(Target { node_id: Some(id.clone()), way: Way::Other(Probe::new(address).ok()?) })
                };
                targets.all.extend(told.iter().filter_map(target));
                targets
            }
        }
    }

    /// The members of the cluster that are none of the nodes that were given; none where nobody says who the
    /// members are, or a node's own list says it.
    pub(crate) fn told(&self, views: &[View]) -> Option<Vec<Told>> {
        let Source::Addresses(addresses) = self else { return None };
        let given = &views[..addresses.len().min(views.len())];
        let up = views.iter().filter(|view| view.reach == Reach::Up).filter_map(|view| view.status.as_ref());
        let latest = up.max_by_key(|status| (status.state == "leader", status.term))?;
        let is_given = |id: &str, address: &str| {
            given.iter().any(|view| view.node_id.as_deref() == Some(id) || view.address == address)
        };
        let others = latest.members.iter().filter(|member| !is_given(&member.node_id, &member.address));
        Some(others.map(|member| (member.node_id.clone(), member.address.clone())).collect())
    }

    /// The members, to see when they are others.
    pub(crate) fn members(&self) -> Option<Receiver<Members>> {
        match self {
            Source::Node(node) => Some(node.members_seen()),
            Source::Addresses(_) => None,
        }
    }
}

/// All members of a node's cluster.
fn of_node(node: &Node) -> Targets {
    let config = node.config();
    let target = |member: MemberStatus| {
        let way = if member.node_id == config.node_id {
            Way::Own { node: node.clone(), address: member.address }
        } else {
            // One whose address cannot be read cannot be asked.
            Way::Other(Probe::new(&member.address).ok()?)
        };
        Some(Target { node_id: Some(member.node_id.to_string()), way })
    };
    let all = node.members().members.into_iter().filter_map(target).collect();
    Targets { served_by: Some(config.node_id.to_string()), all }
}

/// The nodes at these addresses, whoever they are.
///
/// # Errors
/// `InvalidInput` where an address cannot be read.
pub(crate) fn of_addresses(addresses: &[String]) -> Result<Targets, ClientError> {
    let target = |address: &String| Ok(Target { node_id: None, way: Way::Other(Probe::new(address)?) });
    Ok(Targets { served_by: None, all: addresses.iter().map(target).collect::<Result<_, ClientError>>()? })
}

impl Target {
    /// What is known of it before it is asked.
    pub(crate) fn seen_before(&self, views: &[View]) -> View {
        let address = match &self.way {
            Way::Own { address, .. } => address,
            Way::Other(probe) => probe.address(),
        };
        let known = views.iter().find(|view| view.address == *address);
        known.cloned().unwrap_or_else(|| View::new(self.node_id.clone(), address))
    }

    /// Asks it once, and brings what is known of it up to date.
    pub(crate) async fn look(&self, before: View, closer: &mut Instant) -> View {
        let status: Status = match self.ask("/api/status").await {
            Ok(status) => status,
            Err(Unanswered { timed_out, error }) => {
                let reach = if timed_out { Reach::Silent } else { Reach::Down };
                return View { reach, error: Some(error), ..before };
            }
        };
        let now = Instant::now();
        let why = match closer_look(&status, before.status.as_ref(), now >= *closer) {
            CloserLook::Now => {
                *closer = now + LOOK_CLOSER;
                self.ask("/api/why").await.ok()
            }
            CloserLook::AsBefore => before.why,
            CloserLook::None => None,
        };
        View {
            node_id: Some(status.node_id.clone()),
            address: before.address,
            reach: Reach::Up,
            error: None,
            status: Some(status),
            why,
            heard: Some(now),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, target: &str) -> Result<T, Unanswered> {
        match &self.way {
            Way::Other(probe) => probe.ask(target, PATIENCE).await,
            Way::Own { node, .. } => {
                let asked = async {
                    match target {
                        "/api/why" => as_others_read_it(&node.explain().await),
                        _ => as_others_read_it(&node.status().await),
                    }
                };
                let late = |_| Unanswered { timed_out: true, error: "no answer in time".to_owned() };
                tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
            }
        }
    }
}

/// What is to be known of what is in a member's way.
#[derive(Debug, PartialEq, Eq)]
enum CloserLook {
    /// It is asked.
    Now,
    /// What it said last still holds.
    AsBefore,
    /// Nothing: its leader knows.
    None,
}

/// Whether a member is asked what is in the way; `due` where a leader was not asked for a while.
fn closer_look(status: &Status, before: Option<&Status>, due: bool) -> CloserLook {
    if status.leader_id.is_none() || status.failed.is_some() {
        return CloserLook::Now;
    }
    if status.state != "leader" {
        return CloserLook::None;
    }
    // What it said before it led was about its way there.
    let led = before.is_some_and(|before| before.state == "leader" && before.term == status.term);
    if led && !due { CloserLook::AsBefore } else { CloserLook::Now }
}

/// The same report, read back the way any other member's is.
fn as_others_read_it<T: DeserializeOwned>(report: &impl Serialize) -> Result<T, Unanswered> {
    let unreadable = |error: serde_json::Error| Unanswered { timed_out: false, error: error.to_string() };
    serde_json::to_vec(report).and_then(|text| serde_json::from_slice(&text)).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Member;

    fn status(state: &str, leader: Option<&str>, term: u64) -> Status {
        Status { state: state.into(), leader_id: leader.map(Into::into), term, ..Status::default() }
    }

    #[test]
    fn whoever_belongs_to_the_cluster_is_asked_too() {
        let source = Source::Addresses(vec!["localhost:1".into(), "h:2".into()]);
        let mut views = [View::new(None, "localhost:1"), View::new(None, "h:2")];
        assert_eq!(source.told(&views), None, "nobody has said anything");
        let member = |id: &str, address: &str| Member {
            node_id: id.into(),
            address: address.into(),
            ..Member::default()
        };
        let members = vec![member("a", "127.0.0.1:1"), member("b", "h:2"), member("c", "h:3")];
        views[0].reach = Reach::Up;
        views[0].node_id = Some("a".into());
        views[0].status = Some(Status { members, ..status("follower", None, 2) });
        let told = source.told(&views).expect("it says who the members are");
        assert_eq!(told, [("c".to_owned(), "h:3".to_owned())]);
        let targets = source.targets(&told);
        let addresses: Vec<String> =
            targets.all.iter().map(|target| target.seen_before(&views).address).collect();
        assert_eq!(addresses, ["localhost:1", "h:2", "h:3"]);
        // Whoever leads knows best; of those who do not, whoever is in the latest term.
        views[1].reach = Reach::Up;
        views[1].status = Some(Status { members: vec![member("b", "h:2")], ..status("leader", None, 1) });
        assert_eq!(source.told(&views), Some(vec![]));
    }

    #[test]
    fn what_kept_a_candidate_from_leading_is_not_said_of_the_leader_it_became() {
        let leader = status("leader", Some("a"), 2);
        let candidate = status("candidate", None, 2);
        let follower = status("follower", Some("b"), 2);
        for (now, before, due, expected) in [
            (&candidate, None, false, CloserLook::Now),
            (&follower, Some(&leader), true, CloserLook::None),
            (&leader, Some(&leader), true, CloserLook::Now),
            (&leader, Some(&leader), false, CloserLook::AsBefore),
            (&leader, Some(&candidate), false, CloserLook::Now),
            (&leader, Some(&follower), false, CloserLook::Now),
            (&leader, Some(&status("leader", Some("a"), 1)), false, CloserLook::Now),
            (&leader, None, false, CloserLook::Now),
        ] {
            assert_eq!(closer_look(now, before, due), expected, "{} from {before:?}", now.state);
        }
    }
}
