//! "Status Code 104 (Upload Resumption Supported)": what is told before the answer, and to whom it is not.

use std::io::{BufReader, Write};
use std::net::TcpStream;

use super::talk::{ALL, NEWEST, NONE, Talk, Version};
use crate::support::{Reply, Server, eventually, noise};

/// Some request, all of it but the last byte, by whoever reads all that is said to it.
fn begin(talk: &Talk<'_>, request: &str) -> BufReader<TcpStream> {
    let whole = talk.bytes(request);
    let mut line = talk.server.connect();
    line.write_all(&whole[..whole.len() - 1]).unwrap();
    BufReader::new(line)
}

fn ends(line: &mut BufReader<TcpStream>) {
    line.get_mut().write_all(b"\n").unwrap();
}

/// The 104 that tells where a new upload is.
fn located(version: Version, name: &str) -> String {
    let number = version.0.unwrap();
    format!(
        "HTTP/1.1 104 Upload Resumption Supported\nupload-draft-interop-version: {number}\nlocation: /files/{{{name}}}\n{}",
        version.limit()
    )
}

/// Where the upload is, with its limits and the version, as soon as it has begun; the final answer says the same `Location`.
#[test]
fn a_creation_is_told_where_it_is_while_its_body_comes() {
    let server = Server::start(&[]);
    for version in ALL {
        let mut talk = Talk::with(&server);
        for (name, target) in [("post", "POST /files/"), ("put", "PUT /files/dish")] {
            let begun = version.request(target, &version.complete(false), "hello\n");
            let mut line = begin(&talk, &begun);
            talk.hears(&mut line, &begun, &located(version, name));
            ends(&mut line);
            talk.hears(&mut line, &begun, &version.created(name, 6));
            let name = format!("whole-{name}");
            let whole = version.request(target, &version.complete(true), "hello\n");
            let mut line = begin(&talk, &whole);
            talk.hears(&mut line, &whole, &located(version, &name));
            ends(&mut line);
            talk.hears(&mut line, &whole, &version.completed(&name, 6));
        }
        let kind = format!(
            "Content-Type: multipart/form-data; boundary=b\n{}",
            version.complete(false)
        );
        let form = version.request("POST /upload", &kind, "--b\r\n");
        let mut line = begin(&talk, &form);
        talk.hears(&mut line, &form, &located(version, "form"));
        ends(&mut line);
        talk.hears(&mut line, &form, &version.created("form", 5));
    }
}

/// With each checkpoint how far it is, never with `Location`; version 3 knew nothing of that.
#[test]
fn an_append_is_told_how_far_it_is_while_its_body_comes() {
    let server = Server::start(&["--checkpoint-bytes", "64KiB", "--checkpoint-time", "1h"]);
    let piece = noise(100 << 10);
    for version in ALL {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("id", 0));
        let fields = format!("Content-Length: {}", 5 * piece.len());
        let append = version.append_with("id", 0, false, &fields, "");
        let mut line = BufReader::new(server.connect());
        line.get_mut().write_all(&talk.bytes(&append)).unwrap();
        let mut told = 0;
        for number in 1..=4 {
            line.get_mut().write_all(&piece).unwrap();
            if version == Version(Some(3)) {
                continue;
            }
            // Each piece is more than one checkpoint's worth.
            while told + (64 << 10) <= number * piece.len() {
                let reply = Reply::next(&mut line).unwrap();
                assert_eq!(reply.status, 104, "{reply:?}");
                assert_eq!(reply.header("location"), None, "{reply:?}");
                let number = version.0.unwrap().to_string();
                assert_eq!(reply.header("upload-draft-interop-version"), Some(&*number));
                let offset: usize = reply.header("upload-offset").unwrap().parse().unwrap();
                assert!(offset > told && offset <= 5 * piece.len(), "{reply:?}");
                told = offset;
            }
            // What was told is kept: the record says no less.
            let record = talk.record("id");
            assert!(
                record["offset"].as_u64().unwrap() >= told as u64,
                "{record}"
            );
        }
        line.get_mut().write_all(&piece).unwrap();
        let reply = loop {
            let reply = Reply::next(&mut line).unwrap();
            if reply.status != 104 {
                break reply;
            }
            assert_ne!(version, Version(Some(3)), "{reply:?}");
        };
        assert_eq!(
            (reply.status, reply.header("upload-offset")),
            (204, Some("512000"))
        );
    }
}

/// To whom no 104 goes: who says no version or one that is not spoken, who does not come straight, who speaks HTTP/1.0.
#[test]
fn nobody_else_is_told_anything_before_the_answer() {
    let server = Server::start(&["--checkpoint-bytes", "1", "--checkpoint-time", "1ms"]);
    let trusting = Server::start(&["--trusted-proxy", "127.0.0.1"]);
    let plain = NONE.create("X-Progress-ID: seven", false, "hello\n");
    let newest = NEWEST.create("X-Progress-ID: seven", false, "hello\n");
    let with = |field: &str| newest.replace("Host: a", &format!("Host: a\n{field}"));
    let said = |number: &str| with("X: y").replace("Version: 9", &format!("Version: {number}"));
    for (server, request) in [
        (&server, plain),
        (&server, said("10")),
        (&server, said("4")),
        (&server, said("nine")),
        (&server, said("9, 9")),
        (&server, with("Via: 1.1 proxy")),
        (&server, with("Forwarded: for=192.0.2.1")),
        (&server, with("X-Forwarded-For: 192.0.2.1")),
        (&server, with("X-Forwarded-Proto: http")),
        (&server, with("X-Forwarded-Host: a")),
        (&server, newest.replace("HTTP/1.1", "HTTP/1.0")),
        (&trusting, newest.clone()),
    ] {
        let talk = Talk::with(server);
        let mut line = begin(&talk, &request);
        let record = || server.get("/uploads?X-Progress-ID=seven").json()[0].clone();
        eventually(record, |record| {
            record["received"] == 5 && record["state"] == "uploading"
        });
        ends(&mut line);
        let reply = Reply::next(&mut line).unwrap();
        assert_eq!(reply.status, 201, "{request}: {reply:?}");
        assert_eq!(reply.header("upload-offset"), Some("6"), "{request}");
    }
}

