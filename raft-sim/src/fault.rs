//! Everything that can go wrong, each under a name of its own, with how often it did.

use crate::dice::Dice;

macro_rules! faults {
    ($($variant:ident = $name:literal, one in $rarity:literal, $what:literal;)*) => {
        /// A named point at which the simulator may do harm.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Fault {
            $(#[doc = $what] $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$variant),*];

            /// What it is called on the command line and in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name),* }
            }

            /// What happens.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Fault::$variant => $what),* }
            }

            /// How rare it is by default, each time there is an opportunity.
            fn rarity(self) -> u64 {
                match self { $(Fault::$variant => $rarity),* }
            }
        }
    };
}

// A new one goes to the end: a seed draws for one after the other, and is to stay the world that it is.
faults! {
    Drop = "net.drop", one in 40, "a message is lost";
    Duplicate = "net.duplicate", one in 40, "a message comes once more, up to 5 s later";
    Overtake = "net.overtake", one in 20, "a message is overtaken by later ones";
    Delay = "net.delay", one in 60, "a message takes up to 600 ms, now and then 5 s";
    Late = "net.late", one in 4, "a message of a connection that is gone arrives all the same";
    Reset = "net.reset", one in 12, "a connection is reset, with what was under way in it";
    HalfOpen = "net.half-open", one in 30, "a connection is dead and its sender does not know";
    FalseDeath = "net.false-death", one in 3, "a reset connection looks as if the peer's process had died";
    SlowDial = "net.slow-dial", one in 6, "a connection takes up to a second to be made";
    Halves = "net.halves", one in 120, "the network splits in two";
    CutOne = "net.cut-one", one in 120, "one server is cut off from all others";
    CutLeader = "net.cut-leader", one in 90, "the leader is cut off from all others";
    OneWay = "net.one-way", one in 120, "one server hears others and is not heard, or the reverse";
    PairCut = "net.pair", one in 90, "two servers are cut off from each other only";
    Flap = "net.flap", one in 180, "a cut comes and goes every few milliseconds";
    StrangersMessage = "net.strangers-message", one in 60, "a message comes from a disk nobody knows";
    TermBeyondAll = "net.term-beyond-all", one in 60, "a message carries a term beyond all bounds";
    StrangersCall = "net.strangers-call", one in 60, "a documented RPC is called with a term out of reach";
    SlowDisk = "disk.slow", one in 25, "a flush takes up to 100 ms";
    HungDisk = "disk.hung", one in 400, "a flush takes up to 3 s";
    FlushFails = "disk.flush-fails", one in 300, "a flush fails, and what it was to write is there in part";
    FullDisk = "disk.full", one in 30, "there is no room for the next segment for up to 3 s";
    AllLost = "disk.all-lost", one in 3, "power fails: nothing that was not flushed is there";
    AllKept = "disk.all-kept", one in 3, "power fails: all that was written is there, flushed or not";
    SubsetLost = "disk.subset-lost", one in 4, "power fails: some unflushed writes are lost, in any order";
    TornSector = "disk.torn", one in 2, "power fails: of an unflushed write some sectors are lost";
    MidBatch = "disk.mid-batch", one in 2, "a crash comes in the middle of a batch";
    PrepareTorn = "disk.prepare-torn", one in 2, "a crash leaves a new segment short, or without a header";
    ReplaceLost = "disk.replace-lost", one in 2, "a crash comes before a file was replaced";
    RotBit = "disk.rot-bit", one in 6, "a bit of flushed data is flipped while a server is down";
    RotSector = "disk.rot-sector", one in 8, "a sector of flushed data is zeroed while a server is down";
    RotIdentity = "disk.rot-identity", one in 10, "a bit of the identity file flips while a server is down";
    SegmentGone = "disk.segment-gone", one in 10, "a segment in use is removed while a server is down";
    SegmentCut = "disk.segment-cut", one in 10, "a segment in use is made shorter while a server is down";
    DriftFast = "clock.fast", one in 3, "a clock runs up to 20 % fast";
    DriftSlow = "clock.slow", one in 3, "a clock runs up to 20 % slow";
    Jump = "clock.jump", one in 30, "a clock jumps ahead by up to 2 s";
    EarlyTick = "clock.early-tick", one in 20, "the clock calls before its time";
    LateTick = "clock.late-tick", one in 40, "the clock calls up to 50 ms late";
    Crash = "node.crash", one in 60, "a process is killed";
    CrashLeader = "node.crash-leader", one in 60, "the leader's process is killed";
    CrashAll = "node.crash-all", one in 240, "all processes are killed at once";
    Power = "node.power", one in 60, "a machine loses power";
    PowerLeader = "node.power-leader", one in 60, "the leader's machine loses power";
    PowerAll = "node.power-all", one in 180, "all machines lose power at once";
    BetweenActions = "node.between-actions", one in 300, "a process dies between two of its actions";
    SoonAgain = "node.soon-again", one in 4, "a process is killed within milliseconds of its start";
    WhileRecovering = "node.while-recovering", one in 4, "power fails while a recovery's repairs are made";
    LongDown = "node.long-down", one in 6, "a server stays down for seconds";
    Pause = "node.pause", one in 60, "a process stands still for up to a second";
    PauseLeader = "node.pause-leader", one in 60, "the leader's process stands still for up to a second";
    PauseMost = "node.pause-most", one in 180, "a majority of processes stand still at once";
    SlowProcessor = "node.slow-processor", one in 50, "a step takes up to 30 ms";
    Stop = "node.stop", one in 90, "a server is stopped cleanly";
    StopLeader = "node.stop-leader", one in 90, "the leader is stopped cleanly and hands over";
    Wipe = "node.wipe", one in 8, "a server that is down loses its disk";
    ShortDeadline = "client.short-deadline", one in 10, "a client waits only some milliseconds";
    TwiceAtOnce = "client.twice-at-once", one in 10, "a client sends one command by two servers at once";
    AgainAfterAnswer = "client.again-after-answer", one in 10, "a client repeats a command that was answered";
    KeyReused = "client.key-reused", one in 20, "a client uses one key for two commands";
    GivesUp = "client.gives-up", one in 20, "a client does not repeat what failed";
    AnswerLost = "client.answer-lost", one in 30, "an answer is lost on its way to the client";
    Burst = "client.burst", one in 20, "all clients ask at once";
    LargeValue = "client.large-value", one in 30, "a value fills more than a segment";
    StateBit = "memory.state-bit", one in 30, "a bit of a value turns over in a server's store";
    EntryBit = "memory.entry-bit", one in 20, "a bit of an entry turns over on its way into a server's log";
    Transfer = "operator.transfer", one in 60, "an operator asks for another leader, or one of his choice";
    AddMember = "operator.add", one in 12, "an operator adds a fresh server, or one that was removed";
    RemoveMember = "operator.remove", one in 16, "an operator removes a member, perhaps the leader";
    ReplaceMember = "operator.replace", one in 16, "an operator replaces a member by a fresh server";
    PromoteMember = "operator.promote", one in 16, "an operator has a learner promoted";
    TakeSnapshot = "operator.snapshot", one in 30, "an operator asks for a snapshot";
    RemoveCutOff = "operator.remove-cut-off", one in 20, "an operator removes a member that is cut off";
    StrandLeader = "net.strand-leader", one in 60, "a leader is cut off with all clients asking it";
    RotSnapshot = "disk.rot-snapshot", one in 6, "a bit of a snapshot's file flips while a server is down";
    SnapshotCut = "disk.snapshot-cut", one in 10, "a snapshot's file is made shorter while a server is down";
    SnapshotGone = "disk.snapshot-gone", one in 10, "a snapshot's file is removed while a server is down";
}

