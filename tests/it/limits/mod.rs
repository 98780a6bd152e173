//! Every limit on real sockets: at the limit passes, one more is refused in words, and nothing is left over.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Reply, Server, connect_from, eventually, form, part, post};

mod disk;
mod memory;
mod places;
mod resume;
mod room;
mod watching;

/// The bytes of a PUT with its length.
fn put(name: &str, body: &[u8]) -> Vec<u8> {
    [put_head(name, body.len()), body.to_vec()].concat()
}

/// The head of a PUT of so many bytes.
fn put_head(name: &str, length: usize) -> Vec<u8> {
    format!("PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
        .into_bytes()
}

/// The bytes of a PUT in chunks, without its last one.
fn put_chunks(name: &str, chunks: &[&[u8]]) -> Vec<u8> {
    let mut request =
        format!("PUT /files/{name} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for bytes in chunks {
        request.extend(chunk(bytes));
    }
    request
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let head = format!("{:x}\r\n", bytes.len()).into_bytes();
    [head, bytes.to_vec(), b"\r\n".to_vec()].concat()
}

/// The refusal's code, with what every refusal must be.
fn refused(server: &Server, reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|words| words.len() > 10),
        "{problem}"
    );
    // Whoever is told of the end finds nothing left over.
    assert_eq!(server.under_way(), [""; 0]);
    problem["code"].as_str().unwrap().to_owned()
}

/// Begins an upload and keeps it running: its head and some bytes have been seen by the server.
pub(crate) fn begun(server: &Server, mut client: TcpStream, request: &[u8], id: &str) -> TcpStream {
    let line = format!("/{id} HTTP/1.1");
    let with_id = format!("/{id}?X-Progress-ID={id} HTTP/1.1");
    let text = String::from_utf8_lossy(request).replacen(&line, &with_id, 1);
    assert!(text.contains(&with_id), "{text}");
    client.write_all(text.as_bytes()).unwrap();
    // Another address is another owner, who finds nothing.
    let std::net::IpAddr::V4(from) = client.local_addr().unwrap().ip() else {
        panic!("the server listens on IPv4");
    };
    let poll = format!("GET /uploads?X-Progress-ID={id} HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually(
        || {
            let mut asker = connect_from(server.address, from.octets()[3]);
            asker.write_all(poll.as_bytes()).unwrap();
            Reply::read(&mut asker).json()[0]["received"].as_u64()
        },
        |received| received.is_some_and(|bytes| bytes > 0),
    );
    client
}

#[test]
fn a_form_at_each_limit_passes_and_one_more_is_refused() {
    let field = |name: &str, value: &str| part(name, None, value.as_bytes());
    let file = |name: &str| part("f", Some(name), b"x");
    let head = |more: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"f\"{more}\r\n\r\nx\r\n").into_bytes()
    };
    // The part's head has 40 bytes and one field.
    for (flag, limit, fits, more) in [
        (
            "--max-fields",
            "2",
            form(&[field("a", ""), field("b", "")]),
            form(&[field("a", ""), field("b", ""), field("c", "")]),
        ),
        (
            "--max-files",
            "2",
            form(&[file("a"), file("b")]),
            form(&[file("a"), file("b"), file("c")]),
        ),
        (
            "--max-field-size",
            "5",
            form(&[field("a", "12345"), field("b", "12345")]),
            form(&[field("a", "12345"), field("b", "123456")]),
        ),
        (
            "--max-field-bytes",
            "10",
            form(&[field("a", "1234"), field("b", "1234")]),
            form(&[field("a", "1234"), field("b", "12345")]),
        ),
        (
            "--max-part-head",
            "40",
            form(&[head("")]),
            form(&[head(";")]),
        ),
        (
            "--max-part-head-fields",
            "2",
            form(&[head("\r\nA: b")]),
            form(&[head("\r\nA: b\r\nC: d")]),
        ),
    ] {
        let server = Server::start(&[flag, limit]);
        let reply = server.post("/upload", "", &fits);
        assert!(reply.status < 300, "{flag}: {reply:?}");
        let stored = server.files();
        let reply = server.post("/upload", "", &more);
        assert_eq!(refused(&server, &reply, 413), "limit_exceeded", "{flag}");
        assert!(reply.text().contains(limit), "{flag}: {}", reply.text());
        assert_eq!(server.files(), stored, "{flag}");
    }
}

