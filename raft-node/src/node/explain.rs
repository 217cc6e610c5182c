//! Why there is no leader, or what else is amiss, and what would help.

use raft_core::consensus::{Refusal, Standing};
use raft_core::message::{Unwelcome, VoteRefusal};
use raft_core::replica::{Replica, Role};
use raft_core::types::{NodeId, Time};

use super::{Explanation, Reason};
use crate::config::Config;
use crate::error::RequestError;
use crate::transport::LinkStates;

/// What the operator of a wiped member can do.
pub(super) const WIPED_ADVICE: &str = "It must not vote: it could vote twice and undo what was acknowledged. \
    The other members go on without it. Stop this node, put its original data directory back and start it \
    again; if that is lost for good, leave this member stopped until it can be replaced by a new one";

/// A follower this many entries behind is worth a word.
const LAGGING: u64 = 10_000;

pub(super) fn of(config: &Config, replica: &Replica, states: &LinkStates, now: Time) -> Explanation {
    let consensus = replica.consensus();
    let mut reasons = Vec::new();
    reasons.extend(replica.failed().map(|reason| failed(&config.node_id, reason)));
    reasons.extend(standing(config, replica));
    for peer in others(config) {
        reasons.extend(unreachable(config, peer, states));
        reasons
            .extend(consensus.admission().refusals().get(peer).and_then(|refusal| unwelcome(peer, refusal)));
    }
    match consensus.leadership() {
        Some(_) => reasons.extend(lagging(replica, now)),
        None if consensus.leader().is_none() => {
            reasons.extend(consensus.vote_refusals().iter().map(|(peer, refusal)| refused(peer, refusal)));
            reasons.extend(others(config).filter_map(|peer| silent(peer, replica, states)));
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

fn others(config: &Config) -> impl Iterator<Item = &NodeId> {
    config.peers.keys().filter(|peer| **peer != config.node_id)
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

fn standing(config: &Config, replica: &Replica) -> Option<Reason> {
    let consensus = replica.consensus();
    let (code, detail, advice) = match consensus.admission().standing() {
        Standing::Admitted => return None,
        Standing::Waiting { witnesses } => {
            let needed = consensus.configuration().witnesses();
            let missing: Vec<&str> = config
                .peers
                .keys()
                .filter(|p| **p != config.node_id && !witnesses.contains(*p))
                .map(NodeId::as_str)
                .collect();
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

fn unreachable(config: &Config, peer: &NodeId, states: &LinkStates) -> Option<Reason> {
    let state = states.of(peer);
    let error = state.error.filter(|_| !state.connected)?;
    let address = config.peers.get(peer).map_or("", String::as_str);
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
        VoteRefusal::NotAdmitted => "See what that node says of itself.",
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
