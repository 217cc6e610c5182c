//! The `identity` file: whose data directory this is.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::{FORMAT_VERSION, checksum};
use crate::disk::DiskOp;
use crate::types::{ClusterId, Incarnation, NodeId};

/// The file that makes a directory a data directory.
pub const IDENTITY_FILE: &str = "identity";

const TITLE: &str = "raft data directory: made by the server, not to be edited or copied to another one";

/// Whose data directory it is. Kept as a few lines of text, so that a human can tell directories apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The server it belongs to.
    pub node_id: NodeId,
    /// The cluster, once the server has learnt it from the log.
    pub cluster_id: Option<ClusterId>,
    /// Drawn when the directory was made; the same for as long as it exists.
    pub incarnation: Incarnation,
    /// The version of all files of the directory.
    pub format_version: u32,
}

/// Why an identity file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Its checksum or its form is wrong.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// Another version made it.
    #[error("written in format {found}; this build reads format {supported}")]
    Version {
        /// What the file says.
        found: u32,
        /// What can be read.
        supported: u32,
    },
}

impl Identity {
    /// Of a directory to be made now.
    #[must_use]
    pub fn new(node_id: NodeId, incarnation: Incarnation) -> Identity {
        Identity { node_id, cluster_id: None, incarnation, format_version: FORMAT_VERSION }
    }

    /// The file's text.
    #[must_use]
    pub fn encode(&self) -> String {
        let cluster_id = self.cluster_id.map_or("none".to_string(), |id| id.to_string());
        let mut text = format!(
            "{TITLE}\nformat_version = {}\nnode_id = {}\ncluster_id = {cluster_id}\nincarnation = {}\n",
            self.format_version, self.node_id, self.incarnation
        );
        let crc = checksum(text.as_bytes());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "checksum = {crc:08x}");
        text
    }

    /// Reads what [`Identity::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// When it was damaged or edited, or another version wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Identity, IdentityError> {
        let text = core::str::from_utf8(bytes).map_err(|_| IdentityError::Damaged("it is not text"))?;
        check_sum(text)?;
        let found = field(text, "format_version")?.parse().map_err(|_| damaged_field())?;
        if found != FORMAT_VERSION {
            return Err(IdentityError::Version { found, supported: FORMAT_VERSION });
        }
        let cluster_id = match field(text, "cluster_id")? {
            "none" => None,
            hex => Some(ClusterId(u128::from_str_radix(hex, 16).map_err(|_| damaged_field())?)),
        };
        let incarnation =
            u64::from_str_radix(field(text, "incarnation")?, 16).map_err(|_| damaged_field())?;
        let identity = Identity {
            node_id: NodeId::new(field(text, "node_id")?).map_err(|_| damaged_field())?,
            cluster_id,
            incarnation: Incarnation(incarnation),
            format_version: found,
        };
        if identity.encode() == text { Ok(identity) } else { Err(damaged_field()) }
    }

    /// Stores it in place of the one before.
    #[must_use]
    pub fn store(&self) -> DiskOp {
        DiskOp::Replace { file: IDENTITY_FILE.to_string(), content: Bytes::from(self.encode()) }
    }
}

fn damaged_field() -> IdentityError {
    IdentityError::Damaged("a line is missing or not as it was written")
}

/// The last line guards all before it, in every version.
fn check_sum(text: &str) -> Result<(), IdentityError> {
    const WRONG: IdentityError = IdentityError::Damaged("its checksum is wrong");
    let (_, line) = text.strip_suffix('\n').and_then(|t| t.rsplit_once('\n')).ok_or(WRONG)?;
    let written = line.strip_prefix("checksum = ").ok_or(WRONG)?;
    let guarded = &text.as_bytes()[..text.len() - line.len() - 1];
    if format!("{:08x}", checksum(guarded)) == written { Ok(()) } else { Err(WRONG) }
}

fn field<'t>(text: &'t str, name: &str) -> Result<&'t str, IdentityError> {
    let value = |line: &'t str| line.strip_prefix(name)?.strip_prefix(" = ");
    text.lines().find_map(value).ok_or_else(damaged_field)
}
