//! What a replica owes its surroundings. Whole clusters are in `tests/scenarios/`.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::consensus::Standing;
use crate::consensus::progress::Pace;
use crate::disk::{AsideError, AsideErrorKind, AsideOp, AsideSeq, DiskOp};
use crate::entry::{Command, Entry, Payload};
use crate::kv::{self, Store};
use crate::log::{LogOptions, create};
use crate::message::{
    AppendEntries, AppendReply, AppendResult, ForwardOutcome, Hello, KnownBy, RequestId, RequestVote, Round,
    Unwelcome, VoteRefusal, VoteReply,
};
use crate::types::{Applied, StateHash};

mod heard;
mod strangers;
mod tasks;

const MEMBERS: [&str; 3] = ["n1", "n2", "n3"];

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// The disk of a member of these, which has met the others.
fn stored(members: &[&str]) -> Stored {
    let identity = Identity::new(node("n1"), Incarnation(1));
    let (writer, _) = create(&identity, LogOptions::default());
    let peers = members[1..].iter().map(|name| (node(name), Incarnation(1))).collect();
    Stored { admitted: true, peers, ..Stored::fresh(identity, writer) }
}

fn start(members: &[&str], stored: Stored) -> Replica {
    let configuration = Configuration::new(members.iter().map(|name| node(name)));
    let options = Options {
        configuration,
        timing: Timing::default(),
        seed: 1,
        snapshot_every: SnapshotEvery::default(),
        now: Time::ZERO,
    };
    Replica::new(stored, Box::new(Store::new()), options)
}

/// Lets something happen and carries on for as long as the disk, which answers at once, has work.
fn happens(replica: &mut Replica, now: Time, event: Event) -> Actions {
    replica.step(now, event);
    let mut all = Vec::new();
    loop {
        let actions = replica.drain();
        let synced = actions.iter().filter_map(|action| match action {
            Action::Disk(batch) if batch.sync => Some(batch.seq),
            _ => None,
        });
        let answered = synced.max();
        all.extend(actions);
        let Some(seq) = answered else { return all };
        replica.step(now, Event::Persisted(seq));
    }
}

fn received(from: &str, message: Message) -> Event {
    Event::Received { from: node(from), incarnation: Incarnation(1), message }
}

fn sends_hello(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Send { message: Message::Hello(_), .. }))
}

fn leading_alone() -> Replica {
    let mut replica = start(&["n1"], stored(&["n1"]));
    happens(&mut replica, at(300), Event::Tick);
    assert_eq!(replica.consensus().role(), Role::Leader);
    replica
}

/// The leader of term 1, by the votes of n2.
fn leading() -> Replica {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    happens(&mut replica, at(300), Event::Tick);
    for pre_vote in [true, false] {
        let vote = VoteReply { term: Term(1), pre_vote, refusal: None };
        happens(&mut replica, at(300), received("n2", Message::VoteReply(vote)));
    }
    assert_eq!(replica.consensus().role(), Role::Leader);
    replica
}

/// The follower of n2 in term 1.
fn following() -> Replica {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let append = AppendEntries {
        term: Term(1),
        prev_log_index: LogIndex::ZERO,
        prev_log_term: Term(0),
        entries: entries(1),
        leader_commit: LogIndex(1),
        round: Round(1),
    };
    happens(&mut replica, at(1), received("n2", Message::AppendEntries(append)));
    assert_eq!(replica.consensus().leader(), Some(&node("n2")));
    replica
}

fn matched(match_index: u64) -> Message {
    matched_and_applied(1, match_index, Applied::default())
}

fn matched_and_applied(term: u64, match_index: u64, applied: Applied) -> Message {
    let result = AppendResult::Matched { match_index: LogIndex(match_index) };
    Message::AppendReply(AppendReply { term: Term(term), round: Round(0), result, applied })
}

fn propose(token: u64, deadline: Time) -> Event {
    let key = kv::Key::new("a").unwrap();
    let data = kv::Command::Delete { key }.encode();
    Event::Propose { token: Token(token), deadline, command: Command { session: None, data } }
}

fn query(token: u64, deadline: Time) -> Event {
    let query = kv::Query::Get { key: kv::Key::new("a").unwrap() }.encode();
    Event::Query { token: Token(token), deadline, consistency: Consistency::Linearizable, query }
}

