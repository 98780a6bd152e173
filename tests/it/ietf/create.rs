//! "Upload Creation": at `/files/`, by PUT and by form; the upload's length, name and type.

use std::io::Write;

use dumbwaiter::handlers::{Stop, UploadHandler};

use super::talk::{ALL, NEWEST, NONE, Talk, Version, inconsistent, refused};
use crate::serve::Served;
use crate::support::{Reply, Server, eventually, form, part};

/// `?1` and all content there: the answer is the target's own one, and says so.
#[test]
fn a_creation_that_is_whole_is_answered_by_its_target() {
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        let put = version.request("PUT /files/put.txt", &version.complete(true), "hello");
        let post = version.create(
            "Content-Disposition: inline; filename=post.txt",
            true,
            "hello",
        );
        talk.says(&put, &version.completed("put", 5));
        talk.says(&post, &version.completed("post", 5));
        let sent = String::from_utf8(form(&[
            part("note", None, b"for table 7"),
            part("dish", Some("form.txt"), b"hello"),
        ]));
        let sent = sent.unwrap();
        let fields = format!(
            "Content-Type: multipart/form-data; boundary=b\n{}",
            version.complete(true)
        );
        let upload = version.request("POST /upload", &fields, &sent);
        talk.says(&upload, &version.completed("form", sent.len() as u64));
        for (name, protocol) in [("put", "put"), ("post", "ietf"), ("form", "form")] {
            let record = talk.record(name);
            assert_eq!(record["protocol"], protocol, "{record}");
            assert_eq!(record["files"][0]["name"], format!("{name}.txt"));
            assert_eq!(
                (&record["length"], &record["offset"]),
                (&record["received"], &record["received"])
            );
        }
        assert_eq!(talk.record("form")["fields"]["note"], "for table 7");
        talk.stored(&[
            ("form.txt", b"hello"),
            ("post.txt", b"hello"),
            ("put.txt", b"hello"),
        ]);
        assert!(server.under_way().is_empty());
    }
}

/// The target's own answer is in the client's language, as without the field.
#[test]
fn the_targets_answer_is_in_the_clients_language() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    for (accept, kind) in [
        ("application/xml", "application/xml"),
        ("text/html", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
    ] {
        let fields = format!("Upload-Complete: ?1\nAccept: {accept}");
        let reply = talk.answer(&NONE.request("PUT /files/a", &fields, "hello"));
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (201, Some(kind))
        );
        assert_eq!(reply.header("upload-complete"), Some("?1"), "{accept}");
    }
}

/// `?0`: 201 with `Location` as soon as what came is kept, at every target; nothing is visible yet.
#[test]
fn a_creation_that_is_not_whole_is_answered_with_where_it_is() {
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        let put = version.request("PUT /files/dish.txt", &version.complete(false), "hel");
        talk.says(&put, &version.created("put", 3))
            .kept("put", b"hel");
        let none = version.request("PUT /files/none.txt", &version.complete(false), "");
        talk.says(&none, &version.created("none", 0));
        let sent = form(&[part("dish", Some("form.txt"), b"hello")]);
        let sent = String::from_utf8(sent).unwrap();
        let (first, rest) = sent.split_at(sent.len() - 12);
        let fields = format!(
            "Content-Type: multipart/form-data; boundary=b\n{}",
            version.complete(false)
        );
        let begin = version.request("POST /upload", &fields, first);
        talk.says(&begin, &version.created("form", first.len() as u64));
        for (name, protocol) in [("put", "put"), ("none", "put"), ("form", "form")] {
            assert_eq!(talk.record(name)["protocol"], protocol);
        }
        talk.stored(&[]);
        talk.says(
            &version.append("put", 3, true, "lo"),
            &version.completed("put", 5),
        );
        talk.says(
            &version.append("none", 0, true, ""),
            &version.completed("none", 0),
        );
        let end = version.append("form", first.len() as u64, true, rest);
        talk.says(&end, &version.completed("form", sent.len() as u64));
        talk.stored(&[
            ("dish.txt", b"hello"),
            ("form.txt", b"hello"),
            ("none.txt", b""),
        ]);
    }
}

