//! Deliberate protocol bugs, to prove that the checks bite.
//!
//! A checker that finds nothing proves something only if it would have found something. Each [`Bug`] breaks
//! one rule at the place where the rule lives; simulator and model checker must catch it. Without the cargo
//! feature `seeded-bugs`, which no crate that ships turns on, [`is`] is the constant `false` and the
//! compiler removes the branch.
//!
//! The switch is one for the whole process, since a replica has no room for it: a program plants one bug at a
//! time. Two bugs are for the world outside to carry out, and say so.

#[cfg(feature = "seeded-bugs")]
use core::sync::atomic::{AtomicU32, Ordering};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A rule of the protocol, broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$name),+];

            /// Its name as it is written here.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Bug::$name => stringify!($name),)+
                }
            }
        }
    };
}

bugs! {
    // Elections.
    /// A vote is stored without whom it went to (paper §5.2: votes outlive restarts).
    VoteNotPersisted,
    /// A follower gives its vote to everyone who asks (paper §5.2: one vote a term).
    VoteTwice,
    /// A voter does not ask whose log is longer (paper §5.4.1).
    NoUpToDateCheck,
    /// Messages leave before the term and the vote behind them are durable (paper Figure 2).
    TermNotPersisted,
    /// Term and vote are never written (PySyncObj #84; paper Figure 2, "persistent state").
    HardStateNeverWritten,
    /// A pre-vote raises the term of the one who is asked (dissertation §9.6: it changes nothing there), so
    /// that a server which was cut off deposes a working leader.
    PreVoteBumpsTerm,
    /// A vote counts in whatever term it was given (paper §5.2).
    StaleVoteCounted,
    /// Half of an even number of voters passes for a majority (paper §5.1).
    HalfIsMajority,
    /// A member that lost its disk takes part under its old name at once (paper §5.2: it may have forgotten
    /// a vote or an entry).
    WipedMemberVotes,

    // Replication.
    /// A leader commits entries of earlier terms by counting them (paper §5.4.2, Figure 8).
    CommitOldTerm,
    /// A follower reports entries that its disk has not answered for (paper Figure 2).
    AckBeforeSync,
    /// A follower reports all its log as equal to the leader's, beyond what it has compared (paper §5.3).
    AckBeyondMatch,
    /// A leader counts its own copy before its disk has answered (dissertation §10.2.1).
    LeaderCountsUnsynced,
    /// The same in a cluster of one only: applied and acknowledged before the log is synced (etcd #14370).
    AppliedBeforeSynced,
    /// A follower cuts its log at every entry it is sent, even one that it has (paper §5.3: only on
    /// conflict), so that a late message takes back what was acknowledged.
    TruncateCommitted,
    /// A follower has an entry before the new ones, and does not ask whether it is the same (paper §5.3).
    NoMatchCheck,
    /// A follower commits up to the leader's index in whatever its log holds (paper Figure 2: the lesser of
    /// that and the last *new* entry).
    CommitBeyondMatch,
    /// A follower keeps its entry where the leader's differs (paper §5.3).
    ConflictIgnored,
    /// A leader takes an answer given in another term for one of its own.
    EpochMixup,
    /// A follower goes on listening to a leader whose term is over (paper §5.1).
    DeposedLeaderHeard,

    // Reads.
    /// A leader reads without a round of heartbeats (dissertation §6.4, step 3).
    ReadWithoutRound,
    /// A new leader reads before an entry of its term is committed (dissertation §6.4, step 1).
    ReadBeforeTermStart,
    /// A round counts as confirmed without a majority: a deposed leader goes on answering.
    StaleLeaderServes,
    /// A round counts as confirmed by whoever was heard within the *longest* election timeout: a lease longer
    /// than the time for which voters hold back (dissertation §6.4.1).
    LeaseMisuse,
    /// A read is answered before its index is applied (dissertation §6.4, step 4).
    ReadBeforeApplied,

    // Membership.
    /// A learner's vote and copies count (dissertation §4.2.1).
    LearnerCounted,
    /// While the voters are being changed, one majority of the old and the new ones together decides (paper
    /// §6: one of each).
    JointIsOne,
    /// While the voters are being changed, the new ones decide alone (paper §6).
    JointIsNewAlone,
    /// A configuration is in force only once it is committed (paper §6: once it is in the log).
    ConfigurationAtCommit,
    /// A change begins before the one before is committed (paper §6: one at a time).
    ChangesOverlap,
    /// A change begins before an entry of the leader's term is committed (the fault that was found in 2015).
    ChangeBeforeTermStart,
    /// Who was removed is listened to as before, and is not told (paper §6).
    RemovedHeard,
    /// Who was removed stands for election on and on (paper §6).
    RemovedStands,
    /// A configuration stays in force when the part of the log is cut off that brought it (paper §6).
    ConfigurationOutlivesTruncation,

    // Applying, sessions, clients.
    /// Each batch applies the last entry of the one before once more (paper Figure 2: `lastApplied`).
    ApplyTwice,
    /// After a restart, what was committed counts as applied and is not in the state machine (etcd #13766:
    /// applied index and data out of step after a crash).
    AppliedIndexAheadOfData,
    /// The session table is not rebuilt from what is applied at the start (dissertation §6.3).
    DedupeLostOnRestart,
    /// A forwarded command without a session is handed on again after its stream broke (dissertation §6.3).
    SessionlessRetry,
    /// A command is handed on although its client was told that it had no effect, and takes effect after
    /// newer ones (etcd #13433: a delayed old write beats a newer one).
    OldWriteAfterNew,
    /// A client whose command may take effect is told that it had none.
    UncertainToldNoEffect,
    /// A leader does not compare the states of its followers with its own (`replica/divergence.rs`).
    StatesNotCompared,

    // Snapshots.
    /// What changes while a snapshot is taken is in it, or not, as it happens (paper §7: it is the state at
    /// one log index).
    SnapshotNotFrozen,
    /// The members that a snapshot carries are not taken over (paper §7: it includes the latest
    /// configuration).
    SnapshotLosesMembers,
    /// The sessions in a snapshot are not taken over (dissertation §6.3: they are part of the state).
    SnapshotLosesSessions,
    /// A snapshot takes the place of a state that is newer (paper §7, Figure 13).
    OlderSnapshotInstalled,
    /// After a snapshot was installed, a log that does not fit it stays (paper §7, Figure 13, rule 7).
    SnapshotKeepsConflict,
    /// The log is let go of before the record of the snapshot that takes its place is durable.
    LogRemovedFirst,
    /// A snapshot is taken in although it does not fit its checksums.
    SnapshotChecksumsIgnored,

    // The disk.
    /// The commit index on disk counts what is in the log and not committed, and is believed
    /// (PySyncObj #202).
    CommitIndexAheadOfLog,
    /// A failed write passes for a write (d-engine #404: it was only logged).
    DiskFailureIgnored,
    /// Recovery cuts the last whole frame off with the torn ones.
    TailCutTooFar,
    /// Recovery takes a frame whose payload does not fit its checksum.
    ChecksumIgnored,
    /// What an earlier process wrote and did not flush is acted upon without being flushed.
    RepairsSkipped,
    /// A new directory gets its identity before its first segment.
    IdentityFirst,
    /// A leader whose disk does not answer goes on leading (hashicorp/raft #503).
    HungDiskLeads,
    /// For the simulated disk: a prepared file's name is not durable when the preparation is answered.
    DirectoryNotSynced,
    /// For the simulated disk: writes to a file do not wait for its preparation.
    PrepareNotAwaited,
}

