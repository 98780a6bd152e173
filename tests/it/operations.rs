//! `docs/operations.md` says what is: its tables are complete.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::logged::Logged;
use crate::support::{Server, ask_for, form, part};

const PAGE: &str = include_str!("../../docs/operations.md");

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
    let mut logged = Logged::start(&["--log-format", "json"]);
    let target = "/upload?X-Progress-ID=1";
    logged.server.post(target, "", b"no form");
    logged.server.kill();
    let text = logged.log();
    let line: serde_json::Map<String, Value> = serde_json::from_str(text.trim_end()).unwrap();
    let mut fields: BTreeSet<_> = line.keys().map(String::as_str).collect();
    for around in ["timestamp", "level", "message"] {
        assert!(fields.remove(around), "{line:?}");
    }
    // Nothing stands behind the error of a client.
    fields.insert("cause");
    assert_eq!(fields, table("## The log"));
}
