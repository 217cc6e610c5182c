//! Log lines go through a thread, so that a stderr that nobody reads cannot stop the node.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for stderr. Past this, lines are dropped and counted.
const LINES: usize = 4096;
/// How long the end of the process waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Hands lines to the thread.
#[derive(Clone)]
pub(crate) struct Lines {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Waits for the lines that are under way when it is dropped, a second at most.
pub(crate) struct Flush(SyncSender<Message>);

/// Starts the thread that writes to stderr.
pub(crate) fn to_stderr() -> (Lines, Flush) {
    let (lines, waiting) = sync_channel(LINES);
    let dropped = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&dropped);
    // Without the thread the channel is closed and the log is lost, which is no reason not to run.
    let _ = thread::Builder::new().name("log".into()).spawn(move || write(&waiting, &count, io::stderr()));
    (Lines { lines: lines.clone(), dropped }, Flush(lines))
}

fn write(waiting: &Receiver<Message>, dropped: &AtomicU64, mut to: impl Write) {
    for message in waiting {
        match message {
            Message::Line(line) => {
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(to, "({lost} log lines were dropped: stderr was not read fast enough)");
                }
                let _ = to.write_all(&line);
            }
            Message::Flush(done) => {
                let _ = to.flush();
                let _ = done.send(());
            }
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (lines, waiting) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = Lines { lines, dropped: Arc::clone(&dropped) };
        for line in ["one\n", "two\n", "three\n"] {
            (&log).write_all(line.as_bytes()).unwrap();
        }
        drop(log);
        let mut written = Vec::new();
        write(&waiting, &dropped, &mut written);
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains("(1 log lines were dropped"), "{written}");
        assert!(written.ends_with("one\ntwo\n"), "{written}");
    }
}