impl Bug {
    /// Those that show only where members change. The scenarios of `raft-core` catch them too.
    pub const OF_MEMBERSHIP: &[Bug] = &[
        Bug::LearnerCounted,
        Bug::JointIsOne,
        Bug::JointIsNewAlone,
        Bug::ConfigurationAtCommit,
        Bug::ChangesOverlap,
        Bug::ChangeBeforeTermStart,
        Bug::RemovedHeard,
        Bug::RemovedStands,
        Bug::ConfigurationOutlivesTruncation,
    ];

    /// Those that show where a snapshot is installed. The scenarios of `raft-core` catch them too.
    pub const OF_INSTALLING: &[Bug] = &[
        Bug::SnapshotLosesMembers,
        Bug::SnapshotLosesSessions,
        Bug::OlderSnapshotInstalled,
        Bug::SnapshotKeepsConflict,
    ];
}

#[cfg(feature = "seeded-bugs")]
static PLANTED: AtomicU32 = AtomicU32::new(0);

#[cfg(feature = "seeded-bugs")]
fn number(bug: Bug) -> u32 {
    bug as u32 + 1
}

/// Plants a bug in every replica of this process, in place of the one before; none heals them.
#[cfg(feature = "seeded-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, number), Ordering::SeqCst);
}

/// Whether this bug is planted.
#[cfg(feature = "seeded-bugs")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(Ordering::Relaxed) == number(bug)
}

/// Whether this bug is planted: never, in this build.
#[cfg(not(feature = "seeded-bugs"))]
#[inline]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}
