//! The tables of `docs/operations.md` and `docs/progress.md` are complete.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::interrupted::cut;
use crate::support::logged::Logged;
use crate::support::{Server, ask_for, form, part};

const PAGE: &str = include_str!("../../docs/operations.md");
const PROGRESS: &str = include_str!("../../docs/progress.md");

/// The names in the first column of the first table that follows `heading` on `page`.
fn table(page: &'static str, heading: &str) -> BTreeSet<&'static str> {
    let (_, after) = page.split_once(heading).unwrap();
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
    cut(&server);
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
    let told = table(PAGE, "## Probes and metrics")
        .into_iter()
        .map(str::to_owned);
    assert_eq!(names, told.collect());
}

#[test]
fn the_table_of_log_fields_has_each_of_them() {
    let mut logged = Logged::start(&["--log-format", "json"]);
    let target = "/upload?X-Progress-ID=1";
    logged.server.post(target, "", b"no form");
    cut(&logged.server);
    logged.server.kill();
    let text = logged.log();
    let read = |line| serde_json::from_str::<serde_json::Map<String, Value>>(line).unwrap();
    let mut fields: BTreeSet<_> = text
        .lines()
        .flat_map(read)
        .map(|(field, _)| field)
        .collect();
    for around in ["timestamp", "level", "message"] {
        assert!(fields.remove(around), "{text}");
    }
    // Nothing stands behind the error of a client.
    fields.insert("cause".into());
    let fields: BTreeSet<_> = fields.iter().map(String::as_str).collect();
    assert_eq!(fields, table(PAGE, "## The log"));
}

#[test]
fn the_table_of_a_records_fields_has_each_of_them_in_their_order() {
    let server = Server::start(&[]);
    let record = server
        .post("/upload", "", &form(&[part("f", Some("a"), b"x")]))
        .json();
    let fields: Vec<_> = record.as_object().unwrap().keys().collect();
    let (_, after) = PROGRESS.split_once("| field | what | shown to |").unwrap();
    let rows = after
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let told: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(fields, told);
}

/// What each kind of name shows is what the table says of it.
#[test]
fn the_table_of_a_records_fields_says_who_sees_each() {
    let server = Server::start(&[]);
    let body = form(&[part("f", Some("a"), b"x")]);
    let whole = server.post("/upload?X-Progress-ID=1", "", &body).json();
    let by = |target: String| server.get(&target).json();
    let watched = by(format!("/uploads/{}", whole["watch"].as_str().unwrap()));
    let by_address = by("/uploads?X-Progress-ID=1".to_owned())[0].clone();
    for row in PROGRESS
        .lines()
        .filter(|row| row.matches(" | ").count() == 2)
    {
        let mut columns = row.trim_matches(['|', ' ']).split(" | ");
        let (field, _, shown) = (columns.next().unwrap(), columns.next(), columns.next());
        let (holder, address) = match shown.unwrap() {
            "who may see everything" => (false, false),
            "who holds a name" => (true, false),
            all if all.starts_with("all") => (true, true),
            _ => continue,
        };
        let field = field.trim_matches('`');
        let seen = |record: &Value| record.get(field).is_some();
        assert_eq!(
            (seen(&watched), seen(&by_address)),
            (holder, address),
            "{field}"
        );
    }
}

#[test]
fn the_table_of_states_has_each_of_them() {
    use dumbwaiter::progress::State::{Done, Error, Interrupted, Processing, Starting, Uploading};
    let all = [Starting, Uploading, Interrupted, Processing, Done, Error];
    let told = table(PROGRESS, "| state | what |");
    assert_eq!(told, all.iter().map(|state| state.as_str()).collect());
}
