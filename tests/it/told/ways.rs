//! Every way in: the same hand-off, and each client is told in its own words.

use super::{Pair, body, told_id};
use crate::support::tus::{Tus, pair as pair_of, request};
use crate::support::{Reply, form, part};

#[test]
fn tus_is_told_of_at_its_last_byte_and_answered_as_ever() {
    let pair = Pair::start(&[]);
    pair.app.answers(201, "", b"not for tus");
    let (server, content) = (pair.server.address, b"hello world");
    let mut tus = Tus::create(
        server,
        Some(11),
        &pair_of("filename", "a.txt"),
        &content[..5],
    )
    .unwrap();
    assert!(pair.app.seen().is_empty());
    let reply = tus.patch(server, 5, "", &content[5..]).unwrap();
    assert_eq!((reply.status, reply.text()), (204, ""));
    let seen = pair.app.only();
    assert_eq!(told_id(&seen), tus.id());
    assert_eq!(body(&seen)["protocol"], "tus");
    assert_eq!(body(&seen)["files"][0]["name"], "a.txt");
    assert_eq!(pair.record(tus.id())["state"], "done");
    assert_eq!(pair.answer(tus.id()).text(), "not for tus");
}

#[test]
fn what_tus_puts_together_is_told_of_once_and_its_parts_never() {
    let pair = Pair::start(&[]);
    let server = pair.server.address;
    let part = |bytes: &[u8]| {
        let headers = format!(
            "Upload-Length: {}\r\nUpload-Concat: partial\r\nContent-Type: application/offset+octet-stream\r\n",
            bytes.len()
        );
        let reply = request(server, "POST", "/files/", &headers, bytes).unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.header("location").unwrap().to_owned()
    };
    let (one, two) = (part(b"hello "), part(b"world"));
    assert!(pair.app.seen().is_empty());
    let concat = format!("Upload-Concat: final;{one} {two}\r\n");
    let reply = request(server, "POST", "/files/", &concat, b"").unwrap();
    assert_eq!(reply.status, 201, "{reply:?}");
    let url = reply.header("location").unwrap();
    let seen = pair.app.only();
    assert!(url.ends_with(&told_id(&seen)));
    assert_eq!(body(&seen)["files"][0]["size"], 11);
}

#[test]
fn a_refusal_of_the_apps_refuses_the_last_request_of_tus() {
    let pair = Pair::start(&[]);
    pair.app.answers(422, "", b"no dish");
    let server = pair.server.address;
    let mut tus = Tus::create(server, Some(5), &pair_of("filename", "a.txt"), b"").unwrap();
    let reply = tus.patch(server, 0, "", b"hello").unwrap();
    assert_eq!(reply.status, 422, "{reply:?}");
    assert_eq!(pair.record(tus.id())["error"]["code"], "app_refused");
}

fn create(target: &str, complete: &str, content: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nUpload-Complete: {complete}\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    )
}

fn patch(url: &str, offset: usize, content: &str) -> String {
    format!(
        "PATCH {url} HTTP/1.1\r\nHost: a\r\nUpload-Complete: ?1\r\nUpload-Offset: {offset}\r\n\
         Content-Type: application/partial-upload\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    )
}

fn has_the_apps(reply: &Reply, offset: &str) {
    assert_eq!((reply.status, reply.text()), (200, "the app's"));
    assert_eq!(reply.header("upload-complete"), Some("?1"));
    assert_eq!(reply.header("upload-offset"), Some(offset));
}

#[test]
fn a_resumable_upload_ends_with_the_apps_own_answer_and_gets_it_again() {
    let pair = Pair::start(&[]);
    pair.app.answers(200, "", b"the app's");
    let whole = pair.server.send(create("/files/", "?1", "all").as_bytes());
    has_the_apps(&whole, "3");
    let begun = pair.server.send(create("/files/", "?0", "hel").as_bytes());
    let url = begun.header("location").unwrap().to_owned();
    assert_eq!(pair.app.seen().len(), 1);
    let last = pair.server.send(patch(&url, 3, "lo").as_bytes());
    has_the_apps(&last, "5");
    assert_eq!(pair.app.seen().len(), 2);
    // The answer was lost.
    let again = pair.server.send(patch(&url, 3, "lo").as_bytes());
    assert_eq!(
        (again.status, again.text()),
        (200, "the app's"),
        "{again:?}"
    );
    assert_eq!(pair.app.seen().len(), 2, "told once");
}

#[test]
fn the_last_bytes_sent_once_more_get_the_answer_though_the_app_has_moved_the_file() {
    let pair = Pair::start(&["--name", "{id}"]);
    let dir = pair.dir.clone();
    pair.app.does(move |call| {
        let name = body(call.read())["watch"].as_str().unwrap().to_owned();
        std::fs::rename(dir.join(&name), dir.with_file_name(name)).unwrap();
        call.answer(200, "", b"the app's");
    });
    let begun = pair.server.send(create("/files/", "?0", "hel").as_bytes());
    let url = begun.header("location").unwrap().to_owned();
    for _ in 0..2 {
        let last = pair.server.send(patch(&url, 3, "lo").as_bytes());
        has_the_apps(&last, "5");
    }
    let other = pair.server.send(patch(&url, 3, "lots").as_bytes());
    assert_eq!(other.status, 404, "{other:?}");
    assert_eq!(pair.app.seen().len(), 1);
}

#[test]
fn forms_filepond_and_dropzone_are_answered_as_ever_and_refused_with_the_apps_status() {
    let pair = Pair::start(&["--app-grace", "0s"]);
    let sent = form(&[part("filepond", Some("a.jpg"), b"hello")]);
    let chunk = |uuid: &str| {
        form(&[
            part("dzuuid", None, uuid.as_bytes()),
            part("dzchunkindex", None, b"0"),
            part("dztotalfilesize", None, b"5"),
            part("dzchunksize", None, b"100"),
            part("dztotalchunkcount", None, b"1"),
            part("dzchunkbyteoffset", None, b"0"),
            part("file", Some("b.jpg"), b"hello"),
        ])
    };
    let dropzone = "Accept: application/json\r\nX-Requested-With: XMLHttpRequest\r\n";
    let all = |uuid: &str| {
        let form = pair.server.post("/upload", "", &sent);
        let pond = pair.server.post("/filepond", "", &sent);
        let zone = pair.server.post("/upload", dropzone, &chunk(uuid));
        [form, pond, zone]
    };
    let taken = all("one");
    assert_eq!(taken.each_ref().map(|reply| reply.status), [201, 201, 200]);
    assert_eq!(taken[0].json()["state"], "done");
    assert_eq!(taken[1].text().len(), 32);
    assert_eq!(taken[2].json()["protocol"], "dropzone");
    let protocols = pair.app.asked(3);
    let protocols = protocols.iter().map(|seen| body(seen)["protocol"].clone());
    assert_eq!(
        protocols.collect::<Vec<_>>(),
        ["form", "filepond", "dropzone"]
    );
    pair.app.answers(403, "", b"no");
    let refused = all("two");
    let statuses = refused.each_ref().map(|reply| reply.status);
    assert_eq!(statuses, [403, 403, 403], "{refused:?}");
}
