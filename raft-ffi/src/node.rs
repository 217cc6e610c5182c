//! A node in this process.

use std::ffi::{c_char, c_void};
use std::ops::Deref;
use std::sync::Arc;

use ::raft_node::Config;
use ::raft_node::blocking::{Administration, Call, Node, Store};
use parking_lot::{Mutex, RwLock};

use crate::administration;
use crate::input::{self, Home};
use crate::keys::raft_keys;
use crate::node_config::raft_node_config;
use crate::problem::{Problem, guard, status_of};
use crate::status::raft_status;
use crate::status::raft_status::RAFT_SHUTTING_DOWN;
use crate::store::{self, Content, Document, Door};
use crate::value::raft_value;

/// A node in this process: a member of a cluster, with threads, a port and a data directory of its own. It is
/// yours: free it with raft_node_free().
#[derive(Debug)]
pub struct raft_node {
    config: Config,
    home: Home,
    /// Held while the node is being started or stopped.
    changing: Mutex<()>,
    running: RwLock<Option<Arc<Node>>>,
}

impl raft_node {
    fn running(&self) -> Option<Arc<Node>> {
        self.running.read().clone()
    }

    fn start(&self) -> Result<(), Problem> {
        self.home.check()?;
        let _changing = self.changing.lock();
        if self.running().is_some() {
            return Ok(());
        }
        let node = Node::start(self.config.clone())?;
        *self.running.write() = Some(Arc::new(node));
        Ok(())
    }

    fn stop(&self, timeout_ms: u32) -> Result<(), Problem> {
        self.home.check()?;
        let _changing = self.changing.lock();
        if let Some(node) = self.running() {
            node.stop(input::call(timeout_ms))?;
            *self.running.write() = None;
        }
        Ok(())
    }
}

impl Door for raft_node {
    const NAME: &'static str = "the node";

    fn store(&self) -> Result<impl Deref<Target = impl Store + Administration>, Problem> {
        self.home.check()?;
        let not_running =
            || Problem::new(RAFT_SHUTTING_DOWN, "the node was not started, or has been stopped");
        self.running().ok_or_else(not_running)
    }
}

/// Makes a node from a copy of a configuration. It does nothing until it is started.
///
/// `*node` becomes the node, which is yours; NULL where it fails, with RAFT_CONFIG where the configuration
/// cannot work.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `node` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_open(
    config: *const raft_node_config,
    node: *mut *mut raft_node,
) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let (place, config) = unsafe {
            let place = input::out(node, std::ptr::null_mut(), "the place for the node")?;
            (place, input::borrow(config, "the configuration")?)
        };
        let (config, home) = (config.checked()?, Home::here());
        let (changing, running) = (Mutex::new(()), RwLock::new(None));
        *place = Box::into_raw(Box::new(raft_node { config, home, changing, running }));
        Ok(())
    })
}

/// Opens the data directory, listens on the port, and runs the node on threads of its own. Comes back when
/// that is done; the node need not have a leader yet, and calls wait for one.
///
/// RAFT_LISTEN, RAFT_DATA_DIRECTORY, RAFT_DAMAGED or RAFT_SYSTEM where it cannot, and then nothing is left
/// running. A node that runs is left as it is; one that was stopped may be started again.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_start(node: *mut raft_node) -> raft_status {
    // SAFETY: passed on.
    status_of(|| unsafe { input::borrow(node, raft_node::NAME) }?.start())
}

/// Hands leadership over if this node leads, stops it, and waits until its threads have ended and its port is
/// free. Calls under way in other threads come back with RAFT_SHUTTING_DOWN or RAFT_OUTCOME_UNKNOWN. Stopping
/// a node that does not run does nothing.
///
/// `timeout_ms`: how long that may take; 0 for 10 seconds. RAFT_TIMEOUT where it takes longer (a disk that
/// hangs): the node has been told to stop, and may be waited for with another call.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_stop(node: *mut raft_node, timeout_ms: u32) -> raft_status {
    // SAFETY: passed on.
    status_of(|| unsafe { input::borrow(node, raft_node::NAME) }?.stop(timeout_ms))
}

/// Stops the node if it runs, as raft_node_stop() does, and frees it. Does nothing with NULL. In a forked
/// child it leaves the parent's node alone.
///
/// Threads: any, once no other uses the node any more.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_free(node: *mut raft_node) {
    // SAFETY: passed on.
    let at_home = unsafe { node.as_ref() }.is_some_and(|node| node.home.is_here());
    if at_home {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(node) }));
    }
}

/// Sets a key (1 byte to 4 KiB of UTF-8) to `size` bytes, and waits until that is on the disks of a majority
/// and applied. However often it has to be sent, it happens once.
///
/// `data` may be NULL where `size` is 0. `timeout_ms`: how long it may take; 0 for the node's default.
/// `revision`: where to put the revision of the key, 0 where it fails; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text; `data`
/// is NULL or points at `size` bytes; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_set(
    node: *mut raft_node,
    key: *const c_char,
    data: *const c_void,
    size: usize,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(node, key, Content::Bytes(data, size), timeout_ms, revision) }
}

/// Sets a key to a text in UTF-8, which is a string to JSON, Python and the shell. Otherwise as
/// raft_node_set().
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `key` and `text` are NULL or NUL-terminated
/// texts; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_set_text(
    node: *mut raft_node,
    key: *const c_char,
    text: *const c_char,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(node, key, Content::Text(text), timeout_ms, revision) }
}

/// Sets a key to the JSON value that `json` is the text of; {"$base64":"..."} stands for bytes. Otherwise as
/// raft_node_set(); RAFT_BAD_REQUEST where it is no JSON.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `key` and `json` are NULL or NUL-terminated
/// texts; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_set_json(
    node: *mut raft_node,
    key: *const c_char,
    json: *const c_char,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(node, key, Content::Json(json), timeout_ms, revision) }
}

