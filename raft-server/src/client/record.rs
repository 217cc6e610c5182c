//! `raft-server client record`: a node's recording in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use raft_node::client::{Client, Download};
use serde::Serialize;

use super::args::Output;
use crate::failure::{Failure, NO, USAGE};

#[derive(Serialize)]
struct Fetched<'a> {
    file: &'a Path,
    endpoint: &'a str,
    bytes: u64,
}

/// Fetches a recording into a file, and gives what there is to print of it; nothing where it went to stdout.
///
/// # Errors
/// When no node gives one, or the file cannot be written.
pub(super) async fn fetch(
    client: &Client,
    file: Option<PathBuf>,
    output: Output,
) -> Result<Vec<u8>, Failure> {
    if file.as_deref() == Some(Path::new("-")) {
        copy(client.recording().await?, &mut io::stdout()).await?;
        return Ok(Vec::new());
    }
    let download = client.recording().await?;
    let path = match file {
        Some(path) => path,
        None => default_file(&download)?,
    };
    let endpoint = download.endpoint().to_owned();
    let mut part = Part::create(&path)?;
    let bytes = copy(download, &mut part.file).await?;
    part.finish(&path)?;
    Ok(match output {
        Output::Text => format!("{} bytes from {endpoint} in {}\n", bytes, path.display()).into_bytes(),
        Output::Json => {
            let fetched = Fetched { file: &path, endpoint: &endpoint, bytes };
            let mut line = serde_json::to_vec(&fetched).map_err(|error| Failure::new(NO, error))?;
            line.push(b'\n');
            line
        }
    })
}

/// Named after the node. Somebody may still need the one that is there.
fn default_file(download: &Download) -> Result<PathBuf, Failure> {
    let name = download.node_id().map_or("node", |id| id.as_str());
    let path = PathBuf::from(format!("{name}.raftrec"));
    match path.try_exists() {
        Ok(false) => Ok(path),
        _ => Err(Failure::new(USAGE, format!("{} is there already: name another file", path.display()))),
    }
}

async fn copy(mut download: Download, to: &mut impl Write) -> Result<u64, Failure> {
    let mut all = 0;
    while let Some(bytes) = download.next().await? {
        to.write_all(&bytes)?;
        all += bytes.len() as u64;
    }
    to.flush()?;
    Ok(all)
}

/// A file that gets its name once it is whole, and goes if it does not become so.
struct Part {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Part {
    fn create(path: &Path) -> Result<Part, Failure> {
        // A device or a pipe is written to and stays what it is.
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let mut name = path.as_os_str().to_owned();
        name.push(if special { "" } else { ".part" });
        let part = PathBuf::from(name);
        match OpenOptions::new().write(true).create(true).truncate(!special).open(&part) {
            Ok(file) => Ok(Part { path: part, file, finished: special }),
            Err(error) => Err(Failure::usage(format!("cannot write {}: {error}", part.display()))),
        }
    }

    fn finish(mut self, path: &Path) -> Result<(), Failure> {
        if self.finished {
            return Ok(());
        }
        fs::rename(&self.path, path)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}
