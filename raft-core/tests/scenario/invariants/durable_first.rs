//! Nothing is said before what it rests on is durable (paper Figure 2: "updated on stable storage before
//! responding"), and nothing is acknowledged to a client before a majority has it on disk. What is durable is
//! asked of recovery itself.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::entry::Entry;
use raft_core::log::Recovered;
use raft_core::message::{AppendResult, KnownBy, Message};
use raft_core::replica::{CallReply, Replica};
use raft_core::types::{LogIndex, NodeId, Term};

use super::super::cluster::Node;

#[derive(Default)]
pub(crate) struct DurableFirst {
    /// What recovery would find, for a version of the disk's content.
    found: BTreeMap<NodeId, (u64, Option<Recovered>)>,
    /// What was on disks that were wiped: an acknowledgement may have left before.
    wiped: BTreeMap<NodeId, Recovered>,
}

impl DurableFirst {
    fn durable(&mut self, node: &Node) -> Option<&Recovered> {
        let version = node.disk.version;
        if self.found.get(&node.id).is_none_or(|(known, _)| *known != version) {
            self.found.insert(node.id.clone(), (version, node.disk.durable(&node.id)));
        }
        self.found[&node.id].1.as_ref()
    }

    /// What a server takes for durable is.
    pub(crate) fn before_crash(&mut self, node: &Node) {
        if let Some(replica) = &node.replica {
            self.entries_are_durable(node, replica.consensus().log().durable());
        }
    }

    pub(crate) fn before_wipe(&mut self, node: &Node) {
        if let Some(found) = self.durable(node).cloned() {
            self.wiped.insert(node.id.clone(), found);
        }
    }

    pub(crate) fn sent(&mut self, node: &Node, to: &NodeId, message: &Message) {
        match message {
            Message::RequestVote(request) if request.pre_vote => {}
            Message::RequestVote(request) => self.vote_is_durable(node, request.term, &node.id),
            Message::VoteReply(reply) if reply.refusal.is_none() && !reply.pre_vote => {
                self.vote_is_durable(node, reply.term, to);
            }
            Message::VoteReply(reply) if reply.refusal.is_none() => {}
            Message::Welcome { by: KnownBy::Record, .. } => {
                let noted = self.durable(node).is_some_and(|durable| durable.peers.contains_key(to));
                assert!(noted, "{} welcomed {to} before its record of it was durable", node.id);
            }
            _ => self.term_is_durable(node, message.term().unwrap_or_default()),
        }
        if let Message::AppendReply(reply) = message
            && let AppendResult::Matched { match_index } = reply.result
            && node.replica.as_ref().is_some_and(|replica| replica.consensus().term() == reply.term)
        {
            self.entries_are_durable(node, match_index);
        }
    }

    pub(crate) fn call_answered(&mut self, node: &Node, reply: &CallReply) {
        match reply {
            CallReply::Vote(reply) => self.term_is_durable(node, reply.term),
            CallReply::Append { term, result } => {
                self.term_is_durable(node, *term);
                if let AppendResult::Matched { match_index } = result {
                    self.entries_are_durable(node, *match_index);
                }
            }
            CallReply::Refused { .. } => {}
        }
    }

    pub(crate) fn acknowledged(&mut self, nodes: &BTreeMap<NodeId, Node>, entry: &Entry) {
        let has = |durable: &Recovered| {
            // What lies before the log is in a snapshot.
            entry.index <= durable.base.index || at(durable, entry.index) == Some(entry)
        };
        let mut copies = BTreeSet::new();
        for node in nodes.values() {
            let had = self.durable(node).is_some_and(has) || self.wiped.get(&node.id).is_some_and(has);
            copies.extend(had.then(|| node.id.clone()));
        }
        let replicas = || nodes.values().filter_map(|node| node.replica.as_ref());
        let is_enough =
            |replica: &Replica| replica.consensus().configuration().has_majority(|id| copies.contains(id));
        assert!(
            replicas().any(is_enough),
            "entry {}/{} was acknowledged with durable copies on {copies:?} alone",
            entry.index,
            entry.term
        );
    }

    fn term_is_durable(&mut self, node: &Node, term: Term) {
        let durable = self.durable(node).map(|durable| durable.hard_state.term).unwrap_or_default();
        assert!(durable >= term, "{} spoke of term {term}, on its disk is term {durable}", node.id);
    }

    fn vote_is_durable(&mut self, node: &Node, term: Term, candidate: &NodeId) {
        self.term_is_durable(node, term);
        let hard_state = self.durable(node).map(|durable| durable.hard_state.clone()).unwrap_or_default();
        assert!(
            hard_state.term > term || hard_state.voted_for.as_ref() == Some(candidate),
            "{} voted for {candidate} in term {term}, on its disk is {hard_state:?}",
            node.id
        );
    }

    fn entries_are_durable(&mut self, node: &Node, up_to: LogIndex) {
        let Some(replica) = &node.replica else { return };
        let Some(durable) = self.durable(node) else { return assert_eq!(up_to, LogIndex::ZERO) };
        for entry in replica.consensus().log().range(durable.base.index.next()..=up_to) {
            assert!(
                at(durable, entry.index).is_some_and(|found| found.term == entry.term),
                "{} takes entry {}/{} for durable, which it is not",
                node.id,
                entry.index,
                entry.term
            );
        }
    }
}

/// The entry of an index, in what a restart would find.
fn at(durable: &Recovered, index: LogIndex) -> Option<&Entry> {
    let place = index.0.checked_sub(durable.base.index.0 + 1)?;
    durable.entries.get(usize::try_from(place).ok()?)
}
