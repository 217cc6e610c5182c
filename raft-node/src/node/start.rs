//! Starting a node: port, data directory, recovery, threads.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use raft_core::consensus::Configuration;
use raft_core::kv::Store;
use raft_core::log::{Identity, LogOptions, Recovery, create, recover};
use raft_core::replica::{Options, Replica, Stored};
use raft_core::state_machine::StateMachine;
use raft_core::types::{Incarnation, NodeId};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::driver::{self, Driver};
use super::snapshots::Kept;
use super::{INBOX, Life, Node, Pace, Shared, join, members};
use crate::config::{Config, Storage};
use crate::disk::{Completion, DataDir, Disk, DiskThread, MemoryDisk, MemoryFiles};
use crate::error::StartError;
use crate::http;
use crate::record::{self, Tape};
use crate::transport::{LinkStates, Streams};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// How long a node that has stopped waits for work on other threads that cannot be called off: a name that
/// is being resolved.
const LAST_WORK: Duration = Duration::from_secs(1);

/// What the node's thread is started with.
struct Parts {
    node: Node,
    replica: Replica,
    tape: Tape,
    disk: Box<dyn Disk>,
    completions: mpsc::UnboundedReceiver<Completion>,
    incarnation: Incarnation,
    inbox: mpsc::Receiver<super::Input>,
    listener: TcpListener,
    life: watch::Sender<Life>,
}

pub(super) fn start(config: Config) -> Result<Node, StartError> {
    start_with(config, Box::new(Store::new()))
}

/// Starts a node around a state machine, which is empty.
pub(super) fn start_with(config: Config, machine: Box<dyn StateMachine>) -> Result<Node, StartError> {
    config.validate()?;
    let listener = listen(&config.host, config.port)?;
    let (stored, dir) = open(&config)?;
    let origin = Instant::now();
    let incarnation = stored.incarnation();
    let (timing, seed, now) = (config.timing, random()?, driver::elapsed(origin));
    let (configuration, snapshot_every) = (bootstrap(&config), config.snapshot_every());
    let options = Options { configuration, timing, seed, snapshot_every, now };
    let replica = Replica::new(stored, machine, options);
    let (report, completions) = mpsc::unbounded_channel();
    // Nobody listens once the node has ended, and then nobody needs to.
    let report = move |completion| drop(report.send(completion));
    let (disk, in_memory) = disk_of(dir, report)?;
    let progress = watch::Sender::new(replica.snapshots());
    // Only now: the directory is locked and a log's.
    let (tape, archive) = record::open(&config);
    let (inbox_sender, inbox) = mpsc::channel(INBOX);
    let (life, life_seen) = watch::channel(Life::Running);
    let (end, ended) = watch::channel(());
    let node = Node {
        shared: Arc::new(Shared {
            members: watch::Sender::new(members::of_replica(&config, &replica)),
            config,
            inbox: inbox_sender,
            origin,
            life: life_seen,
            let_go: watch::Sender::new(false),
            ended,
            thread: Mutex::new(None),
            archive,
            snapshots: Kept { in_memory, progress },
            pace: Pace::new(),
            saved: watch::Sender::new(false),
        }),
    };
    let saved = node.shared.saved.clone();
    let parts = Parts {
        node: node.clone(),
        replica,
        tape,
        disk,
        completions,
        incarnation,
        inbox,
        listener,
        life: life.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("raft-node".to_owned()).spawn(move || {
        // A defect must reach whoever asks the node as a failure, not tear down the host's process.
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(parts)))) {
            Ok(Some(workers)) => workers.shutdown_timeout(LAST_WORK),
            Ok(None) => {}
            Err(panic) => {
                life.send_replace(Life::Failed(describe_panic(&*panic)));
            }
        }
        runtime.shutdown_timeout(LAST_WORK);
        saved.send_replace(true);
        drop(end);
    })?;
    *node.shared.thread.lock() = Some(thread);
    Ok(node)
}

/// The disk of a node, and the files of one without.
fn disk_of(
    dir: Option<DataDir>,
    report: impl Fn(Completion) + Send + Sync + 'static,
) -> Result<(Box<dyn Disk>, MemoryFiles), StartError> {
    let Some(dir) = dir else {
        let disk = MemoryDisk::new(report);
        let snapshots = disk.snapshots();
        return Ok((Box::new(disk), snapshots));
    };
    Ok((Box::new(DiskThread::spawn(dir, report)?), MemoryFiles::default()))
}

/// Who the members are before the log says so. A node that is to join a cluster is told by that.
fn bootstrap(config: &Config) -> Configuration {
    if !config.join.is_empty() {
        return Configuration::waiting(config.node_id.clone(), config.advertised());
    }
    let own = (config.node_id.clone(), config.advertised());
    let others = config.peers.clone().into_iter().filter(|(id, _)| *id != config.node_id);
    Configuration::with_addresses(others.chain([own]))
}

