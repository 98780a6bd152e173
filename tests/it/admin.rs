//! The listeners beside the public one: who sees what there, and how uploads are cancelled and deleted.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::ended::ended;
use crate::support::{Reply, Server, ask, ask_for, eventually, form, part, write_for_us_alone};

const ADMIN: [&str; 2] = ["--admin-listen", "127.0.0.1:0"];

fn get(address: SocketAddr, path: &str) -> Reply {
    ask_for(address, "GET", path, None)
}

fn put(server: &Server, name: &str, content: &str) -> Value {
    let length = content.len();
    let request = format!(
        "PUT /files/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{content}"
    );
    server.send(request.as_bytes()).json()
}

/// An upload that has sent a byte and then nothing; its watch name.
fn stuck(server: &Server, admin: SocketAddr) -> (TcpStream, String) {
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        .unwrap();
    (client, running(admin))
}

/// The watch name of the one upload that is under way, once a byte of it has come.
fn running(admin: SocketAddr) -> String {
    let uploading = |record: &Value| record["state"] == "uploading";
    let find = || get(admin, "/uploads").json().as_array().unwrap().clone();
    let found = eventually(find, |all| all.iter().any(uploading));
    let record = found.iter().find(|record| uploading(record)).unwrap();
    record["watch"].as_str().unwrap().to_owned()
}

#[test]
fn every_upload_is_listed_by_its_watch_name_and_no_id_is_shown() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    assert_eq!(get(admin, "/uploads").json(), serde_json::json!([]));
    let body = form(&[part("dish", None, b"12"), part("f", Some("a.jpg"), b"x")]);
    let first = server.post("/upload?X-Progress-ID=7", "", &body).json();
    let second = put(&server, "b.txt", "12345");
    let listed = get(admin, "/uploads");
    let all = listed.json();
    assert_eq!(all[0]["watch"], second["watch"]);
    assert_eq!(all[1]["watch"], first["watch"]);
    assert_eq!(all[1]["progress_id"], "7");
    assert_eq!(all[1]["fields"]["dish"], "12");
    assert_eq!(all[1]["files"][0]["name"], "a.jpg");
    assert_eq!(all.as_array().unwrap().len(), 2);
    let watch = second["watch"].as_str().unwrap();
    let one = get(admin, &format!("/uploads/{watch}"));
    assert_eq!(one.json(), all[0]);
    for id in [&first["id"], &second["id"]] {
        let id = id.as_str().unwrap();
        assert!(!listed.text().contains(id) && !one.text().contains(id));
        assert_eq!(get(admin, &format!("/uploads/{id}")).status, 404);
    }
}

#[test]
fn more_uploads_than_fit_in_one_piece_come_as_one_array() {
    let server = Server::start(&[&ADMIN[..], &["--durability", "close"]].concat());
    for number in 0..250 {
        put(&server, &format!("{number}"), "x");
    }
    let all = get(server.beside("/uploads"), "/uploads").json();
    let names: std::collections::HashSet<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["watch"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 250);
}

#[test]
fn a_silent_upload_is_cancelled_at_once_and_its_client_can_read_why() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let (mut client, watch) = stuck(&server, admin);
    let path = format!("/uploads/{watch}");
    for wrong in [None, Some("0123456789abcdef0123456789abcdef")] {
        let reply = ask_for(admin, "DELETE", &path, wrong);
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(get(admin, &path).json()["state"], "uploading");
    let began = Instant::now();
    let token = Some(server.token());
    assert_eq!(ask_for(admin, "DELETE", &path, token).status, 204);
    assert!(began.elapsed() < Duration::from_secs(5));
    let told = Reply::read(&mut client);
    assert_eq!(
        (told.status, &told.json()["code"]),
        (410, &"cancelled".into())
    );
    // Whoever was told finds nothing left over.
    assert_eq!((server.files(), server.under_way()), (vec![], vec![]));
    let record = get(admin, &path).json();
    assert_eq!(
        (&record["state"], &record["error"]["code"]),
        (&"error".into(), &"cancelled".into())
    );
    // The record that says so goes with a second call.
    assert_eq!(ask_for(admin, "DELETE", &path, token).status, 204);
    assert_eq!(ask_for(admin, "DELETE", &path, token).status, 404);
    assert_eq!(get(admin, &path).status, 404);
}

