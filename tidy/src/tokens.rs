//! A file as one flat run of tokens, for rules that look for a few words in a row.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A word or a sign, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// All tokens but those inside strings and comments. A file that does not parse has none: the compiler will
/// say why.
pub(crate) fn flat(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Ok(stream) = text.parse() {
        flatten(stream, &mut tokens);
    }
    tokens
}

fn flatten(stream: TokenStream, to: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                to.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), to);
                to.push(Token { text: close.to_owned(), line: group.span_close().end().line });
            }
            TokenTree::Ident(ident) => to.push(Token { text: ident.to_string(), line }),
            TokenTree::Punct(punct) => to.push(Token { text: punct.as_char().to_string(), line }),
            TokenTree::Literal(_) => to.push(Token { text: "\"\"".to_owned(), line }),
        }
    }
}

/// The first line of each place where these tokens stand in a row: `"std :: fs"` matches `std::fs`.
pub(crate) fn find<'a>(tokens: &'a [Token], pattern: &str) -> impl Iterator<Item = usize> + 'a {
    let wanted: Vec<String> = pattern.replace("::", ": :").split(' ').map(ToOwned::to_owned).collect();
    tokens
        .windows(wanted.len())
        .filter(move |window| window.iter().map(|t| &t.text).eq(&wanted))
        .map(|window| window[0].line)
}

/// Whether the attributes keep an item out of everything but tests.
pub(crate) fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let said = list.tokens.to_string().replace(' ', "");
        list.path.is_ident("cfg") && (said == "test" || said.starts_with("all(test,"))
    })
}

/// The lines of items that only tests compile.
pub(crate) fn test_lines(file: &syn::File) -> Vec<Range<usize>> {
    let mut found = TestItems::default();
    found.visit_file(file);
    found.lines
}

#[derive(Default)]
struct TestItems {
    lines: Vec<Range<usize>>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if only_for_tests(attributes(item)) {
            let span = item.span();
            self.lines.push(span.start().line..span.end().line + 1);
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if only_for_tests(&item.attrs) {
            let span = item.span();
            self.lines.push(span.start().line..span.end().line + 1);
        }
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        _ => &[],
    }
}
