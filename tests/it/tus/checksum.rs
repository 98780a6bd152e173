//! "Checksum", in the head and in a trailer.

use std::io::Write;

use super::talk::{Talk, appended, ask, completed, created, patch, post, refused, request, told};
use crate::support::{Reply, Server};

/// Sums of `hello`, by four algorithms; known from elsewhere (`printf hello | sha1sum` and the like).
const HELLO: [&str; 4] = [
    "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=",
    "md5 XUFAKrxLKna5cZ2REBfFkg==",
    "sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    "crc32 NhCmhg==",
];

fn with_checksum(name: &str, offset: u64, body: &str, checksum: &str) -> String {
    let field = format!("Upload-Checksum: {checksum}\nUpload-Offset");
    patch(name, offset, body).replace("Upload-Offset", &field)
}

fn mismatch(offset: u64) -> String {
    refused(
        "460 Checksum Mismatch",
        &format!("connection: close\nupload-offset: {offset}\nupload-expires: {{time}}"),
        "checksum_mismatch",
        "the bytes that came do not have the checksum that was given",
    )
}

/// "Upload-Checksum": what matches is kept, by every algorithm that OPTIONS names.
#[test]
fn bytes_with_their_checksum_are_kept() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 21"), &created("id", 0));
    let mut offset = 0;
    for checksum in HELLO {
        let next = with_checksum("id", offset, "hello", checksum);
        offset += 5;
        talk.says(&next, &appended(offset));
    }
    talk.says(&patch("id", 20, "!"), &completed(21));
    assert_eq!(server.read(&server.files()[0]), b"hellohellohellohello!");
}

/// A mismatch MUST be 460: the chunk is thrown away, the offset stays. An unknown algorithm or a malformed field is 400.
#[test]
fn bytes_with_another_checksum_are_not_kept() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 10"), &created("id", 0));
    talk.says(&patch("id", 0, "hello"), &appended(5));
    for checksum in HELLO {
        let other = with_checksum("id", 5, "HELLO", checksum);
        talk.says(&other, &mismatch(5));
    }
    const NONE: &str = "Upload-Checksum is no algorithm and a checksum";
    const UNKNOWN: &str = "the algorithm of Upload-Checksum is not known here";
    const CODED: &str = "the checksum is not one of its algorithm in Base64";
    for (given, words) in [
        ("sha1", NONE),
        ("", NONE),
        ("sha512 qvTGHdzF6KLavt4PO0gs2a6pQ00=", UNKNOWN),
        ("sha1 XUFAKrxLKna5cZ2REBfFkg==", CODED),
        ("sha1 aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", CODED),
        ("sha1 !", CODED),
    ] {
        talk.says(
            &with_checksum("id", 5, "hello", given),
            &refused(
                "400 Bad Request",
                "connection: close",
                "bad_request",
                &format!("the request is malformed: {words}"),
            ),
        );
    }
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 5\nupload-length: 10\nupload-complete: ?0\nupload-expires: {time}"),
    );
    talk.says(&with_checksum("id", 5, "hello", HELLO[0]), &completed(10));
    assert_eq!(server.read(&server.files()[0]), b"hellohello");
}

/// TRAPS, "A cut PATCH with a checksum": what arrived cannot be checked, so nothing of it is kept.
#[test]
fn a_cut_patch_with_a_checksum_leaves_nothing() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 10"), &created("id", 0));
    talk.says(&patch("id", 0, "hello"), &appended(5));
    let stream = talk.begins("id", &with_checksum("id", 5, "hello", HELLO[0]), 3, 8);
    talk.cuts("id", stream, 5);
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 5\nupload-length: 10\nupload-complete: ?0\nupload-expires: {time}"),
    );
    talk.says(&with_checksum("id", 5, "hello", HELLO[1]), &completed(10));
    assert_eq!(server.read(&server.files()[0]), b"hellohello");
}

/// "Creation With Upload": the checksum is of the bytes that the POST brings. The upload has begun all the same.
#[test]
fn the_first_bytes_are_checked_too() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let begin = |body: &str| {
        let fields = format!(
            "Content-Type: application/offset+octet-stream\nContent-Length: 5\nUpload-Length: 10\nUpload-Checksum: {}",
            HELLO[2]
        );
        request("POST /files/", &fields, body)
    };
    talk.says(&begin("hello"), &created("a", 5));
    let refusal = mismatch(0).replacen("vary", "location: /files/{b}\nvary", 1);
    talk.says(&begin("HELLO"), &refusal);
    talk.says(&patch("b", 0, "hello"), &appended(5));
}

/// "Checksum Trailer": the checksum comes behind the bytes, which are thrown away unless it matches.
#[test]
fn a_checksum_may_come_in_a_trailer() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 25"), &created("id", 0));
    let chunked = |talk: &Talk<'_>, offset: u64, trailer: &str| {
        let fields = format!(
            "Content-Type: application/offset+octet-stream\nUpload-Offset: {offset}\nTransfer-Encoding: chunked\nTrailer: Upload-Checksum"
        );
        let head = talk.bytes(&request("PATCH /files/{id}", &fields, ""));
        [
            head,
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n".to_vec(),
            trailer.as_bytes().to_vec(),
            b"\r\n".to_vec(),
        ]
        .concat()
    };
    let mut offset = 0;
    for checksum in HELLO {
        let trailer = format!("Upload-Checksum: {checksum}\r\n");
        let reply = server.send(&chunked(&talk, offset, &trailer));
        offset += 5;
        assert_eq!(
            (reply.status, reply.header("upload-offset")),
            (204, Some(&*offset.to_string())),
            "{reply:?}"
        );
    }
    for (trailer, status, code) in [
        (
            "Upload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
            460,
            "checksum_mismatch",
        ),
        ("Upload-Checksum: sha9 AAAA\r\n", 400, "bad_request"),
        ("", 400, "bad_request"),
    ] {
        let mut stream = server.connect();
        stream.write_all(&chunked(&talk, offset, trailer)).unwrap();
        let reply = Reply::read(&mut stream);
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (status, Some(code)),
            "{trailer}"
        );
        assert_eq!(reply.header("upload-offset"), Some("20"), "{trailer}");
        talk.says(
            &ask("HEAD", "id"),
            &told(
                "upload-offset: 20\nupload-length: 25\nupload-complete: ?0\nupload-expires: {time}",
            ),
        );
    }
    talk.says(&patch("id", 20, "hello"), &completed(25));
    assert_eq!(server.read(&server.files()[0]), b"hello".repeat(5));
}
