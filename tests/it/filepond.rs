//! FilePond's server at `/filepond`, as the library speaks to it.

use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;

use crate::support::talk::Talk;
use crate::support::{Reply, Server, eventually, form, noise, part, post, write_for_us_alone};

const METADATA: &[u8] = br#"{"dish":"paella"}"#;

/// Begins a file that is to come in chunks; its id.
fn begin(server: &Server, length: usize) -> String {
    let body = form(&[part("filepond", None, METADATA)]);
    let reply = server.post("/filepond", &format!("Upload-Length: {length}\r\n"), &body);
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.text().to_owned()
}

fn head(id: &str, offset: usize, length: usize, brings: usize) -> String {
    format!(
        "PATCH /filepond?patch={id} HTTP/1.1\r\nHost: a\r\nContent-Type: application/offset+octet-stream\r\n\
         Upload-Offset: {offset}\r\nUpload-Length: {length}\r\nUpload-Name: paella.jpg\r\n\
         Content-Length: {brings}\r\n\r\n"
    )
}

fn patch(server: &Server, id: &str, offset: usize, length: usize, bytes: &[u8]) -> Reply {
    let mut request = head(id, offset, length, bytes.len()).into_bytes();
    request.extend(bytes);
    server.send(&request)
}

/// A chunk of which only some bytes come, and which is seen to have come so far.
fn hang(server: &Server, id: &str, offset: usize, all: &[u8], come: usize) -> TcpStream {
    let mut line = server.connect();
    let head = head(id, offset, all.len(), all.len() - offset);
    line.write_all(head.as_bytes()).unwrap();
    line.write_all(&all[offset..offset + come]).unwrap();
    let received = offset + come;
    eventually(
        || record(server, id),
        |record| record["received"] == received,
    );
    line
}

fn look(server: &Server, id: &str) -> Reply {
    let mut line = server.connect();
    let request = format!("HEAD /filepond?patch={id} HTTP/1.1\r\nHost: a\r\n\r\n");
    line.write_all(request.as_bytes()).unwrap();
    Reply::read_head(&mut line)
}

