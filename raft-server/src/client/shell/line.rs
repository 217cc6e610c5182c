//! A line of the shell: words quoted as in any shell, then the same commands as after `raft-server client`.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::args::brief;
use crate::client::args::{ClientCommand, Options};
use crate::failure::Failure;

const NOTES: &str = "\
help COMMAND tells more. Every command takes --timeout MS, --output text|json and
--consistency linearizable|stale; where it does not say, what was given to
raft-server client holds.

Words are quoted as in other shells, and # begins a comment:
  set greeting 'hello, world'
  set config '{\"nodes\":3}' --json

Tab completes commands, options and keys. Ctrl-C abandons the line or the call
under way, Ctrl-D or exit leaves. A line that begins with a blank is not kept in
the history.";

#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    subcommand_required = true,
    help_template = "Commands:\n{subcommands}{after-help}\n",
    after_help = NOTES,
    disable_version_flag = true,
    max_term_width = 100
)]
pub(super) struct Line {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(subcommand)]
    pub(super) command: LineCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum LineCommand {
    #[command(flatten)]
    Client(ClientCommand),
    /// Leave; so does Ctrl-D
    #[command(visible_alias = "quit")]
    Exit,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Parsed {
    /// Nothing: it is blank or a comment.
    Nothing,
    /// This text.
    Help(String),
    /// A command.
    Line(Box<Line>),
}

/// Reads a line.
///
/// # Errors
/// When it cannot be understood; how, in one line.
pub(super) fn parse(text: &str) -> Result<Parsed, Failure> {
    let words = shlex::split(text).ok_or_else(|| {
        Failure::usage("a quote is opened and not closed, or a backslash stands at the very end")
    })?;
    if words.is_empty() {
        return Ok(Parsed::Nothing);
    }
    match Line::try_parse_from(&words) {
        Ok(line) => check(line).map(Parsed::Line),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp) => Ok(Parsed::Help(error.to_string())),
        Err(error) => {
            let known = command().find_subcommand(&words[0]).is_some();
            let more = if known { format!("help {}", words[0]) } else { "help".to_owned() };
            Err(Failure::usage(format!("{} (see: {more})", brief(&error.to_string()))))
        }
    }
}

/// Refuses what means something else here, and helps where a shell ate quotes.
fn check(line: Line) -> Result<Box<Line>, Failure> {
    if let LineCommand::Client(ClientCommand::Set { value, json, .. }) = &line.command {
        if value == "-" {
            return Err(Failure::usage(
                "- stands for stdin, from which the shell reads its commands; give the value itself, or use \
                 raft-server client set KEY -",
            ));
        }
        if *json && let Err(error) = raft_node::value::from_json(value) {
            return Err(Failure::usage(format!(
                "the value {error} (it arrived as {value}; quote it, as in '{{\"a\":1}}')"
            )));
        }
    }
    Ok(Box::new(line))
}

/// The commands, with everything that is known of them.
pub(super) fn command() -> clap::Command {
    let mut command = Line::command();
    command.build();
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientCommand {
        match parse(text) {
            Ok(Parsed::Line(line)) => match line.command {
                LineCommand::Client(command) => command,
                LineCommand::Exit => panic!("{text}: leaves"),
            },
            other => panic!("{text}: {other:?}"),
        }
    }

    fn set(text: &str) -> (String, String, bool) {
        match client(text) {
            ClientCommand::Set { key, value, json } => (key, value, json),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refusal(text: &str) -> String {
        let failure = parse(text).unwrap_err();
        assert_eq!(failure.code(), crate::failure::USAGE);
        failure.message().unwrap().to_owned()
    }

    #[test]
    fn the_definition_holds_together() {
        Line::command().debug_assert();
    }

    #[test]
    fn words_are_quoted_as_in_a_shell() {
        for (text, value) in [
            ("set k v", "v"),
            ("  set  k\t'a b'  # comment", "a b"),
            (r#"set k "it's""#, "it's"),
            (r"set k a\ b", "a b"),
            ("set k ''", ""),
            ("set k 'two\nlines'", "two\nlines"),
            ("set k -5", "-5"),
            ("set k a#b", "a#b"),
        ] {
            assert_eq!(set(text), ("k".into(), value.into(), false), "{text}");
        }
        assert_eq!(set(r#"set k '{"a": 1}' --json"#), ("k".into(), r#"{"a": 1}"#.into(), true));
        assert_eq!(set("set -- -k --json"), ("-k".into(), "--json".into(), false));
    }

    #[test]
    fn options_hold_for_the_line() {
        let Ok(Parsed::Line(line)) = parse("get k --timeout 7 --consistency stale") else { panic!() };
        assert_eq!(line.options.timeout().as_millis(), 7);
        let base = match parse("get k --timeout 9 --output json") {
            Ok(Parsed::Line(line)) => line.options,
            other => panic!("{other:?}"),
        };
        let both = line.options.or(base);
        assert_eq!((both.timeout().as_millis(), both.output()), (7, crate::client::args::Output::Json));
        assert!(matches!(parse("--timeout 7 get k"), Err(_) | Ok(Parsed::Line(_))));
    }

    #[test]
    fn nothing_and_the_way_out() {
        for text in ["", "   ", "# set k v"] {
            assert!(matches!(parse(text), Ok(Parsed::Nothing)), "{text}");
        }
        for text in ["exit", "quit"] {
            let Ok(Parsed::Line(line)) = parse(text) else { panic!("{text}") };
            assert!(matches!(line.command, LineCommand::Exit));
        }
    }

    #[test]
    fn open_quotes_are_refused() {
        for text in ["set k 'a", "set k \"a", "set k a\\"] {
            assert!(refusal(text).contains("not closed"), "{text}");
        }
    }

    #[test]
    fn help_has_a_text_for_all_and_for_each() {
        let help = |text| match parse(text) {
            Ok(Parsed::Help(help)) => help,
            other => panic!("{text}: {other:?}"),
        };
        let all = help("help");
        for word in ["set", "get", "delete", "keys", "status", "why", "demo", "exit", "--timeout", "Ctrl-D"] {
            assert!(all.contains(word), "{word} is missing in\n{all}");
        }
        for text in ["help set", "set --help"] {
            let set = help(text);
            assert!(set.contains("Usage: set [OPTIONS] <KEY> <VALUE>"), "{set}");
        }
    }

    #[test]
    fn refusals_are_one_line_and_say_what_to_do() {
        for (text, words) in [
            ("sett k v", &["sett", "'set'", "(see: help)"][..]),
            ("set k", &["<VALUE>", "(see: help set)"]),
            ("set k -", &["stdin"]),
            ("set k {\"a\":1} --json", &["is not JSON", "{a:1}", "quote"]),
            ("get k --output xml", &["xml", "text", "json"]),
        ] {
            let said = refusal(text);
            assert_eq!(said.lines().count(), 1, "{said}");
            for word in words {
                assert!(said.contains(word), "{text}: {word} is missing in {said}");
            }
        }
    }
}
