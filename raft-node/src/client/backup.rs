//! A backup that is fetched: what comes is looked at as it comes, so that no part passes for the whole.

use bytes::Bytes;
use raft_core::snapshot::{Header, Reader, SnapshotError};

use super::call::{Ask, Timed};
use super::download::Download;
use super::{Client, ClientError, wire};

/// A backup on its way.
pub struct BackupDownload {
    download: Download,
    reader: Reader,
}

impl Client {
    /// Begins to fetch a snapshot of the whole store from one of the endpoints: a fresh one, which holds all
    /// that was acknowledged before this call, or where the client's consistency is stale the newest that the
    /// node has. The client's timeout holds for its beginning and for each part of it.
    ///
    /// # Errors
    /// See [`ClientError`]; `Problem` with `conflict` where none can be written, and why.
    pub async fn backup(&self) -> Result<BackupDownload, ClientError> {
        let target = format!("/api/backup?consistency={}", wire::consistency(self.consistency));
        let download = self.download(&Ask { timed: Timed::Hour, ..Ask::report(&target) }).await?;
        let reader = Reader::new(format!("what {} sends", download.endpoint()));
        Ok(BackupDownload { download, reader })
    }
}

impl BackupDownload {
    /// Where it comes from, as `HOST:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.download.endpoint()
    }

    /// The next part, whose checksums are right as far as it has them; none once all of it has come.
    ///
    /// # Errors
    /// `Timeout` where it breaks off or stands still, `Protocol` where it is not as it was written: what came
    /// so far is no backup.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(part) = self.download.next().await? else { return Ok(None) };
        self.reader.feed(part.clone());
        loop {
            match self.reader.next_piece() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(part)),
                Err(error) => return Err(unusable(&self.download, error)),
            }
        }
    }

    /// What it says of itself, once all of it has come.
    ///
    /// # Errors
    /// `Protocol` where its end is missing.
    pub fn finish(self) -> Result<Header, ClientError> {
        let BackupDownload { download, reader } = self;
        reader.finish().map_err(|error| unusable(&download, error))
    }
}

fn unusable(download: &Download, error: SnapshotError) -> ClientError {
    ClientError::Protocol { endpoint: download.endpoint().to_owned(), detail: error.to_string() }
}
