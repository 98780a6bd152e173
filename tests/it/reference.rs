//! Forms for an app behind, given to it with their files where they lie: what it is told of them, what it does with them, and
//! what becomes of them when it does not want them or goes away.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::app::{App, Gate, Seen};
use crate::support::ended::ended as ended_in_time;
use crate::support::{Reply, Server, eventually, form, noise, part, post};

const KEY: &str = "4f1e7d9a2c8b6053e4f1a7d92c8b6053";

fn key_file(folder: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("app-key");
    fs::write(&file, KEY).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A server before `app` that gives it forms by reference.
struct Before {
    server: Server,
    _keys: tempfile::TempDir,
}

impl std::ops::Deref for Before {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn before(app: &App, more: &[&str]) -> Before {
    let keys = tempfile::tempdir().unwrap();
    let (url, key) = (app.url(), key_file(keys.path()));
    let args = [
        "--app",
        &url,
        "--upload-path",
        "/upload",
        "--give",
        "reference",
        "--app-key-file",
        &key,
    ];
    Before {
        server: Server::start(&[&args, more].concat()),
        _keys: keys,
    }
}

/// The fields of the form that the app was given, read line by line: names and values of these tests have no line feeds.
fn fields(seen: &Seen) -> Vec<(String, String)> {
    let kind = seen.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = std::str::from_utf8(&seen.body).unwrap();
    assert_eq!(
        seen.header("content-length"),
        Some(&*body.len().to_string())
    );
    let inner = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    let line = format!("--{boundary}\r\n");
    let parts = inner.split(&*line).skip(1);
    let field = |part: &str| {
        let (head, value) = part.split_once("\r\n\r\n").unwrap();
        let name = head
            .strip_prefix("Content-Disposition: form-data; name=\"")
            .unwrap();
        let name = name.strip_suffix('"').unwrap();
        (
            name.to_owned(),
            value.strip_suffix("\r\n").unwrap().to_owned(),
        )
    };
    parts.map(field).collect()
}

/// What the statement says, verified as an app would.
fn statement(seen: &Seen) -> Value {
    let (name, token) = fields(seen).remove(0);
    assert_eq!(name, "dumbwaiter.statement");
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&["statement"]);
    let key = DecodingKey::from_secret(KEY.as_bytes());
    decode(&token, &key, &rules).unwrap().claims
}

fn path(seen: &Seen, file: usize) -> PathBuf {
    statement(seen)["files"][file]["path"]
        .as_str()
        .unwrap()
        .into()
}

fn ended(server: &Server, progress_id: &str) -> Value {
    let target = format!("/_dumbwaiter/uploads?X-Progress-ID={progress_id}");
    let look = || match server.get(&target) {
        reply if reply.status == 200 => reply.json()[0].clone(),
        _ => Value::Null,
    };
    eventually(look, |record| {
        record["state"] == "done" || record["state"] == "error"
    })
}

fn upload(server: &Server, progress_id: &str) -> Reply {
    let body = form(&[part("f", Some("a.txt"), b"kept")]);
    server.post(&format!("/upload?X-Progress-ID={progress_id}"), "", &body)
}

#[test]
fn the_app_finds_each_file_where_a_signed_statement_says_and_may_move_it() {
    let app = App::start();
    app.does(|call| {
        let seen = call.read();
        let path = path(seen, 0);
        fs::rename(&path, path.with_extension("taken")).unwrap();
        call.answer(303, "Location: /dishes/1\r\n", b"");
    });
    let server = before(&app, &["--digest", "sha256"]);
    let picture = noise(300_000);
    let body = form(&[
        part("title", None, b"Paella"),
        part("picture", Some("paella.jpg"), &picture),
        part("csrf", None, b"token"),
        part("picture", Some("../../etc/b"), b"second"),
    ]);
    let reply = server.post("/upload?a=1&X-Progress-ID=p", "Content-MD5: abc\r\n", &body);
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/dishes/1")),
        "{reply:?}"
    );
    let seen = app.only();
    let says = statement(&seen);
    assert_eq!(
        (&says["iss"], &says["aud"]),
        (&"dumbwaiter".into(), &"statement".into())
    );
    assert_eq!(
        (&says["method"], &says["path"]),
        (&"POST".into(), &"/upload?a=1".into())
    );
    assert_eq!(seen.target(), "/upload?a=1");
    assert_eq!(says["upload"], seen.header("dumbwaiter-upload").unwrap());
    assert_eq!(
        says["exp"].as_u64().unwrap() - says["iat"].as_u64().unwrap(),
        300
    );
    assert_eq!(seen.header("content-md5"), None);
    let fields = fields(&seen);
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let said = [
        "picture.name",
        "picture.path",
        "picture.content_type",
        "picture.size",
        "picture.sha256",
    ];
    let order = [
        &["dumbwaiter.statement", "title"],
        &said[..],
        &["csrf"],
        &said[..],
    ]
    .concat();
    assert_eq!(names, order);
    let file = &says["files"][0];
    let sum: String = Sha256::digest(&picture)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (&file["field"], &file["name"]),
        (&"picture".into(), &"paella.jpg".into())
    );
    assert_eq!(
        (&file["size"], &file["sha256"]),
        (&300_000.into(), &sum.into())
    );
    for (at, what) in ["name", "path"].iter().enumerate() {
        assert_eq!(fields[2 + at].1, file[*what].as_str().unwrap());
    }
    assert_eq!(says["files"][1]["name"], "b");
    assert_eq!(
        fs::read(path(&seen, 0).with_extension("taken")).unwrap(),
        picture
    );
    assert_eq!(fs::read(path(&seen, 1)).unwrap(), b"second");
    assert_eq!(ended(&server, "p")["state"], "done");
}

