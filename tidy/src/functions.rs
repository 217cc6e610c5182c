//! How long functions are.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::{Finding, Tree};

/// The longest function, in lines from its signature to its closing brace.
pub const MAX_FUNCTION_LINES: usize = 70;

/// A function and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub path: String,
    /// The line of its signature.
    pub line: usize,
    /// Lines from the signature to the closing brace.
    pub lines: usize,
}

/// Checks one file.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let too_long = |function: &Function| function.lines > MAX_FUNCTION_LINES;
    let finding = |Function { name, path, line, lines }| {
        let message = format!("fn {name} has {lines} lines, at most {MAX_FUNCTION_LINES}: name its parts");
        Finding::new(&path, line, message)
    };
    functions(path, text).into_iter().filter(too_long).map(finding).collect()
}

/// The longest function below a directory.
#[must_use]
pub fn longest(tree: &Tree, below: &str) -> Option<Function> {
    tree.rust_files()
        .filter(|(path, _)| path.starts_with(below))
        .flat_map(|(path, text)| functions(path, text))
        .max_by_key(|function| function.lines)
}

fn functions(path: &str, text: &str) -> Vec<Function> {
    let mut measure = Measure { path: path.to_owned(), found: Vec::new() };
    if let Ok(file) = syn::parse_file(text) {
        measure.visit_file(&file);
    }
    measure.found
}

struct Measure {
    path: String,
    found: Vec<Function>,
}

impl Measure {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let lines = block.brace_token.span.close().end().line + 1 - line;
        let name = signature.ident.to_string();
        self.found.push(Function { name, path: self.path.clone(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Measure {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines(lines: usize) -> String {
        format!("/// Doc.\n#[inline]\npub fn f(\n) {{\n{}}}\n", "    g();\n".repeat(lines - 3))
    }

    #[test]
    fn a_function_of_71_lines_is_found_and_one_of_70_is_not() {
        assert_eq!(check("a.rs", &of_lines(70)), []);
        let findings = check("a.rs", &of_lines(71));
        assert_eq!(findings[0].to_string(), "a.rs:3: fn f has 71 lines, at most 70: name its parts");
    }

    #[test]
    fn methods_trait_defaults_tests_and_functions_in_functions_count() {
        let body = "{\n".to_owned() + &"g();\n".repeat(70) + "}\n";
        for around in [("impl A {", "}"), ("trait T {", "}"), ("mod m { #[test]", "}"), ("fn outer() {", "}")]
        {
            let text = format!("{}\nfn inner() {body}{}", around.0, around.1);
            assert!(check("a.rs", &text).iter().any(|f| f.message.contains("fn inner has 72")), "{around:?}");
        }
    }

    #[test]
    fn the_longest_is_told() {
        let mut tree = Tree::default();
        tree.add("raft-core/src/a.rs", &of_lines(9));
        tree.add("raft-core/src/b.rs", &of_lines(8));
        tree.add("raft-node/src/c.rs", &of_lines(10));
        let longest = longest(&tree, "raft-core/src/").unwrap();
        assert_eq!((longest.path.as_str(), longest.lines), ("raft-core/src/a.rs", 9));
    }
}
