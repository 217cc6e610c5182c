//! What the first lines of every crate must say.

use crate::{Finding, PURE_CRATE, Tree, tokens};

/// Crates whose work is the foreign boundary: unsafe code cannot be forbidden there.
const FOREIGN: [&str; 2] = ["raft-ffi/", "raft-py/"];

/// Checks the roots of all packages.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages() {
        for (path, text) in tree.rust_files().filter(|(path, _)| is_shipped_root(package, path)) {
            if !FOREIGN.contains(&package) && !has_inner(text, "forbid ( unsafe_code )") {
                findings.push(Finding::new(path, 1, "add #![forbid(unsafe_code)] to the crate's root"));
            }
        }
    }
    let path = format!("{PURE_CRATE}/src/lib.rs");
    if let Some(text) = tree.get(&path) {
        findings.extend(check_pure_root(&path, text));
    }
    for (path, text) in tree.rust_files() {
        findings.extend(unfinished_macros(path, text));
    }
    findings
}

fn is_shipped_root(package: &str, path: &str) -> bool {
    let Some(inside) = path.strip_prefix(package) else { return false };
    let in_bin = inside.strip_prefix("src/bin/");
    inside == "src/lib.rs"
        || inside == "src/main.rs"
        || in_bin.is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"))
}

fn has_inner(text: &str, attribute: &str) -> bool {
    tokens::find(&tokens::flat(text), &format!("# ! [ {attribute} ]")).next().is_some()
}

/// `no_std` without conditions, and no way round it.
fn check_pure_root(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !has_inner(text, "no_std") {
        findings.push(Finding::new(
            path,
            1,
            format!("{PURE_CRATE} is pure: add #![no_std], without conditions"),
        ));
    }
    let Ok(file) = syn::parse_file(text) else { return findings };
    for item in &file.items {
        let syn::Item::ExternCrate(item) = item else { continue };
        let name = item.ident.to_string();
        if name != "alloc" && !(name == "std" && tokens::only_for_tests(&item.attrs)) {
            let line = item.ident.span().start().line;
            let message = format!("extern crate {name}: only alloc, and std under #[cfg(test)]");
            findings.push(Finding::new(path, line, message));
        }
    }
    findings
}

/// Markers of unfinished work that are code; clippy sees them in its own build only.
fn unfinished_macros(path: &str, text: &str) -> Vec<Finding> {
    let tokens = tokens::flat(text);
    let mut findings = Vec::new();
    for name in ["todo", "unimplemented", "dbg"] {
        for line in tokens::find(&tokens, &format!("{name} !")) {
            findings.push(Finding::new(path, line, format!("{name}!: finish it, or leave it out")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut tree = Tree::default();
        for package in ["raft-core/", "raft-node/", "raft-ffi/"] {
            tree.add(&format!("{package}Cargo.toml"), "[package]\n");
        }
        tree.add(path, text);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_root_that_allows_unsafe_code() {
        for path in ["raft-node/src/lib.rs", "raft-node/src/main.rs", "raft-node/src/bin/a.rs"] {
            assert!(found(path, "fn f() {}")[0].contains("forbid(unsafe_code)"), "{path}");
            assert!(found(path, "#![deny(unsafe_code)]\n").len() == 1, "deny can be undone");
            assert_eq!(found(path, "//! Doc.\n#![forbid(unsafe_code)]\n"), [""; 0]);
        }
        assert_eq!(found("raft-node/src/a.rs", "fn f() {}"), [""; 0]);
        assert_eq!(found("raft-ffi/src/lib.rs", "fn f() {}"), [""; 0]);
    }

    #[test]
    fn a_core_that_is_not_no_std() {
        let path = "raft-core/src/lib.rs";
        let good =
            "#![no_std]\n#![forbid(unsafe_code)]\nextern crate alloc;\n#[cfg(test)]\nextern crate std;\n";
        assert_eq!(found(path, good), [""; 0]);
        assert!(found(path, &good.replace("#![no_std]\n", ""))[0].contains("add #![no_std]"));
        assert_eq!(found(path, &good.replace("no_std", "cfg_attr(not(test), no_std)")).len(), 1);
        assert!(found(path, &good.replace("#[cfg(test)]\n", ""))[0].contains("extern crate std"));
        assert!(
            found(path, &good.replace("#[cfg(test)]", "#[cfg(not(test))]"))[0].contains("extern crate std")
        );
    }

    #[test]
    fn markers_of_unfinished_work() {
        for name in ["todo", "unimplemented", "dbg"] {
            let findings = found("raft-node/src/a.rs", &format!("fn f() {{\n    {name}!()\n}}"));
            assert!(findings[0].starts_with(&format!("raft-node/src/a.rs:2: {name}!")), "{findings:?}");
        }
    }
}
