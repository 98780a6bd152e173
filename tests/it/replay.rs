//! Forms for an app behind, given to it as they came: what it is asked, what the client is answered, and what the record says
//! when any of the three goes away.

use std::io::{BufReader, Read as _, Write};

use serde_json::Value;

use crate::support::app::{App, Gate};
use crate::support::{Reply, Server, eventually, form, noise, part, post};

/// A server before `app`, which takes forms at `/upload` for it.
fn before(app: &App, more: &[&str]) -> Server {
    let url = app.url();
    let args = ["--app", &url, "--upload-path", "/upload"];
    Server::start(&[&args, more].concat())
}

/// The record of the upload under this progress id, once it fits.
fn record(server: &Server, progress_id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let target = format!("/_dumbwaiter/uploads?X-Progress-ID={progress_id}");
    let look = || match server.get(&target) {
        reply if reply.status == 200 => reply.json()[0].clone(),
        _ => Value::Null,
    };
    eventually(look, |record| fits(record))
}

fn ended(server: &Server, progress_id: &str) -> Value {
    record(server, progress_id, |record| {
        record["state"] == "done" || record["state"] == "error"
    })
}

/// The end of an upload in words: its state, and the code of its error.
fn how(record: &Value) -> (&str, Option<&str>) {
    (
        record["state"].as_str().unwrap(),
        record["error"]["code"].as_str(),
    )
}

/// Nothing of any upload is left on the disk.
fn is_empty(server: &Server) {
    assert_eq!(server.files(), [""; 0]);
    let none = |left: &Vec<String>| left.is_empty();
    eventually(|| server.under_way(), none);
}

