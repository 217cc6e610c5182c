//! What must hold, checked with every step.

use raft_core::entry::Entry;
use raft_core::replica::Role;
use raft_core::types::{LogIndex, Term};

use crate::cluster::Cluster;
use crate::names::Place;
use crate::server::View;

/// A rule that must never be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// At most one leader a term (paper §5.2).
    ElectionSafety,
    /// A leader only adds to its log (paper §5.3).
    LeaderAppendOnly,
    /// Entries of the same index and term are the same, with all before them (paper §5.3).
    LogMatching,
    /// Leaders have all that was committed in earlier terms (paper §5.4).
    LeaderCompleteness,
    /// All servers apply the same at the same index, once and in order (paper §5.4.3).
    StateMachineSafety,
    /// One vote a term, whatever crashes lie between (paper §5.2).
    OneVote,
    /// A process' commit index never falls (paper Figure 2).
    CommitGrows,
    /// Nothing is said before what it rests on is durable (paper Figure 2).
    DurableFirst,
    /// Nothing is acknowledged to a client before a majority has it on disk.
    MajorityFirst,
    /// A read sees every command that was acknowledged before it began (dissertation §6.4).
    FreshRead,
    /// A pre-vote changes neither term nor vote of the one who is asked (dissertation §9.6).
    HarmlessPreVote,
    /// What the replica asserts of itself holds.
    Assertions,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 12] = [
        Rule::ElectionSafety,
        Rule::LeaderAppendOnly,
        Rule::LogMatching,
        Rule::LeaderCompleteness,
        Rule::StateMachineSafety,
        Rule::OneVote,
        Rule::CommitGrows,
        Rule::DurableFirst,
        Rule::MajorityFirst,
        Rule::FreshRead,
        Rule::HarmlessPreVote,
        Rule::Assertions,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rule::ElectionSafety => "Election Safety",
            Rule::LeaderAppendOnly => "Leader Append-Only",
            Rule::LogMatching => "Log Matching",
            Rule::LeaderCompleteness => "Leader Completeness",
            Rule::StateMachineSafety => "State Machine Safety",
            Rule::OneVote => "one vote a term",
            Rule::CommitGrows => "commit index only grows",
            Rule::DurableFirst => "durable before spoken",
            Rule::MajorityFirst => "on a majority's disks before acknowledged",
            Rule::FreshRead => "reads see what was acknowledged",
            Rule::HarmlessPreVote => "a pre-vote changes nothing",
            Rule::Assertions => "the replica's own assertions",
        }
    }
}

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// In words.
    pub how: String,
}

type Verdict = Result<(), Broken>;

fn ensure(holds: bool, rule: Rule, how: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Broken { rule, how: how() }) }
}

/// What a server's step, from one view to another, may not do. A restart begins the commit index anew.
pub(crate) fn step(server: Place, before: &View, after: &View, restarted: bool) -> Verdict {
    let (was, is) = (before.commit_index, after.commit_index);
    ensure(restarted || was <= is, Rule::CommitGrows, || {
        format!("the commit index of {server} went back from {was} to {is}")
    })?;
    let leads_on = before.role == Role::Leader && after.role == Role::Leader && before.term == after.term;
    let kept = after.log.starts_with(&before.log);
    ensure(!leads_on || kept, Rule::LeaderAppendOnly, || format!("{server} changed its log while it leads"))
}

/// What must hold of a cluster after a step of one server, whose news is taken down in the past.
pub(crate) fn cluster(cluster: &mut Cluster, server: Place) -> Verdict {
    election_safety(cluster, server)?;
    log_matching(cluster, server)?;
    note_committed(cluster, server)?;
    leader_completeness(cluster)?;
    state_machine_safety(cluster, server)
}

fn election_safety(cluster: &mut Cluster, server: Place) -> Verdict {
    let view = cluster.view(server);
    if view.role != Role::Leader {
        return Ok(());
    }
    let term = view.term;
    match cluster.past().leaders.get(&term).copied() {
        Some(leader) => ensure(leader == server, Rule::ElectionSafety, || {
            format!("{leader} and {server} were both elected in term {term}")
        }),
        None => {
            cluster.past_mut().leaders.insert(term, server);
            Ok(())
        }
    }
}

