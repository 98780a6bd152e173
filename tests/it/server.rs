//! The binary around the service: how it starts, and what it says when it cannot.

use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::ended::ended;
use crate::support::{Server, form, part};

fn fails(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    let output = ended(command.args(args));
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
    assert!(
        page.text().contains("<base href=\"/in/box/\">"),
        "a router that nests us gives us the path without its slash too"
    );
    assert_eq!(server.get("/in/boxes").status, 404);
}

#[test]
fn what_is_not_ours_is_told_from_what_is_asked_for_wrongly() {
    let server = Server::start(&[]);
    for (request, status, allow) in [
        ("GET /nowhere", 404, None),
        ("GET /upload", 405, Some("POST, OPTIONS")),
        ("POST /progress", 405, Some("GET, HEAD")),
        ("DELETE /uploads/x", 404, None),
        ("PUT /uploads/x", 405, Some("GET, HEAD, DELETE")),
        (
            "POST /files/x",
            405,
            Some("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
        ),
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

#[test]
fn a_client_that_does_not_finish_its_head_is_let_go() {
    let server = Server::start(&["--head-timeout", "200ms"]);
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /upload HTTP/1.1\r\n",
    ] {
        let mut client = server.connect();
        client.write_all(begun.as_bytes()).unwrap();
        let mut answer = Vec::new();
        client
            .read_to_end(&mut answer)
            .unwrap_or_else(|e| panic!("{begun:?} is waited for still: {e}"));
    }
}

#[test]
fn a_client_that_sends_on_after_a_refusal_is_cut_off_within_the_bounds() {
    for bound in [["--linger-time", "200ms"], ["--linger-bytes", "1MB"]] {
        let server = Server::start(&bound);
        let mut client = server.connect();
        client
            .write_all(
                b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n",
            )
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while client.write_all(&[0; 64 * 1024]).is_ok() {
            assert!(Instant::now() < end, "{bound:?}: it is listened to still");
        }
    }
}

#[test]
fn told_to_stop_it_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let pid = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        assert!(server.wait().success(), "{signal:?}");
    }
}
