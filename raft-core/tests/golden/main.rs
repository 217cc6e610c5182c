//! What this version writes is kept, and every later one reads it.
//!
//! `FORMAT/vVERSION/` holds files as they were written in that version of a format, and in `content.txt` what
//! they tell. The tests here hold two things to be true:
//!
//! - what is written now is what the latest version's files hold, byte for byte: nobody changes a format
//!   without giving it another version;
//! - what any version's files tell is read as it was then.
//!
//! `UPDATE_GOLDEN=1` writes the files of a version that has none yet. It changes no others: CONTRIBUTING.md
//! says how a format is changed. The streams between nodes are in `raft-node/tests/golden`.

mod data_directory;
mod files;
mod log;
mod members;
mod recording;
#[allow(dead_code, reason = "the other tests ask it for more")]
#[path = "../scenario/mod.rs"]
mod scenario;
mod told;
