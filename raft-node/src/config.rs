//! What a node is told when it starts, with the documented defaults.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use raft_core::consensus::{InvalidTiming, Timing};
use raft_core::replica::SnapshotEvery;
use raft_core::types::{InvalidNodeId, NodeId};

/// The largest value that may be configured as the limit, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 << 20;

/// The longest recording that may be configured, in MiB.
pub const MAX_RECORD_MIB: usize = 65_536;

/// The most that [`Config::snapshot_mib`] may be.
pub const MAX_SNAPSHOT_MIB: usize = 65_536;

/// Where a node keeps its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this directory, durably.
    Directory(PathBuf),
    /// In memory only: a node that stops has lost its disk, and is treated like a member that was wiped.
    Ephemeral,
}

/// Everything a node needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name.
    pub node_id: NodeId,
    /// All members, this node among them, each with the `HOST:PORT` at which the others reach it.
    /// Names are resolved at every dial.
    pub peers: BTreeMap<NodeId, String>,
    /// `HOST:PORT` of members of a running cluster that this node is to be added to. Then `peers` is empty:
    /// the members' log says who they are. A node whose log names it needs to ask nobody.
    pub join: Vec<String>,
    /// The address to listen on: an IP address or a name that resolves to one.
    pub host: String,
    /// The port to listen on, for clients and peers.
    pub port: u16,
    /// The `HOST:PORT` at which others reach this node, where it is not the one it binds.
    pub advertise: Option<String>,
    /// Where the log is kept.
    pub storage: Storage,
    /// Election timeout and heartbeat interval.
    pub timing: Timing,
    /// Whether a bind address beyond loopback is accepted without TLS or a token.
    pub insecure: bool,
    /// The largest value a client may set, in bytes. At most [`MAX_VALUE_BYTES`].
    pub max_value_bytes: usize,
    /// How long a request may take where the client did not say, before it is answered 503 or 504.
    pub request_timeout: Duration,
    /// Worker threads for sockets. With 0 they share the replica's thread, which costs the fewest
    /// hand-overs between threads and is fastest on few cores.
    pub io_threads: usize,
    /// How much of the flight recorder's recording is kept, in MiB: in the data directory, or in memory where
    /// the node is ephemeral. With 0 nothing is recorded. At most [`MAX_RECORD_MIB`].
    pub record_mib: usize,
    /// By how many MiB the log grows before a snapshot is taken and the log before it is let go of; by more
    /// where the last snapshot was longer. With 0 none is taken by itself. A leader's setting counts. At most
    /// [`MAX_SNAPSHOT_MIB`].
    pub snapshot_mib: usize,
}

/// A configuration that cannot work. Each message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A bad node id.
    #[error(transparent)]
    NodeId(#[from] InvalidNodeId),
    /// A part of a peer list that is not `ID=HOST:PORT`.
    #[error(
        "cannot read {part:?} in the peer list: write it as node_0=127.0.0.1:12000,node_1=127.0.0.1:12001"
    )]
    PeerSyntax {
        /// The part.
        part: String,
    },
    /// An address that is not `HOST:PORT`.
    #[error(
        "{address:?} is not an address: write it as HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:12000"
    )]
    Address {
        /// The address.
        address: String,
    },
    /// The same id twice in a peer list.
    #[error("{node_id} is in the peer list twice")]
    DuplicatePeer {
        /// The id.
        node_id: NodeId,
    },
    /// The same address twice in a peer list.
    #[error("{first} and {second} have the same address {address} in the peer list")]
    DuplicateAddress {
        /// One of them.
        first: NodeId,
        /// The other.
        second: NodeId,
        /// The address.
        address: String,
    },
    /// The node is not among its peers.
    #[error(
        "{node_id} is not in the peer list ({known}): add {node_id}=HOST:PORT to --peers on every node, or start one of those listed"
    )]
    NotAMember {
        /// The node.
        node_id: NodeId,
        /// Who is listed.
        known: String,
    },
    /// A node that joins a cluster has no list of peers.
    #[error(
        "give --join or --peers, not both: a node that joins a cluster learns from it who the members are"
    )]
    JoinAndPeers,
    /// The others need an address at which they reach it.
    #[error("{host} is no address at which others reach this node: give --advertise HOST:PORT")]
    NoAddressToJoinAt {
        /// The address to listen on.
        host: String,
    },
    /// The port to listen on differs from the one the others will dial.
    #[error(
        "{node_id} is to listen on port {port}, but the peer list has it at {listed}: use the same port, correct --peers, or give --advertise {listed} if that address is forwarded here"
    )]
    PortMismatch {
        /// The node.
        node_id: NodeId,
        /// The port given.
        port: u16,
        /// Its address in the list.
        listed: String,
    },
    /// Timings that cannot work.
    #[error(transparent)]
    Timing(#[from] InvalidTiming),
    /// A bind address beyond loopback without protection.
    #[error(
        "{host} can be reached from other machines, and nothing would ask them who they are: bind 127.0.0.1, or give --insecure if this network is trusted"
    )]
    Exposed {
        /// The address.
        host: String,
    },
    /// A limit out of bounds.
    #[error("{name} is {given}: it must be from {min} to {max}")]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// What was given.
        given: usize,
        /// The least allowed.
        min: usize,
        /// The most allowed.
        max: usize,
    },
}

