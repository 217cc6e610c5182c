//! What nodes log, handed to the host.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

use crate::problem::{Problem, guard, status_of};
use crate::status::raft_status;
use crate::status::raft_status::{RAFT_BAD_REQUEST, RAFT_CONFLICT, RAFT_TIMEOUT};

/// How much a line of the log matters.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum raft_log_level {
    /// Something does not work.
    RAFT_LOG_ERROR = 1,
    /// Something needs looking at.
    RAFT_LOG_WARN = 2,
    /// What a node does: starts, leads, follows, stops.
    RAFT_LOG_INFO = 3,
    /// More, for finding a fault.
    RAFT_LOG_DEBUG = 4,
    /// Everything.
    RAFT_LOG_TRACE = 5,
}

use raft_log_level::{RAFT_LOG_DEBUG, RAFT_LOG_ERROR, RAFT_LOG_INFO, RAFT_LOG_TRACE, RAFT_LOG_WARN};

/// Takes one line of the log: its level, the part of the library it comes from, and what it says, in UTF-8.
/// Both texts are gone when it is back. Called from any thread, several at a time. It should be quick: the
/// node waits for it. It must not throw or jump out.
pub type raft_log_callback = Option<
    unsafe extern "C" fn(
        level: raft_log_level,
        target: *const c_char,
        message: *const c_char,
        user_data: *mut c_void,
    ),
>;

type Callback = unsafe extern "C" fn(raft_log_level, *const c_char, *const c_char, *mut c_void);

struct Host {
    callback: Callback,
    user_data: *mut c_void,
}

// SAFETY: the pointer is only handed back to the host, who was told that it happens on any thread.
unsafe impl Send for Host {}
// SAFETY: likewise, and several at a time.
unsafe impl Sync for Host {}

static HOST: RwLock<Option<Host>> = RwLock::new(None);
/// The least important level that is handed over; 0 for none.
static MOST: AtomicI32 = AtomicI32::new(0);
static SUBSCRIBED: Mutex<bool> = Mutex::new(false);
/// How long to wait for calls that are under way.
const UNDER_WAY: Duration = Duration::from_secs(5);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Has every line the nodes and clients of this process log, up to `max_level` (a raft_log_level), handed to
/// `callback`, in place of the one before. NULL for no more: without a callback nothing is logged. When it is
/// back, the callback before is not running and is not called again.
///
/// RAFT_CONFLICT from within a callback; RAFT_TIMEOUT where one does not come back within 5 seconds.
///
/// Threads: any, at any time, but not from within a callback.
///
/// # Safety
/// `callback` is NULL, or may be called from any thread with `user_data` until it is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_set_log_callback(
    callback: raft_log_callback,
    user_data: *mut c_void,
    max_level: i32,
) -> raft_status {
    status_of(|| {
        if callback.is_some() && !(RAFT_LOG_ERROR as i32..=RAFT_LOG_TRACE as i32).contains(&max_level) {
            let message = format!("{max_level} is no raft_log_level: it is from 1 (error) to 5 (trace)");
            return Err(Problem::new(RAFT_BAD_REQUEST, message));
        }
        if IN_CALLBACK.get() {
            let message = "a log callback cannot be replaced from within one: it would wait for itself";
            return Err(Problem::new(RAFT_CONFLICT, message));
        }
        if callback.is_some() {
            subscribe()?;
        }
        let late = || Problem::new(RAFT_TIMEOUT, "the log callback before this one does not come back");
        let mut host = HOST.try_write_for(UNDER_WAY).ok_or_else(late)?;
        MOST.store(if callback.is_some() { max_level } else { 0 }, Ordering::Relaxed);
        *host = callback.map(|callback| Host { callback, user_data });
        Ok(())
    })
}

fn subscribe() -> Result<(), Problem> {
    let mut subscribed = SUBSCRIBED.lock();
    if !*subscribed {
        let taken = |_| Problem::new(RAFT_CONFLICT, "another part of this process takes the log already");
        set_global_default(ToHost).map_err(taken)?;
        *subscribed = true;
    }
    Ok(())
}

struct ToHost;

impl Subscriber for ToHost {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Which levels are wanted may change.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level(*metadata.level()) as i32 <= MOST.load(Ordering::Relaxed)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        guard((), || hand_over(event));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn level(level: Level) -> raft_log_level {
    match level {
        Level::ERROR => RAFT_LOG_ERROR,
        Level::WARN => RAFT_LOG_WARN,
        Level::INFO => RAFT_LOG_INFO,
        Level::DEBUG => RAFT_LOG_DEBUG,
        Level::TRACE => RAFT_LOG_TRACE,
    }
}

fn hand_over(event: &Event<'_>) {
    // A callback that calls the library would otherwise be called without end.
    if IN_CALLBACK.get() {
        return;
    }
    let mut line = Line::default();
    event.record(&mut line);
    let text = |text: &str| CString::new(text.replace('\0', "\\0")).unwrap_or_default();
    let (target, message) = (text(event.metadata().target()), text(&(line.message + &line.fields)));
    let host = HOST.read();
    if let Some(Host { callback, user_data }) = host.as_ref() {
        IN_CALLBACK.set(true);
        let level = level(*event.metadata().level());
        // SAFETY: the host promised that it may be called so, from any thread, until it is replaced; that
        // waits for the lock held here. Both texts live until it is back.
        unsafe { callback(level, target.as_ptr(), message.as_ptr(), *user_data) };
        IN_CALLBACK.set(false);
    }
}

/// What an event says, and its fields as `name=value`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a String has no way to fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
