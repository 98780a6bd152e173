//! The binary around the service: how it starts, and what it says when it cannot.

use std::process::Command;

use crate::support::{Server, form, part};

fn fails(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    let output = command
        .env_remove("DUMBWAITER_TEST_ALL")
        .args(args)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{args:?} was taken");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_address_or_a_folder_in_use_is_named_with_what_to_do() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (address, dir) = (server.address.to_string(), folder.path().to_str().unwrap());
    let words = fails(&["--listen", &address, "--dir", dir]);
    assert!(
        words.contains(&address) && words.contains("--listen"),
        "{words}"
    );
    let words = fails(&[
        "--listen",
        "127.0.0.1:0",
        "--dir",
        server.dir.to_str().unwrap(),
    ]);
    assert!(words.contains(server.dir.to_str().unwrap()), "{words}");
    let words = fails(&["--listen", "127.0.0.1:0", "--dir", "/proc/nothing"]);
    assert!(words.contains("/proc/nothing"), "{words}");
}

#[test]
fn under_a_base_every_path_and_url_keeps_it() {
    let server = Server::start(&["--base", "/in/box"]);
    let body = form(&[part("f", Some("a.jpg"), b"x")]);
    let record = server
        .post("/in/box/upload?X-Progress-ID=1", "", &body)
        .json();
    let url = record["url"].as_str().unwrap();
    assert!(url.starts_with("/in/box/files/"), "{url}");
    assert_eq!(server.get(url).body, b"x");
    assert_eq!(
        server
            .get("/in/box/get_upload_progress?X-Progress-ID=1")
            .text(),
        "null"
    );
    assert_eq!(server.get("/in/box").header("location"), Some("/in/box/"));
    let page = server.get("/in/box/");
    assert!(page.text().contains("<form"), "{}", page.text());
    assert_eq!(server.get("/in/boxes").status, 404);
}

#[test]
fn what_is_not_ours_is_told_from_what_is_asked_for_wrongly() {
    let server = Server::start(&[]);
    for (request, status, allow) in [
        ("GET /nowhere", 404, None),
        ("GET /upload", 405, Some("POST")),
        ("POST /progress", 405, Some("GET, HEAD")),
        ("DELETE /uploads/x", 405, Some("GET, HEAD")),
        ("POST /files/x", 405, Some("GET, HEAD, PUT")),
        ("PUT /", 405, Some("GET, HEAD, POST")),
        ("PUT /dumbwaiter.js", 405, Some("GET, HEAD")),
        ("GET /dumbwaiter.js", 200, None),
    ] {
        let reply = server
            .send(format!("{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert_eq!(
            (reply.status, reply.header("allow")),
            (status, allow),
            "{request}"
        );
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start(&[]);
    let record = server
        .post("/upload", "", &form(&[part("f", Some("a.jpg"), b"12345")]))
        .json();
    let request = format!(
        "HEAD {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        record["url"].as_str().unwrap()
    );
    let mut stream = server.connect();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(
        answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}
