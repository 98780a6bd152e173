//! The app is asked again when all bytes are there: what it has taken back meanwhile is not stored.

use std::io::Write as _;

use super::{asking, put, request};
use crate::support::app::App;
use crate::support::{Reply, Server, eventually, form, part, post};

const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

/// Yes to what begins, and this to what has come.
fn says_at_the_end(app: &App, status: u16) {
    app.does(move |call| match call.seen().header("dumbwaiter-upload") {
        Some(_) if call.seen().header("dumbwaiter-act") == Some("upload") => {
            call.answer(status, "", b"not any more");
        }
        _ => call.answer(204, "", b""),
    });
}

#[test]
fn what_is_taken_back_while_the_body_comes_is_not_stored() {
    let app = App::start();
    let server = asking(&app, &[]);
    let body = form(&[part("picture", Some("a.jpg"), b"soup")]);
    let requests = [
        put("/files/a?X-Progress-ID=0", "", b"soup"),
        post("/upload?X-Progress-ID=1", "", &body),
    ];
    for (nth, request) in requests.iter().enumerate() {
        app.answers(204, "", b"");
        let mut stream = server.connect();
        stream.write_all(&request[..request.len() - 1]).unwrap();
        let before = 1 + app.seen().len() - app.seen().len().min(1);
        eventually(|| app.seen().len(), |asked| *asked >= before);
        let record = || server.get(&format!("/uploads?X-Progress-ID={nth}")).json();
        eventually(record, |records| records[0]["received"].as_u64() > Some(0));
        says_at_the_end(&app, 403);
        stream.write_all(&request[request.len() - 1..]).unwrap();
        let reply = Reply::read(&mut stream);
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (403, Some("forbidden"))
        );
        let last = app
            .seen()
            .into_iter()
            .rev()
            .find(|seen| seen.header("dumbwaiter-act") == Some("upload"));
        assert_eq!(
            last.unwrap().header("dumbwaiter-upload").map(str::len),
            Some(32)
        );
        assert_eq!(record()[0]["error"]["code"], "forbidden");
        assert!(server.files().is_empty() && server.under_way().is_empty());
    }
}

fn begin(server: &Server, length: usize) -> String {
    let fields = format!("{TUS}Upload-Length: {length}\r\n");
    let begun = server.send(&request("POST", "/files/", &fields, b""));
    begun.header("location").unwrap().to_owned()
}

fn patch(server: &Server, url: &str, offset: usize, content: &[u8]) -> u16 {
    let fields = format!(
        "{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n"
    );
    server.send(&request("PATCH", url, &fields, content)).status
}

fn head(server: &Server, url: &str) -> Reply {
    let mut stream = server.connect();
    stream.write_all(&request("HEAD", url, TUS, b"")).unwrap();
    Reply::read_head(&mut stream)
}

#[test]
fn an_upload_that_can_be_resumed_is_refused_with_its_last_byte_too() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.answers(204, "", b"");
    let url = begin(&server, 6);
    assert_eq!(patch(&server, &url, 0, b"abc"), 204);
    // The yes to going on is kept; the last word is not.
    says_at_the_end(&app, 403);
    assert_eq!(patch(&server, &url, 3, b"def"), 403);
    app.answers(204, "", b"");
    assert_eq!(head(&server, &url).status, 404, "it is gone");
    assert!(server.files().is_empty() && server.under_way().is_empty());
}

#[test]
fn one_about_which_the_app_could_not_be_asked_waits_for_its_word() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start();
    let url = app.url();
    let args = ["--ask", &*url];
    let mut server = Server::start_in(folder.path(), &args);
    let upload = begin(&server, 3);
    assert_eq!(patch(&server, &upload, 0, b""), 204);
    says_at_the_end(&app, 500);
    assert_eq!(patch(&server, &upload, 0, b"abc"), 503);
    // What was said before counts no more: whoever comes back is asked anew.
    assert_eq!(head(&server, &upload).status, 503);
    assert!(server.files().is_empty());
    // Nor does a restart store it.
    server.kill();
    let server = Server::start_in(folder.path(), &args);
    assert_eq!(head(&server, &upload).status, 503);
    assert!(server.files().is_empty());
    app.answers(204, "", b"");
    let reply = head(&server, &upload);
    assert_eq!(
        (reply.status, reply.header("upload-offset")),
        (204, Some("3")),
        "{}",
        reply.head
    );
    eventually(|| server.files().len(), |files| *files == 1);
}

#[test]
fn a_limit_that_is_said_only_at_the_end_binds() {
    let app = App::start();
    let server = asking(&app, &[]);
    app.does(|call| match call.seen().header("dumbwaiter-upload") {
        Some(_) => call.answer(200, "Dumbwaiter-Max-Size: 2\r\n", b""),
        None => call.answer(204, "", b""),
    });
    assert_eq!(server.send(&put("/files/a", "", b"abc")).status, 413);
    assert_eq!(server.send(&put("/files/a", "", b"ab")).status, 201);
    assert_eq!(server.files(), ["a"]);
}

#[test]
fn whom_the_app_named_owns_an_upload_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start();
    let url = app.url();
    let args = ["--ask", &*url];
    app.answers(204, "Dumbwaiter-Owner: anna\r\n", b"");
    let mut server = Server::start_in(folder.path(), &args);
    let record = server.send(&put("/files/a", "", b"x")).json();
    let path = format!("/uploads/{}", record["id"].as_str().unwrap());
    server.kill();
    let server = Server::start_in(folder.path(), &args);
    let remove = || server.send(&request("DELETE", &path, "", b"")).status;
    app.answers(204, "Dumbwaiter-Owner: berta\r\n", b"");
    assert_eq!(remove(), 404);
    app.answers(204, "", b"");
    assert_eq!(remove(), 404);
    app.answers(204, "Dumbwaiter-Owner: anna\r\n", b"");
    assert_eq!(remove(), 204);
    assert!(server.files().is_empty());
}
