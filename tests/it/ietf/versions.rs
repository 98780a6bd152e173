//! The draft's versions: each of them from the first byte to the last, and all in which they differ.

use super::talk::{ALL, GONE, NEWEST, NONE, Talk, Version, not_found, refused};
use crate::support::talk::problem;
use crate::support::{Reply, Server};

/// Begun with some bytes, gone on with, asked, ended by the last byte, asked again.
#[test]
fn an_upload_goes_through_all_its_requests_in_every_version() {
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let name = "Content-Disposition: attachment; filename=dish.txt\nUpload-Length: 11";
        Talk::with(&server)
            .says(
                &version.create(name, false, "hel"),
                &version.created("id", 3),
            )
            .kept("id", b"hel")
            .says(&version.append("id", 3, false, "lo"), &version.appended(5))
            .kept("id", b"hello")
            .stored(&[])
            .says(&version.ask("HEAD", "id"), &version.told(5, Some(11)))
            .says(
                &version.append("id", 5, true, " world"),
                &version.completed("id", 11),
            )
            .stored(&[("dish.txt", b"hello world")])
            .has(&version.ask("HEAD", "id"), &version.ended(11));
        assert!(server.under_way().is_empty(), "{version:?}");
    }
}

/// The protocol's own words, written out once for the final version and once for the oldest.
#[test]
fn the_final_version_and_the_oldest_are_spoken_to_the_byte() {
    let server = Server::start(&[]);
    Talk::with(&server)
        .says(
            "POST /files/ HTTP/1.1
             Host: a
             Upload-Complete: ?0
             Upload-Length: 5
             Content-Length: 2

             he",
            "HTTP/1.1 201 Created
             location: /files/{id}
             upload-offset: 2
             upload-complete: ?0
             upload-limit: max-age={seconds}
             cache-control: no-store
             content-length: 0",
        )
        .says(
            "HEAD /files/{id} HTTP/1.1
             Host: a

             ",
            "HTTP/1.1 204 No Content
             upload-offset: 2
             upload-length: 5
             upload-complete: ?0
             upload-limit: max-age={seconds}
             cache-control: no-store",
        )
        .says(
            "PATCH /files/{id} HTTP/1.1
             Host: a
             Content-Type: application/partial-upload
             Content-Length: 2
             Upload-Offset: 2
             Upload-Complete: ?0

             ll",
            "HTTP/1.1 204 No Content
             upload-offset: 4
             upload-complete: ?0
             upload-limit: max-age={seconds}
             cache-control: no-store",
        )
        .says(
            "DELETE /files/{id} HTTP/1.1
             Host: a

             ",
            GONE,
        )
        .says(
            "POST /files/ HTTP/1.1
             Host: a
             Upload-Draft-Interop-Version: 3
             Upload-Incomplete: ?1
             Content-Length: 2

             he",
            "HTTP/1.1 201 Created
             location: /files/{old}
             upload-offset: 2
             upload-incomplete: ?1
             upload-limit: max-age={seconds}
             cache-control: no-store
             content-length: 0",
        )
        .says(
            "HEAD /files/{old} HTTP/1.1
             Host: a
             Upload-Draft-Interop-Version: 3

             ",
            "HTTP/1.1 204 No Content
             upload-offset: 2
             upload-incomplete: ?1
             upload-limit: max-age={seconds}
             cache-control: no-store",
        )
        .says(
            "PATCH /files/{old} HTTP/1.1
             Host: a
             Upload-Draft-Interop-Version: 3
             Content-Length: 3
             Upload-Offset: 2
             Upload-Incomplete: ?0

             llo",
            "HTTP/1.1 201 Created
             location: /files/{old}
             upload-offset: 5
             upload-incomplete: ?0
             content-type: application/json
             cache-control: no-store
             vary: Accept
             x-content-type-options: nosniff
             content-length: {length}

             {record}",
        );
    assert_eq!(server.read(&server.files()[0]), b"hello");
}

