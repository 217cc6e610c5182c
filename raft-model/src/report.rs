//! What a run found, to read.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::action::{Action, entries};
use crate::bounds::Bounds;
use crate::cluster::Cluster;
use crate::model::Checked;
use crate::properties::Rule;

/// A run's outcome.
pub struct Report {
    /// How far it looked.
    pub bounds: Bounds,
    /// States generated, with repetitions.
    pub generated: usize,
    /// Different states, of those that a renaming of the servers makes equal one.
    pub unique: usize,
    /// The longest path, in states.
    pub depth: usize,
    /// Different steps of a single replica.
    pub steps: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether every state within the bounds was seen.
    pub complete: bool,
    /// What should be possible and was not seen.
    pub never_seen: Vec<&'static str>,
    /// The rules that were broken, each with a way to get there.
    pub broken: Vec<Counterexample>,
}

/// A way to break a rule.
pub struct Counterexample {
    /// Which.
    pub rule: &'static str,
    /// What happened, a step a line.
    pub story: String,
    /// How many steps.
    pub steps: usize,
}

/// How a run is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Threads that explore.
    pub threads: usize,
    /// States to generate at most; the run then is not exhaustive, and says so.
    pub max_states: usize,
    /// Whether to stop at the first broken rule.
    pub until_broken: bool,
}

/// Explores everything within the bounds.
#[must_use]
pub fn run(bounds: Bounds, effort: Effort) -> Report {
    let began = Instant::now();
    let mut builder =
        Checked::new(bounds).checker().threads(effort.threads).target_state_count(effort.max_states);
    if effort.until_broken {
        builder = builder.finish_when(HasDiscoveries::AnyFailures);
    }
    let checker = builder.spawn_bfs().join();
    let took = began.elapsed();
    let discoveries = checker.discoveries();
    let is_rule = |name: &&str| Rule::ALL.iter().any(|rule| rule.name() == *name);
    let mut broken: Vec<Counterexample> = discoveries
        .iter()
        .filter(|(name, _)| is_rule(name))
        .map(|(name, path)| counterexample(name, path.clone()))
        .collect();
    broken.sort_by_key(|found| (found.steps, found.rule));
    let names = checker.model().properties().into_iter().map(|property| property.name);
    Report {
        bounds,
        generated: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        steps: checker.model().steps_run(),
        took,
        complete: broken.is_empty() && checker.state_count() < effort.max_states,
        never_seen: names.filter(|name| !is_rule(name) && !discoveries.contains_key(name)).collect(),
        broken,
    }
}

fn counterexample(rule: &'static str, path: Path<Cluster, Action>) -> Counterexample {
    let mut story = String::new();
    let steps = path.into_vec();
    let count = steps.len() - 1;
    let mut next = steps.iter().skip(1);
    for (nth, (_, action)) in (1..).zip(&steps) {
        let (Some(action), Some((after, _))) = (action, next.next()) else { break };
        // Writing to a string has no way to fail.
        let _ = writeln!(story, "{nth:3}  {action}");
        let view = after.view(action.server);
        let _ = writeln!(
            story,
            "       {}: {:?}, term {}, log {}, commit {}",
            action.server,
            view.role,
            view.term,
            entries(&view.log),
            view.commit_index
        );
        if let Some(broken) = &after.broken {
            let _ = writeln!(story, "     BROKEN  {}: {}", broken.rule.name(), broken.how);
        }
    }
    Counterexample { rule, story, steps: count }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { servers, terms, entries, in_flight, heartbeats, overtakes, .. } = &self.bounds;
        let Bounds { faults, duplicates, crashes, slow_disks, step_downs, reads, .. } = &self.bounds;
        writeln!(
            f,
            "bounds: {servers} servers, {terms} terms, {entries} entries, {heartbeats} heartbeats, \
             {reads} reads, {in_flight} messages in flight a link; loss without bound; {faults} of: \
             {crashes} crashes, {overtakes} overtakes, {duplicates} duplicates, {slow_disks} slow disks, \
             {step_downs} step-downs"
        )?;
        let (generated, unique, depth, steps) = (self.generated, self.unique, self.depth, self.steps);
        let seconds = self.took.as_secs_f64();
        writeln!(
            f,
            "states: {generated} generated, {unique} unique; depth {depth}; {steps} steps of a replica; \
             {seconds:.1} s"
        )?;
        for found in &self.broken {
            write!(f, "\n{} is broken, in {} steps:\n{}", found.rule, found.steps, found.story)?;
        }
        // A run that was cut short at a broken rule has not looked everywhere.
        for name in self.never_seen.iter().filter(|_| self.broken.is_empty()) {
            writeln!(f, "never seen: {name}")?;
        }
        match (self.broken.is_empty(), self.complete) {
            (false, _) => writeln!(f, "\nverdict: {} rules broken", self.broken.len()),
            (true, true) => writeln!(f, "verdict: all states within the bounds seen, no rule broken"),
            (true, false) => writeln!(f, "verdict: stopped before all states were seen; no rule broken"),
        }
    }
}
