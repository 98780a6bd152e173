//! "Concatenation", of finished and unfinished uploads.

use super::talk::{Talk, appended, ask, created, patch, post, refused, request, told};
use crate::support::{Server, eventually};

/// The reply to the creation of an upload that is put together at once.
fn joined(name: &str, offset: u64) -> String {
    created(name, offset).replace("upload-expires: {time}\n", "")
}

fn partial(talk: &mut Talk<'_>, name: &str, body: &str) {
    let length = format!("Upload-Length: {}\nUpload-Concat: partial", body.len());
    talk.says(&post(&length), &created(name, 0));
    talk.says(&patch(name, 0, body), &appended(body.len() as u64));
}

/// Two parts, then the whole: its length is their sum, its metadata is its own, and the parts may be used again.
#[test]
fn partial_uploads_are_put_together_in_the_order_that_is_said() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let length = "Upload-Length: 5\nUpload-Concat: partial\nUpload-Metadata: filename cGFydA==";
    talk.says(&post(length), &created("a", 0));
    talk.says(&patch("a", 0, "hello"), &appended(5));
    partial(&mut talk, "b", " world");
    talk.says(
        &ask("HEAD", "a"),
        &told(
            "upload-offset: 5\nupload-length: 5\nupload-complete: ?1\nupload-concat: partial\n\
             upload-metadata: filename cGFydA==\nupload-expires: {time}",
        ),
    )
    .stored(&[]);
    let parts = "final;/files/{a} http://127.0.0.1/files/{b}";
    talk.says(
        &post(&format!("Upload-Concat: {parts}\nUpload-Metadata: filename d2hvbGU=")),
        &joined("whole", 11),
    )
    .stored(&[("whole", b"hello world")])
    .says(
        &ask("HEAD", "whole"),
        &told(&format!(
            "upload-offset: 11\nupload-length: 11\nupload-complete: ?1\nupload-concat: {parts}\nupload-metadata: filename d2hvbGU="
        )),
    )
    .says(
        &post("Upload-Concat: final;/files/{b} /files/{a} /files/{b}\nUpload-Metadata: filename b3RoZXI="),
        &joined("other", 17),
    )
    .stored(&[("other", b" worldhello world"), ("whole", b"hello world")]);
}

/// PATCH on a final upload MUST be 403, finished or not, and changes nothing.
#[test]
fn a_final_upload_takes_no_bytes() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    partial(&mut talk, "a", "hello");
    talk.says(
        &post("Upload-Concat: final;/files/{a}"),
        &joined("whole", 5),
    );
    let refusal = |fields: &str| {
        refused(
            "403 Forbidden",
            &format!("connection: close\n{fields}"),
            "final_upload",
            "this upload is put together of others and takes no bytes itself",
        )
    };
    talk.says(&patch("whole", 5, "x"), &refusal(""));
    talk.says(&patch("whole", 0, "x"), &refusal(""));
    let fields = "Content-Type: application/offset+octet-stream\nContent-Length: 1\nUpload-Concat: final;/files/{a}";
    talk.says(&request("POST /files/", fields, "x"), &refusal(""));
    talk.says(
        &post("Upload-Length: 3\nUpload-Concat: partial"),
        &created("b", 0),
    );
    talk.says(
        &post("Upload-Concat: final;/files/{b}"),
        &created("waiting", 0).replace("upload-offset: 0\n", ""),
    );
    talk.says(
        &patch("waiting", 0, "x"),
        &refusal("upload-expires: {time}"),
    );
    assert_eq!(server.files().len(), 1);
    assert_eq!(server.read(&server.files()[0]), b"hello");
}

