//! `raft-server backup`: a snapshot of a cluster that runs, in a file.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use raft_node::client::{BackupDownload, Client};
use raft_node::core::snapshot::Header;

use crate::client::ClientArgs;
use crate::client::args::Options;
use crate::failure::{Failure, say};
use crate::part::Part;

/// How long it may take to begin, where nothing is said, and then each part of it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// `raft-server backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
It is the state at one log index, and holds all that was acknowledged before the
command began: keys and values, and the sessions that keep a repeated write from
happening twice. Writes go on meanwhile. What came is checked to its end before
this exits with 0; with any other exit code, what was written is no backup, and
raft-server restore refuses it.

Examples:
  raft-server backup > backup
  raft-server backup --output backup --endpoints 10.0.0.1:12000,10.0.0.2:12000
  raft-server restore backup new_0 10.0.0.7:12000

Exit codes: 0 done; 1 it could not be written; 2 usage, or the cluster cannot take
one; 3 the cluster could not be reached, had no leader in time, or was cut off.")]
pub(crate) struct BackupArgs {
    /// Where to [default: stdout, which must not be a terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Nodes to ask; one that answers is enough [env: RAFT_ENDPOINTS] [default:
    /// 127.0.0.1:12000,127.0.0.1:12001,127.0.0.1:12002]
    #[arg(long, value_name = "HOST:PORT,…")]
    endpoints: Option<String>,
    /// How long it may take until the snapshot is there, and then each part of it, in milliseconds
    /// [default: 60000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout: Option<u64>,
    /// The newest snapshot that the asked node has, at once; it lacks what was written since, and needs no
    /// leader
    #[arg(long)]
    stale: bool,
}

/// Fetches a backup, and tells of it on stderr.
///
/// # Errors
/// When no node gives one, what comes is not whole, or it cannot be written.
pub(crate) fn run(args: BackupArgs) -> Result<(), Failure> {
    let BackupArgs { output, endpoints, timeout, stale } = args;
    if output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a backup is no text for a terminal: give --output FILE, or redirect stdout to a file",
        ));
    }
    let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
    let client = ClientArgs { endpoints, options: Options::of(timeout, stale), command: None }.client()?;
    crate::runtime()?.block_on(fetch(&client, output.as_deref()))
}

async fn fetch(client: &Client, path: Option<&Path>) -> Result<(), Failure> {
    let began = Instant::now();
    let mut part = path.map(Part::create).transpose()?;
    let backup = client.backup().await?;
    let endpoint = backup.endpoint().to_owned();
    let (header, bytes) = match &mut part {
        Some(part) => copy(backup, part).await?,
        None => copy(backup, &mut io::stdout().lock()).await?,
    };
    part.map(Part::finish).transpose()?;
    let Header { cluster_id, index, state_hash, .. } = header;
    let took = began.elapsed().as_secs_f64();
    say(&format!(
        "Backup from {endpoint}: the state of cluster {cluster_id} at index {index}, hash {state_hash}; \
         {bytes} bytes, in {took:.1} s."
    ));
    Ok(())
}

/// All of it, looked at to its end; a reader that goes away has no backup.
async fn copy(mut backup: BackupDownload, to: &mut impl Write) -> Result<(Header, u64), Failure> {
    let unwritten = |error: io::Error| Failure::new(crate::failure::NO, format!("cannot write it: {error}"));
    let mut progress = Progress::new();
    while let Some(part) = backup.next().await? {
        to.write_all(&part).map_err(unwritten)?;
        progress.advance(part.len() as u64);
    }
    to.flush().map_err(unwritten)?;
    progress.clear();
    Ok((backup.finish()?, progress.bytes))
}

/// How far it is, for who watches.
struct Progress {
    bytes: u64,
    is_watched: bool,
    told: Instant,
}

impl Progress {
    fn new() -> Progress {
        Progress { bytes: 0, is_watched: io::stderr().is_terminal(), told: Instant::now() }
    }

    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.is_watched && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let mib = self.bytes as f64 / f64::from(1 << 20);
            let _ = write!(io::stderr(), "\r{mib:.1} MiB");
        }
    }

    /// The line is for what comes next.
    fn clear(&self) {
        if self.is_watched {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
