//! What a node is told before it is opened.

use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use raft_node::Config;
use raft_node::blocking::Failure;
use raft_node::config::{ConfigError, Storage, parse_addresses, parse_peers};
use raft_node::core::types::NodeId;

use crate::input::{self, setting};
use crate::problem::{Problem, guard, status_of};
use crate::status::raft_status;
use crate::status::raft_status::RAFT_CONFIG;

/// The configuration of a node. raft_node_open() takes a copy of it. It is yours: free it with
/// raft_node_config_free().
///
/// What is not set has its documented default: the members are node_0, node_1 and node_2 at 127.0.0.1, ports
/// 12000 to 12002; the node listens on 127.0.0.1, keeps its log in ./raft-data/NODE_ID, and waits 150 to 300
/// ms for a leader who sends a heartbeat every 50 ms.
#[derive(Debug)]
pub struct raft_node_config {
    settings: Mutex<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    config: Config,
    data_dir: PathBuf,
    ephemeral: bool,
}

impl raft_node_config {
    /// What a node is to be started with.
    ///
    /// # Errors
    /// Where the settings do not fit together.
    pub(crate) fn checked(&self) -> Result<Config, Problem> {
        let Settings { mut config, data_dir, ephemeral } = self.settings.lock().clone();
        config.storage = if ephemeral { Storage::Ephemeral } else { Storage::Directory(data_dir) };
        config.validate().map_err(refused)?;
        Ok(config)
    }
}

fn refused(error: ConfigError) -> Problem {
    Problem::new(RAFT_CONFIG, error.to_string())
}

/// Changes a configuration.
///
/// # Safety
/// Where it is not NULL, `config` points at a configuration that was not freed, and `read` may be called.
unsafe fn change<T>(
    config: *const raft_node_config,
    read: impl FnOnce() -> Result<T, Problem>,
    apply: impl FnOnce(&mut Settings, T),
) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let config = unsafe { input::borrow(config, "the configuration")? };
        let read = read()?;
        apply(&mut config.settings.lock(), read);
        Ok(())
    })
}

/// Makes a configuration for the node `node_id` (1 to 64 of A-Z a-z 0-9 _ . -), which is to listen on `port`
/// for clients and for the other nodes. All else has its default.
///
/// `*config` becomes the configuration, which is yours; NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node_id` is NULL or a NUL-terminated text; `config` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_new(
    node_id: *const c_char,
    port: u16,
    config: *mut *mut raft_node_config,
) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let (place, node_id) = unsafe {
            let place = input::out(config, std::ptr::null_mut(), "the place for the configuration")?;
            (place, input::text(node_id, setting("the node's id"))?)
        };
        let config = Config::new(NodeId::new(node_id).map_err(|error| refused(error.into()))?, port);
        let data_dir = match &config.storage {
            Storage::Directory(directory) => directory.clone(),
            Storage::Ephemeral => PathBuf::new(),
        };
        let settings = Mutex::new(Settings { config, data_dir, ephemeral: false });
        *place = Box::into_raw(Box::new(raft_node_config { settings }));
        Ok(())
    })
}

/// Names the members of the cluster, this node among them, each with the address at which the others reach
/// it: "node_0=HOST:PORT,node_1=HOST:PORT". The list is the same on every node.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `peers` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_peers(
    config: *mut raft_node_config,
    peers: *const c_char,
) -> raft_status {
    // SAFETY: passed on.
    let read = || parse_peers(unsafe { input::text(peers, setting("the peer list"))? }).map_err(refused);
    // SAFETY: passed on.
    unsafe {
        change(config, read, |settings, peers| {
            settings.config.peers = peers;
            settings.config.join.clear();
        })
    }
}

/// Has the node added to a cluster that runs, instead of naming its members: `endpoints` are addresses of
/// members, "HOST:PORT,HOST:PORT"; one that answers is enough. It asks them until it is taken in. Of this
/// call and raft_node_config_set_peers() the later one holds.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `endpoints` is NULL or a NUL-terminated
/// text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_join(
    config: *mut raft_node_config,
    endpoints: *const c_char,
) -> raft_status {
    // SAFETY: passed on.
    let read = || parse_addresses(unsafe { input::text(endpoints, setting("the list"))? }).map_err(refused);
    let join = |settings: &mut Settings, endpoints| {
        settings.config.join = endpoints;
        settings.config.peers.clear();
    };
    // SAFETY: passed on.
    unsafe { change(config, read, join) }
}

/// Listens on another address than 127.0.0.1: an IP address, or a name of this machine. One that other
/// machines reach needs raft_node_config_set_insecure() as well.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `host` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_host(
    config: *mut raft_node_config,
    host: *const c_char,
) -> raft_status {
    // SAFETY: passed on.
    let read = || Ok(unsafe { input::text(host, setting("the host"))? }.to_owned());
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, host| settings.config.host = host) }
}