/// "Length": as it is said, or where a body ends that is the last one; where both are there they are the same.
#[test]
fn the_length_is_said_or_follows_and_is_one() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        for target in ["POST /files/", "PUT /files/x"] {
            for (said, body, length) in [(8, "hello", 5), (4, "hello", 5), (1, "", 0)] {
                let fields = format!("Upload-Length: {said}\n{}", version.complete(true));
                let close = if body.is_empty() {
                    ""
                } else {
                    "connection: close"
                };
                talk.says(
                    &version.request(target, &fields, body),
                    &inconsistent(close, said, length),
                );
            }
            // More than the length, under `?0`.
            let fields = format!("Upload-Length: 4\n{}", version.complete(false));
            talk.says(
                &version.request(target, &fields, "hello"),
                &inconsistent("connection: close", 4, 5),
            );
            assert!(server.under_way().is_empty());
            let fields = format!("Upload-Length: 5\n{}", version.complete(true));
            talk.says(
                &version.request(target, &fields, "hello"),
                &version
                    .completed("{}", 5)
                    .replace("{{}}", &format!("{{{}}}", &target[..3])),
            );
        }
    }
}

/// The reply to a body in chunks on a connection that is not used again.
fn closed(reply: &str) -> String {
    reply.replacen("upload-offset", "connection: close\nupload-offset", 1)
}

/// The length is not known before the end where the body comes in chunks.
#[test]
fn a_body_in_chunks_is_as_long_as_it_is() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    const CHUNKS: &str = "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let chunked = |ends: bool, more: &str| {
        let fields = format!("Transfer-Encoding: chunked\n{more}");
        NONE.create(&fields, ends, CHUNKS)
    };
    talk.says(&chunked(true, ""), &closed(&NONE.completed("whole", 5)));
    talk.says(&chunked(false, ""), &closed(&NONE.created("begun", 5)));
    talk.says(&NONE.ask("HEAD", "begun"), &NONE.told(5, None));
    talk.says(
        &chunked(true, "Upload-Length: 5"),
        &closed(&NONE.completed("same", 5)),
    );
    let reply = talk.answer(&chunked(true, "Upload-Length: 6"));
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (400, &"length_mismatch".into())
    );
    let reply = talk.answer(&chunked(false, "Upload-Length: 4"));
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (400, &"length_mismatch".into())
    );
    assert_eq!(server.under_way().len(), 1);
    assert_eq!(server.files().len(), 2);
}

/// All of the length may be there, and the upload is not complete before a request says so.
#[test]
fn an_upload_is_complete_when_a_request_says_so_and_not_before() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(
        &NONE.create("Upload-Length: 5", false, "hello"),
        &NONE.created("id", 5),
    );
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(5, Some(5)));
    assert_eq!(talk.record("id")["state"], "uploading");
    talk.stored(&[]);
    talk.says(&NONE.append("id", 5, false, ""), &NONE.appended(5));
    talk.says(&NONE.append("id", 5, true, ""), &NONE.completed("id", 5));
    assert_eq!(server.read(&server.files()[0]), b"hello");
}

/// An empty upload: whole at once, or begun and ended. tus-js-client begins one of length 0 as not complete, in versions 5
/// and 6, and never comes back: there it is whole.
#[test]
fn an_upload_of_no_bytes_is_complete_when_it_is_said_to_be() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("", true, ""),
            &version.completed("whole", 0),
        );
        talk.says(&version.create("", false, ""), &version.created("later", 0));
        talk.says(
            &version.append("later", 0, true, ""),
            &version.completed("later", 0),
        );
        let zero = version.create("Upload-Length: 0", false, "");
        match version.0 {
            Some(5 | 6) => talk.says(&zero, &version.completed("zero", 0)),
            _ => talk.says(&zero, &version.created("zero", 0)),
        };
    }
}