/// A version that nobody knows, or none that can be read, is served as the final one.
#[test]
fn an_unknown_version_is_served_as_the_final_one() {
    let server = Server::start(&[]);
    for said in [
        "2", "4", "10", "99", "-3", "3.0", "\"3\"", "three", "", "3, 5", "?1",
    ] {
        let other = |request: String| {
            let field = format!("Upload-Draft-Interop-Version: {said}\nHost: a");
            request.replace("Host: a", &field)
        };
        Talk::with(&server)
            .says(&other(NONE.create("", false, "he")), &NONE.created("id", 2))
            .says(&other(NONE.ask("HEAD", "id")), &NONE.told(2, None))
            .says(
                &other(NONE.append("id", 2, true, "y")),
                &NONE.completed("id", 3),
            );
    }
}

/// `Upload-Incomplete` says the opposite of `Upload-Complete`, and each version reads its own alone.
#[test]
fn each_version_reads_the_field_that_it_has() {
    let server = Server::start(&[]);
    const WANTED: &str = "the request is malformed: it does not say its Upload-Complete";
    let refusal = refused(
        "400 Bad Request",
        "connection: close",
        "bad_request",
        WANTED,
    );
    for version in [&ALL[..], &[NONE]].concat() {
        let other = match version {
            Version(Some(3)) => "Upload-Complete: ?0",
            _ => "Upload-Incomplete: ?1",
        };
        let request = version.request("POST /files/", other, "he");
        Talk::with(&server).says(&request, &refusal);
    }
    assert!(server.under_way().is_empty());
}

/// "Upload Append": the content type is wanted since version 6; before, any is taken.
#[test]
fn the_content_type_of_an_append_is_wanted_since_it_has_a_name() {
    let server = Server::start(&[]);
    let refusal = refused(
        "415 Unsupported Media Type",
        "connection: close",
        "wrong_content_type",
        "the content type must be application/partial-upload",
    );
    for version in [&ALL[..], &[NONE]].concat() {
        let mut talk = Talk::with(&server);
        talk.says(&version.create("", false, "he"), &version.created("id", 2));
        for kind in [
            "X-Kind: none",
            "Content-Type: application/octet-stream",
            "Content-Type: image/jpeg",
        ] {
            let other = version
                .append("id", 2, false, "")
                .replace(version.kind(), kind);
            match version.0 {
                Some(..6) => talk.says(&other, &version.appended(2)),
                // Of no bytes, so that there is nothing left to read.
                _ => talk.says(&other, &refusal.replace("connection: close\n", "")),
            };
        }
        talk.says(
            &version.append("id", 2, true, "y"),
            &version.completed("id", 3),
        );
    }
}

/// The last request again, whose answer was lost: the answer again, and until version 8 a problem that says that nothing
/// can be appended any more ("Completed Upload").
#[test]
fn the_last_request_again_gets_its_answer_again() {
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("", false, "hello"),
            &version.created("id", 5),
        );
        let last = version.append("id", 5, true, " world");
        let again = match version.0 {
            Some(..=8) => problem(
                "400 Bad Request",
                &format!(
                    "connection: close\nupload-offset: 11\n{}",
                    version.is_complete(true)
                ),
                (
                    "https://iana.org/assignments/http-problem-types#completed-upload",
                    "Completed upload",
                ),
                "completed_upload",
                "the upload is complete and takes no more bytes",
                "",
            ),
            _ => version.completed("id", 11),
        };
        talk.says(&last, &version.completed("id", 11));
        talk.says(&last, &again).says(&last, &again);
        assert_eq!(server.files().len(), 1, "{version:?}");
        assert_eq!(server.read(&server.files()[0]), b"hello world");
    }
}

