//! `dumbwaiter config`: what is in force and from where, as a TOML file that says the same when it is read back.
//!
//! No option holds a secret, only the name of a file that does: what is printed here can be shown to others.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use clap::{Arg, CommandFactory};

use super::Config;
use super::args::{Source, Told, Value};

impl Told {
    /// The options as a TOML file, in the order of the help, with a comment behind each that says where it comes from.
    pub(super) fn to_toml(&self) -> String {
        let command = Config::command();
        let mut text = String::new();
        let mut heading = None;
        for value in &self.values {
            let arg = command.get_arguments().find(|a| is_called(a, value.key));
            let of_arg = arg.and_then(Arg::get_help_heading);
            if heading != of_arg {
                let gap = if heading.is_some() { "\n" } else { "" };
                let _ = writeln!(text, "{gap}# {}", of_arg.unwrap_or_default());
                heading = of_arg;
            }
            let is_list = arg.is_some_and(|arg| arg.get_action().takes_values() && is_list(arg));
            let _ = writeln!(text, "{}", line(value, is_list));
        }
        text
    }
}

fn is_called(arg: &Arg, key: &str) -> bool {
    arg.get_long() == Some(key)
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Append)
}

fn line(value: &Value, is_list: bool) -> String {
    let key = value.key;
    let from = match &value.source {
        Source::Flag => "flag".to_owned(),
        Source::Environment => "environment".to_owned(),
        Source::File(path) => format!("file {}", one_line(&path.to_string_lossy())),
        Source::Default => "default".to_owned(),
    };
    match &*value.raw {
        // A file cannot name the file that is read, and what is not set has no word for that.
        [one] if key == "config" => format!("# config = {}  # {from}", literal(one)),
        list if is_list => {
            let list: Vec<_> = list.iter().map(literal).collect();
            format!("{key} = [{}]  # {from}", list.join(", "))
        }
        [] => format!("# {key} is not set"),
        [one] => format!("{key} = {}  # {from}", literal(one)),
        several => format!("# {key} has {} values", several.len()),
    }
}

/// A number as it is, all else as a text.
fn literal(value: &OsString) -> String {
    let text = value.to_string_lossy();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match plain && (text == "0" || !text.starts_with('0')) && text.len() < 19 {
        true => text.into_owned(),
        false => toml::Value::from(&*text).to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Completions for `shell`, from the definitions that the options are read by.
pub(super) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Config::command(), "dumbwaiter", &mut script);
    script
}

/// The man page, from the same definitions.
pub(super) fn man() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Config::command()).render(&mut page)?;
    Ok(page)
}

/// Where `args`, the program's name first, say what is to be done in front of the flags that it is about, they are
/// parsed with those words behind the flags.
pub(super) fn task_goes_last(args: &mut [OsString]) {
    let words = match args.get(1).and_then(|word| word.to_str()) {
        Some("config") => 1,
        // With its folder, unless that is missing, which the parser tells.
        Some("adopt") => {
            1 + args
                .iter()
                .skip(2)
                .take(1)
                .filter(|word| !is_flag(word))
                .count()
        }
        _ => return,
    };
    args[1..].rotate_left(words);
}

fn is_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}