#[test]
fn an_upload_that_never_pauses_is_cancelled_too() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let mut client = server.connect();
    client
        .write_all(b"PUT /files/fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let (mut sender, told) = (client.try_clone().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = [&b"10000\r\n"[..], &vec![7; 1 << 16], b"\r\n"].concat();
            let end = Instant::now() + Duration::from_secs(20);
            while !told.load(Ordering::Relaxed) && Instant::now() < end {
                if sender.write_all(&bytes).is_err() {
                    return;
                }
            }
        });
        let path = format!("/uploads/{}", running(admin));
        assert_eq!(
            ask_for(admin, "DELETE", &path, Some(server.token())).status,
            204
        );
        let reply = Reply::read(&mut client);
        told.store(true, Ordering::Relaxed);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (410, &"cancelled".into())
        );
    });
    assert_eq!((server.files(), server.under_way()), (vec![], vec![]));
}

/// Whoever comes first, the commit or the DELETE: after a 204 nothing is there.
#[test]
fn a_delete_that_meets_the_commit_leaves_nothing() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let mut ends = std::collections::HashSet::new();
    for round in 0..60 {
        let (client, watch) = stuck(&server, admin);
        let path = format!("/uploads/{watch}");
        let status = std::thread::scope(|scope| {
            let uploader = scope.spawn(|| {
                let mut client = client;
                // The last bytes, a little earlier or later against the DELETE in each round.
                (0..round * 500).for_each(|_| std::hint::spin_loop());
                let _ = client.write_all(&[b'x'; 999]);
                Reply::read(&mut client).status
            });
            assert_eq!(
                ask_for(admin, "DELETE", &path, Some(server.token())).status,
                204
            );
            assert_eq!(server.files(), [""; 0], "round {round}");
            uploader.join().unwrap()
        });
        assert_eq!(server.under_way(), [""; 0]);
        ends.insert(status);
    }
    assert!(ends.is_subset(&[201, 410].into()), "{ends:?}");
}

#[test]
fn a_finished_upload_is_deleted_with_its_files_by_the_operator() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let body = form(&[part("f", Some("a"), b"x"), part("g", Some("b"), b"y")]);
    let record = server.post("/upload", "", &body).json();
    put(&server, "c", "stays");
    let path = format!("/uploads/{}", record["watch"].as_str().unwrap());
    assert_eq!(ask_for(admin, "DELETE", &path, None).status, 401);
    assert_eq!(server.files().len(), 3);
    assert_eq!(
        ask_for(admin, "DELETE", &path, Some(server.token())).status,
        204
    );
    assert_eq!(server.files(), ["c"]);
    let id = record["id"].as_str().unwrap();
    for gone in [
        format!("/files/{id}"),
        format!("/files/{id}/1"),
        format!("/uploads/{id}"),
    ] {
        assert_eq!(server.get(&gone).status, 404, "{gone}");
    }
    assert_eq!(
        ask_for(admin, "DELETE", &path, Some(server.token())).status,
        404
    );
}

#[test]
fn the_holder_of_an_id_deletes_and_the_holder_of_a_watch_name_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &[]);
    let record = put(&server, "mine", "x");
    let (id, watch) = (
        record["id"].as_str().unwrap(),
        record["watch"].as_str().unwrap(),
    );
    let delete = |server: &Server, name: &str| {
        let request = format!("DELETE /uploads/{name} HTTP/1.1\r\nHost: a\r\n\r\n");
        server.send(request.as_bytes()).status
    };
    let unknown = "0".repeat(32);
    for name in [watch, &unknown, "x", "../mine", ""] {
        assert_eq!(delete(&server, name), 404, "{name}");
    }
    assert_eq!(server.files(), ["mine"]);
    // Also when nothing but the store knows of it any more.
    drop(server);
    let server = Server::start_in(folder.path(), &[]);
    assert_eq!(delete(&server, id), 204);
    assert_eq!(server.files(), [""; 0]);
    assert_eq!(delete(&server, id), 404);
}

/// The events of a stream, one by one: its kind and its data.
fn events(stream: TcpStream) -> impl Iterator<Item = (String, Value)> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut kind = String::from("message");
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            if let Some(name) = line.strip_prefix("event: ") {
                kind = name.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).unwrap();
                return Some((std::mem::replace(&mut kind, "message".into()), data));
            }
        }
    })
}

