//! "Creation", "Creation With Upload".

use std::io::Write;

use super::talk::{Talk, appended, ask, completed, created, patch, post, refused, request, told};
use crate::support::{Reply, Server, noise};

fn bad(words: &str) -> String {
    let words = format!("the request is malformed: {words}");
    refused("400 Bad Request", "", "bad_request", &words)
}

/// "Upload-Length", "Upload-Defer-Length": one of them, and a number or 1.
#[test]
fn a_creation_says_its_length_now_or_later() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    const ONE: &str = "it needs either Upload-Length or Upload-Defer-Length";
    const LENGTH: &str = "its Upload-Length is malformed";
    const DEFER: &str = "its Upload-Defer-Length is something else than 1";
    for (fields, words) in [
        ("X: y", ONE),
        ("Upload-Length: 5\nUpload-Defer-Length: 1", ONE),
        ("Upload-Length: -5", LENGTH),
        ("Upload-Length: +5", LENGTH),
        ("Upload-Length: five", LENGTH),
        ("Upload-Length:", LENGTH),
        ("Upload-Length: 5\nUpload-Length: 5", LENGTH),
        ("Upload-Length: 18446744073709551616", LENGTH),
        ("Upload-Defer-Length: 0", DEFER),
        ("Upload-Defer-Length: 2", DEFER),
        ("Upload-Defer-Length:", DEFER),
    ] {
        talk.says(&post(fields), &bad(words));
    }
    assert!(server.under_way().is_empty());
    talk.says(&post("Upload-Length: 5"), &created("a", 0));
    talk.says(&post("Upload-Defer-Length: 1"), &created("b", 0));
    // Some clients leave out the slash at the end.
    let bare = post("Upload-Length: 5").replace("/files/", "/files");
    talk.says(&bare, &created("c", 0));
    talk.says(
        &post("Upload-Length: 5").replace("/files/", "/files/x"),
        &refused(
            "405 Method Not Allowed",
            "allow: GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
            "method_not_allowed",
            "this path does not take that method; it takes GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        ),
    );
}

/// "Upload-Length" of 0: complete at once.
#[test]
fn an_upload_of_no_bytes_is_complete_at_once() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let begin = post("Upload-Length: 0\nUpload-Metadata: filename ZW1wdHk=");
    let complete = created("id", 0).replace("upload-expires: {time}\n", "");
    talk.says(&begin, &complete).stored(&[("empty", b"")]);
    talk.says(
        &ask("HEAD", "id"),
        &told(
            "upload-offset: 0\nupload-length: 0\nupload-complete: ?1\nupload-metadata: filename ZW1wdHk=",
        ),
    );
    let record = talk.record("id");
    assert_eq!(
        (&record["state"], &record["length"], &record["offset"]),
        (&"done".into(), &0.into(), &0.into())
    );
}

/// A length above the largest size MUST be 413, before anything is begun; in the place of 100 too.
#[test]
fn an_upload_that_would_be_too_large_is_refused_by_its_length() {
    let server = Server::start(&["--max-upload-size", "10", "--max-file-size", "8"]);
    let mut talk = Talk::with(&server);
    talk.says(
        &post("Upload-Length: 11"),
        &refused(
            "413 Payload Too Large",
            "upload-limit: max-size=10",
            "upload_too_large",
            "the upload is larger than the 10 bytes taken here",
        ),
    );
    let too_large = refused(
        "413 Payload Too Large",
        "",
        "file_too_large",
        "the file is larger than the 8 bytes taken here",
    );
    talk.says(&post("Upload-Length: 9"), &too_large);
    assert!(server.under_way().is_empty());
    talk.says(&post("Upload-Defer-Length: 1"), &created("id", 0));
    let patch =
        patch("id", 0, "").replace("Content-Length: 0", "Upload-Length: 11\nContent-Length: 4");
    let patch = patch.replace("Host: a", "Host: a\nExpect: 100-continue");
    talk.says(
        &patch,
        &refused(
            "413 Payload Too Large",
            "connection: close\nupload-limit: max-size=10\nupload-offset: 0\nupload-expires: {time}",
            "upload_too_large",
            "the upload is larger than the 10 bytes taken here",
        ),
    );
}

