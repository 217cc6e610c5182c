//! See `raft_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raft_fuzz::log::run(data));