/// Reads a key. RAFT_NOT_FOUND where it is not set.
///
/// `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the node's default. `*value`
/// becomes the value, which is yours: free it with raft_value_free(). NULL where there is none.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
/// `value` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_get(
    node: *mut raft_node,
    key: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    value: *mut *mut raft_value,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::get(node, key, consistency, timeout_ms, value) }
}

/// Deletes a key, and waits until that is on the disks of a majority and applied. However often it has to be
/// sent, it happens once. RAFT_OK also where the key was not set.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `deleted`: where to put whether there was
/// anything to delete; may be NULL. `revision`: where to put the revision at which it happened; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
/// `deleted` and `revision` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_delete(
    node: *mut raft_node,
    key: *const c_char,
    timeout_ms: u32,
    deleted: *mut bool,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::delete(node, key, timeout_ms, deleted, revision) }
}

/// Reads all keys that start with `prefix` ("" for all), in the order of their bytes. Long lists are read in
/// pages, between which the store may change.
///
/// `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the node's default. `*keys`
/// becomes the list, which is yours: free it with raft_keys_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `prefix` is NULL or a NUL-terminated text;
/// `keys` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_keys(
    node: *mut raft_node,
    prefix: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    keys: *mut *mut raft_keys,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::keys(node, prefix, consistency, timeout_ms, keys) }
}

/// The node's view of itself and its cluster: the JSON text of GET /api/status.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_status(
    node: *mut raft_node,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::document(node, Document::Status, timeout_ms, json) }
}

/// Why there is no leader, or what else is in the way, and what would help: the JSON text of GET /api/why.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_explain(
    node: *mut raft_node,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::document(node, Document::Explanation, timeout_ms, json) }
}

/// Has leadership handed over: to the voter `node_id`, or where that is NULL to the one that has most of the
/// log. RAFT_OK once another leader is known, at once where `node_id` leads already; RAFT_CONFLICT where the
/// leader goes on leading, and why.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `leader`: where to put the id of whoever
/// leads then, which is yours: free it with raft_string_free(). NULL where it fails; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text;
/// `leader` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_transfer(
    node: *mut raft_node,
    node_id: *const c_char,
    timeout_ms: u32,
    leader: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::transfer(node, node_id, timeout_ms, leader) }
}

/// Who belongs to the cluster: the JSON text of GET /api/members.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_members(
    node: *mut raft_node,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::members(node, timeout_ms, json) }
}

/// Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, added to the cluster, and
/// waits until it has caught up and votes, or where `learner` is true until it is a member without a vote.
/// RAFT_CONFLICT where the leader does not do it, and why. Asked for again, what is under way is waited for.
///
/// `timeout_ms`: how long it may take; 0 for the node's default.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `node_id` and `address` are NULL or
/// NUL-terminated texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_add_member(
    node: *mut raft_node,
    node_id: *const c_char,
    address: *const c_char,
    learner: bool,
    timeout_ms: u32,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::add_member(node, node_id, address, learner, timeout_ms) }
}

/// Has the learner `node_id` made a voter, once it has caught up. Otherwise as raft_node_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_promote_member(
    node: *mut raft_node,
    node_id: *const c_char,
    timeout_ms: u32,
) -> raft_status {
    let promote = |door: &dyn Administration, id: &str, call: Call<'_>| door.promote_member(id, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(node, node_id, timeout_ms, promote) }
}

/// Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, take the place of the
/// voter `old_id` once it has caught up. Otherwise as raft_node_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `old_id`, `node_id` and `address` are NULL
/// or NUL-terminated texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_replace_member(
    node: *mut raft_node,
    old_id: *const c_char,
    node_id: *const c_char,
    address: *const c_char,
    timeout_ms: u32,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::replace_member(node, old_id, node_id, address, timeout_ms) }
}

/// Gives the member `node_id` a priority: among those that could lead, the one with the highest does.
/// Otherwise as raft_node_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_set_priority(
    node: *mut raft_node,
    node_id: *const c_char,
    priority: u8,
    timeout_ms: u32,
) -> raft_status {
    let set = |door: &dyn Administration, id: &str, call: Call<'_>| door.set_priority(id, priority, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(node, node_id, timeout_ms, set) }
}

/// Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more, and
/// waits until the leader's own is on its disk. RAFT_CONFLICT where the leader cannot write one, and why.
///
/// `timeout_ms`: how long it may take; 0 for the node's default. `index`: where to put the log index whose
/// state it holds; `bytes`: the length of its file; `took_ms`: how long the leader took over it, in
/// milliseconds. Each is 0 where it fails, and may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `index`, `bytes` and `took_ms` are NULL or
/// may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_snapshot(
    node: *mut raft_node,
    timeout_ms: u32,
    index: *mut u64,
    bytes: *mut u64,
    took_ms: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::snapshot(node, timeout_ms, index, bytes, took_ms) }
}

/// Has the member `node_id` removed, and waits until that is committed. RAFT_CONFLICT where a majority of
/// those who stay cannot be reached, unless `force` is true: then nothing can be written until enough are
/// back.
///
/// `timeout_ms`: how long it may take; 0 for the node's default.
///
/// Threads: any, at any time.
///
/// # Safety
/// `node` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_node_remove_member(
    node: *mut raft_node,
    node_id: *const c_char,
    force: bool,
    timeout_ms: u32,
) -> raft_status {
    let remove = |door: &dyn Administration, id: &str, call: Call<'_>| door.remove_member(id, force, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(node, node_id, timeout_ms, remove) }
}
