//! What the environment and the file give: each value is checked alone, so that a refusal can name its place.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::server::assemble::APP_KEY;
use crate::server::clients::WORDS;

/// What the name of each of our environment variables begins with.
const PREFIX: &str = "DUMBWAITER_";

/// The option that names the file; it cannot stand in the file.
const CONFIG: &str = "config";

/// Options by their long names, in the order in which they were met; one that takes a list may come several times.
pub(super) type Given = Vec<(String, OsString)>;

pub(super) fn holds(given: &Given, key: &str) -> bool {
    given.iter().any(|(known, _)| known == key)
}

/// What `env` gives of our options; the error names the variable.
pub(super) fn from_environment(
    command: &Command,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<Given> {
    let mut given = Vec::new();
    for (name, value) in env {
        let Some(word) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        // Both may be started by one shell; and a secret is read where it is used, and shown nowhere.
        if WORDS.iter().chain([&APP_KEY]).any(|known| name == *known) {
            continue;
        }
        let key = word.to_ascii_lowercase().replace('_', "-");
        if variable(&key).as_str() != name || option(command, &key).is_none() {
            bail!(
                "unknown environment variable {}; the nearest that there is: {}",
                name.display(),
                variable(&nearest(command, &key))
            );
        }
        usable(command, &key, &value)
            .with_context(|| format!("environment variable {}", name.display()))?;
        given.push((key, value));
    }
    Ok(given)
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// The file that is to be read: the one typed, else the environment's.
pub(super) fn config_file(typed: &ArgMatches, given: &Given) -> Option<PathBuf> {
    let typed = typed.get_one::<PathBuf>(CONFIG).cloned();
    typed.or_else(|| {
        let (_, path) = given.iter().find(|(key, _)| key == CONFIG)?;
        Some(path.into())
    })
}

/// What the file at `path` gives; the error names the key.
pub(super) fn from_file(command: &Command, path: &Path) -> anyhow::Result<Given> {
    let text = std::fs::read_to_string(path).context("it cannot be read")?;
    let table: toml::Table = toml::from_str(&text)?;
    let mut given = Vec::new();
    for (key, value) in table {
        match option(command, &key) {
            Some(arg) if key != CONFIG => {
                for value in values(arg, value).with_context(|| key.clone())? {
                    usable(command, &key, &value).with_context(|| key.clone())?;
                    given.push((key.clone(), value));
                }
            }
            _ => bail!(
                "unknown key {key}; the nearest that there is: {}",
                nearest(command, &key)
            ),
        }
    }
    Ok(given)
}

/// A value of the file as it would be typed; those of a list one by one.
fn values(arg: &Arg, value: toml::Value) -> anyhow::Result<Vec<OsString>> {
    use toml::Value;
    match value {
        Value::Array(list) if takes_list(arg) => list.into_iter().map(scalar).collect(),
        Value::Array(_) => bail!("one value is expected, not a list"),
        one => Ok(vec![scalar(one)?]),
    }
}

fn scalar(value: toml::Value) -> anyhow::Result<OsString> {
    use toml::Value;
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Float(number) => Ok(number.to_string().into()),
        Value::Boolean(yes) => Ok(yes.to_string().into()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            bail!("a text or a number is expected")
        }
    }
}

fn takes_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append)
}

/// Whether the option's own parser takes `value`; if not, why.
fn usable(command: &Command, key: &str, value: &OsStr) -> anyhow::Result<()> {
    let args = [OsString::from("dumbwaiter"), flag(key, value)];
    match command.clone().try_get_matches_from(args) {
        Ok(_) => Ok(()),
        Err(error) => bail!("{value:?} cannot be used: {}", expected(&error)),
    }
}

/// `value` as it would be typed.
pub(super) fn flag(key: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{key}="));
    flag.push(value);
    flag
}

/// What the parser says is expected, without clap's words about flags.
fn expected(error: &clap::Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(reason), _) => reason.to_string(),
        (None, Some(ContextValue::Strings(words))) if !words.is_empty() => {
            format!("{} is expected", words.join(" or "))
        }
        (None, _) if error.kind() == clap::error::ErrorKind::InvalidUtf8 => {
            "it is not UTF-8".to_owned()
        }
        (None, _) => "a value is expected".to_owned(),
    }
}

fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(key))
}

/// Whether the option `key` stood among the flags.
pub(super) fn was_typed(command: &Command, typed: &ArgMatches, key: &str) -> bool {
    let id = option(command, key).map(|arg| arg.get_id().as_str());
    id.and_then(|id| typed.value_source(id)) == Some(ValueSource::CommandLine)
}

fn nearest(command: &Command, key: &str) -> String {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, key);
    let keys = command.get_arguments().filter_map(Arg::get_long);
    let best = keys.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.unwrap_or_default().to_owned()
}