#[test]
fn the_app_gets_the_form_as_it_came_and_its_answer_goes_to_the_client_as_it_is() {
    let app = App::start();
    let headers = "Content-Type: text/x-dish\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nLocation: /dishes/12\r\n";
    app.answers(302, headers, b"taken");
    let server = before(&app, &[]);
    let picture = noise(700_000);
    let mut body = b"preamble\r\n".to_vec();
    body.extend(form(&[
        part("picture", Some("paella.jpg"), &picture),
        part("X-Progress-ID", None, b"hidden"),
        part("none", Some(""), b""),
        part("id", None, b"12"),
    ]));
    body.extend_from_slice(b"epilogue");
    let reply = server.post(
        "/upload?a=1&X-Progress-ID=0.42&b=2",
        "Cookie: session=7\r\n",
        &body,
    );
    assert_eq!((reply.status, reply.text()), (302, "taken"));
    assert_eq!(reply.header("content-type"), Some("text/x-dish"));
    assert_eq!(reply.header("location"), Some("/dishes/12"));
    assert_eq!(
        reply.head.matches("set-cookie: ").count(),
        2,
        "{}",
        reply.head
    );

    let seen = app.only();
    assert_eq!((seen.method(), seen.target()), ("POST", "/upload?a=1&b=2"));
    assert!(seen.body == body, "not the form that came");
    let length = body.len().to_string();
    for (name, value) in [
        ("host", "a"),
        ("content-type", "multipart/form-data; boundary=b"),
        ("content-length", &*length),
        ("x-progress-id", "0.42"),
        ("cookie", "session=7"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("transfer-encoding"), None);
    let record = ended(&server, "0.42");
    assert_eq!(how(&record), ("done", None));
    assert_eq!(record["length"], body.len());
    is_empty(&server);
}

#[test]
fn a_put_and_a_form_in_chunks_are_replayed_with_their_length() {
    let app = App::start();
    let server = before(&app, &[]);
    let body = form(&[part("f", Some("a"), b"in chunks")]);
    let (first, second) = body.split_at(20);
    let mut request =
        b"PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
        Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nTrailer: X-Behind\r\n\r\n"
            .to_vec();
    for chunk in [first, second] {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let mut stream = server.connect();
    stream.write_all(&request).unwrap();
    let mut reader = BufReader::new(&mut stream);
    let mut reply = Reply::next(&mut reader).unwrap();
    if reply.status == 100 {
        reply = Reply::next(&mut reader).unwrap();
    }
    assert_eq!((reply.status, reply.text()), (200, "ok"));
    let seen = app.only();
    assert_eq!((seen.method(), seen.body == body), ("PUT", true));
    assert_eq!(
        seen.header("content-length"),
        Some(&*body.len().to_string())
    );
    for name in ["transfer-encoding", "expect", "trailer"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[test]
fn the_progress_id_stays_in_the_query_where_that_is_wanted() {
    let app = App::start();
    let server = before(&app, &["--replay-query", "keep"]);
    let body = form(&[part("f", Some("a"), b"x")]);
    server.post("/upload?X-Progress-ID=1", "", &body);
    let seen = app.only();
    assert_eq!(seen.target(), "/upload?X-Progress-ID=1");
    assert_eq!(seen.header("x-progress-id"), None);
}

#[test]
fn the_app_hears_nothing_of_a_form_that_breaks_off_or_is_refused() {
    let app = App::start();
    let server = before(
        &app,
        &["--max-skeleton", "200", "--max-upload-size", "1MiB"],
    );
    let whole = form(&[part("f", Some("a"), &noise(100_000))]);
    let mut stream = server.connect();
    stream
        .write_all(&post("/upload?X-Progress-ID=cut", "", &whole)[..50_000])
        .unwrap();
    record(&server, "cut", |record| record["state"] == "uploading");
    drop(stream);
    assert_eq!(how(&ended(&server, "cut")), ("error", Some("client_gone")));
    let wide = form(&[part("f", None, &[b'x'; 300])]);
    for (id, body, status, code) in [
        ("torn", &whole[..whole.len() - 9], 400, "truncated_form"),
        ("wide", &wide, 413, "limit_exceeded"),
        ("large", &noise(2 << 20), 413, "upload_too_large"),
    ] {
        let reply = server.post(&format!("/upload?X-Progress-ID={id}"), "", body);
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(how(&ended(&server, id)), ("error", Some(code)));
    }
    // Larger than that with its file is fine.
    assert_eq!(server.post("/upload", "", &whole).status, 200);
    assert_eq!(app.seen().len(), 1);
    is_empty(&server);
}

#[test]
fn while_the_app_works_the_upload_is_processing_and_the_articles_poll_stops_short_of_its_end() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
        call.answer(200, "", b"at last");
    });
    let server = before(&app, &["--poll-path", "/get_upload_progress"]);
    let body = form(&[part("f", Some("a"), &noise(400_000))]);
    let mut stream = server.connect();
    stream
        .write_all(&post("/upload?X-Progress-ID=p", "", &body))
        .unwrap();
    app.only();
    let now = record(&server, "p", |record| record["state"] == "processing");
    assert_eq!(now["received"], body.len());
    let poll = || server.get("/get_upload_progress?X-Progress-ID=p");
    let short = format!(
        "{{\"uploaded\": {}, \"length\": {}}}",
        body.len() - 1,
        body.len()
    );
    assert_eq!(
        poll().json(),
        serde_json::from_str::<Value>(&short).unwrap()
    );
    gate.open();
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.text(), "at last");
    // Whoever has the answer finds the end told.
    assert_eq!(poll().json(), Value::Null);
    let record = ended(&server, "p");
    assert_eq!(how(&record), ("done", None));
    let id = app.only().header("dumbwaiter-upload").unwrap().to_owned();
    let record = server.get(&format!("/_dumbwaiter/uploads/{id}")).json();
    assert_eq!(record["files"][0]["name"], "a");
    assert!(
        record["url"].is_null() && record["files"][0]["url"].is_null(),
        "{record}"
    );
}

