//! "Expiration", "Termination".

use std::io::Write;

use super::talk::{Talk, appended, ask, completed, created, patch, post, refused, told};
use crate::support::{Reply, Server, eventually};

fn not_found() -> String {
    refused(
        "404 Not Found",
        "",
        "not_found",
        "there is nothing here under that name",
    )
}

/// "Upload-Expires": told with POST, PATCH and HEAD; afterwards the upload is gone, and nothing of it is left.
#[test]
fn an_unfinished_upload_expires_and_its_client_is_told_when() {
    let server = Server::start(&["--expire-after", "2s"]);
    let mut talk = Talk::with(&server);
    // The date has whole seconds: it may be past by the time that it is read.
    let head = |request: &str, talk: &Talk<'_>| {
        let mut stream = server.connect();
        stream.write_all(&talk.bytes(request)).unwrap();
        Reply::read_head(&mut stream)
    };
    let reply = head(&post("Upload-Length: 5"), &talk);
    let id = reply
        .header("location")
        .unwrap()
        .trim_start_matches("/files/")
        .to_owned();
    let expires = reply.header("upload-expires").unwrap();
    assert!(httpdate::parse_http_date(expires).is_ok(), "{expires}");
    let name = |request: String| request.replace("{id}", &id);
    let reply = head(&name(patch("id", 0, "he")), &talk);
    assert!(reply.header("upload-expires").is_some() || reply.status == 404);
    let record = eventually(
        || server.get(&format!("/uploads/{id}")).json(),
        |record| record["state"] == "error",
    );
    assert_eq!(record["error"]["code"], "expired");
    assert!(server.under_way().is_empty());
    let gone = head(&name(ask("HEAD", "id")), &talk);
    assert_eq!((gone.status, gone.header("upload-offset")), (404, None));
    let connection = not_found().replacen("vary", "connection: close\nvary", 1);
    talk.says(&name(patch("id", 2, "llo")), &connection);
    talk.stored(&[]);
}

/// Nothing expires where nothing is to, and then nobody is told so.
#[test]
fn without_an_end_no_date_is_told() {
    let server = Server::start(&["--expire-after", "none"]);
    let mut talk = Talk::with(&server);
    let never = |reply: String| reply.replace("upload-expires: {time}\n", "");
    talk.says(&post("Upload-Length: 5"), &never(created("id", 0)));
    talk.says(&patch("id", 0, "he"), &never(appended(2)));
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 2\nupload-length: 5\nupload-complete: ?0"),
    );
    let options = server.send(b"OPTIONS /files/ HTTP/1.1\r\nHost: a\r\n\r\n");
    let extensions = options.header("tus-extension").unwrap();
    assert!(!extensions.contains("expiration"), "{extensions}");
}

/// "DELETE": MUST be 204, and then the upload is gone: one not begun to be filled, one under way, a part, a finished one.
#[test]
fn what_is_terminated_is_gone() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let gone = "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\ncache-control: no-store";
    talk.says(&post("Upload-Length: 5"), &created("new", 0));
    talk.says(&post("Upload-Length: 5"), &created("begun", 0));
    talk.says(&patch("begun", 0, "he"), &appended(2));
    talk.says(
        &post("Upload-Length: 2\nUpload-Concat: partial"),
        &created("part", 0),
    );
    talk.says(&patch("part", 0, "he"), &appended(2));
    talk.says(&post("Upload-Length: 2"), &created("done", 0));
    talk.says(&patch("done", 0, "he"), &completed(2));
    for name in ["new", "begun", "part", "done"] {
        talk.says(&ask("DELETE", name), gone);
        talk.says(&ask("DELETE", name), &not_found());
        let refusal = not_found().replacen("vary", "connection: close\nvary", 1);
        talk.says(&patch(name, 0, "x"), &refusal);
        let mut stream = server.connect();
        stream.write_all(&talk.bytes(&ask("HEAD", name))).unwrap();
        let reply = Reply::read_head(&mut stream);
        assert_eq!((reply.status, reply.header("upload-offset")), (404, None));
    }
    assert!(server.under_way().is_empty());
    talk.stored(&[]);
}

/// A PATCH that is under way hears of the end.
#[test]
fn a_running_patch_is_ended_by_delete() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    let mut running = talk.begins("id", &patch("id", 0, "hello world"), 5, 5);
    let record = format!("/uploads/{}", talk.name("id"));
    talk.says(
        &ask("DELETE", "id"),
        "HTTP/1.1 204 No Content\ntus-resumable: 1.0.0\ncache-control: no-store",
    );
    let reply = Reply::read(&mut running);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (410, Some("cancelled"))
    );
    assert!(server.under_way().is_empty());
    let record = server.get(&record).json();
    assert_eq!(record["error"]["code"], "cancelled");
}

/// DELETE of the record does the same.
#[test]
fn an_unfinished_upload_is_removed_by_its_records_url_too() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 5"), &created("id", 0));
    talk.says(&patch("id", 0, "he"), &appended(2));
    talk.says(
        "DELETE /uploads/{id} HTTP/1.1\nHost: a\n\n",
        "HTTP/1.1 204 No Content\ncache-control: no-store",
    );
    talk.says(&ask("DELETE", "id"), &not_found());
    assert!(server.under_way().is_empty());
}