/// Runs the node until it has stopped. Gives back the threads for sockets, which cannot be waited for here.
async fn run(parts: Parts) -> Option<Runtime> {
    let Parts { node, replica, tape, disk, completions, incarnation, inbox, listener, life } = parts;
    let config = node.config();
    let states = LinkStates::default();
    let streams = Streams::new(config, incarnation, states.clone(), node.inbox());
    let (shut_down, shutting_down) = watch::channel(false);
    let workers = (config.io_threads > 0).then(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(config.io_threads).enable_all().build()
    });
    let serve = {
        let node = node.clone();
        async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => http::serve(listener, node, shutting_down).await,
                Err(error) => tracing::error!(%error, "cannot serve"),
            }
        }
    };
    let workers = match workers.transpose() {
        Ok(workers) => workers,
        Err(error) => {
            life.send_replace(Life::Failed(format!("cannot start the threads for sockets: {error}")));
            return None;
        }
    };
    let server = match &workers {
        Some(workers) => workers.spawn(serve),
        None => tokio::spawn(serve),
    };
    let driver = Driver::new(node.clone(), replica, (tape, disk), (streams, states), life.clone());
    tokio::spawn(node.clone().save_failure());
    if !config.join.is_empty() {
        tokio::spawn(join::join(node.clone()));
    }
    // Its own task, so that a failed assertion ends it and not the server, which then says why.
    let driven = tokio::spawn(driver.run(inbox, completions)).await;
    let (reason, wreck) = match driven {
        Ok(Ok(())) => (None, None),
        Ok(Err(wreck)) => (Some(describe_panic(&*wreck.panic)), Some(wreck)),
        Err(ended) => {
            (Some(ended.try_into_panic().map_or_else(|e| e.to_string(), |p| describe_panic(&*p))), None)
        }
    };
    if let Some(reason) = reason {
        tracing::error!(reason, "the node has failed");
        life.send_replace(Life::Failed(reason.clone()));
        // Whoever asks is told. The host decides when to end.
        match wreck {
            Some(wreck) => wreck.attend(&node, &reason).await,
            None => drop(node.shared.let_go.subscribe().wait_for(|let_go| *let_go).await),
        }
    }
    shut_down.send_replace(true);
    let _ = server.await;
    life.send_replace(Life::Stopped);
    workers
}

fn describe_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("a defect: {text}. Please report it; the data directory is as it was")
}

/// A seed or incarnation from the operating system.
fn random() -> Result<u64, StartError> {
    getrandom::u64().map_err(|error| StartError::System(std::io::Error::other(error.to_string())))
}

/// Listens on the address, so that a taken port is known before anything else is touched.
pub(crate) fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let failed = |reason: String| StartError::Listen { address: format!("{host}:{port}"), reason };
    let addresses = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    let mut last = failed("the name has no address".to_owned());
    for address in addresses {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = failed(explain_bind(&error, port)),
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    // A node that was killed may listen again at once, though its last connections linger.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn explain_bind(error: &std::io::Error, port: u16) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "the port is in use; stop what listens there (ss -ltnp 'sport = :{port}' shows it) or choose another"
            )
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            format!("not permitted; ports below 1024 need privileges, and {port} may be reserved")
        }
        _ => error.to_string(),
    }
}

/// Opens what the node has stored, or makes it.
fn open(config: &Config) -> Result<(Stored, Option<DataDir>), StartError> {
    match &config.storage {
        Storage::Directory(path) => open_directory(path, &config.node_id),
        Storage::Ephemeral => {
            let identity = Identity::new(config.node_id.clone(), Incarnation(random()?));
            let (writer, _) = create(&identity, LogOptions::default());
            Ok((Stored::fresh(identity, writer), None))
        }
    }
}

fn open_directory(path: &Path, node_id: &NodeId) -> Result<(Stored, Option<DataDir>), StartError> {
    let unusable = |error: &dyn std::fmt::Display| StartError::DataDirectory(error.to_string());
    let dir = DataDir::open(path).map_err(|error| unusable(&error))?;
    let damaged = |error: &dyn std::fmt::Display| StartError::Damaged(format!("{}: {error}", path.display()));
    let stored = match recover(&dir, node_id, LogOptions::default()).map_err(|error| damaged(&error))? {
        Recovery::Empty => {
            let identity = Identity::new(node_id.clone(), Incarnation(random()?));
            let (writer, ops) = create(&identity, LogOptions::default());
            dir.apply(&ops).map_err(|error| unusable(&error))?;
            Stored::fresh(identity, writer)
        }
        Recovery::Found(recovered) => {
            if let Some(torn) = &recovered.torn {
                let (file, offset, bytes) = (&torn.file, torn.offset, torn.dropped_bytes);
                tracing::warn!(
                    file,
                    offset,
                    bytes,
                    "cut off a write that a crash left unfinished; nothing acknowledged was in it"
                );
            }
            dir.apply(&recovered.repairs).map_err(|error| unusable(&error))?;
            Stored::from(*recovered)
        }
    };
    Ok((stored, Some(dir)))
}
