//! Why a call failed, and the boundary that no panic crosses.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use raft_node::blocking::Failure;

use crate::status::raft_status;
use crate::status::raft_status::{RAFT_OK, RAFT_PANIC};

/// Why a call came back with something other than `RAFT_OK`.
#[derive(Debug)]
pub(crate) struct Problem {
    status: raft_status,
    message: String,
}

impl Problem {
    pub(crate) fn new(status: raft_status, message: impl Into<String>) -> Problem {
        Problem { status, message: message.into() }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem { status: failure.code.into(), message: failure.message }
    }
}

const NOTHING_YET: &CStr = c"";

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Keeps the message for the thread that called. One that is ending has nobody left to read it.
fn record(message: &str) {
    let text = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    let _ = LAST.try_with(|last| drop(last.replace(Some(text))));
}

/// Carries a call out. Whatever goes wrong in it comes back as a status, with its message kept.
pub(crate) fn status_of(work: impl FnOnce() -> Result<(), Problem>) -> raft_status {
    let recorded = |work: Result<(), Problem>| match work {
        Ok(()) => RAFT_OK,
        Err(problem) => {
            record(&problem.message);
            problem.status
        }
    };
    match catch_unwind(AssertUnwindSafe(|| recorded(work()))) {
        Ok(status) => status,
        Err(payload) => {
            guard((), || record(&format!("a fault in libraft: {}", said(&*payload))));
            forget(payload);
            RAFT_PANIC
        }
    }
}

/// Carries out what has no status to answer with.
pub(crate) fn guard<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        forget(payload);
        otherwise
    })
}

/// What a panic carries may panic when it is dropped.
fn forget(payload: Box<dyn Any + Send>) {
    std::mem::forget(payload);
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

/// What the last call of this thread that did not return RAFT_OK had to say: one line of UTF-8 that names
/// what failed, with what, and what to do. "" where none has failed yet; never NULL.
///
/// The text is the library's: do not free it. It stays as it is until the next call of this thread that does
/// not return RAFT_OK; calls that succeed and calls that free something leave it alone, so it may be read
/// after cleaning up.
///
/// Threads: any, at any time; each has a message of its own.
#[unsafe(no_mangle)]
pub extern "C" fn raft_last_error_message() -> *const c_char {
    let last = || {
        LAST.try_with(|last| last.borrow().as_ref().map_or(NOTHING_YET.as_ptr(), |text| text.as_ptr())).ok()
    };
    guard(None, last).unwrap_or(NOTHING_YET.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::raft_status::RAFT_BAD_REQUEST;

    fn message() -> String {
        // SAFETY: the text is NUL-terminated and lives until the next failure of this thread.
        unsafe { CStr::from_ptr(raft_last_error_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_message_stays_until_the_next_failure_of_its_thread() {
        assert_eq!(message(), "");
        let refused = || Err(Problem::new(RAFT_BAD_REQUEST, "with a \0 in it"));
        assert_eq!(status_of(refused), RAFT_BAD_REQUEST);
        assert_eq!(status_of(|| Ok(())), RAFT_OK);
        assert_eq!(message(), "with a \\0 in it");
        std::thread::spawn(|| assert_eq!(message(), "")).join().unwrap();
    }

    #[test]
    fn a_panic_is_a_status() {
        struct Nasty;
        impl Drop for Nasty {
            fn drop(&mut self) {
                panic!("even its payload panics");
            }
        }
        assert_eq!(status_of(|| panic!("number {}", 7)), RAFT_PANIC);
        assert_eq!(message(), "a fault in libraft: number 7");
        assert_eq!(status_of(|| std::panic::panic_any(Nasty)), RAFT_PANIC);
        assert_eq!(guard(5, || panic!("quietly")), 5);
    }
}
