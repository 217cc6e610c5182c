//! What nodes and clients have in common: each call on the store, once.

use std::ffi::{CString, c_char, c_void};
use std::ops::Deref;

use bytes::Bytes;
use raft_node::blocking::{Administration, Call, Failure, Store, Value};
use raft_node::value::{from_json, string_to_json};

use crate::consistency;
use crate::input::{self, JSON, KEY, PREFIX, TEXT};
use crate::keys::raft_keys;
use crate::problem::{Problem, status_of};
use crate::status::raft_status;
use crate::status::raft_status::{RAFT_NOT_FOUND, RAFT_PROTOCOL};
use crate::value::raft_value;

/// A handle with a store behind it.
pub(crate) trait Door {
    /// What the handle is called when it is NULL.
    const NAME: &'static str;

    /// The store.
    fn store(&self) -> Result<impl Deref<Target = impl Store + Administration>, Problem>;
}

/// What is to be stored, as C gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Bytes(*const c_void, usize),
    Text(*const c_char),
    Json(*const c_char),
}

impl Content {
    /// # Safety
    /// As [`input::bytes`] and [`input::text`].
    unsafe fn read(self) -> Result<Value, Problem> {
        // SAFETY: passed on; what is borrowed is copied at once.
        unsafe {
            Ok(match self {
                Content::Bytes(data, size) => Value::Bytes(Bytes::copy_from_slice(input::bytes(data, size)?)),
                Content::Text(text) => Value::Json(string_to_json(input::text(text, TEXT)?).into()),
                Content::Json(text) => from_json(input::text(text, JSON)?).map_err(Failure::from)?,
            })
        }
    }
}

/// # Safety
/// The pointers are as the documentation of `raft_node_set` asks.
pub(crate) unsafe fn set<D: Door>(
    door: *const D,
    key: *const c_char,
    content: Content,
    timeout_ms: u32,
    revision: *mut u64,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (revision, door, key, value) = unsafe {
            let revision = input::maybe_out(revision, 0);
            let (door, key) = (input::borrow(door, D::NAME)?, input::text(key, KEY)?);
            (revision, door, key, content.read()?)
        };
        let written = door.store()?.set(key, value, input::call(timeout_ms))?;
        if let Some(revision) = revision {
            *revision = written.revision.0;
        }
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_get` asks.
pub(crate) unsafe fn get<D: Door>(
    door: *const D,
    key: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    value: *mut *mut raft_value,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (value, door, key) = unsafe {
            let value = input::out(value, std::ptr::null_mut(), "the place for the value")?;
            (value, input::borrow(door, D::NAME)?, input::text(key, KEY)?)
        };
        let call = Call { consistency: consistency::read(consistency)?, ..input::call(timeout_ms) };
        let item = door.store()?.get(key, call)?;
        let item = item.ok_or_else(|| Problem::new(RAFT_NOT_FOUND, format!("the key {key:?} is not set")))?;
        *value = Box::into_raw(Box::new(raft_value::from(item)));
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_delete` asks.
pub(crate) unsafe fn delete<D: Door>(
    door: *const D,
    key: *const c_char,
    timeout_ms: u32,
    deleted: *mut bool,
    revision: *mut u64,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (deleted, revision, door, key) = unsafe {
            let (deleted, revision) = (input::maybe_out(deleted, false), input::maybe_out(revision, 0));
            (deleted, revision, input::borrow(door, D::NAME)?, input::text(key, KEY)?)
        };
        let done = door.store()?.delete(key, input::call(timeout_ms))?;
        if let Some(deleted) = deleted {
            *deleted = done.deleted;
        }
        if let Some(revision) = revision {
            *revision = done.revision.0;
        }
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_keys` asks.
pub(crate) unsafe fn keys<D: Door>(
    door: *const D,
    prefix: *const c_char,
    consistency: u32,
    timeout_ms: u32,
    keys: *mut *mut raft_keys,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (keys, door, prefix) = unsafe {
            let keys = input::out(keys, std::ptr::null_mut(), "the place for the keys")?;
            (keys, input::borrow(door, D::NAME)?, input::text(prefix, PREFIX)?)
        };
        let call = Call { consistency: consistency::read(consistency)?, ..input::call(timeout_ms) };
        let found = door.store()?.keys(prefix, call)?;
        *keys = Box::into_raw(Box::new(raft_keys::from(found)));
        Ok(())
    })
}

/// Which of its JSON documents a node is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Document {
    Status,
    Explanation,
}

/// # Safety
/// The pointers are as the documentation of `raft_node_status` asks.
pub(crate) unsafe fn document<D: Door>(
    door: *const D,
    which: Document,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (json, door) = unsafe {
            let json = input::out(json, std::ptr::null_mut(), "the place for the JSON text")?;
            (json, input::borrow(door, D::NAME)?)
        };
        let (store, call) = (door.store()?, input::call(timeout_ms));
        let text = match which {
            Document::Status => store.status(call)?,
            Document::Explanation => store.explain(call)?,
        };
        let no_text = |_| Problem::new(RAFT_PROTOCOL, "the node's answer has a NUL byte in it");
        *json = CString::new(text).map_err(no_text)?.into_raw();
        Ok(())
    })
}
