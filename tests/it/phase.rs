//! What the app reports of an upload that it has in hand, and its last word.

use serde_json::{Value, json};

use crate::support::app::{App, Gate, Seen};
use crate::support::{Reply, Server, eventually, form, part};

fn before(app: &App, more: &[&str]) -> Server {
    let url = app.url();
    let args = ["--app", &url, "--upload-path", "/upload"];
    Server::start(&[&args, more].concat())
}

/// An app that takes each form and works on it behind its answer.
fn that_works_on() -> App {
    let app = App::start();
    app.answers(
        202,
        "Dumbwaiter-Processing: ?1\r\nX-Kept: yes\r\n",
        b"working on it",
    );
    app
}

fn send(server: &Server) -> Reply {
    server.post("/upload", "", &form(&[part("f", Some("a"), b"x")]))
}

fn id(seen: &Seen) -> &str {
    seen.header("dumbwaiter-upload").unwrap()
}

fn record(server: &Server, seen: &Seen) -> Value {
    server
        .get(&format!("/_dumbwaiter/uploads/{}", id(seen)))
        .json()
}

/// The app's report on the upload that it was given so, as it would send it: to our address, by no name of ours.
fn report(server: &Server, seen: &Seen, body: &str) -> Reply {
    let token = seen.header("dumbwaiter-token").unwrap();
    put(
        server,
        seen.header("dumbwaiter-phase").unwrap(),
        token,
        body,
    )
}

fn put(server: &Server, path: &str, token: &str, body: &str) -> Reply {
    let length = body.len();
    server.send(
        format!(
            "PUT {path} HTTP/1.1\r\nHost: dumbwaiter.internal\r\nOrigin: https://elsewhere.example\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .as_bytes(),
    )
}

#[test]
fn an_upload_that_the_app_works_on_shows_its_steps_until_its_last_word() {
    let app = that_works_on();
    let server = before(&app, &[]);
    let reply = send(&server);
    assert_eq!((reply.status, reply.text()), (202, "working on it"));
    assert_eq!(reply.header("x-kept"), Some("yes"));
    assert_eq!(
        reply.header("dumbwaiter-processing"),
        None,
        "{}",
        reply.head
    );
    let seen = app.only();
    assert_eq!(record(&server, &seen)["state"], "processing");
    assert!(server.under_way().is_empty(), "the app has the bytes");
    let step = r#"{"name": "scanning", "done": 3, "total": 10}"#;
    assert_eq!(report(&server, &seen, step).status, 204);
    let now = record(&server, &seen);
    assert_eq!(
        now["phase"],
        json!({"name": "scanning", "done": 3, "total": 10})
    );
    assert_eq!(report(&server, &seen, r#"{"state": "done"}"#).status, 204);
    let look = || record(&server, &seen);
    eventually(look, |record| record["state"] == "done");
    // The token is worth nothing any more.
    eventually(
        || report(&server, &seen, step).status,
        |status| *status == 404,
    );
}

#[test]
fn the_app_may_end_an_upload_in_an_error_of_its_own() {
    let app = that_works_on();
    let server = before(&app, &[]);
    send(&server);
    let seen = app.only();
    let last = r#"{"name": "error", "message": "a virus"}"#;
    assert_eq!(report(&server, &seen, last).status, 204);
    let record = eventually(
        || record(&server, &seen),
        |record| record["state"] == "error",
    );
    assert_eq!(
        record["error"],
        json!({"code": "app_error", "message": "a virus", "status": 422})
    );
}

#[test]
fn the_app_reports_while_the_client_waits_too_and_its_word_counts_more_than_a_friendly_answer() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
        call.answer(200, "", b"hm");
    });
    let server = before(&app, &[]);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| send(&server));
        let seen = app.only();
        assert_eq!(
            report(&server, &seen, r#"{"name": "scanning"}"#).status,
            204
        );
        assert_eq!(record(&server, &seen)["phase"]["name"], "scanning");
        assert_eq!(
            report(&server, &seen, r#"{"state": "error", "message": "no"}"#).status,
            204
        );
        assert_eq!(record(&server, &seen)["state"], "processing");
        gate.open();
        assert_eq!(client.join().unwrap().text(), "hm");
        assert_eq!(record(&server, &seen)["error"]["message"], "no");
    });
}

#[test]
fn an_app_that_never_says_what_became_of_it_is_not_waited_for_for_ever() {
    let app = that_works_on();
    let server = before(&app, &["--processing-timeout", "200ms"]);
    assert_eq!(send(&server).status, 202);
    let seen = app.only();
    let record = eventually(
        || record(&server, &seen),
        |record| record["state"] == "error",
    );
    assert_eq!(record["error"]["code"], "processing_timeout");
}

#[test]
fn the_app_has_at_most_so_many_uploads_in_hand() {
    let app = that_works_on();
    let server = before(&app, &["--max-processing", "1"]);
    assert_eq!(send(&server).status, 202);
    let first = app.only();
    let reply = send(&server);
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (503, &json!("too_many_uploads"))
    );
    assert_eq!(app.seen().len(), 1, "it never heard of the second");
    report(&server, &first, r#"{"state": "done"}"#);
    eventually(|| send(&server).status, |status| *status == 202);
}

#[test]
fn only_the_token_of_an_upload_lets_report_on_it_and_only_reports_are_taken() {
    let app = that_works_on();
    let server = before(&app, &[]);
    send(&server);
    send(&server);
    let seen = app.asked(2);
    let path = |seen: &Seen| seen.header("dumbwaiter-phase").unwrap().to_owned();
    let token = |seen: &Seen| seen.header("dumbwaiter-token").unwrap().to_owned();
    let step = r#"{"name": "mine now"}"#;
    let unknown = path(&seen[0]).replace(id(&seen[0]), &"0".repeat(32));
    for (path, token) in [
        (path(&seen[0]), token(&seen[1])),
        (path(&seen[0]), String::new()),
        (path(&seen[0]), format!("{}x", token(&seen[0]))),
        (unknown, token(&seen[0])),
    ] {
        let reply = put(&server, &path, &token, step);
        assert_eq!(reply.status, 404, "{path} {token}");
    }
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(4096));
    for (body, status) in [("{}", 400), ("nonsense", 400), (&*long, 413)] {
        assert_eq!(report(&server, &seen[0], body).status, status, "{body}");
    }
    assert!(record(&server, &seen[0])["phase"].is_null());
    let post = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        path(&seen[0])
    );
    let reply = server.send(post.as_bytes());
    assert_eq!((reply.status, reply.header("allow")), (405, Some("PUT")));
}

#[test]
fn who_cancels_an_upload_that_the_app_works_on_behind_its_answer_ends_its_record() {
    let app = that_works_on();
    let server = before(&app, &[]);
    send(&server);
    let seen = app.only();
    let request = format!(
        "DELETE /_dumbwaiter/uploads/{} HTTP/1.1\r\nHost: a\r\n\r\n",
        id(&seen)
    );
    assert_eq!(server.send(request.as_bytes()).status, 204);
    assert_eq!(record(&server, &seen)["error"]["code"], "cancelled");
    let step = r#"{"name": "late"}"#;
    eventually(
        || report(&server, &seen, step).status,
        |status| *status == 404,
    );
}
