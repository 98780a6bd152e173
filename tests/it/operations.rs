//! `docs/operations.md` says what is: its commands run, its tables are complete.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::Command;

use serde_json::Value;

use crate::support::needs::needs;
use crate::support::{Server, ask_for, form, part};

const PAGE: &str = include_str!("../../docs/operations.md");

/// The lines of the page's blocks in `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = PAGE.split(&begin).skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines.collect()
}

/// The names in the first column of the table that follows `heading`.
fn table(heading: &str) -> BTreeSet<&'static str> {
    let (_, after) = PAGE.split_once(heading).unwrap();
    let rows = after.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap()).collect()
}

fn server() -> Server {
    Server::start(&[
        "--admin-listen",
        "127.0.0.1:0",
        "--probe-listen",
        "127.0.0.1:0",
    ])
}

#[test]
fn every_command_on_the_page_does_what_it_is_there_for() {
    if !needs("curl") {
        return;
    }
    let server = server();
    let body = form(&[part("f", Some("a.jpg"), b"x")]);
    let record = server.post("/upload", "", &body).json();
    let commands = blocks("sh");
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let command = command
            .replace("127.0.0.1:7071", &server.beside("/uploads").to_string())
            .replace("127.0.0.1:7072", &server.beside("/metrics").to_string())
            .replace("TOKEN", server.token())
            .replace("WATCH", record["watch"].as_str().unwrap())
            .replace(
                "dumbwaiter ",
                concat!(env!("CARGO_BIN_EXE_dumbwaiter"), " "),
            );
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        assert_eq!(
            output.stdout.is_empty(),
            command.contains("DELETE"),
            "{command}"
        );
    }
    // The last word of the admin commands was to delete it.
    assert_eq!(server.files(), [""; 0]);
}

#[test]
fn the_services_flags_are_ones_that_there_are() {
    let lines = blocks("ini");
    let start = lines
        .iter()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let flags = start.unwrap().split(' ').skip(1);
    let output = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"))
        .arg("config")
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_table_of_metrics_has_each_of_them() {
    let server = server();
    assert_eq!(server.get("/nowhere").status, 404);
    server.post("/upload", "", &form(&[part("f", Some("a"), b"x")]));
    let page = ask_for(server.beside("/metrics"), "GET", "/metrics", None);
    let kinds = page
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names = kinds.map(|line| match line.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, "info") => format!("{name}_info"),
        (name, _) => name.to_owned(),
    });
    let names: BTreeSet<_> = names.collect();
    let told = table("## Probes and metrics")
        .into_iter()
        .map(str::to_owned);
    assert_eq!(names, told.collect());
}

#[test]
fn the_table_of_log_fields_has_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.stderr(File::create(&file).unwrap());
    let args = ["--log-format", "json"];
    let mut server = Server::start_by(command, &folder.path().join("up"), &args);
    server.post("/upload?X-Progress-ID=1", "", b"no form");
    server.kill();
    let text = std::fs::read_to_string(&file).unwrap();
    let line: serde_json::Map<String, Value> = serde_json::from_str(text.trim_end()).unwrap();
    let mut fields: BTreeSet<_> = line.keys().map(String::as_str).collect();
    for around in ["timestamp", "level", "message"] {
        assert!(fields.remove(around), "{line:?}");
    }
    // Nothing stands behind the error of a client.
    fields.insert("cause");
    assert_eq!(fields, table("## The log"));
}
