//! Changes of the members as an operator asks for them, and the configurations they lead through (paper §6,
//! dissertation §4.2, §4.3).
//!
//! A server that is added gets the log as a learner first, so that it does not count before it can keep up
//! (dissertation §4.2.1). Voters change only through a joint configuration. What is still to come stands in
//! the configuration itself, so that whoever leads next goes on from the log alone.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::configuration::{Configuration, Member, MemberRole, Promotion};
use crate::types::{Incarnation, NodeId};

/// A change of the members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A server that is not a member becomes one.
    Add {
        /// The server.
        id: NodeId,
        /// `HOST:PORT` at which the members reach it.
        address: String,
        /// Whether it stays a learner. Otherwise it votes once it has caught up.
        learner_only: bool,
        /// The higher, the rather it leads.
        priority: u8,
    },
    /// A learner becomes a voter once it has caught up.
    Promote {
        /// The learner.
        id: NodeId,
    },
    /// A member leaves.
    Remove {
        /// The member.
        id: NodeId,
        /// Even where a majority of those who stay cannot be reached now: until enough of them are back,
        /// nothing can be written.
        force: bool,
    },
    /// A voter leaves, and a server that is not a member takes its place once it has caught up.
    Replace {
        /// The voter.
        old: NodeId,
        /// The server.
        new: NodeId,
        /// `HOST:PORT` at which the members reach it.
        address: String,
    },
    /// A member's priority becomes another.
    SetPriority {
        /// The member.
        id: NodeId,
        /// The higher, the rather it leads.
        priority: u8,
    },
    /// A member is reached at another address.
    SetAddress {
        /// The member.
        id: NodeId,
        /// `HOST:PORT`.
        address: String,
    },
}

/// Why a leader did not begin a change. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum ChangeRefused {
    /// One change at a time (paper §6).
    #[error("another change of the members is under way: {under_way}; wait until it is done")]
    Conflict {
        /// Which, in words.
        under_way: String,
    },
    /// The leader has not yet committed an entry of its term, and so cannot know which configuration is
    /// committed (the fault that was found in 2015 in changes of single servers). It will soon.
    #[error("the leader has just been elected and has not committed an entry of its term yet; try again")]
    TermNotOpen,
    /// It is one already.
    #[error("{id} is a member already")]
    AlreadyMember {
        /// The server.
        id: NodeId,
    },
    /// There is no such member.
    #[error("{id} is not a member of this cluster")]
    NoSuchMember {
        /// The server.
        id: NodeId,
    },
    /// Only a voter can be replaced.
    #[error("{id} does not vote; remove it and add the other one")]
    NotAVoter {
        /// The member.
        id: NodeId,
    },
    /// Somebody has to vote.
    #[error("{id} is the only voter: a cluster without one could not decide anything")]
    LastVoter {
        /// The member.
        id: NodeId,
    },
    /// Of those who would vote, too few can be reached now.
    #[error(
        "of the {voters} who would vote, the leader reaches {reachable}, and {needed} are needed: nothing \
         could be written until more of them are back"
    )]
    WouldLoseQuorum {
        /// Who would vote.
        voters: usize,
        /// How many of them the leader reaches.
        reachable: usize,
        /// A majority of them.
        needed: usize,
    },
    /// The cluster is as large as it may be.
    #[error("a cluster has at most {most} members")]
    TooManyMembers {
        /// The most.
        most: usize,
    },
    /// It is none.
    #[error("{address:?} is no address: HOST:PORT is wanted, in at most {most} bytes")]
    BadAddress {
        /// What was given.
        address: String,
        /// The longest, in bytes.
        most: usize,
    },
    /// Another change took this one back before it was done.
    #[error("another change of the members took this one back")]
    TakenBack,
}

impl ChangeRefused {
    /// A stable word for it, for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ChangeRefused::Conflict { .. } => "conflict",
            ChangeRefused::TermNotOpen => "term_not_open",
            ChangeRefused::AlreadyMember { .. } => "already_member",
            ChangeRefused::NoSuchMember { .. } => "no_such_member",
            ChangeRefused::NotAVoter { .. } => "not_a_voter",
            ChangeRefused::LastVoter { .. } => "last_voter",
            ChangeRefused::WouldLoseQuorum { .. } => "would_lose_quorum",
            ChangeRefused::TooManyMembers { .. } => "too_many_members",
            ChangeRefused::BadAddress { .. } => "bad_address",
            ChangeRefused::TakenBack => "taken_back",
        }
    }

    /// Whether the reason passes by itself within moments.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, ChangeRefused::TermNotOpen)
    }
}

/// How far a change has come, by a server's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// It is as was asked for, and nothing else is to come.
    Done,
    /// It is on its way.
    UnderWay,
    /// It is not as was asked for, and nothing is on its way there.
    TakenBack,
}

