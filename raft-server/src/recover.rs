//! `raft-server recover`: a new cluster out of what is left of one whose majority is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use raft_node::config::parse_peers;
use raft_node::core::types::NodeId;
use raft_node::offline::{Founded, Survey, Survivor};
use serde_json::{Value, json};

use crate::client::args::Output;
use crate::failure::Failure;
use crate::table::aligned;

/// `raft-server recover`.
#[derive(Debug, Args)]
#[command(after_help = "\
For a cluster that has lost a majority of its members for good. As long as a
majority can be started, start it: nothing is lost then. This makes a new cluster
of the most up-to-date log that is left, and it may lack writes that the old one
acknowledged. What the members left over have is compared first; nothing is
changed without --yes. Their nodes must be stopped.

Examples:
  See what is left:
    raft-server recover --data-dir raft-data/node_3 --data-dir raft-data/node_4
  Go on with node_3 and node_4 as a cluster of two:
    raft-server recover --data-dir raft-data/node_3 --data-dir raft-data/node_4 \\
      --peers node_3=10.0.0.3:12000,node_4=10.0.0.4:12000 --yes

The new cluster has a new id: members of the old one that turn up again are not
let in. What each directory held before is kept in it, in replaced-<CLUSTER_ID>.

Exit codes: 0 done, or shown; 2 nothing was done, for a reason that is told.")]
pub(crate) struct RecoverArgs {
    /// The data directory of a member that is left; once for each
    #[arg(long = "data-dir", value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// The members of the new cluster, each with the address at which the others will reach it
    #[arg(long, value_name = "ID=HOST:PORT,…", required_if_eq("yes", "true"))]
    peers: Option<String>,
    /// Do it, instead of showing what would be done
    #[arg(long, alias = "apply")]
    yes: bool,
    /// Do it although the members that are left are a majority of the old cluster
    #[arg(long)]
    force: bool,
    /// How it is told [default: text]
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    output: Output,
}

/// Compares what is left, tells it on stdout, and makes the new cluster where that was asked for.
///
/// # Errors
/// When the directories cannot be read or written, or the new cluster cannot be made of them.
pub(crate) fn run(args: &RecoverArgs) -> Result<(), Failure> {
    let peers = args.peers.as_deref().map(parse_peers).transpose().map_err(Failure::usage)?;
    let survey = Survey::of(&args.directories, args.yes).map_err(Failure::usage)?;
    let refused = peers.as_ref().and_then(|peers| survey.check(peers, args.force).err());
    let mut account = account(&survey);
    // What may be lost is told before anything is done.
    if args.output == Output::Text {
        print(&compared(&survey))?;
    } else if refused.is_some() {
        print(&format!("{account}\n"))?;
    }
    if let Some(refused) = refused {
        return Err(Failure::usage(refused));
    }
    let founded = match &peers {
        Some(peers) if args.yes => Some((survey.refound(peers, args.force).map_err(Failure::usage)?, peers)),
        _ => None,
    };
    match (args.output, founded) {
        (Output::Text, None) => print("\nNothing was changed. To do it, give --peers and --yes.\n"),
        (Output::Text, Some((founded, peers))) => print(&done(&founded, peers)),
        (Output::Json, founded) => {
            account["founded"] = founded.map_or(Value::Null, |(founded, peers)| {
                json!({ "cluster_id": founded.cluster_id.to_string(), "peers": peers,
                        "last_index": founded.last_index.0 })
            });
            print(&format!("{account}\n"))
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

const COLUMNS: [&str; 6] = ["NODE", "LAST ENTRY", "OF TERM", "COMMITTED", "LAST WRITTEN", "DIRECTORY"];

/// What is left, and what may be lost.
fn compared(survey: &Survey) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(survey.survivors().iter().map(row));
    let missing: Vec<&str> = survey.missing().map(NodeId::as_str).collect();
    let mut text = String::new();
    for path in survey.completed() {
        let _ = writeln!(text, "Completed an interrupted recovery of {}.\n", path.display());
    }
    let _ = write!(
        text,
        "Cluster {} of {} members.\n\n{}\n",
        survey.cluster_id(),
        survey.members().len(),
        aligned(&rows)
    );
    if survey.is_majority() {
        text += "These are a majority: started, they go on by themselves, and nothing is lost.\n";
    } else {
        let _ = writeln!(text, "Not here, and a majority is only with them: {}.", missing.join(", "));
    }
    text + &losses(survey)
}

fn row(survivor: &Survivor) -> [String; 6] {
    [
        survivor.node_id.to_string(),
        survivor.last.index.to_string(),
        survivor.last.term.to_string(),
        format!("{} or more", survivor.committed),
        survivor.written.map_or("-".to_owned(), date),
        survivor.path.display().to_string(),
    ]
}

fn date(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

fn losses(survey: &Survey) -> String {
    let (best, others) = match survey.survivors() {
        [best, others @ ..] => (best, others),
        [] => return String::new(),
    };
    let committed = survey.survivors().iter().map(|survivor| survivor.committed).max();
    let (committed, last) = (committed.unwrap_or_default(), best.last.index);
    let mut text = format!(
        "The log of {} is the most up to date: its entries 1 to {last} are kept, all of them.\n",
        best.node_id
    );
    if committed < last {
        let _ = writeln!(
            text,
            "Entries {} to {last} may or may not have been committed; they take effect.",
            committed.next()
        );
    }
    for other in others.iter().filter(|other| other.overlap.discarded > 0) {
        let (count, common) = (other.overlap.discarded, other.overlap.common);
        let _ = writeln!(
            text,
            "LOST: {count} entries that {} has after entry {common}, and {} has not.",
            other.node_id, best.node_id
        );
    }
    if !survey.is_majority() {
        let since =
            best.written.map_or(String::new(), |at| format!(", which was written at {} or before", date(at)));
        let _ = writeln!(
            text,
            "MAY BE LOST: all that the members that are not here acknowledged after entry {last}{since}."
        );
    }
    text
}

/// What was done, and how it goes on.
fn done(founded: &Founded, peers: &BTreeMap<NodeId, String>) -> String {
    let list: Vec<String> = peers.iter().map(|(id, address)| format!("{id}={address}")).collect();
    let list = list.join(",");
    let mut text = format!(
        "\nMade the new cluster {}, whose members start with entry {}. What was there before is in \
         replaced-{} of each directory.\nStart:\n",
        founded.cluster_id, founded.last_index, founded.cluster_id
    );
    for (id, address) in peers {
        let port = address.rsplit_once(':').map_or("", |(_, port)| port);
        let _ = writeln!(text, "  raft-server {id} {port} --peers {list} --data-dir …");
    }
    text
}

/// The same for programs.
fn account(survey: &Survey) -> Value {
    let survivors = survey.survivors().iter().map(|survivor| {
        let Survivor { node_id, path, term, last, committed, written, overlap } = survivor;
        json!({
            "node_id": node_id, "data_dir": path, "term": term, "last_log_term": last.term,
            "last_log_index": last.index, "committed_at_least": committed, "last_written": written.map(date),
            "common_up_to": overlap.common, "discarded_entries": overlap.discarded,
        })
    });
    json!({
        "cluster_id": survey.cluster_id().to_string(),
        "members": survey.members().collect::<Vec<_>>(),
        "missing": survey.missing().collect::<Vec<_>>(),
        "majority": survey.is_majority(),
        "survivors": survivors.collect::<Vec<_>>(),
        "chosen": survey.survivors().first().map(|best| &best.node_id),
        "completed": survey.completed(),
        "founded": null,
    })
}
