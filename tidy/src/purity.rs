//! No clock, file, socket, thread or ambient randomness in raft-core: what is outside comes in as an event.
//!
//! `#![no_std]` keeps the standard library out, and [`roots`](crate::roots) watches it. This rule names the
//! replacement, and covers what could come in through a dependency.

use crate::reach::{self, Reach};
use crate::{Finding, PURE_CRATE, Tree, tokens};

/// What is banned, and what to do instead. The first match on a line speaks.
const BANNED: &[(&str, &str)] = &[
    ("std :: time", "time comes in as a value: types::Time in an event, core::time::Duration for a distance"),
    ("Instant :: now", "time comes in as a value: take types::Time from the event"),
    ("Instant", "time comes in as a value: types::Time"),
    ("SystemTime", "time comes in as a value: types::Time"),
    ("std :: fs", "ask for it with an action; in tests use disk::Disk"),
    ("std :: net", "return an action that sends"),
    ("std :: io", "return an action; bytes come and go as bytes::Bytes"),
    ("std :: thread", "the replica has no threads: return an action"),
    ("std :: sync", "the replica has one owner; alloc::sync::Arc for what is shared and never changes"),
    ("std :: env", "settings come in with the configuration"),
    (
        "std :: collections",
        "alloc::collections::BTreeMap, BTreeSet or VecDeque, whose order is the same each run",
    ),
    ("HashMap", "alloc::collections::BTreeMap, whose order is the same each run"),
    ("HashSet", "alloc::collections::BTreeSet, whose order is the same each run"),
    ("std ::", "core:: or alloc::"),
    ("tokio ::", "raft-node runs the replica; return an action"),
    ("thread_rng", "the seed comes in as a value: the replica's own rand_chacha generator"),
    ("rand :: rng", "the seed comes in as a value: the replica's own rand_chacha generator"),
    ("rand :: random", "the seed comes in as a value: the replica's own rand_chacha generator"),
    ("OsRng", "the seed comes in as a value: the replica's own rand_chacha generator"),
    ("SysRng", "the seed comes in as a value: the replica's own rand_chacha generator"),
    ("from_os_rng", "the seed comes in as a value: SeedableRng::seed_from_u64"),
    ("from_entropy", "the seed comes in as a value: SeedableRng::seed_from_u64"),
    ("getrandom", "the seed comes in as a value"),
    ("println !", "return an action that tells; nothing is printed in here"),
    ("print !", "return an action that tells; nothing is printed in here"),
    ("eprintln !", "return an action that tells; nothing is printed in here"),
    ("eprint !", "return an action that tells; nothing is printed in here"),
];

/// Checks every file that ships in the pure crate; its tests may do as they like.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let below = format!("{PURE_CRATE}/src/");
    let reached = reach::reached(tree);
    let ships = |path: &str| path.starts_with(&below) && reached.get(path) != Some(&Reach::Tests);
    tree.rust_files()
        .filter(|(path, _)| ships(path))
        .flat_map(|(path, text)| check_file(path, text))
        .collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let tests = syn::parse_file(text).map(|file| tokens::test_lines(&file)).unwrap_or_default();
    let in_tests = |line: usize| tests.iter().any(|range| range.contains(&line));
    let tokens = tokens::flat(text);
    let mut findings: Vec<Finding> = Vec::new();
    for (pattern, instead) in BANNED {
        let name = pattern.replace(' ', "");
        for line in tokens::find(&tokens, pattern).filter(|line| !in_tests(*line)) {
            if findings.iter().all(|known| known.line != line) {
                findings.push(Finding::new(path, line, format!("{name} in {PURE_CRATE}: {instead}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(module: &str) -> Vec<String> {
        let mut tree = Tree::default();
        tree.add("raft-core/Cargo.toml", "[package]\n");
        tree.add("raft-core/src/lib.rs", "mod a;\n#[cfg(test)]\nmod testing;\n");
        tree.add("raft-core/src/a.rs", module);
        tree.add("raft-core/src/testing.rs", "use std::time::Instant;\n");
        tree.add("raft-core/tests/t.rs", "use std::fs;\n");
        tree.add("raft-node/src/lib.rs", "use std::time::Instant;\n");
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_clock_is_found_and_the_replacement_named() {
        let findings = found("fn f() -> u64 {\n    let now = Instant::now();\n    0\n}\n");
        assert_eq!(
            findings,
            [
                "raft-core/src/a.rs:2: Instant::now in raft-core: time comes in as a value: take types::Time from the event"
            ]
        );
        assert!(found("use std::time::Instant;")[0].contains("std::time in raft-core"));
        assert!(found("use std::{fs, time::SystemTime};")[0].contains("types::Time"));
        assert!(found("fn f(now: SystemTime) {}")[0].contains("types::Time"));
    }

    #[test]
    fn every_banned_thing_is_found() {
        for (pattern, instead) in BANNED {
            let call = pattern.replace(' ', "");
            let call = if call.ends_with("::") { call + "x" } else { call };
            let findings = found(&format!("fn f() {{\n    let x = {call}();\n}}\n"));
            assert_eq!(findings.len(), 1, "{pattern}: {findings:?}");
            assert!(findings[0].contains(instead), "{pattern}: {findings:?}");
        }
    }

    #[test]
    fn inside_a_macro_it_is_found_too() {
        assert!(found("fn f() { assert!(Instant::now() > x); }")[0].contains("Instant::now"));
        assert!(found("macro_rules! m { () => { std::thread::sleep(d) } }")[0].contains("std::thread"));
        assert!(found("fn f() { println!(\"x\"); }")[0].contains("println!"));
    }

    #[test]
    fn words_in_comments_and_strings_and_tests_are_free() {
        assert_eq!(found("/// Unlike a HashMap or Instant::now().\nfn f() { g(\"std::fs\"); }"), [""; 0]);
        assert_eq!(found("#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}"), [""; 0]);
        assert_eq!(found("impl A {\n    #[cfg(test)]\n    fn f() { println!() }\n}"), [""; 0]);
    }

    #[test]
    fn not_test_is_not_a_test() {
        assert_eq!(found("#[cfg(not(test))]\nmod real {\n    use std::time::Duration;\n}").len(), 1);
        assert_eq!(found("#[cfg(any(test, unix))]\nmod real {\n    use std::time::Duration;\n}").len(), 1);
    }
}