/// `Content-Disposition` names the file, as a form's file is named, wherever the path does not; its own `Content-Type` is
/// the file's type, and that of an append is not.
#[test]
fn a_creation_says_name_and_type() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for (number, (field, name)) in [
        (
            "inline; filename*=UTF-8''paella%20%E6%96%99.jpg",
            "paella 料.jpg",
        ),
        ("attachment; filename=\"b.jpg\"", "b.jpg"),
        ("attachment; filename=x; filename*=utf-8''c.jpg", "c.jpg"),
        ("attachment; filename=\"../../d.jpg\"", "d.jpg"),
    ]
    .iter()
    .enumerate()
    {
        let fields = format!("Content-Disposition: {field}\nContent-Type: image/jpeg");
        let id = format!("id{number}");
        talk.says(&NONE.create(&fields, false, "he"), &NONE.created(&id, 2));
        talk.says(&NONE.append(&id, 2, true, "y"), &NONE.completed(&id, 3));
        let file = &talk.record(&id)["files"][0];
        assert_eq!(
            (&file["name"], &file["type"]),
            (&(*name).into(), &"image/jpeg".into())
        );
        assert_eq!(server.read(name), b"hey");
    }
    for field in [
        "form-data; filename=x",
        "inline; filename=x; filename=y",
        "inline; filename=\"x",
        "inline\nContent-Disposition: inline",
    ] {
        let fields = format!("Content-Disposition: {field}");
        talk.says(
            &NONE.create(&fields, false, "he"),
            &refused(
                "400 Bad Request",
                "connection: close",
                "bad_request",
                "the request is malformed: its Content-Disposition is not one of inline or attachment, or cannot be read",
            ),
        );
    }
    assert!(server.under_way().is_empty());
}

/// tus-js-client says the name in tus' own field, in its modes of the draft too.
#[test]
fn where_nothing_else_names_the_file_upload_metadata_does() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let metadata = "Upload-Metadata: filename ZGlzaC50eHQ=,filetype dGV4dC9wbGFpbg==";
    for version in [Version(Some(5)), Version(Some(6))] {
        talk = Talk::with(&server);
        talk.says(
            &version.create(metadata, false, ""),
            &version.created("id", 0),
        );
        talk.says(
            &version.append("id", 0, true, "hey"),
            &version.completed("id", 3),
        );
        let file = &talk.record("id")["files"][0];
        assert_eq!(file["type"], "text/plain");
        assert!(file["name"].as_str().unwrap().starts_with("dish"), "{file}");
    }
    let both = format!("Content-Disposition: inline; filename=better.txt\n{metadata}");
    talk.says(&NONE.create(&both, true, "hey"), &NONE.completed("both", 3));
    assert_eq!(talk.record("both")["files"][0]["name"], "better.txt");
}

/// Nobody has been told where it is: cut off, it is ended and nothing is left. Whoever gave it a progress id finds it.
#[test]
fn a_creation_that_is_cut_goes_unless_its_client_can_find_it() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    for target in ["POST /files/", "PUT /files/dish"] {
        for (ends, by_id) in [(false, false), (true, false), (false, true), (true, true)] {
            let query = if by_id { "?X-Progress-ID=seven" } else { "" };
            let fields = format!("Content-Length: 9\nUpload-Complete: ?{}", u8::from(ends));
            let request = NONE.request(&format!("{target}{query}"), &fields, "hello");
            let mut line = server.connect();
            line.write_all(&talk.bytes(&request)).unwrap();
            let under_way = || server.under_way();
            let temp = eventually(under_way, |under_way| !under_way.is_empty());
            let id = temp[0].split('.').next().unwrap().to_owned();
            let record = || server.get(&format!("/uploads/{id}")).json();
            eventually(record, |record| record["received"] == 5);
            drop(line);
            if by_id {
                eventually(record, |record| record["state"] == "interrupted");
                let found = server.get("/uploads?X-Progress-ID=seven").json();
                assert_eq!(found[0]["state"], "interrupted", "{found}");
                let mut talk = Talk::with(&server);
                talk.knows("id", &id);
                let length = ends.then_some(9);
                talk.says(&NONE.ask("HEAD", "id"), &NONE.told(5, length));
                talk.says(
                    &NONE.append("id", 5, true, "!!!!"),
                    &NONE.completed("id", 9),
                );
            } else {
                eventually(under_way, Vec::is_empty);
                let record = eventually(record, |record| record["state"] == "error");
                assert_eq!(record["error"]["code"], "client_gone", "{record}");
                let mut talk = Talk::with(&server);
                let head = talk.knows("id", &id).bytes(&NONE.ask("HEAD", "id"));
                let mut line = server.connect();
                line.write_all(&head).unwrap();
                let reply = Reply::read_head(&mut line);
                assert_eq!((reply.status, reply.header("upload-offset")), (404, None));
            }
        }
    }
    assert_eq!(server.files().len(), 4);
}

