//! The table of settings as flags of the command line.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{SETTINGS, Setting};

/// Settings given as flags, unread: name → text. They are read when it is known which layer wins, so that a
/// bad value is reported in the same words wherever it came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags<const CLUSTER: bool>(BTreeMap<&'static str, String>);

/// The flags of `raft-server <NODE_ID> <PORT>`.
pub(crate) type NodeFlags = Flags<false>;
/// The flags of `raft-server cluster`.
pub(crate) type ClusterFlags = Flags<true>;

impl<const CLUSTER: bool> Flags<CLUSTER> {
    /// What was given, by the name of the setting.
    pub(crate) fn texts(&self) -> &BTreeMap<&'static str, String> {
        &self.0
    }
}

impl<const CLUSTER: bool> clap::Args for Flags<CLUSTER> {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| match setting.help(CLUSTER) {
            Some(help) => command.arg(argument(setting, help)),
            None => command,
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const CLUSTER: bool> clap::FromArgMatches for Flags<CLUSTER> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let taken = SETTINGS.iter().filter(|setting| setting.help(CLUSTER).is_some());
        let given = taken.filter_map(|s| Some((s.name, matches.get_one::<String>(s.name)?.clone())));
        Ok(Flags(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = <Self as clap::FromArgMatches>::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &Setting, help: &str) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .action(ArgAction::Set)
        .help(format!("{help} [env: {}]", setting.variable()));
    match setting.value {
        Some(value) => arg.value_name(value),
        // `--ephemeral=false` takes back what a weaker layer says.
        None => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
        }
    }
}
