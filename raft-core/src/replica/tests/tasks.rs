//! What an operator is told of what is to be done with the cluster.

use super::*;
use crate::consensus::{Change, ChangeRefused};
use crate::message::TaskOutcome;

fn administer(token: u64, deadline: Time, task: Task) -> Event {
    Event::Administer { token: Token(token), deadline, task }
}

fn transfer(to: Option<&str>) -> Task {
    Task::Transfer { to: to.map(node) }
}

fn asks_to_transfer(request: u64) -> Event {
    received("n3", Message::Administer { request: RequestId(request), task: transfer(None) })
}

fn handed_on(actions: &[Action]) -> Vec<RequestId> {
    let asked = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::Administer { request, .. }, .. } => Some(*request),
        _ => None,
    });
    asked.collect()
}

/// What peers were told of their tasks.
fn task_replies(actions: &[Action]) -> Vec<(u64, TaskOutcome)> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::AdministerReply { request, outcome }, .. } => {
            Some((request.0, outcome.clone()))
        }
        _ => None,
    });
    told.collect()
}

/// The leader of term 1, whose first entry is committed, in touch with n2.
fn leading_in_touch() -> Replica {
    let mut replica = leading();
    happens(&mut replica, at(301), Event::Connected { peer: node("n2") });
    happens(&mut replica, at(301), received("n2", matched(1)));
    replica
}

/// The replica's deadline brings it back in time.
#[test]
fn a_task_is_handed_on_again_where_its_leader_does_not_lead() {
    let mut replica = following();
    happens(&mut replica, at(2), Event::Connected { peer: node("n2") });
    let welcome = Message::Welcome { known: Incarnation(1), by: KnownBy::Record };
    happens(&mut replica, at(2), received("n2", welcome));
    happens(&mut replica, at(101), Event::Tick);
    let asked = handed_on(&happens(&mut replica, at(101), administer(1, at(900), transfer(None))));
    assert_eq!(asked.len(), 1);

    let (request, outcome) = (asked[0], TaskOutcome::NotLeader);
    let reply = Message::AdministerReply { request, outcome };
    assert_eq!(handed_on(&happens(&mut replica, at(102), received("n2", reply))), [], "it has just said no");
    let again = at(102) + Duration::from_micros(12_500);
    assert_eq!(replica.deadline(), again);
    assert_eq!(handed_on(&happens(&mut replica, at(114), Event::Tick)), []);
    assert_eq!(handed_on(&happens(&mut replica, again, Event::Tick)), [RequestId(request.0 + 1)]);
    assert!(replica.deadline() > again + Duration::from_millis(12), "nothing waits for the next try");
}

#[test]
fn a_task_whose_time_is_up_is_let_go_of() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    happens(&mut replica, at(1), administer(1, at(10), transfer(None)));
    assert_eq!(replica.administration.parked.len(), 1);
    let actions = happens(&mut replica, at(10), Event::Tick);
    assert_eq!(told(&actions, 1), Some(Reply::Refused(Refused::NoLeader)));
    assert_eq!(replica.administration.parked.len(), 0);
}

#[test]
fn a_leader_that_stops_takes_up_no_task_of_a_peer() {
    let mut replica = leading_in_touch();
    happens(&mut replica, at(302), Event::Stop { deadline: at(900) });
    let actions = happens(&mut replica, at(303), asks_to_transfer(7));
    assert_eq!(task_replies(&actions), [(7, TaskOutcome::NotLeader)]);
}

#[test]
fn so_many_wait_for_a_handover_and_no_more() {
    let mut replica = leading_in_touch();
    for request in 1..=257 {
        replica.step(at(302), asks_to_transfer(request));
    }
    assert_eq!(task_replies(&replica.drain()), [(257, TaskOutcome::Overloaded)]);
}

