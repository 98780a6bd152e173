//! How the binary takes its options, seen from a shell: exit codes, what goes to which output.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

/// The binary without what the tests themselves are told by the environment.
fn dumbwaiter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("DUMBWAITER_"))
        {
            command.env_remove(name);
        }
    }
    command
}

fn texts(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_succeeds() {
    let output = dumbwaiter().arg("--help").output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert!(out.contains("--on-conflict"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn what_cannot_be_used_is_said_on_standard_error_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dumbwaiter.toml");
    std::fs::write(&file, "on_conflict = \"rename\"\n").unwrap();
    let uploads = folder.path().join("uploads");
    let file = file.to_str().unwrap();
    for (args, env, words) in [
        (
            ["--max-fields", "many"],
            None,
            "'--max-fields <N>': a whole number",
        ),
        (
            ["--lisen", "127.0.0.1:0"],
            None,
            "a similar argument exists: '--listen'",
        ),
        (["--name", "{digest}"], None, "--digest sha256"),
        (
            ["--config", file],
            None,
            "dumbwaiter.toml: unknown key on_conflict",
        ),
        (
            ["--listen", "127.0.0.1:0"],
            Some("DUMBWAITER_LISTN"),
            "DUMBWAITER_LISTEN",
        ),
    ] {
        let mut command = dumbwaiter();
        command
            .args(args)
            .arg("--dir")
            .arg(&uploads)
            .envs(env.map(|name| (name, "1")));
        let output = command.output().unwrap();
        let (out, err) = texts(&output);
        assert!(!output.status.success(), "{args:?}");
        assert!(err.contains(words), "{words:?} is not in: {err}");
        assert_eq!(
            (out, err.contains("dumbwaiter: error:")),
            ("", false),
            "{err}"
        );
        assert!(!uploads.exists(), "{args:?}");
    }
}

#[test]
fn file_and_environment_start_a_server_as_flags_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dumbwaiter.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:0\"\nbase = \"up\"\ndir = \"/nowhere\"\n",
    )
    .unwrap();
    let uploads = folder.path().join("by environment");
    let mut server = dumbwaiter()
        .env("DUMBWAITER_CONFIG", &file)
        .env("DUMBWAITER_DIR", &uploads)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let (_, url) = line.trim_end().split_once("http://127.0.0.1:").unwrap();
    assert!(url.ends_with("/up/"), "{line}");
    assert!(uploads.is_dir());
}
