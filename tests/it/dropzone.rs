//! Dropzone's chunks at `POST /upload`.

use std::io::{BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Reply, Server, eventually, form, noise, part, post};

/// What Dropzone says in the head of each request.
const SCRIPT: &str =
    "Accept: application/json\r\nCache-Control: no-cache\r\nX-Requested-With: XMLHttpRequest\r\n";

/// A form's fields, in their order.
type Pairs = Vec<(&'static str, String)>;

/// A file, and how it is cut.
struct File<'a> {
    uuid: &'a str,
    content: &'a [u8],
    size: usize,
}

impl File<'_> {
    fn count(&self) -> usize {
        self.content.len().div_ceil(self.size).max(1)
    }

    fn chunk(&self, index: usize) -> &[u8] {
        let from = index * self.size;
        &self.content[from..self.content.len().min(from + self.size)]
    }

    fn fields(&self, index: usize) -> Pairs {
        vec![
            ("dzuuid", self.uuid.to_owned()),
            ("dzchunkindex", index.to_string()),
            ("dztotalfilesize", self.content.len().to_string()),
            ("dzchunksize", self.size.to_string()),
            ("dztotalchunkcount", self.count().to_string()),
            ("dzchunkbyteoffset", (index * self.size).to_string()),
        ]
    }

    fn form(&self, index: usize) -> Vec<u8> {
        form(&[
            parts(&self.fields(index)),
            part("dish", None, b"paella"),
            part("file", Some("paella.jpg"), self.chunk(index)),
        ])
    }

    fn send(&self, server: &Server, index: usize) -> Reply {
        server.post("/upload", SCRIPT, &self.form(index))
    }

    /// A chunk of which only some bytes come, and which is seen to have come so far.
    fn hang(&self, server: &Server, index: usize, come: usize) -> TcpStream {
        let mut line = server.connect();
        let request = post("/upload", SCRIPT, &self.form(index));
        let begin = request.len() - self.chunk(index).len() - b"\r\n--b--\r\n".len();
        line.write_all(&request[..begin + come]).unwrap();
        let received = index * self.size + come;
        eventually(
            || self.record(server),
            |record| record["received"] == received,
        );
        line
    }

    fn record(&self, server: &Server) -> Value {
        let found = server.get(&format!("/uploads?X-Progress-ID={}", self.uuid));
        match found.json() {
            Value::Array(records) => records.into_iter().next().unwrap_or_default(),
            record => record,
        }
    }
}

fn parts(fields: &[(&str, String)]) -> Vec<u8> {
    let parts = fields.iter();
    parts
        .flat_map(|(name, value)| part(name, None, value.as_bytes()))
        .collect()
}

/// That a reply is a refusal which Dropzone shows.
fn refuses(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?} {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let told = reply.json();
    assert_eq!(told["code"], code, "{told}");
    assert_eq!(told["error"], told["detail"], "{told}");
}

#[test]
fn a_file_comes_in_chunks_and_is_there_with_the_last() {
    let server = Server::start(&[]);
    let content = noise(250_000);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100_000,
    };
    for index in 0..2 {
        let reply = file.send(&server, index);
        assert_eq!(reply.status, 200, "{reply:?}");
        let told = reply.json();
        assert_eq!(told["state"], "uploading");
        assert_eq!(told["offset"], (index + 1) * 100_000);
        assert_eq!(told["length"], 250_000);
        assert_eq!(server.files(), [""; 0]);
    }
    let reply = file.send(&server, 2);
    assert_eq!(reply.status, 200, "{reply:?}");
    let record = reply.json();
    assert_eq!(record["state"], "done");
    assert_eq!(record["protocol"], "dropzone");
    assert_eq!(record["progress_id"], "u1");
    assert_eq!(record["length"], 250_000);
    assert_eq!(record["offset"], 250_000);
    assert_eq!(record["fields"], serde_json::json!({"dish": "paella"}));
    assert_eq!(record["files"][0]["field"], "file");
    assert_eq!(record["files"][0]["name"], "paella.jpg");
    assert!(server.read("paella.jpg") == content);
    assert!(server.get(record["url"].as_str().unwrap()).body == content);
    assert_eq!(server.files().len(), 1);
}