/// "Upload-Defer-Length": the length comes with a later PATCH and never changes. TRAPS, "Deferred length ends by an empty
/// PATCH".
#[test]
fn a_deferred_length_is_said_once_and_ends_the_upload() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Defer-Length: 1"), &created("id", 0));
    talk.says(&patch("id", 0, "hello"), &appended(5));
    let says = |length: &str, offset: u64, body: &str| {
        patch("id", offset, body).replace(
            "Upload-Offset",
            &format!("Upload-Length: {length}\nUpload-Offset"),
        )
    };
    let refusal = |given: &str| {
        let words = format!("the upload's length is 8, not {given}");
        let fields = "connection: close\nupload-offset: 6\nupload-expires: {time}";
        refused("400 Bad Request", fields, "length_mismatch", &words)
    };
    talk.says(&says("8", 5, " "), &appended(6));
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 6\nupload-length: 8\nupload-complete: ?0\nupload-expires: {time}"),
    );
    for other in ["7", "9"] {
        talk.says(&says(other, 6, "x"), &refusal(other));
    }
    talk.says(&says("8", 6, "me"), &completed(8));
    talk.says(&post("Upload-Defer-Length: 1"), &created("empty", 0));
    let empty = says("0", 0, "").replace("{id}", "{empty}");
    talk.says(&empty, &completed(0));
    let mut found: Vec<_> = server
        .files()
        .iter()
        .map(|name| server.read(name))
        .collect();
    found.sort();
    assert_eq!(found, [&b""[..], b"hello me"]);
}

/// A length below what is kept already cannot be meant.
#[test]
fn a_deferred_length_below_the_offset_is_refused() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Defer-Length: 1"), &created("id", 0));
    talk.says(&patch("id", 0, "hello"), &appended(5));
    let short = patch("id", 5, "").replace("Upload-Offset", "Upload-Length: 4\nUpload-Offset");
    let mut stream = server.connect();
    stream.write_all(&talk.bytes(&short)).unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!(
        (reply.status, reply.header("upload-offset")),
        (400, Some("5")),
        "{reply:?}"
    );
    let whole = short.replace("Upload-Length: 4", "Upload-Length: 5");
    talk.says(&whole, &completed(5));
}

/// "Upload-Metadata": HEAD MUST return the value as the client gave it, to the byte.
#[test]
fn metadata_comes_back_as_it_was_given() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for (at, given) in [
        "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
        "z eg==, a YQ==,m bQ==",
        "empty ,key",
        "name 5paZ55CG",
        // tuspy sends it with nothing in it.
        "",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("id{at}");
        talk.says(
            &post(&format!("Upload-Length: 3\nUpload-Metadata: {given}")),
            &created(&name, 0),
        );
        let line = format!("upload-metadata: {given}");
        talk.says(
            &ask("HEAD", &name),
            &told(&format!(
                "upload-offset: 0\nupload-length: 3\nupload-complete: ?0\nupload-expires: {{time}}\n{line}"
            )),
        );
    }
}

/// "Upload-Metadata": keys are unique, not empty, without spaces and commas; values are Base64.
#[test]
fn metadata_with_two_readings_is_refused() {
    let server = Server::start(&["--max-metadata", "20"]);
    let mut talk = Talk::with(&server);
    const MALFORMED: &str = "its Upload-Metadata is malformed";
    for (given, words) in [
        ("a YQ==,a Yg==", "its Upload-Metadata has a key twice"),
        ("a YQ==,", MALFORMED),
        (",a YQ==", MALFORMED),
        ("a YQ== x", MALFORMED),
        ("a !!!!", MALFORMED),
        ("a Y", MALFORMED),
        ("a YQ==\nUpload-Metadata: b Yg==", MALFORMED),
    ] {
        talk.says(
            &post(&format!("Upload-Length: 3\nUpload-Metadata: {given}")),
            &bad(words),
        );
    }
    let long = format!("Upload-Length: 3\nUpload-Metadata: a {}", "YWFh".repeat(5));
    talk.says(
        &post(&long),
        &refused(
            "413 Payload Too Large",
            "",
            "limit_exceeded",
            "the upload has more bytes in Upload-Metadata than the limit of 20",
        ),
    );
    assert!(server.under_way().is_empty());
}

