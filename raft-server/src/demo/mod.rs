//! `raft-server demo`: clusters of their own that are hurt before the eyes of the user.
//!
//! What is printed is what was observed. What should have been and was not ends the demo with exit code 1.

mod args;
mod ask;
mod consistency;
mod failover;
mod nodes;
mod relay;
mod story;
mod watching;
mod writers;

pub(crate) use args::DemoArgs;

use crate::failure::{Failure, INTERRUPTED, NO};
use crate::signals::Signals;
use args::Demo;
use nodes::Nodes;
use story::Story;

/// Runs a demo.
///
/// # Errors
/// When something was not as it should be, or a signal came.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    crate::runtime()?.block_on(show(args.demo))
}

async fn show(demo: Demo) -> Result<(), Failure> {
    let mut signals = Signals::take().map_err(Failure::usage)?;
    let story = Story::new();
    match demo {
        Demo::Failover { nodes, rounds } => {
            let mut nodes = Nodes::alone(nodes)?;
            let result = tokio::select! {
                result = failover::run(&mut nodes, &story, rounds) => result,
                () = signals.next() => Err(Failure::silent(INTERRUPTED)),
            };
            finish(nodes, &story, result).await
        }
        Demo::Consistency => {
            let (mut nodes, relays) = Nodes::behind_relays(3).await?;
            let result = tokio::select! {
                result = consistency::run(&mut nodes, &relays, &story) => result,
                () = signals.next() => Err(Failure::silent(INTERRUPTED)),
            };
            finish(nodes, &story, result).await
        }
    }
}

/// Clears up, whatever happened, and says how it ended.
async fn finish(mut nodes: Nodes, story: &Story, result: Result<(), Failure>) -> Result<(), Failure> {
    // A server that somebody else ended explains what was not observed, and spoils what was.
    let lost = nodes.lost();
    let cleared = nodes.close().await;
    match (result, lost) {
        (Err(failure), _) if failure.code() == INTERRUPTED => Err(failure),
        (_, Some(lost)) => Err(Failure::new(NO, lost)),
        // Whatever it would be elsewhere: here it is something that should have been observed.
        (Err(failure), None) => {
            Err(failure.message().map_or(Failure::silent(NO), |why| Failure::new(NO, why)))
        }
        (Ok(()), None) => {
            cleared?;
            story.good("All of this was observed. The servers are stopped, and their directory is removed.")
        }
    }
}
