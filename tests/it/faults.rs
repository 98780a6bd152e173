//! Bad days: lines that break, stand still or crawl, and a server out of descriptors. Each upload ends in a state that
//! says how, and nothing is left over.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Reply, Server, eventually, form, noise, part, post};

#[test]
fn a_silent_upload_ends_as_stalled_and_its_client_reads_so() {
    let server = Server::start(&["--stall-timeout", "300ms", "--linger-time", "200ms"]);
    let mut client = begin_form(&server, "s", 100_000, 5_000);
    let start = Instant::now();
    let reply = Reply::read(&mut client);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!((reply.status, code(&reply.json())), (408, "stalled".into()));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(ended(&server, "s"), "stalled");
    left_nothing(&server);
}

#[test]
fn whoever_reads_nothing_of_a_download_loses_the_place() {
    let server = Server::start(&[
        "--stall-timeout",
        "300ms",
        "--linger-time",
        "100ms",
        "--max-connections",
        "1",
    ]);
    // More than the buffers of both sockets hold.
    let content = noise(32 << 20);
    let stored = server.post("/upload", "", &form(&[part("f", Some("a"), &content)]));
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\n\r\n",
        stored.json()["url"].as_str().unwrap()
    );
    let mut silent = server.connect();
    silent.write_all(request.as_bytes()).unwrap();
    // There is one place: an answer shows that it is free again.
    assert_eq!(server.get("/").status, 200);
    drop(silent);
}

#[test]
fn a_crawling_upload_ends_as_too_slow_and_its_client_reads_so() {
    let server = Server::start(&["--min-rate", "1MiB", "--min-rate-window", "400ms"]);
    let mut client = begin_form(&server, "s", 100_000_000, 5_000);
    let reply = crawl(&mut client);
    assert_eq!(
        (reply.status, code(&reply.json())),
        (408, "too_slow".into())
    );
    assert_eq!(ended(&server, "s"), "too_slow");
    left_nothing(&server);
}

#[test]
fn an_upload_that_takes_too_long_is_told_so_however_fast_it_is() {
    let server = Server::start(&["--max-upload-time", "400ms", "--min-rate", "none"]);
    for (id, chunked) in [("s", false), ("t", true)] {
        let mut client = match chunked {
            false => begin_form(&server, id, 100_000_000, 5_000),
            true => begin_chunks(&server, id),
        };
        let reply = crawl(&mut client);
        assert_eq!(
            (reply.status, code(&reply.json())),
            (408, "took_too_long".into())
        );
        assert_eq!(ended(&server, id), "took_too_long");
    }
    left_nothing(&server);
}

#[test]
fn a_reset_within_a_body_ends_the_upload_and_gives_everything_back() {
    let server = Server::start(&[]);
    let before = descriptors(&server);
    for round in 0..20 {
        let id = format!("r{round}");
        let client = begin_form(&server, &id, 1_000_000, 1 + round * 17_321);
        eventually(
            || record(&server, &id)["received"].as_u64(),
            |received| *received > Some(0),
        );
        // Closing sends a reset.
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(ended(&server, &id), "client_gone");
    }
    left_nothing(&server);
    eventually(|| descriptors(&server), |now| *now <= before);
}

#[test]
fn out_of_descriptors_uploads_under_way_finish_and_others_wait_for_their_turn() {
    const MOST: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {MOST} && exec \"$0\" \"$@\"")]);
    limited.arg(env!("CARGO_BIN_EXE_dumbwaiter"));
    let server = Server::start_by(limited, folder.path(), &["--durability", "sync"]);
    let before = descriptors(&server);
    let body = form(&[part("f", Some("a.jpg"), &noise(300_000))]);
    let mut under_way: Vec<_> = (0..4)
        .map(|number| {
            let mut client = server.connect();
            let request = post(&format!("/upload?X-Progress-ID=u{number}"), "", &body);
            client.write_all(&request[..200_000]).unwrap();
            (client, request)
        })
        .collect();
    for number in 0..4 {
        let id = format!("u{number}");
        eventually(
            || record(&server, &id)["received"].as_u64(),
            |received| *received > Some(100_000),
        );
    }
    // Many more than there are descriptors; those for whom there is none wait in the kernel's queue.
    let mut crowd: Vec<_> = (0..2 * MOST)
        .map(|_| begin_form_unseen(&server, 100_000))
        .collect();
    let waiting = Instant::now();
    while descriptors(&server) < MOST / 2 && waiting.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(5));
    }
    assert!(
        descriptors(&server) < MOST - 8,
        "some are kept for what connections need besides"
    );
    for (client, request) in &mut under_way {
        client.write_all(&request[200_000..]).unwrap();
        assert_eq!(Reply::read(client).status, 201);
    }
    drop((under_way, crowd.split_off(0)));
    // Whoever comes now is served.
    assert_eq!(server.post("/upload", "", &body).status, 201);
    assert_eq!(server.files().len(), 5);
    eventually(|| server.under_way(), Vec::is_empty);
    eventually(|| descriptors(&server), |now| *now <= before);
}

