//! What each change makes of each configuration, and how far it has come in one.

use alloc::format;
use alloc::string::ToString;

use super::*;

fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn at(name: &str) -> String {
    format!("{name}:1")
}

/// `a b` vote, `+c` learns, `+c^` is to vote, `+d^b` is to take b's place, `-b` leaves; those after the bar
/// are the outgoing voters.
fn configuration(text: &str) -> Configuration {
    let (members, outgoing) = text.split_once('|').unwrap_or((text, ""));
    let member = |word: &str| {
        let (word, promotion) = match word.split_once('^') {
            Some((word, "")) => (word, Promotion::Voter),
            Some((word, old)) => (word, Promotion::InPlaceOf(id(old))),
            None => (word, Promotion::No),
        };
        let (role, name) = match word.split_at(1) {
            ("+", name) => (MemberRole::Learner, name),
            ("-", name) => (MemberRole::Leaving, name),
            _ => (MemberRole::Voter, word),
        };
        (id(name), Member { role, promotion, address: at(name), ..Member::default() })
    };
    Configuration {
        members: members.split_whitespace().map(member).collect(),
        outgoing: outgoing.split_whitespace().map(id).collect(),
    }
}

fn add(name: &str, learner_only: bool) -> Change {
    Change::Add { id: id(name), address: at(name), learner_only, priority: 0 }
}

fn replace(old: &str, new: &str) -> Change {
    Change::Replace { old: id(old), new: id(new), address: at(new) }
}

fn remove(name: &str) -> Change {
    Change::Remove { id: id(name), force: false }
}

#[test]
fn how_far_a_change_has_come() {
    use ChangeState::{Done, TakenBack, UnderWay};
    for (change, steps) in [
        (
            add("d", false),
            &[
                ("a b c +d^", UnderWay),
                ("a b c d | a b c", UnderWay),
                ("a b c d", Done),
                ("a b c", TakenBack),
                ("a b c +d", TakenBack),
            ][..],
        ),
        (add("d", true), &[("a b c +d", Done), ("a b c", TakenBack)]),
        (
            Change::Promote { id: id("c") },
            &[("a b +c^", UnderWay), ("a b c | a b", UnderWay), ("a b c", Done), ("a b +c", TakenBack)],
        ),
        (remove("c"), &[("a b -c | a b c", UnderWay), ("a b", Done), ("a b c", TakenBack)]),
        (
            replace("c", "d"),
            &[
                ("a b c +d^c", UnderWay),
                ("a b -c d | a b c", UnderWay),
                ("a b d", Done),
                ("a b c", TakenBack),
                ("a b c +d", TakenBack),
                // The new one was promoted apart.
                ("a b c +d^", TakenBack),
                ("a b c d | a b c", TakenBack),
                ("a b c d", TakenBack),
                // It had its place, and came back with another disk.
                ("a b +d^", UnderWay),
                ("a b +d", TakenBack),
            ],
        ),
    ] {
        for (members, state) in steps {
            assert_eq!(change.state_in(&configuration(members)), *state, "{change} in {members}");
        }
    }
}

#[test]
fn a_priority_or_an_address_is_as_asked_for_or_not() {
    let ours = configuration("a b");
    let priority = |name, priority| Change::SetPriority { id: id(name), priority };
    let address = |name, address: &str| Change::SetAddress { id: id(name), address: address.into() };
    for (change, state) in [
        (priority("b", 0), ChangeState::Done),
        (priority("b", 1), ChangeState::TakenBack),
        (priority("c", 0), ChangeState::TakenBack),
        (address("b", "b:1"), ChangeState::Done),
        (address("b", "b:2"), ChangeState::TakenBack),
        (address("c", "c:1"), ChangeState::TakenBack),
    ] {
        assert_eq!(change.state_in(&ours), state, "{change}");
    }
}

