//! How this program was started, and how to start it once more.

use std::ffi::OsString;
use std::io;
use std::sync::OnceLock;

/// How this program was started. A binary is its own executable; in a Python process that is the interpreter,
/// which has to be told what to run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The words a user types for it, as they are shown to him.
    pub name: Vec<String>,
    /// The words that start it, before its arguments; empty for this executable.
    pub command: Vec<OsString>,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

impl Program {
    /// A binary of its own.
    #[must_use]
    pub fn this_executable() -> Program {
        let name = std::env::args().next().unwrap_or_else(|| "raft-server".to_owned());
        Program { name: vec![name], command: Vec::new() }
    }
}

/// Notes how this program was started, for the rest of its life.
pub(crate) fn remember(program: Program) {
    // The first call counts: a process is started in one way.
    let _ = PROGRAM.set(program);
}

/// The words this program was called by, so that what is printed works when it is pasted.
pub(crate) fn name() -> Vec<String> {
    PROGRAM.get().map_or_else(|| vec!["raft-server".to_owned()], |program| program.name.clone())
}

/// A command that starts this program once more; its arguments are to be added.
///
/// # Errors
/// When the operating system does not tell where this executable is.
pub(crate) fn command() -> io::Result<tokio::process::Command> {
    match PROGRAM.get().and_then(|program| program.command.split_first()) {
        Some((first, rest)) => {
            let mut command = tokio::process::Command::new(first);
            command.args(rest);
            Ok(command)
        }
        None => Ok(tokio::process::Command::new(std::env::current_exe()?)),
    }
}
