//! `Content-Digest`, `Repr-Digest` and `Want-Repr-Digest` (RFC 9530) by every way in but the IETF's, which has them in
//! `ietf/digests.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use crate::support::{Reply, Server, form, noise, part};

const DISH: &[u8] = b"a dish of paella";

fn sha256(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

fn sha512(bytes: &[u8]) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(bytes)))
}

fn send(server: &Server, line: &str, fields: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n");
    server.send(&[head.as_bytes(), body].concat())
}

fn is_mismatch(reply: &Reply) {
    let code = reply.json()["code"].clone();
    assert_eq!((reply.status, code), (400, "digest_mismatch".into()));
    let wanted = Some("sha-256=10, sha-512=5");
    assert_eq!(reply.header("want-content-digest"), wanted);
    assert_eq!(reply.header("want-repr-digest"), wanted);
}

#[test]
fn forms_and_raw_bodies_are_held_against_both_fields() {
    let server = Server::start(&[]);
    let sent = form(&[
        part("note", None, b"x"),
        part("dish", Some("a.txt"), &noise(700_000)),
    ]);
    let typed = "Content-Type: multipart/form-data; boundary=b\r\n";
    let mut stored = 0;
    for field in ["Content-Digest", "Repr-Digest"] {
        for digest in [sha256, sha512] {
            for (line, typed, body) in [
                ("POST /upload", typed, &sent[..]),
                ("PUT /files/dish", "", DISH),
                ("PUT /files/none", "", b""),
            ] {
                let wrong = format!("{typed}{field}: {}\r\n", digest(b"something else"));
                let reply = send(&server, line, &wrong, body);
                is_mismatch(&reply);
                assert_eq!(server.files().len(), stored, "{line} {wrong}");
                assert!(server.under_way().is_empty());
                let right = format!("{typed}{field}: {}\r\n", digest(body));
                assert_eq!(send(&server, line, &right, body).status, 201, "{line}");
                stored += 1;
            }
        }
    }
    assert_eq!(server.files().len(), stored);
}

#[test]
fn the_record_of_what_did_not_add_up_says_so() {
    let server = Server::start(&[]);
    let fields = format!(
        "X-Progress-ID: seven\r\nContent-Digest: {}\r\n",
        sha256(b"")
    );
    is_mismatch(&send(&server, "PUT /files/dish", &fields, DISH));
    let record = server.get("/uploads?X-Progress-ID=seven").json()[0].clone();
    assert_eq!(record["state"], "error");
    assert_eq!(record["error"]["code"], "digest_mismatch");
}

/// Without an announcement it is not waited for: nobody may be made to compute what may never be asked for.
#[test]
fn a_digest_behind_the_body_counts_where_the_head_announces_it() {
    let server = Server::start(&[]);
    let put = |announced: &str, trailer: &str| {
        let head = "PUT /files/dish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
        let body = "10\r\na dish of paella\r\n0\r\n";
        let request = format!("{head}{announced}\r\n{body}{trailer}\r\n");
        let reply = server.send(request.as_bytes());
        (reply.status, reply.json()["code"].clone())
    };
    let field = |digest: String| format!("Content-Digest: {digest}\r\n");
    let (right, wrong) = (field(sha512(DISH)), field(sha512(b"x")));
    const ANNOUNCED: &str = "Trailer: Content-Digest\r\n";
    assert_eq!(put(ANNOUNCED, &right).0, 201);
    assert_eq!(put("", &wrong).0, 201);
    assert_eq!(put(ANNOUNCED, &wrong), (400, "digest_mismatch".into()));
    assert_eq!(put(ANNOUNCED, ""), (400, "bad_request".into()));
    let malformed = field("sha-256=::".into());
    assert_eq!(put(ANNOUNCED, &malformed), (400, "bad_request".into()));
    assert_eq!(server.files().len(), 2);
}

