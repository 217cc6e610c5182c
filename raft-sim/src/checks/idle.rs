//! Some messages change nothing: a pre-vote where it is asked for (dissertation §9.6), and to a leader an
//! answer that was given in an earlier term (paper §5.1: "stale"). What they would do harms only in rare
//! courses; so it is checked itself.

use raft_core::consensus::Consensus;
use raft_core::message::{Message, Round};
use raft_core::replica::Event;
use raft_core::types::{LogIndex, NodeId, Term};

/// What must be the same after an event as before.
pub(crate) enum Idle {
    PreVote { term: Term },
    OldAnswer { from: NodeId, told: Term, known: (LogIndex, LogIndex, Round) },
}

fn progress(consensus: &Consensus, of: &NodeId) -> Option<(LogIndex, LogIndex, Round)> {
    let progress = consensus.leadership()?.progress().get(of)?;
    Some((progress.match_index, progress.next_index, progress.round))
}

impl Idle {
    /// None where the event may change things.
    pub(crate) fn of(consensus: &Consensus, event: &Event) -> Option<Idle> {
        let Event::Received { from, message, .. } = event else { return None };
        match message {
            Message::RequestVote(request) if request.pre_vote => {
                Some(Idle::PreVote { term: consensus.term() })
            }
            Message::AppendReply(reply) if reply.term < consensus.term() => {
                let known = progress(consensus, from)?;
                Some(Idle::OldAnswer { from: from.clone(), told: reply.term, known })
            }
            _ => None,
        }
    }

    pub(crate) fn check(self, consensus: &Consensus) {
        let (id, now) = (consensus.id(), consensus.term());
        match self {
            Idle::PreVote { term } => {
                assert_eq!(term, now, "Pre-Vote Changes Nothing: it raised the term of {id}");
            }
            Idle::OldAnswer { from, told, known } => assert_eq!(
                Some(known),
                progress(consensus, &from),
                "An Old Answer Changes Nothing: {id} leads term {now} and took one of {from} from term {told}"
            ),
        }
    }
}
