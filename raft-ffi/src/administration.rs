//! What an operator has done with the cluster: each call once, for nodes and for clients.

use std::ffi::{CString, c_char};

use raft_node::blocking::{Administration, Call, Failure, NewMember};

use crate::input::{self, NODE_ID, OLD_ID, setting};
use crate::problem::{Problem, status_of};
use crate::status::raft_status;
use crate::status::raft_status::RAFT_PROTOCOL;
use crate::store::Door;

/// # Safety
/// The pointers are as the documentation of `raft_node_transfer` asks.
pub(crate) unsafe fn transfer<D: Door>(
    door: *const D,
    node_id: *const c_char,
    timeout_ms: u32,
    leader: *mut *mut c_char,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (leader, door, to) = unsafe {
            let leader = input::maybe_out(leader, std::ptr::null_mut());
            let door = input::borrow(door, D::NAME)?;
            let to = if node_id.is_null() { None } else { Some(input::text(node_id, NODE_ID)?) };
            (leader, door, to)
        };
        let leads = door.store()?.transfer(to, input::call(timeout_ms))?;
        if let Some(leader) = leader {
            let no_text = |_| Problem::new(RAFT_PROTOCOL, "the leader's id has a NUL byte in it");
            *leader = CString::new(leads).map_err(no_text)?.into_raw();
        }
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_members` asks.
pub(crate) unsafe fn members<D: Door>(
    door: *const D,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (json, door) = unsafe {
            let json = input::out(json, std::ptr::null_mut(), "the place for the JSON text")?;
            (json, input::borrow(door, D::NAME)?)
        };
        let text = door.store()?.members(input::call(timeout_ms))?;
        let no_text = |_| Problem::new(RAFT_PROTOCOL, "the node's answer has a NUL byte in it");
        *json = CString::new(text).map_err(no_text)?.into_raw();
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_add_member` asks.
pub(crate) unsafe fn add_member<D: Door>(
    door: *const D,
    node_id: *const c_char,
    address: *const c_char,
    learner: bool,
    timeout_ms: u32,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (door, member) = unsafe {
            let door = input::borrow(door, D::NAME)?;
            let node_id = input::text(node_id, NODE_ID)?.to_owned();
            let address = input::text(address, setting("the address"))?.to_owned();
            (door, NewMember { node_id, address, learner, ..NewMember::default() })
        };
        door.store()?.add_member(&member, input::call(timeout_ms))?;
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_replace_member` asks.
pub(crate) unsafe fn replace_member<D: Door>(
    door: *const D,
    old_id: *const c_char,
    node_id: *const c_char,
    address: *const c_char,
    timeout_ms: u32,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (door, member) = unsafe {
            let door = input::borrow(door, D::NAME)?;
            let replaces = Some(input::text(old_id, OLD_ID)?.to_owned());
            let node_id = input::text(node_id, NODE_ID)?.to_owned();
            let address = input::text(address, setting("the address"))?.to_owned();
            (door, NewMember { node_id, address, replaces, ..NewMember::default() })
        };
        door.store()?.add_member(&member, input::call(timeout_ms))?;
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_snapshot` asks.
pub(crate) unsafe fn snapshot<D: Door>(
    door: *const D,
    timeout_ms: u32,
    index: *mut u64,
    bytes: *mut u64,
    took_ms: *mut u64,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (places, door) = unsafe {
            let places = [index, bytes, took_ms].map(|place| input::maybe_out(place, 0));
            (places, input::borrow(door, D::NAME)?)
        };
        let taken = door.store()?.snapshot(input::call(timeout_ms))?;
        for (place, number) in places.into_iter().zip([taken.index, taken.bytes, taken.took_ms]) {
            if let Some(place) = place {
                *place = number;
            }
        }
        Ok(())
    })
}

/// # Safety
/// The pointers are as the documentation of `raft_node_promote_member` asks.
pub(crate) unsafe fn change_member<D: Door>(
    door: *const D,
    node_id: *const c_char,
    timeout_ms: u32,
    change: impl FnOnce(&dyn Administration, &str, Call<'_>) -> Result<u64, Failure>,
) -> raft_status {
    status_of(|| {
        // SAFETY: the caller's pointers are as documented, for the time of this call.
        let (door, node_id) = unsafe { (input::borrow(door, D::NAME)?, input::text(node_id, NODE_ID)?) };
        change(&*door.store()?, node_id, input::call(timeout_ms))?;
        Ok(())
    })
}
