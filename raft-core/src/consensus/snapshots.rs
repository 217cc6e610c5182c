//! A follower whose next entry the leader does not keep any more gets a snapshot (paper §7).
//!
//! The leader asks first how much the follower has, and sends the rest of the file in chunks, a bounded
//! number of bytes ahead of what the follower reports durable. Where either restarts, the stream ends, or
//! another server leads, it asks again: the file is the same on every server. What reads and writes files is
//! in `replica/snapshots/`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::progress::Installing;
use super::{Consensus, RoleState};
use crate::disk::AsideError;
use crate::log::checksum;
use crate::message::{InstallReply, InstallSnapshot, Message, Received, Round, SnapshotChunk};
use crate::replica::Notice;
use crate::seeded::{self, Bug};
use crate::types::{EntryId, LogIndex, NodeId};

/// Snapshots that a leader takes before it gives up on a follower which gets no further.
const PATIENCE: u32 = 3;

/// What a follower makes of a leader's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The sender does not lead.
    Refused,
    /// All that it holds is committed here: an older one replaces nothing.
    Superfluous,
    /// It is to be received.
    Wanted,
}

/// A part of a snapshot's file that is read to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ChunkRead {
    /// The follower.
    pub(crate) to: NodeId,
    /// The last entry that the snapshot holds.
    pub(crate) snapshot: EntryId,
    /// Where the part begins, in bytes.
    pub(crate) offset: u64,
}

/// Whether a leader has a snapshot that a follower has a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has.
    Kept,
    /// It is taking it, or is about to.
    ToCome,
    /// It has not.
    Unknown,
}

impl Consensus {
    /// The snapshot that a follower gets which lacks what is not kept any more.
    pub(super) fn snapshot_to_send(&self) -> Option<EntryId> {
        let reaches = |snapshot: &&EntryId| snapshot.index >= self.log.base().index;
        self.snapshots.back().filter(reaches).copied()
    }

    /// Followers that were to get a snapshot which is not kept any more get the latest one.
    pub(crate) fn send_only_kept(&mut self) {
        let Some(latest) = self.snapshot_to_send() else { return };
        let RoleState::Leader(leadership) = &mut self.role else { return };
        for progress in leadership.progress.values_mut() {
            let is_kept = |installing: &Installing| self.snapshots.contains(&installing.snapshot);
            if progress.installing().is_some_and(|installing| !is_kept(installing)) {
                progress.needs_snapshot(latest);
            }
        }
    }

