//! Which paths are ours with an app behind, and which are its.

use std::io::Write as _;

use super::in_front_of;
use crate::support::app::{App, Gate};
use crate::support::{Reply, Server, form, part, post};

fn picture() -> Vec<u8> {
    form(&[part("f", Some("a.jpg"), b"12345")])
}

#[test]
fn all_that_is_ours_stands_below_the_base_and_nothing_else_is() {
    let app = App::start();
    app.answers(200, "X-App: 1\r\n", b"app");
    let server = in_front_of(&app, &[]);
    let said = format!("What is not below /_dumbwaiter/ goes to {}\n", app.url());
    assert!(server.words.contains(&said), "{}", server.words);
    for path in [
        "/",
        "/upload",
        "/uploads",
        "/progress",
        "/get_upload_progress",
        "/files/x",
        "/dumbwaiter.js",
        "/_dumbwaiterx",
        "/_Dumbwaiter/",
        "/%5fdumbwaiter/",
        "//_dumbwaiter/",
    ] {
        assert_eq!(server.get(path).header("x-app"), Some("1"), "{path}");
    }
    assert_eq!(
        server.post("/upload", "", &picture()).header("x-app"),
        Some("1")
    );
    let asked = app.seen().len();
    for (path, status) in [
        ("/_dumbwaiter/", 200),
        ("/_dumbwaiter", 308),
        ("/_dumbwaiter/dumbwaiter.js", 200),
        ("/_dumbwaiter/get_upload_progress?X-Progress-ID=1", 200),
        ("/_dumbwaiter/nothing", 404),
    ] {
        let reply = server.get(path);
        assert_eq!(
            (reply.status, reply.header("x-app")),
            (status, None),
            "{path}"
        );
    }
    let reply = server.post("/_dumbwaiter/upload", "", &picture());
    assert_eq!(reply.status, 201, "{}", reply.text());
    // Files cannot be read back unless somebody says so.
    let url = format!(
        "/_dumbwaiter/files/{}",
        reply.json()["id"].as_str().unwrap()
    );
    assert_eq!(reply.json()["url"].as_str(), None);
    assert_eq!(server.get(&url).status, 404);
    assert_eq!(app.seen().len(), asked);
}

#[test]
fn base_and_downloads_are_as_they_are_said() {
    let app = App::start();
    let server = in_front_of(&app, &["--base", "/up", "--downloads", "on"]);
    let reply = server.post("/up/upload", "", &picture());
    let url = reply.json()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("/up/files/"), "{url}");
    assert_eq!(server.get(&url).body, b"12345");
    assert_eq!(server.get("/_dumbwaiter/").text(), "ok");
}

#[test]
fn forms_at_upload_paths_are_received_here_and_all_else_there_passes() {
    let app = App::start();
    let server = in_front_of(&app, &["--upload-path", "/form,/albums/*/add"]);
    let found = |id: &str| {
        let known = format!("/_dumbwaiter/progress?X-Progress-ID={id}");
        server.get(&known).text().contains("done")
    };
    for (id, target, received) in [
        ("1", "/form?X-Progress-ID=1", true),
        ("2", "/albums/7/add?X-Progress-ID=2", true),
        ("3", "/%66orm?X-Progress-ID=3", true),
        ("4", "/form/?X-Progress-ID=4", false),
        ("5", "/other?X-Progress-ID=5", false),
    ] {
        assert_eq!(server.post(target, "", &picture()).status, 200, "{target}");
        assert_eq!(found(id), received, "{target}");
    }
    for seen in app.seen() {
        assert_eq!(seen.body, picture(), "{}", seen.head);
    }
    let plain = "POST /form?X-Progress-ID=6 HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(server.send(plain.as_bytes()).status, 200);
    assert_eq!(server.get("/form?X-Progress-ID=7").status, 200);
    assert!(!found("6") && !found("7"));
    assert_eq!(app.seen().len(), 7);
}

#[test]
fn the_articles_poll_is_answered_at_the_apps_own_path() {
    let app = App::start();
    let (come, gate) = (Gate::default(), Gate::default());
    let gates = (come.clone(), gate.clone());
    app.does(move |call| {
        call.read();
        gates.0.open();
        gates.1.wait();
        call.answer(200, "", b"ok");
    });
    let paths = [
        "--upload-path",
        "/form",
        "--poll-path",
        "/get_upload_progress/",
    ];
    let server = in_front_of(&app, &paths);
    let mut sends = server.connect();
    sends
        .write_all(&post("/form?X-Progress-ID=1", "", &picture()))
        .unwrap();
    come.wait();
    let reply = server.get("/get_upload_progress/?X-Progress-ID=1");
    let length = picture().len() as u64;
    assert_eq!(reply.json()["length"].as_u64(), Some(length));
    // The app has not said its word yet.
    assert_eq!(reply.json()["uploaded"].as_u64(), Some(length - 1));
    assert_eq!(app.seen().len(), 1);
    gate.open();
    assert_eq!(Reply::read(&mut sends).status, 200);
    // Under the rules of everything that is ours: no name of a stranger's leads here.
    let rebound =
        b"GET /get_upload_progress/?X-Progress-ID=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(server.send(rebound).status, 421);
    // Another method is the app's affair.
    let reply = server.post("/get_upload_progress/", "", &picture());
    assert_eq!(reply.text(), "ok");
}

#[test]
fn who_may_upload_is_asked_at_upload_paths_and_passing_is_the_apps_affair() {
    let app = App::start();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    crate::support::write_for_us_alone(&tokens, "a-token-of-sixteen-characters\n");
    let rule = [
        "--token",
        tokens.to_str().unwrap(),
        "--upload-path",
        "/form",
    ];
    let server = in_front_of(&app, &rule);
    let reply = server.post("/form", "", &picture());
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").is_some(), "{}", reply.head);
    assert_eq!(app.seen().len(), 0);
    assert_eq!(server.post("/other", "", &picture()).status, 200);
    let right = "Authorization: Bearer a-token-of-sixteen-characters\r\n";
    assert_eq!(server.post("/form", right, &picture()).status, 200);
}

#[test]
fn a_secret_base_is_told_nobody_by_what_passes() {
    let app = App::start();
    let server = Server::start(&["--app", &app.url(), "--secret-link"]);
    let secret = server.words.split("http://").nth(1).unwrap();
    let secret = secret
        .split_once('/')
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .trim_end_matches('/');
    assert!(secret.len() > 20, "{}", server.words);
    assert_eq!(server.get(&format!("/{secret}/")).status, 200);
    app.dies();
    let reply = server.get_with("/x", "Accept: text/html\r\n");
    assert_eq!(reply.status, 502);
    assert!(!reply.text().contains(secret), "{}", reply.text());
}
