//! What becomes of introductions.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec;

use super::super::{EntryLog, Removed, Start, Timing};
use super::*;
use crate::entry::{Entry, Genesis, Payload};
use crate::types::{ClusterId, HardState, Term};

pub(in super::super) fn named(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn noop(index: u64) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), payload: Payload::Noop }
}

fn configuration_at(index: u64, configuration: Configuration) -> Entry {
    Entry { payload: Payload::Configuration(Box::new(configuration)), ..noop(index) }
}

/// `n2`, with a new disk, started as a member of this configuration.
pub(in super::super) fn start(configuration: Configuration) -> Start {
    Start {
        id: named("n2"),
        incarnation: Incarnation(2),
        cluster_id: None,
        configuration,
        timing: Timing::default(),
        seed: 1,
        hard_state: HardState::default(),
        log: EntryLog::default(),
        snapshots: VecDeque::new(),
        commit_index: LogIndex::ZERO,
        admitted: false,
        peers: BTreeMap::new(),
        now: Time::ZERO,
    }
}

/// `n2`, which has this configuration committed at an index of its log.
pub(in super::super) fn start_with(index: u64, configuration: Configuration) -> Start {
    let first = Genesis { cluster_id: ClusterId(7), configuration: two() };
    let genesis = Entry { payload: Payload::Genesis(Box::new(first)), ..noop(1) };
    let mut entries: Vec<Entry> = (1..index).map(noop).collect();
    entries.push(configuration_at(index, configuration));
    entries[0] = genesis;
    let (log, commit_index) = (EntryLog::new(entries), LogIndex(index));
    Start { cluster_id: Some(ClusterId(7)), log, commit_index, ..start(two()) }
}

/// `n2` may take part, knows `n1` by its disk 1, and has this configuration at this index; at 0 it was
/// started with it.
fn member(index: u64, configuration: Configuration) -> Consensus {
    let start = if index == 0 { start(configuration) } else { start_with(index, configuration) };
    let peers = [(named("n1"), Incarnation(1))].into();
    Consensus::new(Start { admitted: true, peers, ..start })
}

fn two() -> Configuration {
    Configuration::new([named("n1"), named("n2")])
}

/// In which `n1` is a member with this disk.
fn with_disk(incarnation: u64) -> Configuration {
    let mut configuration = two();
    configuration.members.get_mut(&named("n1")).unwrap().incarnation = Some(Incarnation(incarnation));
    configuration
}

fn hello(index: u64, members: &[&str]) -> Hello {
    let members = members.iter().map(|name| named(name)).collect();
    Hello {
        cluster_id: Some(ClusterId(7)),
        members,
        configuration_index: LogIndex(index),
        ..Hello::default()
    }
}

/// What is answered when a peer introduces itself with its disk 7.
fn answer(consensus: &mut Consensus, from: &str, hello: Hello) -> Option<Message> {
    consensus.handle_hello(&named(from), Incarnation(7), hello);
    consensus.take_outbox().pop().map(|(_, message)| message)
}

fn welcome_guest() -> Message {
    Message::Welcome { known: Incarnation(7), by: KnownBy::Introduction }
}

/// Whether `n2` introduces itself once more after it was welcome, when `n1` introduces itself.
fn introduces_itself_again(configuration: Configuration, hello: Hello) -> bool {
    let mut consensus = member(0, configuration);
    consensus.peer_connected(&named("n1"));
    consensus.handle_welcome(&named("n1"), Incarnation(2), KnownBy::Record);
    assert_eq!(consensus.admission.deadline(), None);
    consensus.handle_hello(&named("n1"), Incarnation(1), hello);
    consensus.admission.deadline() == Some(Time::ZERO + REPEAT)
}

#[test]
fn who_shows_a_later_configuration_or_may_have_to_name_a_learner_is_introduced_to_again() {
    let hello = |index| Hello { cluster_id: None, ..hello(index, &["n1", "n2"]) };
    assert!(!introduces_itself_again(two(), hello(0)), "or two would go on introducing themselves");
    assert!(introduces_itself_again(two(), hello(7)));
    let mut unnamed = two();
    unnamed.members.get_mut(&named("n2")).unwrap().role = MemberRole::Learner;
    assert!(introduces_itself_again(unnamed, hello(0)));
}