/// The record is forgotten with the server that has it; what the last request was answered is not.
#[test]
fn the_next_server_gives_the_answer_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let last = NONE.append("id", 2, true, "llo");
    let server = Server::start_in(&dir, &["--digest", "sha256"]);
    let mut talk = Talk::with(&server);
    let fields = "Content-Disposition: inline; filename=dish.txt\nContent-Type: text/plain";
    talk.says(&NONE.create(fields, false, "he"), &NONE.created("id", 2));
    let (id, first) = (talk.name("id").to_owned(), talk.answer(&last).json());
    drop(server);
    let server = Server::start_in(&dir, &[]);
    let mut talk = Talk::with(&server);
    let reply = talk.knows("id", &id).answer(&last);
    assert_eq!(
        (reply.status, reply.header("upload-complete")),
        (201, Some("?1"))
    );
    assert_eq!(reply.header("location"), Some(&*format!("/files/{id}")));
    let again = reply.json();
    for told in [
        "id", "watch", "state", "protocol", "length", "received", "offset", "files", "url",
    ] {
        assert_eq!(again[told], first[told], "{told}");
    }
    assert_eq!(server.files(), ["dish.txt"]);
}

/// tus-js-client says with each piece that more is to come, with the last one too, or nothing at the end of a stream, and
/// goes by the length. In the versions that it speaks that ends an upload, and a word to that effect may follow.
#[test]
fn in_versions_5_and_6_an_upload_ends_by_its_length() {
    for version in [Version(Some(5)), Version(Some(6))] {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("Upload-Length: 5", false, ""),
            &version.created("id", 0),
        );
        talk.says(&version.append("id", 0, false, "he"), &version.appended(2));
        talk.says(
            &version.append("id", 2, false, "llo"),
            &version.completed("id", 5),
        );
        talk.says(
            &version.append("id", 5, true, ""),
            &version.completed("id", 5),
        );
        let empty = version.create("Upload-Length: 0", false, "");
        talk.says(&empty, &version.completed("empty", 0));
        talk.says(
            &version.create("Upload-Length: 5", false, "hello"),
            &version.completed("at once", 5),
        );
        talk.says(
            &version.create("Upload-Defer-Length: 1", false, "he"),
            &version.created("later", 2),
        );
        let unsaid = |fields: &str| {
            let fields = format!("{}\nUpload-Offset: 2\n{fields}", version.kind());
            version.request("PATCH /files/{later}", &fields, "")
        };
        assert_eq!(talk.answer(&unsaid("")).status, 400);
        talk.says(&unsaid("Upload-Length: 2"), &version.completed("later", 2));
        assert_eq!((server.files().len(), server.under_way()), (4, vec![]));
    }
    // With all others the length alone ends nothing.
    for version in [Version(Some(3)), Version(Some(7)), NONE] {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        talk.says(
            &version.create("Upload-Length: 5", false, ""),
            &version.created("id", 0),
        );
        talk.says(
            &version.append("id", 0, false, "hello"),
            &version.appended(5),
        );
        talk.says(&version.ask("HEAD", "id"), &version.told(5, Some(5)));
        assert!(server.files().is_empty());
    }
}

/// One upload, each request of which speaks another version: it is one and the same.
#[test]
fn versions_and_tus_may_take_turns_in_one_upload() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(
        &NONE.create("Upload-Length: 7", false, ""),
        &NONE.created("id", 0),
    );
    for (at, version) in (0..).zip(ALL) {
        talk.says(
            &version.append("id", at, false, "x"),
            &version.appended(at + 1),
        );
        talk.says(&NEWEST.ask("HEAD", "id"), &NEWEST.told(at + 1, Some(7)));
    }
    let tus = talk.bytes("HEAD /files/{id} HTTP/1.1\nHost: a\nTus-Resumable: 1.0.0\n\n");
    let mut line = server.connect();
    std::io::Write::write_all(&mut line, &tus).unwrap();
    let reply = Reply::read_head(&mut line);
    assert_eq!(reply.header("tus-resumable"), Some("1.0.0"));
    assert_eq!(reply.header("upload-offset"), Some("6"));
    talk.says(&NONE.append("id", 6, true, "!"), &NONE.completed("id", 7));
    assert_eq!(server.read(&server.files()[0]), b"xxxxxx!");
    talk.says(&NONE.ask("DELETE", "id"), GONE);
    talk.says(&NONE.ask("DELETE", "id"), &not_found(""));
}
