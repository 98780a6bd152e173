//! Bodies that pass, both ways, and who slows whom down.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::in_front_of;
use crate::support::app::{App, Gate};
use crate::support::{Reply, eventually, noise};

#[test]
fn a_body_comes_to_the_app_as_it_was_sent() {
    let app = App::start();
    let server = in_front_of(&app, &["--upload-path", "/form"]);
    let body = noise(3_000_000);
    let head = format!(
        "POST /any HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-own\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let reply = server.send(&[head.as_bytes(), &body].concat());
    assert_eq!(reply.status, 200);
    let seen = app.only();
    assert_eq!(seen.header("content-length"), Some("3000000"));
    assert_eq!(seen.headers("transfer-encoding").len(), 0);
    assert!(seen.whole && seen.body == body);
}

#[test]
fn a_body_of_no_bytes_is_still_one() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    let reply = server.send(b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert_eq!(app.only().header("content-length"), Some("0"));
}

#[test]
fn chunks_pass_both_ways_as_they_come() {
    let app = App::start();
    let (first, second) = (Gate::default(), Gate::default());
    let gates = (first.clone(), second.clone());
    app.does(move |call| {
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        gates.0.wait();
        call.say(b"3\r\ntwo\r\n");
        gates.1.wait();
        call.say(b"0\r\n\r\n");
    });
    let server = in_front_of(&app, &[]);
    let mut stream = server.connect();
    let head = "PUT /any HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"5\r\nhello\r\n").unwrap();
    // The app has the beginning before the client has the end.
    app.asked(1);
    stream.write_all(b"6\r\n world\r\n0\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let reply = Reply::head_of(&mut reader).unwrap();
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    };
    assert_eq!([line(), line()], ["3\r\n", "one\r\n"]);
    first.open();
    assert_eq!([line(), line()], ["3\r\n", "two\r\n"]);
    second.open();
    assert_eq!([line(), line()], ["0\r\n", "\r\n"]);
    let seen = app.only();
    assert_eq!(
        (seen.header("transfer-encoding"), &*seen.body),
        (Some("chunked"), &b"hello world"[..])
    );
    assert_eq!(seen.header("content-length"), None);
}

#[test]
fn an_app_that_is_asked_first_decides_whether_a_body_comes() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    let head = "POST /any HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    app.does(|call| call.say(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!((reply.status, reply.text()), (401, "no"));

    app.does(|call| {
        assert!(call.seen().header("expect").is_some());
        call.say(b"HTTP/1.1 100 Continue\r\n\r\n");
        call.answer(200, "", b"thanks");
    });
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(Reply::next(&mut reader).unwrap().status, 100);
    stream.write_all(b"hello").unwrap();
    assert_eq!(Reply::next(&mut reader).unwrap().text(), "thanks");
    assert_eq!(app.seen()[1].body, b"hello");

    // One that says nothing gets it after a moment.
    app.answers(200, "", b"well");
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(Reply::next(&mut reader).unwrap().status, 100);
    stream.write_all(b"hello").unwrap();
    assert_eq!(Reply::next(&mut reader).unwrap().text(), "well");
}

/// More than all buffers on the way hold, kernels' included.
const LARGE: usize = 256 * 1024 * 1024;

#[test]
fn a_client_that_reads_slowly_slows_the_app_down() {
    let app = App::start();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    app.does(move |call| {
        call.read();
        call.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
        let piece = vec![7; 64 * 1024];
        let mut stream = call.stream();
        while count.load(Ordering::Relaxed) < LARGE && stream.write_all(&piece).is_ok() {
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    let server = in_front_of(&app, &[]);
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut reader = BufReader::new(stream);
    Reply::head_of(&mut reader).unwrap();
    let so_far = stands_still(&written);
    assert!(
        so_far < LARGE / 4,
        "{so_far} bytes were taken for a client that reads none"
    );
    let read = std::io::copy(&mut reader.take(LARGE as u64), &mut std::io::sink()).unwrap();
    assert_eq!(read, LARGE as u64);
}

#[test]
fn an_app_that_reads_slowly_slows_the_client_down() {
    let app = App::start();
    let gate = Gate::default();
    let opens = gate.clone();
    app.does(move |call| {
        opens.wait();
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let server = in_front_of(&app, &[]);
    let written = Arc::new(AtomicUsize::new(0));
    let (count, mut stream) = (Arc::clone(&written), server.connect());
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let sends = thread::spawn(move || {
        let piece = vec![7; 64 * 1024];
        while count.load(Ordering::Relaxed) < LARGE {
            stream.write_all(&piece).unwrap();
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Reply::read(&mut stream).status
    });
    let so_far = stands_still(&written);
    assert!(
        so_far < LARGE / 4,
        "{so_far} bytes were taken for an app that reads none"
    );
    gate.open();
    assert_eq!(sends.join().unwrap(), 200);
    assert_eq!(app.only().body.len(), LARGE);
}

/// What a count comes to, once it has not grown for a while: a slower machine gives a smaller one, never a larger.
fn stands_still(count: &AtomicUsize) -> usize {
    let mut before = (0, 0);
    let seen = || {
        let now = count.load(Ordering::Relaxed);
        before = if now > 0 && now == before.0 {
            (now, before.1 + 1)
        } else {
            (now, 0)
        };
        before
    };
    eventually(seen, |(_, times)| *times > 100).0
}