#[test]
fn fields_and_parameters_that_only_we_may_send_never_arrive() {
    let app = App::start();
    let server = before(&app, &[]);
    let body = form(&[
        part("dumbwaiter.statement", None, b"forged"),
        part("f.path", None, b"/etc/passwd"),
        part("f", Some("a"), b"x"),
        part("f[path]", None, b"/etc/passwd"),
        part("other.path", None, b"/etc/passwd"),
        part("mine", None, b"kept"),
    ]);
    let query = "f.path=/etc/passwd&f%5Bpath%5D=/etc/passwd&mine=1&dumbwaiter%2Estatement=x";
    assert_eq!(
        server.post(&format!("/upload?{query}"), "", &body).status,
        200
    );
    let seen = app.only();
    assert_eq!(seen.target(), "/upload?mine=1");
    assert_eq!(statement(&seen)["path"], "/upload?mine=1");
    let fields = fields(&seen);
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "dumbwaiter.statement",
        "f.name",
        "f.path",
        "f.content_type",
        "f.size",
        "mine",
    ];
    assert_eq!(names, expected);
    assert!(!String::from_utf8_lossy(&seen.body).contains("passwd"));
}

#[test]
fn a_form_without_files_in_the_other_encoding_is_rid_of_them_too() {
    let app = App::start();
    let server = before(&app, &["--max-field-bytes", "200"]);
    let send = |more: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST /upload?f.path=x&b=2 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\
             Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\n{body}"
        );
        server.send(head.as_bytes())
    };
    let reply = send("", "a=1&f.path=%2Fetc&dumbwaiter%5Bstatement%5D=x&c=%F0+");
    assert_eq!(reply.status, 200, "{reply:?}");
    let seen = app.only();
    assert_eq!(
        (seen.target(), &*seen.body),
        ("/upload?b=2", &b"a=1&c=%F0+"[..])
    );
    assert_eq!(seen.header("content-length"), Some("10"));
    assert_eq!(
        send("", &"a=1&".repeat(51)).json()["code"],
        "limit_exceeded"
    );
    let encoded = send("Content-Encoding: gzip\r\n", "a=1");
    assert_eq!((encoded.status, app.seen().len()), (415, 1), "{encoded:?}");
}

#[test]
fn no_form_goes_past_us_by_how_its_type_is_written() {
    let app = App::start();
    let server = before(&app, &[]);
    let body = form(&[part("picture.path", None, b"/etc/passwd")]);
    let form = "multipart/form-data";
    for (kinds, status) in [
        (format!("Content-Type: {form}, boundary=b\r\n"), 415),
        (format!("Content-Type: {form} boundary=b\r\n"), 415),
        (
            format!("Content-Type:\t{form}\t; boundary=b; a=\u{e4}\r\n"),
            200,
        ),
        (
            format!("Content-Type: text/plain\r\nContent-Type: {form}; boundary=b\r\n"),
            400,
        ),
    ] {
        let (length, kinds) = (body.len(), kinds.as_bytes());
        let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n");
        let mut stream = server.connect();
        stream
            .write_all(&[head.as_bytes(), kinds, b"\r\n", &body].concat())
            .unwrap();
        let kinds = String::from_utf8_lossy(kinds);
        assert_eq!(Reply::read(&mut stream).status, status, "{kinds}");
    }
    let names: Vec<_> = fields(&app.only())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["dumbwaiter.statement"]);
}

#[test]
fn what_the_app_has_moved_away_makes_room_at_once() {
    let (app, away) = (App::start(), tempfile::tempdir().unwrap());
    let kept = away.path().to_owned();
    let server = before(&app, &["--max-store-size", "1MiB"]);
    let body = form(&[part("f", Some("a"), &noise(600_000))]);
    for (file, status) in [("a", 200), ("b", 500), ("c", 200)] {
        let to = kept.join(file);
        app.does(move |call| {
            let seen = call.read();
            let from = path(seen, 0);
            fs::copy(&from, &to)
                .and_then(|_| fs::remove_file(from))
                .unwrap();
            call.answer(status, "", b"");
        });
        let reply = server.post("/upload", "", &body);
        assert_eq!(reply.status, status, "{file}: {reply:?}");
    }
}

