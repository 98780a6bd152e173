//! A form that goes on where it was cut: "Upload Creation" with any method and target.

use super::talk::{ALL, NEWEST, NONE, Talk, Version, inconsistent, not_found};
use crate::support::{Server, form, noise, part};

const KIND: &str = "Content-Type: multipart/form-data; boundary=b";

/// Two files, a field before, between and behind them; one name is said twice.
fn dishes() -> String {
    let sent = form(&[
        part("note", None, b"for table 7"),
        part("dish", Some("soup.txt"), b"hot -- and thin\r\n--a line"),
        part("id", None, b"12"),
        part("dish", Some("bread.txt"), b""),
        part("last", None, b""),
    ]);
    String::from_utf8(sent).unwrap()
}

fn is_stored(talk: &mut Talk<'_>, name: &str) {
    let record = talk.record(name);
    assert_eq!(record["state"], "done");
    assert_eq!(record["protocol"], "form");
    assert_eq!(record["fields"]["note"], "for table 7", "{record}");
    assert_eq!(
        (&record["fields"]["id"], &record["fields"]["last"]),
        (&"12".into(), &"".into())
    );
    assert_eq!(record["length"], dishes().len());
    assert_eq!(record["files"].as_array().unwrap().len(), 2);
    talk.stored(&[
        ("bread.txt", b""),
        ("soup.txt", b"hot -- and thin\r\n--a line"),
    ]);
}

/// Cut at every byte, in one version and another: what comes of it is what comes of it whole.
#[test]
fn a_form_may_be_cut_at_every_byte() {
    let sent = dishes();
    let kind = format!("{KIND}\nUpload-Complete: ?0");
    let server = Server::start(&["--on-conflict", "replace"]);
    for at in 0..=sent.len() {
        let mut talk = Talk::with(&server);
        let (first, rest) = sent.split_at(at);
        talk.says(
            &NONE.request("POST /upload", &kind, first),
            &NONE.created("id", at as u64),
        );
        let end = NONE.append("id", at as u64, true, rest);
        talk.says(&end, &NONE.form(sent.len() as u64));
        is_stored(&mut talk, "id");
    }
    assert!(server.under_way().is_empty());
}

/// One byte in each request.
#[test]
fn a_form_may_come_in_as_many_requests_as_it_has_bytes() {
    let sent = dishes();
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let mut line = server.connect();
    let version = Version(Some(3));
    let kind = format!("{KIND}\n{}", version.complete(false));
    talk.says_on(
        &mut line,
        &version.request("POST /upload", &kind, ""),
        &version.created("id", 0),
    );
    for at in 0..sent.len() {
        let next = at as u64 + 1;
        let is_last = next == sent.len() as u64;
        let reply = match is_last {
            true => version.form(next),
            false => version.appended(next),
        };
        let append = version.append("id", at as u64, is_last, &sent[at..=at]);
        talk.says_on(&mut line, &append, &reply);
    }
    is_stored(&mut talk, "id");
}

/// The line breaks within a file: the record keeps what is known so far, and the form goes on there; in every version.
#[test]
fn a_cut_line_leaves_a_form_interrupted_with_what_is_known_of_it() {
    let sent = dishes();
    let at = sent.find("thin").unwrap();
    for version in [&ALL[..], &[NONE]].concat() {
        let server = Server::start(&[]);
        let mut talk = Talk::with(&server);
        let kind = format!("{KIND}\n{}", version.complete(false));
        talk.says(
            &version.request("POST /upload", &kind, ""),
            &version.created("id", 0),
        );
        let line = talk.begins("id", &version.append("id", 0, true, &sent), at, at as u64);
        talk.cuts("id", line, at as u64);
        let record = talk.record("id");
        assert_eq!(record["fields"]["note"], "for table 7", "{record}");
        assert_eq!(record["files"][0]["name"], "soup.txt", "{record}");
        let length = sent.len() as u64;
        talk.says(
            &version.ask("HEAD", "id"),
            &version.told(at as u64, Some(length)),
        );
        let end = version.append("id", at as u64, true, &sent[at..]);
        talk.says(&end, &version.form(length));
        is_stored(&mut talk, "id");
    }
}

/// A form that is begun at the page's own address is the same.
#[test]
fn a_form_may_be_sent_to_the_pages_own_address() {
    let sent = dishes();
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let kind = format!("{KIND}\nUpload-Complete: ?0");
    talk.says(
        &NEWEST.request("POST /", &kind, &sent[..9]),
        &NEWEST.created("id", 9),
    );
    let end = NEWEST.append("id", 9, true, &sent[9..]);
    talk.says(&end, &NEWEST.form(sent.len() as u64));
    is_stored(&mut talk, "id");
}

