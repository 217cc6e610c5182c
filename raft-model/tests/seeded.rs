//! With a bug planted, the checker finds a way to break a rule: what it does not find without would be found.

use std::sync::{Mutex, PoisonError};

use raft_core::seeded::{Bug, plant};
use raft_model::{Bounds, Counterexample, Effort, Rule, run};

/// The switch is one for the process, and tests run side by side.
static PLANTED: Mutex<()> = Mutex::new(());

fn counterexample(bug: Bug, bounds: Bounds) -> Counterexample {
    let _alone = PLANTED.lock().unwrap_or_else(PoisonError::into_inner);
    plant(Some(bug));
    // One thread finds a shortest way first.
    let report = run(bounds, Effort { threads: 1, max_states: 6_000_000, until_broken: true });
    plant(None);
    println!("{}\n{report}", bug.name());
    report.broken.into_iter().next().unwrap_or_else(|| panic!("{} was not found", bug.name()))
}

fn caught(bug: Bug, bounds: Bounds, by: &[Rule]) {
    let found = counterexample(bug, bounds);
    let names: Vec<_> = by.iter().map(|rule| rule.name()).collect();
    assert!(names.contains(&found.rule), "{} was caught by {}: {}", bug.name(), found.rule, found.story);
    assert!(found.story.contains("BROKEN"), "{}", found.story);
}

fn small() -> Bounds {
    Bounds { entries: 1, ..Bounds::default() }
}

#[test]
fn elections() {
    caught(Bug::VoteNotPersisted, small(), &[Rule::DurableFirst]);
    caught(Bug::HardStateNeverWritten, small(), &[Rule::DurableFirst]);
    caught(Bug::TermNotPersisted, small(), &[Rule::DurableFirst]);
    caught(Bug::VoteTwice, small(), &[Rule::OneVote]);
    caught(Bug::NoUpToDateCheck, small(), &[Rule::LeaderCompleteness, Rule::StateMachineSafety]);
    let pre_votes = Bounds { pre_votes: true, faults: 0, ..small() };
    caught(Bug::PreVoteBumpsTerm, pre_votes, &[Rule::HarmlessPreVote]);
    let stale = Bounds { keep_dead: true, entries: 0, ..Bounds::default() };
    caught(Bug::StaleVoteCounted, stale, &[Rule::ElectionSafety]);
}

#[test]
fn replication() {
    caught(Bug::AckBeforeSync, small(), &[Rule::DurableFirst]);
    caught(Bug::LeaderCountsUnsynced, small(), &[Rule::MajorityFirst]);
    let two = Bounds::default();
    caught(Bug::TruncateCommitted, two, &[Rule::MajorityFirst, Rule::DurableFirst, Rule::Assertions]);
    caught(Bug::ConflictIgnored, two, &[Rule::LogMatching]);
    let heartbeat = Bounds { faults: 0, heartbeats: 1, ..small() };
    caught(Bug::NoMatchCheck, heartbeat, &[Rule::LogMatching]);
    caught(Bug::CommitBeyondMatch, heartbeat, &[Rule::StateMachineSafety, Rule::LeaderCompleteness]);
}

#[test]
fn recovery_and_applying() {
    caught(Bug::TailCutTooFar, small(), &[Rule::DurableFirst]);
    let two = Bounds::default();
    caught(Bug::CommitIndexAheadOfLog, two, &[Rule::StateMachineSafety, Rule::LeaderCompleteness]);
    caught(Bug::AppliedIndexAheadOfData, two, &[Rule::StateMachineSafety]);
    caught(Bug::ApplyTwice, two, &[Rule::StateMachineSafety]);
}

#[test]
fn reads() {
    let reads = Bounds { reads: 1, faults: 0, ..small() };
    for bug in
        [Bug::ReadWithoutRound, Bug::StaleLeaderServes, Bug::ReadBeforeTermStart, Bug::ReadBeforeApplied]
    {
        caught(bug, reads, &[Rule::FreshRead]);
    }
}