/// What a request was told, if it was.
fn told(actions: &[Action], request: u64) -> Option<Reply> {
    actions.iter().find_map(|action| match action {
        Action::Answer { token: Token(token), reply } if *token == request => Some(reply.clone()),
        _ => None,
    })
}

fn entries(count: u64) -> Vec<Entry> {
    let noop = |index| Entry { index: LogIndex(index), term: Term(1), payload: Payload::Noop };
    (1..=count).map(noop).collect()
}

/// A leader never changes what it has in its log (paper Figure 3): what does so under its name is refused.
#[test]
fn a_leader_does_not_take_back_what_it_has_sent() {
    let mut replica = following();
    let send = |replica: &mut Replica, ms, prev_log_index, entries: Vec<Entry>| {
        let append = AppendEntries {
            term: Term(2),
            prev_log_index: LogIndex(prev_log_index),
            prev_log_term: Term(1),
            entries,
            leader_commit: LogIndex(1),
            round: Round(2),
        };
        happens(replica, at(ms), received("n2", Message::AppendEntries(append)))
    };
    send(&mut replica, 2, 1, entries(3).split_off(1));
    let other = Entry { index: LogIndex(2), term: Term(2), payload: Payload::Noop };
    let actions = send(&mut replica, 3, 1, vec![other]);
    let refused = |action: &Action| {
        matches!(action, Action::Send { message: Message::AppendReply(reply), .. }
            if reply.result == AppendResult::StaleTerm)
    };
    assert!(actions.iter().any(refused), "{actions:?}");
    let log = replica.consensus().log();
    assert_eq!((log.last_index(), log.last_term()), (LogIndex(3), Term(1)));
}

#[test]
fn a_failed_leader_leads_no_more() {
    let mut replica = leading_alone();
    happens(&mut replica, at(301), Event::DiskFailed { reason: "broken".into() });
    assert_eq!((replica.consensus().role(), replica.consensus().leader()), (Role::Follower, None));
}

#[test]
fn the_first_leader_names_the_cluster() {
    let mut replica = start(&["n1"], stored(&["n1"]));
    assert_eq!(replica.consensus().cluster_id(), None);
    let mut actions = happens(&mut replica, at(300), Event::Tick);
    actions.extend(happens(&mut replica, at(301), Event::Tick));
    let named = replica.consensus().cluster_id().expect("its first entry is applied");
    let written = actions.iter().filter_map(|action| match action {
        Action::Disk(batch) => batch.ops.iter().find_map(|op| match op {
            DiskOp::Replace { content, .. } => Identity::decode(content).ok()?.cluster_id,
            _ => None,
        }),
        _ => None,
    });
    assert_eq!(written.collect::<Vec<_>>(), [named]);
}

/// Requests are numbered from a random place on: half of all numbers lie ahead of it.
#[test]
fn the_numbers_of_requests_do_not_run_out() {
    for seed in 0..64 {
        let configuration = Configuration::new([node("n1")]);
        let options = Options {
            configuration,
            timing: Timing::default(),
            seed,
            snapshot_every: SnapshotEvery::default(),
            now: Time::ZERO,
        };
        let replica = Replica::new(stored(&["n1"]), Box::new(Store::new()), options);
        assert!(
            replica.reads.next_request.0 <= u64::MAX / 2 && replica.writes.next_request.0 <= u64::MAX / 2
        );
    }
}

/// No heartbeat waits until a long log is applied, and only the replica's own deadline reminds of the rest.
#[test]
fn a_long_log_is_applied_in_parts_without_a_pause() {
    let (log, hard_state) = (EntryLog::new(entries(1500)), HardState { term: Term(1), voted_for: None });
    let mut replica =
        start(&MEMBERS, Stored { log, hard_state, commit_hint: LogIndex(1500), ..stored(&MEMBERS) });
    assert_eq!(replica.deadline(), Time::ZERO);
    replica.drain();
    assert_eq!((replica.last_applied(), replica.deadline()), (LogIndex(1024), Time::ZERO));
    replica.drain();
    assert_eq!(replica.last_applied(), LogIndex(1500));
    assert!(replica.deadline() > Time::ZERO, "nothing is left to do");
}

