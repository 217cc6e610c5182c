//! See `raft_fuzz::snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| raft_fuzz::snapshot::run(data));
