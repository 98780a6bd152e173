//! Processes of this very program that work until they are killed, and what they said before.
//!
//! The test that such a process runs does nothing unless a variable tells it a durability and a folder.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dumbwaiter::UploadId;
use dumbwaiter::store::Durability;

/// Stands at the end of a line that is whole.
const END: &str = " .";

/// Has `test` work in `dir` for a random while, kills it and returns the lines that it said.
pub(crate) fn run_and_kill(
    (test, variable): (&str, &str),
    durability: Durability,
    dir: &Path,
) -> Vec<String> {
    let word = match durability {
        Durability::Sync => "sync",
        Durability::Close => "close",
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, format!("{word}:{}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == format!("ready{END}")));
    let random = u64::from(UploadId::random().as_bytes()[0]);
    std::thread::sleep(Duration::from_micros(200 + random * 200));
    child.kill().unwrap();
    child.wait().unwrap();
    // The last line may be cut off: then nobody was told.
    let lines = lines.map_while(Result::ok);
    lines
        .filter_map(|line| Some(line.strip_suffix(END)?.to_owned()))
        .collect()
}

/// In such a process: what it was told. `None` where the test runs by itself.
pub(crate) fn told(variable: &str) -> Option<(Durability, PathBuf)> {
    let told = std::env::var(variable).ok()?;
    let (word, dir) = told.split_once(':').unwrap();
    let durability = match word {
        "sync" => Durability::Sync,
        "close" => Durability::Close,
        other => panic!("{other}"),
    };
    Some((durability, dir.into()))
}

/// Says that it is about to begin.
pub(crate) fn ready() {
    say("ready");
}

/// One write, so that a kill cannot cut a line in the middle of a buffer.
pub(crate) fn say(line: &str) {
    let line = format!("{line}{END}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}
