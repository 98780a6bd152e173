//! The app is asked before a body is read, and its word counts.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{asking, put, request};
use crate::support::app::{App, Gate};
use crate::support::logged::Logged;
use crate::support::{Reply, eventually, form, part, post};

const NO: &str = "WWW-Authenticate: Custom realm=\"x\"\r\nSet-Cookie: a=1\r\nX-App: yes\r\nDumbwaiter-Owner: anna\r\n\
    Connection: x-hop\r\nX-Hop: 1\r\n";

#[test]
fn every_act_is_asked_about_and_a_no_goes_to_the_client_as_it_is() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(403, NO, b"not you");
    let id = "0".repeat(32);
    let tus = "Tus-Resumable: 1.0.0\r\n";
    let cases = [
        ("PUT", "/files/a.txt".to_owned(), "", "upload", None),
        (
            "POST",
            "/upload".to_owned(),
            "Content-Type: multipart/form-data; boundary=b\r\n",
            "upload",
            None,
        ),
        ("POST", "/files/".to_owned(), tus, "upload", None),
        (
            "POST",
            "/filepond".to_owned(),
            "Content-Type: multipart/form-data; boundary=b\r\n",
            "upload",
            None,
        ),
        ("PATCH", format!("/files/{id}"), tus, "upload", Some(&id)),
        (
            "PATCH",
            format!("/filepond?patch={id}"),
            "",
            "upload",
            Some(&id),
        ),
        ("GET", format!("/files/{id}"), "", "read", Some(&id)),
        ("GET", format!("/uploads/{id}"), "", "watch", Some(&id)),
        (
            "GET",
            "/progress?X-Progress-ID=7".to_owned(),
            "",
            "watch",
            None,
        ),
        (
            "GET",
            "/get_upload_progress?X-Progress-ID=7".to_owned(),
            "",
            "watch",
            None,
        ),
        ("DELETE", format!("/uploads/{id}"), "", "remove", Some(&id)),
        ("DELETE", format!("/files/{id}"), tus, "remove", Some(&id)),
        ("GET", "/".to_owned(), "", "page", None),
    ];
    for (nth, (method, target, fields, act, upload)) in cases.iter().enumerate() {
        let reply = server.send(&request(method, target, fields, b""));
        let seen = app.seen().pop().unwrap();
        assert_eq!(app.seen().len(), nth + 1, "{method} {target}");
        assert_eq!(
            (reply.status, reply.text()),
            (403, "not you"),
            "{method} {target}"
        );
        assert_eq!(reply.header("set-cookie"), Some("a=1"));
        assert_eq!(reply.header("www-authenticate"), Some("Custom realm=\"x\""));
        assert_eq!(
            (reply.header("x-hop"), reply.header("dumbwaiter-owner")),
            (None, None)
        );
        assert_eq!((seen.method(), seen.target()), ("POST", "/may"));
        assert_eq!(
            seen.header("dumbwaiter-act"),
            Some(*act),
            "{method} {target}"
        );
        assert_eq!(seen.header("dumbwaiter-method"), Some(*method));
        assert_eq!(seen.header("dumbwaiter-path"), Some(&**target));
        assert_eq!(
            seen.header("dumbwaiter-upload"),
            upload.map(|id| &**id),
            "{method} {target}"
        );
    }
    assert!(server.files().is_empty());
}

