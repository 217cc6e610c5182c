//! The rules, held against this repository.

use std::fmt;
use std::io::Write;
use std::path::Path;

use tidy::reach::{self, Reach};
use tidy::{Finding, PURE_CRATE, Tree, check, functions, purity};

/// All findings; shown as they are when the test fails, without a stack that would say nothing.
struct Untidy(Vec<Finding>);

impl fmt::Debug for Untidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} findings", self.0.len())?;
        self.0.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

fn repository() -> Tree {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository");
    Tree::of_repository(top).expect("git knows the repository")
}

#[test]
fn the_repository_is_tidy() -> Result<(), Untidy> {
    let tree = repository();
    tell_sizes(&tree);
    let findings = check(&tree);
    if findings.is_empty() { Ok(()) } else { Err(Untidy(findings)) }
}

#[test]
fn a_clock_in_any_file_of_the_core_is_found() {
    let tree = repository();
    let below = format!("{PURE_CRATE}/src/");
    let shipped = reach::reached(&tree).into_iter().filter(|(_, reach)| *reach == Reach::Shipped);
    let core: Vec<String> = shipped.map(|(path, _)| path).filter(|path| path.starts_with(&below)).collect();
    assert!(core.len() > 30, "{core:?}");
    let mut bad = tree.clone();
    for path in &core {
        bad.add(path, &format!("{}\nfn late() -> u64 {{ Instant::now() }}\n", tree.get(path).unwrap()));
    }
    let found: Vec<String> = purity::check(&bad).into_iter().map(|finding| finding.path).collect();
    assert_eq!(found, core, "one finding a file");
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
