//! "Header Fields": they are structured fields (RFC 9651), and one that cannot be read as what it should be is as if it were
//! not there.

use super::talk::{ALL, NEWEST, NONE, Talk, refused};
use crate::support::Server;

/// What is no boolean, no integer, or two of them.
const NO_BOOLEAN: [&str; 9] = [
    "1",
    "true",
    "?2",
    "?",
    "\"?0\"",
    "",
    "?0, ?0",
    "?0\nUpload-Complete: ?0",
    "?0 x",
];
const NO_INTEGER: [&str; 12] = [
    "-1",
    "+2",
    "2.0",
    "\"2\"",
    "0x2",
    "two",
    "",
    "2, 2",
    "2\nUpload-Offset: 2",
    "?1",
    "1000000000000000",
    "2 2",
];

fn bad(fields: &str, words: &str) -> String {
    let words = format!("the request is malformed: {words}");
    refused("400 Bad Request", fields, "bad_request", &words)
}

/// "Upload-Complete": without it nothing of the draft is meant by PUT; where only the draft is spoken it is wanted.
#[test]
fn a_bad_upload_complete_is_as_if_it_were_not_there() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let refusal = bad("connection: close", "it does not say its Upload-Complete");
    talk.says(&NEWEST.request("POST /files/", "", "he"), &refusal);
    for (number, said) in NO_BOOLEAN.iter().enumerate() {
        let field = format!("Upload-Complete: {said}");
        talk.says(&NEWEST.request("POST /files/", &field, "he"), &refusal);
        assert!(server.under_way().is_empty(), "{said}");
        let path = format!("PUT /files/plain{number}");
        let reply = talk.answer(&NONE.request(&path, &field, "he"));
        assert_eq!(reply.status, 201, "{said}");
        assert_eq!(reply.header("upload-complete"), None, "{said}");
        assert_eq!(reply.json()["protocol"], "put");
        assert_eq!(server.read(&format!("plain{number}")), b"he");
    }
}

/// An append that says nothing of it that can be read is refused, and changes nothing.
#[test]
fn an_append_says_whether_it_is_the_last_one() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let refusal = bad("connection: close", "it does not say its Upload-Complete");
    for version in [&ALL[1..], &[NONE]].concat() {
        talk = Talk::with(&server);
        talk.says(&version.create("", false, "he"), &version.created("id", 2));
        let append = version.append("id", 2, false, "y");
        for said in NO_BOOLEAN {
            let other = append.replace("Upload-Complete: ?0", &format!("Upload-Complete: {said}"));
            talk.says(&other, &refusal);
        }
        talk.says(&append.replace("Upload-Complete: ?0", "X: y"), &refusal);
        talk.kept("id", b"he");
        talk.says(&append, &version.appended(3));
    }
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(3, None));
}

/// "Upload-Offset": an append wants it.
#[test]
fn a_bad_upload_offset_is_as_if_it_were_not_there() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let refusal = bad("connection: close", "it does not say its Upload-Offset");
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    let append = NONE.append("id", 2, false, "y");
    for said in NO_INTEGER {
        let other = append.replace("Upload-Offset: 2", &format!("Upload-Offset: {said}"));
        talk.says(&other, &refusal);
    }
    talk.says(&append.replace("Upload-Offset: 2", "X: y"), &refusal);
    talk.kept("id", b"he");
    talk.says(&append, &NONE.appended(3));
}

/// "Upload-Length": nobody needs it, so a bad one is passed over.
#[test]
fn a_bad_upload_length_is_passed_over() {
    let server = Server::start(&[]);
    for said in NO_INTEGER {
        let said = said.replace("Offset", "Length");
        let field = format!("Upload-Length: {said}");
        Talk::with(&server)
            .says(&NONE.create(&field, false, "he"), &NONE.created("id", 2))
            .says(&NONE.ask("HEAD", "id"), &NONE.told(2, None))
            .says(
                &NONE.append_with("id", 2, true, &field, "y"),
                &NONE.completed("id", 3),
            );
    }
}

/// Parameters, zeros in front and white space around are part of a structured field, and mean nothing here.
#[test]
fn parameters_and_white_space_mean_nothing() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let create = "Upload-Complete:  ?0;a;b=1 \nUpload-Length: 0007;by=me";
    talk.says(
        &NONE.request("POST /files/", create, "he"),
        &NONE.created("id", 2),
    );
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(2, Some(7)));
    let append = NONE.append("id", 2, false, "y");
    let append = append.replace("Upload-Offset: 2", "Upload-Offset:   02;x=\"y\"  ");
    let append = append.replace("partial-upload", "partial-upload;charset=none");
    talk.says(&append, &NONE.appended(3));
    let kind = append.replace("application/partial-upload", "Application/Partial-Upload");
    talk.says(&kind.replace("02;", "3;"), &NONE.appended(4));
}

/// "Upload-Offset": fifteen digits at most; the longest can be asked for, and fits nothing.
#[test]
fn the_longest_offset_is_read() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    const MOST: u64 = 999_999_999_999_999;
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    talk.says(
        &NONE.append("id", MOST, false, "y"),
        &NONE.mismatch(2, MOST),
    );
    talk.says(&NONE.append("id", 2, false, "y"), &NONE.appended(3));
}
