//! "Core Protocol".

use std::io::Write;

use super::talk::{Talk, appended, ask, completed, created, patch, post, refused, request, told};
use crate::support::{Reply, Server};

/// The protocol's own example, whole.
#[test]
fn an_upload_is_begun_filled_in_two_steps_and_stored() {
    let server = Server::start(&[]);
    Talk::with(&server)
        .says(
            "POST /files/ HTTP/1.1
             Host: a
             Tus-Resumable: 1.0.0
             Content-Length: 0
             Upload-Length: 11
             Upload-Metadata: filename ZGlzaC50eHQ=

             ",
            "HTTP/1.1 201 Created
             tus-resumable: 1.0.0
             location: /files/{id}
             upload-offset: 0
             upload-expires: {time}
             cache-control: no-store
             content-length: 0",
        )
        .says(
            "PATCH /files/{id} HTTP/1.1
             Host: a
             Tus-Resumable: 1.0.0
             Content-Type: application/offset+octet-stream
             Content-Length: 6
             Upload-Offset: 0

             hello,",
            "HTTP/1.1 204 No Content
             tus-resumable: 1.0.0
             upload-offset: 6
             upload-expires: {time}
             cache-control: no-store",
        )
        .kept("id", b"hello,")
        .stored(&[])
        .says(
            "HEAD /files/{id} HTTP/1.1
             Host: a
             Tus-Resumable: 1.0.0

             ",
            "HTTP/1.1 204 No Content
             tus-resumable: 1.0.0
             upload-offset: 6
             upload-length: 11
             upload-complete: ?0
             upload-metadata: filename ZGlzaC50eHQ=
             upload-expires: {time}
             upload-limit: min-size=0
             cache-control: no-store",
        )
        .says(
            "PATCH /files/{id} HTTP/1.1
             Host: a
             Tus-Resumable: 1.0.0
             Content-Type: application/offset+octet-stream
             Content-Length: 5
             Upload-Offset: 6

             world",
            "HTTP/1.1 204 No Content
             tus-resumable: 1.0.0
             upload-offset: 11
             cache-control: no-store",
        )
        .stored(&[("dish.txt", b"hello,world")])
        .says(
            "HEAD /files/{id} HTTP/1.1
             Host: a
             Tus-Resumable: 1.0.0

             ",
            "HTTP/1.1 204 No Content
             tus-resumable: 1.0.0
             upload-offset: 11
             upload-length: 11
             upload-complete: ?1
             upload-metadata: filename ZGlzaC50eHQ=
             upload-limit: min-size=0
             cache-control: no-store",
        );
    assert!(server.under_way().is_empty());
}

/// "Tus-Resumable", "Tus-Version": an unsupported version is answered 412 with what is supported, and not processed.
#[test]
fn a_request_of_another_version_or_none_is_refused_and_not_processed() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 3"), &created("id", 0));
    let refusal = refused(
        "412 Precondition Failed",
        "tus-version: 1.0.0",
        "tus_version",
        "say Tus-Resumable: 1.0.0 for tus, or Upload-Complete for Resumable Uploads for HTTP",
    );
    for version in [
        "Tus-Resumable: 0.2.2",
        "Tus-Resumable: 2.0.0",
        "Tus-Resumable: 1.0",
        "Tus-Resumable:",
        "Tus-Resumable: 1.0.0\nTus-Resumable: 1.0.0",
        "X: y",
    ] {
        let other = |request: String| request.replace("Tus-Resumable: 1.0.0", version);
        talk.says(&other(post("Upload-Length: 3")), &refusal);
        let body = refusal.replacen("vary", "connection: close\nvary", 1);
        talk.says(&other(patch("id", 0, "abc")), &body);
        // Without the field HEAD and DELETE are no requests of tus.
        if version != "X: y" {
            talk.says(&other(ask("DELETE", "id")), &refusal);
            let mut stream = server.connect();
            stream
                .write_all(&talk.bytes(&other(ask("HEAD", "id"))))
                .unwrap();
            let reply = Reply::read_head(&mut stream);
            assert_eq!(
                (reply.status, reply.header("tus-version")),
                (412, Some("1.0.0"))
            );
            assert_eq!(reply.header("upload-offset"), None);
        }
    }
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 0\nupload-length: 3\nupload-complete: ?0\nupload-expires: {time}"),
    );
    assert_eq!(server.under_way().len(), 1, "nothing was begun");
}

