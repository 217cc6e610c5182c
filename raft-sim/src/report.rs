//! Numbers of one run or of many.

use crate::fault::{Fault, Tally};

/// What happened, counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Runs.
    pub seeds: u64,
    /// Simulated time, in microseconds.
    pub micros: u64,
    /// Steps of the world.
    pub events: u64,
    /// Messages that servers sent.
    pub messages: u64,
    /// Batches that were handed to disks.
    pub batches: u64,
    /// Processes that died, machines that lost power.
    pub crashes: u64,
    /// Recoveries that cut a torn end off.
    pub torn_tails: u64,
    /// Elections that were won.
    pub leaders: u64,
    /// Changes of the members that operators were told are done.
    pub changes: u64,
    /// Snapshots that were made or received, to the end.
    pub snapshots: u64,
    /// Those of them that were received.
    pub installed: u64,
    /// Servers whose memory was damaged.
    pub damaged: u64,
    /// Those of them whose state the others found to be wrong. The rest died or were wiped first, or never
    /// used what was damaged again.
    pub found_out: u64,
    /// Events that were recorded and done again.
    pub replayed: u64,
    /// What clients asked for.
    pub operations: u64,
    /// What they got an answer to.
    pub answered: u64,
    /// How often each fault struck.
    pub fired: Tally,
    /// The course of the run as one number; of many runs, all of them folded together whatever their order.
    pub trace: u64,
}

impl Counts {
    /// Adds other runs.
    pub fn add(&mut self, other: &Counts) {
        self.seeds += other.seeds;
        self.micros += other.micros;
        self.events += other.events;
        self.messages += other.messages;
        self.batches += other.batches;
        self.crashes += other.crashes;
        self.torn_tails += other.torn_tails;
        self.leaders += other.leaders;
        self.changes += other.changes;
        self.snapshots += other.snapshots;
        self.installed += other.installed;
        self.damaged += other.damaged;
        self.found_out += other.found_out;
        self.replayed += other.replayed;
        self.operations += other.operations;
        self.answered += other.answered;
        self.fired.resize(Fault::ALL.len(), 0);
        self.fired.iter_mut().zip(&other.fired).for_each(|(sum, more)| *sum += more);
        self.trace = self.trace.wrapping_add(other.trace);
    }

    /// Faults that never struck.
    pub fn never_fired(&self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .iter()
            .copied()
            .filter(|&fault| self.fired.get(fault as usize).is_none_or(|fired| *fired == 0))
    }

    /// All of it, for people.
    #[must_use]
    pub fn to_text(&self, seconds: f64) -> String {
        let hours = self.micros as f64 / 3.6e9;
        let faults: u64 = self.fired.iter().sum();
        format!(
            "{} seeds, {hours:.1} simulated hours, {} events, {} messages, {} disk batches\n\
             {faults} faults, {} crashes, {} torn ends cut off, {} elections won, {} changes of the members\n\
             {} snapshots made or received, {} installed\n\
             {} times memory was damaged, {} times the others found out\n\
             {} events were recorded and replayed\n\
             {} operations asked for, {} answered\n\
             {seconds:.1} s, {:.1} seeds/s, trace {:016x}",
            self.seeds,
            self.events,
            self.messages,
            self.batches,
            self.crashes,
            self.torn_tails,
            self.leaders,
            self.changes,
            self.snapshots,
            self.installed,
            self.damaged,
            self.found_out,
            self.replayed,
            self.operations,
            self.answered,
            self.seeds as f64 / seconds.max(1e-9),
            self.trace
        )
    }

    /// How often each fault struck, a line each.
    #[must_use]
    pub fn faults_to_text(&self) -> String {
        let line = |fault: &Fault| {
            let fired = self.fired.get(*fault as usize).copied().unwrap_or_default();
            format!("{:<22} {:>10}  {}\n", fault.name(), fired, fault.what())
        };
        Fault::ALL.iter().map(line).collect()
    }
}
