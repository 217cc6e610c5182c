//! Who is listened to, in which term, and what is made of it.

use super::*;
use crate::message::{InstallReply, InstallSnapshot, Received};

fn append(term: u64, (prev, prev_term): (u64, u64), entries: Vec<Entry>) -> Message {
    Message::AppendEntries(AppendEntries {
        term: Term(term),
        prev_log_index: LogIndex(prev),
        prev_log_term: Term(prev_term),
        entries,
        leader_commit: LogIndex(1),
        round: Round(2),
    })
}

fn answers(actions: &[Action]) -> Vec<AppendResult> {
    let answers = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::AppendReply(reply), .. } => Some(reply.result),
        _ => None,
    });
    answers.collect()
}

/// A vote is for one candidacy: not for another term, and a pre-vote is none.
#[test]
fn votes_for_another_candidacy_do_not_count() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    happens(&mut replica, at(300), Event::Tick);
    let steps = [
        (Role::PreCandidate, [(0, true), (2, true), (0, false), (1, false)], (1, true)),
        (Role::Candidate, [(1, true), (2, true), (0, false), (2, false)], (1, false)),
    ];
    for (role, others, wanted) in steps {
        for (term, pre_vote) in others {
            let vote = VoteReply { term: Term(term), pre_vote, refusal: None };
            happens(&mut replica, at(301), received("n2", Message::VoteReply(vote)));
            assert_eq!(replica.consensus().role(), role, "{pre_vote} in term {term}");
        }
        let vote = VoteReply { term: Term(wanted.0), pre_vote: wanted.1, refusal: None };
        happens(&mut replica, at(301), received("n2", Message::VoteReply(vote)));
    }
    assert_eq!(replica.consensus().role(), Role::Leader);
}

/// Paper §5.2: a term has one leader at most.
#[test]
fn who_claims_to_lead_in_the_term_of_another_is_refused() {
    let mut replica = following();
    let actions = happens(&mut replica, at(2), received("n3", append(1, (1, 1), vec![])));
    assert_eq!(answers(&actions), [AppendResult::StaleTerm]);
    let snapshot = EntryId { index: LogIndex(9), term: Term(1) };
    let install = InstallSnapshot { term: Term(1), round: Round(9), snapshot, sent: 0, chunk: None };
    let actions = happens(&mut replica, at(3), received("n3", Message::InstallSnapshot(install)));
    let unknown = InstallReply { term: Term(1), round: Round(1), snapshot, received: Received::Unknown };
    let refusal = Action::Send { to: node("n3"), message: Message::InstallReply(unknown) };
    assert_eq!(actions, [refusal], "nothing is made for it");
    assert_eq!(replica.consensus().leader(), Some(&node("n2")));
    happens(&mut replica, at(4), received("n3", append(2, (1, 1), vec![])));
    assert_eq!(replica.consensus().leader(), Some(&node("n3")), "in a later term it may");
}

/// It had sent them before they were on its own disk (dissertation §10.2.1), and was started again.
#[test]
fn a_leader_that_leads_again_may_have_other_entries() {
    let mut replica = following();
    let actions = happens(&mut replica, at(2), received("n2", append(1, (1, 1), entries(3).split_off(1))));
    assert_eq!(answers(&actions).last(), Some(&AppendResult::Matched { match_index: LogIndex(3) }));
    let other = Entry { index: LogIndex(2), term: Term(2), payload: Payload::Noop };
    let actions = happens(&mut replica, at(3), received("n2", append(2, (1, 1), vec![other])));
    assert_eq!(answers(&actions).last(), Some(&AppendResult::Matched { match_index: LogIndex(2) }));
    let log = replica.consensus().log();
    assert_eq!((log.last_index(), log.last_term()), (LogIndex(2), Term(2)));
}

/// A message from before a snapshot was taken: what it begins with is not kept here any more.
#[test]
fn entries_from_before_the_log_are_passed_over() {
    for prev in [0, 1, 2] {
        let (log, hard_state) = (EntryLog::new(entries(3)), HardState { term: Term(1), voted_for: None });
        let mut replica =
            start(&MEMBERS, Stored { log, hard_state, commit_hint: LogIndex(3), ..stored(&MEMBERS) });
        replica.consensus.log.compact(LogIndex(2));
        let sent = entries(5).split_off(usize::try_from(prev).unwrap());
        let message = append(1, (prev, prev.min(1)), sent);
        let actions = happens(&mut replica, at(1), received("n2", message));
        let expected = AppendResult::Matched { match_index: LogIndex(5) };
        assert_eq!(answers(&actions).last(), Some(&expected), "after {prev}");
        assert_eq!(replica.consensus().log().last_index(), LogIndex(5));
    }
}

/// The state of a server that has applied nothing is the empty one.
#[test]
fn a_stale_read_waits_for_nothing() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let query = kv::Query::Get { key: kv::Key::new("a").unwrap() }.encode();
    let (token, consistency) = (Token(1), Consistency::Stale);
    let asked = Event::Query { token, deadline: at(100), consistency, query };
    let found = told(&happens(&mut replica, at(1), asked), 1);
    assert!(matches!(found, Some(Reply::Found(_))), "{found:?}");
}
