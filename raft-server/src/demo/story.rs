//! What a demo says.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::failure::{Failure, NO};

/// Tells the story on stdout, in colour where that can be seen.
pub(super) struct Story {
    colour: bool,
}

impl Story {
    pub(super) fn new() -> Story {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Story { colour: wanted && io::stdout().is_terminal() }
    }

    /// A line.
    ///
    /// # Errors
    /// When stdout is gone: then there is nobody to tell anything.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let told = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
        told.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(NO),
            _ => Failure::new(NO, format!("cannot write to stdout: {error}")),
        })
    }

    /// The title of a part, with a line above it.
    pub(super) fn title(&self, text: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.painted("1", text))?;
        self.line("")
    }

    /// The last line of a demo in which all was as it should be.
    pub(super) fn good(&self, text: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.painted("32", text))
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Something that should have been observed was not.
pub(super) fn not_observed(what: impl std::fmt::Display) -> Failure {
    Failure::new(NO, format!("not observed: {what}"))
}

/// A duration in milliseconds, as people read it.
pub(super) fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// Median, least and most.
pub(super) fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return "none".to_owned() };
    let middle = times.len() / 2;
    let median = if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 };
    format!("median {}, min {}, max {}", ms(median), ms(*least), ms(*most))
}

/// A list as it is said: `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let times = |ms: &[u64]| spread(&ms.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>());
        assert_eq!(times(&[30, 10, 20]), "median 20 ms, min 10 ms, max 30 ms");
        assert_eq!(times(&[30, 10]), "median 20 ms, min 10 ms, max 30 ms");
        assert_eq!(times(&[5]), "median 5.0 ms, min 5.0 ms, max 5.0 ms");
        assert_eq!(times(&[]), "none");
    }

    #[test]
    fn lists() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b"]), "a and b");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