/// A 104 does not replace 100: who waits for that gets both.
#[test]
fn who_waits_for_100_gets_it_besides() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let fields = "Expect: 100-continue\nContent-Length: 6";
    let request = NEWEST.create(fields, false, "");
    let mut line = BufReader::new(server.connect());
    line.get_mut().write_all(&talk.bytes(&request)).unwrap();
    let mut came = Vec::new();
    for _ in 0..2 {
        let reply = Reply::next(&mut line).unwrap();
        came.push(reply.status);
        match reply.status {
            104 => talk.is(&reply, &request, &located(NEWEST, "id")),
            _ => assert_eq!(reply.head, "HTTP/1.1 100 Continue\r\n\r\n"),
        }
    }
    came.sort_unstable();
    assert_eq!(came, [100, 104]);
    line.get_mut().write_all(b"hello\n").unwrap();
    talk.hears(&mut line, &request, &NEWEST.created("id", 6));
}

/// Told where it is, a client whose creation is cut goes on: nothing is thrown away then.
#[test]
fn a_creation_that_was_told_of_is_kept_when_it_is_cut() {
    let server = Server::start(&[]);
    for version in ALL {
        let mut talk = Talk::with(&server);
        let request = version.create("", true, "hello world\n");
        let mut line = begin(&talk, &request);
        talk.hears(&mut line, &request, &located(version, "id"));
        eventually(|| talk.record("id"), |record| record["received"] == 11);
        talk.cuts("id", line.into_inner(), 11);
        talk.says(&version.ask("HEAD", "id"), &version.told(11, Some(12)));
        talk.says(
            &version.append("id", 11, true, "!"),
            &version.completed("id", 12),
        );
    }
}

/// Several requests on one connection: what is told of one never comes behind its answer.
#[test]
fn interim_answers_stay_with_their_request() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let mut line = BufReader::new(server.connect());
    for number in 0..20 {
        let request = NEWEST.create("", number % 2 == 0, "hello\n");
        let whole = talk.bytes(&request);
        let name = format!("id{number}");
        line.get_mut().write_all(&whole[..whole.len() - 1]).unwrap();
        talk.hears(&mut line, &request, &located(NEWEST, &name));
        ends(&mut line);
        let reply = match number % 2 {
            0 => NEWEST.completed(&name, 6),
            _ => NEWEST.created(&name, 6),
        };
        talk.hears(&mut line, &request, &reply);
        let head = NEWEST.ask("HEAD", &name);
        line.get_mut().write_all(&talk.bytes(&head)).unwrap();
        let reply = Reply::head_of(&mut line).unwrap();
        assert_eq!(reply.header("upload-offset"), Some("6"), "{reply:?}");
    }
}

/// Requests that come in one go, before any answer: each is told of itself, in their order.
#[test]
fn requests_in_one_go_are_told_of_one_after_the_other() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    let request = NEWEST.create("", false, "hello\n");
    let mut all = talk.bytes(&request).repeat(20);
    let last = all.pop();
    let mut line = BufReader::new(server.connect());
    line.get_mut().write_all(&all).unwrap();
    let (mut locations, mut finals) = (Vec::new(), 0);
    while finals < 20 {
        let reply = Reply::next(&mut line).unwrap();
        let location = reply.header("location").unwrap().to_owned();
        match reply.status {
            104 => {
                locations.push(location);
                if finals == 19 {
                    // The last byte is sent when the last one has been told where it is: that one's 104 was waited for.
                    line.get_mut().write_all(&[last.unwrap()]).unwrap();
                }
            }
            201 => {
                // One that was answered at once was not told before.
                assert!(locations.is_empty() || locations == [location]);
                (locations, finals) = (Vec::new(), finals + 1);
            }
            _ => panic!("{reply:?}"),
        }
    }
}

/// A client that reads nothing until it has sent all: it is told late, in whole messages, and loses nothing.
#[test]
fn who_reads_only_at_the_end_has_sent_all_of_it() {
    let server = Server::start(&["--checkpoint-bytes", "1", "--checkpoint-time", "1ms"]);
    let mut talk = Talk::with(&server);
    let body = noise(4 << 20);
    let fields = format!("Content-Length: {}", body.len());
    let request = NEWEST.create(&fields, true, "");
    let mut stream = server.connect();
    stream.write_all(&talk.bytes(&request)).unwrap();
    for piece in body.chunks(8 << 10) {
        stream.write_all(piece).unwrap();
    }
    let mut line = BufReader::new(stream);
    talk.hears(&mut line, &request, &located(NEWEST, "id"));
    let mut told = 0;
    let answer = loop {
        let reply = Reply::next(&mut line).unwrap();
        if reply.status != 104 {
            break reply;
        }
        let offset: usize = reply.header("upload-offset").unwrap().parse().unwrap();
        assert!(offset > told && offset <= body.len(), "{reply:?}");
        told = offset;
    };
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(told > 0);
    assert!(server.read(&server.files()[0]) == body);
}