#[test]
fn the_app_hears_who_asks_and_what_comes_and_gets_no_body() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(401, "", b"log in");
    let fields = "Cookie: sessionid=7\r\nAuthorization: Bearer x\r\nX-CSRFToken: t\r\nContent-Type: image/png\r\n\
        Dumbwaiter-Act: page\r\nDumbwaiter_Upload: 1\r\nX-Forwarded-For: 6.6.6.6\r\nExpect: 100-continue\r\n\
        Accept-Encoding: gzip\r\n";
    let mut stream = server.connect();
    let head = put("/files/%E6%96%99%20a.png?x=1", fields, b"");
    let head = String::from_utf8(head)
        .unwrap()
        .replace("Content-Length: 0", "Content-Length: 5");
    stream.write_all(head.as_bytes()).unwrap();
    // No 100 comes before the refusal: nothing of the body was asked for.
    assert_eq!(Reply::read(&mut stream).status, 401);
    let seen = app.only();
    for (name, value) in [
        ("cookie", Some("sessionid=7")),
        ("authorization", Some("Bearer x")),
        ("x-csrftoken", Some("t")),
        ("host", Some("a")),
        ("content-length", Some("0")),
        ("content-type", None),
        ("accept-encoding", None),
        ("expect", None),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("dumbwaiter-act", Some("upload")),
        ("dumbwaiter-length", Some("5")),
        ("dumbwaiter-name", Some("%E6%96%99%20a.png")),
        ("dumbwaiter-path", Some("/files/%E6%96%99%20a.png?x=1")),
        ("dumbwaiter-upload", None),
        ("dumbwaiter_upload", None),
    ] {
        assert_eq!(seen.header(name), value, "{name}: {}", seen.head);
    }
    let tus =
        "Tus-Resumable: 1.0.0\r\nUpload-Length: 700\r\nUpload-Metadata: filename Yi50eHQ=\r\n";
    server.send(&request("POST", "/files/", tus, b""));
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.header("dumbwaiter-length"), Some("700"));
    assert_eq!(seen.header("dumbwaiter-name"), Some("b.txt"));
}

#[test]
fn where_the_app_says_neither_yes_nor_no_the_policy_decides() {
    for (policy, status) in [("refuse", 503), ("allow", 201)] {
        let app = App::start();
        let server = asking(&app, &["--ask-failure", policy, "--ask-timeout", "300ms"]);
        let gate = Gate::default();
        let held = gate.clone();
        let answers: [Box<dyn Fn()>; 6] = [
            Box::new(|| app.answers(500, "", b"")),
            Box::new(|| app.answers(404, "", b"")),
            Box::new(|| app.answers(302, "Location: /login\r\n", b"")),
            Box::new(|| {
                app.answers(
                    200,
                    "Content-Type: application/json\r\n",
                    b"{\"maxsize\": 1}",
                )
            }),
            Box::new(|| {
                app.does(|call| {
                    call.read();
                })
            }),
            Box::new(|| {
                let held = held.clone();
                app.does(move |_| held.wait());
            }),
        ];
        for (nth, answer) in answers.iter().enumerate() {
            answer();
            let reply = server.send(&put("/files/a.txt", "", b"x"));
            assert_eq!(reply.status, status, "{policy} {nth}: {}", reply.text());
            if status == 503 {
                assert_eq!(reply.json()["code"], "ask_failed");
            }
        }
        gate.open();
        assert_eq!(server.files().is_empty(), status == 503);
    }
}

#[test]
fn an_app_that_is_gone_lets_nobody_in_and_the_log_says_so() {
    let app = App::start();
    let url = format!("{}/may", app.url());
    app.dies();
    let logged = Logged::start(&["--ask", &url]);
    let reply = logged.server.send(&put("/files/a.txt", "", b"x"));
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (503, Some("ask_failed"))
    );
    assert!(reply.header("retry-after").is_some(), "{}", reply.head);
    let log = logged.logs("could not be asked who may");
    assert!(log.contains(&url[..url.len() - 4]), "{log}");
}

