//! "Upload Cancellation", "Concurrency".

use std::io::Write;

use super::talk::{ALL, GONE, NONE, Talk, not_found};
use crate::support::{Reply, Server, eventually};

/// DELETE MUST be 204, in every version and in none; then the upload is gone: not begun, under way, finished.
#[test]
fn what_is_cancelled_is_gone() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("new", 0));
        talk.says(
            &version.create("", false, "he"),
            &version.created("begun", 2),
        );
        talk.says(
            &version.create("", true, "hey"),
            &version.completed("done", 3),
        );
        for name in ["new", "begun", "done"] {
            talk.says(&version.ask("DELETE", name), GONE);
            talk.says(&version.ask("DELETE", name), &not_found(""));
            talk.says(
                &version.append(name, 0, true, "x"),
                &not_found("connection: close"),
            );
            let reply = talk.answer(&version.ask("HEAD", name));
            assert_eq!((reply.status, reply.header("upload-offset")), (404, None));
        }
        assert!(server.under_way().is_empty(), "{version:?}");
        talk.stored(&[]);
    }
}

/// A running request hears of the end.
#[test]
fn a_running_append_is_ended_by_delete() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("id", 0));
        let mut running = talk.begins("id", &version.append("id", 0, true, "hello world"), 5, 5);
        talk.says(&version.ask("DELETE", "id"), GONE);
        let reply = Reply::last(&mut running);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (410, &"cancelled".into())
        );
        assert_eq!(talk.record("id")["error"]["code"], "cancelled");
    }
    assert!(server.under_way().is_empty());
}

/// HEAD, too, takes the upload from a request whose line may be dead, and loses nothing that was told.
#[test]
fn head_takes_the_upload_from_a_request_that_is_silent() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("id", 0));
        let mut silent = talk.begins("id", &version.append("id", 0, false, "hello world"), 5, 5);
        talk.says(&version.ask("HEAD", "id"), &version.told(5, None));
        let reply = Reply::last(&mut silent);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (400, &"superseded".into())
        );
        talk.says(
            &version.append("id", 5, true, " world"),
            &version.completed("id", 11),
        );
    }
    for name in server.files() {
        assert_eq!(server.read(&name), b"hello world");
    }
}

/// GET may be a person's who looks at the address: it disturbs nobody.
#[test]
fn get_does_not_disturb_who_sends() {
    let server = Server::start(&["--checkpoint-time", "1h"]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, ""), &NONE.created("id", 0));
    let mut running = talk.begins("id", &NONE.append("id", 0, true, "hello world"), 5, 5);
    let reply = talk.answer(&NONE.ask("GET", "id"));
    assert_eq!(
        (reply.status, reply.header("upload-offset")),
        (204, Some("0"))
    );
    running.write_all(b" world").unwrap();
    assert_eq!(Reply::read(&mut running).status, 201);
    assert_eq!(server.read(&server.files()[0]), b"hello world");
}

/// Of two appends the newer one wins; it finds kept what the older one has brought.
#[test]
fn a_newer_append_takes_the_upload_from_an_older_one() {
    let server = Server::start(&["--checkpoint-time", "1h"]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("id", 0));
        let mut older = talk.begins("id", &version.append("id", 0, false, "HELLO WORLD"), 5, 5);
        // It would go on where the record says that the other one is.
        talk.says(
            &version.append("id", 0, true, "hello world"),
            &version.mismatch(5, 0),
        );
        assert_eq!(Reply::last(&mut older).status, 400);
        talk.says(
            &version.append("id", 5, true, " world"),
            &version.completed("id", 11),
        );
    }
    for name in server.files() {
        assert_eq!(server.read(&name), b"HELLO world");
    }
}

/// A creation that runs is taken over as well, by whoever was told where it is.
#[test]
fn a_running_creation_is_taken_over() {
    let server = Server::start(&[]);
    let fields = "Upload-Complete: ?1\nX-Progress-ID: seven\nContent-Length: 11";
    for target in ["PUT /files/dish", "POST /files/"] {
        let mut talk = Talk::with(&server);
        let mut line = server.connect();
        line.write_all(&talk.bytes(&NONE.request(target, fields, "hello")))
            .unwrap();
        let temp = eventually(|| server.under_way(), |under_way| !under_way.is_empty());
        talk.knows("id", temp[0].split('.').next().unwrap());
        eventually(|| talk.record("id"), |record| record["received"] == 5);
        talk.says(&NONE.ask("HEAD", "id"), &NONE.told(5, Some(11)));
        assert_eq!(Reply::read(&mut line).json()["code"], "superseded");
        talk.says(
            &NONE.append("id", 5, true, " world"),
            &NONE.completed("id", 11),
        );
    }
}
