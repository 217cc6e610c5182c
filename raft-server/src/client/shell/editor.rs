//! The shell on a terminal: a prompt, history and completion.

use std::path::PathBuf;
use std::rc::Rc;

use clap::Command;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Behavior, CompletionType, Config, Context, Editor, Helper};

use super::complete::{What, quoted, wanted};
use super::{Next, OFFERED, Shell, history, line};
use crate::client::call::Screen;
use crate::failure::{Failure, say};

const PROMPT: &str = "raft> ";
/// Lines that are kept.
const HISTORY: usize = 1000;

/// Reads and carries out lines until Ctrl-D.
///
/// # Errors
/// When the terminal fails.
pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let shell = Rc::new(shell);
    let mut editor = editor(&shell).map_err(no_terminal)?;
    let mut history = History::open(&mut editor);
    say(&format!(
        "raft-server {}: {}.\nhelp lists the commands, Ctrl-D leaves.",
        env!("CARGO_PKG_VERSION"),
        shell.glance_at_leader()
    ));
    loop {
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(no_terminal(error)),
        };
        history.keep(&mut editor, &text);
        match shell.run_line(&text, Screen::Prompted, interrupt()) {
            Ok(Next::Line) => {}
            Ok(Next::Leave) => return Ok(()),
            Err(failure) => {
                // Without a message it is stdout that is gone, which is no reason to leave a prompt.
                if let Some(message) = failure.message() {
                    say(message);
                }
            }
        }
    }
}

fn no_terminal(error: ReadlineError) -> Failure {
    Failure::usage(format!("cannot read from the terminal: {error}"))
}

/// Ends with the first Ctrl-C from now on. At the prompt it is a key, and does not come here.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

type Lines = Editor<Tab, FileHistory>;

fn editor(shell: &Rc<Shell>) -> Result<Lines, ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        // A way to keep a secret out of it.
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        // They are few enough to be shown without asking.
        .completion_prompt_limit(OFFERED as usize + 1)
        // stdout is for results, and may be a file.
        .behavior(Behavior::PreferTerm)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Tab { shell: Rc::clone(shell), command: line::command() }));
    Ok(editor)
}

/// The file of lines typed before, as long as it can be used.
struct History(Option<PathBuf>);

impl History {
    fn open(editor: &mut Lines) -> History {
        let Some(file) = history::path(|name| std::env::var_os(name)) else {
            say("raft-server: no history is kept: neither XDG_STATE_HOME nor HOME says where");
            return History(None);
        };
        let prepared = history::prepare(&file).map_err(ReadlineError::from);
        let loaded = prepared.and_then(|()| if file.exists() { editor.load_history(&file) } else { Ok(()) });
        let mut history = History(Some(file));
        if let Err(error) = loaded {
            history.give_up(&error);
        }
        history
    }

    /// Keeps a line at once, so that it survives whatever ends this process.
    fn keep(&mut self, editor: &mut Lines, text: &str) {
        // Only a history in a database can fail here.
        let added = editor.add_history_entry(text).unwrap_or(false);
        let Some(file) = self.0.as_ref().filter(|_| added) else { return };
        if let Err(error) = editor.append_history(file) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &ReadlineError) {
        if let Some(file) = self.0.take() {
            say(&format!("raft-server: no history is kept: {}: {error}", file.display()));
        }
    }
}

/// What Tab asks.
struct Tab {
    shell: Rc<Shell>,
    command: Command,
}

impl Completer for Tab {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>), ReadlineError> {
        let nothing = Ok((pos, Vec::new()));
        let Some(wanted) = line.get(..pos).and_then(|head| wanted(&self.command, head)) else {
            return nothing;
        };
        let (words, more) = match wanted.what {
            What::OneOf(words) => (words, false),
            What::Key { dashed } => {
                let Some((mut keys, more)) = self.shell.glance_at_keys(&wanted.word) else { return nothing };
                keys.retain(|key| dashed || !key.starts_with('-'));
                (keys, more)
            }
        };
        let words = words.into_iter().filter(|word| word.starts_with(&wanted.word)).collect();
        let mut offered: Vec<Pair> =
            quoted(words).into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect();
        if let [only] = &mut offered[..]
            && !more
        {
            only.replacement.push(' ');
        }
        if more {
            // What the offered keys have in common need not be common to all: so nothing is filled in.
            let typed = line[wanted.start..pos].to_owned();
            offered.push(Pair { display: "… and more".to_owned(), replacement: typed });
        }
        Ok((wanted.start, offered))
    }
}

impl Helper for Tab {}
impl Highlighter for Tab {}
impl Validator for Tab {}
impl Hinter for Tab {
    type Hint = String;
}