#[test]
fn a_yes_counts_for_a_while_for_the_same_sender_and_act_and_a_begin_is_always_asked() {
    let app = App::start();
    let server = asking(&app, &["--ask-keep", "1h"]);
    let asked = || app.seen().len();
    let record = server
        .send(&put("/files/a.txt?X-Progress-ID=7", "", b"x"))
        .json();
    // Before, and at its end.
    assert_eq!(asked(), 2);
    let watch = format!("/uploads/{}", record["watch"].as_str().unwrap());
    let look = |target: &str, fields: &str| server.get_with(target, fields).status;
    for _ in 0..5 {
        assert_eq!(look(&watch, "Cookie: a=1\r\n"), 200);
        assert_eq!(look(&watch, "Cookie: a=1\r\nLast-Event-ID: 3\r\n"), 200);
    }
    assert_eq!(asked(), 3, "one sender, one upload, one act");
    look(&watch, "Cookie: a=2\r\n");
    assert_eq!(asked(), 4, "another sender");
    look("/progress?X-Progress-ID=7", "Cookie: a=1\r\n");
    look("/progress?X-Progress-ID=8", "Cookie: a=1\r\n");
    assert_eq!(asked(), 6, "other uploads");
    for _ in 0..3 {
        let before = asked();
        server.send(&put("/files/a.txt", "", b"x"));
        assert_eq!(asked(), before + 2, "an upload that begins");
    }
    app.answers(403, "", b"");
    let before = asked();
    assert_eq!(look(&watch, "Cookie: a=1\r\n"), 200, "kept");
    for nth in 1..3 {
        assert_eq!(look(&watch, "Cookie: a=3\r\n"), 403);
        assert_eq!(asked(), before + nth, "a no is not kept");
    }
}

#[test]
fn a_yes_that_stood_on_a_query_counts_for_no_other_query() {
    let app = App::start();
    let server = asking(&app, &["--ask-keep", "1h"]);
    let record = server.send(&put("/files/a.txt", "", b"x")).json();
    let watch = format!("/uploads/{}", record["watch"].as_str().unwrap());
    app.does(
        |call| match call.seen().header("dumbwaiter-path").unwrap() {
            path if path.ends_with("?key=good") => call.answer(204, "", b""),
            _ => call.answer(403, "", b""),
        },
    );
    for (query, status) in [
        ("?key=bad", 403),
        ("?key=good", 200),
        ("?key=bad", 403),
        ("", 403),
    ] {
        assert_eq!(
            server.get(&format!("{watch}{query}")).status,
            status,
            "{query:?}"
        );
    }
}

#[test]
fn no_name_hides_from_the_app_which_uploads_are_looked_at() {
    let app = App::start();
    let server = asking(&app, &[]);
    let record = server.send(&put("/files/a.txt", "", b"x")).json();
    let watch = record["watch"].as_str().unwrap();
    app.does(|call| match call.seen().header("dumbwaiter-upload") {
        Some(_) => call.answer(403, "", b""),
        None => call.answer(204, "", b""),
    });
    for beside in ["", "&id=%0A", "&id=%00", "&id=%7F", "&id=%C3%BC"] {
        let reply = server.get(&format!("/uploads?id={watch}{beside}"));
        assert_eq!(reply.status, 403, "{beside:?}");
    }
    let seen = app.seen();
    let said = |at: usize| seen[at].header("dumbwaiter-upload").map(str::to_owned);
    assert_eq!(said(seen.len() - 5), Some(watch.to_owned()));
    assert_eq!(said(seen.len() - 4), Some(format!("{watch},%0A")));
}

#[test]
fn kept_yeses_are_bounded_and_the_oldest_goes() {
    let app = App::start();
    let server = asking(&app, &["--ask-keep", "1h", "--max-asked", "2"]);
    let look = |id: u8| server.get(&format!("/progress?X-Progress-ID={id}")).status;
    for id in [1, 2, 3] {
        look(id);
    }
    assert_eq!(app.seen().len(), 3);
    look(3);
    look(2);
    assert_eq!(app.seen().len(), 3, "the two newest are kept");
    look(1);
    assert_eq!(app.seen().len(), 4);
    let server = asking(&app, &["--ask-keep", "0s"]);
    for nth in 5..8 {
        server.get("/progress?X-Progress-ID=1");
        assert_eq!(app.seen().len(), nth, "nothing is kept");
    }
}

