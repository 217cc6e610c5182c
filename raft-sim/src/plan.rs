//! What a seed draws before anything happens: how large the cluster is, how fast its parts are, who uses it.

use std::time::Duration;

use raft_core::consensus::Timing;
use raft_core::log::LogOptions;

use crate::dice::Dice;

/// The world of one seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many servers vote.
    pub servers: usize,
    /// How many machines there are besides, which operators may add to the cluster.
    pub spares: usize,
    /// Whether they have met before; if not, they have new disks and have to form a cluster first.
    pub acquainted: bool,
    /// Timeouts.
    pub timing: Timing,
    /// Layout of the log.
    pub log: LogOptions,
    /// After how many entries servers take a snapshot; none in worlds whose log is kept.
    pub snapshot_every: Option<u64>,
    /// A message's way takes between these, in microseconds.
    pub latency: (u64, u64),
    /// Whether connections keep the order of what is sent, as real ones do.
    pub in_order: bool,
    /// A flush takes between these, in microseconds.
    pub flush: (u64, u64),
    /// A step of the replica takes between these, in microseconds.
    pub processor: (u64, u64),
    /// How many clients ask, one question at a time each.
    pub clients: usize,
    /// How many keys there are.
    pub keys: usize,
    /// How many operations the clients ask for, all together.
    pub operations: u64,
    /// A value is made longer by up to so many bytes.
    pub padding: u64,
    /// A client thinks between these, in microseconds.
    pub think: (u64, u64),
    /// For how long things go wrong.
    pub turmoil: Duration,
    /// How often something may happen to servers and to the network, in microseconds.
    pub chaos_every: u64,
}

impl Plan {
    /// Draws a seed's world.
    #[must_use]
    pub fn draw(seed: u64) -> Plan {
        let mut dice = Dice::stream(seed, "plan");
        let timing = if dice.one_in(4) {
            let min = dice.between(40, 400);
            Timing {
                election_timeout_min: Duration::from_millis(min),
                election_timeout_max: Duration::from_millis(min + dice.between(min / 4 + 1, min * 2)),
                heartbeat_interval: Duration::from_millis(dice.between(min / 10 + 1, min / 2)),
            }
        } else {
            Timing::default()
        };
        let fastest = [20, 50, 200, 1000][dice.index(4)];
        let fastest_flush = [50, 150, 1000, 5000][dice.index(4)];
        let pace = [500, 2000, 10_000, 40_000][dice.index(4)];
        let longest = [3000, 10_000, 20_000][dice.index(3)];
        let most = [100, 300, 600][dice.index(3)];
        let servers = [3, 3, 3, 3, 3, 5, 5, 5, 2, 1, 4, 7][dice.index(12)];
        let mut members = Dice::stream(seed, "members");
        let mut snapshots = Dice::stream(seed, "snapshots");
        let spares = if servers <= 5 { [0, 0, 0, 1, 3, 5][members.index(6)] } else { 0 };
        Plan {
            servers,
            spares,
            snapshot_every: [None, None, Some(5), Some(20), Some(60), Some(150)][snapshots.index(6)],
            acquainted: !dice.one_in(5),
            timing,
            log: LogOptions { segment_size: [1024, 4096, 8192, 65_536][dice.index(4)] },
            latency: (fastest, fastest * dice.between(1, 8)),
            in_order: dice.one_in(2),
            flush: (fastest_flush, fastest_flush * dice.between(1, 4)),
            processor: (1, [2, 20, 200][dice.index(3)]),
            clients: usize::try_from(dice.between(1, 6)).expect("small"),
            keys: usize::try_from(dice.between(1, 4)).expect("small"),
            operations: dice.between(20, most),
            padding: [0, 0, 200, 3000][dice.index(4)],
            think: (pace / 4, pace * 2),
            turmoil: Duration::from_millis(dice.between(1000, longest)),
            chaos_every: dice.between(10, 150) * 1000,
        }
    }
}
