//! `raft-server client record`: a node's recording in a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use raft_node::client::{Client, Download};
use serde::Serialize;

use super::args::Output;
use crate::failure::{Failure, NO, USAGE};
use crate::part::Part;

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
    let bytes = copy(download, &mut part).await?;
    part.finish()?;
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
