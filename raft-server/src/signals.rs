//! SIGINT and SIGTERM, which stop a node or a cluster cleanly.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals, from now on no longer deadly.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes them over. Within a tokio runtime.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn take() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of either. May be cancelled without losing one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