#[test]
fn the_state_machine_can_be_asked_past_the_log() {
    let mut replica = leading_alone();
    let key = kv::Key::new("a").unwrap();
    let value = kv::Value::Json(Bytes::from_static(b"1"));
    let data = kv::Command::Set { key: key.clone(), value: value.clone() }.encode();
    let command = Command { session: None, data };
    happens(&mut replica, at(301), Event::Propose { token: Token(1), deadline: at(400), command });
    let found = replica.query_machine(&kv::Query::Get { key }.encode());
    let item = kv::Item { value, revision: LogIndex(2) };
    assert_eq!(kv::QueryAnswer::decode(&found), kv::QueryAnswer::Item(Some(item)));
}

#[test]
fn a_refusal_of_another_directory_is_not_of_this_one() {
    for (shown, is_wiped) in [(Incarnation(1), true), (Incarnation(99), false)] {
        let mut replica = start(&MEMBERS, Stored { admitted: false, ..stored(&MEMBERS) });
        let reason = Unwelcome::OtherIncarnation { known: Incarnation(7), shown };
        happens(&mut replica, at(1), received("n2", Message::Unwelcome(reason)));
        let standing = replica.consensus().admission().standing();
        assert_eq!(matches!(standing, Standing::Wiped { .. }), is_wiped, "{standing:?}");
    }
}

#[test]
fn nobody_is_introduced_to_a_peer_whose_stream_is_gone() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let peer = node("n2");
    assert!(sends_hello(&happens(&mut replica, at(1), Event::Connected { peer: peer.clone() })));
    assert!(!sends_hello(&happens(&mut replica, at(250), Event::Tick)));
    assert!(sends_hello(&happens(&mut replica, at(251), Event::Tick)), "it had no answer");
    happens(&mut replica, at(252), Event::Disconnected { peer, process_died: false });
    assert!(!sends_hello(&happens(&mut replica, at(900), Event::Tick)));
}

/// In every build: going on could lose data (`consensus/invariants.rs`).
#[test]
#[should_panic(expected = "only what is in the log is committed")]
fn a_replica_that_contradicts_itself_does_not_go_on() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    replica.consensus.commit_index = LogIndex(1);
    replica.step(at(1), Event::Tick);
}

#[test]
fn nobody_has_more_of_the_log_than_its_leader() {
    let mut replica = leading();
    happens(&mut replica, at(301), received("n3", matched(99)));
    let progress = replica.consensus().leadership().expect("it leads").progress();
    assert_eq!(progress[&node("n3")].match_index, LogIndex::ZERO);
    assert_eq!(replica.consensus().commit_index(), LogIndex::ZERO);
}

#[test]
fn a_follower_is_probed_until_its_log_is_known_to_match() {
    let mut replica = leading();
    happens(&mut replica, at(301), received("n3", matched(0)));
    let progress = replica.consensus().leadership().expect("it leads").progress();
    let is_probing = |name| matches!(progress[&node(name)].pace, Pace::Probe { .. });
    assert_eq!((is_probing("n2"), is_probing("n3")), (true, false));
}

/// Dissertation §3.10: at its leader's word, in this term, and at nobody else's.
#[test]
fn only_the_leader_makes_a_server_stand_at_once() {
    for (from, term, stands) in [("n2", 1, true), ("n3", 1, false), ("n2", 0, false), ("n2", 2, false)] {
        let mut replica = following();
        happens(&mut replica, at(2), received(from, Message::TimeoutNow { term: Term(term) }));
        let is_candidate = replica.consensus().role() == Role::Candidate;
        assert_eq!(is_candidate, stands, "{from} in term {term}");
    }
}

/// Dissertation §4.2.3: for as long as the shortest election timeout, and no longer.
#[test]
fn a_vote_is_refused_while_the_leader_was_just_heard() {
    for (millis, is_refused) in [(150, true), (151, false)] {
        let mut replica = following();
        let (last_log_index, last_log_term) = (LogIndex(1), Term(1));
        let request =
            RequestVote { term: Term(2), last_log_index, last_log_term, pre_vote: false, transfer: false };
        let actions = happens(&mut replica, at(millis), received("n3", Message::RequestVote(request)));
        let refusal = actions.iter().find_map(|action| match action {
            Action::Send { message: Message::VoteReply(reply), .. } => Some(reply.refusal.clone()),
            _ => None,
        });
        let leader = is_refused.then(|| VoteRefusal::LeaderAlive { leader: node("n2") });
        assert_eq!(refusal, Some(leader), "heard at 1 ms, asked at {millis} ms");
    }
}

