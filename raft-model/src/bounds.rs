//! How far the model looks.

/// What may happen, and how often. Loss and reordering need no bound: a message in flight may be delivered
/// at any later time, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Bounds {
    /// Servers, all of them voters.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub servers: u8,
    /// The highest term an election may be held in.
    #[arg(long, default_value_t = 2)]
    pub terms: u64,
    /// Commands that clients propose, besides the entry that opens each term.
    #[arg(long, default_value_t = 2)]
    pub entries: u8,
    /// Messages in flight from one server to another; one more pushes the oldest out.
    #[arg(long, default_value_t = 2)]
    pub in_flight: u8,
    /// Heartbeats of a leader that has nothing else to say.
    #[arg(long, default_value_t = 0)]
    pub heartbeats: u8,
    /// Faults of all the kinds below together.
    #[arg(long, default_value_t = 1)]
    pub faults: u8,
    /// Messages that arrive before others sent earlier from the same server to the same server.
    #[arg(long, default_value_t = 1)]
    pub overtakes: u8,
    /// Messages that arrive twice, the second time behind all that is in flight.
    #[arg(long, default_value_t = 1)]
    pub duplicates: u8,
    /// Servers that crash and start again from what is durable.
    #[arg(long, default_value_t = 1)]
    pub crashes: u8,
    /// Times that a disk answers later than at once.
    #[arg(long, default_value_t = 1)]
    pub slow_disks: u8,
    /// Leaders that step down because they hear no majority.
    #[arg(long, default_value_t = 1)]
    pub step_downs: u8,
    /// Linearizable reads asked of a leader.
    #[arg(long, default_value_t = 0)]
    pub reads: u8,
    /// Let requests for pre-votes travel like all messages. Without, whoever may ask for them is taken to
    /// have been granted them: more elections, not fewer, in far fewer states.
    #[arg(long)]
    pub pre_votes: bool,
    /// Keep messages in flight that can change nothing any more: more states, to see that leaving such
    /// messages out hides nothing.
    #[arg(long)]
    pub keep_dead: bool,
}

impl Default for Bounds {
    /// What continuous integration runs.
    fn default() -> Bounds {
        Bounds {
            servers: 3,
            terms: 2,
            entries: 2,
            in_flight: 2,
            heartbeats: 0,
            faults: 1,
            overtakes: 1,
            duplicates: 1,
            crashes: 1,
            slow_disks: 1,
            step_downs: 1,
            reads: 0,
            pre_votes: false,
            keep_dead: false,
        }
    }
}
