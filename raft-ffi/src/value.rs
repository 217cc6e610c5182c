//! A value as it was read.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use raft_node::blocking::{Item, Value};
use raft_node::value::{BytesAs, to_json};

use crate::problem::guard;

/// A value that was read, and the revision at which it was set. It is a copy: it never changes, and outlives
/// the node or client it was read through. It is yours: free it with raft_value_free().
#[derive(Debug)]
pub struct raft_value {
    item: Item,
    kind: raft_kind,
    /// With a NUL behind the last byte.
    data: Vec<u8>,
    json: OnceLock<CString>,
}

/// What a value was set as.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum raft_kind {
    /// There is no value.
    RAFT_KIND_NONE = 0,
    /// Bytes.
    RAFT_KIND_BYTES = 1,
    /// A text: to JSON, a string.
    RAFT_KIND_TEXT = 2,
    /// Any other JSON.
    RAFT_KIND_JSON = 3,
}

use raft_kind::{RAFT_KIND_BYTES, RAFT_KIND_JSON, RAFT_KIND_NONE, RAFT_KIND_TEXT};

impl From<Item> for raft_value {
    fn from(item: Item) -> raft_value {
        let (kind, mut data) = match &item.value {
            Value::Bytes(bytes) => (RAFT_KIND_BYTES, bytes.to_vec()),
            Value::Json(json) => match serde_json::from_slice::<String>(json) {
                Ok(text) => (RAFT_KIND_TEXT, text.into_bytes()),
                Err(_) => (RAFT_KIND_JSON, json.to_vec()),
            },
        };
        data.push(0);
        raft_value { item, kind, data, json: OnceLock::new() }
    }
}

impl raft_value {
    fn size(&self) -> usize {
        self.data.len() - 1
    }

    fn json(&self) -> *const c_char {
        let json = || CString::new(to_json(&self.item.value, BytesAs::Text)).unwrap_or_default();
        self.json.get_or_init(json).as_ptr()
    }
}

/// Looks at a value; NULL has nothing to show.
///
/// # Safety
/// Where it is not NULL, it points at a value that was not freed.
unsafe fn look<T>(value: *const raft_value, otherwise: T, at: impl FnOnce(&raft_value) -> Option<T>) -> T
where
    T: Copy,
{
    // SAFETY: passed on.
    let value = unsafe { value.as_ref() };
    guard(None, || value.and_then(at)).unwrap_or(otherwise)
}

/// What the value was set as; RAFT_KIND_NONE for NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_kind(value: *const raft_value) -> raft_kind {
    // SAFETY: passed on.
    unsafe { look(value, RAFT_KIND_NONE, |value| Some(value.kind)) }
}

/// The value's content: the bytes as they were set, what a text says (in UTF-8, without quotes), or the JSON
/// text as it was set. raft_value_size() says how many bytes there are; a NUL stands behind them, which is
/// not counted, so that text may be used as a C string. NULL for NULL.
///
/// The content is the value's: do not free it; it is gone when the value is freed.
///
/// Threads: any, at any time.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_data(value: *const raft_value) -> *const c_char {
    // SAFETY: passed on.
    unsafe { look(value, std::ptr::null(), |value| Some(value.data.as_ptr().cast())) }
}

/// The number of bytes of the value's content, without the NUL behind it; 0 for NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_size(value: *const raft_value) -> usize {
    // SAFETY: passed on.
    unsafe { look(value, 0, |value| Some(value.size())) }
}

/// The value as the HTTP API shows it: a NUL-terminated JSON text, a text in quotes, bytes as a string where
/// they are UTF-8 and else as {"$base64":"..."}. NULL for NULL.
///
/// The text is the value's: do not free it; it is gone when the value is freed.
///
/// Threads: any, at any time.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_json(value: *const raft_value) -> *const c_char {
    // SAFETY: passed on.
    unsafe { look(value, std::ptr::null(), |value| Some(value.json())) }
}

/// The revision at which the value was set: the index in the cluster's log, which only ever grows. 0 for
/// NULL.
///
/// Threads: any, at any time.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_revision(value: *const raft_value) -> u64 {
    // SAFETY: passed on.
    unsafe { look(value, 0, |value| Some(value.item.revision.0)) }
}

/// Frees a value, and the content and JSON it lent. Does nothing with NULL.
///
/// Threads: any, once no other uses the value any more.
///
/// # Safety
/// `value` is NULL, or was given by this library and not freed; nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raft_value_free(value: *mut raft_value) {
    if !value.is_null() {
        // SAFETY: it came from Box::into_raw in this library, and this is the one time it is freed.
        guard((), || drop(unsafe { Box::from_raw(value) }));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use bytes::Bytes;
    use raft_node::core::types::LogIndex;
    use raft_node::value::from_json;

    use super::*;

    fn seen(value: Value) -> (raft_kind, Vec<u8>, String) {
        let value = raft_value::from(Item { value, revision: LogIndex(7) });
        // SAFETY: the value lives, and its data and JSON with it.
        unsafe {
            assert_eq!(raft_value_revision(&raw const value), 7);
            let (data, size) = (raft_value_data(&raw const value), raft_value_size(&raw const value));
            assert_eq!(*data.add(size), 0);
            let data = std::slice::from_raw_parts(data.cast::<u8>(), size).to_vec();
            let json = CStr::from_ptr(raft_value_json(&raw const value));
            (raft_value_kind(&raw const value), data, json.to_str().unwrap().to_owned())
        }
    }

    #[test]
    fn what_c_sees_of_each_kind() {
        let bytes = |bytes: &'static [u8]| Value::Bytes(Bytes::from_static(bytes));
        assert_eq!(seen(bytes(b"")), (RAFT_KIND_BYTES, b"".to_vec(), "\"\"".to_owned()));
        assert_eq!(seen(bytes(b"a\0")), (RAFT_KIND_BYTES, b"a\0".to_vec(), "\"a\\u0000\"".to_owned()));
        let base64 = "{\"$base64\":\"/w==\"}";
        assert_eq!(seen(bytes(b"\xff")), (RAFT_KIND_BYTES, b"\xff".to_vec(), base64.to_owned()));
        let text = from_json(r#""\u00e9\n""#).unwrap();
        assert_eq!(seen(text), (RAFT_KIND_TEXT, "é\n".into(), r#""\u00e9\n""#.to_owned()));
        let json = from_json(r#"{"a": 1.0}"#).unwrap();
        assert_eq!(seen(json), (RAFT_KIND_JSON, br#"{"a": 1.0}"#.to_vec(), r#"{"a": 1.0}"#.to_owned()));
    }
}