#[test]
fn a_page_that_asks_is_told_where_the_app_redirects_to_and_its_browser_does_not_follow_unseen() {
    let app = App::start();
    let server = before(&app, &[]);
    let body = form(&[part("f", Some("a"), b"x")]);
    let asks = "Dumbwaiter-Redirect: ?1\r\n";
    for (status, asks, location, told) in [
        (301, asks, None, Some("https://login.example/?next=1")),
        (302, asks, None, Some("https://login.example/?next=1")),
        (303, asks, None, Some("https://login.example/?next=1")),
        // The form itself goes there: that is for the browser to do.
        (307, asks, Some("https://login.example/?next=1"), None),
        (308, asks, Some("https://login.example/?next=1"), None),
        (201, asks, Some("https://login.example/?next=1"), None),
        (302, "", Some("https://login.example/?next=1"), None),
        (
            302,
            "Dumbwaiter-Redirect: ?0\r\n",
            Some("https://login.example/?next=1"),
            None,
        ),
    ] {
        let headers = "Location: https://login.example/?next=1\r\nDumbwaiter-Location: /forged\r\nSet-Cookie: a=1\r\n";
        app.answers(status, headers, b"there");
        let reply = server.post("/upload", asks, &body);
        assert_eq!((reply.status, reply.text()), (status, "there"));
        assert_eq!(reply.header("location"), location, "{status} {asks}");
        assert_eq!(reply.header("dumbwaiter-location"), told, "{status} {asks}");
        assert_eq!(reply.header("set-cookie"), Some("a=1"));
    }
}

#[test]
fn the_apps_status_says_how_the_upload_ends_and_the_client_gets_its_answer_all_the_same() {
    let app = App::start();
    let server = before(&app, &["--app-refuses", "409,450-599"]);
    let body = form(&[part("f", Some("a"), b"x")]);
    for (status, state, code) in [
        (201, "done", None),
        (303, "done", None),
        (409, "error", Some("app_refused")),
        (422, "error", Some("app_failed")),
        (450, "error", Some("app_refused")),
        (500, "error", Some("app_refused")),
    ] {
        app.answers(status, "", b"the app's words");
        let reply = server.post(&format!("/upload?X-Progress-ID={status}"), "", &body);
        assert_eq!((reply.status, reply.text()), (status, "the app's words"));
        let record = ended(&server, &status.to_string());
        assert_eq!(how(&record), (state, code), "{status}");
        if let Some("app_refused") = code {
            assert_eq!(record["error"]["status"], status);
        }
    }
    is_empty(&server);
}

#[test]
fn an_app_that_fails_unless_told_otherwise_has_not_refused() {
    let app = App::start();
    let server = before(&app, &[]);
    let body = form(&[part("f", Some("a"), b"x")]);
    for (status, code) in [
        (400, "app_refused"),
        (499, "app_refused"),
        (500, "app_failed"),
        (503, "app_failed"),
    ] {
        app.answers(status, "", b"");
        assert_eq!(
            server
                .post(&format!("/upload?X-Progress-ID={status}"), "", &body)
                .status,
            status
        );
        assert_eq!(
            how(&ended(&server, &status.to_string())),
            ("error", Some(code))
        );
    }
}

/// Sends a form of this file in part `f` and leaves the connection open.
fn begin(server: &Server, progress_id: &str, file: &[u8]) -> std::net::TcpStream {
    let body = form(&[part("f", Some("a"), file)]);
    let mut stream = server.connect();
    let target = format!("/upload?X-Progress-ID={progress_id}");
    stream.write_all(&post(&target, "", &body)).unwrap();
    stream
}

#[test]
fn an_app_that_is_not_there_costs_the_client_a_502_and_the_next_one_finds_it() {
    let app = App::start();
    let (server, address) = (before(&app, &[]), app.address);
    app.dies();
    let reply = Reply::read(&mut begin(&server, "gone", b"x"));
    assert_eq!(reply.status, 502, "{reply:?}");
    assert_eq!(reply.json()["code"], "app_unreachable");
    assert_eq!(
        how(&ended(&server, "gone")),
        ("error", Some("app_unreachable"))
    );
    let app = App::start_at(address);
    assert_eq!(Reply::read(&mut begin(&server, "back", b"x")).status, 200);
    assert_eq!(how(&ended(&server, "back")), ("done", None));
    assert!(app.only().body.ends_with(b"x\r\n--b--\r\n"));
    is_empty(&server);
}

