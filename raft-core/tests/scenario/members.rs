//! The commands of a scenario about who belongs to the cluster.
//!
//! | command | does |
//! | --- | --- |
//! | `new n4` | starts a server with an empty disk that waits to be added, and connects it to all |
//! | `change n1 add n4`, with `learner`, `priority=2`, `at=h:1` | asks a server to add another one |
//! | `change n1 promote n4`, `change n1 remove n3`, with `force` | likewise |
//! | `change n1 replace n3 n4`, `change n1 priority n3 2`, `change n1 address n3 h:1` | likewise |
//! | `members`, `members n1` | prints what is in force: of `n1 n2 +n3 -n4`, n3 learns, n4 leaves |

use raft_core::consensus::{Change, Removed};
use raft_core::replica::{Event, Replica, Task};
use raft_core::types::NodeId;

use super::commands::{Outcome, Story, Words, duration, number};
use super::show;

impl Story {
    /// Runs one of these.
    pub(crate) fn membership(&mut self, line: &str, words: &Words<'_>) -> Outcome {
        let id = words.node(1)?;
        if words.at(0)? == "new" {
            self.cluster()?.join(&id);
            return Ok(());
        }
        let within =
            words.named.get("within").map_or(Ok(std::time::Duration::from_secs(5)), |t| duration(t))?;
        let change = change(words)?;
        let token = self.request(line)?;
        let cluster = self.cluster()?;
        let deadline = cluster.now + within;
        cluster.step(&id, Event::Administer { token, deadline, task: Task::Change(change) });
        Ok(())
    }
}

fn change(words: &Words<'_>) -> Result<Change, String> {
    let id = words.node(3)?;
    let address = |id: &NodeId| words.named.get("at").map_or(format!("{id}:1"), |at| (*at).to_owned());
    let has = |word: &str| words.plain[3..].contains(&word);
    let small = |text: &str| u8::try_from(number(text)?).map_err(|error| error.to_string());
    Ok(match words.at(2)? {
        "add" => Change::Add {
            address: address(&id),
            id,
            learner_only: has("learner"),
            priority: words.named.get("priority").map_or(Ok(0), |text| small(text))?,
        },
        "promote" => Change::Promote { id },
        "remove" => Change::Remove { id, force: has("force") },
        "replace" => {
            let new = words.node(4)?;
            Change::Replace { old: id, address: address(&new), new }
        }
        "priority" => Change::SetPriority { id, priority: small(words.at(4)?)? },
        "address" => Change::SetAddress { id, address: words.at(4)?.to_owned() },
        other => return Err(format!("{other} is no change")),
    })
}

/// The configuration in force on a server, and whether it is committed there.
pub(crate) fn of(replica: &Replica) -> String {
    let consensus = replica.consensus();
    let is_committed = consensus.configuration_index() <= consensus.commit_index();
    let index = consensus.configuration_index();
    let committed = if is_committed { "" } else { ", not committed" };
    let removed = match consensus.removed() {
        None => String::new(),
        Some(Removed::ByLog(_)) => "; it was removed".into(),
        Some(Removed::ToldBy(peer, _)) => format!("; {peer} says that it was removed"),
    };
    format!("{} at {index}{committed}{removed}", show::configuration(consensus.configuration()))
}
