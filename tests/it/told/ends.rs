//! How an upload ends that the app works on, or that somebody ends meanwhile.

use std::io::Write as _;

use rustix::process::Signal;

use super::{Pair, SOON, put, told_id};
use crate::support::app::{Gate, Seen};
use crate::support::{Reply, eventually};

const WORKS: &str = "Dumbwaiter-Processing: ?1\r\n";

/// The app reports on the upload that it was told of by `seen`.
fn report(pair: &Pair, seen: &Seen, json: &str) -> Reply {
    let path = seen.header("dumbwaiter-phase").unwrap();
    let token = seen.header("dumbwaiter-token").unwrap();
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    );
    pair.server.send(request.as_bytes())
}

#[test]
fn an_app_that_works_on_says_at_last_what_became_of_it_also_to_a_new_server() {
    let mut pair = Pair::start(&[]);
    pair.app.answers(202, WORKS, b"working");
    let reply = pair.put("a", "hello");
    assert_eq!((reply.status, reply.text()), (202, "working"));
    let seen = pair.app.only();
    let id = told_id(&seen);
    assert_eq!(pair.record(&id)["state"], "processing");
    let step = r#"{"name": "scanning", "done": 3, "total": 10}"#;
    assert_eq!(report(&pair, &seen, step).status, 204);
    let record = eventually(
        || pair.record(&id),
        |record| record["phase"]["name"] == "scanning",
    );
    assert_eq!(record["phase"]["done"], 3);
    pair.crash();
    assert_eq!(pair.record(&id)["state"], "processing");
    assert_eq!(pair.answer(&id).text(), "working");
    let done = r#"{"name": "done"}"#;
    eventually(
        || report(&pair, &seen, done).status,
        |status| *status == 204,
    );
    let record = pair.until(&id, "done");
    assert_eq!(record["files"][0]["name"], "a");
    assert_eq!(record["url"], format!("/files/{id}"));
    assert_eq!(pair.app.seen().len(), 1, "told once");
    pair.crash();
    assert_eq!(pair.answer(&id).text(), "working");
    assert_eq!(pair.server.files(), ["a"]);
}

#[test]
fn an_app_that_says_error_at_last_refuses_the_upload() {
    let pair = Pair::start(&["--app-grace", "0s"]);
    pair.app.answers(200, WORKS, b"");
    pair.put("a", "hello");
    let seen = pair.app.only();
    let error = r#"{"name": "error", "message": "a virus"}"#;
    assert_eq!(report(&pair, &seen, error).status, 204);
    let record = pair.until(&told_id(&seen), "error");
    assert_eq!(record["error"]["message"], "a virus");
    eventually(|| pair.server.files(), Vec::is_empty);
}

#[test]
fn an_app_that_never_says_so_leaves_an_error_and_the_files() {
    let pair = Pair::start(&["--processing-timeout", "1s"]);
    pair.app.answers(200, WORKS, b"");
    pair.put("a", "hello");
    let record = pair.until(&told_id(&pair.app.only()), "error");
    assert_eq!(record["error"]["code"], "processing_timeout");
    assert_eq!(pair.server.files(), ["a"]);
}

fn delete(pair: &Pair, id: &str) -> u16 {
    let request = format!("DELETE /uploads/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    pair.server.send(request.as_bytes()).status
}

/// While it waits to be told, while it is told, and while it works.
#[test]
fn whoever_may_ends_an_upload_at_every_stage_of_its_hand_off() {
    let pair = Pair::start(&["--hand-off-retry", "1h", "--hand-off-retry-most", "1h"]);
    pair.app.answers(500, "", b"");
    let waiting = pair.put("a", "x").json()["id"].as_str().unwrap().to_owned();
    pair.app.answers(200, WORKS, b"");
    pair.put("b", "x");
    let works = told_id(&pair.app.asked(2)[1]);
    pair.app.does(|call| {
        call.read();
        call.until_gone();
    });
    let mut line = pair.server.connect();
    line.write_all(put("c", "x").as_bytes()).unwrap();
    let told = told_id(&pair.app.asked(3)[2]);
    for id in [&waiting, &works, &told] {
        assert_eq!(pair.record(id)["state"], "processing");
        assert_eq!(delete(&pair, id), 204);
        assert_eq!(pair.answer(id).status, 404);
    }
    // Its client is told too.
    assert_eq!(Reply::read(&mut line).json()["error"]["code"], "cancelled");
    assert!(pair.server.files().is_empty());
    assert_eq!(pair.record(&told)["error"]["code"], "cancelled");
}

/// What is being told is told once more by the next server, what waits is not waited for.
#[test]
fn a_server_that_stops_leaves_what_is_due_to_the_next() {
    let mut pair = Pair::start(&[&SOON[..], &["--shutdown-grace", "200ms"]].concat());
    let gate = Gate::default();
    let held = gate.clone();
    pair.app.does(move |call| {
        call.read();
        held.wait();
        call.answer(200, "", b"yes");
    });
    let mut line = pair.server.connect();
    line.write_all(put("a", "x").as_bytes()).unwrap();
    let id = told_id(&pair.app.asked(1)[0]);
    pair.server.signal(Signal::TERM);
    assert!(pair.server.ends().success());
    gate.open();
    pair.crash();
    pair.until(&id, "done");
    assert_eq!(pair.answer(&id).text(), "yes");
    assert_eq!(told_id(&pair.app.asked(2)[1]), id);
}