    /// The next chunk to be read from a file, for a follower that has room for it. Followers after `last`
    /// come first.
    pub(crate) fn next_chunk(&self, last: Option<&NodeId>) -> Option<ChunkRead> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        let wanted = leadership.progress.iter().filter_map(|(peer, progress)| {
            let installing = progress.installing()?;
            let sends = self.connected.contains(peer) && installing.may_send(self.now);
            sends.then_some((peer, installing))
        });
        let is_later = |peer: &NodeId| last.is_none_or(|last| peer > last);
        let (peer, installing) =
            wanted.clone().find(|(peer, _)| is_later(peer)).or_else(|| wanted.clone().next())?;
        Some(ChunkRead { to: peer.clone(), snapshot: installing.snapshot, offset: installing.next })
    }

    /// A chunk was read: it is sent, if it is still the next one.
    pub(crate) fn send_chunk(&mut self, chunk: ChunkRead, data: Bytes, is_last: bool) {
        let ChunkRead { to, snapshot, offset } = &chunk;
        let (snapshot, offset) = (*snapshot, *offset);
        let (term, now) = (self.term(), self.now);
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let round = leadership.round;
        let Some(progress) = leadership.progress.get_mut(to) else { return };
        let heartbeat = self.timing.heartbeat_interval;
        let Some(installing) = progress.installing_mut() else { return };
        let is_next = installing.snapshot == snapshot && installing.next == offset;
        if !is_next || !installing.may_send(now) || !self.connected.contains(to) {
            return;
        }
        installing.sent(data.len() as u64, is_last);
        let sent = installing.next;
        progress.heartbeat_due = now + heartbeat;
        let chunk = Some(SnapshotChunk { offset, checksum: checksum(&data), data, is_last });
        self.send(to, Message::InstallSnapshot(InstallSnapshot { term, round, snapshot, sent, chunk }));
    }

    /// A chunk could not be read: this leader's file is damaged or gone, and the follower has to wait.
    pub(crate) fn chunk_unreadable(&mut self, to: &NodeId, error: &AsideError) {
        let pause_until = self.now + self.timing.election_timeout_max * 10;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        if let Some(installing) = leadership.progress.get_mut(to).and_then(|p| p.installing_mut()) {
            installing.pause_until = pause_until;
        }
        self.notify(Notice::SnapshotNotSent { peer: to.clone(), reason: error.reason.clone() });
    }

    /// One more snapshot is kept.
    pub(crate) fn keep_snapshot(&mut self, snapshot: EntryId) {
        self.snapshots.push_back(snapshot);
        self.next_snapshot.take_if(|next| next.index <= snapshot.index);
        if let RoleState::Leader(leadership) = &mut self.role {
            leadership.progress.values_mut().for_each(|progress| progress.idle_snapshots += 1);
        }
    }

    /// Whether a follower is in the midst of receiving a snapshot, or of catching up by the log between it
    /// and the next one, and has got further lately. To one that is cut off a snapshot may yet be sent on.
    pub(crate) fn needs_kept(&self, snapshot: EntryId, next: LogIndex) -> bool {
        let Some(leadership) = self.leadership() else { return false };
        leadership.progress.iter().any(|(peer, progress)| {
            let needs_it = match progress.installing() {
                Some(installing) => installing.snapshot == snapshot,
                None => {
                    let catches_up = (snapshot.index..next).contains(&progress.match_index);
                    catches_up && self.connected.contains(peer)
                }
            };
            needs_it && progress.idle_snapshots <= PATIENCE
        })
    }

    /// A follower says what it has.
    pub(super) fn handle_install_reply(&mut self, from: &NodeId, reply: &InstallReply) {
        let pause_until = self.now + self.timing.election_timeout_max * 10;
        let standing = self.standing_of(reply.snapshot);
        let Some(progress) = self.hear_follower(from, reply.term, reply.round) else { return };
        let Some(installing) = progress.installing_mut() else { return };
        let was_located = installing.is_located;
        if installing.snapshot == reply.snapshot {
            progress.received(reply.received, pause_until);
        } else if reply.received == Received::Refused {
            return;
        } else if was_located {
            // It has not heard yet that it is to give that up; or what it said of this one came late, from an
            // earlier process. Its next answer tells.
            installing.is_located = false;
            return;
        } else {
            // It has a part of another one.
            match standing {
                Standing::Kept => {
                    *installing = Installing::new(reply.snapshot);
                    progress.received(reply.received, pause_until);
                }
                Standing::ToCome => return,
                // It has to give that up: a chunk from the start says so.
                Standing::Unknown => installing.go_on_from(0),
            }
        }
        let located = progress.installing().filter(|installing| installing.is_located && !was_located);
        if let Some(Installing { snapshot, next: bytes, .. }) = located.cloned() {
            self.notify(Notice::SendingSnapshot { to: from.clone(), index: snapshot.index, bytes });
        }
    }

    /// Whether a snapshot that a follower has a part of can be sent on.
    fn standing_of(&self, snapshot: EntryId) -> Standing {
        let is_kept = self.snapshots.contains(&snapshot) && snapshot.index >= self.log.base().index;
        let will_be_taken = snapshot.index > self.applied.index && self.log.holds(snapshot);
        match is_kept {
            true => Standing::Kept,
            false if will_be_taken || self.next_snapshot == Some(snapshot) => Standing::ToCome,
            false => Standing::Unknown,
        }
    }
}

impl Consensus {
    /// A leader has a snapshot for this server.
    pub(crate) fn snapshot_offered(&mut self, from: &NodeId, install: &InstallSnapshot) -> Offer {
        if install.term < self.term() || self.is_led_by_another(from, install.term) {
            return Offer::Refused;
        }
        self.hear_leader(from, install.term);
        let is_older = install.snapshot.index <= self.commit_index;
        let is_known = is_older && !seeded::is(Bug::OlderSnapshotInstalled);
        let RoleState::Follower(following) = &mut self.role else { unreachable!("just became a follower") };
        following.round = following.round.max(install.round);
        if is_known {
            // Committed is what every leader has (paper Figure 3, leader completeness).
            following.verified = following.verified.max(install.snapshot.index);
            following.reply_due = true;
            return Offer::Superfluous;
        }
        Offer::Wanted
    }

    /// Tells the leader what this server has of a snapshot.
    pub(crate) fn report_received(&mut self, leader: &NodeId, snapshot: EntryId, received: Received) {
        let round = match &self.role {
            RoleState::Follower(following) => following.round,
            _ => Round::default(),
        };
        let reply = InstallReply { term: self.term(), round, snapshot, received };
        self.send(leader, Message::InstallReply(reply));
    }

    /// A snapshot takes the place of what it holds of the log. Where the log holds the entry that it ends
    /// with, all after that is kept; else everything is discarded (paper §7, Figure 13, rules 6 and 7).
    ///
    /// # Panics
    /// When that would discard something committed.
    pub(crate) fn install(&mut self, snapshot: EntryId) {
        let keeps = seeded::is(Bug::SnapshotKeepsConflict) && self.log.last_index() > snapshot.index;
        if !self.log.holds(snapshot) && !keeps {
            assert!(snapshot.index > self.commit_index, "what is committed is never removed");
            self.log.restart(snapshot);
            self.configurations.truncate(snapshot.index.next());
        }
        self.commit_index = self.commit_index.max(snapshot.index);
        if let RoleState::Follower(following) = &mut self.role {
            following.verified = following.verified.max(snapshot.index).min(self.log.last_index());
            following.reply_due |= following.leader.is_some();
        }
    }
}
