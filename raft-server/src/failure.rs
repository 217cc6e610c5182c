//! How the command ends when it does not end well: an exit code and one line.

use std::io::{self, Write};

/// The answer is no: the key is not there. Also: a node failed after it had started.
pub(crate) const NO: u8 = 1;
/// The command line or the configuration cannot work.
pub(crate) const USAGE: u8 = 2;
/// The cluster could not be reached, or had no leader in time.
pub(crate) const UNAVAILABLE: u8 = 3;
/// Interrupted a second time, while stopping: what a shell reports for a command that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the command ends, and with which exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    message: Option<String>,
}

impl Failure {
    /// Ends with `code` and one line on stderr.
    pub(crate) fn new(code: u8, message: impl ToString) -> Failure {
        Failure { code, message: Some(one_line(&message.to_string())) }
    }

    /// Ends with `code` and says nothing more.
    pub(crate) fn silent(code: u8) -> Failure {
        Failure { code, message: None }
    }

    /// The command line or the configuration cannot work.
    pub(crate) fn usage(message: impl ToString) -> Failure {
        Failure::new(USAGE, message)
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// The line, if there is one.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Prints the line, if there is one, and gives the exit code.
    pub(crate) fn report(self) -> u8 {
        if let Some(message) = self.message {
            say(&format!("raft-server: {message}"));
        }
        self.code
    }
}

/// What could not be written to stdout. A reader that has gone away (`| head`) has all it wanted.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(0),
            _ => Failure::new(NO, format!("cannot write the result: {error}")),
        }
    }
}

/// A line of result on stdout, for a command that goes on. Nobody reading it is no reason to stop.
pub(crate) fn show(text: &str) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// A line on stderr. A stderr that is gone is no reason to stop, or to panic as `eprintln!` would.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Joins what some library spread over several lines.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(Failure::new(2, "a:\n  b\n\n"), Failure { code: 2, message: Some("a: b".into()) });
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::from(gone), Failure::silent(0));
    }
}
