//! Where a setting comes from: flag, then environment, then file, then default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{CONFIG, SETTINGS, Setting};

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "raft.toml";

type Texts = BTreeMap<&'static str, String>;

/// A setting that cannot be used. Each message names where it stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    /// The file is not TOML.
    #[error("{} line {line}: {reason}", file.display())]
    Syntax { file: PathBuf, line: usize, reason: String },
    /// The file has a key that means nothing.
    #[error("{}: unknown key {key:?}; the keys are {known}", file.display())]
    UnknownKey { file: PathBuf, key: String, known: String },
    /// The file has a key in both spellings.
    #[error("{}: {key} is there twice, once with _ and once with -", file.display())]
    Twice { file: PathBuf, key: String },
    /// A value that cannot be read.
    #[error("{origin}: {reason}")]
    Value { origin: String, reason: String },
}

/// How strong a layer is: the later in this list, the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    File,
    Environment,
    Flag,
}

/// Everything that was given, layer by layer.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    flags: Texts,
    environment: Texts,
    file: Texts,
    path: PathBuf,
}

impl Layers {
    /// Collects flags, the `RAFT_` variables and the file. An empty variable counts as unset.
    ///
    /// # Errors
    /// When the file cannot be read or holds an unknown key, or a variable is not text.
    pub(crate) fn load(
        flags: &Texts,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Layers, SettingsError> {
        let layers = Layers::without_file(flags, variable)?;
        let named = layers.strongest(CONFIG).is_some();
        match std::fs::read_to_string(&layers.path) {
            Ok(text) => layers.with_file(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => Ok(layers),
            Err(error) => Err(SettingsError::Unreadable { file: layers.path, error }),
        }
    }

    /// All but the file, and where that is.
    pub(crate) fn without_file(
        flags: &Texts,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Layers, SettingsError> {
        let mut layers = Layers { flags: flags.clone(), ..Layers::default() };
        for setting in SETTINGS {
            let Some(value) = variable(&setting.variable()).filter(|value| !value.is_empty()) else {
                continue;
            };
            let text = value.into_string().map_err(|value| SettingsError::Value {
                origin: setting.variable(),
                reason: format!("{} is not UTF-8", value.display()),
            })?;
            layers.environment.insert(setting.name, text);
        }
        layers.path = layers.strongest(CONFIG).map_or(DEFAULT_FILE, |(_, text)| text).into();
        Ok(layers)
    }

    /// Adds what the file says.
    pub(crate) fn with_file(mut self, text: &str) -> Result<Layers, SettingsError> {
        self.file = read_file(&self.path, text)?;
        Ok(self)
    }

    /// What the strongest layer says, and which that is.
    pub(crate) fn strongest(&self, name: &str) -> Option<(Layer, &str)> {
        debug_assert!(SETTINGS.iter().any(|setting| setting.name == name), "{name} is not in the table");
        let layers =
            [(Layer::Flag, &self.flags), (Layer::Environment, &self.environment), (Layer::File, &self.file)];
        layers.into_iter().find_map(|(layer, texts)| Some((layer, texts.get(name)?.as_str())))
    }

    /// Reads what the strongest layer says; none where no layer says anything.
    ///
    /// # Errors
    /// When `read` refuses it; the error names the flag, the variable, or the file and its key.
    pub(crate) fn read<T, E: ToString>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, SettingsError> {
        let Some((layer, text)) = self.strongest(name) else { return Ok(None) };
        let value = if text.is_empty() { Err("must not be empty".to_owned()) } else { stringly(read(text)) };
        match value {
            Ok(value) => Ok(Some(value)),
            Err(reason) => Err(SettingsError::Value { origin: self.origin(layer, name), reason }),
        }
    }

    /// Where a user finds what a layer says about a setting.
    pub(crate) fn origin(&self, layer: Layer, name: &str) -> String {
        let key = name.replace('-', "_");
        match layer {
            Layer::Flag => format!("--{name}"),
            Layer::Environment => format!("RAFT_{}", key.to_uppercase()),
            Layer::File => format!("{}: {key}", self.path.display()),
        }
    }
}

fn stringly<T, E: ToString>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn read_file(path: &Path, text: &str) -> Result<Texts, SettingsError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        SettingsError::Syntax {
            file: path.into(),
            line: before.matches('\n').count() + 1,
            reason: error.message().to_owned(),
        }
    })?;
    let mut texts = Texts::new();
    for (key, value) in table {
        let setting = setting_of(path, &key)?;
        let text = as_text(setting, &value).map_err(|reason| SettingsError::Value {
            origin: format!("{}: {}", path.display(), setting.key()),
            reason,
        })?;
        if texts.insert(setting.name, text).is_some() {
            return Err(SettingsError::Twice { file: path.into(), key: setting.key() });
        }
    }
    Ok(texts)
}

fn setting_of(path: &Path, key: &str) -> Result<&'static Setting, SettingsError> {
    let in_file = || SETTINGS.iter().filter(|setting| setting.name != CONFIG);
    in_file().find(|setting| setting.name == key || setting.key() == key).ok_or_else(|| {
        let known = in_file().map(Setting::key).collect::<Vec<_>>().join(", ");
        SettingsError::UnknownKey { file: path.into(), key: key.into(), known }
    })
}

/// The value as it would stand on the command line. Peers may also be a table of addresses by id.
fn as_text(setting: &Setting, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(yes) => Ok(yes.to_string()),
        toml::Value::Table(peers) if setting.name == "peers" => {
            let pairs = peers.iter().map(|(id, address)| match address {
                toml::Value::String(address) => Ok(format!("{id}={address}")),
                _ => Err(format!("the address of {id} must be a string such as \"127.0.0.1:12000\"")),
            });
            Ok(pairs.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        other => Err(format!("a value of type {} is not expected here", other.type_str())),
    }
}
