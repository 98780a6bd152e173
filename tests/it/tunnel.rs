//! WebSocket through us to the app behind, whoever speaks, closes or goes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use rustix::process::Signal;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::support::app::{App, Call, Gate};
use crate::support::{Reply, Server, eventually, form, noise, part, post};

const HANDSHAKE: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn before(app: &App, more: &[&str]) -> Server {
    let url = app.url();
    Server::start(&[&["--app", &url], more].concat())
}

/// The app consents.
fn consent(call: &mut Call) {
    let key = call.seen().header("sec-websocket-key").unwrap().to_owned();
    let key = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {key}\r\nDumbwaiter-Made: up\r\n\r\n"
    );
    call.say(head.as_bytes());
}

/// The app says back whatever message it is sent.
pub(crate) fn echo(call: &mut Call) {
    consent(call);
    let mut socket = WebSocket::from_raw_socket(call.stream(), Role::Server, None);
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).unwrap(),
            _ => {}
        }
    }
}

/// The app says back each piece of bytes, until there are no more.
fn mirror(call: &mut Call) {
    consent(call);
    let (mut reads, mut piece) = (call.stream(), [0; 1024]);
    while let Ok(bytes @ 1..) = reads.read(&mut piece) {
        call.say(&piece[..bytes]);
    }
}

/// Reads an answer's head and nothing behind it: that is the app's own word.
fn head(client: &mut TcpStream) -> Reply {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    Reply::head_of(&mut &head[..]).unwrap()
}

/// A client's connection to the app.
fn open(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client.write_all(HANDSHAKE.as_bytes()).unwrap();
    let reply = head(&mut client);
    assert_eq!(reply.status, 101, "{reply:?}");
    client
}

/// All that still comes, to the end.
fn rest(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn messages_of_every_size_go_both_ways_and_the_app_knows_the_client() {
    let app = App::start();
    app.does(echo);
    let server = before(&app, &[]);
    let url = format!("ws://{}/chat?room=1", server.address);
    let (mut socket, reply) = tungstenite::client(url, server.connect()).unwrap();
    assert_eq!(reply.headers()["connection"], "upgrade");
    assert_eq!(reply.headers()["upgrade"], "websocket");
    assert!(!reply.headers().contains_key("dumbwaiter-made"));
    assert!(!reply.headers().contains_key("content-length"));
    for bytes in [0, 1, 125, 126, 65_536, 5_000_000] {
        let message = Message::binary(noise(bytes));
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message, "{bytes} bytes");
    }
    socket.send(Message::text("paella")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("paella"));
    socket.send(Message::Ping(b"there?"[..].into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(b"there?"[..].into()));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}

    let seen = &app.seen()[0];
    assert_eq!((seen.method(), seen.target()), ("GET", "/chat?room=1"));
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(seen.header("connection"), Some("upgrade"));
    assert_eq!(seen.header("sec-websocket-version"), Some("13"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("host"), Some(&*server.address.to_string()));
}

#[test]
fn what_a_client_sends_with_its_handshake_reaches_the_app_as_it_is() {
    let app = App::start();
    app.does(mirror);
    let server = before(&app, &[]);
    for early in [
        &b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x81\x85\0\0\0\0hello",
        b"\xff",
    ] {
        let mut client = server.connect();
        let sent = [HANDSHAKE.as_bytes(), early].concat();
        client.write_all(&sent).unwrap();
        assert_eq!(head(&mut client).status, 101);
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert_eq!(back, early);
    }
    assert_eq!(app.seen().len(), 3);
}

#[test]
fn an_app_that_refuses_is_heard_and_nothing_behind_the_handshake_is_a_request() {
    let app = App::start();
    app.answers(403, "Content-Type: text/plain\r\n", b"members only");
    let server = before(&app, &[]);
    let mut client = server.connect();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    client
        .write_all(format!("{HANDSHAKE}{hidden}").as_bytes())
        .unwrap();
    let reply = Reply::read(&mut client);
    assert_eq!((reply.status, reply.text()), (403, "members only"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(rest(&mut client), "");
    assert_eq!(app.seen().len(), 1);
}

#[test]
fn nothing_but_websocket_is_asked_for_on_a_clients_behalf() {
    let app = App::start();
    let server = before(&app, &[]);
    for (times, request) in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
    ]
    .into_iter()
    .enumerate()
    {
        let reply = server.send(request.as_bytes());
        assert_eq!((reply.status, reply.text()), (200, "ok"), "{request}");
        let seen = app.asked(times + 1).pop().unwrap();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(seen.header(name), None, "{request}");
        }
    }
}

#[test]
fn an_app_that_switches_unasked_is_not_followed() {
    let app = App::start();
    app.does(|call| {
        call.read();
        call.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
        call.until_gone();
    });
    let server = before(&app, &["--upload-path", "/upload"]);
    let reply = server.get("/");
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (502, &"app_unreachable".into())
    );
    let body = form(&[part("f", Some("a"), b"x")]);
    assert_eq!(server.post("/upload", "", &body).status, 502);

    app.does(|call| {
        call.say(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        );
        call.until_gone();
    });
    assert_eq!(server.send(HANDSHAKE.as_bytes()).status, 502);
}