/// Deposed and elected again, also where it begins to hand over once more at that moment: that is another
/// handover than the one that was waited for.
#[test]
fn who_leads_again_says_that_nobody_took_over() {
    for stops_at_once in [false, true] {
        let mut replica = leading_in_touch();
        for (token, to) in [(1, None), (2, Some("n2"))] {
            happens(&mut replica, at(302), administer(token, at(9000), transfer(to)));
        }
        let (last_log_index, last_log_term) = (LogIndex(1), Term(1));
        let request =
            RequestVote { term: Term(2), last_log_index, last_log_term, pre_vote: false, transfer: true };
        happens(&mut replica, at(303), received("n3", Message::RequestVote(request)));
        let mut actions = happens(&mut replica, at(1000), Event::Tick);
        let vote = |pre_vote| Message::VoteReply(VoteReply { term: Term(3), pre_vote, refusal: None });
        actions.extend(happens(&mut replica, at(1000), received("n2", vote(true))));
        assert_eq!((told(&actions, 1), told(&actions, 2)), (None, None), "nobody leads");
        replica.step(at(1000), received("n2", vote(false)));
        if stops_at_once {
            replica.step(at(1000), received("n2", matched_and_applied(3, 1, Applied::default())));
            replica.step(at(1000), Event::Stop { deadline: at(9000) });
        }
        assert_eq!(replica.consensus().role(), Role::Leader);
        assert_eq!(replica.consensus.is_transferring(), stops_at_once);
        let actions = replica.drain();
        for token in [1, 2] {
            let reason = TaskRefused::NotTakenOver { node_id: node("n2") };
            assert_eq!(told(&actions, token), Some(Reply::Declined(reason)));
        }
    }
}

/// Whether it had been begun or not, and though the log that held it be cut off at once.
#[test]
fn a_change_whose_leader_is_deposed_is_asked_of_the_next() {
    let noop = Entry { index: LogIndex(2), term: Term(2), payload: Payload::Noop };
    for (is_begun, entries) in [(false, vec![]), (true, vec![]), (true, vec![noop])] {
        let mut replica = if is_begun { leading_in_touch() } else { leading() };
        happens(&mut replica, at(302), Event::Connected { peer: node("n2") });
        let change = Task::Change(Change::Remove { id: node("n3"), force: true });
        let mut actions = happens(&mut replica, at(303), administer(1, at(900), change));
        assert_eq!(replica.consensus().configuration().is_joint(), is_begun);
        let append = AppendEntries {
            term: Term(2),
            prev_log_index: LogIndex(1),
            prev_log_term: Term(1),
            entries,
            leader_commit: LogIndex::ZERO,
            round: Round(1),
        };
        actions.extend(happens(&mut replica, at(304), received("n2", Message::AppendEntries(append))));
        actions.extend(happens(&mut replica, at(305), Event::Tick));
        assert_eq!((handed_on(&actions).len(), told(&actions, 1)), (1, None), "{is_begun}");
    }
}

/// Programs go by these words: they are the `reason` of the HTTP API.
#[test]
fn the_words_for_refusals_stay() {
    let (node_id, to, leader) = (node("n2"), node("n2"), node("n2"));
    for (reason, word) in [
        (TaskRefused::NoSuchMember { node_id: node_id.clone() }, "no_such_member"),
        (TaskRefused::NotAVoter { node_id: node_id.clone() }, "not_a_voter"),
        (TaskRefused::NotConnected { node_id: node_id.clone() }, "not_connected"),
        (TaskRefused::NobodyThere, "nobody_there"),
        (TaskRefused::TransferUnderWay { to }, "transfer_under_way"),
        (TaskRefused::Change(ChangeRefused::TermNotOpen), "term_not_open"),
        (TaskRefused::NotTakenOver { node_id }, "not_taken_over"),
        (TaskRefused::AnotherLeads { leader, term: Term(2) }, "another_leads"),
        (TaskRefused::NoSnapshots, "no_snapshots"),
        (TaskRefused::SnapshotFailed { reason: "no room".into() }, "snapshot_failed"),
    ] {
        assert_eq!(reason.name(), word);
    }
}