/// The documented cluster: node_0, node_1 and node_2 on 127.0.0.1, ports 12000 to 12002.
#[must_use]
pub fn documented_cluster() -> BTreeMap<NodeId, String> {
    (0..3)
        .map(|n| {
            let id = NodeId::new(&format!("node_{n}")).expect("a valid id");
            (id, format!("127.0.0.1:{}", 12000 + n))
        })
        .collect()
}

/// Reads `node_0=HOST:PORT,node_1=HOST:PORT,…`.
///
/// # Errors
/// When a part cannot be read, or an id or address is there twice.
pub fn parse_peers(text: &str) -> Result<BTreeMap<NodeId, String>, ConfigError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pairs: Vec<(&str, &str)> = parts
        .map(|part| part.split_once('=').ok_or_else(|| ConfigError::PeerSyntax { part: part.to_owned() }))
        .collect::<Result<_, _>>()?;
    if pairs.is_empty() {
        return Err(ConfigError::PeerSyntax { part: text.to_owned() });
    }
    check_peers(pairs)
}

/// Reads `HOST:PORT,HOST:PORT,…`.
///
/// # Errors
/// When there is none, or one is no address.
pub fn parse_addresses(text: &str) -> Result<Vec<String>, ConfigError> {
    text.split(',').map(str::trim).map(|part| split_address(part).map(|_| part.to_owned())).collect()
}

/// Takes a list of members, each an id and a `HOST:PORT`.
///
/// # Errors
/// When an id or address is not one, or is there twice.
pub fn check_peers<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<NodeId, String>, ConfigError> {
    let mut peers: BTreeMap<NodeId, String> = BTreeMap::new();
    for (id, address) in pairs {
        let (node_id, address) = (NodeId::new(id.trim())?, address.trim().to_owned());
        split_address(&address)?;
        if let Some((first, _)) = peers.iter().find(|(_, known)| **known == address) {
            return Err(ConfigError::DuplicateAddress { first: first.clone(), second: node_id, address });
        }
        if peers.insert(node_id.clone(), address).is_some() {
            return Err(ConfigError::DuplicatePeer { node_id });
        }
    }
    Ok(peers)
}

/// Splits `HOST:PORT`; IPv6 hosts, and no others, stand in brackets.
///
/// # Errors
/// When there is no host, or no port from 1 to 65535.
pub fn split_address(address: &str) -> Result<(&str, u16), ConfigError> {
    let bad = || ConfigError::Address { address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
    let (bare, is_sound) = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(bare) => (bare, is_ipv6(bare)),
        None => (host, !host.is_empty() && !host.contains(['[', ']', ':'])),
    };
    if is_sound && !host.contains(char::is_whitespace) { Ok((bare, port)) } else { Err(bad()) }
}

impl Config {
    /// A node of the documented cluster, with every default of the contract. `data_dir` is
    /// `./raft-data/<node_id>`.
    #[must_use]
    pub fn new(node_id: NodeId, port: u16) -> Config {
        let data_dir = PathBuf::from("raft-data").join(node_id.as_str());
        Config {
            node_id,
            peers: documented_cluster(),
            join: Vec::new(),
            host: "127.0.0.1".to_owned(),
            port,
            advertise: None,
            storage: Storage::Directory(data_dir),
            timing: Timing::default(),
            insecure: false,
            max_value_bytes: 1 << 20,
            request_timeout: Duration::from_secs(5),
            io_threads: 0,
            record_mib: 64,
            snapshot_mib: 64,
        }
    }

