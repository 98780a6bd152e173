//! A server whose log is read.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Server, eventually};

/// A server whose log lines go into a file, in a folder of its own.
pub(crate) struct Logged {
    pub(crate) server: Server,
    log: PathBuf,
    _folder: Option<TempDir>,
}

impl Logged {
    pub(crate) fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut logged = Self::start_in(folder.path(), args);
        logged._folder = Some(folder);
        logged
    }

    /// The same in a folder that holds something already.
    pub(crate) fn start_in(folder: &Path, args: &[&str]) -> Self {
        let log = folder.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
        command.stderr(File::create(&log).unwrap());
        let server = Server::start_by(command, &folder.join("uploads"), args);
        Self {
            server,
            log,
            _folder: None,
        }
    }

    /// All that has been logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `words` have been logged, and gives back all that has.
    pub(crate) fn logs(&self, words: &str) -> String {
        eventually(|| self.log(), |log| log.contains(words))
    }
}
