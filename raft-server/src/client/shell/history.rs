//! Where the lines typed before are kept.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file, by the rules of the XDG base directories; none without a home.
pub(super) fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The rules want relative paths ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("raft-server/history"))
}

/// Makes the directory of the file, for this user alone: lines hold values, and values may be secrets.
///
/// # Errors
/// What the operating system says.
pub(super) fn prepare(file: &Path) -> io::Result<()> {
    let Some(directory) = file.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_where_the_state_is() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            let texts = [("XDG_STATE_HOME", xdg), ("HOME", home)];
            path(|name| texts.iter().find(|(known, _)| *known == name)?.1.map(OsString::from))
        };
        assert_eq!(at(Some("/s"), Some("/h")), Some("/s/raft-server/history".into()));
        for none in [None, Some(""), Some("relative")] {
            assert_eq!(at(none, Some("/h")), Some("/h/.local/state/raft-server/history".into()), "{none:?}");
        }
        assert_eq!(at(None, None), None);
    }

    #[test]
    fn the_directory_is_its_users_alone() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("state/raft-server/history");
        prepare(&file).unwrap();
        let mode = file.parent().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        prepare(&file).unwrap();
    }
}
