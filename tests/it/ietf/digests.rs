//! "Integrity Digests" (RFC 9530): of one request's bytes, and of all that an upload is made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::talk::{ALL, GONE, NEWEST, NONE, Talk, not_found};
use crate::support::{Reply, Server, form, part};

fn sha256(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

fn sha512(bytes: &[u8]) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(bytes)))
}

fn is_mismatch(reply: &Reply) {
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (400, &"digest_mismatch".into()),
        "{reply:?}"
    );
    for field in ["want-repr-digest", "want-content-digest"] {
        let wanted = reply.header(field).unwrap_or_default();
        assert!(
            wanted.contains("sha-256=") && wanted.contains("sha-512="),
            "{reply:?}"
        );
    }
}

/// `Content-Digest` is of the request's bytes: what has another one is not kept, and the offset stays.
#[test]
fn a_request_with_another_content_digest_is_not_kept() {
    let server = Server::start(&[]);
    let versions = [&ALL[..], &[NONE]].concat();
    for version in versions {
        let mut talk = Talk::with(&server);
        let digest = |digest: String| format!("Content-Digest: {digest}");
        talk.says(&version.create("", false, "he"), &version.created("id", 2));
        for wrong in [
            sha256(b"hello"),
            sha512(b"LLO"),
            format!("{}, {}", sha256(b"llo"), sha512(b"x")),
        ] {
            let append = version.append_with("id", 2, true, &digest(wrong), "llo");
            let reply = talk.answer(&append);
            is_mismatch(&reply);
            assert_eq!(reply.header("upload-offset"), Some("2"));
            let reply = talk.answer(&version.ask("HEAD", "id"));
            assert_eq!(reply.header("upload-offset"), Some("2"));
        }
        let right = format!("{}, {}, unixsum=:AAAA:", sha256(b"llo"), sha512(b"llo"));
        let append = version.append_with("id", 2, true, &digest(right), "llo");
        talk.says(&append, &version.completed("id", 5));
    }
    assert_eq!(server.files().len(), 7);
}

/// `Repr-Digest` is of all bytes, however many requests they come in; another one fails the upload, and nothing is visible.
#[test]
fn an_upload_with_another_repr_digest_is_never_visible() {
    for digest in [sha256, sha512] {
        for (said, is_right) in [(b"hello", true), (b"HELLO", false)] {
            let server = Server::start(&[]);
            let mut talk = Talk::with(&server);
            let field = format!("Repr-Digest: {}", digest(said));
            talk.says(&NONE.create(&field, false, "he"), &NONE.created("first", 2));
            talk.says(&NONE.append("first", 2, false, "l"), &NONE.appended(3));
            talk.says(&NONE.create("", false, "he"), &NONE.created("last", 2));
            let ends = [
                NONE.append("first", 3, true, "lo"),
                NONE.append_with("last", 2, true, &field, "llo"),
                NONE.create(&field, true, "hello"),
                NONE.request(
                    "PUT /files/put",
                    &format!("Upload-Complete: ?1\n{field}"),
                    "hello",
                ),
                NONE.request("PUT /files/plain", &field, "hello"),
            ];
            for end in &ends {
                let reply = talk.answer(end);
                match is_right {
                    true => assert_eq!(reply.status, 201, "{end}: {reply:?}"),
                    false => is_mismatch(&reply),
                }
            }
            let stored = if is_right { ends.len() } else { 0 };
            assert_eq!(server.files().len(), stored);
            assert!(server.under_way().is_empty());
            if !is_right {
                for name in ["first", "last"] {
                    assert_eq!(talk.record(name)["error"]["code"], "digest_mismatch");
                    talk.says(
                        &NONE.append(name, 3, true, "lo"),
                        &not_found("connection: close"),
                    );
                }
            }
        }
    }
}

/// Of a form it is the body's, boundaries included.
#[test]
fn a_forms_repr_digest_is_its_bodys() {
    let sent = form(&[
        part("note", None, b"x"),
        part("dish", Some("a.txt"), b"hello"),
    ]);
    let text = String::from_utf8(sent.clone()).unwrap();
    for (said, is_right) in [(&sent[..], true), (b"hello", false)] {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        let fields = format!(
            "Content-Type: multipart/form-data; boundary=b\nRepr-Digest: {}",
            sha256(said)
        );
        let begin = NONE.request(
            "POST /upload",
            &format!("{fields}\nUpload-Complete: ?0"),
            &text[..40],
        );
        talk.says(&begin, &NONE.created("id", 40));
        let end = talk.answer(&NONE.append("id", 40, true, &text[40..]));
        let plain = talk.answer(&NONE.request("POST /upload", &fields, &text));
        for reply in [end, plain] {
            match is_right {
                true => assert_eq!(reply.status, 201, "{reply:?}"),
                false => is_mismatch(&reply),
            }
        }
        assert_eq!(server.files().len(), if is_right { 2 } else { 0 });
        assert!(server.under_way().is_empty());
    }
}

