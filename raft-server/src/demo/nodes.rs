//! The servers of a demo: processes of this same executable, in a temporary directory.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use raft_node::client::{Client, ClientConfig};
use rustix::process::{Pid, Signal, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::process::Child;

use super::relay::Relays;
use super::watching::eventually;
use crate::failure::{Failure, NO};
use crate::program;

const HOST: &str = "127.0.0.1";
/// Ports are looked for here: below those that systems give out by themselves, so that a server which was
/// killed finds its own free again, and off the documented cluster's.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How long one request to a server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server.
pub(super) struct Node {
    /// `node_0` and so on.
    pub(super) name: String,
    /// Where clients reach it.
    pub(super) address: String,
    /// A client of this server alone.
    pub(super) client: Client,
    arguments: Vec<String>,
    process: Option<Child>,
}

/// All of them.
pub(super) struct Nodes {
    /// By number.
    pub(super) all: Vec<Node>,
    directory: TempDir,
}

impl Nodes {
    /// Servers that reach each other directly. They are not started.
    pub(super) fn alone(count: usize) -> Result<Nodes, Failure> {
        let addresses = addresses(count)?;
        Nodes::new(&addresses, |_, peer| addresses[peer].clone())
    }

    /// Servers that reach each other through relays. They are not started.
    pub(super) async fn behind_relays(count: usize) -> Result<(Nodes, Relays), Failure> {
        let addresses = addresses(count)?;
        let relays = Relays::start(&addresses).await.map_err(cannot("open a relay"))?;
        let nodes = Nodes::new(&addresses, |node, peer| match node == peer {
            true => addresses[peer].clone(),
            false => relays.address(node, peer),
        })?;
        Ok((nodes, relays))
    }

    fn new(addresses: &[String], peer: impl Fn(usize, usize) -> String) -> Result<Nodes, Failure> {
        let directory = tempfile::Builder::new().prefix("raft-demo-").tempdir();
        let directory = directory.map_err(cannot("make a temporary directory"))?;
        let name = |n: usize| format!("node_{n}");
        let mut all = Vec::new();
        for (n, address) in addresses.iter().enumerate() {
            let peers: Vec<String> =
                (0..addresses.len()).map(|p| format!("{}={}", name(p), peer(n, p))).collect();
            let port = address.rsplit(':').next().unwrap_or_default();
            let arguments = vec![
                name(n),
                port.to_owned(),
                format!("--peers={}", peers.join(",")),
                "--log-level=warn".to_owned(),
                "--exit-with-parent".to_owned(),
            ];
            let config = ClientConfig {
                endpoints: vec![address.clone()],
                timeout: PATIENCE,
                ..ClientConfig::default()
            };
            let (client, address) = (Client::new(config)?, address.clone());
            all.push(Node { name: name(n), address, client, arguments, process: None });
        }
        Ok(Nodes { all, directory })
    }

    /// The directory the servers' directories are in.
    pub(super) fn directory(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Starts a server, and does not wait for it.
    pub(super) fn start(&mut self, n: usize) -> Result<(), Failure> {
        let node = &mut self.all[n];
        let log = self.directory.path().join(format!("{}.log", node.name));
        let log = File::create(log).map_err(cannot("make a log file"))?;
        let mut command = program::command().map_err(cannot("find this executable"))?;
        command
            .args(&node.arguments)
            // What the user has set for servers of his own is not for these.
            .current_dir(self.directory.path())
            // Its end, when this process is gone for whatever reason, stops the server.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C in the terminal reaches this process alone, which then clears up.
            .process_group(0)
            .kill_on_drop(true);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("RAFT_") {
                command.env_remove(variable);
            }
        }
        node.process = Some(command.spawn().map_err(cannot("start a server"))?);
        Ok(())
    }

    /// Starts all.
    pub(super) fn start_all(&mut self) -> Result<(), Failure> {
        (0..self.all.len()).try_for_each(|n| self.start(n))
    }

    /// kill -9. The process is gone when this ends.
    pub(super) async fn kill(&mut self, n: usize) -> Result<(), Failure> {
        let Some(mut process) = self.all[n].process.take() else { return Ok(()) };
        match process.try_wait() {
            Ok(Some(status)) => Err(self.ended(n, status)),
            _ => process.kill().await.map_err(cannot("kill a server")),
        }
    }

    /// SIGSTOP. The process stands still when this ends.
    pub(super) async fn pause(&self, n: usize) -> Result<(), Failure> {
        self.signal(n, Signal::STOP)?;
        let Some(pid) = self.pid(n) else { return Ok(()) };
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let stopped = async || waitid(rustix::process::WaitId::Pid(pid), options).ok().flatten();
        eventually(&format!("{} stands still after SIGSTOP", self.all[n].name), stopped).await.map(|_| ())
    }

    /// SIGCONT.
    pub(super) fn resume(&self, n: usize) -> Result<(), Failure> {
        self.signal(n, Signal::CONT)
    }

    fn signal(&self, n: usize, signal: Signal) -> Result<(), Failure> {
        let pid = self.pid(n).ok_or_else(|| Failure::new(NO, format!("{} has ended", self.all[n].name)))?;
        kill_process(pid, signal).map_err(|error| cannot("signal a server")(error.into()))
    }

    fn pid(&self, n: usize) -> Option<Pid> {
        self.all[n].pid().and_then(|pid| Pid::from_raw(pid.cast_signed()))
    }

    /// A server that has ended without this demo's doing, if there is one.
    pub(super) fn lost(&mut self) -> Option<String> {
        for n in 0..self.all.len() {
            let status = self.all[n].process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            if let Some(status) = status {
                return self.ended(n, status).message().map(str::to_owned);
            }
        }
        None
    }

    fn ended(&self, n: usize, status: ExitStatus) -> Failure {
        let name = &self.all[n].name;
        let log = self.directory.path().join(format!("{name}.log"));
        let last = std::fs::read_to_string(log).unwrap_or_default();
        let last = last.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("was killed by signal {signal}"),
            (None, Some(code)) => format!("ended with exit code {code}"),
            (None, None) => "ended".to_owned(),
        };
        Failure::new(NO, format!("{name} {how}, which was not this demo's doing{last}"))
    }

    /// Kills all that run, and removes the directory.
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        for node in &mut self.all {
            if let Some(process) = &mut node.process {
                // Paused ones die of it too. One that has ended is what is wanted.
                let _ = process.kill().await;
            }
        }
        let path = self.directory();
        self.directory.close().map_err(|error| Failure::new(NO, format!("cannot remove {path}: {error}")))
    }
}

