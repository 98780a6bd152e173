//! What a command needs around it: a folder with the files it names, the programs as they were built, a server.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::shown::root;
use crate::support::{Server, noise, write_for_us_alone};

/// A folder to stand in, with `paella.jpg` and what else the pages name.
pub(super) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(stage.path().join("paella.jpg"), picture()).unwrap();
        stage.write("notes.txt", "a\nb\nc\n");
        symlink(root().join("examples"), stage.path().join("examples")).unwrap();
        write_for_us_alone(&stage.path().join("FILE"), "a token of a test\n");
        let programs = stage.path().join("bin");
        fs::create_dir(&programs).unwrap();
        symlink(
            env!("CARGO_BIN_EXE_dumbwaiter"),
            programs.join("dumbwaiter"),
        )
        .unwrap();
        let cargo = programs.join("cargo");
        fs::write(&cargo, cargo_that_runs_what_was_built()).unwrap();
        fs::set_permissions(&cargo, Permissions::from_mode(0o700)).unwrap();
        stage
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// `command` for a shell in the folder. What serves takes a free port.
    pub(super) fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.path().join("bin");
        shell
            .args(["-c", command])
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}:/usr/sbin", programs.display()))
            .env("DUMBWAITER_LISTEN", "127.0.0.1:0")
            .env("DUMBWAITER_LOG", "warn")
            // A test that `make` runs is no part of what it runs.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL");
        shell
    }

    /// Runs `command` to its end.
    pub(super) fn run(&self, command: &str) -> Output {
        self.shell(command).output().unwrap()
    }

    /// Starts a server by `command`, which says where it serves.
    pub(super) fn start(&self, command: &str) -> Server {
        // The shell's place becomes the server's, so that ending one ends the other.
        let shell = self.shell(&format!("exec {command}"));
        Server::start_as_told(shell, &self.path().join("uploads"))
    }
}

/// What `paella.jpg` holds: it begins as a JPEG does.
pub(super) fn picture() -> Vec<u8> {
    [b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(), noise(300_000)].concat()
}

/// `cargo run` starts what cargo has built with the tests, and `cargo add` takes the package that lies here. All else is
/// cargo's.
fn cargo_that_runs_what_was_built() -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    let examples = built.with_file_name("examples");
    format!(
        r#"#!/bin/sh
case "$1 $2" in
"run --example")
    example={examples}/$3; shift 3; [ "$1" != -- ] || shift
    [ -x $example ] || echo "cargo build --examples makes $example" >&2
    exec $example "${{@:-127.0.0.1:0}}" ;;
"run "*) shift; while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done; [ $# = 0 ] || shift; exec {built} "$@" ;;
"add dumbwaiter") exec {cargo} "$@" --path {root} --offline ;;
esac
exec {cargo} "$@"
"#,
        built = built.display(),
        examples = examples.display(),
        cargo = env!("CARGO"),
        root = root().display(),
    )
}
