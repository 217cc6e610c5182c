//! The model as the checker sees it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dashmap::DashMap;
use raft_core::replica::Role;
use stateright::{Model, Property};

use crate::action::{Action, Kind, Way};
use crate::bounds::Bounds;
use crate::cluster::Cluster;
use crate::names::{Place, Renaming};
use crate::properties::Rule;
use crate::server::{Input, Server, Step};

/// A cluster within bounds.
pub struct Checked {
    bounds: Bounds,
    renamings: Vec<Renaming>,
    /// What a server does next depends on its state and on what happens, not on the rest of the cluster:
    /// each such step is run once.
    steps: DashMap<(u128, u64), Arc<Step>>,
    /// The state in which each rule was first seen broken. The checker would report the last.
    first: DashMap<Rule, u64>,
}

impl Checked {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Checked {
        Checked {
            bounds,
            renamings: Renaming::all(bounds.servers),
            steps: DashMap::new(),
            first: DashMap::new(),
        }
    }

    /// How far it looks.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// How many different steps of a server were run.
    #[must_use]
    pub fn steps_run(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn renamings(&self) -> &[Renaming] {
        &self.renamings
    }

    pub(crate) fn step(&self, server: &Server, input: &Input, disk_answers: bool) -> Arc<Step> {
        let mut hasher = DefaultHasher::new();
        (input.print(), disk_answers).hash(&mut hasher);
        let key = (server.key, hasher.finish());
        if let Some(known) = self.steps.get(&key) {
            return Arc::clone(&known);
        }
        let step = Arc::new(server.step(input, disk_answers, &self.renamings));
        self.steps.insert(key, Arc::clone(&step));
        step
    }

    fn is_first_broken(&self, rule: Rule, cluster: &Cluster) -> bool {
        let broken = cluster.broken.as_ref().is_some_and(|broken| broken.rule == rule);
        broken && *self.first.entry(rule).or_insert(cluster.print()) == cluster.print()
    }

    /// What may happen to one server.
    fn kinds(&self, cluster: &Cluster, place: Place) -> Vec<Kind> {
        let (left, server) = (&cluster.left, cluster.server(place));
        let view = &server.view;
        let mut kinds = Vec::new();
        let leads = view.role == Role::Leader;
        let stands_later = matches!(view.role, Role::Follower | Role::Candidate);
        // A pre-candidate that asks once more sends what is in flight already.
        if (leads && left.step_downs > 0) || (stands_later && view.term.0 < self.bounds.terms) {
            kinds.push(Kind::Timeout);
        }
        if leads && left.heartbeats > 0 {
            kinds.push(Kind::Heartbeat);
        }
        if leads && left.entries > 0 {
            kinds.push(Kind::Propose(self.bounds.entries - left.entries + 1));
        }
        if leads && left.reads > 0 && cluster.past().reads.is_empty() {
            kinds.push(Kind::Read(self.bounds.reads - left.reads + 1));
        }
        for (at, packet) in cluster.packets.iter().enumerate().filter(|(_, packet)| packet.to == place) {
            let mut deliver = |way| kinds.push(Kind::Deliver(Arc::clone(packet), way));
            deliver(Way::InOrder);
            if packet.is_client_traffic() {
                continue;
            }
            if left.duplicates > 0 {
                deliver(Way::Twice);
            }
            if left.overtakes > 0 && cluster.packets[..at].iter().any(|other| other.same_link(packet)) {
                deliver(Way::Overtaking);
            }
        }
        kinds
    }
}

impl Model for Checked {
    type State = Cluster;
    type Action = Action;

    fn init_states(&self) -> Vec<Cluster> {
        vec![Cluster::fresh(&self.bounds, &self.renamings)]
    }

    fn actions(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        if cluster.broken.is_some() {
            return;
        }
        for place in Place::all(self.bounds.servers) {
            let server = cluster.server(place);
            let waits = server.waits_for_disk();
            for kind in self.kinds(cluster, place) {
                // A disk that is waited for answers in a step of its own.
                if !waits {
                    actions.push(Action { server: place, kind: kind.clone(), slow: false });
                }
                // Two faults in one step take two of them.
                let faults = u8::from(kind.is_fault(&server.view)) + 1;
                if waits || (cluster.left.slow_disks > 0 && cluster.left.faults >= faults) {
                    actions.push(Action { server: place, kind, slow: true });
                }
            }
            if waits {
                actions.push(Action { server: place, kind: Kind::Persist, slow: false });
            }
            if cluster.left.crashes > 0 {
                let crash = |kept| Action { server: place, kind: Kind::Crash { kept }, slow: false };
                actions.push(crash(false));
                if server.has_unflushed() {
                    actions.push(crash(true));
                }
            }
        }
    }

    fn next_state(&self, cluster: &Cluster, action: Action) -> Option<Cluster> {
        cluster.next(self, &action)
    }

    fn properties(&self) -> Vec<Property<Checked>> {
        let mut properties = rules();
        properties.extend([
            Property::sometimes("a leader is elected", |_, c: &Cluster| !c.past().leaders.is_empty()),
            Property::sometimes("every term has a leader", |model: &Checked, c: &Cluster| {
                c.past().leaders.len() as u64 == model.bounds.terms
            }),
            Property::sometimes("every command is committed", |model: &Checked, c: &Cluster| {
                c.past().executed.len() >= usize::from(model.bounds.entries)
            }),
            Property::sometimes("all servers have applied a command", |_, c: &Cluster| {
                c.views().all(|(_, view)| !view.applied.is_empty())
            }),
            Property::sometimes("a command is acknowledged", |_, c: &Cluster| c.past().acknowledged.0 > 0),
        ]);
        if self.bounds.reads > 0 {
            properties.push(Property::sometimes("a read is answered", |_, c: &Cluster| c.past().answered));
        }
        properties
    }
}

/// One property a rule: the checker takes functions, which cannot remember which rule they are for.
fn rules() -> Vec<Property<Checked>> {
    macro_rules! never_broken {
        ($($rule:ident),+) => {
            vec![$(Property::always(Rule::$rule.name(), |model: &Checked, cluster: &Cluster| {
                !model.is_first_broken(Rule::$rule, cluster)
            })),+]
        };
    }
    let properties = never_broken!(
        ElectionSafety,
        LeaderAppendOnly,
        LogMatching,
        LeaderCompleteness,
        StateMachineSafety,
        OneVote,
        CommitGrows,
        DurableFirst,
        MajorityFirst,
        FreshRead,
        HarmlessPreVote,
        Assertions
    );
    assert_eq!(properties.len(), Rule::ALL.len(), "every rule is a property");
    properties
}