/// What a head says is refused before any of the body, also in the place of `100 Continue`; a 104 does not replace that.
#[test]
fn a_creation_that_is_refused_gets_no_100_and_another_gets_it() {
    let server = Server::start(&["--max-upload-size", "10"]);
    let talk = Talk::with(&server);
    let expects = |length: &str, ends| {
        let fields = format!("Expect: 100-continue\nContent-Length: 5\n{length}");
        talk.bytes(&NEWEST.create(&fields, ends, ""))
    };
    let mut refused = server.connect();
    refused
        .write_all(&expects("Upload-Length: 11", false))
        .unwrap();
    assert_eq!(Reply::read(&mut refused).status, 413);
    let mut taken = std::io::BufReader::new(server.connect());
    taken
        .get_mut()
        .write_all(&expects("Upload-Length: 5", true))
        .unwrap();
    let mut came = Vec::new();
    while !came.contains(&100) {
        came.push(Reply::next(&mut taken).unwrap().status);
    }
    taken.get_mut().write_all(b"hello").unwrap();
    let last = loop {
        let reply = Reply::next(&mut taken).unwrap();
        match reply.status {
            104 => {}
            _ => break reply,
        }
    };
    assert_eq!(last.status, 201);
    assert!(
        came.iter().all(|status| matches!(status, 100 | 104)),
        "{came:?}"
    );
    assert_eq!(server.read(&server.files()[0]), b"hello");
}

/// A method that takes no content begins nothing; a path that is no target neither.
#[test]
fn where_nothing_is_taken_nothing_begins() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    for (line, status) in [
        ("POST /files/dish", 405),
        ("POST /nowhere", 404),
        ("PUT /upload", 405),
        ("POST /uploads", 405),
        ("PATCH /files/", 405),
    ] {
        let request = NONE.request(line, "Upload-Complete: ?0", "he");
        assert_eq!(talk.answer(&request).status, status, "{line}");
    }
    assert!(server.under_way().is_empty() && server.files().is_empty());
}

/// Where a handler cannot go on: a whole body is taken as if nothing had been said; of one that is not, 501 says why.
#[test]
fn where_nothing_can_be_resumed_a_whole_body_is_taken_and_a_beginning_is_not() {
    struct Forgetful;
    impl UploadHandler for Forgetful {
        fn chunk(&mut self, chunk: bytes::Bytes) -> Result<bytes::Bytes, Stop> {
            Ok(chunk)
        }
    }
    let server = Served::start(|lift| lift.handler(|| Forgetful), |serve| serve);
    let send = |line: &str, fields: &str, body: &[u8]| {
        let mut stream = server.connect();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        Reply::read(&mut stream)
    };
    let body = form(&[part("dish", Some("form.txt"), b"hello")]);
    let kind = "Content-Type: multipart/form-data; boundary=b\r\n";
    for (line, kind, body) in [
        ("PUT /files/a", "", &b"x"[..]),
        ("POST /upload", kind, &body),
    ] {
        let reply = send(line, &format!("{kind}Upload-Complete: ?0"), body);
        assert_eq!(reply.status, 501, "{line}: {reply:?}");
        assert_eq!(reply.json()["code"], "not_resumable");
        let reply = send(line, &format!("{kind}Upload-Complete: ?1"), body);
        assert_eq!(reply.status, 201, "{line}: {reply:?}");
        assert_eq!(reply.json()["state"], "done");
    }
}
