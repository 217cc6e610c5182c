//! Introductions, and whoever is no member.

use super::*;

#[test]
fn a_server_is_not_its_own_peer() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let actions = happens(&mut replica, at(1), Event::Connected { peer: node("n1") });
    assert_eq!((actions, replica.consensus().connected().len()), (vec![], 0));
}

#[test]
fn who_has_introduced_itself_is_known_by_its_incarnation() {
    let mut replica = start(&MEMBERS, Stored { peers: BTreeMap::new(), ..stored(&MEMBERS) });
    assert_eq!(replica.consensus().admission().known(&node("n2")), None);
    let hello = Message::Hello(Hello { members: MEMBERS.map(node).to_vec(), ..Hello::default() });
    let from_n2 = Event::Received { from: node("n2"), incarnation: Incarnation(5), message: hello };
    happens(&mut replica, at(1), from_n2);
    assert_eq!(replica.consensus().admission().known(&node("n2")), Some(Incarnation(5)));
}

/// Nobody shows a later configuration here, so that whoever is not in this one is a stranger.
#[test]
fn who_is_no_member_is_not_listened_to() {
    let mut replica = start(&MEMBERS, stored(&MEMBERS));
    let hello = Message::Hello(Hello { members: vec![node("n1"), node("n9")], ..Hello::default() });
    let vote = RequestVote {
        term: Term(9),
        last_log_index: LogIndex(9),
        last_log_term: Term(9),
        pre_vote: false,
        transfer: false,
    };
    for message in
        [hello, Message::Welcome { known: Incarnation(1), by: KnownBy::Record }, Message::RequestVote(vote)]
    {
        let from = Event::Received { from: node("n9"), incarnation: Incarnation(9), message };
        assert_eq!(happens(&mut replica, at(1), from), vec![]);
    }
    assert_eq!(replica.consensus().term(), Term(0));
}
