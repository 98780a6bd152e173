//! How the server comes to its end, and what it takes up anew while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::Signal;

use crate::support::logged::Logged;
use crate::support::{Reply, Server, ask_for, eventually, write_for_us_alone};

const ADMIN: [&str; 2] = ["--admin-listen", "127.0.0.1:0"];

/// An upload of ten bytes of which one has come.
fn begin(server: &Server, admin: SocketAddr) -> TcpStream {
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0")
        .unwrap();
    eventually(
        || ask_for(admin, "GET", "/uploads", None).json()[0]["received"].clone(),
        |received| *received == 1,
    );
    client
}

fn is_stopping(admin: SocketAddr) {
    eventually(
        || ask_for(admin, "GET", "/readyz", None).status,
        |status| *status == 503,
    );
}

#[test]
fn told_to_stop_it_ends_at_once_however_many_idle_connections_and_streams_are_open() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&ADMIN);
        let mut kept = server.connect();
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        assert_eq!(Reply::read(&mut kept).status, 200);
        let (silent, mut within_a_head) = (server.connect(), server.connect());
        within_a_head.write_all(b"GET / HTT").unwrap();
        let mut stream = server.connect();
        stream
            .write_all(b"GET /uploads?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
            .unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        let began = std::time::Instant::now();
        server.signal(signal);
        assert_eq!(server.ends().code(), Some(0));
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        drop((kept, silent, within_a_head));
    }
}

#[test]
fn told_to_stop_it_takes_no_more_and_lets_a_running_upload_finish() {
    let mut server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let mut client = begin(&server, admin);
    assert_eq!(ask_for(admin, "GET", "/readyz", None).status, 200);
    server.signal(Signal::TERM);
    is_stopping(admin);
    assert_eq!(ask_for(admin, "GET", "/livez", None).status, 200);
    eventually(
        || TcpStream::connect(server.address).is_err(),
        |refused| *refused,
    );
    client.write_all(b"123456789").unwrap();
    let reply = Reply::read(&mut client);
    assert_eq!(
        (reply.status, reply.header("connection")),
        (201, Some("close"))
    );
    drop(client);
    assert_eq!(server.ends().code(), Some(0));
    assert_eq!(server.read("slow"), b"0123456789");
}

#[test]
fn an_upload_that_the_server_has_taken_is_never_left_without_its_answer() {
    for _ in 0..10 {
        let mut server = Server::start(&["--durability", "close"]);
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for client in &mut clients {
            client
                .write_all(b"PUT /files/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
                .unwrap();
        }
        server.signal(Signal::TERM);
        let answers = clients.iter_mut().map(Reply::try_read);
        let answers: Vec<_> = answers.filter_map(Result::ok).collect();
        clients.clear();
        assert_eq!(server.ends().code(), Some(0));
        assert!(answers.iter().all(|answer| answer.status == 201));
        // What is stored was acknowledged, and the other way round.
        assert_eq!(server.files().len(), answers.len());
    }
}

#[test]
fn within_the_drain_delay_new_uploads_are_taken_while_readyz_says_503() {
    let mut server = Server::start(&[&ADMIN[..], &["--drain-delay", "3s"]].concat());
    let admin = server.beside("/uploads");
    server.signal(Signal::TERM);
    is_stopping(admin);
    let request =
        b"PUT /files/late HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
    assert_eq!(server.send(request).status, 201);
    assert_eq!(server.ends().code(), Some(0));
    assert_eq!(server.files(), ["late"]);
}

#[test]
fn what_does_not_finish_within_the_grace_is_told_and_leaves_nothing() {
    let args = [&ADMIN[..], &["--shutdown-grace", "200ms"]].concat();
    let mut logged = Logged::start(&args);
    let server = &mut logged.server;
    let admin = server.beside("/uploads");
    let mut client = begin(server, admin);
    let watch = ask_for(admin, "GET", "/uploads", None).json()[0]["watch"].clone();
    let mut stream = server.connect();
    let request = format!(
        "GET /uploads/{} HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
        watch.as_str().unwrap()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 1000];
    assert!(stream.read(&mut first).unwrap() > 0);
    server.signal(Signal::TERM);
    let told = Reply::read(&mut client);
    assert_eq!(
        (told.status, &told.json()["code"]),
        (503, &"shutting_down".into())
    );
    drop(client);
    // Who watches sees the end too, and then that of the stream.
    let mut events = String::new();
    stream.read_to_string(&mut events).unwrap();
    assert!(events.contains("\"code\":\"shutting_down\""), "{events}");
    assert_eq!(server.ends().code(), Some(0));
    assert_eq!((server.files(), server.under_way()), (vec![], vec![]));
    let log = logged.log();
    assert_eq!(log.matches("code=\"shutting_down\"").count(), 1, "{log}");
}

/// A download of which only the beginning has been read, and how many bytes are still to come.
fn begin_to_read(server: &Server) -> (TcpStream, usize) {
    // More than both ends' sockets hold.
    let length = 64 << 20;
    let mut upload = server.connect();
    let head = format!("PUT /files/large HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    upload.write_all(head.as_bytes()).unwrap();
    upload.write_all(&vec![7; length]).unwrap();
    let url = Reply::read(&mut upload).json()["url"].clone();
    let mut client = server.connect();
    let ask = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", url.as_str().unwrap());
    client.write_all(ask.as_bytes()).unwrap();
    let mut reader = BufReader::with_capacity(1, &client);
    let lines = std::iter::from_fn(|| {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        (line != "\r\n").then_some(line)
    });
    assert!(lines.count() > 3);
    (client, length)
}

#[test]
fn told_to_stop_it_lets_a_download_finish_as_long_as_somebody_reads_it() {
    let args = [
        &ADMIN[..],
        &["--shutdown-grace", "1h", "--stall-timeout", "1s"],
    ]
    .concat();
    let mut server = Server::start(&args);
    let admin = server.beside("/uploads");
    let (unread, _) = begin_to_read(&server);
    // This one second: a busy machine needs longer than the timeout to make the next.
    let (mut client, length) = begin_to_read(&server);
    server.signal(Signal::TERM);
    is_stopping(admin);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), length);
    // The other one is given up after the stall timeout, long before the grace is over.
    assert_eq!(server.ends().code(), Some(0));
    drop(unread);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&[&ADMIN[..], &["--shutdown-grace", "1h"]].concat());
    let admin = server.beside("/uploads");
    let client = begin(&server, admin);
    server.signal(Signal::TERM);
    is_stopping(admin);
    server.signal(Signal::INT);
    assert_eq!(server.ends().code(), Some(128 + 2));
    drop(client);
}

