//! How a request that passes ends when somebody goes away, or is silent.

use std::io::{BufReader, ErrorKind, Read, Write as _};
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Duration;

use super::in_front_of;
use crate::support::app::{App, Gate};
use crate::support::{Reply, eventually};

#[test]
fn an_app_that_is_not_there_is_said_to_be_so_and_may_come_back() {
    let app = App::start();
    let address = app.address;
    let server = in_front_of(&app, &[]);
    assert_eq!(server.get("/").status, 200);
    app.dies();
    let reply = server.get("/");
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (502, Some("app_unreachable"))
    );
    let page = server.get_with("/", "Accept: text/html\r\n");
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html"),
        "{}",
        page.head
    );
    // What is ours goes on without it.
    assert_eq!(server.get("/_dumbwaiter/").status, 200);
    let app = App::start_at(address);
    assert_eq!(server.get("/").status, 200);
    assert_eq!(app.only().target(), "/");
}

#[test]
fn an_app_that_is_silent_is_given_up_in_time() {
    let app = App::start();
    let gate = Gate::default();
    let held = gate.clone();
    app.does(move |call| {
        call.read();
        held.wait();
    });
    let server = in_front_of(&app, &["--app-timeout", "200ms"]);
    let reply = server.get("/");
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (504, Some("app_timeout"))
    );
    gate.open();

    // In the middle of an answer there is no status left to say so.
    let gate = Gate::default();
    let held = gate.clone();
    app.does(move |call| {
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        held.wait();
    });
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let (head, body) = to_the_end(stream);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "12345");
    gate.open();
}

#[test]
fn an_app_that_takes_nothing_of_a_request_is_given_up_in_time() {
    let app = App::start();
    let gate = Gate::default();
    let held = gate.clone();
    app.does(move |_| held.wait());
    let server = in_front_of(&app, &["--app-timeout", "300ms"]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n")
        .unwrap();
    let mut sends = stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || while sends.write_all(&[7; 65536]).is_ok() {});
    assert_eq!(Reply::read(&mut stream).status, 504);
    let _ = stream.shutdown(Shutdown::Both);
    sent.join().unwrap();
    gate.open();
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_body_does_not_hold_the_app_for_ever() {
    let app = App::start();
    app.does(|call| {
        call.read();
    });
    let server = in_front_of(&app, &["--stall-timeout", "200ms"]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        .unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (408, Some("stalled"))
    );
    let seen = eventually(
        || app.seen(),
        |seen| seen.iter().any(|one| one.body == b"12345"),
    );
    assert!(!seen[0].whole);
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    let app = App::start();
    let server = in_front_of(&app, &[]);
    for (head, rest) in [
        ("Content-Length: 10\r\n", "12345"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{rest}");
        let gate = Gate::default();
        let held = gate.clone();
        app.does(move |call| {
            call.read();
            call.say(answer.as_bytes());
            held.wait();
        });
        let mut stream = server.connect();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(Reply::head_of(&mut reader).unwrap().status, 200);
        gate.open();
        let body = String::from_utf8(until_cut(&mut reader)).unwrap();
        assert!(!body.ends_with("0\r\n\r\n") && body.len() < 20, "{body:?}");
    }
    for nonsense in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 101 Well\r\n\r\n",
    ] {
        app.does(move |call| {
            call.read();
            call.say(nonsense.as_bytes());
        });
        let reply = server.get("/");
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (502, Some("app_unreachable"))
        );
    }
}

/// Reads a connection until it is closed: the head, and what came behind it.
fn to_the_end(mut stream: std::net::TcpStream) -> (String, String) {
    let all = until_cut(&mut stream);
    let all = String::from_utf8(all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// What comes until the connection is cut, in whichever way; it is.
fn until_cut(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    if let Err(cut) = stream.read_to_end(&mut all) {
        assert_eq!(cut.kind(), ErrorKind::ConnectionReset, "{cut}");
    }
    all
}

#[test]
fn a_client_that_goes_takes_its_request_to_the_app_along() {
    let app = App::start();
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    app.does(move |call| {
        call.read();
        call.until_gone();
        let _ = tell.lock().unwrap().send(call.seen().whole);
    });
    let server = in_front_of(&app, &[]);
    let patience = Duration::from_secs(30);

    // In the middle of its body.
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        .unwrap();
    app.asked(1);
    drop(stream);
    assert_eq!(told.recv_timeout(patience), Ok(false));

    // While the app works.
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    app.asked(2);
    drop(stream);
    assert_eq!(told.recv_timeout(patience), Ok(true));
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_silent_answer_is_seen_to_go() {
    let app = App::start();
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    app.does(move |call| {
        call.read();
        call.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: begun\n\n");
        call.until_gone();
        let _ = tell.lock().unwrap().send(());
    });
    let server = in_front_of(&app, &[]);
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(Reply::head_of(&mut reader).unwrap().status, 200);
    drop(reader);
    assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(()));
}

#[test]
fn a_client_that_closes_its_side_behind_a_body_still_gets_the_answer() {
    let app = App::start();
    let gate = Gate::default();
    let held = gate.clone();
    app.does(move |call| {
        call.read();
        held.wait();
        call.answer(200, "", b"late");
    });
    let server = in_front_of(&app, &[]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    app.only();
    gate.open();
    assert_eq!(Reply::read(&mut stream).text(), "late");
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let app = App::start();
    app.does(|call| {
        call.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        call.until_gone();
    });
    let server = in_front_of(&app, &[]);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .unwrap();
    let mut sends = stream.try_clone().unwrap();
    let sent = std::thread::spawn(move || while sends.write_all(&[7; 65536]).is_ok() {});
    let reply = Reply::read(&mut stream);
    assert_eq!((reply.status, reply.text()), (413, "no"));
    let _ = stream.shutdown(Shutdown::Both);
    sent.join().unwrap();
}