#[test]
fn a_boundary_of_the_limit_passes_and_a_longer_one_is_refused_by_the_head() {
    for (flags, limit) in [(&[][..], 70), (&["--max-boundary", "3"], 3)] {
        let server = Server::start(flags);
        let request = |length: usize| {
            let boundary = "b".repeat(length);
            let body = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nx\r\n--{boundary}--\r\n"
            );
            format!(
                "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        assert_eq!(server.send(request(limit).as_bytes()).status, 201);
        let reply = server.send(request(limit + 1).as_bytes());
        assert_eq!(refused(&server, &reply, 413), "limit_exceeded");
        assert_eq!(server.files(), ["a"]);
    }
}

#[test]
fn a_body_of_the_limit_passes_and_a_byte_more_is_refused_by_its_head_or_while_it_comes() {
    let body = form(&[part("f", Some("form"), b"x")]);
    let limit = body.len();
    for (flag, code, told) in [
        ("--max-upload-size", "upload_too_large", "max-size"),
        ("--max-request-size", "request_too_large", "max-append-size"),
    ] {
        let server = Server::start(&[flag, &limit.to_string()]);
        let full = vec![b'x'; limit];
        let end = b"0\r\n\r\n";
        assert_eq!(server.post("/upload", "", &body).status, 201);
        assert_eq!(server.send(&put("put", &full)).status, 201);
        let chunked = put_chunks("chunked", &[&full[..7], &full[7..]]);
        assert_eq!(server.send(&[&chunked[..], end].concat()).status, 201);
        let stored = server.files();
        assert_eq!(stored, ["chunked", "form", "put"]);

        let larger = form(&[part("f", Some("form"), b"xy")]);
        let chunked = put_chunks("chunked", &[&full, b"x"]);
        for request in [
            post("/upload", "", &larger),
            put_head("put", limit + 1),
            [&chunked[..], end].concat(),
            // Nothing waits for the end.
            chunked,
        ] {
            let reply = server.send(&request);
            assert_eq!(refused(&server, &reply, 413), code);
            let told = format!("{told}={limit}");
            assert_eq!(reply.header("upload-limit"), Some(&*told));
        }
        assert_eq!(server.files(), stored);
    }
}

#[test]
fn options_tells_how_much_may_be_sent_in_all_and_at_once() {
    let options = |server: &Server, path: &str| {
        server.send(format!("OPTIONS {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    };
    let server = Server::start(&["--max-upload-size", "1MB", "--max-request-size", "1kB"]);
    for (path, allow) in [
        ("/upload", "POST, OPTIONS"),
        ("/files/", "POST, PUT, OPTIONS"),
    ] {
        let reply = options(&server, path);
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow)));
        assert_eq!(
            reply.header("upload-limit"),
            Some("max-size=1000000, max-append-size=1000")
        );
    }
    let reply = options(&Server::start(&[]), "/upload");
    assert_eq!(reply.header("upload-limit"), Some("min-size=0"));
}

#[test]
fn who_waits_for_100_continue_gets_the_refusal_in_its_place() {
    let server = Server::start(&["--max-upload-size", "10", "--max-uploads", "1"]);
    let waiting = |length: usize| {
        format!(
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = server.connect();
    client.write_all(waiting(10).as_bytes()).unwrap();
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; go_on.len()];
    std::io::Read::read_exact(&mut client, &mut said).unwrap();
    assert_eq!(said, go_on);
    // The first one holds the only place.
    let reply = server.send(waiting(10).as_bytes());
    assert_eq!(reply.status, 503, "{reply:?}");
    let reply = server.send(waiting(11).as_bytes());
    assert_eq!(reply.status, 413, "{reply:?}");
    client.write_all(b"0123456789").unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
}

#[test]
fn who_sends_everything_before_it_reads_gets_to_read_the_refusal() {
    let server = Server::start(&["--max-upload-size", "1MB"]);
    let large = vec![b'x'; 30_000_000];
    let fits = part("f", Some("a"), &large);
    for request in [
        put("a", &large),
        post("/upload", "", &form(&[fits])),
        [
            put_chunks("a", &large.chunks(100_000).collect::<Vec<_>>()),
            b"0\r\n\r\n".to_vec(),
        ]
        .concat(),
    ] {
        // `send` writes all of it first.
        let reply = server.send(&request);
        assert_eq!(refused(&server, &reply, 413), "upload_too_large");
    }
}

#[test]
fn a_refusal_is_xml_or_a_page_when_that_is_asked_for() {
    let server = Server::start(&["--max-upload-size", "10"]);
    for (accept, content_type) in [
        ("application/xml", "application/xml"),
        ("text/html", "text/html; charset=utf-8"),
    ] {
        let headers = format!("Accept: {accept}\r\n");
        let reply = server.post("/upload", &headers, &form(&[]));
        assert_eq!(reply.status, 201 - 1, "an empty form fits: {reply:?}");
        let reply = server.post("/upload", &headers, &[b'x'; 11]);
        assert_eq!(reply.status, 413);
        assert_eq!(reply.header("content-type"), Some(content_type));
        assert_eq!(reply.header("upload-limit"), Some("max-size=10"));
        assert!(reply.text().contains("upload_too_large"), "{reply:?}");
    }
}

#[test]
fn a_stream_ends_after_its_time_and_the_next_one_goes_on() {
    let server = Server::start(&["--watch-time", "300ms"]);
    let mut client = begun(
        &server,
        server.connect(),
        &[put_head("a", 4), b"x".to_vec()].concat(),
        "a",
    );
    let stream = |headers: &str| {
        let headers = format!("Accept: text/event-stream\r\nConnection: close\r\n{headers}");
        let reply = server.get_with("/uploads?X-Progress-ID=a", &headers);
        assert_eq!(reply.status, 200);
        reply.text().to_owned()
    };
    let first = stream("");
    assert!(first.contains("\"state\":\"uploading\""), "{first}");
    let last = first.rsplit("\nid: ").next().unwrap();
    let last = last.lines().next().unwrap();
    client.write_all(b"yz!").unwrap();
    assert_eq!(Reply::read(&mut client).status, 201);
    let next = stream(&format!("Last-Event-ID: {last}\r\n"));
    assert!(next.contains("\"state\":\"done\""), "{next}");
}

#[test]
fn one_watcher_too_many_is_told_when_to_come_again() {
    let server = Server::start(&["--max-watchers", "1"]);
    let watch = |connection: &mut TcpStream| {
        let request =
            "GET /uploads?X-Progress-ID=a HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
        connection.write_all(request.as_bytes()).unwrap();
    };
    let mut first = server.connect();
    watch(&mut first);
    std::io::Read::read_exact(&mut first, &mut [0; 12]).unwrap();
    let mut second = server.connect();
    watch(&mut second);
    let reply = Reply::read(&mut second);
    assert_eq!(refused(&server, &reply, 503), "too_many_watchers");
    assert_eq!(reply.header("retry-after"), Some("5"));
    drop(first);
    eventually(
        || {
            let mut next = server.connect();
            watch(&mut next);
            let mut status = [0; 12];
            std::io::Read::read_exact(&mut next, &mut status).unwrap();
            status
        },
        |status| status == b"HTTP/1.1 200",
    );
}

#[test]
fn records_beyond_the_limit_go_oldest_first() {
    let server = Server::start(&["--max-records", "2"]);
    let uploads: Vec<_> = (0..3)
        .map(|n| server.send(&put(&format!("{n}"), b"x")).json())
        .collect();
    let status = |n: usize| {
        let watch = uploads[n]["watch"].as_str().unwrap();
        server.get(&format!("/uploads/{watch}")).status
    };
    assert_eq!((status(0), status(1), status(2)), (404, 200, 200));
}

#[test]
fn a_finished_file_stays_for_all_of_its_time() {
    let server = Server::start(&["--keep", "1s"]);
    let began = Instant::now();
    assert_eq!(server.send(&put("kept", b"x")).status, 201);
    eventually(|| server.files(), Vec::is_empty);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn finished_files_are_removed_after_their_time_and_what_took_their_place_stays() {
    let server = Server::start(&["--keep", "2s"]);
    let url = |name| {
        let record = server.send(&put(name, b"old")).json();
        record["url"].as_str().unwrap().to_owned()
    };
    let (old, replaced) = (url("old"), url("replaced"));
    assert_eq!(server.get(&old).body, b"old");
    std::fs::remove_file(server.dir.join("replaced")).unwrap();
    std::fs::write(server.dir.join("replaced"), "the app's own").unwrap();
    eventually(|| server.files(), |files| files == &["replaced"]);
    assert_eq!(server.read("replaced"), b"the app's own");
    eventually(
        || (server.get(&old).status, server.get(&replaced).status),
        |statuses| *statuses == (404, 404),
    );
    // The server has not become too eager.
    assert_eq!(server.send(&put("new", b"new")).status, 201);
    assert_eq!(server.files(), ["new", "replaced"]);
}
