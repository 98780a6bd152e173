//! "Offset Retrieval": HEAD, and GET, of an upload.

use super::talk::{ALL, GONE, NEWEST, NONE, Talk};
use crate::support::Server;

/// Offset, length and completeness at every step, by whatever version asks; nobody keeps the answer.
#[test]
fn head_tells_how_far_an_upload_is_at_every_step() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let versions: [_; 7] = [&ALL[..], &[NONE]].concat().try_into().unwrap();
    let all = |talk: &mut Talk<'_>, offset, length| {
        for version in versions {
            talk.says(&version.ask("HEAD", "id"), &version.told(offset, length));
        }
    };
    talk.says(&NONE.create("", false, ""), &NONE.created("id", 0));
    all(&mut talk, 0, None);
    talk.says(&NONE.append("id", 0, false, "abc"), &NONE.appended(3));
    all(&mut talk, 3, None);
    talk.says(
        &NONE.append_with("id", 3, false, "Upload-Length: 6", "de"),
        &NONE.appended(5),
    );
    all(&mut talk, 5, Some(6));
    talk.says(&NONE.append("id", 5, false, "f"), &NONE.appended(6));
    all(&mut talk, 6, Some(6));
    talk.says(&NONE.append("id", 6, true, ""), &NONE.completed("id", 6));
    for version in versions {
        talk.has(&version.ask("HEAD", "id"), &version.ended(6));
    }
}

/// A whole one at once, a form, a PUT: the same of each, the body's bytes of a form.
#[test]
fn head_tells_the_same_of_every_way_in() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let put = NONE.request(
        "PUT /files/dish",
        "Upload-Complete: ?0\nUpload-Length: 5",
        "he",
    );
    talk.says(&put, &NONE.created("put", 2));
    talk.says(&NONE.ask("HEAD", "put"), &NONE.told(2, Some(5)));
    let kind =
        "Content-Type: multipart/form-data; boundary=b\nUpload-Complete: ?0\nUpload-Length: 900";
    let begin = NONE.request("POST /upload", kind, "--b\r\nContent-Disp");
    talk.says(&begin, &NONE.created("form", 17));
    talk.says(&NONE.ask("HEAD", "form"), &NONE.told(17, Some(900)));
    let tus = "POST /files/ HTTP/1.1\nHost: a\nTus-Resumable: 1.0.0\nUpload-Length: 5\nContent-Length: 0\n\n";
    talk.says(
        tus,
        "HTTP/1.1 201 Created\ntus-resumable: 1.0.0\nlocation: /files/{tus}\nupload-offset: 0\n\
         upload-expires: {time}\ncache-control: no-store\ncontent-length: 0\n",
    );
    talk.says(&NEWEST.ask("HEAD", "tus"), &NEWEST.told(0, Some(5)));
}

/// GET, too, while the upload goes on; afterwards it means the file.
#[test]
fn get_tells_the_same_until_there_is_a_file() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(
        &NONE.create("Upload-Length: 5", false, "he"),
        &NONE.created("id", 2),
    );
    for version in [&ALL[..], &[NONE]].concat() {
        talk.says(&version.ask("GET", "id"), &version.told(2, Some(5)));
    }
    talk.says(&NONE.append("id", 2, true, "llo"), &NONE.completed("id", 5));
    let reply = talk.answer(&NONE.ask("GET", "id"));
    assert_eq!((reply.status, reply.text()), (200, "hello"));
}

/// A HEAD that says nothing of the protocol: of a finished upload it is the file's, and its offset stands there too, so
/// that who has lost the answer to the last request learns that all is there.
#[test]
fn a_plain_head_of_a_finished_upload_is_the_files_and_tells_that_all_is_there() {
    for args in [&[][..], &["--downloads", "off"]] {
        let server = Server::start(args);
        let mut talk = Talk::with(&server);
        talk.says(&NONE.create("", false, "hello"), &NONE.created("id", 5));
        let reply = talk.answer(&NONE.append("id", 5, true, ""));
        assert_eq!(reply.status, 201);
        let reply = talk.answer(&NONE.ask("HEAD", "id"));
        assert!(matches!(reply.status, 200 | 204), "{reply:?}");
        assert_eq!(reply.header("upload-offset"), Some("5"));
        assert_eq!(reply.header("upload-length"), Some("5"));
        assert_eq!(reply.header("upload-complete"), Some("?1"));
        if args.is_empty() {
            assert_eq!(reply.header("content-length"), Some("5"));
            assert!(reply.header("etag").is_some());
        }
    }
}

/// What is not there, or no longer, is 404 and tells no offset; nobody is sent elsewhere.
#[test]
fn what_is_not_there_is_not_found_and_tells_no_offset() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "hello"), &NONE.created("gone", 5));
    talk.says(&NONE.ask("DELETE", "gone"), GONE);
    let gone = talk.name("gone").to_owned();
    for version in [&ALL[..], &[NONE]].concat() {
        for name in [
            &*gone,
            "00112233445566778899aabbccddeeff",
            "paella.jpg",
            "",
            "../x",
            "%2e%2e",
        ] {
            let request = version.request(&format!("HEAD /files/{name}"), "", "");
            let reply = talk.answer(&request);
            assert_eq!(
                (reply.status, reply.header("upload-offset")),
                (404, None),
                "{name}"
            );
        }
    }
}

/// What was told stays true: the prefix of a cut append is kept, and no later answer says less.
#[test]
fn the_offset_never_goes_back() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, ""), &NONE.created("id", 0));
    let mut stands = 0;
    for come in [3, 1, 7] {
        let line = talk.begins(
            "id",
            &NONE.append("id", stands, false, "hello world"),
            come,
            stands + come as u64,
        );
        stands += come as u64;
        talk.cuts("id", line, stands);
        talk.says(&NONE.ask("HEAD", "id"), &NONE.told(stands, None));
    }
    talk.says(
        &NONE.append("id", stands, true, "!"),
        &NONE.completed("id", 12),
    );
    assert_eq!(server.read(&server.files()[0]), b"helhhello w!");
}

/// "Offset Retrieval": where what was told is no longer there, nothing is told of the upload any more; a client that
/// believed it would leave a hole.
#[test]
fn an_upload_whose_bytes_are_lost_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let mut server = Server::start_in(&dir, &[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "hello"), &NONE.created("id", 5));
    let id = talk.name("id").to_owned();
    server.kill();
    let lost = &server.under_way()[0];
    std::fs::remove_file(dir.join(".dumbwaiter/tmp").join(lost)).unwrap();
    let server = Server::start_in(&dir, &[]);
    let mut talk = Talk::with(&server);
    let reply = talk.knows("id", &id).answer(&NONE.ask("HEAD", "id"));
    assert_eq!((reply.status, reply.header("upload-offset")), (404, None));
    let reply = talk.answer(&NONE.append("id", 5, true, "!"));
    assert_eq!(reply.status, 404, "{reply:?}");
}