/// What the client says of a file names it, and feeds limits and types, as in a form; all else are fields.
#[test]
fn metadata_names_the_file_and_fills_the_records_fields() {
    let args = [
        "--name",
        "{form.id}-{filename}",
        "--allow-type",
        "image/png",
    ];
    let server = Server::start(&args);
    let mut talk = Talk::with(&server);
    let about = "id MTI=,filename cGFlbGxhLnBuZw==,filetype aW1hZ2UvcG5n,chef 5paZ55CG";
    talk.says(
        &post(&format!(
            "Upload-Length: 8\nUpload-Metadata: {about}\nX-Progress-ID: p"
        )),
        &created("id", 0),
    );
    let record = talk.record("id");
    assert_eq!(record["protocol"], "tus");
    assert_eq!(record["progress_id"], "p");
    assert_eq!(record["fields"]["id"], "12");
    assert_eq!(record["fields"]["chef"], "料理");
    assert_eq!(record["files"][0]["name"], "paella.png");
    assert_eq!(record["files"][0]["type"], "image/png");
    let png = b"\x89PNG\r\n\x1a\n";
    let head = "PATCH /files/{id} HTTP/1.1\nHost: a\nTus-Resumable: 1.0.0\nContent-Type: application/offset+octet-stream\nUpload-Offset: 0\nContent-Length: 8\n\n";
    let bytes = [talk.bytes(head), png.to_vec()].concat();
    let reply = server.send(&bytes);
    assert_eq!(reply.status, 204, "{reply:?}");
    talk.stored(&[("12-paella.png", png)]);

    talk.says(
        &post(&format!("Upload-Length: 8\nUpload-Metadata: {about}")),
        &created("other", 0),
    );
    talk.says(
        &patch("other", 0, "no image"),
        &refused(
            "415 Unsupported Media Type",
            "connection: close",
            "type_not_allowed",
            "the file is text/plain; taken here: image/png",
        ),
    );
    assert_eq!(server.files().len(), 1);
}

/// A name never leads out of the folder.
#[test]
fn a_name_in_metadata_never_leads_out_of_the_folder() {
    use base64::Engine as _;
    let server = Server::start(&[]);
    for hostile in [
        "../../etc/passwd",
        "a/../../b",
        "\0",
        ".dumbwaiter/records.redb",
        "a\r\nb",
    ] {
        let name = base64::engine::general_purpose::STANDARD.encode(hostile);
        let mut talk = Talk::with(&server);
        let fields = format!("Upload-Length: 1\nUpload-Metadata: filename {name}");
        talk.says(&post(&fields), &created("id", 0));
        talk.says(&patch("id", 0, "x"), &completed(1));
        let record = talk.record("id");
        let name = record["files"][0]["name"].as_str().unwrap();
        assert_eq!(server.read(name), b"x", "{hostile:?} became {name:?}");
        assert!(!name.contains(['/', '\\', '\0', '\r']) && !name.starts_with('.'));
    }
}

/// "Creation With Upload": the reply MUST tell the offset after the bytes that came.
#[test]
fn a_post_may_bring_all_bytes_or_the_first_ones() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let bytes = |fields: &str, body: &str| {
        let kind = "Content-Type: application/offset+octet-stream";
        let fields = format!("{kind}\nContent-Length: {}\n{fields}", body.len());
        request("POST /files/", &fields, body)
    };
    let whole = created("whole", 5).replace("upload-expires: {time}\n", "");
    talk.says(&bytes("Upload-Length: 5", "hello"), &whole);
    assert_eq!(server.read(&server.files()[0]), b"hello");
    talk.says(&bytes("Upload-Length: 11", "hello"), &created("first", 5));
    talk.says(&patch("first", 5, " world"), &completed(11));
    talk.says(
        &bytes("Upload-Defer-Length: 1", "hello"),
        &created("open", 5),
    );
    // Some send the type with every POST.
    let none = bytes("Upload-Length: 5", "");
    talk.says(&none, &created("none", 0));
    for (request, status, fields, code, words) in [
        (
            bytes("Upload-Length: 5", "hello").replace("offset+octet", "octet"),
            "415 Unsupported Media Type",
            "connection: close",
            "wrong_content_type",
            "the content type must be application/offset+octet-stream",
        ),
        (
            bytes("Upload-Length: 4", "hello"),
            "400 Bad Request",
            "connection: close",
            "length_mismatch",
            "the upload's length is 4, not 5",
        ),
    ] {
        talk.says(&request, &refused(status, fields, code, words));
    }
    assert_eq!(server.under_way().len(), 2, "open and none");
}

