//! Options: whatever stands in flags, environment and file, it is taken by its rules or refused in words.
//!
//! Each line of the input is an option, in the place that its first byte names: `-` a flag, `D` a variable, else the file.
//!
//! `cargo fuzz run -s none config -- -dict=fuzz/config.dict -max_total_time=20`

#![no_main]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use dumbwaiter::server::Config;
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

fuzz_target!(|input: &str| {
    let (flags, rest): (Vec<_>, Vec<_>) = input.lines().partition(|line| line.starts_with('-'));
    let (env, file): (Vec<_>, Vec<_>) = rest.into_iter().partition(|line| line.starts_with('D'));
    let mut place = NamedTempFile::new().expect("a file of our own");
    place
        .write_all(file.join("\n").as_bytes())
        .expect("room for it");
    let path = place.path();
    let read = load(&flags, &env, path);
    match &read {
        Ok(config) => holds_together(config),
        Err(error) => assert!(!format!("{error:#}").trim().is_empty()),
    }
    // The same again is read in the same way.
    assert_eq!(read.is_ok(), load(&flags, &env, path).is_ok());
    if flags.is_empty() && env.is_empty() && read.is_ok() {
        // What the file may say, a flag may say above it.
        assert!(load(&["--max-files=7"], &[], path).is_ok_and(|config| config.max_files == 7));
    }
});

fn load(flags: &[&str], env: &[&str], file: &Path) -> anyhow::Result<Config> {
    let args = ["dumbwaiter"].iter().chain(flags).map(OsString::from);
    let env = env.iter().filter_map(|line| line.split_once('='));
    let env = env.map(|(name, value)| (name.into(), value.into()));
    let file = ("DUMBWAITER_CONFIG".into(), file.into());
    Config::load(args, env.chain([file]))
}

/// What the server relies on, whoever wrote the options.
fn holds_together(config: &Config) {
    let away = !config.listen.ip().to_canonical().is_loopback();
    let rule = config.allow_anyone
        || config.secret_link
        || config.token.is_some()
        || !config.allow_from.is_empty();
    assert!(rule || !away, "nobody said who may upload");
    let admin_away = config
        .admin_listen
        .is_some_and(|address| !address.ip().to_canonical().is_loopback());
    assert!(config.admin_token_file.is_some() || !admin_away);
    assert!(config.base.is_empty() || config.base.starts_with('/') && !config.base.ends_with('/'));
    assert!((1..=70).contains(&config.max_boundary) && config.max_files > 0);
    assert!(!config.head_timeout.is_zero() && !config.watch_time.is_zero());
}