#[test]
fn who_would_be_one_too_many_is_told_at_once() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let most = Clients::MAX as u64;
    for token in 1..=most {
        replica.step(at(1), if token % 2 == 0 { propose(token, at(100)) } else { query(token, at(100)) });
    }
    assert!(!replica.drain().iter().any(|action| matches!(action, Action::Answer { .. })));
    let overloaded = Some(Reply::Refused(Refused::Overloaded));
    assert_eq!(told(&happens(&mut replica, at(2), propose(most + 1, at(100))), most + 1), overloaded);
    assert_eq!(told(&happens(&mut replica, at(2), query(most + 2, at(100))), most + 2), overloaded);
}

/// They are told that they had no effect, so they may have none later, and cost nothing any more.
#[test]
fn requests_whose_time_is_up_are_let_go_of() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    happens(&mut replica, at(1), propose(1, at(10)));
    happens(&mut replica, at(1), query(2, at(10)));
    assert_eq!((replica.writes.parked.len(), replica.reads.fresh.len(), replica.deadline()), (1, 1, at(10)));
    let actions = happens(&mut replica, at(10), Event::Tick);
    for token in [1, 2] {
        assert_eq!(told(&actions, token), Some(Reply::Refused(Refused::NoLeader)));
    }
    assert_eq!((replica.writes.parked.len(), replica.reads.fresh.len()), (0, 0));
}

#[test]
fn states_are_compared_within_one_leadership() {
    let mut replica = leading();
    happens(&mut replica, at(301), received("n2", matched(1)));
    assert_eq!(replica.last_applied(), LogIndex(1));
    let ours = Applied { index: LogIndex(1), hash: replica.applied_hash() };
    let theirs = Applied { index: LogIndex(1), hash: StateHash(7) };

    happens(&mut replica, at(303), received("n2", matched_and_applied(1, 1, ours)));
    happens(&mut replica, at(303), received("n3", matched_and_applied(1, 1, theirs)));
    assert_eq!(replica.differing_peers(), [(node("n3"), LogIndex(1))]);
    assert_eq!(
        (replica.agreed_index(&node("n2")), replica.agreed_index(&node("n3"))),
        (LogIndex(1), LogIndex(0))
    );

    happens(&mut replica, at(304), received("n3", matched_and_applied(0, 1, ours)));
    assert_eq!(replica.differing_peers(), [(node("n3"), LogIndex(1))], "an answer of an earlier term");
    assert_eq!(replica.agreed_index(&node("n2")), LogIndex(1), "likewise");

    happens(&mut replica, at(700), Event::Tick);
    assert_eq!(replica.consensus().role(), Role::Follower, "no majority was heard");
    assert_eq!(replica.differing_peers(), []);
    assert_eq!(replica.agreed_index(&node("n2")), LogIndex::ZERO);
}

fn read_indexes(actions: &[Action]) -> Vec<RequestId> {
    let asked = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::ReadIndex { request }, .. } => Some(*request),
        _ => None,
    });
    asked.collect()
}

/// Dissertation §6.4: reads may be repeated without harm. The replica's deadline brings it back in time.
#[test]
fn a_follower_asks_again_where_its_leader_cannot_tell_or_is_silent() {
    let mut replica = following();
    happens(&mut replica, at(2), Event::Connected { peer: node("n2") });
    happens(
        &mut replica,
        at(2),
        received("n2", Message::Welcome { known: Incarnation(1), by: KnownBy::Record }),
    );
    happens(&mut replica, at(101), Event::Tick);
    let asked = read_indexes(&happens(&mut replica, at(101), query(1, at(900))));
    assert_eq!(asked.len(), 1);

    let request = asked[0];
    let actions =
        happens(&mut replica, at(102), received("n2", Message::ReadIndexReply { request, index: None }));
    assert_eq!(read_indexes(&actions), [], "it has just said no");
    let again = at(102) + Duration::from_micros(12_500);
    assert_eq!(replica.deadline(), again);
    assert_eq!(read_indexes(&happens(&mut replica, at(114), Event::Tick)), []);
    let next = RequestId(request.0 + 1);
    assert_eq!(read_indexes(&happens(&mut replica, again, Event::Tick)), [next]);

    let heard = AppendEntries {
        term: Term(1),
        prev_log_index: LogIndex(1),
        prev_log_term: Term(1),
        entries: vec![],
        leader_commit: LogIndex(1),
        round: Round(2),
    };
    happens(&mut replica, at(200), received("n2", Message::AppendEntries(heard)));
    let give_up = again + Duration::from_millis(150);
    assert_eq!(replica.deadline(), give_up);
    assert_eq!(read_indexes(&happens(&mut replica, at(264), Event::Tick)), []);
    assert_eq!(read_indexes(&happens(&mut replica, give_up, Event::Tick)).len(), 1);
}