impl Change {
    /// How far it has come in a configuration that is in force.
    #[must_use]
    pub fn state_in(&self, configuration: &Configuration) -> ChangeState {
        let member = |id: &NodeId| configuration.member(id);
        let on_its_way = |is_on_its_way: bool| {
            if is_on_its_way { ChangeState::UnderWay } else { ChangeState::TakenBack }
        };
        match self {
            Change::Add { id, learner_only: true, .. } => match member(id) {
                Some(_) => ChangeState::Done,
                None => ChangeState::TakenBack,
            },
            Change::Add { id, .. } | Change::Promote { id } => match member(id) {
                Some(found) if found.role == MemberRole::Voter && !configuration.is_joint() => {
                    ChangeState::Done
                }
                found => on_its_way(found.is_some_and(|found| {
                    found.role == MemberRole::Voter || found.promotion != Promotion::No
                })),
            },
            Change::Remove { id, .. } => match member(id) {
                None => ChangeState::Done,
                Some(found) => on_its_way(found.role == MemberRole::Leaving),
            },
            Change::Replace { old, new, .. } => match (member(old), member(new)) {
                (_, None) => ChangeState::TakenBack,
                (None, Some(new)) if new.role == MemberRole::Voter => ChangeState::Done,
                (None, Some(new)) => on_its_way(new.promotion != Promotion::No),
                // Where both vote, the new one was promoted apart, and the old one stays.
                (Some(old), Some(new)) if new.role == MemberRole::Voter => {
                    on_its_way(old.role == MemberRole::Leaving)
                }
                (Some(_), Some(new)) => on_its_way(new.promotion == Promotion::InPlaceOf(old.clone())),
            },
            Change::SetPriority { id, priority } => match member(id) {
                Some(found) if found.priority == *priority => ChangeState::Done,
                _ => ChangeState::TakenBack,
            },
            Change::SetAddress { id, address } => match member(id) {
                Some(found) if found.address == *address => ChangeState::Done,
                _ => ChangeState::TakenBack,
            },
        }
    }

    /// The member that it is about; of a replacement, the new one.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        match self {
            Change::Add { id, .. }
            | Change::Promote { id }
            | Change::Remove { id, .. }
            | Change::Replace { new: id, .. }
            | Change::SetPriority { id, .. }
            | Change::SetAddress { id, .. } => id,
        }
    }

    /// The configuration with which it begins; none where all is as asked for already.
    ///
    /// # Errors
    /// When the configuration does not allow it.
    pub(super) fn begin(&self, from: &Configuration) -> Result<Option<Configuration>, ChangeRefused> {
        let member =
            |id: &NodeId| from.member(id).ok_or_else(|| ChangeRefused::NoSuchMember { id: id.clone() });
        let edited = |id: &NodeId, edit: &dyn Fn(&mut Member)| {
            let mut member = member(id)?.clone();
            edit(&mut member);
            let next = from.with(id, member);
            Ok((next != *from).then_some(next))
        };
        match self {
            Change::Add { id, address, learner_only, priority } => {
                let promotion = if *learner_only { Promotion::No } else { Promotion::Voter };
                add(from, id, address, *priority, promotion)
            }
            Change::Promote { id } => match member(id)?.role {
                MemberRole::Learner => edited(id, &|member| member.promotion = Promotion::Voter),
                MemberRole::Voter | MemberRole::Leaving => Ok(None),
            },
            Change::Remove { id, .. } => match member(id)?.role {
                MemberRole::Learner => Ok(Some(from.without(id))),
                MemberRole::Leaving => Ok(None),
                MemberRole::Voter if from.voter_count() == 1 => {
                    Err(ChangeRefused::LastVoter { id: id.clone() })
                }
                MemberRole::Voter => Ok(Some(from.removing(id))),
            },
            Change::Replace { old, new, address } => {
                let has_its_place =
                    |found: &Member| found.role == MemberRole::Voter && found.address == *address;
                let is_leaving = |found: &Member| found.role == MemberRole::Leaving;
                if from.member(new).is_some_and(has_its_place) && from.member(old).is_none_or(is_leaving) {
                    return Ok(None);
                }
                let leaves = member(old)?;
                if leaves.role != MemberRole::Voter {
                    return Err(ChangeRefused::NotAVoter { id: old.clone() });
                }
                add(from, new, address, leaves.priority, Promotion::InPlaceOf(old.clone()))
            }
            Change::SetPriority { id, priority } => edited(id, &|member| member.priority = *priority),
            Change::SetAddress { id, address } => {
                check_address(address)?;
                edited(id, &|member| member.address.clone_from(address))
            }
        }
    }
}

impl Member {
    /// Whether it is what a learner with this promotion becomes, or on the way there.
    fn is_coming_to(&self, promotion: &Promotion) -> bool {
        match promotion {
            Promotion::No => self.role == MemberRole::Learner && self.promotion == Promotion::No,
            // In whose place it votes was for others to say.
            Promotion::Voter => self.role == MemberRole::Voter || self.promotion != Promotion::No,
            Promotion::InPlaceOf(_) => self.promotion == *promotion,
        }
    }

    /// Whether it was added so that it may take somebody's place.
    fn is_prepared(&self) -> bool {
        self.role == MemberRole::Learner && self.promotion == Promotion::No
    }
}