impl Node {
    /// The process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }
}

fn cannot(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::new(NO, format!("cannot {what}: {error}"))
}

/// Free addresses. Where to look first differs from process to process.
fn addresses(count: usize) -> Result<Vec<String>, Failure> {
    let first = (std::process::id().wrapping_mul(37) % u32::from(PORTS.end - PORTS.start)) as u16;
    let ports = (PORTS.start + first..PORTS.end).chain(PORTS);
    let free = ports.filter(|port| TcpListener::bind((HOST, *port)).is_ok());
    let found: Vec<String> = free.take(count).map(|port| format!("{HOST}:{port}")).collect();
    match found.len() == count {
        true => Ok(found),
        false => Err(Failure::new(NO, format!("there are no {count} free ports on {HOST}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_are_free_and_different() {
        let found = addresses(5).unwrap();
        let open: Vec<_> = found.iter().map(|address| TcpListener::bind(address.as_str()).unwrap()).collect();
        assert_eq!(open.len(), 5);
        assert!(addresses(5).unwrap().iter().all(|address| !found.contains(address)), "they are in use");
    }

    #[tokio::test]
    async fn the_directory_goes_with_the_servers() {
        let nodes = Nodes::alone(3).unwrap();
        let directory = std::path::PathBuf::from(nodes.directory());
        assert!(directory.is_dir());
        nodes.close().await.unwrap();
        assert!(!directory.exists());
    }
}