/// Says at which "HOST:PORT" the others reach this node, where that is not where it listens (behind a port
/// that is forwarded, say).
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `address` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_advertise(
    config: *mut raft_node_config,
    address: *const c_char,
) -> raft_status {
    // SAFETY: passed on.
    let read = || Ok(unsafe { input::text(address, setting("the address"))? }.to_owned());
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, address| settings.config.advertise = Some(address)) }
}

/// Keeps the log in this directory instead of ./raft-data/NODE_ID. It is made where it is not there. The path
/// need not be UTF-8.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `path` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_data_dir(
    config: *mut raft_node_config,
    path: *const c_char,
) -> raft_status {
    let read = || {
        // SAFETY: passed on.
        let path = unsafe { input::raw_text(path, setting("the data directory"))? };
        if path.is_empty() {
            return Err(Problem::from(Failure::bad_request("the data directory is an empty text")));
        }
        Ok(PathBuf::from(OsStr::from_bytes(path)))
    };
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, path| settings.data_dir = path) }
}

/// Keeps the log in memory alone (true) or in the data directory (false, the default). A node with an
/// ephemeral log that stops has lost its disk: a cluster takes it for a member that was wiped, and lets it
/// vote no more.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_ephemeral(
    config: *mut raft_node_config,
    ephemeral: bool,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { change(config, || Ok(ephemeral), |settings, ephemeral| settings.ephemeral = ephemeral) }
}

/// How long, in milliseconds, a node that hears no leader waits before it stands for election: a time drawn
/// between `min_ms` and `max_ms`. At least twice the heartbeat interval; at most a minute. By default 150 and
/// 300.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_election_timeout_ms(
    config: *mut raft_node_config,
    min_ms: u32,
    max_ms: u32,
) -> raft_status {
    let apply = |settings: &mut Settings, ()| {
        settings.config.timing.election_timeout_min = Duration::from_millis(min_ms.into());
        settings.config.timing.election_timeout_max = Duration::from_millis(max_ms.into());
    };
    // SAFETY: passed on.
    unsafe { change(config, || Ok(()), apply) }
}

/// How often, in milliseconds, a leader speaks when it has nothing to say. From 1 to half the lower election
/// timeout; by default 50.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_heartbeat_interval_ms(
    config: *mut raft_node_config,
    interval_ms: u32,
) -> raft_status {
    let apply = |settings: &mut Settings, ()| {
        settings.config.timing.heartbeat_interval = Duration::from_millis(interval_ms.into());
    };
    // SAFETY: passed on.
    unsafe { change(config, || Ok(()), apply) }
}

/// Lets the node listen on an address that other machines reach, though nothing asks them who they are. For
/// networks that are trusted. False by default.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_insecure(
    config: *mut raft_node_config,
    insecure: bool,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { change(config, || Ok(insecure), |settings, insecure| settings.config.insecure = insecure) }
}

/// The largest value that may be set through this node, in bytes: from 1 to 8 MiB, by default 1 MiB.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_max_value_bytes(
    config: *mut raft_node_config,
    bytes: usize,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { change(config, || Ok(bytes), |settings, bytes| settings.config.max_value_bytes = bytes) }
}

/// How long a call may take, in milliseconds, where it does not say: from 1 to an hour, by default 5000. It
/// also holds for requests over HTTP that do not say.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_request_timeout_ms(
    config: *mut raft_node_config,
    timeout_ms: u32,
) -> raft_status {
    let apply = |settings: &mut Settings, ()| {
        settings.config.request_timeout = Duration::from_millis(timeout_ms.into());
    };
    // SAFETY: passed on.
    unsafe { change(config, || Ok(()), apply) }
}

/// Threads that serve the node's sockets: from 0 to 256. With 0, the default, the node's one thread does so
/// as well, which is fastest on few cores.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_io_threads(
    config: *mut raft_node_config,
    threads: u32,
) -> raft_status {
    let read = || Ok(usize::try_from(threads).unwrap_or(usize::MAX));
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, threads| settings.config.io_threads = threads) }
}

/// How much of the recording of what the node did is kept, in MiB: from 0 to 65536, by default 64. With 0
/// nothing is recorded. It is in the data directory, or in memory for an ephemeral node, and has the keys and
/// values in it; `raft-server replay` shows it.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_record_mib(
    config: *mut raft_node_config,
    mib: u32,
) -> raft_status {
    let read = || Ok(usize::try_from(mib).unwrap_or(usize::MAX));
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, mib| settings.config.record_mib = mib) }
}

/// By how many MiB the log grows before a snapshot is taken and the log before it is let go of: from 0 to
/// 65536, by default 64, and more where the last snapshot was longer. With 0 none is taken by itself. The
/// leader's setting counts.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_set_snapshot_mib(
    config: *mut raft_node_config,
    mib: u32,
) -> raft_status {
    let read = || Ok(usize::try_from(mib).unwrap_or(usize::MAX));
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, mib| settings.config.snapshot_mib = mib) }
}

/// Frees a configuration. Nodes opened with it go on. Does nothing with NULL.
///
/// Threads: any, once no other uses the configuration any more.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_config_free(config: *mut raft_node_config) {
    if !config.is_null() {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(config) }));
    }
}
