//! A client of nodes elsewhere.

use std::ffi::{c_char, c_void};
use std::ops::Deref;

use raft_node::blocking::{Administration, Call, Client, Store};

use crate::administration;
use crate::client_config::raft_client_config;
use crate::input::{self, Home};
use crate::keys::raft_keys;
use crate::problem::{Problem, guard, status_of};
use crate::status::raft_status;
use crate::store::{self, Content, Document, Door};
use crate::value::raft_value;

/// A client of a cluster: finds the nodes that answer, and goes on with the others when one fails. It is
/// yours: free it with raft_client_free().
#[derive(Debug)]
pub struct raft_client {
    client: Client,
    home: Home,
}

impl Door for raft_client {
    const NAME: &'static str = "the client";

    fn store(&self) -> Result<impl Deref<Target = impl Store + Administration>, Problem> {
        self.home.check()?;
        Ok(&self.client)
    }
}

/// Makes a client from a copy of a configuration. Nothing is dialled yet.
///
/// `*client` becomes the client, which is yours; NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `client` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_open(
    config: *const raft_client_config,
    client: *mut *mut raft_client,
) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let (place, config) = unsafe {
            let place = input::out(client, std::ptr::null_mut(), "the place for the client")?;
            (place, input::borrow(config, "the configuration")?)
        };
        let (client, home) = (Client::new(config.settings())?, Home::here());
        *place = Box::into_raw(Box::new(raft_client { client, home }));
        Ok(())
    })
}

/// Closes the client's connections and frees it. Does nothing with NULL. In a forked child it leaves the
/// parent's connections alone.
///
/// Threads: any, once no other uses the client any more.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_free(client: *mut raft_client) {
    // SAFETY: passed on.
    let at_home = unsafe { client.as_ref() }.is_some_and(|client| client.home.is_here());
    if at_home {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(client) }));
    }
}

/// Sets a key (1 byte to 4 KiB of UTF-8) to `size` bytes, and waits until that is on the disks of a majority
/// and applied. However often it has to be sent, and to whichever node, it happens once.
///
/// `data` may be NULL where `size` is 0. `timeout_ms`: how long it may take; 0 for the client's default.
/// `revision`: where to put the revision of the key, 0 where it fails; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
/// `data` is NULL or points at `size` bytes; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_set(
    client: *mut raft_client,
    key: *const c_char,
    data: *const c_void,
    size: usize,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(client, key, Content::Bytes(data, size), timeout_ms, revision) }
}

/// Sets a key to a text in UTF-8, which is a string to JSON, Python and the shell. Otherwise as
/// raft_client_set().
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `key` and `text` are NULL or NUL-terminated
/// texts; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_set_text(
    client: *mut raft_client,
    key: *const c_char,
    text: *const c_char,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(client, key, Content::Text(text), timeout_ms, revision) }
}

/// Sets a key to the JSON value that `json` is the text of; {"$base64":"..."} stands for bytes. Otherwise as
/// raft_client_set(); RAFT_BAD_REQUEST where it is no JSON.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `key` and `json` are NULL or NUL-terminated
/// texts; `revision` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_set_json(
    client: *mut raft_client,
    key: *const c_char,
    json: *const c_char,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::set(client, key, Content::Json(json), timeout_ms, revision) }
}

/// Reads a key. RAFT_NOT_FOUND where it is not set.
///
/// `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the client's default.
/// `*value` becomes the value, which is yours: free it with raft_value_free(). NULL where there is none.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
/// `value` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_get(
    client: *mut raft_client,
    key: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    value: *mut *mut raft_value,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::get(client, key, consistency, timeout_ms, value) }
}

/// Deletes a key, and waits until that is on the disks of a majority and applied. However often it has to be
/// sent, it happens once. RAFT_OK also where the key was not set.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `deleted`: where to put whether there was
/// anything to delete; may be NULL. `revision`: where to put the revision at which it happened; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `key` is NULL or a NUL-terminated text;
/// `deleted` and `revision` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_delete(
    client: *mut raft_client,
    key: *const c_char,
    timeout_ms: u32,
    deleted: *mut bool,
    revision: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::delete(client, key, timeout_ms, deleted, revision) }
}

/// Reads all keys that start with `prefix` ("" for all), in the order of their bytes. Long lists are read in
/// pages, between which the store may change.
///
/// `consistency`: a raft_consistency. `timeout_ms`: how long it may take; 0 for the client's default. `*keys`
/// becomes the list, which is yours: free it with raft_keys_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `prefix` is NULL or a NUL-terminated text;
/// `keys` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_keys(
    client: *mut raft_client,
    prefix: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    keys: *mut *mut raft_keys,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::keys(client, prefix, consistency, timeout_ms, keys) }
}