#[test]
fn an_app_that_dies_before_it_has_answered_is_not_asked_again_and_the_client_is_told() {
    let app = App::start();
    let server = before(&app, &[]);
    let large = noise(8 << 20);
    // Before it has read anything, in the middle of the form, and behind it.
    for (id, bytes) in [("head", 0), ("body", 3 << 20), ("all", u64::MAX)] {
        app.does(move |call| match bytes {
            u64::MAX => drop(call.read()),
            bytes => call.read_some(bytes),
        });
        let reply = Reply::read(&mut begin(&server, id, &large));
        assert_eq!(reply.status, 502, "{id}: {reply:?}");
        assert_eq!(how(&ended(&server, id)), ("error", Some("app_unreachable")));
    }
    assert_eq!(app.seen().len(), 3);
    is_empty(&server);
}

#[test]
fn an_app_that_dies_within_its_answer_has_taken_the_upload_and_the_client_sees_a_broken_answer() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning");
        waits.wait();
    });
    let server = before(&app, &[]);
    let mut stream = begin(&server, "torn", b"x");
    let mut answer = Vec::new();
    while !answer.ends_with(b"the beginning") {
        let mut some = [0; 512];
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "{}", answer.escape_ascii());
        answer.extend_from_slice(&some[..read]);
    }
    gate.open();
    // What is cut has no last byte; how it is cut is the system's affair.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    assert_eq!(how(&ended(&server, "torn")), ("done", None));
    is_empty(&server);
}

#[test]
fn an_app_that_says_nothing_and_one_that_reads_nothing_cost_the_client_a_504() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| match call.seen().target() {
        "/upload?reads" => {
            call.read();
            call.until_gone();
        }
        _ => waits.wait(),
    });
    let server = before(&app, &["--app-timeout", "1s"]);
    for target in ["reads", "reads-nothing"] {
        let body = form(&[part("f", Some("a"), &noise(16 << 20))]);
        let reply = server.post(
            &format!("/upload?{target}&X-Progress-ID={target}"),
            "",
            &body,
        );
        assert_eq!(reply.status, 504, "{reply:?}");
        assert_eq!(reply.json()["code"], "app_timeout");
        assert_eq!(how(&ended(&server, target)), ("error", Some("app_timeout")));
    }
    gate.open();
    is_empty(&server);
}

#[test]
fn once_all_bytes_are_here_the_client_may_go_and_the_record_tells_how_it_ends() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
        let refused = call.seen().body.ends_with(b"no\r\n--b--\r\n");
        call.answer(if refused { 403 } else { 200 }, "", b"to nobody");
    });
    let server = before(&app, &[]);
    let streams = [begin(&server, "yes", b"yes"), begin(&server, "no", b"no")];
    eventually(
        || app.seen(),
        |seen| seen.iter().filter(|seen| seen.whole).count() == 2,
    );
    drop(streams);
    for id in ["yes", "no"] {
        record(&server, id, |record| record["state"] == "processing");
    }
    gate.open();
    assert_eq!(how(&ended(&server, "yes")), ("done", None));
    assert_eq!(how(&ended(&server, "no")), ("error", Some("app_refused")));
    is_empty(&server);
}

#[test]
fn who_cancels_an_upload_that_the_app_works_on_takes_it_from_the_app() {
    let (app, gone) = (App::start(), Gate::default());
    let tells = gone.clone();
    app.does(move |call| {
        call.read();
        call.until_gone();
        tells.open();
    });
    let server = before(&app, &[]);
    let mut stream = begin(&server, "c", &noise(300_000));
    let id = app.only().header("dumbwaiter-upload").unwrap().to_owned();
    let request = format!("DELETE /_dumbwaiter/uploads/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.send(request.as_bytes()).status, 204);
    gone.wait();
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.json()["code"], "cancelled");
    assert_eq!(how(&ended(&server, "c")), ("error", Some("cancelled")));
    is_empty(&server);
}

