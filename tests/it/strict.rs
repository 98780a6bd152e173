//! Heads that two programs may read in two ways, and odd ones that there is only one way to read.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Reply, Server, noise};

/// What stands behind every hostile request: if its end is misread, this is answered as a request of its own.
const SMUGGLED: &str = "PUT /files/smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

/// The known families of request smuggling and what is akin to them: a name, and a request up to [`SMUGGLED`]. `{p}` is
/// `PUT /files/a HTTP/1.1` CRLF `Host: a` CRLF.
const HOSTILE: &[(&str, &str)] = &[
    (
        "CL.TE",
        "{p}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.CL",
        "{p}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "CL.0",
        "{p}Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "the same length twice",
        "{p}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("lengths in a list", "{p}Content-Length: 5, 5\r\n\r\nhello"),
    ("a length with a sign", "{p}Content-Length: +5\r\n\r\nhello"),
    ("a length below zero", "{p}Content-Length: -1\r\n\r\n"),
    ("a length in hex", "{p}Content-Length: 0x5\r\n\r\nhello"),
    (
        "a length with a fraction",
        "{p}Content-Length: 5.0\r\n\r\nhello",
    ),
    (
        "a length with a blank inside",
        "{p}Content-Length: 0 5\r\n\r\nhello",
    ),
    ("no length at all", "{p}Content-Length:\r\n\r\n"),
    (
        "a length beyond 64 bits",
        "{p}Content-Length: 18446744073709551621\r\n\r\nhello",
    ),
    (
        "a length beyond what files have",
        "{p}Content-Length: 9223372036854775808\r\n\r\nhello",
    ),
    (
        "TE.TE, two codings",
        "{p}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, chunked twice",
        "{p}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, two fields",
        "{p}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, identity last",
        "{p}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, not chunked",
        "{p}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, quoted",
        "{p}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, with a parameter",
        "{p}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE.TE, a vertical tab",
        "{p}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("no coding", "{p}Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    (
        "a blank before the colon",
        "{p}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a tab before the colon",
        "{p}Content-Length\t: 5\r\n\r\nhello",
    ),
    (
        "a blank before the name",
        "{p} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a folded line",
        "{p}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a folded field that hides another",
        "{p}X: a\r\n Content-Length: 5\r\n\r\nhello",
    ),
    ("no name", "{p}: a\r\nContent-Length: 0\r\n\r\n"),
    (
        "no colon",
        "{p}Transfer-Encoding\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a lone line feed in the head",
        "{p}X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "lone line feeds only",
        "PUT /files/a HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    ),
    (
        "an end of lone line feeds",
        "{p}Content-Length: 0\r\n\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a lone carriage return in a value",
        "{p}X: a\rContent-Length: 5\r\n\r\nhello",
    ),
    (
        "a carriage return before the end of line",
        "{p}X: a\r\r\nContent-Length: 0\r\n\r\n",
    ),
    ("a zero byte", "{p}X: a\0b\r\nContent-Length: 0\r\n\r\n"),
    (
        "a zero byte in a name",
        "{p}Content-Length\0: 5\r\n\r\nhello",
    ),
    (
        "chunks in HTTP/1.0",
        "PUT /files/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two hosts",
        "PUT /files/a HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "no host",
        "PUT /files/a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a path as host",
        "PUT /files/a HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a user as host",
        "PUT /files/a HTTP/1.1\r\nHost: a@b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "another host in the target",
        "PUT http://b/files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a user in the target",
        "PUT http://u@a/files/a HTTP/1.1\r\nHost: u@a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "an authority as target",
        "PUT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 0\r\n\r\n",
    ),
    ("a tunnel", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    (
        "a tunnel to a path",
        "CONNECT /upload HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("all of it", "PUT * HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("our own word", "REFUSED * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (
        "a target without a slash",
        "PUT files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "another scheme",
        "PUT ftp://a/files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a blank in the target",
        "PUT /files/a b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a fragment in the target",
        "PUT /files/a#b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "two blanks",
        "PUT  /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a tab for a blank",
        "PUT\t/files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a blank before the method",
        " PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a blank behind the version",
        "PUT /files/a HTTP/1.1 \r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a method with a colon",
        "PUT: /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    ("HTTP/0.9", "PUT /files/a\r\n\r\n"),
    (
        "HTTP/1.2",
        "PUT /files/a HTTP/1.2\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (
        "a version in small letters",
        "PUT /files/a http/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ),
    ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}"),
];

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered() {
    let server = Server::start(&[]);
    for (family, request) in HOSTILE {
        let request = request.replace("{p}", "PUT /files/a HTTP/1.1\r\nHost: a\r\n") + SMUGGLED;
        // In one piece, and byte by byte.
        for size in [request.len(), 1] {
            let answers = all_answers(&server, request.as_bytes().chunks(size));
            assert!(
                answers.starts_with("HTTP/1.1 400 "),
                "{family}: {answers:?}"
            );
            assert!(
                answers.contains("\"code\":\"bad_request\""),
                "{family}: {answers:?}"
            );
            assert!(answers.contains("connection: close"), "{family}");
            assert_eq!(answers.matches("\r\ndate: ").count(), 1, "{family}");
        }
    }
    assert!(server.files().is_empty(), "{:?}", server.files());
    assert!(server.under_way().is_empty());
}

#[test]
fn behind_a_legal_request_an_illegal_one_is_refused_in_its_turn() {
    let server = Server::start(&[]);
    let legal = "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for (family, request) in HOSTILE {
        let request = request.replace("{p}", "PUT /files/b HTTP/1.1\r\nHost: a\r\n");
        let request = format!("{legal}{request}{SMUGGLED}");
        let answers = all_answers(&server, [request.as_bytes()]);
        let first = answers.find("HTTP/1.1 201 ");
        let second = answers.find("HTTP/1.1 400 ");
        assert!(
            first == Some(0) && second.is_some(),
            "{family}: {answers:?}"
        );
        assert_eq!(answers.matches("\r\ndate: ").count(), 2, "{family}");
    }
    assert_eq!(
        server.files().len(),
        HOSTILE.len(),
        "only what was legal is stored"
    );
}

/// Chunks of which another reader may think that they end elsewhere: the connection ends with them in any case.
#[test]
fn behind_chunks_nothing_is_answered_however_odd_they_are() {
    let server = Server::start(&[]);
    for (oddity, chunks, status) in [
        ("none", "5\r\nhello\r\n0\r\n\r\n", 201),
        ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", 201),
        ("zeros before the size", "0005\r\nhello\r\n0\r\n\r\n", 201),
        (
            "trailers",
            "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
            201,
        ),
        ("a size in 0x", "0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("a sign", "+5\r\nhello\r\n0\r\n\r\n", 400),
        ("no size", "\r\nhello\r\n0\r\n\r\n", 400),
        ("lone line feeds", "5\nhello\n0\n\n", 400),
        (
            "a line feed in an extension",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        (
            "a size beyond 64 bits",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        ("more than the size", "4\r\nhello\r\n0\r\n\r\n", 400),
        ("less than the size", "6\r\nhello\r\n0\r\n\r\n", 400),
    ] {
        let request = format!(
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n{chunks}{SMUGGLED}"
        );
        let answers = all_answers(&server, [request.as_bytes()]);
        assert!(
            answers.starts_with(&format!("HTTP/1.1 {status} ")),
            "{oddity}: {answers:?}"
        );
        assert_eq!(
            answers.matches("\r\ndate: ").count(),
            1,
            "{oddity}: {answers:?}"
        );
    }
    assert!(
        !server.files().iter().any(|name| name.contains("smuggled")),
        "{:?}",
        server.files()
    );
    assert!(server.under_way().is_empty());
}

#[test]
fn odd_but_legal_heads_are_taken() {
    let server = Server::start(&[]);
    for (oddity, request) in [
        (
            "empty lines before it",
            "\r\n\r\nPUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "names in any case",
            "PUT /files/a HTTP/1.1\r\nhOST: a\r\ncONTENT-lENGTH: 1\r\n\r\nx",
        ),
        (
            "no blank behind the colon",
            "PUT /files/a HTTP/1.1\r\nHost:a\r\nContent-Length:1\r\n\r\nx",
        ),
        (
            "blanks and tabs around values",
            "PUT /files/a HTTP/1.1\r\nHost: \t a\t \r\nContent-Length: \t 1 \t\r\n\r\nx",
        ),
        (
            "zeros before the length",
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0001\r\n\r\nx",
        ),
        (
            "an empty host",
            "PUT /files/a HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "an IPv6 host with a port",
            "PUT /files/a HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "an absolute target",
            "PUT http://A:80/files/a HTTP/1.1\r\nHost: a:80\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "empty values, all token characters, bytes above ASCII",
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nX!#$%&'*+-.^_`|~: \r\nY: ä\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "a path in UTF-8",
            "PUT /files/ä HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "a query with signs",
            "PUT /files/a?[x]={y}|^ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            "HTTP/1.0 without a host",
            "PUT /files/a HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
        ),
    ] {
        for size in [request.len(), 1] {
            let mut client = server.connect();
            client.set_nodelay(true).unwrap();
            for piece in request.as_bytes().chunks(size) {
                client.write_all(piece).unwrap();
            }
            let reply = Reply::read(&mut client);
            assert_eq!(reply.status, 201, "{oddity}: {reply:?}");
            assert_eq!(reply.json()["received"], 1, "{oddity}");
        }
    }
}

#[test]
fn http_1_0_keeps_its_connection_only_where_it_asks_for_that() {
    let server = Server::start(&[]);
    let get = |headers: &str| format!("GET /progress?X-Progress-ID=x HTTP/1.0\r\n{headers}\r\n");
    let mut client = server.connect();
    for _ in 0..3 {
        client
            .write_all(get("Connection: keep-alive\r\n").as_bytes())
            .unwrap();
        let reply = Reply::read(&mut client);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("connection"), Some("keep-alive"));
    }
    client.write_all(get("").as_bytes()).unwrap();
    let mut last = String::new();
    client.read_to_string(&mut last).unwrap();
    assert!(last.contains("200 OK"), "{last}");
}

#[test]
fn pipelined_requests_are_answered_in_their_order_however_they_are_cut() {
    let server = Server::start(&[]);
    let mut requests = Vec::new();
    for number in 1..=20 {
        let body = noise(number * 997);
        requests.extend(
            format!(
                "PUT /files/p{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .bytes(),
        );
        requests.extend(body);
    }
    for size in [requests.len(), 1, 61, 4096, 5003] {
        let mut client = server.connect();
        client.set_nodelay(true).unwrap();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for piece in requests.chunks(size) {
                    writer.write_all(piece).unwrap();
                }
                // The last one asks for the end.
                writer
                    .write_all(b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .unwrap();
            });
            let mut answers = String::new();
            client.read_to_string(&mut answers).unwrap();
            let created: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
            assert_eq!(created.len(), 21, "{answers}");
            for (number, answer) in created[..20]
                .iter()
                .zip(1..)
                .map(|(answer, number): (_, usize)| (number, answer))
            {
                assert!(answer.starts_with("201 "), "{answer}");
                assert!(
                    answer.contains(&format!("\"length\":{},", number * 997)),
                    "{number}: {answer}"
                );
            }
            assert!(created[20].starts_with("200 "));
        });
    }
    for number in 1..=20 {
        assert!(server.read(&format!("p{number}")) == noise(number * 997));
    }
}

#[test]
fn a_head_up_to_the_limits_is_taken_and_one_above_gets_431() {
    let server = Server::start(&["--max-head-size", "8KiB", "--max-head-fields", "20"]);
    let begin = "GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\n";
    let sized = |bytes: usize| {
        let filler = bytes - begin.len() - "X: \r\n\r\n".len();
        format!("{begin}X: {}\r\n\r\n", "y".repeat(filler))
    };
    let many = |fields: usize| format!("{begin}{}\r\n", "X: y\r\n".repeat(fields - 1));
    let targeted = |bytes: usize| {
        let target = "y".repeat(bytes);
        format!("GET /progress?X-Progress-ID=x&{target} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    for (request, status) in [
        (sized(8192), 200),
        (sized(8193), 431),
        (sized(1_000_000), 431),
        (many(20), 200),
        (many(21), 431),
        (many(1000), 431),
        (targeted(8000), 200),
        (targeted(9000), 431),
        (targeted(1_000_000), 431),
        ("\r\n".repeat(5000), 431),
    ] {
        let mut client = server.connect();
        // All of it is written before the answer is read: it must not be lost.
        client.write_all(request.as_bytes()).unwrap();
        let reply = Reply::read(&mut client);
        assert_eq!(reply.status, status, "{} bytes", request.len());
        if status == 431 {
            assert_eq!(reply.json()["code"], "head_too_large");
        }
    }
    // One without an end is refused when it is too large, not when it is complete.
    let mut client = server.connect();
    client.write_all(&vec![b'y'; 8193]).unwrap();
    assert_eq!(Reply::read(&mut client).status, 431);
}

#[test]
fn a_slow_head_is_answered_in_time_on_a_new_connection_and_on_a_kept_one() {
    let server = Server::start(&["--head-timeout", "300ms"]);
    let head = b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    for kept in [false, true] {
        let mut client = server.connect();
        if kept {
            client.write_all(head).unwrap();
            client.write_all(b"hello").unwrap();
            assert_eq!(Reply::read(&mut client).status, 201);
        }
        let start = Instant::now();
        let reply = slowly(&mut client, head, Duration::from_millis(40));
        assert_eq!(reply.status, 408, "kept: {kept}, {reply:?}");
        assert_eq!(reply.json()["code"], "head_timeout");
        assert!(
            start.elapsed() >= Duration::from_millis(300),
            "it had its time"
        );
    }
    assert_eq!(server.files().len(), 1);
}

#[test]
fn a_silent_connection_is_closed_before_its_first_request_and_after_one() {
    let server = Server::start(&["--head-timeout", "200ms"]);
    let mut silent = server.connect();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let mut kept = server.connect();
    kept.write_all(b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut kept).status, 200);
    assert_eq!(kept.read(&mut [0]).unwrap(), 0);
}

#[test]
fn who_sends_all_of_a_refused_body_before_reading_still_reads_the_answer() {
    let server = Server::start(&[]);
    let body = noise(64 * 1024 * 1024);
    for head in [
        "PUT /files/a HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 67108864\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&body).unwrap();
        let reply = Reply::read(&mut client);
        assert!(matches!(reply.status, 400 | 415), "{reply:?}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
    }
}

/// Writes `pieces`, says that nothing follows and reads to the end.
fn all_answers<'a>(server: &Server, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    for piece in pieces {
        client.write_all(piece).unwrap();
    }
    let mut answers = String::new();
    let mut reply = Vec::new();
    // The answer is read before the end is said: a client that is gone is not answered.
    let mut some = [0; 4096];
    loop {
        match client.read(&mut some).unwrap() {
            0 => break,
            count => reply.extend_from_slice(&some[..count]),
        }
    }
    let _ = client.shutdown(Shutdown::Write);
    answers.push_str(&String::from_utf8_lossy(&reply));
    answers
}

/// Sends one byte of `bytes` every `pause` until an answer comes.
fn slowly(client: &mut TcpStream, bytes: &[u8], pause: Duration) -> Reply {
    client.set_read_timeout(Some(pause)).unwrap();
    client.set_nodelay(true).unwrap();
    for byte in bytes {
        client.write_all(&[*byte]).unwrap();
        if client.peek(&mut [0]).is_ok() {
            break;
        }
    }
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    Reply::read(client)
}
