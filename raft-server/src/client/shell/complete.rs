//! What Tab offers.

use clap::{Arg, Command};

/// What may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where the word begins, in bytes of the line.
    pub(super) start: usize,
    /// As much of it as there is, without quotes.
    pub(super) word: String,
    /// What it may be.
    pub(super) what: What,
}

/// What a word may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// One of these.
    OneOf(Vec<String>),
    /// A key of the store, which may begin with a dash.
    Key { dashed: bool },
}

/// Looks at the line up to the cursor; none where nothing can be known of the word there.
pub(super) fn wanted(command: &Command, head: &str) -> Option<Wanted> {
    let (before, start, word) = last_word(head)?;
    let what = match before.split_first() {
        None => What::OneOf(names(command)),
        Some((name, before)) => within(command, name, before, &word)?,
    };
    Some(Wanted { start, word, what })
}

/// The words before the last, where that begins, and the last, which may be empty.
fn last_word(head: &str) -> Option<(Vec<String>, usize, String)> {
    // Whichever quote is open is closed by it; a backslash would take it for its character.
    let escaping = shlex::split(head).is_none() && shlex::split(&format!("{head}\\")).is_some();
    let quotes = ["", "'", "\""].into_iter().filter(|_| !escaping);
    let closed = quotes.map(|quote| format!("{head}{quote}")).find_map(|text| shlex::split(&text));
    let mut words = closed?;
    let blanks = head.char_indices().rev().filter(|(_, c)| c.is_ascii_whitespace());
    let start = blanks.map(|(at, _)| at + 1).find(|end| begins_a_word(&head[..*end])).unwrap_or(0);
    let before = shlex::split(&head[..start])?;
    words.drain(..before.len().min(words.len()));
    let word = words.pop().unwrap_or_default();
    // A comment is not completed.
    (!head[start..].starts_with('#') && words.is_empty()).then_some((before, start, word))
}

/// Whether what follows `head` is a word of its own.
fn begins_a_word(head: &str) -> bool {
    let words = |text: &str| shlex::split(text).map(|words| words.len());
    words(head).is_some_and(|before| words(&format!("{head}x")) == Some(before + 1))
}

fn names(command: &Command) -> Vec<String> {
    command.get_subcommands().flat_map(Command::get_name_and_visible_aliases).map(str::to_owned).collect()
}

/// A word of a command, after its name and the words `before`.
fn within(command: &Command, name: &str, before: &[String], word: &str) -> Option<What> {
    let sub = command.find_subcommand(name)?;
    if name == "help" {
        return before.is_empty().then(|| What::OneOf(names(command)));
    }
    let (mut positions, mut dashed, mut value_of) = (0, false, None);
    for word in before {
        let is_value = value_of.take().is_some();
        if !is_value && !dashed && word.starts_with("--") {
            dashed = word == "--";
            value_of = option(sub, word).filter(|option| option.get_action().takes_values());
        } else if !is_value {
            positions += 1;
        }
    }
    if let Some(option) = value_of {
        let values = option.get_possible_values();
        return Some(What::OneOf(values.iter().map(|value| value.get_name().to_owned()).collect()));
    }
    if word.starts_with('-') && !dashed {
        let options = sub.get_arguments().filter_map(Arg::get_long);
        return Some(What::OneOf(options.map(|long| format!("--{long}")).collect()));
    }
    let positional = sub.get_positionals().nth(positions)?;
    ["key", "prefix"].contains(&positional.get_id().as_str()).then_some(What::Key { dashed })
}

fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--")?;
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

/// Words as they are typed, all quoted if one of them has to be, so that their common beginning shows. Words
/// that a terminal cannot show are left out.
pub(super) fn quoted(words: Vec<String>) -> Vec<String> {
    let shown: Vec<String> = words.into_iter().filter(|word| !word.chars().any(char::is_control)).collect();
    let plain = |word: &String| shlex::try_quote(word).is_ok_and(|quoted| quoted == word.as_str());
    if shown.iter().all(plain) {
        return shown;
    }
    let quote = |word: String| match word.contains('\'') {
        true => shlex::try_quote(&word).map(|quoted| quoted.into_owned()).unwrap_or_default(),
        false => format!("'{word}'"),
    };
    shown.into_iter().map(quote).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::shell::line;

    fn at(head: &str) -> Option<Wanted> {
        wanted(&line::command(), head)
    }

    fn one_of(head: &str) -> Vec<String> {
        match at(head) {
            Some(Wanted { what: What::OneOf(words), .. }) => words,
            other => panic!("{head:?}: {other:?}"),
        }
    }

    #[test]
    fn commands_come_first() {
        for head in ["", "s", "help ", "help s"] {
            let names = one_of(head);
            for name in ["set", "get", "delete", "keys", "status", "why", "demo", "exit", "quit", "help"] {
                assert!(names.iter().any(|known| known == name), "{head:?}: {name} in {names:?}");
            }
        }
        assert_eq!(at("help set "), None);
        assert_eq!(at("nonsense "), None);
        assert_eq!(at("# g"), None);
    }

    #[test]
    fn keys_where_a_key_stands() {
        let key = |start, word: &str, dashed| {
            Some(Wanted { start, word: word.to_owned(), what: What::Key { dashed } })
        };
        for (head, want) in [
            ("get ", key(4, "", false)),
            ("get na", key(4, "na", false)),
            ("get 'a b", key(4, "a b", false)),
            ("get \"a b", key(4, "a b", false)),
            ("get a\\ b", key(4, "a b", false)),
            ("get 'a b'", key(4, "a b", false)),
            ("delete --timeout 5 x", key(19, "x", false)),
            ("get --consistency=stale x", key(24, "x", false)),
            ("set --json k", key(11, "k", false)),
            ("keys user/", key(5, "user/", false)),
            ("get -- -", key(7, "-", true)),
            ("get é", key(4, "é", false)),
        ] {
            assert_eq!(at(head), want, "{head:?}");
        }
        for head in ["set k ", "get k ", "status ", "get k\\"] {
            assert_eq!(at(head), None, "{head:?}");
        }
    }

    #[test]
    fn options_and_their_values() {
        let options = one_of("set --");
        for option in ["--json", "--timeout", "--output", "--consistency", "--help"] {
            assert!(options.iter().any(|known| known == option), "{option} in {options:?}");
        }
        assert_eq!(one_of("get k --output "), ["text", "json"]);
        assert_eq!(one_of("get k --consistency s"), ["linearizable", "stale"]);
        assert_eq!(one_of("get k --timeout "), [""; 0]);
    }

    #[test]
    fn words_come_back_as_they_went_in() {
        let words = |texts: &[&str]| quoted(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(words(&["a", "a/b"]), ["a", "a/b"]);
        assert_eq!(words(&["a", "a b"]), ["'a'", "'a b'"]);
        assert_eq!(words(&["\x1b[31m", "a\nb"]), [""; 0]);
        for word in ["it's", "a\"b'c", "$x", "#", "é"] {
            assert_eq!(shlex::split(&words(&[word])[0]).unwrap(), [word]);
        }
    }
}