/// Also when the POST's body has no length of its own.
#[test]
fn a_post_may_bring_bytes_in_chunks() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let chunked = |length: &str, chunks: &str| {
        let fields = format!(
            "Content-Type: application/offset+octet-stream\nTransfer-Encoding: chunked\nUpload-Length: {length}"
        );
        let head = talk_bytes(&request("POST /files/", &fields, ""));
        [head, chunks.as_bytes().to_vec()].concat()
    };
    let send = |bytes: Vec<u8>| {
        let mut stream = server.connect();
        stream.write_all(&bytes).unwrap();
        Reply::read(&mut stream)
    };
    let reply = send(chunked("5", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"));
    assert_eq!(
        (reply.status, reply.header("upload-offset")),
        (201, Some("5"))
    );
    assert_eq!(server.read(&server.files()[0]), b"hello");
    // What goes beyond the length is refused; what fits may stay, to be gone on with.
    let reply = send(chunked("4", "5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.json()["code"], "length_mismatch");
    assert_eq!(server.files().len(), 1);
    talk.stored(&[(&server.files()[0], b"hello")]);
}

fn talk_bytes(head: &str) -> Vec<u8> {
    let head = head.trim_end().replace('\n', "\r\n");
    format!("{head}\r\n\r\n").into_bytes()
}

/// "Creation With Upload": `Expect: 100-continue` is answered by the refusal, or by 100 when the bytes may come.
#[test]
fn who_waits_for_100_continue_gets_it_or_the_refusal() {
    let server = Server::start(&["--max-upload-size", "10"]);
    let begin = |length: &str| {
        let fields = format!(
            "Content-Type: application/offset+octet-stream\nExpect: 100-continue\nContent-Length: 5\nUpload-Length: {length}"
        );
        talk_bytes(&request("POST /files/", &fields, ""))
    };
    let mut refused = server.connect();
    refused.write_all(&begin("11")).unwrap();
    assert_eq!(Reply::read(&mut refused).status, 413);
    let mut taken = server.connect();
    taken.write_all(&begin("5")).unwrap();
    assert_eq!(Reply::read_head(&mut taken).status, 100);
    taken.write_all(b"hello").unwrap();
    assert_eq!(Reply::read(&mut taken).status, 201);
    assert_eq!(server.read(&server.files()[0]), b"hello");
}

/// Several MiB in PATCHes of odd sizes, then compared.
#[test]
fn a_large_upload_in_odd_pieces_is_stored_to_the_byte() {
    let server = Server::start(&["--digest", "sha256"]);
    let content = noise(5_000_003);
    let mut talk = Talk::with(&server);
    let fields = format!("Upload-Length: {}", content.len());
    talk.says(&post(&fields), &created("id", 0));
    let mut offset = 0;
    for piece in content.chunks(1_234_567) {
        let fields = format!(
            "Content-Type: application/offset+octet-stream\nUpload-Offset: {offset}\nContent-Length: {}",
            piece.len()
        );
        let head = talk.bytes(&request("PATCH /files/{id}", &fields, ""));
        let reply = server.send(&[head, piece.to_vec()].concat());
        offset += piece.len();
        assert_eq!(reply.status, 204, "{reply:?}");
        assert_eq!(reply.header("upload-offset"), Some(&*offset.to_string()));
    }
    assert!(server.read(&server.files()[0]) == content);
    let record = talk.record("id");
    let digest = record["files"][0]["digest"].as_str().unwrap();
    assert_eq!(digest, format!("sha256:{}", sha256(&content)));
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(content);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
