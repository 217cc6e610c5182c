//! Which library this is.

use std::ffi::{CStr, c_char};

/// The version of the binary interface this header describes. A library with the same number, or the same
/// soname, can be exchanged for this one without compiling anew.
pub const RAFT_ABI_VERSION: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version without a NUL byte"),
};

/// The version of the library, such as "1.2.3". It lives for ever: do not free it.
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn raft_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The RAFT_ABI_VERSION the library was built with. It is the header's where the program was linked with the
/// library it was compiled for.
///
/// Threads: any, at any time.
#[unsafe(no_mangle)]
pub extern "C" fn raft_abi_version() -> u32 {
    RAFT_ABI_VERSION
}