#[test]
fn a_leader_takes_so_many_reads_of_its_peers_and_no_more() {
    let mut replica = leading();
    let mut refused = Vec::new();
    for number in 1..=Clients::MAX as u64 + 1 {
        replica.step(at(301), received("n2", Message::ReadIndex { request: RequestId(number) }));
    }
    for action in replica.drain() {
        if let Action::Send { message: Message::ReadIndexReply { request, index }, .. } = action {
            refused.push((request.0, index));
        }
    }
    assert_eq!(refused, [(Clients::MAX as u64 + 1, None)]);
}

/// The stream that would have brought the answer is gone: the next one may.
#[test]
fn a_follower_asks_again_over_a_new_stream() {
    let mut replica = following();
    for peer in ["n2", "n3"] {
        happens(&mut replica, at(2), Event::Connected { peer: node(peer) });
    }
    assert_eq!(read_indexes(&happens(&mut replica, at(3), query(1, at(900)))).len(), 1);
    for (peer, asks_again) in [("n3", false), ("n2", true)] {
        let gone = Event::Disconnected { peer: node(peer), process_died: false };
        assert_eq!(read_indexes(&happens(&mut replica, at(4), gone)), [], "{peer}");
        let asked = read_indexes(&happens(&mut replica, at(5), Event::Connected { peer: node(peer) }));
        assert_eq!(!asked.is_empty(), asks_again, "{peer}");
    }
}

/// Its round proves nothing any more: its own clients' reads go to the new leader, a peer's goes back.
#[test]
fn who_leads_no_more_confirms_no_reads() {
    let mut replica = leading();
    happens(&mut replica, at(301), Event::Connected { peer: node("n2") });
    happens(&mut replica, at(301), received("n2", matched(1)));
    let request = RequestId(77);
    replica.step(at(302), received("n3", Message::ReadIndex { request }));
    happens(&mut replica, at(302), query(1, at(900)));
    assert!(replica.reads.round.is_some());
    let append = AppendEntries {
        term: Term(2),
        prev_log_index: LogIndex(1),
        prev_log_term: Term(1),
        entries: vec![],
        leader_commit: LogIndex(1),
        round: Round(1),
    };
    let actions = happens(&mut replica, at(303), received("n2", Message::AppendEntries(append)));
    assert_eq!(read_indexes(&actions).len(), 1);
    let no = Message::ReadIndexReply { request, index: None };
    assert!(actions.contains(&Action::Send { to: node("n3"), message: no }));
}

#[test]
fn an_idle_disk_gets_the_commit_index_once() {
    let mut replica = leading_alone();
    happens(&mut replica, at(301), Event::Tick);
    assert_eq!(replica.deadline(), at(401));
    let batches = |actions: Actions| {
        let synced = actions.into_iter().filter_map(|action| match action {
            Action::Disk(batch) => Some(batch.sync),
            _ => None,
        });
        synced.collect::<Vec<_>>()
    };
    assert_eq!(batches(happens(&mut replica, at(400), Event::Tick)), []);
    assert_eq!(batches(happens(&mut replica, at(401), Event::Tick)), [false]);
    assert_eq!(replica.deadline(), Time::from_micros(u64::MAX), "nothing is left to do");
    assert_eq!(batches(happens(&mut replica, at(9000), Event::Tick)), []);
}

fn forwards(actions: &[Action]) -> Vec<RequestId> {
    let handed_on = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::Forward { request, .. }, .. } => Some(*request),
        _ => None,
    });
    handed_on.collect()
}

