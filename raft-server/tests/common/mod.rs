//! Runs the built command, in a directory of its own and without the environment of whoever runs the tests.
// Each test file uses its own part; a panic is how a test fails.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The command, to be run in `directory`.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft-server"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAFT_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end, with these variables.
pub(crate) fn run_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(directory, arguments).envs(variables.iter().copied()).output().unwrap()
}

/// Runs it to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    run_with(directory, arguments, &[])
}

/// What it wrote to stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it wrote to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks that it ended with exit code 2 and said why on exactly one line, and gives that line.
#[track_caller]
pub(crate) fn refusal(output: &Output) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(stdout(output), "");
    assert!(said.starts_with("raft-server: ") && said.lines().count() == 1, "not one line: {said:?}");
    said
}

/// The first of `count` ports in a row that are free. Below those the system gives out by itself, and never
/// those of the documented cluster.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 1000) as u16 * 10;
    for _ in 0..1000 {
        let base = 20_000 + (start + NEXT.fetch_add(10, Ordering::Relaxed)) % 10_000;
        if (base..base + count).all(is_free) {
            return base;
        }
    }
    panic!("no {count} free ports in a row")
}

/// Whether nobody listens there.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// What is answered to a GET, head and all.
#[track_caller]
pub(crate) fn get(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The command while it runs. Killed when dropped, if it has not ended.
pub(crate) struct Running {
    process: Child,
    lines: Receiver<String>,
    /// All lines seen so far.
    pub(crate) seen: Vec<String>,
}

impl Running {
    /// Starts it; stdin stays open until [`Running::close_stdin`].
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (send, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(process.stdout.take().unwrap()), Box::new(process.stderr.take().unwrap())];
        for stream in streams {
            let send = send.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        Running { process, lines, seen: Vec::new() }
    }

    /// Waits for a line that contains `text`, on stdout or stderr.
    #[track_caller]
    pub(crate) fn line(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {text:?} ({error}) in:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.process.id(), signal);
    }

    /// Closes its stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.process.stdin = None;
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the command has ended", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        self.seen.extend(self.lines.iter());
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a process a signal.
pub(crate) fn signal_to(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}
