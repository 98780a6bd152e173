//! The bounds of what watchers are told and remembered for.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use crate::support::{Server, eventually, form, part};

#[test]
fn form_fields_beyond_the_limit_of_a_record_are_null_in_it() {
    let body = form(&[part("id", None, b"12"), part("note", None, &[b'x'; 100])]);
    // Of each field its name, its value and the six signs around them count.
    let long = "x".repeat(100);
    for (most, note) in [
        ("120", long.as_str().into()),
        ("119", serde_json::Value::Null),
    ] {
        let server = Server::start(&["--max-record-fields", most]);
        let fields = &server.post("/upload", "", &body).json()["fields"];
        assert_eq!(
            (&fields["id"], &fields["note"]),
            (&"12".into(), &note),
            "{most}"
        );
    }
}

#[test]
fn first_polls_beyond_the_limit_are_not_remembered() {
    const BAR: &str = r#"{"uploaded": 0, "length": 1}"#;
    let wait = ["--poll-unknown", "wait", "--watch-wait", "200ms"];
    for (most, answer) in [("2", "null"), ("1", BAR)] {
        let server = Server::start(&[&wait[..], &["--max-awaited", most]].concat());
        let poll = |id: &str| {
            let reply = server.get(&format!("/get_upload_progress?X-Progress-ID={id}"));
            reply.text().to_owned()
        };
        assert_eq!(poll("a"), BAR);
        eventually(|| poll("a"), |said| said == "null");
        // With room for one it takes the place of the other, whose time then begins anew.
        assert_eq!(poll("b"), BAR);
        assert_eq!(poll("a"), answer, "{most}");
    }
}

#[test]
fn a_silent_stream_gets_a_comment_as_often_as_was_said() {
    let server = Server::start(&["--watch-comment", "50ms"]);
    let mut stream = server.connect();
    // The default is 15 s.
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let request =
        "GET /uploads?X-Progress-ID=a HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(
        lines.filter(|line| line.starts_with(':')).take(2).count(),
        2
    );
}