/// "HEAD": the offset is told at 0 and when all is there too, the length if it is known, and nobody keeps the answer.
#[test]
fn head_tells_offset_and_length_at_every_step() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Defer-Length: 1"), &created("id", 0));
    talk.says(
        &ask("HEAD", "id"),
        &told(
            "upload-offset: 0\nupload-defer-length: 1\nupload-complete: ?0\nupload-expires: {time}",
        ),
    );
    talk.says(&patch("id", 0, "abc"), &appended(3));
    talk.says(
        &ask("HEAD", "id"),
        &told(
            "upload-offset: 3\nupload-defer-length: 1\nupload-complete: ?0\nupload-expires: {time}",
        ),
    );
    let last = patch("id", 3, "de").replace("Upload-Offset", "Upload-Length: 5\nUpload-Offset");
    talk.says(&last, &completed(5));
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 5\nupload-length: 5\nupload-complete: ?1"),
    );
}

/// "HEAD": what is not there is 404, without an offset, whatever stands in its place.
#[test]
fn head_of_nothing_is_not_found_and_tells_no_offset() {
    let server = Server::start(&[]);
    for name in [
        "00112233445566778899aabbccddeeff",
        "paella.jpg",
        "",
        "../x",
        "%2e%2e",
        &"g".repeat(32),
    ] {
        let mut stream = server.connect();
        let head =
            format!("HEAD /files/{name} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let reply = Reply::read_head(&mut stream);
        assert_eq!((reply.status, reply.header("upload-offset")), (404, None));
        assert_eq!(reply.header("tus-resumable"), Some("1.0.0"));
    }
}

/// Other protocols will ask at the same URL: a HEAD that speaks none tells as much as is known of an unfinished upload,
/// and of a finished one what it always did.
#[test]
fn a_plain_head_tells_of_an_unfinished_upload_and_means_a_finished_ones_file() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 3"), &created("id", 0));
    talk.says(
        "HEAD /files/{id} HTTP/1.1
         Host: a

         ",
        "HTTP/1.1 204 No Content
         upload-offset: 0
         upload-length: 3
         upload-complete: ?0
         upload-limit: max-age={seconds}
         cache-control: no-store",
    );
    talk.says(&patch("id", 0, "abc"), &completed(3));
    let mut stream = server.connect();
    stream
        .write_all(&talk.bytes("HEAD /files/{id} HTTP/1.1\nHost: a\n\n"))
        .unwrap();
    let reply = Reply::read_head(&mut stream);
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (200, Some("3"))
    );
    assert!(reply.header("etag").is_some());
}

/// "PATCH": another content type SHOULD be 415, another offset MUST be 409, an unknown upload 404; nothing of it changes
/// the upload.
#[test]
fn a_patch_that_does_not_fit_changes_nothing() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    talk.says(&patch("id", 0, "hello"), &appended(5));
    let conflict = |given: &str| {
        refused(
            "409 Conflict",
            "connection: close\nupload-offset: 5\nupload-expires: {time}",
            "offset_mismatch",
            &format!("offset {given} is not the kept 5"),
        )
    };
    for offset in [0, 4, 6, 11, 12, u64::MAX] {
        talk.says(&patch("id", offset, "xxx"), &conflict(&offset.to_string()));
    }
    let kind = |kind: &str| {
        patch("id", 5, "xxx").replace("Content-Type: application/offset+octet-stream", kind)
    };
    for other in [
        "X: y",
        "Content-Type: application/octet-stream",
        "Content-Type: text/plain",
    ] {
        talk.says(
            &kind(other),
            &refused(
                "415 Unsupported Media Type",
                "connection: close",
                "wrong_content_type",
                "the content type must be application/offset+octet-stream",
            ),
        );
    }
    for (offset, words) in [
        ("X: y", "it does not say its Upload-Offset"),
        ("Upload-Offset: -5", "its Upload-Offset is malformed"),
        ("Upload-Offset: +5", "its Upload-Offset is malformed"),
        ("Upload-Offset: 5.0", "its Upload-Offset is malformed"),
        ("Upload-Offset: 0x5", "its Upload-Offset is malformed"),
        ("Upload-Offset:", "its Upload-Offset is malformed"),
        ("Upload-Offset: 5, 5", "its Upload-Offset is malformed"),
        (
            "Upload-Offset: 5\nUpload-Offset: 5",
            "its Upload-Offset is malformed",
        ),
        (
            "Upload-Offset: 18446744073709551616",
            "its Upload-Offset is malformed",
        ),
    ] {
        talk.says(
            &patch("id", 5, "xxx").replace("Upload-Offset: 5", offset),
            &refused(
                "400 Bad Request",
                "connection: close",
                "bad_request",
                &format!("the request is malformed: {words}"),
            ),
        );
    }
    let unknown = patch("id", 5, "xxx").replace("{id}", "00112233445566778899aabbccddeeff");
    talk.says(
        &unknown,
        &refused(
            "404 Not Found",
            "connection: close",
            "not_found",
            "there is nothing here under that name",
        ),
    );
    talk.kept("id", b"hello");
    talk.says(&patch("id", 5, " world"), &completed(11));
    let watch = server.files();
    assert_eq!(watch.len(), 1);
    assert_eq!(server.read(&watch[0]), b"hello world");
}

