//! The commands in an example's first lines: one that starts it, and others that send it something.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::config_says;
use super::stage::Stage;
use crate::support::needs::needs;

/// Where the examples serve unless told.
const ADDRESS: &str = "127.0.0.1:7171";

/// Runs a command that the example called `name` shows.
pub(super) fn check(name: &str, command: &str) {
    let stage = Stage::new();
    let start = format!("cargo run --example {name}");
    if command == start {
        Running::start(stage.shell(&format!("exec {command}")));
    } else if command.starts_with(&start) {
        config_says(&stage, command);
    } else if needs("curl") {
        let running = Running::start(stage.shell(&format!("exec {start}")));
        assert!(command.contains(ADDRESS), "{name}: {command}");
        let said = config_says(
            &stage,
            &command.replace(ADDRESS, &running.address.to_string()),
        );
        let sent = command
            .split(['@', ' '])
            .map(|word| stage.path().join(word));
        let sent = sent.filter(|path| path.is_file());
        let sent: Vec<_> = sent.map(|path| fs::read(path).unwrap()).collect();
        assert!(!sent.is_empty(), "{name}: {command} sends nothing");
        for file in sent {
            let stored = holds(&stage.path().join("uploads"), &file);
            assert!(stored, "{name}: nothing of {command} was stored: {said}");
        }
    }
}

/// Whether some file below `folder` is the same as `content`.
fn holds(folder: &Path, content: &[u8]) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.any(|path| match path.is_dir() {
        true => holds(&path, content),
        false => fs::read(path).unwrap() == content,
    })
}

/// An example as it runs; ended when dropped.
struct Running {
    address: SocketAddr,
    child: Child,
}

impl Running {
    /// Where it serves is the last word of its first line.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim_end().rsplit(' ').next().unwrap().parse();
        Self {
            address: address.unwrap_or_else(|_| panic!("no address in {line:?}")),
            child,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