/// The replica's deadline brings it back in time.
#[test]
fn a_write_is_handed_on_again_where_its_leader_does_not_lead() {
    let mut replica = following();
    happens(&mut replica, at(2), Event::Connected { peer: node("n2") });
    happens(
        &mut replica,
        at(2),
        received("n2", Message::Welcome { known: Incarnation(1), by: KnownBy::Record }),
    );
    happens(&mut replica, at(101), Event::Tick);
    let asked = forwards(&happens(&mut replica, at(101), propose(1, at(900))));
    assert_eq!(asked.len(), 1);

    let (request, outcome) = (asked[0], ForwardOutcome::NotLeader);
    let actions = happens(&mut replica, at(102), received("n2", Message::ForwardReply { request, outcome }));
    assert_eq!(forwards(&actions), [], "it has just said no");
    let again = at(102) + Duration::from_micros(12_500);
    assert_eq!(replica.deadline(), again);
    assert_eq!(forwards(&happens(&mut replica, at(114), Event::Tick)), []);
    assert_eq!(forwards(&happens(&mut replica, again, Event::Tick)), [RequestId(request.0 + 1)]);
    assert!(replica.deadline() > again + Duration::from_millis(12), "nothing waits for the next try");
}

#[test]
fn what_a_leader_has_not_applied_is_bounded_in_bytes() {
    let mut replica = leading();
    let data = Bytes::from(vec![0; (1 << 20) - Entry::OVERHEAD]);
    for token in 1..=65 {
        let command = Command { session: None, data: data.clone() };
        replica.step(at(301), Event::Propose { token: Token(token), deadline: at(900), command });
    }
    let refused: Vec<Action> =
        replica.actions.iter().filter(|action| matches!(action, Action::Answer { .. })).cloned().collect();
    let reply = Reply::Refused(Refused::Overloaded);
    assert_eq!(refused, [Action::Answer { token: Token(65), reply }], "64 MiB, and one more");
}

#[test]
fn what_a_leader_has_applied_counts_no_more() {
    for count in [1, 3] {
        let mut replica = leading_alone();
        for token in 1..=count {
            replica.step(at(301), propose(token, at(900)));
        }
        assert!(replica.writes.appended_bytes > 0);
        let actions = happens(&mut replica, at(301), Event::Tick);
        for token in 1..=count {
            assert!(matches!(told(&actions, token), Some(Reply::Done(_))));
        }
        assert_eq!((replica.writes.appended_bytes, replica.writes.appended.len()), (0, 0));
    }
}

#[test]
fn who_has_diverged_can_say_how() {
    let mut replica = following();
    assert_eq!((replica.last_applied(), replica.diverged()), (LogIndex(1), None));
    let (ours, theirs) = (replica.applied_hash(), StateHash(7));
    let at_one = |hash| Message::Diverged { term: Term(1), at: Applied { index: LogIndex(1), hash } };
    happens(&mut replica, at(2), received("n2", at_one(ours)));
    assert_eq!((replica.failed(), replica.diverged()), (None, None), "it is in order");
    happens(&mut replica, at(3), received("n2", at_one(theirs)));
    let divergence = Divergence { index: LogIndex(1), ours, theirs, peers: vec![node("n2")] };
    assert_eq!(replica.failed(), Some(alloc::format!("{divergence}").as_str()));
    assert_eq!(replica.diverged(), Some(&divergence));
}

/// What it wants done aside of the log.
fn aside(actions: &[Action]) -> Vec<(AsideSeq, AsideOp)> {
    let ops = actions.iter().filter_map(|action| match action {
        Action::Aside { seq, op } => Some((*seq, op.clone())),
        _ => None,
    });
    ops.collect()
}

#[test]
fn what_is_left_over_is_removed_one_file_after_the_other() {
    let names = ["snapshot-1", "snapshot-2"].map(String::from);
    let leftovers = names.to_vec();
    let mut replica = start(&MEMBERS, Stored { leftovers, ..stored(&MEMBERS) });
    let done = |seq| Event::AsideDone { seq: AsideSeq(seq), outcome: Ok(Bytes::new()) };
    let failed = AsideError { kind: AsideErrorKind::Other, reason: "as the test wants".into() };
    let asked = |n: u64| {
        let file = names[usize::try_from(n).unwrap() - 1].clone();
        vec![(AsideSeq(n), AsideOp::Remove { file })]
    };
    assert_eq!(aside(&happens(&mut replica, at(0), Event::Tick)), asked(1));
    assert_eq!(aside(&happens(&mut replica, at(1), done(2))), [], "an answer to something else");
    let outcome = Err(failed);
    let next = happens(&mut replica, at(2), Event::AsideDone { seq: AsideSeq(1), outcome });
    assert_eq!(aside(&next), asked(2), "a failure stops nothing");
    assert_eq!(aside(&happens(&mut replica, at(3), done(2))), []);
    assert_eq!(replica.failed(), None);
}