#[test]
fn one_chunk_may_be_all_of_a_file_and_have_nothing() {
    let server = Server::start(&[]);
    for length in [0, 1, 100_000] {
        let content = noise(length);
        let uuid = length.to_string();
        let file = File {
            uuid: &uuid,
            content: &content,
            size: 100_000,
        };
        for _ in 0..2 {
            let reply = file.send(&server, 0);
            assert_eq!(reply.status, 200, "{reply:?} {}", reply.text());
            let record = reply.json();
            assert_eq!(record["state"], "done");
            assert!(server.read(record["files"][0]["name"].as_str().unwrap()) == content);
        }
    }
    assert_eq!(server.files().len(), 3);
}

#[test]
fn a_chunk_that_was_cut_comes_again_from_its_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &["--checkpoint-bytes", "64KiB"]);
    let content = noise(900_000);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 300_000,
    };
    drop(file.hang(&server, 0, 200_000));
    let is_cut = |record: &Value| record["state"] == "interrupted";
    assert_eq!(eventually(|| file.record(&server), is_cut)["offset"], 0);
    assert_eq!(file.send(&server, 0).status, 200);
    drop(file.hang(&server, 1, 200_000));
    let cut = eventually(|| file.record(&server), is_cut);
    assert_eq!(cut["offset"], 300_000);
    // And when the server is gone in the middle of one.
    let line = file.hang(&server, 1, 200_000);
    server.kill();
    drop(line);
    let server = Server::start_in(folder.path(), &[]);
    for index in 1..3 {
        let reply = file.send(&server, index);
        assert_eq!(reply.status, 200, "{reply:?} {}", reply.text());
    }
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn a_chunk_whose_answer_was_lost_is_answered_again() {
    let server = Server::start(&[]);
    let content = noise(250_000);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100_000,
    };
    for index in [0, 0, 1, 0, 1, 2, 2, 0] {
        let reply = file.send(&server, index);
        assert_eq!(reply.status, 200, "{index}: {reply:?}");
    }
    assert_eq!(file.send(&server, 2).json()["state"], "done");
    assert!(server.read("paella.jpg") == content);
    assert_eq!(server.files().len(), 1);
}

#[test]
fn a_chunk_that_comes_again_wins_over_a_line_that_hangs() {
    let server = Server::start(&[]);
    let content = noise(400_000);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 200_000,
    };
    for index in 0..2 {
        let line = file.hang(&server, index, 150_000);
        let reply = file.send(&server, index);
        assert_eq!(reply.status, 200, "{reply:?} {}", reply.text());
        drop(line);
    }
    assert!(server.read("paella.jpg") == content);
    assert_eq!(server.files().len(), 1);
}

