//! `raft-server cluster`: a whole cluster on this machine, each node a process of its own.

mod args;
mod child;
mod plan;
mod view;
mod words;

pub(crate) use args::ClusterArgs;

use std::collections::BTreeMap;
use std::time::Duration;

use raft_node::core::types::NodeId;
use raft_node::dashboard::Alone;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::failure::{Failure, INTERRUPTED, NO, USAGE, say, show};
use crate::settings::Layers;
use crate::signals::Signals;
use child::{Ended, Order, Running};
use plan::{Member, Plan};

/// How long nodes may take to stop before they are killed. A node hands its leadership over first.
const STOP: Duration = Duration::from_secs(5);
/// How long there may be no leader before it is said why.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the cluster until a signal.
///
/// # Errors
/// When it cannot be started, all nodes have ended, or a second signal cut the stop short.
pub(crate) fn run(args: &ClusterArgs) -> Result<(), Failure> {
    let layers = Layers::load(args.flags.texts(), |name| std::env::var_os(name)).map_err(Failure::usage)?;
    let plan = Plan::new(args, &layers)?;
    plan.check_ports()?;
    let dashboard = plan.dashboard_port.map(|port| dashboard(&plan, port)).transpose()?;
    crate::runtime()?.block_on(Cluster::serve(plan, dashboard))
}

/// Takes the dashboard's port before any node is started.
fn dashboard(plan: &Plan, port: u16) -> Result<Alone, Failure> {
    let endpoints = plan.members.iter().map(Member::address).collect();
    crate::dashboard::bind(port, endpoints).map_err(|error| {
        Failure::usage(format!("the dashboard: {error} with --dashboard-port, or give --no-dashboard"))
    })
}

/// The running cluster.
struct Cluster {
    plan: Plan,
    /// Where the dashboard is, unless it was left out.
    dashboard: Option<String>,
    orders: watch::Sender<Order>,
    nodes: JoinSet<Ended>,
    /// The process ids of those that run.
    pids: BTreeMap<NodeId, u32>,
    /// Whether all nodes have been seen to know a leader: from then on a node that ends is the user's doing.
    formed: bool,
}

impl Cluster {
    async fn serve(plan: Plan, dashboard: Option<Alone>) -> Result<(), Failure> {
        let mut signals = Signals::take().map_err(Failure::usage)?;
        let (_stop, stopped) = watch::channel(false);
        let url = dashboard.as_ref().map(Alone::url);
        // It is served from here, where it outlives every node, and ends with this command.
        dashboard.map(|dashboard| tokio::spawn(dashboard.serve(stopped)));
        let mut cluster = Cluster {
            plan,
            dashboard: url,
            orders: watch::channel(Order::Run).0,
            nodes: JoinSet::new(),
            pids: BTreeMap::new(),
            formed: false,
        };
        let result = match cluster.start() {
            Ok(()) => cluster.until_over(&mut signals).await,
            Err(failure) => Err(failure),
        };
        cluster.stop(&mut signals).await?;
        result
    }

    fn start(&mut self) -> Result<(), Failure> {
        for (n, member) in self.plan.members.iter().enumerate() {
            let arguments = self.plan.arguments(member);
            let prefix = words::prefix(n, &member.node_id);
            let running = Running::start(member.clone(), arguments, prefix)
                .map_err(|error| Failure::usage(format!("cannot start {}: {error}", member.node_id)))?;
            self.pids.extend(running.pid().map(|pid| (member.node_id.clone(), pid)));
            self.nodes.spawn(running.watch(self.orders.subscribe()));
        }
        Ok(())
    }

    /// Reports what happens, until a signal, or until nothing is left to report on.
    async fn until_over(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let mut agreement = Box::pin(view::agreement(self.running()));
        let mut impatience = Box::pin(sleep(PATIENCE));
        let (mut agreed, mut explained) = (false, false);
        loop {
            tokio::select! {
                () = signals.next() => return Ok(()),
                ended = self.nodes.join_next() => {
                    self.report(ended)?;
                    agreement = Box::pin(view::agreement(self.running()));
                    impatience = Box::pin(sleep(PATIENCE));
                    (agreed, explained) = (false, false);
                }
                seen = &mut agreement, if !agreed => {
                    agreed = true;
                    let text = match self.formed {
                        false => words::formed(&self.plan, &self.pids, &seen, self.dashboard.as_deref()),
                        true => format!("{} leads now, in term {}", seen.leader, seen.term),
                    };
                    self.formed = true;
                    show(&text);
                }
                () = &mut impatience, if !agreed && !explained => {
                    explained = true;
                    let why = view::why(&self.running()).await;
                    say(&format!("raft-server: no leader for {} s: {why}", PATIENCE.as_secs()));
                }
            }
        }
    }

    /// Those that run.
    fn running(&self) -> Vec<Member> {
        self.plan.members.iter().filter(|m| self.pids.contains_key(&m.node_id)).cloned().collect()
    }

    /// Says that a node has ended.
    ///
    /// # Errors
    /// When that ends the cluster: none is left, or one refused to start.
    fn report(&mut self, ended: Option<Result<Ended, JoinError>>) -> Result<(), Failure> {
        let ended = match ended {
            None => return Err(Failure::new(NO, "no node is left")),
            Some(Err(error)) => return Err(Failure::new(NO, format!("lost sight of a node: {error}"))),
            Some(Ok(ended)) => ended,
        };
        self.pids.remove(&ended.member.node_id);
        if !self.formed && ended.code() == Some(i32::from(USAGE)) {
            let reason = ended.reason.clone().unwrap_or_else(|| ended.describe());
            return Err(Failure::usage(format!("{} did not start: {reason}", ended.member.node_id)));
        }
        say(&words::ended(&self.plan, &ended, self.pids.len()));
        Ok(())
    }

    /// Stops all nodes cleanly, kills those that take too long, and waits until all are gone.
    ///
    /// # Errors
    /// When a signal comes meanwhile: then they have been killed.
    async fn stop(mut self, signals: &mut Signals) -> Result<(), Failure> {
        self.orders.send_replace(Order::Stop);
        let in_time = tokio::select! {
            in_time = timeout(STOP, self.drain()) => in_time.is_ok(),
            () = signals.next() => {
                self.orders.send_replace(Order::Die);
                self.drain().await;
                return Err(Failure::silent(INTERRUPTED));
            }
        };
        if !in_time {
            let slow: Vec<&str> = self.pids.keys().map(NodeId::as_str).collect();
            say(&format!(
                "raft-server: killed what did not stop in {} s: {}",
                STOP.as_secs(),
                slow.join(", ")
            ));
            self.orders.send_replace(Order::Die);
            self.drain().await;
        }
        Ok(())
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.nodes.join_next().await {
            if let Ok(ended) = ended {
                self.pids.remove(&ended.member.node_id);
            }
        }
    }
}
