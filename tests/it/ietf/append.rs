//! "Upload Append", "Problem Types".

use std::io::Write;

use super::talk::{ALL, NEWEST, NONE, Talk, digest, inconsistent, not_found, refused};
use crate::support::{Reply, Server, noise};

/// Another offset MUST be 409 with the right one and `?0`, as a problem with both; nothing of it changes the upload.
#[test]
fn an_append_that_begins_elsewhere_is_told_where_the_kept_bytes_end() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("Upload-Length: 11", false, "hello"),
            &version.created("id", 5),
        );
        for offset in [0, 4, 6, 11, 12, 999_999_999_999_999] {
            let other = version.append("id", offset, false, "xxx");
            talk.says(&other, &version.mismatch(5, offset));
        }
        talk.kept("id", b"hello");
        talk.says(
            &version.append("id", 5, true, " world"),
            &version.completed("id", 11),
        );
    }
}

/// `?0`: 204, and more is to come; the answer says no `Location`.
#[test]
fn appends_follow_one_another_on_one_connection() {
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        let mut line = server.connect();
        talk.says_on(
            &mut line,
            &version.create("", false, ""),
            &version.created("id", 0),
        );
        for (at, byte) in (0..).zip(["h", "e", "l", "l", "o"]) {
            let append = version.append("id", at, false, byte);
            talk.says_on(&mut line, &append, &version.appended(at + 1));
        }
        let ask = version.ask("HEAD", "id");
        talk.says_on(&mut line, &ask, &version.told(5, None));
        talk.says_on(
            &mut line,
            &version.append("id", 5, true, ""),
            &version.completed("id", 5),
        );
        assert_eq!(server.read(&server.files()[0]), b"hello");
    }
}

/// "Length": it may come with any append, and is the same in all of them; the upload stays as it was.
#[test]
fn a_length_is_said_once_and_does_not_change() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for version in [&ALL[..], &[NONE]].concat() {
        talk.says(&version.create("", false, "he"), &version.created("id", 2));
        let says = |length: u64, offset, body: &str| {
            version.append_with(
                "id",
                offset,
                false,
                &format!("Upload-Length: {length}"),
                body,
            )
        };
        talk.says(&says(5, 2, "l"), &version.appended(3));
        for other in [4, 6] {
            let refusal = inconsistent(&version.stands(3), 5, other);
            talk.says(&says(other, 3, "l"), &refusal);
        }
        // Too few bytes to be the last ones.
        let short = version.append("id", 3, true, "l");
        talk.says(&short, &inconsistent(&version.stands(3), 5, 4));
        talk.says(&version.ask("HEAD", "id"), &version.told(3, Some(5)));
        talk.says(
            &version.append("id", 3, true, "lo"),
            &version.completed("id", 5),
        );
        talk = Talk::with(&server);
    }
}

/// More bytes than the length: refused, and the upload is invalid from then on; also in the place of 100, and where the
/// body does not say how long it is.
#[test]
fn bytes_beyond_the_length_end_the_upload() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let beyond = |how: usize| match how {
            0 => version.append("id", 3, false, "xyz"),
            1 => version.append_with(
                "id",
                3,
                false,
                "Content-Length: 3\nExpect: 100-continue",
                "",
            ),
            2 => version.append_with(
                "id",
                3,
                false,
                "Transfer-Encoding: chunked",
                "3\r\nxyz\r\n0\r\n\r\n",
            ),
            _ => version.append("id", 3, true, "xyz"),
        };
        for how in 0..4 {
            let mut talk = Talk::with(&server);
            talk.says(
                &version.create("Upload-Length: 5", false, "abc"),
                &version.created("id", 3),
            );
            let reply = talk.answer(&beyond(how));
            assert_eq!(reply.status, 400, "{version:?} {how}: {reply:?}");
            assert_eq!(reply.json()["code"], "length_mismatch");
            talk.says(
                &version.append("id", 3, false, "x"),
                &not_found("connection: close"),
            );
            let record = talk.record("id");
            assert_eq!(record["error"]["code"], "length_mismatch", "{record}");
        }
    }
    assert_eq!((server.under_way(), server.files()), (vec![], vec![]));
}