#[test]
fn a_side_that_is_closed_is_closed_for_the_other_and_its_own_stays_open() {
    let app = App::start();
    let heard = Gate::default();
    let hears = heard.clone();
    app.does(move |call| {
        consent(call);
        call.say(b"first ");
        call.until_gone();
        hears.open();
        call.say(b"and last");
    });
    let server = before(&app, &[]);
    let mut client = open(&server);
    client.shutdown(Shutdown::Write).unwrap();
    heard.opened();
    assert_eq!(rest(&mut client), "first and last");

    // The other way about.
    let (client_hears, says_all) = (Gate::default(), Gate::default());
    let (hears, says) = (client_hears.clone(), says_all.clone());
    app.does(move |call| {
        consent(call);
        call.stream().shutdown(Shutdown::Write).unwrap();
        hears.wait();
        let mut all = String::new();
        call.stream().read_to_string(&mut all).unwrap();
        if all == "after you closed" {
            says.open();
        }
    });
    let mut client = open(&server);
    assert_eq!(rest(&mut client), "");
    client_hears.open();
    client.write_all(b"after you closed").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    says_all.opened();
}

#[test]
fn whoever_dies_takes_the_other_side_along() {
    let app = App::start();
    let gone = Gate::default();
    let goes = gone.clone();
    app.does(move |call| {
        consent(call);
        call.until_gone();
        goes.open();
    });
    let server = before(&app, &[]);
    drop(open(&server));
    gone.opened();

    app.does(mirror);
    let mut client = open(&server);
    app.dies();
    let mut end = [0];
    assert!(!matches!(client.read(&mut end), Ok(1..)));
}

#[test]
fn there_are_so_many_at_once_and_no_more() {
    let app = App::start();
    app.does(mirror);
    let server = before(&app, &["--max-tunnels", "1"]);
    let mut client = open(&server);
    let reply = server.send(HANDSHAKE.as_bytes());
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (503, &"too_many_tunnels".into())
    );
    assert!(reply.header("retry-after").is_some());
    // Everything else goes on, and so does the first.
    app.does(|call| call.answer(200, "", b"page"));
    assert_eq!(server.get("/page").text(), "page");
    client.write_all(b"x").unwrap();
    let mut back = [0];
    client.read_exact(&mut back).unwrap();

    drop(client);
    app.does(mirror);
    let again = || {
        let mut client = server.connect();
        client.write_all(HANDSHAKE.as_bytes()).unwrap();
        head(&mut client).status
    };
    assert_eq!(eventually(again, |status| *status != 503), 101);
}

#[test]
fn a_handshake_that_is_refused_gives_its_place_back() {
    let app = App::start();
    app.answers(404, "", b"");
    let server = before(&app, &["--max-tunnels", "1"]);
    for _ in 0..3 {
        assert_eq!(server.send(HANDSHAKE.as_bytes()).status, 404);
    }
    app.does(mirror);
    open(&server);
}

#[test]
fn a_silent_one_is_cut() {
    let app = App::start();
    let gone = Gate::default();
    let goes = gone.clone();
    app.does(move |call| {
        consent(call);
        call.until_gone();
        goes.open();
    });
    let server = before(&app, &["--tunnel-idle-timeout", "200ms"]);
    let mut client = open(&server);
    assert_eq!(rest(&mut client), "");
    gone.opened();
}

#[test]
fn it_is_there_on_a_connection_that_has_brought_an_upload_too() {
    let app = App::start();
    app.does(|call| match call.seen().method() {
        "POST" => call.answer(200, "", b"ok"),
        _ => mirror(call),
    });
    let server = before(&app, &[]);
    let mut client = server.connect();
    client.write_all(&post("/form", "", &form(&[]))).unwrap();
    assert_eq!(Reply::read(&mut client).status, 200);
    client.write_all(HANDSHAKE.as_bytes()).unwrap();
    let reply = head(&mut client);
    assert_eq!(
        (reply.status, reply.header("connection")),
        (101, Some("upgrade"))
    );
    client.write_all(b"x").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "x");
}

#[test]
fn when_the_server_stops_the_app_hears_it_and_its_last_words_go_out() {
    let app = App::start();
    app.does(|call| {
        consent(call);
        call.until_gone();
        call.say(b"bye");
    });
    let mut server = before(&app, &[]);
    let mut client = open(&server);
    server.signal(Signal::TERM);
    assert_eq!(rest(&mut client), "bye");
    assert!(server.ends().success());

    // An app that says nothing holds nobody up.
    let app = App::start();
    let held = Gate::default();
    let holds = held.clone();
    app.does(move |call| {
        consent(call);
        holds.wait();
    });
    let mut server = before(&app, &[]);
    let _client = open(&server);
    server.signal(Signal::TERM);
    assert!(server.ends().success());
    held.open();
}
