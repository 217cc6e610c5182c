//! The rules, held against this repository.

use std::fmt;
use std::io::Write;
use std::path::Path;

use tidy::{Finding, PURE_CRATE, Tree, check, functions};

/// All findings; shown as they are when the test fails, without a stack that would say nothing.
struct Untidy(Vec<Finding>);

impl fmt::Debug for Untidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} findings", self.0.len())?;
        self.0.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

#[test]
fn the_repository_is_tidy() -> Result<(), Untidy> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tree = Tree::of_repository(top).unwrap();
    tell_sizes(&tree);
    let findings = check(&tree);
    if findings.is_empty() { Ok(()) } else { Err(Untidy(findings)) }
}

/// Straight to stdout, past the test runner, so that every run of the check shows it.
fn tell_sizes(tree: &Tree) {
    let below = format!("{PURE_CRATE}/src/");
    let longest = functions::longest(tree, &below).expect("raft-core has functions");
    let (largest, lines) = tree
        .rust_files()
        .filter(|(path, _)| path.starts_with(&below))
        .map(|(path, text)| (path, text.lines().count()))
        .max_by_key(|(_, lines)| *lines)
        .expect("raft-core has files");
    let functions::Function { name, path, line, lines: length } = longest;
    let said = format!(
        "{PURE_CRATE}: longest function: {name}, {length} lines ({path}:{line}); largest file: {largest}, {lines} lines"
    );
    let mut out = std::io::stdout();
    writeln!(out, "{said}").expect("stdout is there");
}
