//! An upload of several requests, as everybody who watches sees it: cut, silent, killed, resumed, ended.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::logged::Logged;
use crate::support::{Reply, Server, ask_for, eventually};

const LENGTH: usize = 1000;
const META: &str = "Upload-Metadata: filename cGFlbGxhLmpwZw==,dish NDI=\r\n";

/// An upload by tus that was begun and is nowhere near its end.
struct Upload<'a> {
    server: &'a Server,
    path: String,
}

impl<'a> Upload<'a> {
    fn begin(server: &'a Server) -> Self {
        let about = format!("Upload-Length: {LENGTH}\r\nX-Progress-ID: 7\r\n{META}");
        Self::begin_as(server, &about)
    }

    /// Begins with header lines that end in CRLF each.
    fn begin_as(server: &'a Server, about: &str) -> Self {
        let head = format!(
            "POST /files/ HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\n{about}Content-Length: 0\r\n\r\n"
        );
        let reply = server.send(head.as_bytes());
        assert_eq!(reply.status, 201, "{reply:?}");
        let location = reply.header("location").unwrap();
        Self {
            server,
            path: location.to_owned(),
        }
    }

    /// The same upload at another process.
    fn at(&self, server: &'a Server) -> Self {
        Self {
            server,
            path: self.path.clone(),
        }
    }

    fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    fn record(&self) -> Value {
        self.server.get(&format!("/uploads/{}", self.id())).json()
    }

    /// Sends `bytes` of the `declared` ones and leaves the request open.
    fn patch(&self, offset: usize, declared: usize, bytes: usize) -> TcpStream {
        let path = &self.path;
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {declared}\r\n\r\n"
        );
        let mut stream = self.server.connect();
        // In one piece: a busy machine is no silent client.
        let request = [head.into_bytes(), vec![7; bytes]].concat();
        stream.write_all(&request).unwrap();
        stream
    }

    /// Sends a whole request.
    fn append(&self, offset: usize, bytes: usize) -> Reply {
        Reply::read(&mut self.patch(offset, bytes, bytes))
    }

    /// Cuts a request that would have brought all the rest.
    fn cut_behind(&self, offset: usize, bytes: usize) {
        let stream = self.patch(offset, LENGTH - offset, bytes);
        let came = |record: &Value| record["received"] == offset + bytes;
        eventually(|| self.record(), came);
        drop(stream);
    }

    fn is(&self, state: &str, offset: usize) -> Value {
        eventually(
            || self.record(),
            |record| {
                record["state"] == state
                    && record["offset"] == offset
                    && record["received"] == offset
            },
        )
    }

    fn article(&self) -> String {
        let poll = "/get_upload_progress?X-Progress-ID=7";
        self.server.get(poll).text().to_owned()
    }

    fn nginx(&self) -> String {
        let poll = "/progress?X-Progress-ID=7";
        self.server.get(poll).text().trim_end().to_owned()
    }

    fn stream(&self) -> Events {
        let id = self.id();
        let head =
            format!("GET /uploads/{id} HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
        let mut stream = self.server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }
}

/// Has a server see an upload that is cut.
pub(crate) fn cut(server: &Server) {
    let upload = Upload::begin(server);
    upload.cut_behind(0, 1);
    upload.is("interrupted", 1);
}

/// The records of an event stream.
struct Events(BufReader<TcpStream>);

impl Iterator for Events {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
            line.clear();
        }
        None
    }
}

/// The states of records, each once as long as it lasts, with the offsets that they ended at.
fn way(records: impl Iterator<Item = Value>) -> Vec<(String, u64)> {
    way_on(Vec::new(), records)
}

/// The same, behind those that were told before.
fn way_on(mut way: Vec<(String, u64)>, records: impl Iterator<Item = Value>) -> Vec<(String, u64)> {
    for record in records {
        let state = record["state"].as_str().unwrap();
        let offset = record["offset"].as_u64().unwrap();
        match way.last_mut() {
            Some((last, at)) if last == state => {
                assert!(offset >= *at, "{way:?}, then {offset}");
                *at = offset;
            }
            _ => way.push((state.to_owned(), offset)),
        }
    }
    way
}

fn states(way: &[(String, u64)]) -> Vec<&str> {
    way.iter().map(|(state, _)| state.as_str()).collect()
}