/// A change whose leader died is asked for again: what is done of it is not done twice. What only looks like
/// it is refused.
#[test]
fn what_is_there_already_is_not_begun_again() {
    let member = |name| Err(ChangeRefused::AlreadyMember { id: id(name) });
    let stranger = |name| Err(ChangeRefused::NoSuchMember { id: id(name) });
    let elsewhere = |name: &str| String::from(name) + ":2";
    for (change, members, begun) in [
        (add("c", true), "a b +c", Ok(None)),
        (add("c", true), "a b +c^", member("c")),
        (add("c", true), "a b c", member("c")),
        (add("c", false), "a b +c^", Ok(None)),
        (add("c", false), "a b c", Ok(None)),
        (add("c", false), "a b +c", member("c")),
        (
            Change::Add { id: id("c"), address: elsewhere("c"), learner_only: false, priority: 0 },
            "a c",
            member("c"),
        ),
        (replace("c", "d"), "a b c +d^c", Ok(None)),
        (replace("c", "d"), "a b d -c | a b c", Ok(None)),
        (replace("c", "d"), "a b d", Ok(None)),
        (replace("c", "d"), "a b +d^c", stranger("c")),
        (Change::Replace { old: id("c"), new: id("d"), address: elsewhere("d") }, "a b d", stranger("c")),
        (replace("c", "d"), "a b c d", member("d")),
        (remove("c"), "a b -c | a b c", Ok(None)),
        (remove("b"), "a -b | a b", Ok(None)),
        (replace("c", "d"), "a b c +d", Ok(Some(configuration("a b c +d^c")))),
    ] {
        assert_eq!(change.begin(&configuration(members)), begun, "{change} in {members}");
    }
}

#[test]
fn a_cluster_grows_to_its_bound() {
    let of =
        |count: usize| Configuration::with_addresses((0..count).map(|n| (id(&format!("n{n}")), at("n"))));
    let most = Configuration::MAX_MEMBERS;
    let next = add("z", true).begin(&of(most - 1)).unwrap().unwrap();
    assert!(next.is_sound(), "what it grows to is one that a peer believes");
    assert_eq!(add("z", true).begin(&of(most)), Err(ChangeRefused::TooManyMembers { most }));
}

#[test]
fn an_address_is_a_host_and_a_port() {
    let host = |length| "h".repeat(length) + ":1";
    for (address, is_one) in [
        ("h:1", true),
        ("[::1]:65535", true),
        (host(Member::MAX_ADDRESS - 2).as_str(), true),
        (host(Member::MAX_ADDRESS - 1).as_str(), false),
        ("", false),
        ("h", false),
        (":1", false),
        ("h:", false),
        ("h:0", false),
        ("h:65536", false),
        ("h:x", false),
    ] {
        let address = String::from(address);
        for change in [
            Change::Add { id: id("d"), address: address.clone(), learner_only: false, priority: 0 },
            Change::Replace { old: id("c"), new: id("d"), address: address.clone() },
            Change::SetAddress { id: id("c"), address: address.clone() },
        ] {
            let begun = change.begin(&configuration("a b c"));
            let is_refused = matches!(begun, Err(ChangeRefused::BadAddress { .. }));
            assert_eq!((begun.is_ok(), is_refused), (is_one, !is_one), "{change}");
        }
    }
}

/// As the log and the messages of a story name it.
#[test]
fn a_change_says_what_is_to_be_done() {
    for (change, words) in [
        (add("d", false), "add d at d:1"),
        (add("d", true), "add d at d:1, a learner"),
        (Change::Promote { id: id("d") }, "promote d"),
        (remove("d"), "remove d"),
        (replace("c", "d"), "replace c by d at d:1"),
        (Change::SetPriority { id: id("d"), priority: 2 }, "give d priority 2"),
        (Change::SetAddress { id: id("d"), address: at("d") }, "reach d at d:1"),
    ] {
        assert_eq!(change.to_string(), words);
    }
}

/// Programs go by these words: they are the `reason` of the HTTP API.
#[test]
fn the_words_for_refusals_stay() {
    let id = id("d");
    for (reason, word) in [
        (ChangeRefused::Conflict { under_way: String::new() }, "conflict"),
        (ChangeRefused::TermNotOpen, "term_not_open"),
        (ChangeRefused::AlreadyMember { id: id.clone() }, "already_member"),
        (ChangeRefused::NoSuchMember { id: id.clone() }, "no_such_member"),
        (ChangeRefused::NotAVoter { id: id.clone() }, "not_a_voter"),
        (ChangeRefused::LastVoter { id }, "last_voter"),
        (ChangeRefused::WouldLoseQuorum { voters: 3, reachable: 1, needed: 2 }, "would_lose_quorum"),
        (ChangeRefused::TooManyMembers { most: 64 }, "too_many_members"),
        (ChangeRefused::BadAddress { address: String::new(), most: 259 }, "bad_address"),
        (ChangeRefused::TakenBack, "taken_back"),
    ] {
        assert_eq!(reason.name(), word);
    }
}