#[test]
fn an_upload_by_tus_is_held_against_what_its_creation_says_and_each_request_against_its_own() {
    for (said, is_right) in [(DISH, true), (b"a dish of paellb", false)] {
        let server = Server::start(&[]);
        let tus = "Tus-Resumable: 1.0.0\r\n";
        let create = format!(
            "{tus}Upload-Length: 16\r\nRepr-Digest: {}\r\n",
            sha256(said)
        );
        let created = send(&server, "POST /files/", &create, b"");
        assert_eq!(created.status, 201);
        let target = format!("PATCH {}", created.header("location").unwrap());
        let patch = |offset: usize, bytes: &[u8], digest: String| {
            let typed = "Content-Type: application/offset+octet-stream\r\n";
            let fields =
                format!("{tus}{typed}Upload-Offset: {offset}\r\nContent-Digest: {digest}\r\n");
            send(&server, &target, &fields, bytes)
        };
        let refused = patch(0, &DISH[..7], sha256(b"x"));
        is_mismatch(&refused);
        assert_eq!(refused.header("upload-offset"), Some("0"));
        assert_eq!(patch(0, &DISH[..7], sha256(&DISH[..7])).status, 204);
        let last = patch(7, &DISH[7..], sha512(&DISH[7..]));
        match is_right {
            true => assert_eq!(last.status, 204, "{last:?}"),
            false => is_mismatch(&last),
        }
        assert_eq!(server.files().len(), usize::from(is_right));
        assert!(server.under_way().is_empty());
    }
}

#[test]
fn what_tus_puts_together_is_held_against_it_and_no_part_alone() {
    let server = Server::start(&[]);
    let begin = |fields: &str| {
        let fields = format!("Tus-Resumable: 1.0.0\r\n{fields}");
        send(&server, "POST /files/", &fields, b"")
    };
    let part = |digest: &str| {
        let length = DISH.len();
        begin(&format!(
            "Upload-Concat: partial\r\nUpload-Length: {length}\r\n{digest}"
        ))
    };
    let said = |bytes: &[u8]| format!("Repr-Digest: {}\r\n", sha256(bytes));
    let refused = part(&said(DISH));
    let code = refused.json()["code"].clone();
    assert_eq!((refused.status, code), (400, "bad_request".into()));
    let part = part("").header("location").unwrap().to_owned();
    let typed = "Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n";
    assert_eq!(
        send(&server, &format!("PATCH {part}"), typed, DISH).status,
        204
    );
    let both = format!("Upload-Concat: final;{part} {part}\r\n");
    is_mismatch(&begin(&format!("{both}{}", said(DISH))));
    assert!(server.files().is_empty());
    let twice = DISH.repeat(2);
    let stored = begin(&format!("{both}{}", said(&twice)));
    assert_eq!(
        (stored.status, server.files().len()),
        (201, 1),
        "{stored:?}"
    );
    assert_eq!(server.read(&server.files()[0]), twice);
}

#[test]
fn filepond_s_chunks_are_held_against_theirs() {
    let server = Server::start(&[]);
    let about = form(&[part("filepond", None, b"{}")]);
    let begun = server.post("/filepond", "Upload-Length: 16\r\n", &about);
    let target = format!("PATCH /filepond?patch={}", begun.text());
    let patch = |offset: usize, bytes: &[u8], digest: String| {
        let typed = "Content-Type: application/offset+octet-stream\r\nUpload-Length: 16\r\n";
        let fields = format!(
            "{typed}Upload-Name: dish\r\nUpload-Offset: {offset}\r\nContent-Digest: {digest}\r\n"
        );
        send(&server, &target, &fields, bytes).status
    };
    assert_eq!(patch(0, &DISH[..8], sha256(b"x")), 400);
    assert_eq!(patch(0, &DISH[..8], sha256(&DISH[..8])), 204);
    assert_eq!(patch(8, &DISH[8..], sha256(&DISH[..8])), 400);
    assert!(server.files().is_empty());
    assert_eq!(patch(8, &DISH[8..], sha256(&DISH[8..])), 204);
    assert_eq!(server.read("dish"), DISH);
}

#[test]
fn who_fetches_a_file_is_told_its_digest() {
    let server = Server::start(&["--digest", "sha256"]);
    let wants = "Want-Repr-Digest: sha-512=10, sha-256=1\r\n";
    let put = send(&server, "PUT /files/dish", wants, DISH);
    let digest = sha256(DISH);
    assert_eq!(put.header("repr-digest"), Some(&*digest));
    let target = put.header("location").unwrap();
    // It is of the whole file, whatever part of it is in the answer.
    for (fields, status, expected) in [
        (wants, 200, Some(&*digest)),
        (&format!("{wants}Range: bytes=2-5\r\n"), 206, Some(&*digest)),
        ("", 200, None),
        ("Want-Repr-Digest: sha-512=1\r\n", 200, None),
    ] {
        let got = server.get_with(target, fields);
        assert_eq!((got.status, got.header("repr-digest")), (status, expected));
    }
    let sent = form(&[
        part("a", Some("a.txt"), b"a"),
        part("b", Some("b.txt"), b"b"),
    ]);
    let several = server.post("/upload", wants, &sent);
    assert_eq!((several.status, several.header("repr-digest")), (201, None));
}
