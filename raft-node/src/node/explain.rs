//! Why there is no leader, or what else is amiss, and what would help.

use raft_core::consensus::{Consensus, Refusal, Removed, Standing};
use raft_core::message::{Unwelcome, VoteRefusal};
use raft_core::replica::{DiskHealth, Replica, Role};
use raft_core::types::{LogIndex, NodeId, Time};

use super::{Explanation, Reason, members};
use crate::config::Config;
use crate::error::RequestError;
use crate::transport::LinkStates;

/// What the operator of a wiped member can do.
pub(super) const WIPED_ADVICE: &str = "It must not vote: it could vote twice and undo what was acknowledged. \
    Nothing needs to be done while a majority of the voters runs besides it: the leader makes a learner of \
    it, and it votes again once it has caught up. Where there is no such majority, put its original data \
    directory back";

/// What the operator of a node can do whose state is not the others'.
pub(super) const DIVERGED_ADVICE: &str = "Start this node again: it rebuilds its state from its log, and \
    nothing acknowledged is lost. If the same happens to it again, suspect its memory or disk, and leave it \
    stopped. If it happens while only half of the members run, the other half may be the wrong one: start \
    the missing members, and the majority decides. If memory and disk are sound, it is a fault of the \
    software: report it with this message";

/// What the operator of a node can do whose disk hangs.
pub(super) const HUNG_ADVICE: &str = "Nothing acknowledged is lost, and it goes on by itself once the disk \
    answers. If that does not happen, look for the cause (the kernel's log, a full or throttled volume, a \
    storage network that is down), or stop this machine: the others go on without it";

/// What the operator of a node can do that cannot write its snapshots.
pub(super) const SNAPSHOT_ADVICE: &str = "The node goes on and keeps its log, which grows; it tries again by \
    itself. Make room on its disk, or look for what ails it in the kernel's log";

/// A follower this many entries behind is worth a word.
const LAGGING: u64 = 10_000;

pub(super) fn of(config: &Config, replica: &Replica, states: &LinkStates, now: Time) -> Explanation {
    let consensus = replica.consensus();
    let mut reasons = Vec::new();
    reasons.extend(replica.failed().map(|reason| match replica.diverged() {
        Some(_) => diverged(&config.node_id, reason),
        None => failed(&config.node_id, reason),
    }));
    reasons.extend(hung_disk(&config.node_id, replica.disk_health(), now));
    reasons.extend(full_disk(&config.node_id, replica.disk_health()));
    reasons.extend(no_snapshot(&config.node_id, replica));
    reasons.extend(standing(config, replica));
    reasons.extend(removed(config, replica));
    reasons.extend(waiting(config, consensus));
    for peer in others(consensus) {
        reasons.extend(unreachable(config, consensus, peer, states));
        reasons
            .extend(consensus.admission().refusals().get(peer).and_then(|refusal| unwelcome(peer, refusal)));
    }
    match consensus.leadership() {
        Some(_) => {
            let differing = replica.differing_peers();
            reasons.extend(differing.into_iter().map(|(peer, index)| peer_diverged(peer, index)));
            reasons.extend(lagging(replica, now));
        }
        None if consensus.leader().is_none() => {
            reasons.extend(consensus.vote_refusals().iter().map(|(peer, refusal)| refused(peer, refusal)));
            reasons.extend(others(consensus).filter_map(|peer| silent(peer, replica, states)));
        }
        None => {}
    }
    let ok = replica.failed().is_none() && consensus.leader().is_some();
    let summary = match (consensus.leader(), reasons.first()) {
        (Some(leader), None) => format!("{} is well: {leader} leads", config.node_id),
        (Some(leader), Some(first)) => format!("{leader} leads, but {}", lower(&first.detail)),
        (None, Some(first)) => format!("{} has no leader: {}", config.node_id, lower(&first.detail)),
        (None, None) => format!("{} has no leader: an election is under way", config.node_id),
    };
    Explanation { ok, summary, reasons }
}