fn log_matching(cluster: &Cluster, server: Place) -> Verdict {
    let log = &cluster.view(server).log;
    for (other, view) in cluster.views().filter(|(other, _)| *other != server) {
        let agree = |(a, b): &(&Entry, &Entry)| a.term == b.term;
        let agreeing = log.iter().zip(&view.log).enumerate().filter(|(_, pair)| agree(pair));
        let Some((last, _)) = agreeing.last() else { continue };
        ensure(log[..=last] == view.log[..=last], Rule::LogMatching, || {
            format!("{server} and {other} have the same entry {}, and others before it", log[last].index)
        })?;
    }
    Ok(())
}

fn note_committed(cluster: &mut Cluster, server: Place) -> Verdict {
    let view = cluster.view(server);
    let (term, count) = (view.term, usize::try_from(view.commit_index.0).expect("fits"));
    ensure(count <= view.log.len(), Rule::StateMachineSafety, || {
        format!("{server} takes entry {count} for committed, which it does not have")
    })?;
    let known = &cluster.past().committed;
    for (entry, (committed, _)) in view.log[..count].iter().zip(known) {
        ensure(entry == committed, Rule::StateMachineSafety, || {
            let (index, ours, theirs) = (entry.index, entry.term, committed.term);
            format!("{server} takes {index}/{ours} for committed, another server {index}/{theirs}")
        })?;
    }
    let earlier = |(_, since): &(_, Term)| *since > term;
    if known.len() < count || known[..count].iter().any(earlier) {
        let log = view.log[..count].to_vec();
        let committed = &mut cluster.past_mut().committed;
        for (at, entry) in log.into_iter().enumerate() {
            match committed.get_mut(at) {
                Some((_, since)) => *since = term.min(*since),
                None => committed.push((entry, term)),
            }
        }
    }
    Ok(())
}

fn leader_completeness(cluster: &Cluster) -> Verdict {
    let committed = &cluster.past().committed;
    for (server, view) in cluster.views().filter(|(_, view)| view.role == Role::Leader) {
        let lacks = |(entry, since): &&(Entry, Term)| {
            *since < view.term && view.log.get(at(entry.index)) != Some(entry)
        };
        let lacking = committed.iter().find(lacks);
        ensure(lacking.is_none(), Rule::LeaderCompleteness, || {
            let (entry, since) = lacking.expect("just seen");
            let (index, of) = (entry.index, entry.term);
            format!("{server} leads term {} without {index}/{of}, committed in term {since}", view.term)
        })?;
    }
    Ok(())
}

pub(crate) fn at(index: LogIndex) -> usize {
    usize::try_from(index.0).expect("fits") - 1
}

fn state_machine_safety(cluster: &mut Cluster, server: Place) -> Verdict {
    let applied = &cluster.view(server).applied;
    let executed = &cluster.past().executed;
    ensure(applied.is_sorted_by(|a, b| a.index < b.index), Rule::StateMachineSafety, || {
        format!(
            "{server} applied an entry twice: {:?}",
            applied.iter().map(|a| a.index.0).collect::<Vec<_>>()
        )
    })?;
    let last_applied = cluster.view(server).last_applied;
    let due = executed.iter().filter(|executed| executed.index <= last_applied).count();
    ensure(due <= applied.len(), Rule::StateMachineSafety, || {
        format!("{server} says it has applied up to {last_applied}, and lacks a part of it")
    })?;
    let common = applied.len().min(executed.len());
    ensure(applied[..common] == executed[..common], Rule::StateMachineSafety, || {
        format!("{server} applied {applied:?}, another server {executed:?}")
    })?;
    if applied.len() > executed.len() {
        let applied = applied.clone();
        cluster.past_mut().executed = applied;
    }
    Ok(())
}
