//! How options are given: flags, then the environment, then a file, then the default.
//!
//! Whatever stands in the environment or the file is first checked alone, so that a refusal can name its place, and
//! then becomes a flag in front of those that were typed. So there is one parser and one set of rules:
//!
//! ```text
//! dumbwaiter --max-files 5        DUMBWAITER_DIR=/srv       max-files = 9, base = "up"
//!            └───────────┐                └────────┐              ╳ typed    └────────┐
//! dumbwaiter --max-files 5            --dir=/srv                            --base=up
//! ```

mod given;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use self::given::{Given, config_file, flag, from_environment, from_file, holds, was_typed};
use crate::server::config::{Config, Task};
use crate::server::shown::task_goes_last;

impl Config {
    /// Reads `args` (the program's name first), `env` and the file that one of them names.
    ///
    /// # Errors
    /// For a flag that cannot be used, and for `--help` and `--version`, the error is a [`clap::Error`], which knows
    /// how it wants to be printed and the exit code. Otherwise it names the variable or the file and key, and what is
    /// expected there; for an unknown one, the nearest that there is.
    pub fn load(
        args: impl IntoIterator<Item = OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        Told::read(args, env).map(|told| told.config)
    }
}

/// A configuration together with what was told for each option, and where.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) config: Config,
    pub(super) values: Vec<Value>,
}

/// What was told for one option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Value {
    pub(super) key: &'static str,
    /// As it would be typed; several for a list, none where nothing is set.
    pub(super) raw: Vec<OsString>,
    pub(super) source: Source,
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Flag,
    Environment,
    File(PathBuf),
    Default,
}

impl Told {
    /// As [`Config::load`].
    pub(super) fn read(
        args: impl IntoIterator<Item = OsString>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        let command = Config::command();
        let mut args: Vec<_> = args.into_iter().collect();
        task_goes_last(&mut args);
        let typed = command.clone().try_get_matches_from(&args)?;
        if typed.subcommand_name().is_some_and(Task::is_a_clients) {
            return Ok(Self {
                values: Vec::new(),
                config: Config::from_arg_matches(&typed)?,
            });
        }

        let in_environment = from_environment(&command, env)?;
        let path = config_file(&typed, &in_environment);
        let mut in_file = Given::new();
        if let Some(path) = &path {
            in_file = from_file(&command, path)
                .with_context(|| format!("configuration file {}", path.display()))?;
        }
        in_file.retain(|(key, _)| !holds(&in_environment, key));
        let source = |key: &str| match (was_typed(&command, &typed, key), &path) {
            (true, _) => Source::Flag,
            _ if holds(&in_environment, key) => Source::Environment,
            (_, Some(path)) if holds(&in_file, key) => Source::File(path.clone()),
            _ => Source::Default,
        };

        // In front, since what follows a `--` is no flag.
        let given = in_environment.iter().chain(&in_file);
        let flags = given
            .filter(|(key, _)| !was_typed(&command, &typed, key))
            .map(|(key, value)| flag(key, value));
        args.splice(1.min(args.len())..1.min(args.len()), flags);
        let matches = command.clone().try_get_matches_from(args)?;
        Ok(Self {
            values: values_of(&command, &matches, source),
            config: Config::from_arg_matches(&matches)?.check()?,
        })
    }

    /// The keys whose values differ between `self` and `other`.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.values.iter().zip(&other.values);
        pairs
            .filter(|(one, other)| one.raw != other.raw)
            .map(|(one, _)| one.key)
            .collect()
    }

    /// Takes the values of `keys` from `other`.
    pub(super) fn adopt(&mut self, other: &Self, keys: &[&str]) {
        for (mine, theirs) in self.values.iter_mut().zip(&other.values) {
            if keys.contains(&mine.key) {
                mine.clone_from(theirs);
            }
        }
    }
}

fn values_of(
    command: &Command,
    matches: &ArgMatches,
    source: impl Fn(&str) -> Source,
) -> Vec<Value> {
    let keys = command.get_arguments().filter_map(|arg| {
        let key = option_name(arg)?;
        let raw = matches.get_raw(arg.get_id().as_str());
        Some((key, raw.into_iter().flatten().map(OsStr::to_owned)))
    });
    keys.map(|(key, raw)| Value {
        key,
        raw: raw.collect(),
        source: source(key),
    })
    .collect()
}

/// The long name as the definitions have it, which live as long as the program.
fn option_name(arg: &Arg) -> Option<&'static str> {
    static NAMES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let command = Config::command();
        let names = command.get_arguments().filter_map(Arg::get_long);
        names.map(str::to_owned).collect()
    });
    let name = arg.get_long()?;
    names
        .iter()
        .map(String::as_str)
        .find(|known| *known == name)
}

#[cfg(test)]
mod tests;