/// A member with another disk than the known one takes part by a change of the configuration alone, which
/// this server may not have yet.
#[test]
fn another_disk_is_heard_where_a_later_configuration_may_name_it() {
    for (ours, theirs, is_wiped, is_heard) in [
        (0, 0, false, false),
        // The first configuration is no change.
        (0, 1, false, false),
        (0, 2, false, true),
        (3, 2, false, false),
        (3, 3, false, false),
        (3, 4, false, true),
        (3, 4, true, false),
    ] {
        let mut consensus = member(ours, two());
        let introduction = Hello { is_wiped, ..hello(theirs, &["n1", "n2"]) };
        let answered = answer(&mut consensus, "n1", introduction);
        let case = format!("{theirs} shown to {ours}, wiped: {is_wiped}");
        assert_eq!(answered == Some(welcome_guest()), is_heard, "{case}: {answered:?}");
        assert_eq!(consensus.is_acquainted(&named("n1"), Incarnation(7)), is_heard, "{case}");
    }
}

#[test]
fn once_this_server_has_that_configuration_it_says_which_disk_is_heard() {
    let mut consensus = member(3, two());
    answer(&mut consensus, "n1", hello(4, &["n1", "n2"]));
    assert!(consensus.is_acquainted(&named("n1"), Incarnation(7)));
    consensus.append_to_log(configuration_at(4, with_disk(8)));
    for (disk, is_heard) in [(1, false), (7, false), (8, true)] {
        assert_eq!(consensus.is_acquainted(&named("n1"), Incarnation(disk)), is_heard, "disk {disk}");
    }
}

#[test]
fn a_learner_whose_disk_is_not_named_is_welcome_by_a_later_configuration_alone() {
    let mut configuration = two();
    configuration.members.get_mut(&named("n1")).unwrap().role = MemberRole::Learner;
    for (theirs, answered) in [(2, None), (3, None), (4, Some(welcome_guest()))] {
        let mut consensus = member(3, configuration.clone());
        assert_eq!(answer(&mut consensus, "n1", hello(theirs, &["n1", "n2"])), answered, "{theirs}");
    }
}

#[test]
fn of_two_that_are_no_members_to_each_other_the_later_configuration_counts() {
    let told = || Some(Message::Unwelcome(Unwelcome::Removed { index: LogIndex(3) }));
    let guest = || Some(welcome_guest());
    let is_removed = |at| Some(Removed::ToldBy(named("n9"), LogIndex(at)));
    for (ours, theirs, members, answered, removed) in [
        // It names both.
        (3, 2, vec!["n2", "n9"], told(), None),
        (3, 3, vec!["n2", "n9"], guest(), None),
        (3, 4, vec!["n2", "n9"], guest(), None),
        (0, 0, vec!["n2", "n9"], None, None),
        // It does not name this server.
        (3, 2, vec!["n9"], told(), None),
        (3, 3, vec!["n9"], None, None),
        (3, 4, vec!["n9"], None, is_removed(4)),
        (0, 1, vec!["n9"], None, is_removed(1)),
        // It does not name the other.
        (3, 2, vec!["n2"], None, None),
        (3, 4, vec!["n2"], None, None),
    ] {
        let mut consensus = member(ours, two());
        let case = format!("{theirs} of {members:?} shown to {ours}");
        assert_eq!(answer(&mut consensus, "n9", hello(theirs, &members)), answered, "{case}");
        assert_eq!(consensus.removed(), removed, "{case}");
        // Who has nothing of the log shows nothing that was committed.
        let mut consensus = member(ours, two());
        let introduction = Hello { cluster_id: None, ..hello(theirs, &members) };
        let answered = answered.filter(|_| theirs < ours);
        assert_eq!(answer(&mut consensus, "n9", introduction), answered, "{case}, without a cluster");
        assert_eq!(consensus.removed(), None, "{case}, without a cluster");
    }
}

#[test]
fn a_peer_cannot_make_this_server_keep_more_guests_than_members() {
    let mut consensus = member(3, two());
    let mut is_welcome = |n: usize| {
        let guest = format!("g{n}");
        answer(&mut consensus, &guest, hello(4, &["n2", &guest])).is_some()
    };
    assert!((0..Configuration::MAX_MEMBERS).all(&mut is_welcome));
    assert!(!is_welcome(Configuration::MAX_MEMBERS));
    assert!(is_welcome(0), "it is one of them already");
}