#[test]
fn hangup_takes_up_what_can_change_and_names_what_needs_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (file, tokens) = (folder.path().join("d.toml"), folder.path().join("tokens"));
    let write = |text: &str| {
        let tokens = tokens.to_str().unwrap();
        std::fs::write(&file, format!("admin-token-file = \"{tokens}\"\n{text}")).unwrap();
    };
    write_for_us_alone(&tokens, "the-first-token-there-was");
    write("log = \"warn\"\n");
    let args = [&ADMIN[..], &["--config", file.to_str().unwrap()]].concat();
    let mut logged = Logged::start_in(folder.path(), &args);
    let admin = logged.server.beside("/uploads");
    let deletes = |token: &str| ask_for(admin, "DELETE", "/uploads/x", Some(token)).status;
    assert_eq!(deletes("the-first-token-there-was"), 404);

    write_for_us_alone(&tokens, "another-token-instead");
    write("log = \"info\"\nmax-fields = 7\nshutdown-grace = \"100ms\"\n");
    logged.server.signal(Signal::HUP);
    logged.logs("changed, but not before a restart options=\"max-fields\"");
    logged.logs("the configuration was read again options=\"shutdown-grace log\"");
    assert_eq!(deletes("the-first-token-there-was"), 401);
    assert_eq!(deletes("another-token-instead"), 404);

    write("max-fields = \"many\"\n");
    logged.server.signal(Signal::HUP);
    logged.logs("nothing is changed: configuration file");
    assert_eq!(deletes("another-token-instead"), 404);

    // What was taken up is in force: the grace is short now.
    let mut client = begin(&logged.server, admin);
    logged.server.signal(Signal::TERM);
    assert_eq!(Reply::read(&mut client).status, 503);
    drop(client);
    assert_eq!(logged.server.ends().code(), Some(0));
}

#[test]
fn hangup_reads_the_tokens_of_those_who_upload_again() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_for_us_alone(&tokens, "a-token-of-the-first-day");
    let logged = Logged::start_in(folder.path(), &["--token", tokens.to_str().unwrap()]);
    let server = &logged.server;
    let uploads = |token: &str| ask_for(server.address, "PUT", "/files/a", Some(token)).status;
    assert_eq!(uploads("a-token-of-the-first-day"), 201);

    write_for_us_alone(&tokens, "a-token-of-another-day");
    server.signal(Signal::HUP);
    eventually(
        || uploads("a-token-of-another-day"),
        |status| *status == 201,
    );
    assert_eq!(uploads("a-token-of-the-first-day"), 401);

    write_for_us_alone(&tokens, "short");
    server.signal(Signal::HUP);
    let words = "the old tokens stay: line 1 is no token";
    logged.logs(words);
    assert_eq!(uploads("a-token-of-another-day"), 201);
}

#[test]
fn hangup_names_another_file_of_tokens_as_what_needs_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [file, first, second] = ["d.toml", "1", "2"].map(|name| folder.path().join(name));
    write_for_us_alone(&first, "a-token-of-the-first-file");
    write_for_us_alone(&second, "a-token-of-another-file");
    let name = |tokens: &Path| {
        std::fs::write(&file, format!("admin-token-file = {tokens:?}")).unwrap();
    };
    name(&first);
    let args = [&ADMIN[..], &["--config", file.to_str().unwrap()]].concat();
    let logged = Logged::start_in(folder.path(), &args);
    let server = &logged.server;
    let admin = server.beside("/uploads");
    name(&second);
    server.signal(Signal::HUP);
    let words = "changed, but not before a restart options=\"admin-token-file\"";
    logged.logs(words);
    let deletes = |token: &str| ask_for(admin, "DELETE", "/uploads/x", Some(token)).status;
    assert_eq!(deletes("a-token-of-the-first-file"), 404);
    assert_eq!(deletes("a-token-of-another-file"), 401);
}