#[test]
fn no_more_questions_are_asked_at_once_than_may_be() {
    let app = App::start();
    let server = Arc::new(asking(&app, &["--max-asking", "2", "--ask-timeout", "1m"]));
    let (now, most, gate) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Gate::default(),
    );
    let (at_once, highest, held) = (now.clone(), most.clone(), gate.clone());
    app.does(move |call| {
        highest.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        held.wait();
        at_once.fetch_sub(1, Ordering::SeqCst);
        call.answer(204, "", b"");
    });
    let uploads: Vec<_> = (0..20)
        .map(|nth| {
            let server = server.clone();
            let body = vec![b'x'; nth + 1];
            thread::spawn(move || {
                server
                    .send(&put(&format!("/files/{nth}"), "", &body))
                    .status
            })
        })
        .collect();
    app.asked(2);
    gate.open();
    for upload in uploads {
        assert_eq!(upload.join().unwrap(), 201);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(server.files().len(), 20);
}

#[test]
fn whom_the_app_names_finds_an_upload_by_its_progress_id_from_anywhere_and_nobody_else_does() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.does(|call| {
        let user = call
            .seen()
            .header("x-user")
            .map(|user| format!("Dumbwaiter-Owner: {user}\r\n"));
        call.answer(204, &user.unwrap_or_default(), b"");
    });
    let body = form(&[part("picture", Some("a.jpg"), b"soup")]);
    let request = post("/upload?X-Progress-ID=7", "X-User: anna\r\n", &body);
    let mut stream = server.connect();
    stream.write_all(&request[..request.len() - 3]).unwrap();
    let poll = |user: &str| {
        let reply = server.get_with("/get_upload_progress?X-Progress-ID=7", user);
        reply.text().to_owned()
    };
    let came = |text: &String| text.contains("\"uploaded\"");
    eventually(|| poll("X-User: anna\r\n"), came);
    assert_eq!(poll("X-User: berta\r\n"), "null");
    assert_eq!(poll(""), "null", "the address is nobody's");
    let mut elsewhere = crate::support::connect_from(server.address, 9);
    let get =
        "GET /get_upload_progress?X-Progress-ID=7 HTTP/1.1\r\nHost: a\r\nX-User: anna\r\n\r\n";
    elsewhere.write_all(get.as_bytes()).unwrap();
    assert!(came(&Reply::read(&mut elsewhere).text().to_owned()));
    stream.write_all(&request[request.len() - 3..]).unwrap();
    let record = Reply::read(&mut stream).json();
    // Nor does she find what belongs to the address alone.
    server.send(&put("/files/b?X-Progress-ID=8", "", b"x"));
    let found =
        |user: &str| server.get_with("/uploads?X-Progress-ID=8", user).json()[0].is_object();
    assert_eq!((found(""), found("X-User: anna\r\n")), (true, false));
    let id = record["id"].as_str().unwrap();
    let remove = |user: &str| {
        let head = format!("DELETE /uploads/{id} HTTP/1.1\r\nHost: a\r\n{user}\r\n");
        server.send(head.as_bytes()).status
    };
    assert_eq!((remove(""), remove("X-User: berta\r\n")), (404, 404));
    assert_eq!(remove("X-User: anna\r\n"), 204);
}

#[test]
fn a_redirect_of_the_apps_is_followed_by_a_page_and_by_no_upload() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(302, "Location: /login?next=/\r\n", b"");
    let page = server.get("/");
    assert_eq!(
        (page.status, page.header("location")),
        (302, Some("/login?next=/"))
    );
    assert_eq!(server.send(&put("/files/a", "", b"x")).status, 503);
}

#[test]
fn a_server_that_is_to_ask_itself_asks_once() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.args([
        "--listen",
        &port.to_string(),
        "--host",
        "a",
        "--ask",
        &format!("http://{port}/upload"),
    ]);
    command.arg("--dir").arg(folder.path());
    let server = crate::support::Server::start_as_told(command, folder.path());
    let reply = server.send(&put("/files/a", "", b"x"));
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (503, Some("ask_failed"))
    );
}