/// The running sum outlives the server, as the bytes do.
#[test]
fn a_repr_digest_goes_on_with_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    for (said, is_right) in [(b"hello", true), (b"HELLO", false)] {
        let mut server = Server::start_in(&dir, &[]);
        let mut talk = Talk::with(&server);
        let field = format!("Repr-Digest: {}", sha256(said));
        talk.says(
            &NEWEST.create(&field, false, "he"),
            &NEWEST.created("id", 2),
        );
        let id = talk.name("id").to_owned();
        server.kill();
        let server = Server::start_in(&dir, &[]);
        let mut talk = Talk::with(&server);
        let reply = talk
            .knows("id", &id)
            .answer(&NEWEST.append("id", 2, true, "llo"));
        match is_right {
            true => assert_eq!(reply.status, 201, "{reply:?}"),
            false => is_mismatch(&reply),
        }
        assert_eq!(server.files().len(), 1);
    }
}

/// Of algorithms that nobody knows here it is as if nothing were said.
#[test]
fn a_digest_of_an_algorithm_that_is_not_known_is_passed_over() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for field in ["Content-Digest", "Repr-Digest"] {
        for value in ["md5=:AAAA:", "", "unixsum=:AAAA:, crc32c=:AAAA:"] {
            let said = format!("{field}: {value}");
            talk.says(&NONE.create(&said, true, "hello"), &NONE.completed("id", 5));
            talk.says(&NONE.ask("DELETE", "id"), GONE);
            talk = Talk::with(&server);
        }
    }
}

/// Who asks for a check that cannot be made is told so, and nothing is stored (RFC 9651, 4.2, leaves that choice).
#[test]
fn a_digest_that_cannot_be_read_is_refused() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    for field in ["Content-Digest", "Repr-Digest"] {
        for value in ["sha-256", "sha-256=:AAAA:", "sha-512=1", "hello world"] {
            let said = format!("{field}: {value}");
            for request in [
                NONE.create(&said, true, "hello"),
                NONE.request("PUT /files/dish", &said, "hello"),
            ] {
                let reply = talk.answer(&request);
                let code = reply.json()["code"].clone();
                assert_eq!((reply.status, code), (400, "bad_request".into()), "{said}");
            }
        }
    }
    assert!(server.files().is_empty());
}

/// A `Repr-Digest` behind the body would be missed by whoever goes on with the upload: nothing is taken on its word.
#[test]
fn a_digest_of_all_that_is_to_come_behind_the_body_is_refused() {
    let server = Server::start(&[]);
    let talk = Talk::with(&server);
    let chunks = format!("2\r\nab\r\n0\r\nRepr-Digest: {}\r\n\r\n", sha256(b"x"));
    for line in ["POST /files/", "PUT /files/dish"] {
        let fields = "Upload-Complete: ?1\nTransfer-Encoding: chunked\nTrailer: Repr-Digest";
        let request = NONE.request(line, fields, &chunks);
        let reply = talk.answer(&request);
        let code = reply.json()["code"].clone();
        assert_eq!((reply.status, code), (400, "bad_request".into()), "{line}");
    }
    assert!(server.files().is_empty());
}

/// The digest may be said with the last request only, and a handler may hold bytes back until it has seen enough of them.
#[test]
fn a_digest_that_is_said_late_is_of_bytes_that_are_held_back_too() {
    let server = Server::start(&["--allow-type", "text/*"]);
    let mut talk = Talk::with(&server);
    for (said, fits) in [("hello", true), ("hellO", false)] {
        talk.says(&NONE.create("", false, "he"), &NONE.created(said, 2));
        let digest = format!("Repr-Digest: {}", sha256(said.as_bytes()));
        let append = NONE.append_with(said, 2, true, &digest, "llo");
        match fits {
            true => {
                talk.says(&append, &NONE.completed(said, 5));
            }
            false => is_mismatch(&talk.answer(&append)),
        }
    }
    assert_eq!(server.files().len(), 1);
    assert!(server.under_way().is_empty());
}

/// `Want-Repr-Digest`: the answer to a finished upload of one file says its digest, where one was computed.
#[test]
fn who_wants_it_is_told_the_digest_of_what_is_stored() {
    let server = Server::start(&["--digest", "sha256"]);
    let talk = Talk::with(&server);
    for wants in [
        "Want-Repr-Digest: sha-256=10",
        "Want-Repr-Digest: sha-512=3, sha-256=1",
    ] {
        for line in ["POST /files/", "PUT /files/dish"] {
            let fields = format!("Upload-Complete: ?1\n{wants}");
            let reply = talk.answer(&NONE.request(line, &fields, "hello"));
            assert_eq!(reply.status, 201);
            assert_eq!(
                reply.header("repr-digest"),
                Some(&*sha256(b"hello")),
                "{line}"
            );
        }
    }
    for wants in [
        "X: y",
        "Want-Repr-Digest: sha-512=3",
        "Want-Repr-Digest: sha-256=0",
    ] {
        let fields = format!("Upload-Complete: ?1\n{wants}");
        let reply = talk.answer(&NONE.request("POST /files/", &fields, "hello"));
        assert_eq!(
            (reply.status, reply.header("repr-digest")),
            (201, None),
            "{wants}"
        );
    }
}
