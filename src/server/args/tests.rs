//! How options are given, and that the docs tell of each of them.

use std::time::Duration;

use super::*;
use crate::handlers::Algorithm;
use crate::name::OnConflict;
use crate::store::Durability;
use crate::watch::{PollUnknown, ProgressFormat};

fn load(args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Config> {
    let args = ["dumbwaiter"].iter().chain(args).map(OsString::from);
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    Config::load(args, env)
}

fn load_file(text: &str, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dumbwaiter.toml");
    std::fs::write(&path, text).unwrap();
    let env: Vec<_> = [&[("DUMBWAITER_CONFIG", path.to_str().unwrap())], env].concat();
    load(args, &env)
}

/// The error's whole text, without the folder that differs from run to run.
fn error(result: anyhow::Result<Config>) -> String {
    let text = format!("{:#}", result.unwrap_err());
    match text.split_once("/dumbwaiter.toml: ") {
        Some((_, rest)) => format!("dumbwaiter.toml: {rest}"),
        None => text,
    }
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let file = "max-files = 3";
    let env = [("DUMBWAITER_MAX_FILES", "4")];
    let files = |config: anyhow::Result<Config>| config.unwrap().max_files;
    assert_eq!(files(load(&[], &[])), 1_000);
    assert_eq!(files(load_file(file, &[], &[])), 3);
    assert_eq!(files(load_file(file, &[], &env)), 4);
    assert_eq!(files(load_file(file, &["--max-files", "5"], &env)), 5);
}

#[test]
fn a_list_is_replaced_as_a_whole_by_what_wins() {
    let file = "allow-type = [\"image/*\", \"application/pdf\"]";
    let env = [("DUMBWAITER_ALLOW_TYPE", "video/*,audio/*")];
    let types = |config: anyhow::Result<Config>| config.unwrap().allow_type;
    let list = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(load(&[], &[])), []);
    assert_eq!(
        types(load_file(file, &[], &[])),
        list(&["image/*", "application/pdf"])
    );
    assert_eq!(
        types(load_file(file, &[], &env)),
        list(&["video/*", "audio/*"])
    );
    let typed = ["--allow-type", "image/png", "--allow-type", "image/gif"];
    assert_eq!(
        types(load_file(file, &typed, &env)),
        list(&["image/png", "image/gif"])
    );
}

#[test]
fn values_are_the_same_words_in_flag_environment_and_file() {
    let flags = [
        "--on-conflict=replace",
        "--digest=sha256",
        "--keep-records=2h",
        "--max-file-size=10MB",
        "--base=up/",
    ];
    let env = [
        ("DUMBWAITER_ON_CONFLICT", "replace"),
        ("DUMBWAITER_DIGEST", "sha256"),
        ("DUMBWAITER_KEEP_RECORDS", "2h"),
        ("DUMBWAITER_MAX_FILE_SIZE", "10MB"),
        ("DUMBWAITER_BASE", "up/"),
        ("HOME", "/root"),
    ];
    let file = r#"
        on-conflict = "replace"
        digest = "sha256"
        keep-records = "2h"
        max-file-size = 10_000_000
        base = "up/"
    "#;
    for config in [
        load(&flags, &[]),
        load(&[], &env),
        load_file(file, &[], &[]),
    ] {
        let config = config.unwrap();
        assert_eq!(config.on_conflict, OnConflict::Replace);
        assert_eq!(config.digest, Some(Algorithm::Sha256));
        assert_eq!(config.keep_records, Duration::from_secs(7_200));
        assert_eq!(config.max_file_size, Some(10_000_000));
        assert_eq!(config.base, "/up");
    }
}

