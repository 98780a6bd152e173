//! Commands that send something to a server, or ask one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use super::stage::{Stage, picture};
use crate::support::needs::needs;
use crate::support::{Reply, Server, eventually, form, part, post};

/// A server with listeners beside it, and what runs `curl` in its folder.
struct Curl {
    stage: Stage,
    server: Server,
}

impl Curl {
    /// `None` where there is no curl.
    fn new() -> Option<Self> {
        let listeners = [
            "--admin-listen",
            "127.0.0.1:0",
            "--probe-listen",
            "127.0.0.1:0",
        ];
        needs("curl").then(|| Self {
            stage: Stage::new(),
            server: Server::start(&listeners),
        })
    }

    /// The command with the addresses of these servers.
    fn here(&self, command: &str) -> String {
        let server = &self.server;
        command
            .replace("127.0.0.1:7070", &server.address.to_string())
            .replace("127.0.0.1:7071", &server.beside("/uploads").to_string())
            .replace("127.0.0.1:7072", &server.beside("/metrics").to_string())
            .replace("TOKEN", server.token())
    }

    fn run(&self, command: &str) -> String {
        let command = self.here(command);
        let output = self.stage.run(&command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, command: &str) -> Value {
        let said = self.run(command);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

pub(super) fn a_form_is_stored(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let record = curl.json(command);
    assert_eq!(record["fields"]["id"], "12");
    assert_eq!(record["progress_id"], "42");
    assert_eq!(record["files"][0]["field"], "picture");
    assert!(curl.server.read("paella.jpg") == picture());
}

pub(super) fn an_upload_is_watched(command: &str) {
    let (stage, server) = (Stage::new(), Server::start(&[]));
    let record = server.post("/upload", "", &form(&[part("a", Some("paella.jpg"), b"x")]));
    let watched = record.json()["watch"].as_str().unwrap().to_owned();
    let command = command.replace("127.0.0.1:7070", &server.address.to_string());
    let output = stage.run(&command.replace("WATCH", &watched));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("Arrived"),
        "{said}"
    );
}

pub(super) fn files_are_sent(command: &str) {
    let (_stage, server, urls) = sent(command);
    let names = ["paella.jpg", "notes.txt"];
    let named: Vec<_> = names
        .into_iter()
        .filter(|name| command.contains(name))
        .collect();
    assert_eq!(urls.lines().count(), named.len(), "{urls}");
    assert!(server.read("paella.jpg") == picture());
}

pub(super) fn standard_input_is_sent(command: &str) {
    if !needs("tar") {
        return;
    }
    let (_stage, server, urls) = sent(command);
    assert_eq!(urls.lines().count(), 1, "{urls}");
    let is_there = |what: &[u8]| {
        server
            .read("backup.tar")
            .windows(what.len())
            .any(|w| w == what)
    };
    assert!(is_there(b"paella.jpg") && is_there(b"ustar"));
}

/// What a command has printed that sends files to a server, which has them now.
fn sent(command: &str) -> (Stage, Server, String) {
    let (stage, server) = (Stage::new(), Server::start(&[]));
    stage.write("notes.txt", "saffron");
    let command = command.replace("127.0.0.1:7070", &server.address.to_string());
    // Notes are not to be left in the home of whoever tests.
    let notes = tempfile::tempdir().unwrap();
    let output = stage.run(&format!(
        "export XDG_STATE_HOME={}; {command}",
        notes.path().display()
    ));
    assert!(output.status.success(), "{command}: {output:?}");
    let urls = String::from_utf8(output.stdout).unwrap();
    (stage, server, urls)
}

pub(super) fn a_file_is_stored(command: &str) {
    let Some(curl) = Curl::new() else { return };
    assert_eq!(curl.json(command)["protocol"], "put");
    assert!(curl.server.read("paella.jpg") == picture());
}

/// An upload under the progress id 42 of which half has come.
struct Half {
    body: Vec<u8>,
    stream: TcpStream,
}

impl Half {
    fn of(server: &Server) -> Self {
        let body = form(&[part("picture", Some("paella.jpg"), &picture())]);
        let request = post("/upload?X-Progress-ID=42", "", &body);
        let mut stream = server.connect();
        let rest = body.len() / 2;
        stream.write_all(&request[..request.len() - rest]).unwrap();
        eventually(
            || server.get("/uploads?X-Progress-ID=42").json()[0]["received"].as_u64(),
            |received| *received == Some((body.len() - rest) as u64),
        );
        Self { body, stream }
    }

    fn finish(mut self) {
        let rest = self.body.len() / 2;
        let rest = &self.body[self.body.len() - rest..];
        self.stream.write_all(rest).unwrap();
        assert_eq!(Reply::read(&mut self.stream).status, 201);
    }
}

pub(super) fn one_that_can_resume_is_begun(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let said = curl.run(command);
    assert!(said.starts_with("HTTP/1.1 201 "), "{said}");
    assert!(said.contains("location: /files/"), "{said}");
}

pub(super) fn one_that_can_resume_is_filled(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let said = curl.run(&command.replace("ID", &begin(&curl.server)));
    let offset = format!("upload-offset: {}", picture().len());
    assert!(
        said.contains("HTTP/1.1 204 ") && said.contains(&offset),
        "{said}"
    );
    let name = &curl.server.files()[0];
    assert!(curl.server.read(name) == picture());
}

pub(super) fn one_that_can_resume_is_completed(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let begun = begin_with(&curl.server, "Upload-Complete: ?0");
    let said = curl.run(&command.replace("ID", &begun));
    let complete = said.contains("upload-complete: ?1") && said.contains("\"state\":\"done\"");
    assert!(said.contains("HTTP/1.1 201 ") && complete, "{said}");
    let name = &curl.server.files()[0];
    assert!(curl.server.read(name) == picture());
}

pub(super) fn one_that_can_resume_says_how_far_it_is(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let said = curl.run(&command.replace("ID", &begin(&curl.server)));
    assert!(
        said.starts_with("HTTP/1.1 204 ") && said.contains("upload-offset: 0"),
        "{said}"
    );
}

/// Begins an upload as long as the picture, and gives its id.
fn begin(server: &Server) -> String {
    let length = picture().len();
    begin_with(
        server,
        &format!("Tus-Resumable: 1.0.0\r\nUpload-Length: {length}"),
    )
}

fn begin_with(server: &Server, fields: &str) -> String {
    let request =
        format!("POST /files/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{fields}\r\n\r\n");
    let reply = server.send(request.as_bytes());
    let location = reply.header("location").unwrap();
    location.rsplit('/').next().unwrap().to_owned()
}

pub(super) fn the_poll_tells_how_far_it_is(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let half = Half::of(&curl.server);
    let length = half.body.len();
    let told = curl.json(command);
    let expected = serde_json::json!({"uploaded": length.div_ceil(2), "length": length});
    assert_eq!(told, expected);
    half.finish();
    assert_eq!(curl.json(command), Value::Null);
}

pub(super) fn the_stream_follows_to_the_end(command: &str) {
    let Some(curl) = Curl::new() else { return };
    let half = Half::of(&curl.server);
    let mut shell = curl.stage.shell(&curl.here(command));
    let mut child = shell
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut record = || {
        let data = lines.find_map(|line| Some(line.unwrap().strip_prefix("data: ")?.to_owned()));
        data.map(|data| serde_json::from_str::<Value>(&data).unwrap())
    };
    assert_eq!(record().unwrap()["state"], "uploading");
    half.finish();
    let last = std::iter::from_fn(record).last();
    assert_eq!(last.unwrap()["state"], "done");
    assert!(child.wait().unwrap().success());
}

/// A server with one finished upload, and its watch name.
fn with_an_upload() -> Option<(Curl, String)> {
    let curl = Curl::new()?;
    let body = form(&[part("f", Some("a.jpg"), b"x")]);
    let record = curl.server.post("/upload", "", &body).json();
    let watch = record["watch"].as_str().unwrap().to_owned();
    Some((curl, watch))
}

pub(super) fn the_operator_sees_it(command: &str) {
    let Some((curl, watch)) = with_an_upload() else {
        return;
    };
    let said = curl.run(&command.replace("WATCH", &watch));
    assert!(said.contains(&format!("\"watch\":\"{watch}\"")), "{said}");
}

pub(super) fn the_operator_deletes_it(command: &str) {
    let Some((curl, watch)) = with_an_upload() else {
        return;
    };
    assert_eq!(curl.run(&command.replace("WATCH", &watch)), "");
    assert_eq!(curl.server.files(), [""; 0]);
}

pub(super) fn a_probe_answers(command: &str) {
    let Some(curl) = Curl::new() else { return };
    assert_ne!(curl.run(command), "");
}