/// "concatenation-unfinished": parts may still be under way; until they are there HEAD tells no offset.
#[test]
fn parts_may_be_unfinished_when_they_are_put_together() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    for name in ["a", "b"] {
        let length = "Upload-Length: 5\nUpload-Concat: partial";
        talk.says(&post(length), &created(name, 0));
    }
    let parts = "final;/files/{a} /files/{b}";
    talk.says(
        &post(&format!(
            "Upload-Concat: {parts}\nUpload-Metadata: filename d2hvbGU="
        )),
        &created("whole", 0).replace("upload-offset: 0\n", ""),
    );
    let waiting = told(&format!(
        "upload-length: 10\nupload-complete: ?0\nupload-concat: {parts}\nupload-metadata: filename d2hvbGU=\nupload-expires: {{time}}"
    ));
    talk.says(&ask("HEAD", "whole"), &waiting);
    talk.says(&patch("b", 0, "world"), &appended(5));
    talk.says(&patch("a", 0, "hel"), &appended(3));
    talk.says(&ask("HEAD", "whole"), &waiting).stored(&[]);
    talk.says(&patch("a", 3, "lo"), &appended(5));
    let record = format!("/uploads/{}", talk.name("whole"));
    eventually(
        || server.get(&record).json()["state"].clone(),
        |state| state == "done",
    );
    talk.says(
        &ask("HEAD", "whole"),
        &told(&format!(
            "upload-offset: 10\nupload-length: 10\nupload-complete: ?1\nupload-concat: {parts}\nupload-metadata: filename d2hvbGU="
        )),
    )
    .stored(&[("whole", b"helloworld")]);
}

/// What names a part wrongly is refused, and nothing begins.
#[test]
fn a_final_upload_of_what_is_not_there_is_refused() {
    let server = Server::start(&["--max-partials", "2"]);
    let mut talk = Talk::with(&server);
    partial(&mut talk, "a", "hello");
    talk.says(&post("Upload-Length: 3"), &created("plain", 0));
    let bad = |words: &str| {
        let words = format!("the request is malformed: {words}");
        refused("400 Bad Request", "", "bad_request", &words)
    };
    let unknown = refused(
        "404 Not Found",
        "",
        "not_found",
        "there is nothing here under that name",
    );
    const MALFORMED: &str = "its Upload-Concat is malformed";
    const LENGTH: &str = "the length of a final upload follows from its parts";
    for (concat, refusal) in [
        ("Upload-Concat: nonsense", bad(MALFORMED)),
        ("Upload-Concat:", bad(MALFORMED)),
        ("Upload-Concat: final", bad(MALFORMED)),
        ("Upload-Concat: final;", bad(MALFORMED)),
        ("Upload-Concat: final;/files/{a},/files/{a}", bad(MALFORMED)),
        (
            "Upload-Concat: final;/files/{a}\nUpload-Length: 5",
            bad(LENGTH),
        ),
        (
            "Upload-Concat: final;/files/{a}\nUpload-Defer-Length: 1",
            bad(LENGTH),
        ),
        (
            "Upload-Concat: final;/files/00112233445566778899aabbccddeeff",
            unknown.clone(),
        ),
        (
            "Upload-Concat: final;/files/{a} /files/../../x",
            unknown.clone(),
        ),
        ("Upload-Concat: final;{a}", unknown),
        (
            "Upload-Concat: final;/files/{plain}",
            bad("an upload is put together of partial ones"),
        ),
        (
            "Upload-Concat: final;/files/{a} /files/{a} /files/{a}",
            refused(
                "413 Payload Too Large",
                "",
                "limit_exceeded",
                "the upload has more parts in Upload-Concat than the limit of 2",
            ),
        ),
    ] {
        talk.says(&post(concat), &refusal);
    }
    talk.stored(&[]);
    assert_eq!(server.under_way().len(), 2, "the part and the plain one");
}

/// A part may be said to have a length later, as any upload.
#[test]
fn a_part_may_defer_its_length() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(
        &post("Upload-Defer-Length: 1\nUpload-Concat: partial"),
        &created("a", 0),
    );
    talk.says(
        &post("Upload-Concat: final;/files/{a}"),
        &created("whole", 0).replace("upload-offset: 0\n", ""),
    );
    talk.says(
        &ask("HEAD", "whole"),
        &told("upload-complete: ?0\nupload-concat: final;/files/{a}\nupload-expires: {time}"),
    );
    let last = patch("a", 0, "abc").replace("Upload-Offset", "Upload-Length: 3\nUpload-Offset");
    talk.says(&last, &appended(3));
    let record = format!("/uploads/{}", talk.name("whole"));
    eventually(
        || server.get(&record).json()["state"].clone(),
        |state| state == "done",
    );
    assert_eq!(server.read(&server.files()[0]), b"abc");
}
