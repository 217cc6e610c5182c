//! What becomes of a deposed leader's commands where a snapshot takes the place of its log.

use alloc::boxed::Box;
use core::time::Duration;

use super::interrupted::lead_after_another;
use super::servers::{Server, connect, elect, exchange, node, round, set, snapshot_file};
use crate::entry::{ClientId, Command, Sequence, SessionStep};
use crate::message::{ForwardOutcome, Message, RequestId};
use crate::replica::{Event, Refused, Reply, Token};

fn named(name: &'static str) -> Command {
    let client = ClientId::new(name.as_bytes()).expect("a name");
    let session = Some(Box::new(SessionStep { client, sequence: Sequence::Only }));
    Command { session, data: set(300, 900) }
}

/// Nobody knows what became of them, and who asked is told so. What its session protects is handed on again.
#[test]
fn what_a_snapshot_replaced_has_no_known_outcome() {
    let snapshot = snapshot_file(200, 900);
    for with_others in [false, true] {
        let mut first = Server::fresh("n1");
        elect(&mut first);
        let deadline = first.now + Duration::from_secs(60);
        let plain = Command { session: None, data: set(300, 900) };
        first.happens(Event::Propose { token: Token(1), deadline, command: plain.clone() });
        if with_others {
            first.happens(Event::Propose { token: Token(2), deadline, command: named("a") });
            let forward = Message::Forward { request: RequestId(7), command: plain };
            first.receives("n3", forward);
        }
        assert!(first.replica.writes.appended_bytes > 0);
        first.sent.clear();

        let mut second = Server::leader("n2", &snapshot);
        connect(&mut second, &mut first);
        lead_after_another(&mut second);
        exchange(&mut second, &mut first, u64::MAX);
        for _ in 0..3 {
            round(&mut second, &mut first, u64::MAX);
        }
        assert_eq!(first.replica.consensus().log().base(), snapshot.0);
        assert_eq!(first.replica.writes.appended_bytes, 0, "none of them counts any more");
        let mut answers = core::mem::take(&mut first.answers).into_iter();
        assert_eq!(answers.next(), Some((Token(1), Reply::Refused(Refused::Unknown))));
        if with_others {
            let again = answers.next();
            assert!(matches!(again, Some((Token(2), Reply::Done(_)))), "{again:?}");
            let unknown = Message::ForwardReply { request: RequestId(7), outcome: ForwardOutcome::Unknown };
            assert_eq!(first.takes(&node("n3")), [unknown]);
        }
        assert_eq!(answers.next(), None);
    }
}
