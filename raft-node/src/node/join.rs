//! Asking a cluster to take this node in (`--join`).

use std::time::Duration;

use super::Node;
use crate::client::{Client, ClientConfig, NewMember};

/// How long one request may take: it is answered once this node has caught up and votes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before the cluster is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks until the cluster has taken the node in, or the node stops. Asked again, the cluster goes on with
/// what it has begun.
pub(super) async fn join(node: Node) {
    let config = node.config();
    let (endpoints, timeout) = (config.join.clone(), PATIENCE);
    let client = match Client::new(ClientConfig { endpoints, timeout, ..ClientConfig::default() }) {
        Ok(client) => client,
        // The addresses were checked before the node was started.
        Err(error) => return tracing::error!(%error, "cannot ask to be taken in"),
    };
    let wanted = NewMember {
        node_id: config.node_id.to_string(),
        address: config.advertised(),
        ..NewMember::default()
    };
    let mut members = node.members_seen();
    let mut said = String::new();
    while members.borrow_and_update().configuration_index.0 == 0 {
        match client.add_member(&wanted).await {
            Ok(_) => return tracing::info!(address = wanted.address, "the cluster has taken this node in"),
            Err(error) => {
                let error = error.to_string();
                if error != said {
                    tracing::warn!(error, "the cluster has not taken this node in yet");
                    said = error;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            // The node has stopped.
            changed = members.changed() => if changed.is_err() { return },
        }
    }
}