/// Of a node whose thread has ended.
pub(super) fn of_stopped(node_id: &NodeId, reason: &RequestError) -> Explanation {
    let reason = failed(node_id, &reason.to_string());
    Explanation { ok: false, summary: reason.detail.clone(), reasons: vec![reason] }
}

fn others(consensus: &Consensus) -> impl Iterator<Item = &NodeId> {
    consensus.configuration().members().map(|(id, _)| id).filter(|id| *id != consensus.id())
}

/// A node that was started with --join, before the cluster has taken it in.
fn waiting(config: &Config, consensus: &Consensus) -> Option<Reason> {
    consensus.is_waiting_to_be_added().then(|| Reason {
        code: "not_added",
        detail: format!(
            "This node waits to be added to the cluster of {}, and asks for it by itself",
            config.join.join(", ")
        ),
        node_id: Some(config.node_id.clone()),
        advice: "Check that one of these addresses is a member's, and that its cluster has a leader; the \
            log says why it was not taken in."
            .to_owned(),
    })
}

/// The first letter in lower case, unless it begins a name.
fn lower(text: &str) -> String {
    text.strip_prefix("This").map_or_else(|| text.to_owned(), |rest| format!("this{rest}"))
}

fn failed(node_id: &NodeId, reason: &str) -> Reason {
    Reason {
        code: "failed",
        detail: format!("This node has stopped working: {reason}"),
        node_id: Some(node_id.clone()),
        advice: "Remove the cause, then start the node again: nothing acknowledged is lost.".to_owned(),
    }
}

fn full_disk(node_id: &NodeId, health: &DiskHealth) -> Option<Reason> {
    let reason = health.full.as_ref()?;
    Some(Reason {
        code: "disk_full",
        detail: format!(
            "This node's disk is full: it does not lead if another node can, and takes no writes if none \
             can. {reason}"
        ),
        node_id: Some(node_id.clone()),
        advice: "Make room on this disk: the node finds it by itself within a second.".to_owned(),
    })
}

fn hung_disk(node_id: &NodeId, health: &DiskHealth, now: Time) -> Option<Reason> {
    let waited = now.since(health.hung_since?).as_millis();
    Some(Reason {
        code: "disk_hung",
        detail: format!(
            "This node's disk has not answered for {waited} ms: until it does, the node does not lead, stand \
             for election or vote"
        ),
        node_id: Some(node_id.clone()),
        advice: format!("{HUNG_ADVICE}."),
    })
}

fn no_snapshot(node_id: &NodeId, replica: &Replica) -> Option<Reason> {
    let problem = replica.snapshots().problem?;
    Some(Reason {
        code: "snapshot_failed",
        detail: format!("This node could not write its last snapshot: {problem}"),
        node_id: Some(node_id.clone()),
        advice: format!("{SNAPSHOT_ADVICE}."),
    })
}

fn diverged(node_id: &NodeId, reason: &str) -> Reason {
    let advice = format!("{DIVERGED_ADVICE}.");
    Reason { code: "diverged", advice, ..failed(node_id, reason) }
}

/// A follower that has been told to stop, or is about to be.
fn peer_diverged(peer: NodeId, index: LogIndex) -> Reason {
    Reason {
        code: "peer_diverged",
        detail: format!("{peer} has another state than this leader at log index {index} and does not serve"),
        advice: format!(
            "Start {peer} again: it rebuilds its state from its log. See what it says of itself."
        ),
        node_id: Some(peer),
    }
}

