//! Which files a crate compiles. A file that none does looks like code and tests nothing.

use std::collections::BTreeMap;

use crate::{Finding, Tree, tokens};

/// What a file is compiled into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Only tests, benchmarks or examples.
    Tests,
    /// What ships.
    Shipped,
}

/// Finds every Rust file of a package that no crate of it reaches.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let reached = reached(tree);
    let lost = |path: &&str| !reached.contains_key(*path);
    tree.rust_files()
        .map(|(path, _)| path)
        .filter(lost)
        .map(|path| Finding::new(path, 1, "no crate compiles this file: declare it with `mod`, or delete it"))
        .collect()
}

/// Every file that some crate compiles.
#[must_use]
pub fn reached(tree: &Tree) -> BTreeMap<String, Reach> {
    let mut walk = Walk { tree, reached: BTreeMap::new() };
    for package in tree.packages() {
        let manifest = tree.get(&format!("{package}Cargo.toml")).unwrap_or_default();
        for (path, _) in tree.rust_files() {
            let Some(inside) = path.strip_prefix(package) else { continue };
            if let Some(reach) = root(inside).or_else(|| named_root(manifest, inside)) {
                walk.file(path, &parent(path), reach);
            }
        }
    }
    walk.reached
}

/// Whether cargo takes this file of a package for a crate's root without being told.
fn root(inside: &str) -> Option<Reach> {
    if matches!(inside, "src/lib.rs" | "src/main.rs" | "build.rs") {
        return Some(Reach::Shipped);
    }
    [
        ("src/bin/", Reach::Shipped),
        ("tests/", Reach::Tests),
        ("benches/", Reach::Tests),
        ("examples/", Reach::Tests),
    ]
    .into_iter()
    .find_map(|(below, reach)| {
        let rest = inside.strip_prefix(below)?;
        let is_root = match rest.split_once('/') {
            None => true,
            Some((_, file)) => file == "main.rs",
        };
        is_root.then_some(reach)
    })
}

/// Whether the manifest names this file as a root.
fn named_root(manifest: &str, inside: &str) -> Option<Reach> {
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if line.replace(' ', "") == format!("path=\"{inside}\"") {
            let shipped = ["[lib]", "[[bin]]"].contains(&section);
            return Some(if shipped { Reach::Shipped } else { Reach::Tests });
        }
    }
    None
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(directory, _)| format!("{directory}/"))
}

struct Walk<'a> {
    tree: &'a Tree,
    reached: BTreeMap<String, Reach>,
}

impl Walk<'_> {
    /// Notes a file and follows its modules, whose files stand in `below`.
    fn file(&mut self, path: &str, below: &str, reach: Reach) {
        if self.reached.get(path).is_some_and(|known| *known >= reach) {
            return;
        }
        self.reached.insert(path.to_owned(), reach);
        let Some(Ok(file)) = self.tree.get(path).map(syn::parse_file) else { return };
        self.items(&file.items, path, below, reach);
    }

    fn items(&mut self, items: &[syn::Item], path: &str, below: &str, reach: Reach) {
        for item in items {
            let syn::Item::Mod(module) = item else { continue };
            let reach = if tokens::only_for_tests(&module.attrs) { Reach::Tests } else { reach };
            let inner = format!("{below}{}/", module.ident);
            match (&module.content, path_attribute(&module.attrs)) {
                (Some((_, items)), _) => self.items(items, path, &inner, reach),
                (None, Some(named)) => {
                    let target = format!("{}{named}", parent(path));
                    self.file(&target, &parent(&target), reach);
                }
                (None, None) => {
                    let flat = format!("{below}{}.rs", module.ident);
                    let target = if self.tree.get(&flat).is_some() { flat } else { format!("{inner}mod.rs") };
                    self.file(&target, &inner, reach);
                }
            }
        }
    }
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
        pair.path.is_ident("path").then(|| text.value())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        tree.add("a/Cargo.toml", "[package]\n[[test]]\nname = \"n\"\npath = \"odd/n.rs\"\n");
        for (path, text) in files {
            tree.add(path, text);
        }
        tree
    }

    #[test]
    fn a_file_without_a_mod_line_is_found() {
        let findings = check(&tree(&[
            ("a/src/lib.rs", "mod used;"),
            ("a/src/used.rs", ""),
            ("a/src/unused.rs", ""),
            ("a/tests/t.rs", ""),
            ("a/tests/common/mod.rs", ""),
            ("stray.rs", ""),
        ]));
        let paths: Vec<&str> = findings.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["a/src/unused.rs", "a/tests/common/mod.rs", "stray.rs"]);
    }

    #[test]
    fn every_way_to_declare_a_module_is_followed() {
        let tree = tree(&[
            ("a/src/lib.rs", "mod b;\nmod c;\nmod d { mod e; }\n#[path = \"odd.rs\"]\nmod f;"),
            ("a/src/b.rs", "mod g;"),
            ("a/src/b/g.rs", ""),
            ("a/src/c/mod.rs", "mod h;"),
            ("a/src/c/h.rs", ""),
            ("a/src/d/e.rs", ""),
            ("a/src/odd.rs", ""),
            ("a/src/main.rs", ""),
            ("a/src/bin/x.rs", ""),
            ("a/src/bin/y/main.rs", "mod z;"),
            ("a/src/bin/y/z.rs", ""),
            ("a/tests/t/main.rs", "mod u;"),
            ("a/tests/t/u.rs", ""),
            ("a/odd/n.rs", ""),
            ("a/build.rs", ""),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn what_only_tests_compile_is_told_apart() {
        let reached = reached(&tree(&[
            ("a/src/lib.rs", "#[cfg(test)]\nmod b;\nmod c;"),
            ("a/src/b.rs", "mod d;"),
            ("a/src/b/d.rs", ""),
            ("a/src/c.rs", ""),
            ("a/tests/t.rs", ""),
        ]));
        assert_eq!(reached["a/src/b/d.rs"], Reach::Tests);
        assert_eq!(reached["a/tests/t.rs"], Reach::Tests);
        assert_eq!(reached["a/src/c.rs"], Reach::Shipped);
    }
}
