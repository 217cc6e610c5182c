//! The log of this process: lines on stderr.

mod writer;

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt, registry};

pub(crate) use writer::Flush;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    /// Which lines.
    pub(crate) filter: Targets,
    /// Their form.
    pub(crate) format: Format,
}

/// Which lines are logged when nothing is said.
pub(crate) fn default_filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// Reads `info`, or parts such as `warn,raft_node=debug`.
///
/// # Errors
/// When a part is neither a level nor `TARGET=LEVEL`. A bare word that is no level would otherwise be taken
/// as a target, and silence all the rest.
pub(crate) fn read_filter(text: &str) -> Result<Targets, String> {
    for part in text.split(',') {
        let (target, level) = match part.trim().split_once('=') {
            Some((target, level)) => (target, level),
            None => ("all", part.trim()),
        };
        if target.is_empty() || read_level(level).is_none() {
            return Err(format!(
                "cannot read {part:?}: use off, error, warn, info, debug or trace, or parts such as \
                 warn,raft_node=debug"
            ));
        }
    }
    text.parse().map_err(|error| format!("{error}"))
}

fn read_level(text: &str) -> Option<LevelFilter> {
    let words = ["off", "error", "warn", "info", "debug", "trace"];
    words.contains(&text.to_ascii_lowercase().as_str()).then(|| text.parse().ok())?
}

/// Reads `text` or `json`.
///
/// # Errors
/// When it is neither.
pub(crate) fn read_format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format!("{text:?} is neither text nor json")),
    }
}

/// Whether to colour what goes to stderr: on a terminal, unless `NO_COLOR` says otherwise.
pub(crate) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Sends this process's log to stderr. Lines still under way are written when the result is dropped.
pub(crate) fn start(settings: LogSettings) -> Flush {
    let (writer, flush) = writer::to_stderr();
    // It would report a stderr that is gone with eprintln!, which panics when stderr is gone.
    let layer = fmt::layer().with_ansi(colour()).log_internal_errors(false).with_writer(writer);
    let layer = match settings.format {
        Format::Text => layer.compact().boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    let subscriber = registry().with(layer.with_filter(settings.filter));
    // Fails only where a subscriber is there already; this is called once.
    let _ = tracing::subscriber::set_global_default(subscriber);
    flush
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in ["info", "OFF", "warn,raft_node=debug", "raft_node::disk=trace"] {
            assert!(read_filter(good).is_ok(), "{good:?} was refused");
        }
        for bad in ["", "verbose", "info,", "raft_node=loud", "=info", "3"] {
            assert!(read_filter(bad).is_err(), "{bad:?} was taken");
        }
        assert!(read_filter("off").unwrap().would_enable("raft_node", &tracing::Level::ERROR).eq(&false));
    }
}
