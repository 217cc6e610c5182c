//! Who is started, with which arguments: all of it known before the first process is.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use raft_node::config::{Storage, documented_cluster, parse_peers};
use raft_node::core::types::NodeId;

use super::args::ClusterArgs;
use crate::failure::Failure;
use crate::settings::Layers;

/// All nodes listen here.
const HOST: &str = "127.0.0.1";
/// What the nodes' directories are in, as for nodes that are started one by one.
const DATA_DIR: &str = "raft-data";
/// What the nodes log, unless told.
const LOG_LEVEL: &str = "warn";

/// A node to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name, `node_0` and so on.
    pub(crate) node_id: NodeId,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Member {
    /// Where it is reached.
    pub(crate) fn address(&self) -> String {
        format!("{HOST}:{}", self.port)
    }
}

/// The cluster to be.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The nodes in order.
    pub(crate) members: Vec<Member>,
    /// Where the dashboard is to listen; none if it is left out.
    pub(crate) dashboard_port: Option<u16>,
    storage: Storage,
    /// Settings of which a node that is started alone would hear something else.
    elsewhere: Vec<&'static str>,
    /// Flags that are each node's as they are this command's.
    passed_on: Vec<String>,
    log_level: String,
}

impl Plan {
    /// Reads the settings and checks that the nodes will take them.
    ///
    /// # Errors
    /// When one cannot be read, or they do not fit together.
    pub(crate) fn new(args: &ClusterArgs, layers: &Layers) -> Result<Plan, Failure> {
        let Some(last) = args.base_port.checked_add(args.nodes - 1) else {
            let (nodes, base) = (args.nodes, args.base_port);
            return Err(Failure::usage(format!(
                "--base-port {base} leaves no room for {nodes} ports: the last one is 65535"
            )));
        };
        let mut members = Vec::new();
        for (n, port) in (args.base_port..=last).enumerate() {
            let node_id = NodeId::new(&format!("node_{n}")).map_err(Failure::usage)?;
            members.push(Member { node_id, port });
        }
        let storage = layers.storage().map_err(Failure::usage)?;
        let own = ["data-dir", "ephemeral", "log-level"];
        let passed_on = args.flags.texts().iter().filter(|(name, _)| !own.contains(name));
        let plan = Plan {
            elsewhere: ["peers", "host", "advertise", "data-dir", "ephemeral"]
                .into_iter()
                .filter(|name| layers.strongest(name).is_some())
                .collect(),
            storage: storage.unwrap_or_else(|| Storage::Directory(DATA_DIR.into())),
            passed_on: passed_on.map(|(name, text)| format!("--{name}={text}")).collect(),
            dashboard_port: (!args.no_dashboard).then_some(args.dashboard_port),
            log_level: layers.strongest("log-level").map_or(LOG_LEVEL, |(_, level)| level).to_owned(),
            members,
        };
        plan.check(layers)?;
        if let Some(member) = plan.members.iter().find(|member| Some(member.port) == plan.dashboard_port) {
            return Err(Failure::usage(format!(
                "--dashboard-port {} is the port of {}: choose another",
                member.port, member.node_id
            )));
        }
        Ok(plan)
    }

    /// Lets a node's own rules judge the settings, once instead of in every process.
    fn check(&self, layers: &Layers) -> Result<(), Failure> {
        let Some(first) = self.members.first() else { return Ok(()) };
        let mut config = layers.node(first.node_id.clone(), first.port).map_err(Failure::usage)?.config;
        config.peers = parse_peers(&self.peers()).map_err(Failure::usage)?;
        config.host = HOST.to_owned();
        config.advertise = None;
        config.validate().map_err(Failure::usage)
    }