    /// The `HOST:PORT` at which others reach this node.
    #[must_use]
    pub fn advertised(&self) -> String {
        match (&self.advertise, self.peers.get(&self.node_id)) {
            (Some(address), _) | (None, Some(address)) => address.clone(),
            (None, None) if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            (None, None) => format!("{}:{}", self.host, self.port),
        }
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for address in self.peers.values().chain(&self.advertise).chain(&self.join) {
            split_address(address)?;
        }
        if self.join.is_empty() {
            self.validate_listing()?;
        } else if !self.peers.is_empty() {
            return Err(ConfigError::JoinAndPeers);
        } else if self.advertise.is_none() && is_unspecified(&self.host) {
            return Err(ConfigError::NoAddressToJoinAt { host: self.host.clone() });
        } else {
            split_address(&self.advertised())?;
        }
        if !self.insecure && !is_loopback(&self.host) {
            return Err(ConfigError::Exposed { host: self.host.clone() });
        }
        self.timing.validate()?;
        bounded("max_value_bytes", self.max_value_bytes, 1, MAX_VALUE_BYTES)?;
        bounded("request_timeout (ms)", self.request_timeout.as_millis() as usize, 1, 3_600_000)?;
        bounded("io_threads", self.io_threads, 0, 256)?;
        bounded("record_mib", self.record_mib, 0, MAX_RECORD_MIB)?;
        bounded("snapshot_mib", self.snapshot_mib, 0, MAX_SNAPSHOT_MIB)
    }

    /// When snapshots are taken.
    #[must_use]
    pub fn snapshot_every(&self) -> SnapshotEvery {
        match self.snapshot_mib as u64 {
            0 => SnapshotEvery { bytes: u64::MAX, entries: u64::MAX },
            mib => SnapshotEvery { bytes: mib << 20, ..SnapshotEvery::default() },
        }
    }
}

impl Config {
    /// Checks that the node is in the list of its peers, and where.
    fn validate_listing(&self) -> Result<(), ConfigError> {
        let node_id = self.node_id.clone();
        let Some(listed) = self.peers.get(&node_id) else {
            let known = self.peers.keys().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::NotAMember { node_id, known });
        };
        let (_, listed_port) = split_address(listed)?;
        if self.advertise.is_none() && listed_port != self.port {
            return Err(ConfigError::PortMismatch { node_id, port: self.port, listed: listed.clone() });
        }
        Ok(())
    }
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Whether it is an IPv6 address; one of a single link may name its interface: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

/// A zone's name, as RFC 6874 has it.
fn is_zone(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    !text.is_empty() && text.bytes().all(unreserved)
}

fn bounded(name: &'static str, given: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&given) {
        Ok(())
    } else {
        Err(ConfigError::OutOfBounds { name, given, min, max })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_lists() {
        let peers = parse_peers("a=127.0.0.1:1, b=[::1]:2,c=host.example:65535").unwrap();
        assert_eq!(peers.len(), 3);
        for bad in
            ["", "a", "a=1", "a=:1", "a=h:0", "a=h:65536", "a=::1:2", "a=h:1,a=h:2", "a=h:1,b=h:1", "a b=h:1"]
        {
            assert!(parse_peers(bad).is_err(), "{bad:?} was taken");
        }
        for bad in [
            "a=[e80::%a=[e80::%]:3",
            "a=[x:1",
            "a=x]:1",
            "a=[h]:1",
            "a=[]:1",
            "a=[::1]:2]:1",
            "a=[::1]x=[::1]:7",
            "a=[::g]:1",
        ] {
            assert!(parse_peers(bad).is_err(), "{bad:?} was taken: brackets are for IPv6 addresses");
        }
        assert_eq!(split_address("[fe80::1%eth0]:7").unwrap(), ("fe80::1%eth0", 7));
    }

    #[test]
    fn the_documented_defaults_are_valid_and_local() {
        let config = Config::new(NodeId::new("node_1").unwrap(), 12001);
        config.validate().unwrap();
        assert_eq!(config.advertised(), "127.0.0.1:12001");
        assert_eq!(config.storage, Storage::Directory("raft-data/node_1".into()));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_way_out() {
        let good = Config::new(NodeId::new("node_0").unwrap(), 12000);
        let refusal = |change: &dyn Fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(refusal(&|c| c.node_id = NodeId::new("x").unwrap()).contains("--peers"));
        assert!(refusal(&|c| c.port = 1).contains("--advertise"));
        assert!(refusal(&|c| c.host = "0.0.0.0".into()).contains("--insecure"));
        assert!(refusal(&|c| c.max_value_bytes = 0).contains("max_value_bytes"));
        assert!(refusal(&|c| c.record_mib = MAX_RECORD_MIB + 1).contains("record_mib"));
        assert!(refusal(&|c| c.snapshot_mib = MAX_SNAPSHOT_MIB + 1).contains("snapshot_mib"));
        assert!(refusal(&|c| c.advertise = Some("nowhere".into())).contains("HOST:PORT"));
    }
}
