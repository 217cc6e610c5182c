//! What happened, folded into one number, and told if somebody listens.

use std::fmt::{self, Write};

use raft_core::types::Time;
use xxhash_rust::xxh3::Xxh3Default;

/// The course of a run.
pub(crate) struct Trace {
    hash: Xxh3Default,
    is_told: bool,
    lines: Vec<String>,
}

/// Lines kept of a story: its end is where it gets interesting.
const LONGEST_STORY: usize = 200_000;

struct Folded<'a>(&'a mut Xxh3Default);

impl Write for Folded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    pub(crate) fn new(is_told: bool) -> Trace {
        Trace { hash: Xxh3Default::new(), is_told, lines: Vec::new() }
    }

    /// Folds in what the run did, whether it is told or not.
    pub(crate) fn note(&mut self, now: Time, what: fmt::Arguments<'_>) {
        self.hash.update(&now.as_micros().to_le_bytes());
        // Hashing has no way to fail.
        let _ = Folded(&mut self.hash).write_fmt(what);
    }

    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Tells a line of the story.
    pub(crate) fn tell(&mut self, now: Time, line: impl FnOnce() -> String) {
        if self.is_told && self.lines.len() < LONGEST_STORY {
            let micros = now.as_micros();
            self.lines.push(format!("{:>5}.{:03} ms  {}", micros / 1000, micros % 1000, line()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.digest()
    }

    pub(crate) fn take_story(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