#[test]
fn each_word_means_what_it_says_and_others_are_refused() {
    let with = |key: &str, word: &str| load(&[&format!("--{key}={word}")], &[]);
    for (word, rule) in [
        ("rename", OnConflict::Rename),
        ("replace", OnConflict::Replace),
        ("reject", OnConflict::Reject),
    ] {
        assert_eq!(with("on-conflict", word).unwrap().on_conflict, rule);
    }
    for (word, durability) in [("sync", Durability::Sync), ("close", Durability::Close)] {
        assert_eq!(with("durability", word).unwrap().durability, durability);
    }
    for (word, algorithm) in [
        ("none", None),
        ("sha256", Some(Algorithm::Sha256)),
        ("blake3", Some(Algorithm::Blake3)),
    ] {
        assert_eq!(with("digest", word).unwrap().digest, algorithm);
    }
    for (word, format) in [
        ("json", ProgressFormat::Json),
        ("jsonp", ProgressFormat::Jsonp),
        ("xml", ProgressFormat::Xml),
        ("java", ProgressFormat::Java),
    ] {
        assert_eq!(
            with("progress-format", word).unwrap().progress_format,
            format
        );
    }
    for (word, answer) in [("null", PollUnknown::Null), ("wait", PollUnknown::Wait)] {
        assert_eq!(with("poll-unknown", word).unwrap().poll_unknown, answer);
    }
    for (key, word) in [
        ("on-conflict", "Rename"),
        ("digest", "md5"),
        ("poll-unknown", ""),
    ] {
        assert!(with(key, word).is_err(), "{key} {word}");
    }
}