/// "PATCH": what came before the connection broke is kept; the client asks where it ends.
#[test]
fn what_came_before_a_cut_is_kept_and_gone_on_with() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    let stream = talk.begins("id", &patch("id", 0, "hello world"), 5, 5);
    talk.cuts("id", stream, 5);
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 5\nupload-length: 11\nupload-complete: ?0\nupload-expires: {time}"),
    );
    talk.says(&patch("id", 5, " world"), &completed(11));
    assert_eq!(server.read(&server.files()[0]), b"hello world");
    let record = talk.record("id");
    assert_eq!(
        (&record["state"], &record["offset"]),
        (&"done".into(), &11.into())
    );
}

/// HEAD comes while the older request is still there, its line dead or not: it is asked to let go, and nothing that was
/// told is lost.
#[test]
fn head_takes_the_upload_from_a_request_that_is_silent() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    let mut silent = talk.begins("id", &patch("id", 0, "hello world"), 5, 5);
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 5\nupload-length: 11\nupload-complete: ?0\nupload-expires: {time}"),
    );
    let reply = Reply::read(&mut silent);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str().unwrap()),
        (400, "superseded")
    );
    talk.says(&patch("id", 5, " world"), &completed(11));
    assert_eq!(server.read(&server.files()[0]), b"hello world");
}

/// Of two that go on at the same place the newer one wins. It finds kept what the older one has brought.
#[test]
fn a_newer_patch_takes_the_upload_from_an_older_one() {
    // What comes is kept when the older one ends, and not before.
    let server = Server::start(&["--checkpoint-time", "1h"]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    let mut older = talk.begins("id", &patch("id", 0, "HELLO WORLD"), 5, 5);
    talk.says(
        &patch("id", 0, "hello world"),
        &refused(
            "409 Conflict",
            "connection: close\nupload-offset: 5\nupload-expires: {time}",
            "offset_mismatch",
            "offset 0 is not the kept 5",
        ),
    );
    assert_eq!(Reply::read(&mut older).status, 400);
    talk.says(&patch("id", 5, " world"), &completed(11));
    assert_eq!(server.read(&server.files()[0]), b"HELLO world");
}

/// TRAPS, "Offset beyond length": what is declared beyond the end is refused before it comes, also in the place of 100.
#[test]
fn bytes_beyond_the_length_are_refused_and_not_kept() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 5"), &created("id", 0));
    talk.says(&patch("id", 0, "abc"), &appended(3));
    let beyond = patch("id", 3, "").replace("Content-Length: 0", "Content-Length: 3");
    let beyond = beyond.replace("Host: a", "Host: a\nExpect: 100-continue");
    talk.says(
        &beyond,
        &refused(
            "400 Bad Request",
            "connection: close\nupload-offset: 3\nupload-expires: {time}",
            "length_mismatch",
            "the upload's length is 5, not 6",
        ),
    );
    talk.kept("id", b"abc");
    talk.says(&patch("id", 3, "de"), &completed(5));
    assert_eq!(server.read(&server.files()[0]), b"abcde");
}

/// A client that did not see the answer to its last PATCH sends it again: nothing is stored twice.
#[test]
fn a_patch_of_nothing_at_the_end_of_a_complete_upload_goes_well() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 3"), &created("id", 0));
    talk.says(&patch("id", 0, "abc"), &completed(3));
    talk.says(&patch("id", 3, ""), &completed(3));
    talk.says(
        &patch("id", 0, "abc"),
        &refused(
            "409 Conflict",
            "connection: close\nupload-offset: 3",
            "offset_mismatch",
            "offset 0 is not the kept 3",
        ),
    );
    assert_eq!(server.files().len(), 1);
}

/// What says in chunks that it goes on behind the end is not told that its bytes were kept.
#[test]
fn bytes_behind_the_end_of_a_complete_upload_are_refused_in_chunks_too() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 3"), &created("id", 0));
    talk.says(&patch("id", 0, "abc"), &completed(3));
    let fields = "Upload-Offset: 3\nContent-Type: application/offset+octet-stream\nTransfer-Encoding: chunked";
    let head = talk.bytes(&request("PATCH /files/{id}", fields, ""));
    let sent = |chunks: &str| server.send(&[&head, chunks.as_bytes()].concat());
    let reply = sent("2\r\nde\r\n0\r\n\r\n");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["code"], "length_mismatch");
    let reply = sent("0\r\n\r\n");
    let offset = reply.header("upload-offset");
    assert_eq!((reply.status, offset), (204, Some("3")));
}

