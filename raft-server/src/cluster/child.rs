//! One node of the cluster: a process, its log, and its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;

use super::plan::Member;
use crate::failure::say;
use crate::program;

/// What all nodes are to do. Only ever goes down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    /// Stop cleanly: SIGTERM.
    Stop,
    /// Stop at once: SIGKILL.
    Die,
}

/// A node that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Which.
    pub(crate) member: Member,
    /// With what; an error where that could not be found out.
    pub(crate) status: io::Result<ExitStatus>,
    /// Its own last word, if it had one.
    pub(crate) reason: Option<String>,
}

impl Ended {
    /// Its exit code, unless a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.as_ref().ok().and_then(ExitStatus::code)
    }

    /// How it ended, as the second half of a sentence.
    pub(crate) fn describe(&self) -> String {
        let how = match &self.status {
            Err(error) => format!("has ended, with what is not known: {error}"),
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("has ended with exit code {code}"),
                (None, Some(signal)) => format!("was killed by signal {signal}"),
                (None, None) => format!("has ended: {status}"),
            },
        };
        self.reason.as_ref().map_or(how.clone(), |reason| format!("{how}: {reason}"))
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Running {
    member: Member,
    process: Child,
    /// What its log lines begin with.
    prefix: String,
}

impl Running {
    /// Starts this program as a node.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start(member: Member, arguments: Vec<String>, prefix: String) -> io::Result<Running> {
        let mut command = program::command()?;
        command
            .args(arguments)
            // Its end, when this process is gone for whatever reason, stops the node.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in the terminal reaches this process alone, which then stops the nodes in order.
            .process_group(0)
            .kill_on_drop(true);
        Ok(Running { member, process: command.spawn()?, prefix })
    }

    /// The process id, for a user who wants to kill it.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Passes its log on and obeys orders, until it has ended.
    pub(crate) async fn watch(mut self, orders: watch::Receiver<Order>) -> Ended {
        // Waiting for a process closes its stdin, unless it is held here.
        let stdin = self.process.stdin.take();
        let log = self.process.stderr.take();
        let (status, reason) = tokio::join!(until_end(&mut self.process, orders), pass_on(log, &self.prefix));
        drop(stdin);
        Ended { member: self.member, status, reason }
    }
}

async fn until_end(process: &mut Child, mut orders: watch::Receiver<Order>) -> io::Result<ExitStatus> {
    loop {
        let order = tokio::select! {
            status = process.wait() => return status,
            changed = orders.changed() => changed.map_or(Order::Die, |()| *orders.borrow_and_update()),
        };
        match order {
            Order::Run => {}
            Order::Stop => {
                // It may have ended this moment: then waiting for it says so.
                if let Some(pid) = process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
            Order::Die => {
                let _ = process.start_kill();
                return process.wait().await;
            }
        }
    }
}

/// Passes log lines on to stderr, but keeps the line in which the command says why it ends.
async fn pass_on(log: Option<ChildStderr>, prefix: &str) -> Option<String> {
    let mut log = BufReader::new(log?);
    let (mut line, mut reason) = (Vec::new(), None);
    while log.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line);
        match text.strip_prefix("raft-server: ") {
            Some(last_word) => reason = Some(last_word.trim_end().to_owned()),
            None => say(&format!("{prefix}{}", text.trim_end())),
        }
        line.clear();
    }
    reason
}