/// Adds a learner, or has one that was prepared take its place. Asked for a second time, it is there already.
fn add(
    from: &Configuration,
    id: &NodeId,
    address: &str,
    priority: u8,
    promotion: Promotion,
) -> Result<Option<Configuration>, ChangeRefused> {
    check_address(address)?;
    let member =
        Member { address: address.into(), role: MemberRole::Learner, incarnation: None, priority, promotion };
    let takes_a_place = matches!(member.promotion, Promotion::InPlaceOf(_));
    match from.member(id) {
        Some(found) if found.address == address && found.is_coming_to(&member.promotion) => Ok(None),
        Some(found) if found.address == address && found.is_prepared() && takes_a_place => {
            Ok(Some(from.with(id, Member { incarnation: found.incarnation, ..member })))
        }
        Some(_) => Err(ChangeRefused::AlreadyMember { id: id.clone() }),
        None if from.members().len() >= Configuration::MAX_MEMBERS => {
            Err(ChangeRefused::TooManyMembers { most: Configuration::MAX_MEMBERS })
        }
        None => Ok(Some(from.with(id, member))),
    }
}

fn check_address(address: &str) -> Result<(), ChangeRefused> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    let is_port = port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0);
    if is_port && address.len() <= Member::MAX_ADDRESS {
        return Ok(());
    }
    let given = address.chars().take(Member::MAX_ADDRESS).collect();
    Err(ChangeRefused::BadAddress { address: given, most: Member::MAX_ADDRESS })
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Add { id, address, learner_only: true, .. } => {
                write!(f, "add {id} at {address}, a learner")
            }
            Change::Add { id, address, .. } => write!(f, "add {id} at {address}"),
            Change::Promote { id } => write!(f, "promote {id}"),
            Change::Remove { id, .. } => write!(f, "remove {id}"),
            Change::Replace { old, new, address } => write!(f, "replace {old} by {new} at {address}"),
            Change::SetPriority { id, priority } => write!(f, "give {id} priority {priority}"),
            Change::SetAddress { id, address } => write!(f, "reach {id} at {address}"),
        }
    }
}

/// The configurations of a change, one after the other.
impl Configuration {
    /// With a member as given, in place of what it says of it.
    pub(super) fn with(&self, id: &NodeId, member: Member) -> Configuration {
        let mut next = self.clone();
        next.members.insert(id.clone(), member);
        next
    }

    /// Without a member that does not vote.
    pub(super) fn without(&self, id: &NodeId) -> Configuration {
        let mut next = self.clone();
        next.members.remove(id);
        next
    }

    /// Joint: from the voters as they are to those after `edit`.
    fn joint(&self, edit: impl FnOnce(&mut Configuration)) -> Configuration {
        let mut next = self.clone();
        next.outgoing = self.voters().cloned().collect();
        edit(&mut next);
        next
    }

    /// Joint: a voter leaves.
    pub(super) fn removing(&self, id: &NodeId) -> Configuration {
        self.joint(|next| next.leaves(id))
    }

    fn leaves(&mut self, id: &NodeId) {
        if let Some(member) = self.members.get_mut(id).filter(|member| member.role == MemberRole::Voter) {
            member.role = MemberRole::Leaving;
        }
    }

    /// Joint: a learner votes, in the place of another where it says so.
    pub(super) fn promoting(&self, id: &NodeId) -> Configuration {
        self.joint(|next| {
            let Some(member) = next.members.get_mut(id) else { return };
            member.role = MemberRole::Voter;
            if let Promotion::InPlaceOf(old) = core::mem::take(&mut member.promotion) {
                next.leaves(&old);
            }
        })
    }

    /// Joint: a voter that came back with another disk is a learner until it has caught up.
    pub(super) fn demoting(&self, id: &NodeId, incarnation: Incarnation) -> Configuration {
        self.joint(|next| {
            if let Some(member) = next.members.get_mut(id) {
                member.role = MemberRole::Learner;
                member.incarnation = Some(incarnation);
                member.promotion = Promotion::Voter;
            }
        })
    }

    /// The one that follows a joint configuration: of the incoming voters alone.
    pub(super) fn settled(&self) -> Configuration {
        let mut next = self.clone();
        next.outgoing.clear();
        next.members.retain(|_, member| member.role != MemberRole::Leaving);
        next
    }

    /// The change that is under way in it, in words, leaving out that of one member.
    pub(super) fn under_way(&self, but: Option<&NodeId>) -> Option<String> {
        if self.is_joint() {
            return Some("the voters change".into());
        }
        let coming = |(id, member): (&NodeId, &Member)| {
            let is_other = but != Some(id);
            match &member.promotion {
                _ if !is_other => None,
                Promotion::No => None,
                Promotion::Voter => Some(alloc::format!("{id} is to vote once it has caught up")),
                Promotion::InPlaceOf(old) => {
                    Some(alloc::format!("{id} takes the place of {old} once it has caught up"))
                }
            }
        };
        self.members().find_map(coming)
    }
}

#[cfg(test)]
mod tests;