fn standing(config: &Config, replica: &Replica) -> Option<Reason> {
    let consensus = replica.consensus();
    let (code, detail, advice) = match consensus.admission().standing() {
        Standing::Admitted => return None,
        Standing::Waiting { witnesses } => {
            let needed = consensus.configuration().witnesses();
            let missing: Vec<&str> =
                others(consensus).filter(|peer| !witnesses.contains(*peer)).map(NodeId::as_str).collect();
            let detail = format!(
                "This node's data directory is new, and {} of the {needed} other members that have to \
                 take note of it have done so; missing: {}",
                witnesses.len(),
                missing.join(", ")
            );
            let advice = "Start the missing members: a new cluster forms once its members have met. \
                After that a majority is enough.";
            ("not_admitted", detail, advice.to_owned())
        }
        Standing::Wiped { peer, known } => {
            let own = consensus.incarnation();
            let detail = format!(
                "This member's data is gone: {peer} knows it by another data directory (incarnation {known}; \
                 this one is {own})"
            );
            ("wiped", detail, format!("{WIPED_ADVICE}."))
        }
    };
    Some(Reason { code, detail, node_id: Some(config.node_id.clone()), advice })
}

fn removed(config: &Config, replica: &Replica) -> Option<Reason> {
    let detail = match replica.consensus().removed()? {
        Removed::ByLog(index) => {
            format!("This node was removed from the cluster, by the configuration at log index {index}")
        }
        Removed::ToldBy(peer, index) => format!(
            "This node was removed from the cluster: {peer} has a configuration without it, at log index {index}"
        ),
    };
    Some(Reason {
        code: "removed",
        detail,
        node_id: Some(config.node_id.clone()),
        advice: "Stop it: the others go on without it. To have it back, add it to the cluster again."
            .to_owned(),
    })
}

fn unreachable(config: &Config, consensus: &Consensus, peer: &NodeId, states: &LinkStates) -> Option<Reason> {
    let state = states.of(peer);
    let error = state.error.filter(|_| !state.connected)?;
    let address = members::address_of(config, consensus.configuration(), peer);
    Some(Reason {
        code: "peer_unreachable",
        detail: format!("{peer} cannot be reached at {address}: {error}"),
        node_id: Some(peer.clone()),
        advice: format!(
            "Check that {peer} runs, that {address} is right in --peers, and that no firewall is in between."
        ),
    })
}

fn unwelcome(peer: &NodeId, refusal: &Refusal) -> Option<Reason> {
    let advice = match refusal {
        Refusal::Here { .. } => format!("Put the original data directory of {peer} back."),
        Refusal::There(Unwelcome::OtherIncarnation { .. }) => {
            "Put this node's original data directory back.".to_owned()
        }
        Refusal::There(Unwelcome::OtherCluster { .. }) => {
            "Two clusters share an address: correct --peers, or remove the data directory that does \
            not belong here."
                .to_owned()
        }
        // What a server that was removed is told, it says of itself.
        Refusal::There(Unwelcome::Removed { .. }) => return None,
        Refusal::There(Unwelcome::OtherMembers { .. }) => "Start all nodes with the same --peers.".to_owned(),
    };
    Some(Reason {
        code: "unwelcome",
        detail: format!("No understanding with {peer}: {refusal}"),
        node_id: Some(peer.clone()),
        advice,
    })
}

/// A peer whose kernel holds the connection while the process says nothing.
fn silent(peer: &NodeId, replica: &Replica, states: &LinkStates) -> Option<Reason> {
    let consensus = replica.consensus();
    let stands = matches!(consensus.role(), Role::PreCandidate | Role::Candidate);
    let answered = consensus.has_vote_of(peer) || consensus.vote_refusals().contains_key(peer);
    (stands && !answered && states.of(peer).connected).then(|| Reason {
        code: "peer_silent",
        detail: format!("{peer} is connected but has not answered"),
        node_id: Some(peer.clone()),
        advice: format!("Check whether {peer} is paused (SIGSTOP, a debugger) or its disk hangs."),
    })
}

fn refused(peer: &NodeId, refusal: &VoteRefusal) -> Reason {
    let advice = match refusal {
        VoteRefusal::OldTerm => "Nothing: this node catches up with the term by itself.",
        VoteRefusal::LeaderAlive { .. } => {
            "This node does not hear a leader that others hear: check the connection from the leader to this node."
        }
        VoteRefusal::VotedFor { .. } => "Nothing: the vote was split, and another election follows.",
        VoteRefusal::LogBehind { .. } => {
            "Nothing: the node with the longer log stands for election by itself."
        }
        VoteRefusal::CannotStore | VoteRefusal::NotAdmitted => "See what that node says of itself.",
    };
    Reason {
        code: "vote_refused",
        detail: format!("{peer} refused its vote: {refusal}"),
        node_id: Some(peer.clone()),
        advice: advice.to_owned(),
    }
}

