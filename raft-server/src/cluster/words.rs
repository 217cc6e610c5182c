//! What a cluster says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use raft_node::core::types::NodeId;

use super::child::Ended;
use super::plan::Plan;
use super::view::Agreement;
use crate::logging::colour;
use crate::program;

/// The colours of the nodes' names, in turn: the terminal's own six.
const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// What the log lines of node `n` begin with.
pub(crate) fn prefix(n: usize, node_id: &NodeId) -> String {
    match colour() {
        true => format!("\x1b[{}m{node_id} |\x1b[0m ", COLOURS[n % COLOURS.len()]),
        false => format!("{node_id} | "),
    }
}

/// The cluster runs: where, who leads, and what to try next.
pub(crate) fn formed(
    plan: &Plan,
    pids: &BTreeMap<NodeId, u32>,
    seen: &Agreement,
    dashboard: Option<&str>,
) -> String {
    let mut text = match plan.members.len() {
        1 => "A cluster of one node is running:\n".to_owned(),
        n => format!("A cluster of {n} nodes is running:\n"),
    };
    for member in &plan.members {
        let state = match pids.get(&member.node_id) {
            Some(pid) => format!("pid {pid}"),
            None => "ended".to_owned(),
        };
        let leads = if seen.leader == member.node_id.as_str() { ", the leader" } else { "" };
        let _ = writeln!(text, "  {}  http://{}  {state}{leads}", member.node_id, member.address());
    }
    let _ = match plan.data_dir() {
        Some(directory) => writeln!(text, "Data is in {}; it is used again next time.", directory.display()),
        None => writeln!(text, "Data is in memory only."),
    };
    if let Some(url) = dashboard {
        let _ = writeln!(text, "The dashboard is at {url}");
    }
    text.push_str(&next_steps(plan, pids, seen));
    text
}

fn next_steps(plan: &Plan, pids: &BTreeMap<NodeId, u32>, seen: &Agreement) -> String {
    let endpoints =
        if plan.is_documented() { String::new() } else { format!(" --endpoints {}", plan.endpoints()) };
    let client = format!("{} client{endpoints}", shell(program::name()));
    let (first, last) = (&plan.members[0], &plan.members[plan.members.len() - 1]);
    let mut text = format!(
        "\nTry, in another terminal:\n  \
         {client} set name Raft\n  \
         {client} get name\n  \
         {client} status\n  \
         curl -X POST http://{}/api/set -H 'Content-Type: application/json' \
         -d '{{\"key\":\"name\",\"value\":\"Raft\"}}'\n  \
         curl http://{}/api/get/name\n",
        first.address(),
        last.address(),
    );
    if let Some(pid) = pid_of(pids, &seen.leader).filter(|_| plan.members.len() > 2) {
        let _ = writeln!(text, "  kill -9 {pid}    # {}, the leader: see another one take over", seen.leader);
    }
    text.push_str("\nCtrl-C stops all of them.");
    text
}

fn pid_of(pids: &BTreeMap<NodeId, u32>, name: &str) -> Option<u32> {
    pids.iter().find(|(node_id, _)| node_id.as_str() == name).map(|(_, pid)| *pid)
}

/// A node has ended: how, what that means, and how to bring it back.
pub(crate) fn ended(plan: &Plan, ended: &Ended, left: usize) -> String {
    let members = plan.members.len();
    let mut text = format!("raft-server: {} {}; ", ended.member.node_id, ended.describe());
    let _ = match left {
        0 => write!(text, "none is left"),
        _ if left > members / 2 => write!(text, "{left} of {members} go on"),
        _ => write!(text, "{left} of {members} are no majority: nothing can be written until more are back"),
    };
    let command = shell(program::name().into_iter().chain(plan.restart_arguments(&ended.member)));
    match plan.is_ephemeral() {
        true => {
            text.push_str("; what it had in memory is lost, so it cannot be started again as the same member")
        }
        false => {
            let _ = write!(text, ". To bring it back, in another terminal: {command}");
        }
    }
    text
}

/// Words as a POSIX shell reads them back.
fn shell(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (word, want) in [("node_0", "node_0"), ("--a=b:1,c", "--a=b:1,c"), ("", "''"), ("a b", "'a b'")] {
            assert_eq!(quoted(word), want);
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