#[test]
fn the_stream_of_all_tells_what_is_there_what_changes_and_what_is_gone() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let before = put(&server, "before", "x");
    let mut stream = TcpStream::connect(admin).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .write_all(b"GET /uploads HTTP/1.1\r\nHost: [::1]:1\r\nAccept: text/event-stream\r\n\r\n")
        .unwrap();
    let mut events = events(stream);
    let (_, first) = events.next().unwrap();
    assert_eq!(
        (&first["watch"], &first["state"]),
        (&before["watch"], &"done".into())
    );
    assert!(first.get("id").is_none());
    let (mut client, watch) = stuck(&server, admin);
    let (_, begun) = events
        .find(|(_, data)| data["watch"] == watch.as_str())
        .unwrap();
    assert!(["starting", "uploading"].contains(&begun["state"].as_str().unwrap()));
    client.write_all(&[b'x'; 999]).unwrap();
    events
        .find(|(_, data)| data["watch"] == watch.as_str() && data["state"] == "done")
        .unwrap();
    let path = format!("/uploads/{watch}");
    assert_eq!(
        ask_for(admin, "DELETE", &path, Some(server.token())).status,
        204
    );
    let gone = events.find(|(kind, _)| kind == "gone").unwrap();
    assert_eq!(gone.1, serde_json::json!({ "watch": watch }));
}

#[test]
fn only_names_of_loopback_and_addresses_are_answered() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:7071", 200),
        ("board.localhost", 200),
        ("127.0.0.1:7071", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:7071", 421),
        ("localhost.evil.example", 421),
        ("notlocalhost", 421),
        ("user@evil.example", 421),
        ("", 421),
    ] {
        for path in ["/uploads", "/metrics", "/livez"] {
            let reply = ask(
                admin,
                &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            );
            assert_eq!(reply.status, status, "{host:?} {path}");
        }
    }
}

#[test]
fn off_loopback_a_token_file_is_needed_and_then_for_reading_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"]);
    let output = ended(command.arg("--dir").arg(folder.path().join("up")));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && words.contains("--admin-token-file"),
        "{words}"
    );

    let file = folder.path().join("tokens");
    write_for_us_alone(&file, "a-token-of-some-length\n");
    let args = [
        "--admin-listen",
        "0.0.0.0:0",
        "--admin-token-file",
        file.to_str().unwrap(),
    ];
    let server = Server::start(&args);
    assert!(!server.words.contains("the token"), "{}", server.words);
    let admin = ([127, 0, 0, 1], server.beside("/uploads").port()).into();
    for (path, free) in [
        ("/uploads", 401),
        ("/metrics", 401),
        ("/uploads/x", 401),
        ("/livez", 200),
        ("/readyz", 200),
    ] {
        assert_eq!(get(admin, path).status, free, "{path}");
    }
    let token = Some("a-token-of-some-length");
    assert_eq!(ask_for(admin, "GET", "/uploads", token).status, 200);
    assert_eq!(ask_for(admin, "GET", "/metrics", token).status, 200);
}

#[test]
fn whoever_reads_no_answers_does_not_keep_others_from_the_probes() {
    let args = ["--probe-listen", "127.0.0.1:0", "--stall-timeout", "300ms"];
    let server = Server::start(&args);
    let probes = server.beside("/metrics");
    // Answers of more than the sockets hold, on every connection that is served at once.
    let ask = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4000);
    let silent = |_| {
        let mut client = TcpStream::connect(probes).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut left = ask.as_bytes();
        while let Ok(sent) = client.write(left) {
            left = &left[sent..];
            if left.is_empty() {
                break;
            }
        }
        client
    };
    let silent: Vec<_> = (0..100).map(silent).collect();
    assert_eq!(get(probes, "/livez").status, 200);
    drop(silent);
}

#[test]
fn the_probe_listener_serves_probes_and_metrics_alone_under_any_name() {
    let server = Server::start(&["--probe-listen", "127.0.0.1:0"]);
    let probes = server.beside("/metrics");
    let record = put(&server, "a", "x");
    for (request, status) in [
        ("GET /livez".to_owned(), 200),
        ("HEAD /readyz".to_owned(), 200),
        ("GET /metrics".to_owned(), 200),
        ("POST /metrics".to_owned(), 405),
        ("GET /uploads".to_owned(), 404),
        (
            format!("GET /uploads/{}", record["watch"].as_str().unwrap()),
            404,
        ),
        (
            format!("DELETE /uploads/{}", record["watch"].as_str().unwrap()),
            404,
        ),
    ] {
        let mut stream = TcpStream::connect(probes).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: upload.example\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {line}"
        );
    }
}

#[test]
fn an_idle_operators_connections_leave_room_for_others_only_within_the_bound() {
    let server = Server::start(&ADMIN);
    let admin = server.beside("/uploads");
    let mut idle: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(admin).unwrap())
        .collect();
    // The hundred and first waits until one of them has gone.
    let mut waits = TcpStream::connect(admin).unwrap();
    waits
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    waits
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(Reply::try_read(&mut waits).is_err());
    idle.pop();
    waits
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(Reply::read(&mut waits).status, 200);
}
