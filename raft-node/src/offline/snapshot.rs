//! A snapshot's file, made into one of a new cluster: the same state at the same index.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use raft_core::consensus::Configuration;
use raft_core::disk::SnapshotFile;
use raft_core::snapshot::{Header, Reader, SnapshotError, Writer};
use raft_core::types::{ClusterId, LogIndex};

/// Bytes read at a time.
const READ: usize = 256 << 10;

/// Why a snapshot was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is not as it was written.
    #[error(transparent)]
    Unusable(#[from] SnapshotError),
    /// It cannot be read, or the new one not be written.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A snapshot that is being read.
pub(super) struct Source<R> {
    reader: Reader,
    from: R,
}

impl<R: Read> Source<R> {
    /// The snapshot that `from` gives, called `name` in errors.
    pub(super) fn new(name: &str, from: R) -> Source<R> {
        Source { reader: Reader::new(name.to_owned()), from }
    }

    /// What it says of itself.
    pub(super) fn header(&mut self) -> Result<Header, CopyError> {
        while self.reader.header()?.is_none() {
            self.read_on()?;
        }
        let header = self.reader.header()?.cloned();
        Ok(header.expect("there is a header"))
    }

    /// Feeds the next bytes; at the end, asks that there be one.
    fn read_on(&mut self) -> Result<(), CopyError> {
        let mut bytes = vec![0; READ];
        let length = self.from.read(&mut bytes)?;
        if length == 0 {
            let rest = std::mem::replace(&mut self.reader, Reader::new(String::new()));
            rest.finish()?;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.truncate(length);
        self.reader.feed(bytes.into());
        Ok(())
    }

    /// Writes all of it, as the new cluster's, into a directory, durably but for the name.
    pub(super) fn copy(
        mut self,
        into: &Path,
        cluster_id: ClusterId,
        configuration: &Configuration,
    ) -> Result<Header, CopyError> {
        let old = self.header()?;
        // The first entry of the new cluster's log names its members.
        let (configuration_index, configuration) = (LogIndex(1), configuration.clone());
        let header = Header { cluster_id, configuration_index, configuration, ..old };
        let mut file = File::create(into.join(SnapshotFile::Whole(header.index).file_name()))?;
        let mut writer = Writer::new(&header);
        while !self.reader.is_whole() {
            while let Some(piece) = self.reader.next_piece()? {
                writer.piece(&piece);
                if writer.ready() >= READ {
                    file.write_all(&writer.take())?;
                }
            }
            if !self.reader.is_whole() {
                self.read_on()?;
            }
        }
        // Whatever follows the end would be no part of a snapshot.
        self.reader.finish()?;
        writer.finish();
        file.write_all(&writer.take())?;
        file.sync_all()?;
        Ok(header)
    }
}