/// What came of an append before its line broke is kept, with or without a length; the client asks and goes on.
#[test]
fn what_came_before_a_cut_is_kept_and_gone_on_with() {
    let server = Server::start(&[]);
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, ""), &version.created("id", 0));
        let line = talk.begins("id", &version.append("id", 0, true, "hello world"), 5, 5);
        talk.cuts("id", line, 5);
        // The last append has said how long it all is.
        talk.says(&version.ask("HEAD", "id"), &version.told(5, Some(11)));
        talk.says(
            &version.append("id", 5, true, " world"),
            &version.completed("id", 11),
        );
        assert_eq!(talk.record("id")["state"], "done");
    }
    for name in server.files() {
        assert_eq!(server.read(&name), b"hello world");
    }
}

/// What is neither one dialect nor another is refused, in words that name both.
#[test]
fn an_append_that_speaks_nothing_is_refused() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    for line in ["PATCH /files/{id}", "POST /files/"] {
        let request = NONE.request(line, "Upload-Offset: 2", "y");
        let reply = talk.answer(&request);
        assert!(matches!(reply.status, 400..500), "{reply:?}");
        let words = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            words.contains("Tus-Resumable") && words.contains("Upload-"),
            "{words}"
        );
    }
    talk.kept("id", b"he");
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(2, None));
}

/// Unknown, ended or no id at all: 404, and no offset.
#[test]
fn an_append_to_nothing_is_not_found() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for version in [&ALL[..], &[NONE]].concat() {
        for name in ["00112233445566778899aabbccddeeff", "x", "%2e%2e"] {
            let append = version.append("id", 0, true, "x").replace("{id}", name);
            talk.says(&append, &not_found("connection: close"));
        }
    }
}

/// A method may stand for another behind a proxy that lets PATCH not pass.
#[test]
fn a_post_may_stand_for_an_append() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NEWEST.create("", false, "he"), &NEWEST.created("id", 2));
    let append = NEWEST.append("id", 2, true, "y");
    let over = append
        .replace("PATCH ", "POST ")
        .replace("Host: a", "Host: a\nX-HTTP-Method-Override: PATCH");
    talk.says(&over, &NEWEST.completed("id", 3));
}

/// Of several that go wrong, what can be told by the head is refused before the body, also in the place of 100.
#[test]
fn what_the_head_tells_is_refused_before_the_body() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    for (fields, status) in [
        (
            "Upload-Offset: 3\nUpload-Complete: ?1\nContent-Type: application/partial-upload",
            409,
        ),
        (
            "Upload-Offset: 2\nUpload-Complete: ?1\nContent-Type: text/plain",
            415,
        ),
        (
            "Upload-Complete: ?1\nContent-Type: application/partial-upload",
            400,
        ),
        (
            "Upload-Offset: 2\nContent-Type: application/partial-upload",
            400,
        ),
    ] {
        let fields = format!("Expect: 100-continue\nContent-Length: 9\n{fields}");
        let request = NONE.request("PATCH /files/{id}", &fields, "");
        let mut line = server.connect();
        line.write_all(&talk.bytes(&request)).unwrap();
        assert_eq!(Reply::read(&mut line).status, status, "{fields}");
    }
    let kind = refused(
        "415 Unsupported Media Type",
        "connection: close",
        "wrong_content_type",
        "the content type must be application/partial-upload",
    );
    let request = NONE
        .append("id", 2, true, "y")
        .replace(NONE.kind(), "Content-Type: text/plain");
    talk.says(&request, &kind);
}

/// Several MiB in appends of odd sizes, with a digest over all of it.
#[test]
fn a_large_upload_in_odd_pieces_is_stored_to_the_byte() {
    let server = Server::start(&["--digest", "sha256"]);
    let content = noise(5_000_003);
    let mut talk = Talk::with(&server);
    talk.says(&NEWEST.create("", false, ""), &NEWEST.created("id", 0));
    let mut offset = 0;
    for piece in content.chunks(1_234_567) {
        let next = offset + piece.len();
        let ends = next == content.len();
        let fields = format!("Content-Length: {}", piece.len());
        let append = NEWEST.append_with("id", offset as u64, ends, &fields, "");
        let mut line = server.connect();
        let head = talk.bytes(&append);
        line.write_all(&[head, piece.to_vec()].concat()).unwrap();
        let reply = Reply::last(&mut line);
        offset = next;
        assert_eq!(reply.status, if ends { 201 } else { 204 }, "{reply:?}");
        assert_eq!(reply.header("upload-offset"), Some(&*offset.to_string()));
    }
    assert!(server.read(&server.files()[0]) == content);
    assert_eq!(talk.record("id")["files"][0]["digest"], digest(&content));
}