#[test]
fn a_bad_value_names_its_place_and_what_is_expected() {
    for (file, env, words) in [
        (
            "",
            &[("DUMBWAITER_MAX_FIELDS", "many")][..],
            "environment variable DUMBWAITER_MAX_FIELDS: \"many\" cannot be used: a whole number from 1 on is expected",
        ),
        (
            "",
            &[("DUMBWAITER_DIR", "")],
            "environment variable DUMBWAITER_DIR: \"\" cannot be used: a value is expected",
        ),
        (
            "durability = \"synch\"",
            &[],
            "dumbwaiter.toml: durability: \"synch\" cannot be used: sync or close is expected",
        ),
        (
            "max-files = 0",
            &[],
            "dumbwaiter.toml: max-files: \"0\" cannot be used: a whole number from 1 on is expected",
        ),
        (
            "downloads = true",
            &[],
            "dumbwaiter.toml: downloads: \"true\" cannot be used: on or off is expected",
        ),
        (
            "dir = [\"a\", \"b\"]",
            &[],
            "dumbwaiter.toml: dir: one value is expected, not a list",
        ),
        (
            "[dir]",
            &[],
            "dumbwaiter.toml: dir: a text or a number is expected",
        ),
        (
            "allow-type = [[\"a\"]]",
            &[],
            "dumbwaiter.toml: allow-type: a text or a number is expected",
        ),
        // What a flag would hide is wrong all the same.
        (
            "max-part-head = \"8K\"",
            &[("DUMBWAITER_MAX_PART_HEAD", "8KiB")],
            "dumbwaiter.toml: max-part-head: \"8K\" cannot be used: a size is expected: bytes, or a whole number with \
             kB, MB, GB, TB, KiB, MiB, GiB or TiB",
        ),
    ] {
        assert_eq!(error(load_file(file, &[], env)), words);
    }
    let typed = load(&["--max-files", "0"], &[]).unwrap_err();
    let typed = typed.downcast::<clap::Error>().unwrap().to_string();
    assert!(
        typed.contains("'0' for '--max-files <N>': a whole number from 1 on is expected"),
        "{typed}"
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    for (file, env, words) in [
        (
            "on_conflict = \"rename\"",
            &[][..],
            "dumbwaiter.toml: unknown key on_conflict; the nearest that there is: on-conflict",
        ),
        (
            "dri = \"x\"",
            &[],
            "dumbwaiter.toml: unknown key dri; the nearest that there is: dir",
        ),
        (
            "help = \"x\"",
            &[],
            "dumbwaiter.toml: unknown key help; the nearest that there is: ",
        ),
        (
            "",
            &[("DUMBWAITER_MAX_FILE", "3")],
            "unknown environment variable DUMBWAITER_MAX_FILE; the nearest that there is: DUMBWAITER_MAX_FILES",
        ),
        (
            "",
            &[("DUMBWAITER_max_files", "3")],
            "unknown environment variable DUMBWAITER_max_files; the nearest that there is: DUMBWAITER_MAX_FILES",
        ),
        (
            "",
            &[("DUMBWAITER_VERSION", "1")],
            "unknown environment variable DUMBWAITER_VERSION; ",
        ),
    ] {
        let text = error(load_file(file, &[], env));
        assert!(text.starts_with(words), "{text}");
    }
}

#[test]
fn a_file_cannot_name_another_and_must_be_there() {
    assert!(error(load_file("config = \"b.toml\"", &[], &[])).contains("unknown key config"));
    let missing = error(load(&["--config", "/nowhere/dumbwaiter.toml"], &[]));
    assert!(
        missing.contains("it cannot be read: No such file"),
        "{missing}"
    );
}

#[test]
fn a_syntax_error_in_the_file_names_its_line() {
    let text = error(load_file("dir = \"a\"\nbase = ", &[], &[]));
    assert!(text.contains("line 2, column 8"), "{text}");
}

#[test]
fn a_digest_in_the_names_needs_a_digest() {
    assert!(error(load(&["--name", "{digest}"], &[])).contains("--digest is none"));
    assert!(load(&["--name", "{digest}", "--digest", "blake3"], &[]).is_ok());
}

#[test]
fn an_address_that_others_reach_needs_a_rule_of_who_may_upload() {
    let rules = [
        "--allow-anyone",
        "--allow-anyone=on",
        "--secret-link",
        "--token=/run/tokens",
        "--allow-from=10.0.0.0/8",
    ];
    for address in [
        "0.0.0.0:0",
        "[::]:0",
        "192.0.2.1:80",
        "[::ffff:10.0.0.1]:80",
    ] {
        let words = error(load(&["--listen", address], &[]));
        assert!(words.contains("--allow-from CIDR"), "{words}");
        assert!(load(&["--listen", address, "--allow-anyone=off"], &[]).is_err());
        for rule in rules {
            assert!(load(&["--listen", address, rule], &[]).is_ok(), "{rule}");
        }
    }
    for address in [
        "127.0.0.1:0",
        "127.9.9.9:0",
        "[::1]:0",
        "[::ffff:127.0.0.1]:0",
    ] {
        assert!(load(&["--listen", address], &[]).is_ok(), "{address}");
    }
    assert!(error(load(&["--allow-anyone", rules[3]], &[])).contains("choose"));
}

#[test]
fn help_ends_the_start_without_being_a_fault() {
    let help = load(&["--help"], &[])
        .unwrap_err()
        .downcast::<clap::Error>()
        .unwrap();
    assert_eq!(help.exit_code(), 0);
}

#[test]
fn every_option_has_its_help_and_its_line_in_the_docs_with_its_default() {
    let docs = include_str!("../../../docs/configuration.md");
    let command = Config::command();
    command.clone().debug_assert();
    for arg in command.get_arguments() {
        let key = arg.get_long().unwrap();
        assert!(
            arg.get_help().is_some() && arg.get_help_heading().is_some(),
            "{key}"
        );
        let default = match arg.get_default_values() {
            [] => "–".to_owned(),
            [default] => format!("`{}`", default.display()).replace('|', "\\|"),
            several => panic!("{key}: {several:?}"),
        };
        let line = format!("| `{key}` | {default} | ");
        assert!(docs.contains(&line), "docs/configuration.md lacks {line}");
    }
    let lines = docs
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `{"))
        .count();
    assert_eq!(
        lines,
        command.get_arguments().count(),
        "a line for an option that is no more"
    );
}

/// A value that an option of this kind takes, and one that it does not.
fn samples(kind: &str) -> Option<(&str, &'static str)> {
    Some(match kind {
        "time" => ("0s", "5"),
        "time above zero" => ("5m", "0s"),
        "size" => ("10MiB", "ten"),
        "count" => ("1", "0"),
        "number" => ("0", "-1"),
        "path" => ("/a-b", "/a?b"),
        "address and port" | "address and port, or `off`" => ("127.0.0.1:0", "127.0.0.1"),
        "list of networks" => ("10.0.0.0/8,::1", "10.0.0.0/99"),
        "list of names" => ("a.example", "http://a.example"),
        "list of origins" => ("https://a.example", "a.example"),
        "list of paths" => ("/a/*/b", "a"),
        "URL" => ("http://127.0.0.1:8000", "ftp://a"),
        "list of addresses" => ("memcached://127.0.0.1:11211", "http://a"),
        "list of statuses" => ("409,400-499", "200"),
        "template of a key" => ("{prefix}_{id}", "{nothing}"),
        "part of a key" => ("django", "a b"),
        "list of types" => ("image/*", "image"),
        "template" => ("{id}", "{nothing}"),
        "1–70" => ("70", "71"),
        "1–100" => ("100", "101"),
        "1–1024" | "1–1024 or `cpus`" => ("1024", "1025"),
        "size from `1KiB` to `64KiB`" => ("64KiB", "65KiB"),
        "size up to `15KiB`" => ("15KiB", "16KiB"),
        // Any text names one.
        "file" | "folder" | "text" => return None,
        words => (words.trim_matches('`'), "nonsense"),
    })
}

