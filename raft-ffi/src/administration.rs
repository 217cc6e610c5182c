//! What an operator has done with the cluster: each call once, for nodes and for clients.

use std::ffi::{CString, c_char};

use raft_node::blocking::Administration;

use crate::input::{self, NODE_ID};
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
