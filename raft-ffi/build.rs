//! Names the shared library by its ABI, so that programs find the one they were linked with.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The 1 is RAFT_ABI_VERSION.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libraft.so.1");
    }
}
