//! The repository's Rust files and manifests, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Why the repository could not be read.
#[derive(Debug)]
pub struct TreeError(String);

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TreeError {}

/// Paths from the top of the repository, each with the file's text.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what git tracks, and what is new and not ignored, so that a file is checked before its first
    /// commit.
    ///
    /// # Errors
    /// When git fails or a file cannot be read.
    pub fn of_repository(top: &Path) -> Result<Tree, TreeError> {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .args(["--", "*.rs", "Cargo.toml", "*/Cargo.toml"])
            .current_dir(top)
            .output()
            .map_err(|e| TreeError(format!("cannot run git ls-files: {e}")))?;
        if !listing.status.success() {
            let said = String::from_utf8_lossy(&listing.stderr);
            return Err(TreeError(format!("git ls-files failed: {}", said.trim())));
        }
        let mut tree = Tree::default();
        for path in String::from_utf8_lossy(&listing.stdout).split('\0').filter(|path| !path.is_empty()) {
            match std::fs::read_to_string(top.join(path)) {
                Ok(text) => tree.add(path, &text),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {} // deleted, not yet committed
                Err(e) => return Err(TreeError(format!("cannot read {path}: {e}"))),
            }
        }
        Ok(tree)
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    /// The text of a file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All Rust files.
    pub fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(p, t)| (p.as_str(), t.as_str()))
    }

    /// The directories of all packages: `""` for one at the top.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .filter(|(_, text)| text.lines().any(|line| line.trim() == "[package]"))
            .filter_map(|(path, _)| path.strip_suffix("Cargo.toml"))
    }
}