/// "OPTIONS": it tells the version, what there is besides the core and how large an upload may be, whatever version it
/// says itself.
#[test]
fn options_tells_versions_extensions_algorithms_and_the_largest_size() {
    let server = Server::start(&["--max-upload-size", "1MB", "--max-file-size", "900kB"]);
    let answer = |allow: &str| {
        format!(
            "HTTP/1.1 204 No Content
             allow: {allow}
             tus-resumable: 1.0.0
             tus-version: 1.0.0
             tus-extension: creation,creation-with-upload,creation-defer-length,checksum,checksum-trailer,termination,concatenation,concatenation-unfinished,expiration
             tus-checksum-algorithm: sha1,md5,sha256,crc32
             tus-max-size: 900000
             upload-limit: max-size=900000
             accept-patch: application/partial-upload, application/offset+octet-stream"
        )
    };
    let begin = answer("POST, PUT, OPTIONS");
    let mut talk = Talk::with(&server);
    for version in ["X: y", "Tus-Resumable: 1.0.0", "Tus-Resumable: 9"] {
        let ask = format!("OPTIONS /files/ HTTP/1.1\nHost: a\n{version}\n\n");
        talk.says(&ask, &begin);
        talk.says(&ask.replace("/files/", "/files"), &begin);
        let named = ask.replace("/files/", "/files/00112233445566778899aabbccddeeff");
        talk.says(&named, &answer("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"));
    }
}

/// "X-HTTP-Method-Override": it MUST replace the method.
#[test]
fn a_post_stands_for_the_method_that_it_names() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let over = |method: &str, line: &str, fields: &str, body: &str| {
        let fields = format!("X-HTTP-Method-Override: {method}\n{fields}");
        request(&format!("POST {line}"), &fields, body)
    };
    let bytes = "Content-Type: application/offset+octet-stream\nContent-Length: 3\n";
    talk.says(&post("Upload-Length: 6"), &created("id", 0));
    let at = |offset: u64| format!("{bytes}Upload-Offset: {offset}");
    talk.says(&over("PATCH", "/files/{id}", &at(0), "abc"), &appended(3));
    talk.says(
        &over("HEAD", "/files/{id}", "", ""),
        &told("upload-offset: 3\nupload-length: 6\nupload-complete: ?0\nupload-expires: {time}"),
    );
    let options = over("OPTIONS", "/files/", "", "");
    let options = server.send(&talk.bytes(&options));
    assert_eq!(options.header("tus-version"), Some("1.0.0"));
    talk.says(&over("PATCH", "/files/{id}", &at(3), "def"), &completed(6));
    assert_eq!(server.read(&server.files()[0]), b"abcdef");
    talk.says(
        &over("DELETE", "/files/{id}", "", ""),
        "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\ncache-control: no-store",
    );
    assert!(server.files().is_empty());
    for other in ["PUT", "GET", "patch", ""] {
        talk.says(
            &over(other, "/files/", "Upload-Length: 1", ""),
            &refused(
                "400 Bad Request",
                "",
                "bad_request",
                "the request is malformed: its X-HTTP-Method-Override is none of PATCH, DELETE, HEAD, OPTIONS and POST",
            ),
        );
    }
    assert!(server.under_way().is_empty(), "and nothing was begun");
}

/// A whole upload goes over one connection: nothing on the way closes it.
#[test]
fn post_patch_and_head_share_a_connection() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let mut stream = server.connect();
    talk.says_on(&mut stream, &post("Upload-Length: 6"), &created("id", 0))
        .says_on(&mut stream, &patch("id", 0, "abc"), &appended(3))
        .says_on(
            &mut stream,
            &ask("HEAD", "id"),
            &told(
                "upload-offset: 3\nupload-length: 6\nupload-complete: ?0\nupload-expires: {time}",
            ),
        )
        .says_on(&mut stream, &patch("id", 3, "def"), &completed(6));
    let mut resumes = server.connect();
    talk.says_on(
        &mut resumes,
        &ask("HEAD", "id"),
        &told("upload-offset: 6\nupload-length: 6\nupload-complete: ?1"),
    )
    .says_on(
        &mut resumes,
        &post("Upload-Length: 0"),
        &completed_at_once("none"),
    );
}

/// The reply to the creation of an upload of no bytes.
fn completed_at_once(name: &str) -> String {
    created(name, 0).replace("upload-expires: {time}\n", "")
}