#[test]
fn parallel_chunks_are_refused_in_words_and_disturb_nobody() {
    let server = Server::start(&[]);
    let content = noise(300_000);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100_000,
    };
    refuses(&file.send(&server, 1), 409, "parallel_chunks");
    let mut line = file.hang(&server, 0, 60_000);
    let reply = file.send(&server, 1);
    refuses(&reply, 409, "parallel_chunks");
    assert!(reply.text().contains("switch off parallel chunks"));
    line.write_all(&content[60_000..100_000]).unwrap();
    line.write_all(b"\r\n--b--\r\n").unwrap();
    assert_eq!(Reply::read(&mut line).status, 200);
    refuses(&file.send(&server, 2), 409, "parallel_chunks");
    assert_eq!(file.send(&server, 1).status, 200);
    assert_eq!(file.send(&server, 2).json()["state"], "done");
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn fields_that_do_not_agree_are_refused() {
    let server = Server::start(&[]);
    let content = noise(250);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100,
    };
    assert_eq!(file.send(&server, 0).status, 200);
    let with = |change: &dyn Fn(&mut Pairs), chunk: &[u8]| {
        let mut fields = file.fields(1);
        change(&mut fields);
        let body = form(&[parts(&fields), part("file", Some("paella.jpg"), chunk)]);
        server.post("/upload", SCRIPT, &body)
    };
    let set = |at: usize, value: &'static str| {
        with(&|fields| value.clone_into(&mut fields[at].1), file.chunk(1))
    };
    for reply in [
        set(0, ""),
        set(1, "2"),
        set(1, "3"),
        set(1, "-1"),
        set(1, "+1"),
        set(1, "18446744073709551616"),
        set(2, "251000"),
        set(2, "251"),
        set(3, "0"),
        set(3, "99"),
        set(4, "4"),
        set(5, "99"),
        set(5, ""),
        with(&|fields| drop(fields.remove(3)), file.chunk(1)),
        with(
            &|fields| fields.push(("dzchunkindex", "1".into())),
            file.chunk(1),
        ),
        with(&|_| {}, &content[100..199]),
        with(&|_| {}, &content[100..201]),
    ] {
        refuses(&reply, 400, "bad_request");
    }
    let without_file = form(&[parts(&file.fields(1))]);
    refuses(
        &server.post("/upload", SCRIPT, &without_file),
        400,
        "bad_request",
    );
    let one = part("file", Some("a"), file.chunk(1));
    let two_files = form(&[parts(&file.fields(1)), one.clone(), one]);
    refuses(
        &server.post("/upload", SCRIPT, &two_files),
        400,
        "bad_request",
    );
    // All of it left the upload as it was.
    assert_eq!(file.send(&server, 1).json()["offset"], 200);
    assert_eq!(file.send(&server, 2).json()["state"], "done");
    assert_eq!(server.files(), ["paella.jpg"]);
}

#[test]
fn fields_may_stand_behind_the_file_and_are_bounded_everywhere() {
    let server = Server::start(&["--max-field-bytes", "1000"]);
    let content = noise(150);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100,
    };
    let with = |before: usize, behind: usize| {
        let body = form(&[
            parts(&file.fields(0)),
            part("before", None, &vec![b'x'; before]),
            part("file", Some("a"), file.chunk(0)),
            part("behind", None, &vec![b'x'; behind]),
        ]);
        server.post("/upload", SCRIPT, &body)
    };
    refuses(&with(1000, 0), 413, "limit_exceeded");
    assert_eq!(server.under_way(), [""; 0]);
    assert_eq!(with(100, 900).json()["offset"], 100);
    let uuid = "u2";
    let file = File { uuid, ..file };
    let body = form(&[
        parts(&file.fields(0)),
        part("file", Some("a"), file.chunk(0)),
        part("behind", None, &vec![b'x'; 1001]),
    ]);
    refuses(
        &server.post("/upload", SCRIPT, &body),
        413,
        "limit_exceeded",
    );
}

/// They would be stored one by one.
#[test]
fn chunks_that_cannot_be_told_in_time_are_refused() {
    let server = Server::start(&[]);
    let file = File {
        uuid: "u1",
        content: b"hello",
        size: 5,
    };
    let waits = format!("{SCRIPT}Expect: 100-continue\r\n");
    let watched = format!("{SCRIPT}X-Progress-ID: 7\r\n");
    let all_json = SCRIPT.replace("json", "json, */*");
    for headers in ["", "X-Requested-With: a\r\n", &waits, &watched, &all_json] {
        let mut line = server.connect();
        line.write_all(&post("/upload", headers, &file.form(0)))
            .unwrap();
        let mut line = BufReader::new(line);
        let mut next = || Reply::next(&mut line).unwrap();
        let reply = std::iter::repeat_with(&mut next)
            .find(|reply| reply.status != 100)
            .unwrap();
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.text().contains("defaultHeaders"), "{}", reply.text());
    }
    assert_eq!(server.files(), [""; 0]);
}