#[test]
fn a_cut_upload_is_told_as_interrupted_by_every_way_out_and_goes_on_as_the_same() {
    let server = Server::start(&[]);
    let upload = Upload::begin(&server);
    let mut events = upload.stream();
    let begun = events.next().unwrap();
    assert_eq!(
        (&begun["state"], &begun["offset"]),
        (&"starting".into(), &0.into())
    );
    assert_eq!(upload.nginx(), r#"{ "state" : "starting" }"#);
    upload.cut_behind(0, 400);
    let record = upload.is("interrupted", 400);
    // A moment may be too short for a stream to tell it: this one is waited for.
    let mut told = Vec::new();
    while told.last() != Some(&("interrupted".to_owned(), 400)) {
        let record = events.next().expect("the stream goes on");
        told = way_on(told, std::iter::once(record));
    }
    assert_eq!(record["protocol"], "tus");
    assert_eq!(record["fields"]["dish"], "42");
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    assert_eq!(
        (&record["rate"], &record["eta"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        upload.article(),
        r#"{"uploaded": 400, "length": 1000, "state": "interrupted"}"#
    );
    assert_eq!(upload.nginx(), r#"{ "state" : "error", "status" : 499 }"#);

    assert_eq!(upload.append(400, 100).status, 204);
    let record = upload.is("uploading", 500);
    assert_eq!(upload.article(), r#"{"uploaded": 500, "length": 1000}"#);
    assert_eq!(upload.append(500, 500).status, 204);
    let done = upload.is("done", LENGTH);
    assert_eq!(done["started_at"], record["started_at"]);
    assert_eq!(upload.article(), "null");
    assert_eq!(server.read("paella.jpg"), vec![7; LENGTH]);
    let way = way_on(told, events);
    let all = [
        "uploading",
        "interrupted",
        "uploading",
        "processing",
        "done",
    ];
    let seen: Vec<_> = states(&way);
    assert!(seen.ends_with(&["done"]), "{way:?}");
    assert!(is_part_of(&seen, &all), "{way:?}");
}

/// Whether `seen` is `all` with some left out.
fn is_part_of(seen: &[&str], all: &[&str]) -> bool {
    let mut all = all.iter();
    seen.iter().all(|one| all.any(|other| other == one))
}

#[test]
fn whoever_looks_at_the_record_does_not_stop_the_request_that_brings_it() {
    let server = Server::start(&[]);
    let upload = Upload::begin(&server);
    let mut request = upload.patch(0, LENGTH, 400);
    let here = |record: &Value| record["received"] == 400;
    let watch = eventually(|| upload.record(), here)["watch"].clone();
    for _ in 0..20 {
        let watched = format!("/uploads/{}", watch.as_str().unwrap());
        assert_eq!(server.get(&watched).json()["received"], 400);
        assert!(upload.article().contains("400"));
        assert!(upload.nginx().contains("400"));
        assert_eq!(upload.stream().next().unwrap()["state"], "uploading");
    }
    request.write_all(&vec![7; 600]).unwrap();
    assert_eq!(Reply::read(&mut request).status, 204);
    upload.is("done", LENGTH);
}

#[test]
fn between_two_requests_it_is_uploading_and_after_too_long_a_silence_interrupted() {
    let logged = Logged::start(&["--log-format", "json", "--stall-timeout", "1s"]);
    let upload = Upload::begin(&logged.server);
    assert_eq!(upload.append(0, 300).status, 204);
    let between = upload.record();
    upload.is("interrupted", 300);
    // Unless this machine took the whole second to ask.
    assert!(["uploading", "interrupted"].contains(&between["state"].as_str().unwrap()));
    let line = interruption(&logged, "stalled");
    assert_eq!(
        (&line["offset"], &line["bytes"]),
        (&300.into(), &300.into())
    );
    // One that never got a byte has nothing to be interrupted.
    let idle = Upload::begin(&logged.server);
    assert_eq!(upload.append(300, 100).status, 204);
    upload.is("interrupted", 400);
    idle.is("starting", 0);
}

/// The line of the log that tells of an interruption with this code.
fn interruption(logged: &Logged, code: &str) -> Value {
    let code = format!("\"code\":\"{code}\"");
    let log = logged.logs(&code);
    let line = log.lines().find(|line| line.contains(&code)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["message"], "upload interrupted", "{line}");
    line
}

#[test]
fn interruptions_are_logged_and_counted_and_the_end_leaves_its_own_line_once() {
    let logged = Logged::start(&["--log-format", "json", "--probe-listen", "127.0.0.1:0"]);
    let upload = Upload::begin(&logged.server);
    upload.cut_behind(0, 400);
    upload.is("interrupted", 400);
    let line = interruption(&logged, "client_gone");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["id"], upload.id()[..8]);
    assert_eq!(line["protocol"], "tus");
    assert_eq!(line["offset"], 400);
    assert_eq!(line["progress_id"], "7");
    assert_eq!(line["client"], "127.0.0.1");
    let scrape = || {
        let reply = ask_for(logged.server.beside("/metrics"), "GET", "/metrics", None);
        reply.text().to_owned()
    };
    let has = |sample: &str| {
        let text = scrape();
        let line = format!("dumbwaiter_{sample}");
        assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
    };
    has("uploads_unfinished 1");
    has("unfinished_bytes 400");
    has("uploads_running 0");
    has("interruptions_total{protocol=\"tus\",why=\"client_gone\"} 1");
    assert!(!scrape().contains("uploads_total{"));
    assert_eq!(upload.append(400, 600).status, 204);
    has("uploads_unfinished 0");
    has("unfinished_bytes 0");
    has("uploads_total{protocol=\"tus\",end=\"done\"} 1");
    has("received_bytes_total{protocol=\"tus\"} 1000");
    let log = logged.logs("upload done");
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(!log.contains(upload.id()), "{log}");
}

#[test]
fn after_a_kill_the_next_process_knows_it_under_every_name_and_a_stream_follows_it_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let mut killed = Server::start_in(&dir, &[]);
    let path = {
        let upload = Upload::begin(&killed);
        assert_eq!(upload.append(0, 300).status, 204);
        upload.path
    };
    killed.kill();
    let server = Server::start_in(&dir, &[]);
    let upload = Upload {
        server: &server,
        path,
    };
    let record = upload.is("interrupted", 300);
    assert_eq!(record["length"], LENGTH);
    assert_eq!(record["progress_id"], "7");
    assert_eq!(record["fields"]["dish"], "42");
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    let watch = record["watch"].as_str().unwrap();
    let watched = server.get(&format!("/uploads/{watch}")).json();
    assert_eq!(watched["offset"], 300);
    assert_eq!(
        upload.article(),
        r#"{"uploaded": 300, "length": 1000, "state": "interrupted"}"#
    );
    let events = upload.stream();
    assert_eq!(upload.append(300, 700).status, 204);
    let way = way(events);
    let seen = states(&way);
    assert!(seen.ends_with(&["done"]), "{way:?}");
    assert!(
        is_part_of(&seen, &["interrupted", "uploading", "processing", "done"]),
        "{way:?}"
    );
    assert_eq!(upload.at(&server).record()["received"], LENGTH);
}

#[test]
fn a_server_that_stops_interrupts_it_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let stopped = stop_under_way(folder.path());
    let server = Server::start_in(&folder.path().join("uploads"), &[]);
    let upload = Upload {
        server: &server,
        path: stopped,
    };
    upload.is("interrupted", 400);
    assert_eq!(upload.append(400, 600).status, 204);
    upload.is("done", LENGTH);
}

/// Stops a server while 400 bytes of a request have come, and gives the upload's path.
fn stop_under_way(folder: &Path) -> String {
    let args = ["--log-format", "json", "--shutdown-grace", "0s"];
    let mut logged = Logged::start_in(folder, &args);
    let (path, mut stream) = {
        let upload = Upload::begin(&logged.server);
        let stream = upload.patch(0, LENGTH, 400);
        eventually(|| upload.record(), |record| record["received"] == 400);
        (upload.path, stream)
    };
    logged.server.signal(rustix::process::Signal::TERM);
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("upload-offset"), Some("400"));
    assert!(reply.header("retry-after").is_some());
    // The server waits for who reads its last answer.
    drop(stream);
    assert!(logged.server.ends().success());
    let line = interruption(&logged, "shutting_down");
    assert_eq!(
        (&line["level"], &line["offset"]),
        (&"INFO".into(), &400.into())
    );
    path
}

#[test]
fn one_that_is_not_finished_in_time_ends_as_expired() {
    let logged = Logged::start(&["--log-format", "json", "--expire-after", "1s"]);
    let upload = Upload::begin(&logged.server);
    let events = upload.stream();
    upload.append(0, 300);
    let record = eventually(|| upload.record(), |record| record["state"] == "error");
    assert_eq!(record["error"]["code"], "expired");
    assert!(states(&way(events)).ends_with(&["error"]));
    assert!(
        upload
            .article()
            .ends_with(r#""state": "error", "error": "expired"}"#)
    );
    assert_eq!(upload.nginx(), r#"{ "state" : "error", "status" : 410 }"#);
    let log = logged.logs("\"code\":\"expired\"");
    assert!(log.contains("upload failed"), "{log}");
    assert_eq!(logged.server.under_way(), [""; 0]);
}

#[test]
fn who_runs_the_server_sees_an_interrupted_upload_and_can_end_it() {
    let server = Server::start(&["--admin-listen", "127.0.0.1:0"]);
    let admin = server.beside("/uploads");
    let upload = Upload::begin(&server);
    upload.cut_behind(0, 400);
    let watch = upload.is("interrupted", 400)["watch"].clone();
    let list = ask_for(admin, "GET", "/uploads", None).json();
    let listed = &list[0];
    assert_eq!(listed["watch"], watch);
    assert_eq!(
        (&listed["state"], &listed["offset"]),
        (&"interrupted".into(), &400.into())
    );
    let target = format!("/uploads/{}", watch.as_str().unwrap());
    let ended = ask_for(admin, "DELETE", &target, Some(server.token()));
    assert_eq!(ended.status, 204, "{ended:?}");
    let record = upload.record();
    assert_eq!(record["error"]["code"], "cancelled");
    assert_eq!(server.under_way(), [""; 0]);
}

#[test]
fn when_a_newer_request_takes_over_the_record_is_the_newer_ones() {
    let server = Server::start(&[]);
    let upload = Upload::begin(&server);
    let mut older = upload.patch(0, LENGTH, 400);
    eventually(|| upload.record(), |record| record["received"] == 400);
    let head = format!(
        "HEAD {} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\n\r\n",
        upload.path
    );
    let mut asks = server.connect();
    asks.write_all(head.as_bytes()).unwrap();
    let mut head = String::new();
    let mut answer = BufReader::new(asks);
    while answer.read_line(&mut head).unwrap() > 2 {}
    assert!(
        head.to_lowercase().contains("upload-offset: 400\r\n"),
        "{head}"
    );
    upload.is("interrupted", 400);
    assert_eq!(upload.append(400, 600).status, 204);
    upload.is("done", LENGTH);
    let superseded = Reply::read(&mut older);
    assert_eq!(superseded.json()["code"], "superseded");
    upload.is("done", LENGTH);
}

#[test]
fn when_records_are_full_an_unfinished_one_gives_way_and_gets_its_record_back_when_it_goes_on() {
    let server = Server::start(&["--max-records", "2"]);
    let first = Upload::begin(&server);
    assert_eq!(first.append(0, 300).status, 204);
    first.cut_behind(300, 100);
    first.is("interrupted", 400);
    let second = Upload::begin(&server);
    let third = Upload::begin(&server);
    let found = |upload: &Upload| server.get(&format!("/uploads/{}", upload.id())).status;
    assert_eq!([&first, &second, &third].map(found), [404, 200, 200]);
    assert_eq!(first.append(400, 100).status, 204);
    assert_eq!([&first, &second, &third].map(found), [200, 404, 200]);
    let record = first.is("uploading", 500);
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    assert_eq!(record["fields"]["dish"], "42");
    assert_eq!(second.append(0, LENGTH).status, 204);
    assert_eq!(first.append(500, 500).status, 204);
    assert_eq!(server.files().len(), 2);
}

#[test]
fn one_that_is_put_together_of_others_waits_for_them_and_their_bytes_count_once() {
    let server = Server::start(&["--probe-listen", "127.0.0.1:0"]);
    let part = |length| {
        let about = format!("Upload-Length: {length}\r\nUpload-Concat: partial\r\n");
        Upload::begin_as(&server, &about)
    };
    let (first, second) = (part(600), part(400));
    assert_eq!(first.append(0, 600).status, 204);
    let ended = first.is("done", 600);
    assert_eq!((&ended["url"], &ended["files"]), (&Value::Null, &json!([])));
    assert_eq!(second.append(0, 100).status, 204);
    let about = format!(
        "Upload-Concat: final;{} {}\r\nX-Progress-ID: 7\r\n{META}",
        first.path, second.path
    );
    let whole = Upload::begin_as(&server, &about);
    whole.is("starting", 0);
    let events = whole.stream();
    assert_eq!(second.append(100, 300).status, 204);
    let way = way(events);
    let seen = states(&way);
    assert!(seen.ends_with(&["done"]), "{way:?}");
    assert!(
        is_part_of(&seen, &["starting", "processing", "done"]),
        "{way:?}"
    );
    let record = whole.is("done", LENGTH);
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    assert_eq!(server.read("paella.jpg"), vec![7; LENGTH]);
    let metrics = ask_for(server.beside("/metrics"), "GET", "/metrics", None);
    let count = "dumbwaiter_received_bytes_total{protocol=\"tus\"} 1000\n";
    assert!(metrics.text().contains(count), "{}", metrics.text());
}
