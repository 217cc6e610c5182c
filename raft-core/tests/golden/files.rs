//! Files that are kept, by format and version. `raft-node` uses it too.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// File names, with the directories below their version's, and what the files hold.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What the files of a version tell, in words.
pub(crate) const CONTENT: &str = "content.txt";

/// The files of all versions of a format.
pub(crate) struct Golden(PathBuf);

impl Golden {
    /// Of a format, in a crate's directory of golden files.
    pub(crate) fn of(crate_root: &str, format: &str) -> Golden {
        Golden(Path::new(crate_root).join("tests/golden").join(format))
    }

    /// The versions of which there are files, in order.
    pub(crate) fn versions(&self) -> Vec<u32> {
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix('v')?.parse().ok();
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        let mut versions: Vec<u32> = entries.filter_map(|entry| number(entry.ok()?)).collect();
        versions.sort_unstable();
        versions
    }

    /// The files of a version.
    pub(crate) fn read(&self, version: u32) -> Files {
        let mut files = Files::new();
        gather(&self.directory(version), "", &mut files);
        files
    }

    /// Holds what is written now against the files of its version, which is the latest. Where that has none
    /// and `UPDATE_GOLDEN` is set, they are made.
    pub(crate) fn check(&self, version: u32, written: &Files) {
        let directory = self.directory(version);
        if !directory.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
            for (name, content) in written {
                let path = directory.join(name);
                fs::create_dir_all(path.parent().expect("a directory")).expect("a new directory");
                fs::write(path, content).expect("a new file");
            }
        }
        assert_eq!(
            self.versions().last(),
            Some(&version),
            "{}: UPDATE_GOLDEN=1 makes v{version}",
            self.name()
        );
        let differences = differences(&self.read(version), written);
        assert!(
            differences.is_empty(),
            "{} is written otherwise than in v{version}, and still says that it is v{version}. What is \
             changed needs a version of its own: see CONTRIBUTING.md\n{}",
            self.name(),
            differences.join("\n")
        );
    }

    /// Where what `told` reads of any version's files is not what they told when they were written.
    pub(crate) fn check_read(&self, told: impl Fn(u32, &Files) -> String) {
        let versions = self.versions();
        assert!(!versions.is_empty(), "{}: there are no files", self.name());
        for version in versions {
            let files = self.read(version);
            let content = files.get(CONTENT).map(|text| String::from_utf8_lossy(text).into_owned());
            let content = content.unwrap_or_else(|| panic!("{} v{version} has no {CONTENT}", self.name()));
            let now = told(version, &files);
            assert!(
                now == content,
                "{} v{version} is read otherwise than it was written:\n{}",
                self.name(),
                lines(&content, &now)
            );
        }
    }

    fn directory(&self, version: u32) -> PathBuf {
        self.0.join(format!("v{version}"))
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn gather(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).expect("a directory of golden files") {
        let path = entry.expect("a directory entry").path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            gather(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(&path).expect("a readable file"));
        }
    }
}

/// In words, file by file.
fn differences(kept: &Files, written: &Files) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = kept.keys().chain(written.keys()).collect();
    let difference = |name: &String| match (kept.get(name), written.get(name)) {
        (Some(kept), Some(written)) if kept == written => None,
        (Some(kept), Some(written)) if name.ends_with(".txt") => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(format!("{name}:\n{}", lines(&text(kept), &text(written))))
        }
        (Some(kept), Some(written)) => {
            let at = kept.iter().zip(written).take_while(|(kept, written)| kept == written).count();
            Some(format!("{name}: {} bytes, now {}, other from {at} on", kept.len(), written.len()))
        }
        (Some(_), None) => Some(format!("{name} is not written any more")),
        (None, _) => Some(format!("{name} is new")),
    };
    names.into_iter().filter_map(difference).collect()
}

/// The lines that only one of two texts has.
fn lines(kept: &str, now: &str) -> String {
    let without = |text: &str, other: &str, sign: char| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        text.lines().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [without(kept, now, '-'), without(now, kept, '+')].concat().join("\n")
}
