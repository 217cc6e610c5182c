//! `raft-server <NODE_ID> <PORT>`: one node, until a signal or a failure ends it.

use std::io::Read;
use std::thread;

use raft_node::config::Storage;
use raft_node::{Config, Node, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::NodeArgs;
use crate::failure::{Failure, INTERRUPTED, NO};
use crate::logging;
use crate::settings::{Layers, NodeSettings};
use crate::signals::Signals;

/// Runs the node that the arguments describe.
///
/// # Errors
/// When it does not start, fails later, or is interrupted twice.
pub(crate) fn run(args: NodeArgs) -> Result<(), Failure> {
    let (Some(node_id), Some(port)) = (args.node_id, args.port) else {
        return Err(Failure::usage("a node needs a NODE_ID and a PORT (see raft-server --help)"));
    };
    let layers = Layers::load(args.flags.texts(), |name| std::env::var_os(name)).map_err(Failure::usage)?;
    let NodeSettings { config, log } = layers.node(node_id, port).map_err(Failure::usage)?;
    let _flush = logging::start(log);
    crate::runtime()?.block_on(serve(config, args.exit_with_parent))
}

async fn serve(config: Config, exit_with_parent: bool) -> Result<(), Failure> {
    let mut signals = Signals::take().map_err(Failure::usage)?;
    let save = signal(SignalKind::user_defined1()).map_err(Failure::usage)?;
    let parent = watch_parent(exit_with_parent);
    let started = start(config);
    let node = tokio::select! {
        started = started => match started {
            Ok(Ok(node)) => node,
            Ok(Err(error)) => return Err(Failure::usage(error)),
            Err(_) => return Err(Failure::new(NO, "the node's start ended without a result")),
        },
        // Nothing has been served yet, and recovery does no harm by being cut short.
        () = signals.next() => return Ok(()),
    };
    announce(node.config());
    let saving = tokio::spawn(save_when_told(node.clone(), save));
    let failed = tokio::select! {
        ended = node.stopped() => ended.err(),
        () = signals.next() => None,
        () = parent => None,
    };
    saving.abort();
    if let Some(error) = failed {
        return Err(Failure::new(NO, error));
    }
    tracing::info!("stopping");
    tokio::select! {
        () = node.stop() => {}
        () = signals.next() => return Err(Failure::silent(INTERRUPTED)),
    }
    tracing::info!("stopped");
    Ok(())
}

/// Starts the node on a thread of its own: recovery of a long log may take a while, and a signal ends it.
fn start(config: Config) -> oneshot::Receiver<Result<Node, StartError>> {
    let (tell, started) = oneshot::channel();
    let told = thread::Builder::new().name("start".into()).spawn(move || {
        let _ = tell.send(Node::start(config));
    });
    // Without the thread the sender is gone, and the receiver says so.
    drop(told);
    started
}

/// Saves the recording at every SIGUSR1.
async fn save_when_told(node: Node, mut told: Signal) {
    while told.recv().await.is_some() {
        match node.save_recording().await {
            Ok(file) => tracing::info!(file = %file.display(), "saved the recording"),
            Err(error) => tracing::warn!("the recording was not saved: {error}"),
        }
    }
}

/// Ends when stdin does, if that was asked for.
async fn watch_parent(asked: bool) {
    let (tell, gone) = oneshot::channel::<()>();
    let watch = move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while stdin.read(&mut buffer).is_ok_and(|n| n > 0) {}
        drop(tell);
    };
    if !asked || thread::Builder::new().name("parent".into()).spawn(watch).is_err() {
        std::future::pending::<()>().await;
    }
    let _ = gone.await;
}

fn announce(config: &Config) {
    let peers: Vec<String> = config.peers.iter().map(|(id, address)| format!("{id}={address}")).collect();
    let data_dir = match &config.storage {
        Storage::Directory(directory) => directory.display().to_string(),
        Storage::Ephemeral => "none: ephemeral".to_owned(),
    };
    tracing::info!(
        node_id = %config.node_id,
        address = %format_args!("{}:{}", config.host, config.port),
        advertised = config.advertised(),
        data_dir,
        peers = peers.join(","),
        "started"
    );
}