impl Fault {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

/// How often each fault struck.
pub type Tally = Vec<u64>;

/// Which faults a seed has switched on and how strong they are (swarm testing: a random subset each time,
/// so that rare mixes come up).
#[derive(Debug)]
pub struct Faults {
    one_in: Vec<u64>,
    dice: Vec<Dice>,
    fired: Tally,
    healed: bool,
}

impl Faults {
    /// Draws a subset for a seed. Those in `without` never strike, and change nothing for the others.
    #[must_use]
    pub fn draw(seed: u64, without: &[Fault]) -> Faults {
        let mut swarm = Dice::stream(seed, "swarm");
        let share = [8, 25, 50, 75][swarm.index(4)];
        let mut one_in = Vec::with_capacity(Fault::ALL.len());
        for &fault in Fault::ALL {
            let (is_on, strength) = (swarm.below(100) < share, swarm.below(5));
            let rarity = match strength {
                0 => fault.rarity() * 4,
                1 => fault.rarity() * 2,
                2 => fault.rarity(),
                3 => fault.rarity().div_ceil(2),
                _ => fault.rarity().div_ceil(4),
            };
            one_in.push(if is_on && !without.contains(&fault) { rarity.max(2) } else { 0 });
        }
        let dice = Fault::ALL.iter().map(|fault| Dice::stream(seed, fault.name())).collect();
        Faults { one_in, dice, fired: vec![0; Fault::ALL.len()], healed: false }
    }

    /// Whether the fault can strike at all.
    pub fn may_strike(&self, fault: Fault) -> bool {
        !self.healed && self.one_in[fault as usize] > 0
    }

    /// Whether the fault strikes now; it counts as done then.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let at = fault as usize;
        let strikes = !self.healed && self.dice[at].one_in(self.one_in[at]);
        self.fired[at] += u64::from(strikes);
        strikes
    }

    /// The fault's own chance, for how much and where.
    pub fn dice(&mut self, fault: Fault) -> &mut Dice {
        &mut self.dice[fault as usize]
    }

    /// From now on nothing goes wrong.
    pub fn heal(&mut self) {
        self.healed = true;
    }

    /// How often each struck.
    #[must_use]
    pub fn fired(&self) -> &Tally {
        &self.fired
    }
}