/// A node's view of itself and its cluster: the JSON text of GET /api/status, from whichever node answers
/// first.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_status(
    client: *mut raft_client,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::document(client, Document::Status, timeout_ms, json) }
}

/// Why there is no leader, or what else is in the way, and what would help: the JSON text of GET /api/why,
/// from whichever node answers first.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_explain(
    client: *mut raft_client,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { store::document(client, Document::Explanation, timeout_ms, json) }
}

/// Has leadership handed over: to the voter `node_id`, or where that is NULL to the one that has most of the
/// log. RAFT_OK once another leader is known, at once where `node_id` leads already; RAFT_CONFLICT where the
/// leader goes on leading, and why.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `leader`: where to put the id of whoever
/// leads then, which is yours: free it with raft_string_free(). NULL where it fails; may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text;
/// `leader` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_transfer(
    client: *mut raft_client,
    node_id: *const c_char,
    timeout_ms: u32,
    leader: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::transfer(client, node_id, timeout_ms, leader) }
}

/// Who belongs to the cluster: the JSON text of GET /api/members.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `*json` becomes the text, which is yours:
/// free it with raft_string_free(). NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `json` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_members(
    client: *mut raft_client,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::members(client, timeout_ms, json) }
}

/// Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, added to the cluster, and
/// waits until it has caught up and votes, or where `learner` is true until it is a member without a vote.
/// RAFT_CONFLICT where the leader does not do it, and why. Asked for again, what is under way is waited for.
///
/// `timeout_ms`: how long it may take; 0 for the client's default.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `node_id` and `address` are NULL or
/// NUL-terminated texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_add_member(
    client: *mut raft_client,
    node_id: *const c_char,
    address: *const c_char,
    learner: bool,
    timeout_ms: u32,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::add_member(client, node_id, address, learner, timeout_ms) }
}

/// Has the learner `node_id` made a voter, once it has caught up. Otherwise as raft_client_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_promote_member(
    client: *mut raft_client,
    node_id: *const c_char,
    timeout_ms: u32,
) -> raft_status {
    let promote = |door: &dyn Administration, id: &str, call: Call<'_>| door.promote_member(id, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(client, node_id, timeout_ms, promote) }
}

/// Has the server `node_id`, which the members reach at the "HOST:PORT" `address`, take the place of the
/// voter `old_id` once it has caught up. Otherwise as raft_client_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `old_id`, `node_id` and `address` are NULL
/// or NUL-terminated texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_replace_member(
    client: *mut raft_client,
    old_id: *const c_char,
    node_id: *const c_char,
    address: *const c_char,
    timeout_ms: u32,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::replace_member(client, old_id, node_id, address, timeout_ms) }
}

/// Gives the member `node_id` a priority: among those that could lead, the one with the highest does.
/// Otherwise as raft_client_add_member().
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_set_priority(
    client: *mut raft_client,
    node_id: *const c_char,
    priority: u8,
    timeout_ms: u32,
) -> raft_status {
    let set = |door: &dyn Administration, id: &str, call: Call<'_>| door.set_priority(id, priority, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(client, node_id, timeout_ms, set) }
}

/// Has a snapshot taken now, on all nodes, of all that was acknowledged before this call and maybe more, and
/// waits until the leader's own is on its disk. RAFT_CONFLICT where the leader cannot write one, and why.
///
/// `timeout_ms`: how long it may take; 0 for the client's default. `index`: where to put the log index whose
/// state it holds; `bytes`: the length of its file; `took_ms`: how long the leader took over it, in
/// milliseconds. Each is 0 where it fails, and may be NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `index`, `bytes` and `took_ms` are NULL or
/// may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_snapshot(
    client: *mut raft_client,
    timeout_ms: u32,
    index: *mut u64,
    bytes: *mut u64,
    took_ms: *mut u64,
) -> raft_status {
    // SAFETY: passed on.
    unsafe { administration::snapshot(client, timeout_ms, index, bytes, took_ms) }
}

/// Has the member `node_id` removed, and waits until that is committed. RAFT_CONFLICT where a majority of
/// those who stay cannot be reached, unless `force` is true: then nothing can be written until enough are
/// back.
///
/// `timeout_ms`: how long it may take; 0 for the client's default.
///
/// Threads: any, at any time.
///
/// # Safety
/// `client` is NULL, or was given by this library and not freed; `node_id` is NULL or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_remove_member(
    client: *mut raft_client,
    node_id: *const c_char,
    force: bool,
    timeout_ms: u32,
) -> raft_status {
    let remove = |door: &dyn Administration, id: &str, call: Call<'_>| door.remove_member(id, force, call);
    // SAFETY: passed on.
    unsafe { administration::change_member(client, node_id, timeout_ms, remove) }
}