/// The server is another one in the middle of a file: the form's parser goes on from what the store kept.
#[test]
fn another_server_goes_on_with_a_form() {
    let sent = dishes();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let kind = format!("{KIND}\nUpload-Complete: ?0");
    let mut id = String::new();
    let places = [
        0,
        30,
        sent.find("thin").unwrap(),
        sent.find("bread").unwrap(),
        sent.len() - 3,
        sent.len(),
    ];
    for (index, ends) in places.windows(2).enumerate() {
        let (at, end) = (ends[0], ends[1]);
        let mut server = Server::start_in(&dir, &[]);
        let mut talk = Talk::with(&server);
        if index == 0 {
            talk.says(
                &NONE.request("POST /upload", &kind, ""),
                &NONE.created("id", 0),
            );
            talk.name("id").clone_into(&mut id);
        }
        talk.knows("id", &id);
        talk.says(&NONE.ask("HEAD", "id"), &NONE.told(at as u64, None));
        let is_last = end == sent.len();
        let append = NONE.append("id", at as u64, is_last, &sent[at..end]);
        match is_last {
            true => {
                talk.says(&append, &NONE.form(end as u64));
                is_stored(&mut talk, "id");
            }
            false => {
                talk.says(&append, &NONE.appended(end as u64));
            }
        }
        server.kill();
    }
}

/// A form that cannot be one fails for good: what is wrong with it does not get better.
#[test]
fn a_malformed_form_ends_the_upload() {
    let server = Server::start(&[]);
    let kind = format!("{KIND}\nUpload-Complete: ?0");
    for (first, rest, code) in [
        (
            "--b\r\nContent-Disp",
            "osition: form-data\r\n\r\nx\r\n--b--\r\n",
            "malformed_form",
        ),
        (
            "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nhel",
            "lo\r\n--b-",
            "truncated_form",
        ),
    ] {
        let mut talk = Talk::with(&server);
        let at = first.len() as u64;
        talk.says(
            &NONE.request("POST /upload", &kind, first),
            &NONE.created("id", at),
        );
        let reply = talk.answer(&NONE.append("id", at, true, rest));
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (400, &code.into()),
            "{reply:?}"
        );
        assert_eq!(talk.record("id")["error"]["code"], code);
        talk.says(
            &NONE.append("id", at, true, rest),
            &not_found("connection: close"),
        );
    }
    assert_eq!((server.under_way(), server.files()), (vec![], vec![]));
}

/// "Length" is of the body, boundaries included.
#[test]
fn a_forms_length_is_its_bodys() {
    let sent = dishes();
    let length = sent.len() as u64;
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let kind = format!("{KIND}\nUpload-Complete: ?0\nUpload-Length: {length}");
    talk.says(
        &NONE.request("POST /upload", &kind, &sent[..50]),
        &NONE.created("id", 50),
    );
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(50, Some(length)));
    let short = NONE.append("id", 50, true, &sent[50..99]);
    talk.says(&short, &inconsistent(&NONE.stands(50), length, 99));
    let end = NONE.append("id", 50, true, &sent[50..]);
    talk.says(&end, &NONE.form(length));
    is_stored(&mut talk, "id");
}

/// A large file between small fields, in appends of odd sizes; its digest is that of the file.
#[test]
fn a_large_form_in_odd_pieces_is_stored_to_the_byte() {
    let content = noise(3_000_001);
    let sent = form(&[
        part("before", None, b"1"),
        part("dish", Some("large"), &content),
        part("behind", None, b"2"),
        part("dish", Some("small"), b"x"),
    ]);
    let server = Server::start(&["--digest", "sha256", "--checkpoint-bytes", "64KiB"]);
    let mut talk = Talk::with(&server);
    let kind = format!("{KIND}\nUpload-Complete: ?0");
    talk.says(
        &NONE.request("POST /upload", &kind, ""),
        &NONE.created("id", 0),
    );
    let mut offset = 0;
    for piece in sent.chunks(777_777) {
        let ends = offset + piece.len() == sent.len();
        let fields = format!("Content-Length: {}", piece.len());
        let head = talk.bytes(&NONE.append_with("id", offset as u64, ends, &fields, ""));
        let reply = server.send(&[head, piece.to_vec()].concat());
        offset += piece.len();
        assert_eq!(reply.status, if ends { 201 } else { 204 }, "{reply:?}");
        assert_eq!(reply.header("upload-offset"), Some(&*offset.to_string()));
    }
    assert!(server.read("large") == content && server.read("small") == b"x");
    let record = talk.record("id");
    for (index, content) in [&content[..], b"x"].into_iter().enumerate() {
        let digest = &record["files"][index]["digest"];
        assert_eq!(*digest, super::talk::digest(content), "{record}");
    }
}
