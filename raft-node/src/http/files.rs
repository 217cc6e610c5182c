//! The endpoints that give a file, chunk by chunk.

use std::fmt::Display;
use std::future::Future;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::api::Call;
use super::problem::Problem;
use super::query::{Param, Query};
use super::reply::{self, BrokenOff, Response};
use crate::error::RequestError;
use crate::node::Backup;
use crate::record::{Recording, RecordingError};

/// What backups take in the query.
pub(crate) const BACKUP: &[Param] = &[Param::Consistency, Param::LongTimeoutMs];

/// What comes chunk by chunk.
trait Chunks: Send + 'static {
    /// In words for the log.
    const NAME: &'static str;
    /// Why it breaks off.
    type Error: Display + Send;

    /// The next chunk; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + Send;
}

impl Chunks for Recording {
    const NAME: &'static str = "recording";
    type Error = RecordingError;

    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, RecordingError>> + Send {
        Recording::next(self)
    }
}

impl Chunks for Backup {
    const NAME: &'static str = "backup";
    type Error = RequestError;

    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, RequestError>> + Send {
        Backup::next(self)
    }
}

/// `GET /api/recording`.
pub(super) async fn recording(call: &Call<'_>) -> Result<Response, Problem> {
    call.query(&[])?;
    let recording = call.api.node.recording().await?;
    let name = format!("{}.raftrec", call.api.node.config().node_id);
    Ok(send(&name, Some(recording).filter(|_| call.wants_body())))
}

/// `GET /api/backup`.
pub(super) async fn backup(call: &Call<'_>) -> Result<Response, Problem> {
    let Query { consistency, timeout, .. } = call.query(BACKUP)?;
    // A HEAD has no body, and needs no snapshot.
    if !call.wants_body() {
        return Ok(send::<Backup>("snapshot", None));
    }
    let backup = call.api.node.backup(consistency, timeout).await?;
    Ok(send(&backup.file_name(), Some(backup)))
}

/// Answers with a file, which is read while it is sent; none where only its head is wanted.
fn send<C: Chunks>(name: &str, chunks: Option<C>) -> Response {
    let (to, response) = mpsc::channel(1);
    if let Some(chunks) = chunks {
        tokio::spawn(pass_on(chunks, to));
    }
    reply::file(name, response)
}

async fn pass_on<C: Chunks>(mut chunks: C, to: mpsc::Sender<Result<Bytes, BrokenOff>>) {
    loop {
        match chunks.next().await {
            Ok(None) => return,
            Ok(Some(bytes)) => {
                // Who no longer reads needs no more.
                if to.send(Ok(bytes)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("the {} that is being read breaks off: {error}", C::NAME);
                return drop(to.send(Err(BrokenOff)).await);
            }
        }
    }
}
