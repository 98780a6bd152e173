//! One line for each upload, at its end.

use std::io::Write;

use serde_json::Value;

use crate::limits::begun;
use crate::support::logged::Logged;
use crate::support::{eventually, form, part};

#[test]
fn each_upload_leaves_one_line_that_says_how_it_ended_and_gives_no_right_away() {
    let logged = Logged::start(&["--log-format", "json"]);
    let server = &logged.server;
    let body = form(&[part("f", Some("a"), b"x"), part("g", Some("b"), b"y")]);
    // A right-to-left mark would turn the line around on a terminal.
    let done = server
        .post("/upload?X-Progress-ID=%E2%80%AEx%22", "", &body)
        .json();
    let refused = server.post("/upload", "", b"no form at all");
    assert_eq!(refused.status, 400);
    let mut gone = server.connect();
    gone.write_all(b"PUT /files/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
        .unwrap();
    let lines = || {
        let text = logged.log();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    drop(gone);
    let lines = eventually(lines, |lines| lines.len() == 3);

    let id = done["id"].as_str().unwrap();
    let [first, second, third] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(first["message"], "upload done");
    assert_eq!(first["id"], id[..8]);
    assert_eq!(first["protocol"], "form");
    assert_eq!(first["bytes"], body.len());
    assert_eq!(first["files"], 2);
    assert_eq!(first["client"], "127.0.0.1");
    assert_eq!(first["progress_id"], "\u{202e}x\"");
    assert!(first["seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(
        (&second["message"], &second["code"]),
        (&"upload failed".into(), &"truncated_form".into())
    );
    assert_eq!(
        (&third["protocol"], &third["code"], &third["bytes"]),
        (&"put".into(), &"client_gone".into(), &3.into())
    );
    let text = logged.log();
    assert!(!text.contains(id), "{text}");
}

#[test]
fn want_of_room_is_a_warning_and_a_clients_fault_is_none() {
    let args = [
        "--log-format",
        "json",
        "--max-store-size",
        "1000000",
        "--max-uploads",
        "1",
    ];
    let logged = Logged::start(&args);
    let server = &logged.server;
    assert_eq!(server.post("/upload", "", b"no form at all").status, 400);
    let put =
        |length| format!("PUT /files/x HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    assert_eq!(server.send(put(1000001).as_bytes()).status, 507);
    let two = format!("{}1", put(2));
    let running = begun(server, server.connect(), two.as_bytes(), "x");
    assert_eq!(server.send(format!("{}1", put(1)).as_bytes()).status, 503);
    drop(running);
    for (code, level) in [
        ("truncated_form", "INFO"),
        ("store_limit", "WARN"),
        ("too_many_uploads", "WARN"),
    ] {
        let log = logged.logs(&format!("\"code\":\"{code}\""));
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines = lines.filter(|line| line["code"] == code);
        assert!(lines.all(|line| line["level"] == level), "{log}");
    }
}

/// `error` is what a client was told; what lies behind anything is called `cause`, in the store's lines too.
#[test]
fn what_lies_behind_a_line_is_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("uploads/.dumbwaiter");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("records.redb"), "no records").unwrap();
    let args = ["--durability", "close", "--log-format", "json"];
    let log = Logged::start_in(folder.path(), &args).logs("new ones are begun");
    let line: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_ne!(line["cause"].as_str().unwrap_or_default(), "", "{log}");
    assert_eq!(line["error"], Value::Null, "{log}");
}

#[test]
fn in_text_a_clients_words_stay_within_their_quotes() {
    let logged = Logged::start(&[]);
    let body = form(&[part("f", Some("a"), b"x")]);
    let target = "/upload?X-Progress-ID=%E2%80%AEx%22%20code=%22";
    logged.server.post(target, "", &body);
    let log = logged.logs("upload done");
    assert!(
        log.contains(r#"progress_id="\u{202e}x\" code=\"""#),
        "{log}"
    );
}
