//! The settings of a node: one table, of which each row is a flag, an environment variable and a key of
//! `raft.toml`.

mod flags;
mod layers;
mod resolve;

pub(crate) use flags::{ClusterFlags, NodeFlags};
pub(crate) use layers::Layers;
pub(crate) use resolve::NodeSettings;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes: `data-dir`.
    pub(crate) name: &'static str,
    /// What stands for the value in the help; none for a switch.
    pub(crate) value: Option<&'static str>,
    /// What it means, with its default.
    help: &'static str,
    /// Whether `raft-server cluster` takes it too, and what it means there if that differs.
    cluster: InCluster,
}

#[derive(Debug)]
enum InCluster {
    No,
    Same,
    Means(&'static str),
}

impl Setting {
    /// `RAFT_DATA_DIR`.
    pub(crate) fn variable(&self) -> String {
        format!("RAFT_{}", self.key().to_uppercase())
    }

    /// `data_dir`.
    pub(crate) fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Its help for a node or for a cluster; none where it is not taken.
    fn help(&self, cluster: bool) -> Option<&'static str> {
        match (cluster, &self.cluster) {
            (false, _) | (true, InCluster::Same) => Some(self.help),
            (true, InCluster::Means(help)) => Some(help),
            (true, InCluster::No) => None,
        }
    }
}

/// The setting that says which file to read; it alone cannot stand in that file.
pub(crate) const CONFIG: &str = "config";

const fn node(name: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting { name, value: Some(value), help, cluster: InCluster::No }
}

const fn both(name: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting { name, value: Some(value), help, cluster: InCluster::Same }
}

/// All settings, in the order of the help.
pub(crate) const SETTINGS: &[Setting] = &[
    node(
        "peers",
        "ID=HOST:PORT,…",
        "All members, this node among them, each with the address at which the others reach it \
         [default: node_0=127.0.0.1:12000,node_1=127.0.0.1:12001,node_2=127.0.0.1:12002]",
    ),
    node(
        "join",
        "HOST:PORT,…",
        "Members of a running cluster that this node is to be added to, instead of --peers; it asks them \
         until it is taken in, and needs them only before its first start",
    ),
    node("host", "HOST", "The address to listen on [default: 127.0.0.1]"),
    node(
        "advertise",
        "HOST:PORT",
        "Where others reach this node, if not at the address it listens on [default: its address in --peers]",
    ),
    Setting {
        name: "data-dir",
        value: Some("DIR"),
        help: "Where this node keeps its log [default: ./raft-data/<NODE_ID>]",
        cluster: InCluster::Means(
            "Where the nodes keep their logs: node_0 in DIR/node_0 [default: ./raft-data]",
        ),
    },
    Setting {
        name: "ephemeral",
        value: None,
        help: "Keep the log in memory: a node that stops has lost its disk",
        cluster: InCluster::Same,
    },
    both(
        "election-timeout-min",
        "MS",
        "The least time without a leader's word before an election, in milliseconds [default: 150]",
    ),
    both(
        "election-timeout-max",
        "MS",
        "The most; each wait is drawn between the two, at most 60000 [default: 300]",
    ),
    both(
        "heartbeat-interval",
        "MS",
        "How often an idle leader speaks, in milliseconds: at most half of --election-timeout-min \
         [default: 50]",
    ),
    Setting {
        name: "insecure",
        value: None,
        help: "Accept a --host that other machines can reach, although nothing asks them who they are",
        cluster: InCluster::No,
    },
    both(
        "max-value-bytes",
        "N",
        "The largest value that is accepted, in bytes, at most 8388608 [default: 1048576]",
    ),
    both(
        "request-timeout",
        "MS",
        "How long a request may wait that does not say itself, in milliseconds, at most 3600000 \
         [default: 5000]",
    ),
    both("io-threads", "N", "Threads for sockets, 0 to 256; 0 shares the node's own thread [default: 0]"),
    both(
        "record-mib",
        "N",
        "How much of the recording of what the node did is kept, keys and values in it, in MiB, at most \
         65536; 0 records nothing [default: 64]",
    ),
    both(
        "snapshot-mib",
        "N",
        "By how many MiB the log grows before a snapshot is taken and the log before it is let go of, at \
         most 65536; with 0 none is taken by itself [default: 64]",
    ),
    Setting {
        name: "log-level",
        value: Some("LEVEL"),
        help: "off, error, warn, info, debug or trace, or a filter such as warn,raft_node=debug \
               [default: info]",
        cluster: InCluster::Means(
            "off, error, warn, info, debug or trace, or a filter such as warn,raft_node=debug \
             [default: warn]",
        ),
    },
    both("log-format", "FORMAT", "How log lines on stderr look: text or json [default: text]"),
    both(CONFIG, "FILE", "Read settings from this file [default: ./raft.toml, if it exists]"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_three_names() {
        let setting = SETTINGS.iter().find(|s| s.name == "election-timeout-min").unwrap();
        assert_eq!(setting.variable(), "RAFT_ELECTION_TIMEOUT_MIN");
        assert_eq!(setting.key(), "election_timeout_min");
    }

    #[test]
    fn a_cluster_takes_no_setting_that_only_one_node_can_have() {
        for name in ["peers", "host", "advertise", "insecure"] {
            let setting = SETTINGS.iter().find(|s| s.name == name).unwrap();
            assert!(setting.help(true).is_none(), "{name}");
        }
    }
}
