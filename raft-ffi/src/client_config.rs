//! What a client is told before it is opened.

use std::ffi::c_char;
use std::time::Duration;

use parking_lot::Mutex;
use raft_node::client::{ClientConfig, Consistency};

use crate::consistency;
use crate::input::{self, setting};
use crate::problem::{Problem, guard, status_of};
use crate::status::raft_status;

/// The configuration of a client. raft_client_open() takes a copy of it. It is yours: free it with
/// raft_client_config_free().
///
/// What is not set has its documented default: the nodes at 127.0.0.1, ports 12000 to 12002; 5 seconds a
/// call; linearizable reads.
#[derive(Debug)]
pub struct raft_client_config {
    settings: Mutex<ClientConfig>,
}

impl raft_client_config {
    pub(crate) fn settings(&self) -> ClientConfig {
        self.settings.lock().clone()
    }
}

/// Changes a configuration.
///
/// # Safety
/// Where it is not NULL, `config` points at a configuration that was not freed, and `read` may be called.
unsafe fn change<T>(
    config: *const raft_client_config,
    read: impl FnOnce() -> Result<T, Problem>,
    apply: impl FnOnce(&mut ClientConfig, T),
) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let config = unsafe { input::borrow(config, "the configuration")? };
        let read = read()?;
        apply(&mut config.settings.lock(), read);
        Ok(())
    })
}

/// Makes a configuration in which all has its default.
///
/// `*config` becomes the configuration, which is yours; NULL where it fails.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_config_new(config: *mut *mut raft_client_config) -> raft_status {
    status_of(|| {
        // SAFETY: passed on.
        let place = unsafe { input::out(config, std::ptr::null_mut(), "the place for the configuration")? };
        let settings = Mutex::new(ClientConfig::default());
        *place = Box::into_raw(Box::new(raft_client_config { settings }));
        Ok(())
    })
}

/// Names the nodes to ask: "HOST:PORT,HOST:PORT". Not all of them need be there.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; `endpoints` is NULL or a NUL-terminated
/// text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_config_set_endpoints(
    config: *mut raft_client_config,
    endpoints: *const c_char,
) -> raft_status {
    let read = || {
        // SAFETY: passed on.
        let list = unsafe { input::text(endpoints, setting("the list of endpoints"))? };
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(parts.map(ToOwned::to_owned).collect())
    };
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, endpoints| settings.endpoints = endpoints) }
}

/// How long a call may take in all, in milliseconds, where it does not say; by default 5000.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_config_set_timeout_ms(
    config: *mut raft_client_config,
    timeout_ms: u32,
) -> raft_status {
    let apply = |settings: &mut ClientConfig, ()| settings.timeout = Duration::from_millis(timeout_ms.into());
    // SAFETY: passed on.
    unsafe { change(config, || Ok(()), apply) }
}

/// How fresh reads are that do not say: a raft_consistency; by default linearizable.
///
/// Threads: any, at any time.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_config_set_consistency(
    config: *mut raft_client_config,
    consistency: u32,
) -> raft_status {
    let read = || Ok(consistency::read(consistency)?.unwrap_or(Consistency::Linearizable));
    // SAFETY: passed on.
    unsafe { change(config, read, |settings, consistency| settings.consistency = consistency) }
}

/// Frees a configuration. Clients opened with it go on. Does nothing with NULL.
///
/// Threads: any, once no other uses the configuration any more.
///
/// # Safety
/// `config` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_client_config_free(config: *mut raft_client_config) {
    if !config.is_null() {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(config) }));
    }
}
