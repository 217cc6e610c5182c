//! Style as a test: the rules of this repository that neither rustfmt nor clippy can hold.
//!
//! `cargo test -p tidy` reads every Rust file that git knows and fails with a list of findings, each with the
//! place, the rule and the way out. The rules, a file each:
//!
//! - [`text`]: files of at most 600 lines, lines of at most 110 characters, no trailing blanks, no unfinished
//!   work, no banner comments;
//! - [`functions`]: functions of at most 70 lines;
//! - [`purity`]: no clock, file, socket, thread or ambient randomness in raft-core;
//! - [`roots`]: `forbid(unsafe_code)` in every crate, `no_std` in raft-core;
//! - [`reach`]: no Rust file that no crate compiles.
//!
//! Every rule has a test beside it that shows it biting.
#![forbid(unsafe_code)]

pub mod functions;
pub mod purity;
pub mod reach;
pub mod roots;
pub mod text;
mod tokens;
mod tree;

use std::fmt;

pub use tree::{Tree, TreeError};

/// The crate that has to be pure.
pub const PURE_CRATE: &str = "raft-core";

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the top of the repository.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Every finding of every rule, in the order of files and lines.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust_files() {
        findings.extend(text::check(path, text));
        findings.extend(functions::check(path, text));
    }
    findings.extend(roots::check(tree));
    findings.extend(reach::check(tree));
    findings.extend(purity::check(tree));
    findings.sort();
    findings
}