    /// Checks that all ports are free.
    ///
    /// # Errors
    /// Names the first one that is not, and what to do.
    pub(crate) fn check_ports(&self) -> Result<(), Failure> {
        for Member { node_id, port } in &self.members {
            match TcpListener::bind((HOST, *port)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(Failure::usage(format!(
                        "port {port}, for {node_id}, is in use: stop what listens there \
                         (ss -ltnp 'sport = :{port}' shows it), or choose other ports with --base-port"
                    )));
                }
                Err(error) => {
                    return Err(Failure::usage(format!("cannot listen on {HOST}:{port}: {error}")));
                }
            }
        }
        Ok(())
    }

    /// The addresses of all, as `--endpoints` takes them.
    pub(crate) fn endpoints(&self) -> String {
        self.members.iter().map(Member::address).collect::<Vec<_>>().join(",")
    }

    /// Whether a client finds this cluster without being told.
    pub(crate) fn is_documented(&self) -> bool {
        let known: Vec<String> = documented_cluster().into_values().collect();
        self.endpoints() == known.join(",")
    }

    /// Whether a node that stops has lost its disk.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.storage == Storage::Ephemeral
    }

    /// The directory the nodes' directories are in.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Directory(directory) => Some(directory),
            Storage::Ephemeral => None,
        }
    }

    fn peers(&self) -> String {
        let pairs = self.members.iter().map(|m| format!("{}={}", m.node_id, m.address()));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// A node's arguments. What could be said elsewhere (in `raft.toml`, in the environment) and must differ
    /// from node to node is said here, where it wins.
    pub(crate) fn arguments(&self, member: &Member) -> Vec<String> {
        let mut arguments = self.identity(member);
        arguments.extend([
            format!("--peers={}", self.peers()),
            format!("--host={HOST}"),
            format!("--advertise={}", member.address()),
            self.storage_of(member),
            format!("--log-level={}", self.log_level),
        ]);
        arguments.extend(self.passed_on.iter().cloned());
        arguments.push("--exit-with-parent".to_owned());
        arguments
    }

    /// What a user types to start a node again, after the name of the program.
    pub(crate) fn restart_arguments(&self, member: &Member) -> Vec<String> {
        let mut arguments = self.identity(member);
        let elsewhere = |name| self.elsewhere.contains(&name);
        if elsewhere("peers") || !self.is_documented() {
            arguments.push(format!("--peers={}", self.peers()));
        }
        if elsewhere("host") {
            arguments.push(format!("--host={HOST}"));
        }
        if elsewhere("advertise") {
            arguments.push(format!("--advertise={}", member.address()));
        }
        if elsewhere("data-dir") || elsewhere("ephemeral") {
            arguments.push(self.storage_of(member));
        }
        arguments.extend(self.passed_on.iter().cloned());
        arguments
    }

    fn identity(&self, member: &Member) -> Vec<String> {
        vec![member.node_id.to_string(), member.port.to_string()]
    }

    fn storage_of(&self, member: &Member) -> String {
        let directory: Option<PathBuf> = self.data_dir().map(|base| base.join(member.node_id.as_str()));
        directory.map_or("--ephemeral".to_owned(), |directory| format!("--data-dir={}", directory.display()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn plan(line: &str) -> Result<Plan, Failure> {
        let words = ["raft-server", "cluster"].into_iter().chain(line.split_whitespace());
        let Some(Command::Cluster(args)) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not a cluster")
        };
        let layers = Layers::load(args.flags.texts(), |_| None).unwrap();
        Plan::new(&args, &layers)
    }

    #[test]
    fn the_default_is_the_quick_start() {
        let plan = plan("").unwrap();
        assert!(plan.is_documented());
        assert_eq!(plan.restart_arguments(&plan.members[1]), ["node_1", "12001"]);
        let arguments = plan.arguments(&plan.members[1]);
        assert!(arguments.contains(&"--data-dir=raft-data/node_1".to_owned()), "{arguments:?}");
        assert!(arguments.contains(&"--log-level=warn".to_owned()), "{arguments:?}");
    }

    #[test]
    fn the_nodes_take_what_they_are_given() {
        for line in
            ["", "--ephemeral", "--data-dir /x --nodes 9 --base-port 65527 --io-threads 2 --log-level off"]
        {
            let plan = plan(line).unwrap();
            for member in &plan.members {
                let words = ["raft-server".to_owned()].into_iter().chain(plan.arguments(member));
                let node = Cli::try_parse_from(words).unwrap().node;
                assert!(node.exit_with_parent);
                let layers = Layers::load(node.flags.texts(), |_| None).unwrap();
                let settings = layers.node(node.node_id.unwrap(), node.port.unwrap()).unwrap();
                settings.config.validate().unwrap();
                assert_eq!(settings.config.peers.len(), plan.members.len());
                assert_eq!(settings.config.storage == Storage::Ephemeral, plan.is_ephemeral());
            }
        }
    }

    #[test]
    fn a_restart_elsewhere_says_all_it_must() {
        let plan = plan("--nodes 1 --base-port 7000 --data-dir /x --io-threads 1").unwrap();
        assert_eq!(
            plan.restart_arguments(&plan.members[0]).join(" "),
            "node_0 7000 --peers=node_0=127.0.0.1:7000 --data-dir=/x/node_0 --io-threads=1"
        );
    }

    #[test]
    fn what_the_nodes_would_refuse_is_refused_before_they_start() {
        for line in [
            "--base-port 65534",
            "--dashboard-port 12002",
            "--heartbeat-interval 200",
            "--io-threads x",
            "--ephemeral --data-dir x",
        ] {
            assert!(plan(line).is_err(), "{line:?} was taken");
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind((HOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let plan = plan(&format!("--nodes 1 --base-port {port}")).unwrap();
        let refusal = format!("{:?}", plan.check_ports().unwrap_err());
        assert!(refusal.contains(&format!("port {port}, for node_0, is in use")), "{refusal}");
    }
}
