//! Waiting on the thread that calls.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::{Call, Failure, FailureCode};

/// How often a call looks whether it is to give up.
const LOOK: Duration = Duration::from_millis(50);

/// What a thread waits with.
#[derive(Debug)]
pub(super) struct Waiter {
    /// None only while it is being dropped.
    runtime: Option<Runtime>,
    process: u32,
}

impl Waiter {
    /// `io` where the calls use sockets of their own.
    pub(super) fn new(io: bool) -> Result<Waiter, Failure> {
        let mut builder = Builder::new_current_thread();
        builder.enable_time();
        if io {
            builder.enable_io();
        }
        let runtime = builder.build().map_err(|error| {
            Failure::new(FailureCode::System, format!("the operating system does not let this wait: {error}"))
        })?;
        Ok(Waiter { runtime: Some(runtime), process: std::process::id() })
    }

    /// Whether this is still the process that made it, and not a child it forked.
    pub(super) fn is_at_home(&self) -> bool {
        self.process == std::process::id()
    }

    /// Waits for the end of a call.
    pub(super) fn wait<T>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if !self.is_at_home() {
            return Err(Failure::new(
                FailureCode::Forked,
                "this process was forked from the one that made this handle, and has none of its threads: make a new one here",
            ));
        }
        let Some(runtime) = self.runtime.as_ref().filter(|_| Handle::try_current().is_err()) else {
            return Err(Failure::bad_request(
                "a blocking call would stop the async runtime it is made from: use the async node or client there",
            ));
        };
        runtime.block_on(async {
            let Some(interrupted) = call.interrupted else { return work.await };
            let mut work = std::pin::pin!(work);
            loop {
                match tokio::time::timeout(LOOK, &mut work).await {
                    Ok(done) => return done,
                    Err(_) if interrupted() => {
                        return Err(Failure::new(FailureCode::Interrupted, "interrupted while waiting"));
                    }
                    Err(_) => {}
                }
            }
        })
    }
}

/// What is dropped only in the process that made it. In a child that was forked its locks may be held by
/// threads that do not exist there, and its sockets are the parent's.
#[derive(Debug)]
pub(super) struct AtHome<T> {
    /// None only while it is being dropped.
    thing: Option<T>,
    process: u32,
}

impl<T> AtHome<T> {
    pub(super) fn new(thing: T) -> AtHome<T> {
        AtHome { thing: Some(thing), process: std::process::id() }
    }
}

impl<T> Deref for AtHome<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.thing.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for AtHome<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.thing.take());
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.is_at_home() {
            // Dropping it would wait, which panics where the handle is dropped within another runtime.
            runtime.shutdown_background();
        } else {
            // Its sockets and threads are the parent's.
            std::mem::forget(runtime);
        }
    }
}
