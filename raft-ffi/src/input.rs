//! What C hands over, looked at before it is used.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use raft_node::blocking::Call;
use raft_node::config::MAX_VALUE_BYTES;
use raft_node::core::kv::Key;

use crate::problem::Problem;
use crate::status::raft_status;
use crate::status::raft_status::{
    RAFT_BAD_REQUEST, RAFT_FORKED, RAFT_INVALID_UTF8, RAFT_NULL_ARGUMENT, RAFT_TOO_LARGE,
};

/// What a text is, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    what: &'static str,
    limit: usize,
    too_long: raft_status,
}

pub(crate) const KEY: Text = Text { what: "the key", limit: Key::MAX_LEN, too_long: RAFT_BAD_REQUEST };
pub(crate) const NODE_ID: Text = Text { what: "the node's id", ..KEY };
pub(crate) const OLD_ID: Text = Text { what: "the old node's id", ..KEY };
pub(crate) const PREFIX: Text = Text { what: "the prefix", ..KEY };
pub(crate) const TEXT: Text = Text { what: "the text", limit: MAX_VALUE_BYTES, too_long: RAFT_TOO_LARGE };
/// Bytes take a third more as base64, and JSON may be written with blanks.
pub(crate) const JSON: Text = Text { what: "the JSON text", limit: 2 * MAX_VALUE_BYTES, ..TEXT };

/// A text of a configuration.
pub(crate) const fn setting(what: &'static str) -> Text {
    Text { what, limit: 1 << 20, too_long: RAFT_BAD_REQUEST }
}

fn null(what: &str) -> Problem {
    Problem::new(RAFT_NULL_ARGUMENT, format!("{what} is NULL"))
}

/// Borrows what a pointer of the caller points at.
///
/// # Safety
/// Where it is not NULL, it points at a `T` that lives, and is not freed, for as long as the borrow is used.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Problem> {
    // SAFETY: passed on.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// Gives an out-parameter its safe value, then lends it.
///
/// # Safety
/// Where it is not NULL, it may be written to for as long as the borrow is used.
pub(crate) unsafe fn out<'a, T>(pointer: *mut T, safe: T, what: &str) -> Result<&'a mut T, Problem> {
    // SAFETY: passed on.
    unsafe { maybe_out(pointer, safe) }.ok_or_else(|| null(what))
}

/// The same for one that may be NULL.
///
/// # Safety
/// As [`out`].
pub(crate) unsafe fn maybe_out<'a, T>(pointer: *mut T, safe: T) -> Option<&'a mut T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: it may be written to. What stood there may be uninitialised, and is not dropped.
    unsafe {
        pointer.write(safe);
        Some(&mut *pointer)
    }
}

/// The bytes of a NUL-terminated text, without the NUL. Looks no further than the limit.
///
/// # Safety
/// Where it is not NULL, it points at a NUL-terminated text, or at `limit` + 1 readable bytes, which nobody
/// changes for as long as the borrow is used.
pub(crate) unsafe fn raw_text<'a>(pointer: *const c_char, text: Text) -> Result<&'a [u8], Problem> {
    let Text { what, limit, too_long } = text;
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: strnlen reads up to the NUL or `limit` + 1 bytes, whichever comes first.
    let length = unsafe { libc::strnlen(pointer, limit + 1) };
    if length > limit {
        return Err(Problem::new(too_long, format!("{what} is longer than {limit} bytes")));
    }
    // SAFETY: strnlen has just read these bytes.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// A NUL-terminated text in UTF-8.
///
/// # Safety
/// As [`raw_text`].
pub(crate) unsafe fn text<'a>(pointer: *const c_char, text: Text) -> Result<&'a str, Problem> {
    // SAFETY: passed on.
    let bytes = unsafe { raw_text(pointer, text)? };
    std::str::from_utf8(bytes)
        .map_err(|error| Problem::new(RAFT_INVALID_UTF8, format!("{} is not UTF-8: {error}", text.what)))
}

/// The bytes of a value.
///
/// # Safety
/// Where `data` is not NULL and `size` is within the limit of any value, it points at `size` readable bytes,
/// which nobody changes for as long as the borrow is used.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, size: usize) -> Result<&'a [u8], Problem> {
    if size > MAX_VALUE_BYTES {
        let message = format!("the value has {size} bytes: at most {MAX_VALUE_BYTES} can be allowed");
        return Err(Problem::new(RAFT_TOO_LARGE, message));
    }
    match (data.is_null(), size) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null("the value's data")),
        // SAFETY: not NULL, and within the limit.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data.cast(), size) }),
    }
}

/// How to carry a call out: 0 ms is the default.
pub(crate) fn call(timeout_ms: u32) -> Call<'static> {
    let timeout = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms.into()));
    Call { timeout, ..Call::default() }
}

/// The process a handle was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home(u32);

impl Home {
    pub(crate) fn here() -> Home {
        Home(std::process::id())
    }

    pub(crate) fn is_here(self) -> bool {
        self.0 == std::process::id()
    }

    /// Refuses in a forked child, before a lock is met that a thread of the parent held when it forked.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.is_here() {
            return Ok(());
        }
        let message = "this process was forked from the one that opened this handle, and has none of its \
                       threads: open a new one here";
        Err(Problem::new(RAFT_FORKED, message))
    }
}
