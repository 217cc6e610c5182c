//! `raft-server replay`: what a node recorded, done again and told.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use raft_node::core::types::Time;
use raft_node::record::{ReplayError, Summary, Told, Which, replay};

use crate::failure::{Failure, NO};

/// `raft-server replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
The recording is fetched with raft-server client record, saved by SIGUSR1 or by a
node that fails, or lies in the data directory of one that was killed. It is
replayed event by event, and has to come to the same at every step. The times are
seconds since the node started.

Exit codes: 0 done, and if the replica broke down it did so again; 1 the replay
came to something else; 2 the recording is of no use.")]
pub(crate) struct ReplayArgs {
    /// A recording, or a data directory, which is only read
    #[arg(value_name = "FILE|DATA_DIR")]
    path: PathBuf,
    /// Print the summary alone
    #[arg(long)]
    quiet: bool,
    /// Of a data directory: the recording of the process before the last one
    #[arg(long)]
    previous: bool,
}

/// Replays a recording; its story and what it came to on stdout.
///
/// # Errors
/// When it cannot be replayed, or comes to something else.
pub(crate) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    if args.previous && args.path.is_file() {
        return Err(Failure::usage("--previous is for a data directory: a file holds one recording"));
    }
    let which = if args.previous { Which::Previous } else { Which::Current };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut tell = |time, told: Told<'_>| {
        if !args.quiet && written.is_ok() {
            written = writeln!(out, "{} {told}", seconds(time));
        }
    };
    let replayed = replay(&args.path, which, &mut tell);
    if written.is_ok() {
        written = match &replayed {
            Ok(summary) => out.write_all(sum_up(summary).as_bytes()),
            Err(again @ ReplayError::BrokeDown { as_recorded: true, .. }) => {
                writeln!(out, "as it did when it was recorded, {again}")
            }
            Err(_) => Ok(()),
        };
    }
    match written.and_then(|()| out.flush()) {
        // A reader that has had enough still gets to know by the exit code how it ended.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    replayed.map(drop).or_else(|error| match error {
        ReplayError::BrokeDown { as_recorded: true, .. } => Ok(()),
        ReplayError::Differs(_) | ReplayError::BrokeDown { .. } => Err(Failure::new(NO, error)),
        _ => Err(Failure::usage(error)),
    })
}

fn seconds(time: Time) -> String {
    format!("{:>13.6}", time.as_micros() as f64 / 1e6)
}

fn sum_up(summary: &Summary) -> String {
    let header = &summary.header;
    let began = UNIX_EPOCH + Duration::from_millis(header.began_unix_ms);
    let torn = match summary.torn_bytes {
        0 => String::new(),
        bytes => format!("torn end      {bytes} bytes: the process ended while it wrote them\n"),
    };
    let passed_over = match summary.passed_over {
        0 => String::new(),
        files => {
            format!("passed over   files: {files}, as part of the log before them is in a snapshot since\n")
        }
    };
    format!(
        "node          {}, version {}, started {}\n\
         recorded      {} s to {} s\n\
         {passed_over}\
         events        {} in {} turns\n\
         compared      {} times, and the same each time\n\
         role          {:?} in term {}\n\
         commit index  {}\n\
         last applied  {}\n\
         state hash    {}\n\
         {torn}",
        header.node_id,
        header.program,
        humantime::format_rfc3339_millis(began),
        seconds(summary.from).trim_start(),
        seconds(summary.to).trim_start(),
        summary.events,
        summary.turns,
        summary.compared,
        summary.role,
        summary.term,
        summary.commit_index,
        summary.last_applied,
        summary.applied_hash,
    )
}
