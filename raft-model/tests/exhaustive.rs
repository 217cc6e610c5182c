//! Nothing that can happen to the shipped replica within the bounds breaks a rule.

use raft_model::{Bounds, Effort, Report, run};

fn explore(bounds: Bounds) -> Report {
    let report = run(bounds, Effort { threads: 2, max_states: 20_000_000, until_broken: true });
    println!("{report}");
    report
}

/// Loss, and one of: a crash, a message twice or out of order, a slow disk, a leader that steps down.
#[test]
fn one_entry_and_any_one_fault() {
    let report = explore(Bounds { entries: 1, ..Bounds::default() });
    assert!(report.complete, "{report}");
    assert!(report.unique > 100_000, "fewer states than there are: {report}");
    // With one entry and no heartbeat, nothing tells the last follower that it is committed.
    assert!(report.never_seen.iter().all(|name| name.starts_with("all servers")), "{report}");
}

#[test]
fn heartbeats_spread_what_is_committed() {
    let report = explore(Bounds { entries: 1, terms: 1, heartbeats: 1, faults: 1, ..Bounds::default() });
    assert!(report.complete && report.never_seen.is_empty(), "{report}");
}

#[test]
fn reads_are_fresh() {
    let report = explore(Bounds { entries: 1, reads: 1, faults: 0, ..Bounds::default() });
    assert!(report.complete, "{report}");
    assert!(!report.never_seen.contains(&"a read is answered"), "{report}");
}

#[test]
fn pre_votes_in_flight() {
    let report = explore(Bounds { entries: 0, terms: 1, faults: 1, pre_votes: true, ..Bounds::default() });
    assert!(report.complete, "{report}");
    assert!(!report.never_seen.contains(&"every term has a leader"), "{report}");
}

/// Leaving dead messages out joins states and hides none: what can be elected and committed is the same.
#[test]
fn dead_messages_make_no_difference() {
    let bounds = Bounds { entries: 1, faults: 0, ..Bounds::default() };
    let (without, with) = (explore(bounds), explore(Bounds { keep_dead: true, ..bounds }));
    assert!(without.complete && with.complete);
    assert!(without.unique < with.unique, "{without}{with}");
    assert_eq!(without.never_seen, with.never_seen);
}