fn revert(server: &Server, body: &str) -> Reply {
    let length = body.len();
    let request =
        format!("DELETE /filepond HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
    server.send(request.as_bytes())
}

fn record(server: &Server, id: &str) -> Value {
    server.get(&format!("/uploads/{id}")).json()
}

fn offset(reply: &Reply) -> Option<usize> {
    let offset = reply.header("upload-offset");
    offset.map(|offset| offset.parse().unwrap())
}

/// That a reply is a refusal in one line of text, which says so.
fn refuses(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"), "{reply:?}");
    assert_eq!(reply.text().lines().count(), 1, "{reply:?}");
    assert!(reply.text().contains(words), "{words:?}: {reply:?}");
}

#[test]
fn a_form_is_stored_and_answered_with_its_bare_id() {
    let server = Server::start(&[]);
    let content = noise(300_000);
    let body = form(&[
        part("filepond", None, METADATA),
        part("filepond", Some("paella.jpg"), &content),
    ]);
    let reply = server.post("/filepond?X-Progress-ID=7", "", &body);
    assert_eq!(reply.status, 201, "{reply:?}");
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"));
    let record = record(&server, reply.text());
    assert_eq!(record["protocol"], "filepond");
    assert_eq!(record["state"], "done");
    assert_eq!(record["progress_id"], "7");
    assert_eq!(record["fields"]["filepond"], r#"{"dish":"paella"}"#);
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn a_file_comes_in_chunks_and_is_named_by_the_first() {
    let server = Server::start(&[]);
    let id = begin(&server, 11);
    let mut talk = Talk::with(&server);
    talk.knows("id", &id)
        .says(
            "PATCH /filepond?patch={id} HTTP/1.1
             Host: a
             Content-Type: application/offset+octet-stream
             Upload-Offset: 0
             Upload-Length: 11
             Upload-Name: dish-料理.txt
             Content-Length: 6

             hello,",
            "HTTP/1.1 204 No Content
             upload-offset: 6
             upload-length: 11
             cache-control: no-store",
        )
        .kept("id", b"hello,")
        .stored(&[])
        .says(
            "HEAD /filepond?patch={id} HTTP/1.1
             Host: a

             ",
            "HTTP/1.1 204 No Content
             upload-offset: 6
             upload-length: 11
             cache-control: no-store",
        )
        // The same by the path.
        .says(
            "PATCH /filepond/{id} HTTP/1.1
             Host: a
             Content-Type: application/offset+octet-stream
             Upload-Offset: 6
             Upload-Length: 11
             Upload-Name: another name
             Content-Length: 5

             world",
            "HTTP/1.1 204 No Content
             upload-offset: 11
             upload-length: 11
             cache-control: no-store",
        )
        .stored(&[("dish-料理.txt", b"hello,world")]);
    let record = record(&server, &id);
    assert_eq!(record["state"], "done");
    assert_eq!(record["protocol"], "filepond");
    assert_eq!(record["length"], 11);
    assert_eq!(record["fields"]["filepond"], r#"{"dish":"paella"}"#);
    assert_eq!(record["files"][0]["name"], "dish-料理.txt");
}

#[test]
fn an_offset_is_told_where_a_chunk_begins_whatever_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &["--checkpoint-bytes", "64KiB"]);
    let content = noise(900_000);
    let id = begin(&server, content.len());
    assert_eq!(
        patch(&server, &id, 0, 900_000, &content[..300_000]).status,
        204
    );
    // FilePond takes each chunk that begins before the offset for sent.
    drop(hang(&server, &id, 300_000, &content, 250_000));
    let cut = eventually(
        || record(&server, &id),
        |record| record["state"] == "interrupted",
    );
    assert_eq!(cut["offset"], 300_000);
    assert_eq!(offset(&look(&server, &id)), Some(300_000));
    // And when the server is gone in the middle of one.
    let line = hang(&server, &id, 300_000, &content, 250_000);
    server.kill();
    drop(line);
    let server = Server::start_in(folder.path(), &[]);
    assert_eq!(offset(&look(&server, &id)), Some(300_000));
    let reply = patch(&server, &id, 300_000, 900_000, &content[300_000..600_000]);
    assert_eq!(offset(&reply), Some(600_000), "{reply:?}");
    let reply = patch(&server, &id, 600_000, 900_000, &content[600_000..]);
    assert_eq!(offset(&reply), Some(900_000), "{reply:?}");
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn a_chunk_whose_answer_was_lost_is_answered_again() {
    let server = Server::start(&[]);
    let content = noise(200_000);
    let id = begin(&server, content.len());
    let (one, two) = content.split_at(100_000);
    for _ in 0..2 {
        let reply = patch(&server, &id, 0, 200_000, one);
        assert_eq!((reply.status, offset(&reply)), (204, Some(100_000)));
    }
    for _ in 0..2 {
        let reply = patch(&server, &id, 100_000, 200_000, two);
        assert_eq!((reply.status, offset(&reply)), (204, Some(200_000)));
    }
    let reply = patch(&server, &id, 0, 200_000, one);
    assert_eq!((reply.status, offset(&reply)), (204, Some(200_000)));
    assert!(server.read("paella.jpg") == content);
    assert_eq!(server.files().len(), 1);
}

/// Of a file of whole chunks, and of an empty one, the last chunk has no bytes.
#[test]
fn an_empty_chunk_ends_a_file() {
    let server = Server::start(&[]);
    for length in [0, 100_000] {
        let content = noise(length);
        let id = begin(&server, length);
        if length > 0 {
            assert_eq!(patch(&server, &id, 0, length, &content).status, 204);
        }
        let reply = patch(&server, &id, length, length, b"");
        assert_eq!((reply.status, offset(&reply)), (204, Some(length)));
        let record = record(&server, &id);
        assert_eq!(record["state"], "done", "{record}");
        let name = record["files"][0]["name"].as_str().unwrap();
        assert!(name.starts_with("paella"), "{record}");
        assert!(server.read(name) == content);
    }
}

#[test]
fn a_chunk_that_comes_again_wins_over_a_line_that_hangs() {
    let server = Server::start(&[]);
    let content = noise(400_000);
    let id = begin(&server, content.len());
    let line = hang(&server, &id, 0, &content, 250_000);
    let reply = patch(&server, &id, 0, 400_000, &content);
    assert_eq!((reply.status, offset(&reply)), (204, Some(400_000)));
    drop(line);
    assert!(server.read("paella.jpg") == content);
}

#[test]
fn what_is_reverted_is_gone_finished_or_not() {
    let server = Server::start(&[]);
    let body = form(&[part("filepond", Some("whole"), b"x")]);
    let whole = server.post("/filepond", "", &body).text().to_owned();
    let chunked = begin(&server, 10);
    assert_eq!(patch(&server, &chunked, 0, 10, b"hello").status, 204);
    for id in [whole, chunked] {
        assert_eq!(revert(&server, &id).status, 204);
        refuses(&revert(&server, &id), 404, "nothing here");
        assert_eq!(look(&server, &id).status, 404);
    }
    assert_eq!(server.files(), [""; 0]);
    assert_eq!(server.under_way(), [""; 0]);
    // In the path, for those who can send no body.
    let id = begin(&server, 10);
    let request = format!("DELETE /filepond/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.send(request.as_bytes()).status, 204);
    for no_id in ["", "x", &"0".repeat(32), &"0".repeat(100_000), "\u{e4}"] {
        refuses(&revert(&server, no_id), 404, "nothing here");
    }
}

#[test]
fn a_stored_file_comes_back_under_its_name() {
    let server = Server::start(&[]);
    let body = form(&[part("filepond", Some("a b.jpg"), b"dish")]);
    let id = server.post("/filepond", "", &body).text().to_owned();
    for target in ["?load=", "?restore=", "/?load=", "/"] {
        let reply = server.get(&format!("/filepond{target}{id}"));
        assert_eq!((reply.status, reply.text()), (200, "dish"), "{target}");
        let disposition = reply.header("content-disposition").unwrap();
        assert!(!disposition.contains("filename*"), "{disposition}");
        assert!(
            disposition.contains("filename=\"a b.jpg\""),
            "{disposition}"
        );
    }
    refuses(&server.get("/filepond?fetch=http://b/c"), 400, "fetched");
    let unfinished = begin(&server, 10);
    let reply = server.get(&format!("/filepond?restore={unfinished}"));
    assert_eq!(reply.status, 404);
    let closed = Server::start(&["--downloads", "off"]);
    let id = closed.post("/filepond", "", &body).text().to_owned();
    let reply = closed.get(&format!("/filepond?load={id}"));
    refuses(&reply, 404, "nothing here");
}

#[test]
fn a_refusal_is_a_line_of_text() {
    let server = Server::start(&["--max-upload-size", "1000"]);
    let form_of = |length: &str, parts: &[Vec<u8>]| {
        let header = format!("Upload-Length: {length}\r\n");
        server.post("/filepond", &header, &form(parts))
    };
    refuses(&form_of("1001", &[]), 413, "1");
    refuses(&form_of("-1", &[]), 400, "Upload-Length");
    let file = part("filepond", Some("x"), b"x");
    refuses(&form_of("1", &[file]), 400, "in chunks");
    let big = part("filepond", None, &vec![b'x'; 1_200_000]);
    refuses(&form_of("1", &[big]), 413, "bytes in one field");
    let id = begin(&server, 10);
    assert_eq!(patch(&server, &id, 0, 10, b"hello").status, 204);
    let reply = patch(&server, &id, 7, 10, b"abc");
    refuses(&reply, 409, "offset 7");
    assert_eq!(offset(&reply), Some(5));
    refuses(&patch(&server, &id, 5, 11, b"abc"), 400, "10");
    refuses(&patch(&server, &id, 5, 10, b"too many"), 400, "10");
    let nobody = "0".repeat(32);
    refuses(&patch(&server, &nobody, 0, 1, b"x"), 404, "nothing here");
    let untyped = head(&id, 5, 10, 5).replace("application/offset+octet-stream", "text/plain");
    refuses(
        &server.send(format!("{untyped}world").as_bytes()),
        415,
        "application/offset+octet-stream",
    );
    let put = "PUT /filepond HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    refuses(&server.send(put.as_bytes()), 405, "");
    // All of it left the upload as it was.
    assert_eq!(patch(&server, &id, 5, 10, b"world").status, 204);
    assert_eq!(server.read("paella.jpg"), b"helloworld");
    // What is refused for want of a form has a record too, for whoever follows it.
    let reply = server.send(
        b"POST /filepond?X-Progress-ID=9 HTTP/1.1\r\nHost: a\r\nUpload-Length: 1\r\nContent-Length: 0\r\n\r\n",
    );
    refuses(&reply, 415, "");
    let report = server.get("/progress?X-Progress-ID=9");
    assert!(report.text().contains("error"), "{report:?}");
}

/// Before any byte of it is sent.
#[test]
fn a_file_that_is_too_large_is_refused_at_its_first_word() {
    let server = Server::start(&["--max-file-size", "1000"]);
    let first = |length: usize| {
        let header = format!("Upload-Length: {length}\r\nX-Progress-ID: 7\r\n");
        server.post("/filepond", &header, &form(&[]))
    };
    let reply = first(1001);
    refuses(&reply, 413, "the file is larger than the 1.0 kB taken here");
    let report = server.get("/progress?X-Progress-ID=7");
    assert!(report.text().contains("413"), "{report:?}");
    assert_eq!(first(1000).status, 201);
}

#[test]
fn who_may_not_upload_is_told_in_a_line_too() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_for_us_alone(&tokens, "secret-secret-secret\n");
    let server = Server::start(&["--token", tokens.to_str().unwrap()]);
    let body = form(&[part("filepond", Some("x"), b"x")]);
    let reply = server.post("/filepond", "", &body);
    refuses(&reply, 401, "");
    assert!(reply.header("www-authenticate").is_some(), "{reply:?}");
    assert_eq!(look(&server, &"0".repeat(32)).status, 401);
    let header = "Authorization: Bearer secret-secret-secret\r\n";
    assert_eq!(server.post("/filepond", header, &body).status, 201);
}

/// An upload of another way in is not this one's.
#[test]
fn chunks_go_to_its_own_uploads_alone() {
    let server = Server::start(&[]);
    let created = server.send(
        b"POST /files/ HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nContent-Length: 0\r\n\r\n",
    );
    let id = created
        .header("location")
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    refuses(&patch(&server, id, 0, 5, b"hello"), 404, "nothing here");
    assert_eq!(look(&server, id).status, 404);
}

#[test]
fn what_can_be_asked_is_told() {
    let server = Server::start(&[]);
    let request = "OPTIONS /filepond HTTP/1.1\r\nHost: a\r\n\r\n";
    let reply = server.send(request.as_bytes());
    assert_eq!(reply.status, 204);
    let allow = Some("GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    assert_eq!(reply.header("allow"), allow);
    let beside = server.send(&post("/filepondering", "", b""));
    assert_eq!(beside.status, 404);
}
