//! Tickets: the app's yes in writing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{put, request};
use crate::support::app::App;
use crate::support::ended::ended;
use crate::support::logged::Logged;
use crate::support::{Reply, Server, write_for_us_alone};

const KEY: &str = "a key of which nobody but the app knows anything";
const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

struct Here {
    folder: tempfile::TempDir,
    key: PathBuf,
}

impl Here {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        write_for_us_alone(&key, KEY);
        Self { folder, key }
    }

    fn start(&self, more: &[&str]) -> Server {
        let args = [
            &["--app-key-file", self.key.to_str().unwrap(), "--tickets"],
            more,
        ]
        .concat();
        Server::start_in(&self.folder.path().join("uploads"), &args)
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// What is said in a ticket to upload, with `more`.
fn claims(jti: &str, more: &Value) -> Value {
    let mut claims =
        json!({"iss": "app", "aud": "ticket", "exp": now() + 600, "jti": jti, "act": "upload"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_secret(KEY.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn ticket(jti: &str, more: &Value) -> String {
    signed(&claims(jti, more))
}

fn bearer(ticket: &str) -> String {
    format!("Authorization: Bearer {ticket}\r\n")
}

fn code(reply: &Reply) -> (u16, String) {
    (
        reply.status,
        reply.json()["code"].as_str().unwrap_or_default().to_owned(),
    )
}

fn refused(why: &str) -> (u16, String) {
    (401, why.to_owned())
}

#[test]
fn a_ticket_lets_one_upload_begin_on_its_terms() {
    let here = Here::new();
    let server = here.start(&[]);
    assert_eq!(
        code(&server.send(&put("/files/a", "", b"x"))),
        refused("unauthorized")
    );
    let terms =
        json!({"max_size": 3, "name": "hers.txt", "owner": "anna", "fields": {"user": "7"}});
    let fields = bearer(&ticket("1", &terms));
    let record = server.send(&put("/files/a", &fields, b"abc"));
    assert_eq!(record.status, 201, "{}", record.text());
    assert_eq!(record.json()["fields"]["user"], "7");
    assert_eq!(server.files(), ["hers.txt"]);
    assert_eq!(
        code(&server.send(&put("/files/b", &fields, b"abc"))),
        refused("bad_ticket")
    );
    // Another one of the same name, and one that grants too little.
    let same = bearer(&ticket("1", &json!({})));
    assert_eq!(
        code(&server.send(&put("/files/b", &same, b"abc"))),
        refused("bad_ticket")
    );
    let other = bearer(&ticket("2", &terms));
    assert_eq!(server.send(&put("/files/b", &other, b"abcd")).status, 413);
    assert_eq!(server.files(), ["hers.txt"]);
}

#[test]
fn what_is_no_ticket_of_the_apps_opens_nothing() {
    let here = Here::new();
    let server = here.start(&["--max-ticket-time", "1h"]);
    let good = ticket("1", &json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let other = encode(
        &Header::new(Algorithm::HS256),
        &claims("1", &json!({})),
        &EncodingKey::from_secret(&[7; 40]),
    )
    .unwrap();
    let longer = encode(
        &Header::new(Algorithm::HS512),
        &claims("1", &json!({})),
        &EncodingKey::from_secret(KEY.as_bytes()),
    )
    .unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let changed = ticket("1", &json!({"owner": "root"}));
    let changed = changed.split('.').nth(1).unwrap();
    let bad = [
        other,
        longer,
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{changed}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}A"),
        ticket("1", &json!({"exp": now() - 60})),
        ticket("1", &json!({"exp": now() + 7200})),
        ticket("1", &json!({"exp": null})),
        ticket("1", &json!({"nbf": now() + 600})),
        ticket("1", &json!({"aud": "statement"})),
        ticket("1", &json!({"aud": null})),
        ticket("", &json!({})),
        ticket(&"x".repeat(201), &json!({})),
        ticket("1", &json!({"act": "everything"})),
        ticket("1", &json!({"act": "watch"})),
        ticket("1", &json!({"types": ["pictures"]})),
        ticket("1", &json!({"owner": ""})),
        ticket("1", &json!({"max_size": -1})),
        ticket("1", &json!({"upload": "0".repeat(32)})),
    ];
    for bad in bad {
        let reply = server.send(&put("/files/a", &bearer(&bad), b"x"));
        assert_eq!(code(&reply), refused("bad_ticket"), "{bad}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    for fields in [
        format!("{}{}", bearer(&good), bearer(&good)),
        format!("X-Ticket: {good}\r\n"),
    ] {
        assert_eq!(
            code(&server.send(&put("/files/a", &fields, b"x"))),
            refused("unauthorized")
        );
    }
    // Nor does one in the query of what is no stream.
    let reply = server.send(&put(&format!("/files/a?ticket={good}"), "", b"x"));
    assert_eq!(code(&reply), refused("unauthorized"));
    assert!(server.files().is_empty());
    assert_eq!(
        server.send(&put("/files/a", &bearer(&good), b"x")).status,
        201
    );
}

fn begin(server: &Server, fields: &str) -> Reply {
    let fields = format!("{TUS}Upload-Length: 6\r\n{fields}");
    server.send(&request("POST", "/files/", &fields, b""))
}

fn patch(server: &Server, url: &str, fields: &str, offset: usize, content: &[u8]) -> u16 {
    let fields = format!(
        "{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n{fields}"
    );
    server.send(&request("PATCH", url, &fields, content)).status
}

#[test]
fn its_holder_goes_on_with_its_upload_alone_also_after_a_restart() {
    let here = Here::new();
    let mut server = here.start(&[]);
    let (first, second) = (
        bearer(&ticket("1", &json!({}))),
        bearer(&ticket("2", &json!({}))),
    );
    let url = begin(&server, &first)
        .header("location")
        .unwrap()
        .to_owned();
    let other = begin(&server, &second)
        .header("location")
        .unwrap()
        .to_owned();
    assert_ne!(url, other);
    assert_eq!(begin(&server, &first).status, 401);
    assert_eq!(patch(&server, &url, &second, 0, b"abc"), 404);
    assert_eq!(patch(&server, &url, &first, 0, b"abc"), 204);
    assert_eq!(patch(&server, &url, "", 3, b"def"), 401);
    server.kill();
    let mut server = here.start(&[]);
    assert_eq!(
        begin(&server, &first).status,
        401,
        "it has been used before"
    );
    assert_eq!(patch(&server, &url, &second, 3, b"def"), 404);
    let record = url.replace("/files/", "/uploads/");
    assert_eq!(server.get_with(&record, &first).status, 200);
    assert_eq!(server.get_with(&record, &second).status, 404);
    assert_eq!(patch(&server, &url, &first, 3, b"def"), 204);
    server.kill();
    let server = here.start(&[]);
    assert_eq!(begin(&server, &first).status, 401, "its upload is there");
    let reply = server.send(&request("DELETE", &record, &second, b""));
    assert_eq!(reply.status, 404);
    assert_eq!(
        server.send(&request("DELETE", &record, &first, b"")).status,
        204
    );
}

#[test]
fn of_many_uploads_with_one_ticket_one_begins() {
    let here = Here::new();
    let server = Arc::new(here.start(&[]));
    let fields = bearer(&ticket("1", &json!({})));
    let uploads: Vec<_> = (0..12)
        .map(|nth| {
            let (server, fields) = (server.clone(), fields.clone());
            thread::spawn(move || {
                server
                    .send(&put(&format!("/files/{nth}"), &fields, b"x"))
                    .status
            })
        })
        .collect();
    let mut statuses: Vec<_> = uploads
        .into_iter()
        .map(|upload| upload.join().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![401; 11]].concat());
    assert_eq!(server.files().len(), 1);
}

#[test]
fn used_tickets_are_remembered_within_a_bound() {
    let here = Here::new();
    let server = here.start(&["--max-tickets", "2"]);
    let send = |jti: &str| {
        server
            .send(&put("/files/a", &bearer(&ticket(jti, &json!({}))), b"x"))
            .status
    };
    assert_eq!((send("1"), send("2"), send("3")), (201, 201, 503));
}

#[test]
fn an_app_or_tokens_beside_tickets_are_not_asked_where_there_is_one() {
    let here = Here::new();
    let token = here.folder.path().join("token");
    write_for_us_alone(&token, "a-token-of-the-house");
    let app = App::start();
    app.answers(403, "", b"no");
    let url = app.url();
    let server = here.start(&["--ask", &url]);
    assert_eq!(
        server
            .send(&put("/files/a", &bearer(&ticket("1", &json!({}))), b"x"))
            .status,
        201
    );
    assert!(app.seen().is_empty());
    assert_eq!(server.send(&put("/files/a", "", b"x")).status, 403);
    drop(server);
    let server = here.start(&[
        "--token",
        token.to_str().unwrap(),
        "--allow-from",
        "127.0.0.1",
    ]);
    assert_eq!(
        server
            .send(&put("/files/b", &bearer(&ticket("2", &json!({}))), b"x"))
            .status,
        201
    );
    assert_eq!(
        server
            .send(&put("/files/c", &bearer("a-token-of-the-house"), b"x"))
            .status,
        201
    );
    assert_eq!(server.send(&put("/files/d", "", b"x")).status, 401);
    drop(server);
    let server = here.start(&["--allow-from", "10.0.0.0/8"]);
    assert_eq!(
        server
            .send(&put("/files/e", &bearer(&ticket("3", &json!({}))), b"x"))
            .status,
        403,
        "networks bind"
    );
}

/// The status of a stream's answer.
fn stream(server: &Server, target: &str) -> u16 {
    let mut stream = server.connect();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    Reply::read_head(&mut stream).status
}

#[test]
fn a_ticket_to_watch_shows_one_upload_also_in_the_query_of_a_stream_and_never_in_the_log() {
    let app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    write_for_us_alone(&key, KEY);
    let url = app.url();
    let logged = Logged::start(&[
        "--app-key-file",
        key.to_str().unwrap(),
        "--tickets",
        "--ask",
        &url,
        "--log",
        "trace",
    ]);
    let server = &logged.server;
    let owner = "Dumbwaiter-Owner: anna\r\n";
    app.answers(200, "Dumbwaiter-Owner: anna\r\n", b"");
    let record = |id: &str| {
        server
            .send(&put(&format!("/files/a?X-Progress-ID={id}"), owner, b"x"))
            .json()
    };
    let (mine, other) = (record("mine"), record("other"));
    app.answers(403, "", b"no");
    let watch = mine["watch"].as_str().unwrap();
    let path = |record: &Value| format!("/uploads/{}", record["watch"].as_str().unwrap());
    let by_name = ticket("1", &json!({"act": "watch", "watch": watch}));
    let by_progress = ticket(
        "2",
        &json!({"act": "watch", "progress_id": "mine", "owner": "anna"}),
    );
    let look = |target: &str, ticket: &str| server.get_with(target, &bearer(ticket)).status;
    assert_eq!(look(&path(&mine), &by_name), 200);
    assert_eq!(look(&path(&other), &by_name), 404);
    assert_eq!(look("/uploads", &by_name), 404);
    assert_eq!(
        look(
            &format!(
                "/uploads?id={watch}&id={}",
                other["watch"].as_str().unwrap()
            ),
            &by_name
        ),
        404
    );
    assert_eq!(look("/progress?X-Progress-ID=mine", &by_name), 404);
    assert_eq!(look("/progress?X-Progress-ID=other", &by_progress), 404);
    let poll = server.get_with("/uploads?X-Progress-ID=mine", &bearer(&by_progress));
    assert_eq!(poll.json()[0]["state"], "done", "{}", poll.text());
    assert_eq!(
        server
            .send(&request("DELETE", &path(&mine), &bearer(&by_name), b""))
            .status,
        401
    );
    assert_eq!(
        stream(server, &format!("{}?ticket={by_name}", path(&mine))),
        200
    );
    assert_eq!(
        stream(server, &format!("{}?ticket={by_name}", path(&other))),
        404
    );
    assert_eq!(
        stream(server, &format!("{}?ticket={by_name}x", path(&mine))),
        401
    );
    assert_eq!(
        server
            .get(&format!("{}?ticket={by_name}", path(&mine)))
            .status,
        403,
        "no stream: the app is asked"
    );
    let uploads = ticket("3", &json!({"progress_id": "mine"}));
    let lets_more = format!("/uploads?X-Progress-ID=mine&ticket={uploads}");
    assert_eq!(stream(server, &lets_more), 401, "too much for a query");
    let log = logged.log();
    for secret in [&by_name, &by_progress] {
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "{log}");
    }
}

fn minted(key: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .args(["ticket", "--key-file", key.to_str().unwrap()])
        .args(args);
    let output = ended(&mut command);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dumbwaiter_ticket_signs_one_that_dumbwaiter_send_shows() {
    let here = Here::new();
    let server = here.start(&[]);
    let terms = [
        "--for",
        "5m",
        "--owner",
        "anna",
        "--max-size",
        "1kB",
        "--name",
        "hers.txt",
        "--field",
        "user=7",
    ];
    let text = minted(&here.key, &terms);
    let (ticket, file) = (
        here.folder.path().join("ticket"),
        here.folder.path().join("mine.txt"),
    );
    write_for_us_alone(&ticket, &text);
    std::fs::write(&file, "soup").unwrap();
    let url = format!("http://{}/", server.address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .args(["send", "--quiet", "--ticket-file"])
        .arg(&ticket)
        .arg(&file)
        .arg(&url);
    let output = ended(&mut command);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        (server.files(), server.read("hers.txt")),
        (vec!["hers.txt".to_owned()], b"soup".to_vec())
    );
    let types = minted(&here.key, &["--type", "image/*,application/pdf"]);
    assert_eq!(
        server
            .send(&put("/files/a", &bearer(types.trim()), b"text"))
            .status,
        415
    );
    for (args, words) in [
        (&["ticket"][..], "--key-file"),
        (
            &[
                "ticket",
                "--key-file",
                here.key.to_str().unwrap(),
                "--act",
                "watch",
            ],
            "--watch",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
        let output = ended(command.args(args).env_remove("DUMBWAITER_APP_KEY"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(words), "{error}");
    }
}

#[test]
fn tickets_without_a_key_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .args(["--listen", "127.0.0.1:0", "--tickets", "--dir"])
        .arg(folder.path());
    let output = ended(command.env_remove("DUMBWAITER_APP_KEY"));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("--app-key-file"),
        "{error}"
    );
}
