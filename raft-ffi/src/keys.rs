//! A list of keys, and texts that are handed over.

use std::ffi::{CString, c_char};

use crate::problem::guard;

/// A list of keys. It is a copy: it never changes. It is yours: free it with raft_keys_free().
#[derive(Debug)]
pub struct raft_keys {
    /// Each with a NUL behind it.
    keys: Vec<Vec<u8>>,
}

impl From<Vec<String>> for raft_keys {
    fn from(keys: Vec<String>) -> raft_keys {
        let terminated = |key: String| {
            let mut key = key.into_bytes();
            key.push(0);
            key
        };
        raft_keys { keys: keys.into_iter().map(terminated).collect() }
    }
}

/// How many keys there are; 0 for NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `keys` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_keys_count(keys: *const raft_keys) -> usize {
    // SAFETY: passed on.
    let keys = unsafe { keys.as_ref() };
    guard(0, || keys.map_or(0, |keys| keys.keys.len()))
}

/// The key at a position from 0, in the order of the keys' bytes: a NUL-terminated text in UTF-8. NULL past
/// the end, and for NULL.
///
/// The text is the list's: do not free it; it is gone when the list is freed.
///
/// Threads: any, at any time.
///
/// # Safety
/// `keys` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_keys_at(keys: *const raft_keys, position: usize) -> *const c_char {
    // SAFETY: passed on.
    let keys = unsafe { keys.as_ref() };
    let at = || Some(keys?.keys.get(position)?.as_ptr().cast());
    guard(None, at).unwrap_or(std::ptr::null())
}

/// The number of bytes of the key at a position, for keys that have a NUL in them; 0 past the end, and for
/// NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `keys` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_keys_size_at(keys: *const raft_keys, position: usize) -> usize {
    // SAFETY: passed on.
    let keys = unsafe { keys.as_ref() };
    guard(None, || Some(keys?.keys.get(position)?.len() - 1)).unwrap_or(0)
}

/// Frees a list of keys, and the texts it lent. Does nothing with NULL.
///
/// Threads: any, once no other uses the list any more.
///
/// # Safety
/// `keys` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_keys_free(keys: *mut raft_keys) {
    if !keys.is_null() {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(keys) }));
    }
}

/// Frees a text that a call handed over through a `char **`. Does nothing with NULL.
///
/// Threads: any, once no other uses the text any more.
///
/// # Safety
/// `text` is NULL, or was handed over by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: it came from CString::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { CString::from_raw(text) }));
    }
}