#[test]
fn what_the_app_refuses_goes_after_the_grace_and_what_it_fails_on_stays() {
    let app = App::start();
    let server = before(&app, &["--app-grace", "10ms"]);
    for (status, code, stays) in [(422, "app_refused", false), (500, "app_failed", true)] {
        app.answers(status, "", b"the app's words");
        let reply = upload(&server, &status.to_string());
        assert_eq!((reply.status, reply.text()), (status, "the app's words"));
        let record = ended(&server, &status.to_string());
        assert_eq!(record["error"]["code"], code);
        let count = usize::from(stays);
        eventually(|| server.files(), |files| files.len() == count);
    }
}

#[test]
fn the_grace_lets_an_app_that_refuses_look_at_the_files_for_as_long() {
    let app = App::start();
    app.answers(400, "", b"");
    let server = before(&app, &["--app-grace", "1h"]);
    assert_eq!(upload(&server, "p").status, 400);
    assert_eq!(ended(&server, "p")["error"]["code"], "app_refused");
    assert_eq!(fs::read(path(&app.only(), 0)).unwrap(), b"kept");
}

#[test]
fn an_app_that_dies_on_it_or_is_not_there_costs_a_502_and_the_files_go() {
    let app = App::start();
    app.does(|call| {
        call.read();
    });
    let server = before(&app, &["--app-grace", "10ms"]);
    let reply = upload(&server, "dies");
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (502, &"app_unreachable".into())
    );
    app.dies();
    assert_eq!(upload(&server, "gone").status, 502);
    for id in ["dies", "gone"] {
        assert_eq!(ended(&server, id)["error"]["code"], "app_unreachable");
    }
    eventually(|| server.files(), Vec::is_empty);
    assert!(server.under_way().is_empty());
}

#[test]
fn files_lie_under_their_names_before_the_app_hears_of_them_and_a_cancelled_upload_takes_them_along()
 {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
        call.answer(200, "", b"");
    });
    let server = before(&app, &[]);
    let body = form(&[part("f", Some("a.txt"), b"kept")]);
    let mut stream = server.connect();
    stream
        .write_all(&post("/upload?X-Progress-ID=p", "", &body))
        .unwrap();
    let seen = app.only();
    assert_eq!(fs::read(path(&seen, 0)).unwrap(), b"kept");
    let id = seen.header("dumbwaiter-upload").unwrap();
    let delete = format!(
        "DELETE /_dumbwaiter/uploads/{id} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(server.send(delete.as_bytes()).status, 204);
    assert_eq!(ended(&server, "p")["error"]["code"], "cancelled");
    eventually(|| server.files(), Vec::is_empty);
    gate.open();
}

#[test]
fn a_name_that_is_taken_is_refused_before_the_app_hears_of_it() {
    let app = App::start();
    let server = before(&app, &["--name", "{filename}", "--on-conflict", "reject"]);
    assert_eq!(upload(&server, "one").status, 200);
    assert_eq!(upload(&server, "two").status, 409);
    assert_eq!(ended(&server, "two")["error"]["code"], "name_taken");
    assert_eq!(app.seen().len(), 1);
}

#[test]
fn a_server_that_is_killed_while_the_app_has_the_form_leaves_the_files_as_the_app_knows_them() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
    });
    let mut server = before(&app, &[]);
    let body = form(&[part("f", Some("a.txt"), b"kept")]);
    let mut stream = server.connect();
    stream.write_all(&post("/upload", "", &body)).unwrap();
    let seen = app.only();
    server.server.kill();
    gate.open();
    let again = Server::start_in(&server.dir, &[]);
    assert_eq!(fs::read(path(&seen, 0)).unwrap(), b"kept");
    assert!(again.under_way().is_empty());
}

#[test]
fn without_a_key_that_the_app_knows_nothing_is_signed_and_the_server_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_dumbwaiter"))
        .args([
            "--app",
            "http://127.0.0.1:9",
            "--give",
            "reference",
            "--listen",
            "127.0.0.1:0",
            "--dir",
        ])
        .arg(folder.path().join("uploads"))
        .env_remove("DUMBWAITER_APP_KEY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !ended.status.success() && said.contains("--app-key-file"),
        "{said}"
    );
    assert!(!folder.path().join("uploads").exists());
}

#[test]
fn files_that_the_app_may_have_in_hand_are_not_cleared_away_beneath_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = key_file(folder.path());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .args(["--app", "http://127.0.0.1:9", "--give", "reference"])
        .args(["--app-key-file", &key, "--listen", "127.0.0.1:0"])
        .args(["--keep", "1h", "--processing-timeout", "1h", "--dir"])
        .arg(folder.path().join("uploads"));
    let ended = ended_in_time(&mut command);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("--keep"), "{said}");
    let app = App::start();
    let more = ["--keep", "1h", "--processing-timeout", "1m"];
    assert_eq!(upload(&before(&app, &more), "a").status, 200);
}
