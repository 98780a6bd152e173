//! nginx in front of us in front of an app, set up as `docs/apps.md` says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::apps::block;
use crate::support::app::{App, Gate};
use crate::support::needs::needs;
use crate::support::nginx::Nginx;
use crate::support::{Reply, Server, ask, connect_from, eventually, form, noise, part, post};

/// nginx before a server before `app`.
fn all_three(app: &App) -> (Nginx, Server) {
    let url = app.url();
    let server = Server::start(&[
        "--app",
        &url,
        "--upload-path",
        "/upload",
        "--trusted-proxy",
        "127.0.0.1",
    ]);
    let location = block("nginx").replace("127.0.0.1:7070", &server.address.to_string());
    let nginx = Nginx::start(|_, listen| format!("server {{ listen {listen}; {location} }}"));
    (nginx, server)
}

/// A client that is neither nginx nor we.
fn client(nginx: &Nginx) -> TcpStream {
    let client = connect_from(nginx.address, 9);
    let patience = Some(Duration::from_secs(20));
    client.set_read_timeout(patience).unwrap();
    client
}

#[test]
fn a_body_is_counted_as_it_comes_and_the_app_learns_who_sent_it() {
    if !needs("nginx") {
        return;
    }
    let app = App::start();
    let (nginx, server) = all_three(&app);
    let body = form(&[part("picture", Some("paella.jpg"), &noise(300_000))]);
    let lie = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n";
    let request = post("/upload?X-Progress-ID=one", lie, &body);
    let mut sender = client(&nginx);
    let (first, last) = request.split_at(request.len() - 100_000);
    sender.write_all(first).unwrap();

    // The bar moves while it comes.
    let record = || {
        let query = "GET /_dumbwaiter/uploads?X-Progress-ID=one HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut stream = client(&nginx);
        stream.write_all(query.as_bytes()).unwrap();
        Reply::read(&mut stream).json()[0]["received"].as_u64()
    };
    let here = first.len() as u64 - (request.len() - body.len()) as u64;
    eventually(record, |received| *received == Some(here));
    assert!(app.seen().is_empty(), "it has not asked the app yet");

    sender.write_all(last).unwrap();
    assert_eq!(Reply::read(&mut sender).text(), "ok");
    let seen = app.only();
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("x-real-ip"), Some("127.0.0.9"));
    let path = seen.header("x-forwarded-for").unwrap();
    assert_eq!(path.split(',').next(), Some("127.0.0.9"));
    assert!(!seen.head.contains("203.0.113.7"), "{}", seen.head);
    assert_eq!(seen.header("host"), Some("a"));
    drop(server);
}

#[test]
fn events_come_through_as_they_are_said() {
    if !needs("nginx") {
        return;
    }
    let app = App::start();
    let (nginx, _server) = all_three(&app);

    // Ours: while the upload stands still.
    let body = form(&[part("picture", Some("paella.jpg"), &noise(200_000))]);
    let request = post("/upload?X-Progress-ID=two", "", &body);
    let mut sender = client(&nginx);
    sender.write_all(&request[..request.len() - 1]).unwrap();
    let mut watcher = client(&nginx);
    watcher
        .write_all(b"GET /_dumbwaiter/uploads?X-Progress-ID=two HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        .unwrap();
    let received = format!("\"received\":{}", body.len() - 1);
    let mut lines = BufReader::new(watcher).lines();
    assert!(lines.any(|line| line.unwrap().contains(&received)));
    sender.write_all(&request[request.len() - 1..]).unwrap();
    assert!(lines.any(|line| line.unwrap().contains("\"state\":\"done\"")));

    // The app's, which does not say that it is one.
    let heard = Gate::default();
    let until = heard.clone();
    app.does(move |call| {
        call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n");
        until.wait();
        call.say(b"5\r\nlast\n\r\n0\r\n\r\n");
    });
    let mut reader = client(&nginx);
    reader
        .write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "first"));
    heard.open();
    assert!(lines.any(|line| line == "last"));
}

#[test]
fn websocket_comes_through() {
    if !needs("nginx") {
        return;
    }
    let app = App::start();
    app.does(crate::tunnel::echo);
    let (nginx, _server) = all_three(&app);
    let url = format!("ws://{}/chat", nginx.address);
    let (mut socket, _) = tungstenite::client(url, client(&nginx)).unwrap();
    let message = tungstenite::Message::binary(noise(1_000_000));
    socket.send(message.clone()).unwrap();
    assert!(socket.read().unwrap() == message);
    assert_eq!(app.seen()[0].header("x-real-ip"), Some("127.0.0.9"));
}

#[test]
fn what_needs_no_app_of_its_own_passes_as_well() {
    if !needs("nginx") {
        return;
    }
    let app = App::start();
    app.answers(418, "X-App: yes\r\n", b"a teapot");
    let (nginx, _server) = all_three(&app);
    let reply = ask(nginx.address, "GET /tea HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((reply.status, reply.text()), (418, "a teapot"));
    assert_eq!(reply.header("x-app"), Some("yes"));
    let mut big = client(&nginx);
    app.answers(200, "", b"");
    // More than nginx holds, and more than it takes unless told otherwise.
    let body = noise(3 << 20);
    big.write_all(&post("/form", "", &body)).unwrap();
    assert_eq!(Reply::read(&mut big).status, 200);
    assert!(app.seen().last().unwrap().body == body);
    let mut end = [0];
    drop(nginx);
    assert!(!matches!(big.read(&mut end), Ok(1..)));
}