fn lagging(replica: &Replica, now: Time) -> Vec<Reason> {
    let consensus = replica.consensus();
    let Some(leadership) = consensus.leadership() else { return Vec::new() };
    let last = consensus.log().last_index().0;
    let behind = |(id, progress): (&NodeId, &raft_core::consensus::progress::Progress)| {
        let behind = last.saturating_sub(progress.match_index.0);
        (behind > LAGGING).then(|| Reason {
            code: "lagging",
            detail: format!(
                "{id} is {behind} entries behind and was last heard {} ms ago",
                now.since(progress.last_contact).as_millis()
            ),
            node_id: Some(id.clone()),
            advice:
                "It catches up by itself; if the number grows, its disk or network is too slow for the load."
                    .to_owned(),
        })
    };
    leadership.progress().iter().filter_map(behind).collect()
}

#[cfg(test)]
mod tests {
    use raft_core::consensus::{Configuration, Timing};
    use raft_core::entry::{Entry, Payload};
    use raft_core::kv::Store;
    use raft_core::log::{Identity, LogOptions, create};
    use raft_core::message::{AppendEntries, Hello, KnownBy, Message, Round};
    use raft_core::replica::{Action, Event, Options, SnapshotEvery, Stored};
    use raft_core::types::{Applied, Incarnation, StateHash, Term};

    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    /// A follower that its leader has told of another state.
    fn told() -> Replica {
        let identity = Identity::new(id("a"), Incarnation(1));
        let (writer, _) = create(&identity, LogOptions::default());
        let voters = [id("a"), id("b")];
        let configuration = Configuration::new(voters.clone());
        let options = Options {
            configuration,
            timing: Timing::default(),
            seed: 1,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let mut replica = Replica::new(Stored::fresh(identity, writer), Box::new(Store::new()), options);
        let entry = Entry { index: LogIndex(1), term: Term(1), payload: Payload::Noop };
        let append = AppendEntries {
            term: Term(1),
            prev_log_index: LogIndex(0),
            prev_log_term: Term(0),
            entries: vec![entry],
            leader_commit: LogIndex(1),
            round: Round(0),
        };
        let at = Applied { index: LogIndex(1), hash: StateHash(7) };
        for message in [
            Message::Hello(Hello { members: voters.to_vec(), ..Hello::default() }),
            Message::Welcome { known: Incarnation(1), by: KnownBy::Record },
            Message::AppendEntries(append),
            Message::Diverged { term: Term(1), at },
        ] {
            replica.step(Time::ZERO, Event::Received { from: id("b"), incarnation: Incarnation(2), message });
            for action in replica.drain() {
                if let Action::Disk(batch) = action {
                    replica.step(Time::ZERO, Event::Persisted(batch.seq));
                }
            }
        }
        replica
    }

    #[test]
    fn a_diverged_node_says_so_and_what_to_do() {
        let mut config = Config::new(id("a"), 1);
        config.peers = [(id("a"), "h:1".into()), (id("b"), "h:2".into())].into();
        let explanation = of(&config, &told(), &LinkStates::default(), Time::ZERO);
        assert!(!explanation.ok);
        let reason = &explanation.reasons[0];
        assert_eq!((reason.code, reason.node_id.clone()), ("diverged", Some(id("a"))));
        let expected =
            "This node has stopped working: at log index 1 its state differs from that of b (hash ";
        assert!(reason.detail.starts_with(expected), "{}", reason.detail);
        assert!(reason.detail.contains(" here, 0000000000000007 there)"), "{}", reason.detail);
        assert!(reason.advice.starts_with("Start this node again"), "{}", reason.advice);
    }
}