#[test]
fn the_docs_say_which_values_an_option_takes() {
    let docs = include_str!("../../../docs/configuration.md");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut told = 0;
    for row in rows.filter(|row| !row.starts_with('{')) {
        let columns: Vec<_> = row.split(" | ").collect();
        let (key, values) = (columns[0].trim_end_matches('`'), columns[2]);
        let Some((good, bad)) = samples(values.split(", ").next().unwrap()) else {
            continue;
        };
        let takes = |value: &str| load_alone(key, value).is_ok();
        assert!(takes(good), "{key} takes no {good}");
        for word in values.split('`').skip(1).step_by(2) {
            assert!(takes(word), "{key} takes no {word}");
        }
        let any_text = ["folder", "template", "path", "list", "part of a key"];
        let any_text = any_text.iter().any(|kind| values.contains(kind));
        assert!(
            !takes(bad) || values.contains("folder"),
            "{key} takes {bad}"
        );
        let is_said = values.contains("`none`") || any_text;
        assert!(is_said || !takes("none"), "{key} takes none");
        told += 1;
    }
    assert!(told > 50, "{told}");
}

/// One option as its own parser reads it, whatever must hold between several.
fn load_alone(key: &str, value: &str) -> Result<ArgMatches, clap::Error> {
    Config::command().try_get_matches_from(["dumbwaiter", &format!("--{key}={value}")])
}

#[test]
fn every_bound_has_its_line_among_the_limits_with_its_default() {
    let docs = include_str!("../../../docs/limits.md");
    let command = Config::command();
    let is_bound = |key: &str| {
        let starts = [
            "max-",
            "min-",
            "keep",
            "linger-",
            "read-",
            "watch-",
            "expire-",
            "checkpoint-",
            "let-go-",
            "hand-off-",
        ];
        starts.iter().any(|start| key.starts_with(start)) || key.ends_with("-timeout")
    };
    let mut bounds = 0;
    for arg in command.get_arguments() {
        let key = arg.get_long().unwrap();
        if let (true, [default]) = (is_bound(key), arg.get_default_values()) {
            let line = format!("| `--{key}` | {} | ", default.display());
            assert!(docs.contains(&line), "docs/limits.md lacks {line}");
            bounds += 1;
        }
    }
    let lines = docs.lines().filter(|line| line.starts_with("| `--"));
    assert_eq!(lines.count(), bounds, "a line for a bound that is no more");
}