/// A form that a script sends is looked into before it is a form, and is one all the same.
#[test]
fn any_other_form_of_a_script_is_a_form_as_ever() {
    let server = Server::start(&["--stall-timeout", "1s"]);
    let content = noise(700_000);
    let file = || part("file", Some("paella.jpg"), &content);
    let body = form(&[part("dish", None, b"paella"), file()]);
    let record = server.post("/upload", SCRIPT, &body).json();
    assert_eq!(record["protocol"], "form");
    assert_eq!(record["length"], body.len());
    assert_eq!(record["received"], body.len());
    assert_eq!(record["fields"]["dish"], "paella");
    // A field of theirs behind another is a field.
    let body = form(&[file(), part("dzuuid", None, b"x")]);
    let record = server.post("/upload", SCRIPT, &body).json();
    assert_eq!(record["fields"]["dzuuid"], "x");
    assert_eq!(server.post("/upload", SCRIPT, &form(&[])).status, 200);
    refuses(
        &server.post("/upload", SCRIPT, b"nothing"),
        400,
        "truncated_form",
    );
    let noise = server.post("/upload", SCRIPT, &noise(200_000));
    refuses(&noise, 400, "truncated_form");
    // Byte by byte.
    let body = form(&[part("dish", None, b"x")]);
    let mut line = server.connect();
    line.set_nodelay(true).unwrap();
    for byte in post("/upload", SCRIPT, &body) {
        line.write_all(&[byte]).unwrap();
    }
    assert_eq!(Reply::read(&mut line).json()["fields"]["dish"], "x");
    // One that sends nothing loses its place as ever.
    let mut line = server.connect();
    let request = post("/upload", SCRIPT, &body);
    line.write_all(&request[..request.len() - body.len()])
        .unwrap();
    refuses(&Reply::read(&mut line), 408, "stalled");
}

/// The article's page asks at once.
#[test]
fn a_form_that_is_watched_has_a_record_before_its_first_byte() {
    let server = Server::start(&[]);
    let jquery = "Accept: application/json, text/javascript, */*; q=0.01\r\nX-Requested-With: XMLHttpRequest\r\n";
    let body = form(&[part("dish", None, b"x")]);
    for (target, headers) in [
        ("/upload?X-Progress-ID=1", SCRIPT),
        ("/upload?X-Progress-ID=1", jquery),
        ("/upload", jquery),
    ] {
        let headers = match target {
            "/upload" => format!("{headers}X-Progress-ID: 1\r\n"),
            _ => headers.to_owned(),
        };
        let request = post(target, &headers, &body);
        let mut line = server.connect();
        line.write_all(&request[..request.len() - body.len()])
            .unwrap();
        let poll = || server.get("/get_upload_progress?X-Progress-ID=1").json();
        eventually(poll, |told| told["uploaded"] == 0);
        line.write_all(&body).unwrap();
        assert_eq!(Reply::read(&mut line).status, 200);
    }
}

#[test]
fn what_ended_an_upload_is_told_to_its_next_chunks_too() {
    let server = Server::start(&["--max-file-size", "150"]);
    let content = noise(250);
    let file = File {
        uuid: "u1",
        content: &content,
        size: 100,
    };
    let first = file.send(&server, 0);
    let (status, code) = match first.status {
        200 => {
            let reply = file.send(&server, 1);
            (reply.status, reply.json()["code"].clone())
        }
        status => (status, first.json()["code"].clone()),
    };
    assert_eq!(status, 413, "{code}");
    refuses(&file.send(&server, 2), 413, code.as_str().unwrap());
    assert_eq!(server.under_way(), [""; 0]);
}