/// 500 heads and 500 bodies, a byte now and then each, while others upload as always.
#[test]
fn a_thousand_slow_connections_end_by_themselves_and_harm_nobody() {
    const EACH: usize = 500;
    allow_descriptors(4 * EACH as u64);
    let server = Server::start(&[
        "--head-timeout",
        "3s",
        "--min-rate",
        "1KiB",
        "--min-rate-window",
        "3s",
        // This client's rounds are slow, and what it still sends must not reset what it has not read.
        "--linger-time",
        "10s",
    ]);
    let before = descriptors(&server);
    let head = b"POST /upload HTTP/1.1\r\nHost: a\r\nX: ";
    let mut slow: Vec<_> = (0..2 * EACH)
        .map(|number| {
            let mut client = match number % 2 {
                0 => server.connect(),
                _ => begin_form(&server, &format!("slow{number}"), 1_000_000, 10),
            };
            if number % 2 == 0 {
                client.write_all(head).unwrap();
            }
            client.set_nonblocking(true).unwrap();
            client
        })
        .collect();
    let body = form(&[part("f", Some("normal"), &noise(2_000_000))]);
    let end = Instant::now() + Duration::from_secs(60);
    let mut codes = Vec::new();
    let mut normal = 0;
    while !slow.is_empty() {
        assert!(Instant::now() < end, "{} do not end", slow.len());
        slow.retain_mut(|client| match client.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = client.write(b"x");
                true
            }
            _ => {
                client.set_nonblocking(false).unwrap();
                let reply = Reply::read(client);
                assert_eq!(reply.status, 408);
                codes.push(code(&reply.json()));
                false
            }
        });
        assert_eq!(server.post("/upload", "", &body).status, 201);
        normal += 1;
    }
    for (expected, count) in [("head_timeout", EACH), ("too_slow", EACH)] {
        let found = codes.iter().filter(|code| *code == expected).count();
        assert_eq!(found, count, "{expected}");
    }
    for number in (1..2 * EACH).step_by(2) {
        assert_eq!(ended(&server, &format!("slow{number}")), "too_slow");
    }
    assert_eq!(server.files().len(), normal);
    assert!(server.under_way().is_empty(), "{:?}", server.under_way());
    eventually(|| descriptors(&server), |now| *now <= before);
}

/// A form of about `length` bytes of which `sent` have been sent.
fn begin_form(server: &Server, id: &str, length: usize, sent: usize) -> TcpStream {
    let body = part("f", Some("a.jpg"), &noise(sent));
    let mut client = server.connect();
    write!(
        client,
        "POST /upload?X-Progress-ID={id} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    client.write_all(&body).unwrap();
    client
}

/// The same, where it may be that nobody accepts it.
fn begin_form_unseen(server: &Server, length: usize) -> TcpStream {
    let mut client = TcpStream::connect(server.address).unwrap();
    let _ = write!(
        client,
        "PUT /files/crowd HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nsome"
    );
    client
}

fn begin_chunks(server: &Server, id: &str) -> TcpStream {
    let mut client = server.connect();
    write!(
        client,
        "PUT /files/a?X-Progress-ID={id} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"
    )
    .unwrap();
    client
}

/// Sends a byte every 20 ms until an answer comes.
fn crawl(client: &mut TcpStream) -> Reply {
    client
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while client.peek(&mut [0]).is_err() {
        assert!(Instant::now() < end, "nobody minds");
        client.write_all(b"x").unwrap();
    }
    Reply::read(client)
}

fn record(server: &Server, id: &str) -> serde_json::Value {
    server.get(&format!("/uploads?X-Progress-ID={id}")).json()[0].clone()
}

fn code(problem: &serde_json::Value) -> String {
    problem["code"].as_str().unwrap_or_default().to_owned()
}

/// The code with which the upload has ended.
fn ended(server: &Server, id: &str) -> String {
    let record = eventually(
        || record(server, id),
        |record| record["state"] == "error" || record["state"] == "done",
    );
    code(&record["error"])
}

fn left_nothing(server: &Server) {
    eventually(|| server.under_way(), Vec::is_empty);
    assert!(server.files().is_empty(), "{:?}", server.files());
}

/// How many descriptors the server has open.
fn descriptors(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid());
    std::fs::read_dir(folder).unwrap().count()
}

/// Raises this process's soft limit.
fn allow_descriptors(least: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < least) {
        let raised = Rlimit {
            current: Some(least),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
}