#[test]
fn a_server_that_stops_waits_for_the_apps_answer_as_long_as_its_grace_lasts() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.read();
        waits.wait();
        call.answer(200, "", b"in time");
    });
    let mut server = before(&app, &[]);
    let mut stream = begin(&server, "s", b"x");
    app.only();
    server.signal(rustix::process::Signal::TERM);
    // It takes no new connections by now.
    eventually(
        || std::net::TcpStream::connect(server.address).is_err(),
        |gone| *gone,
    );
    gate.open();
    assert_eq!(Reply::read(&mut stream).text(), "in time");
    assert!(server.ends().success());
    assert!(server.under_way().is_empty());
}

#[test]
fn a_server_whose_grace_is_over_tells_the_client_and_leaves_nothing() {
    let app = App::start();
    app.does(|call| {
        call.read();
        call.until_gone();
    });
    let mut server = before(&app, &["--shutdown-grace", "100ms"]);
    let mut stream = begin(&server, "s", b"x");
    app.only();
    server.signal(rustix::process::Signal::TERM);
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.json()["code"], "shutting_down");
    assert!(server.ends().success());
    assert!(server.under_way().is_empty());
}

#[test]
fn a_server_that_is_killed_while_the_app_works_leaves_nothing_behind() {
    let app = App::start();
    app.does(|call| {
        call.read();
        call.until_gone();
    });
    let mut server = before(&app, &[]);
    let mut stream = begin(&server, "k", &noise(300_000));
    app.only();
    assert_eq!(server.under_way().len(), 1);
    server.kill();
    assert!(Reply::try_read(&mut stream).is_err());
    let server = Server::start_in(&server.dir, &[]);
    assert!(server.under_way().is_empty());
}

#[test]
fn an_answer_before_the_end_of_the_form_reaches_the_client_at_once() {
    let (app, gate) = (App::start(), Gate::default());
    let waits = gate.clone();
    app.does(move |call| {
        call.say(b"HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
        waits.wait();
        // Some apps read on, some do not.
        if call.seen().target() == "/upload?on" {
            call.read();
        }
    });
    let server = before(&app, &[]);
    let body = form(&[part("f", Some("a"), &noise(16 << 20))]);
    for target in ["on", "off"] {
        let reply = server.post(
            &format!("/upload?{target}&X-Progress-ID={target}"),
            "",
            &body,
        );
        assert_eq!((reply.status, reply.text()), (413, "early"));
        gate.open();
        assert_eq!(how(&ended(&server, target)), ("error", Some("app_refused")));
    }
    assert!(app.seen()[0].body == body, "what the app wanted to read");
    is_empty(&server);
}

#[test]
fn a_form_that_comes_round_again_is_refused() {
    let app = App::start();
    let server = before(&app, &[]);
    Reply::read(&mut begin(&server, "1", b"x"));
    let mark = app.only().header("dumbwaiter-through").unwrap().to_owned();
    let headers = format!("Dumbwaiter-Through: {mark}\r\n");
    let reply = server.post("/upload", &headers, &form(&[part("f", Some("a"), b"x")]));
    assert_eq!(reply.status, 508, "{reply:?}");
    assert_eq!(app.seen().len(), 1);
}

#[test]
fn many_forms_at_once_reach_the_app_each_as_it_came() {
    let app = App::start();
    app.does(|call| {
        let body = call.read().body.clone();
        call.answer(200, "", &body);
    });
    let server = before(&app, &[]);
    std::thread::scope(|scope| {
        for client in 0..8_usize {
            let server = &server;
            scope.spawn(move || {
                for round in 0..8_usize {
                    let file = &noise(400_000)[client * 1000 + round..];
                    let body = form(&[part("n", None, b"1"), part("f", Some("a"), file)]);
                    let reply = server.post("/upload", "", &body);
                    assert!(
                        reply.status == 200 && reply.body == body,
                        "{client} {round}"
                    );
                }
            });
        }
    });
    is_empty(&server);
}
