//! What the protocol leaves to us: who may, foreign origins, proxies, limits, a server that stops.

use std::io::Write;

use dumbwaiter::handlers::{Stop, UploadHandler};
use dumbwaiter::rights::{Ask, Grant};
use dumbwaiter::upload::Owner;
use rustix::process::Signal;

use super::talk::{Talk, appended, ask, created, patch, post, refused, told};
use crate::serve::Served;
use crate::support::{Reply, Server, connect_from, write_for_us_alone};

/// "Tus-Resumable" MUST be in every response: refusals that are no affair of the protocol have it too.
#[test]
fn every_answer_to_a_request_of_tus_says_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_for_us_alone(&tokens, "secret-of-the-kitchen\n");
    let server = Server::start(&["--token", tokens.to_str().unwrap(), "--base", "/up"]);
    for (line, fields, status) in [
        ("POST /up/files/", "Upload-Length: 1", 401),
        ("PATCH /up/files/x", "Upload-Offset: 0", 401),
        ("HEAD /up/files/x", "", 401),
        (
            "POST /up/files/",
            "Upload-Length: 1\r\nOrigin: http://evil.example",
            403,
        ),
        ("POST /up/nowhere", "", 404),
        (
            "POST /up/files/x",
            "Authorization: Bearer secret-of-the-kitchen",
            405,
        ),
        ("PROPFIND /up/files/", "", 405),
        ("POST /up/files/", "Host: elsewhere", 400),
        ("GET /up/files/x", "", 404),
        ("GET /up/get_upload_progress", "", 400),
    ] {
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!("{fields}\r\n")
        };
        let request = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nContent-Length: 0\r\n{fields}\r\n"
        );
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let reply = Reply::read_head(&mut stream);
        assert_eq!(reply.status, status, "{line} {fields}: {reply:?}");
        // A head with two readings never reaches anybody who knows of tus.
        let version = (status != 400 || line.starts_with("GET")).then_some("1.0.0");
        assert_eq!(reply.header("tus-resumable"), version, "{line} {fields}");
    }
    let plain = server.send(b"GET /up/files/x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(plain.header("tus-resumable"), None);
}

/// The script of a page elsewhere gets all that it needs, on refusals too; TRAPS, "CORS on errors".
#[test]
fn a_page_of_an_allowed_origin_can_send_and_read_all_of_it() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let preflight = server.send(
        b"OPTIONS /files/ HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\
          Access-Control-Request-Headers: tus-resumable,upload-length,upload-metadata\r\n\r\n",
    );
    assert_eq!(preflight.status, 204);
    let list = |reply: &Reply, field: &str| {
        let list = reply.header(field).unwrap().to_ascii_lowercase();
        list.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let methods = list(&preflight, "access-control-allow-methods");
    for method in ["post", "head", "patch", "delete", "options"] {
        assert!(methods.contains(&method.to_owned()), "{method}");
    }
    // tusd's lists, which clients rely on: pkg/handler/config.go.
    let allowed = list(&preflight, "access-control-allow-headers");
    for field in "authorization, x-requested-with, x-request-id, x-http-method-override, content-type, upload-length, \
        upload-offset, tus-resumable, upload-metadata, upload-defer-length, upload-concat, upload-checksum"
        .split(", ")
    {
        assert!(allowed.contains(&field.to_owned()), "{field}");
    }
    let from = |method: &str, path: &str, fields: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nTus-Resumable: 1.0.0\r\nContent-Length: 0\r\n{fields}\r\n"
        )
    };
    for (request, status) in [
        (from("POST", "/files/", "Upload-Length: 5\r\n"), 201),
        (from("POST", "/files/", ""), 400),
        (from("PATCH", "/files/x", ""), 404),
        (from("OPTIONS", "/files/", ""), 204),
        (
            from("POST", "/files/", "Tus-Version: x\r\n").replace("1.0.0", "0.1"),
            412,
        ),
    ] {
        let reply = server.send(request.as_bytes());
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("https://app.example"),
            "{request}"
        );
        let exposed = list(&reply, "access-control-expose-headers");
        for field in "upload-offset, location, upload-length, tus-version, tus-resumable, tus-max-size, tus-extension, \
            upload-metadata, upload-defer-length, upload-concat, upload-expires, tus-checksum-algorithm"
            .split(", ")
        {
            assert!(exposed.contains(&field.to_owned()), "{field}");
        }
    }
}

/// What a form of a foreign page could send is refused, whatever method it says that it means.
#[test]
fn a_foreign_page_begins_ends_and_overrides_nothing() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 5"), &created("id", 0));
    let id = talk.name("id").to_owned();
    for (line, over) in [
        ("POST /files/", ""),
        (&*format!("DELETE /files/{id}"), ""),
        (&*format!("PATCH /files/{id}"), ""),
        (
            &*format!("POST /files/{id}"),
            "X-HTTP-Method-Override: HEAD\r\n",
        ),
        (
            &*format!("POST /files/{id}"),
            "X-HTTP-Method-Override: DELETE\r\n",
        ),
        (
            &*format!("POST /files/{id}"),
            "X-HTTP-Method-Override: OPTIONS\r\n",
        ),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nTus-Resumable: 1.0.0\r\n{over}Upload-Length: 1\r\nContent-Length: 0\r\n\r\n"
        );
        let reply = server.send(request.as_bytes());
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (403, Some("origin_not_allowed")),
            "{line} {over}"
        );
    }
    assert_eq!(server.under_way().len(), 1);
    talk.says(&patch("id", 0, "he"), &appended(2));
}

/// `Location` is a path, below the base; a whole URL when that is asked for, as the client or its proxy writes it.
#[test]
fn location_is_a_path_or_on_demand_a_whole_url() {
    let location = |args: &[&str], fields: &str| {
        let server = Server::start(&[&["--base", "/up"], args].concat());
        let request = format!(
            "POST /up/files/ HTTP/1.1\r\nHost: a:81\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nContent-Length: 0\r\n{fields}\r\n"
        );
        let reply = server.send(request.as_bytes());
        let location = reply.header("location").unwrap().to_owned();
        let (before, id) = location.rsplit_once('/').unwrap();
        assert_eq!(id.len(), 32);
        before.to_owned()
    };
    let proxied = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: files.example\r\nX-Forwarded-Prefix: /in\r\n";
    let trust = ["--trusted-proxy", "127.0.0.1", "--host", "files.example"];
    let absolute = ["--location", "absolute"];
    assert_eq!(location(&[], ""), "/up/files");
    assert_eq!(location(&trust, proxied), "/in/up/files");
    assert_eq!(location(&absolute, ""), "http://a:81/up/files");
    assert_eq!(
        location(&absolute, proxied),
        "http://a:81/up/files",
        "whom nobody trusts says nothing"
    );
    assert_eq!(
        location(&[&trust[..], &absolute].concat(), proxied),
        "https://files.example/in/up/files"
    );
}

/// The request's bound is for each PATCH, and not for the upload.
#[test]
fn the_bound_of_a_request_is_for_each_patch() {
    let server = Server::start(&["--max-request-size", "6"]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    talk.says(
        &patch("id", 0, "hello w"),
        &refused(
            "413 Payload Too Large",
            "connection: close\nupload-limit: max-append-size=6\nupload-offset: 0\nupload-expires: {time}",
            "request_too_large",
            "one request may carry 6 bytes here, and this one has more",
        ),
    );
    talk.says(&patch("id", 0, "hello "), &appended(6));
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 6\nupload-length: 11\nupload-complete: ?0\nupload-expires: {time}")
            .replace("min-size=0", "max-append-size=6"),
    );
}

/// Where every place is taken a client is told to come again with its bytes; how far it is it hears all the same, since
/// clients take any refusal of HEAD for the end of the upload.
#[test]
fn head_is_answered_where_every_place_is_taken() {
    let server = Server::start(&["--max-uploads", "1"]);
    let mut talk = Talk::with(&server);
    talk.says(&post("Upload-Length: 11"), &created("id", 0));
    talk.says(&post("Upload-Length: 11"), &created("other", 0));
    let mut running = talk.begins("other", &patch("other", 0, "hello world"), 5, 5);
    let full = |fields: &str| {
        refused(
            "503 Service Unavailable",
            &format!("retry-after: 5\n{fields}"),
            "too_many_uploads",
            "too many uploads are under way; try again in a moment",
        )
    };
    talk.says(&post("Upload-Length: 11"), &full(""));
    talk.says(
        &patch("id", 0, "hello"),
        &full("connection: close\nupload-offset: 0\nupload-expires: {time}"),
    );
    talk.says(
        &ask("HEAD", "id"),
        &told("upload-offset: 0\nupload-length: 11\nupload-complete: ?0\nupload-expires: {time}"),
    );
    running.write_all(b" world").unwrap();
    assert_eq!(Reply::read(&mut running).status, 204);
    talk.says(&patch("id", 0, "hello"), &appended(5));
}

/// Unfinished uploads are bounded: by owner, and in all.
#[test]
fn unfinished_uploads_are_bounded() {
    for (limit, status, code, words) in [
        (
            "--max-unfinished",
            "429 Too Many Requests",
            "too_many_unfinished",
            "you have 2 unfinished uploads; finish or cancel one first",
        ),
        (
            "--max-unfinished-in-all",
            "503 Service Unavailable",
            "too_many_uploads",
            "too many uploads are under way; try again in a moment",
        ),
    ] {
        let server = Server::start(&[limit, "2"]);
        let mut talk = Talk::with(&server);
        talk.says(&post("Upload-Length: 5"), &created("a", 0));
        talk.says(&post("Upload-Length: 5"), &created("b", 0));
        talk.says(
            &post("Upload-Length: 5"),
            &refused(status, "retry-after: 5", code, words),
        );
        talk.says(&patch("a", 0, "hello"), &super::talk::completed(5));
        talk.says(&post("Upload-Length: 5"), &created("c", 0));
    }
}

/// A server that stops keeps what has come, and tells the client when to come again; the next one goes on.
#[test]
fn a_server_that_stops_keeps_all_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let mut server = Server::start_in(&dir, &["--shutdown-grace", "0s"]);
    let mut talk = Talk::with(&server);
    talk.says(
        &post("Upload-Length: 11\nUpload-Metadata: filename ZGlzaA=="),
        &created("id", 0),
    );
    let id = talk.name("id").to_owned();
    let mut running = talk.begins("id", &patch("id", 0, "hello world"), 5, 5);
    server.signal(Signal::TERM);
    let reply = Reply::read(&mut running);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (503, Some("shutting_down"))
    );
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(reply.header("upload-offset"), Some("5"));
    assert_eq!(reply.header("tus-resumable"), Some("1.0.0"));
    assert!(server.ends().success());

    let server = Server::start_in(&dir, &[]);
    let record = server.get(&format!("/uploads/{id}")).json();
    assert_eq!(
        (&record["state"], &record["offset"], &record["length"]),
        (&"interrupted".into(), &5.into(), &11.into())
    );
    let mut talk = Talk::with(&server);
    let at = |request: String| request.replace("{id}", &id);
    talk.says(
        &at(ask("HEAD", "id")),
        &told(
            "upload-offset: 5\nupload-length: 11\nupload-complete: ?0\nupload-metadata: filename ZGlzaA==\nupload-expires: {time}",
        ),
    );
    talk.says(&at(patch("id", 5, " world")), &super::talk::completed(11))
        .stored(&[("dish", b"hello world")]);
}

/// Without a store that keeps what has come, or with a handler that cannot go on, nothing of tus is offered.
#[test]
fn where_a_handler_cannot_go_on_tus_is_not_offered() {
    struct Forgetful;
    impl UploadHandler for Forgetful {
        fn chunk(&mut self, chunk: bytes::Bytes) -> Result<bytes::Bytes, Stop> {
            Ok(chunk)
        }
    }
    let server = Served::start(|lift| lift.handler(|| Forgetful), |serve| serve);
    let send = |request: &str| {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Reply::read(&mut stream)
    };
    let options = send("OPTIONS /files/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(options.header("allow"), Some("GET, HEAD, PUT, OPTIONS"));
    assert_eq!(options.header("tus-version"), None);
    for line in ["POST /files/", "PATCH /files/x", "DELETE /files/x"] {
        let reply = send(&format!(
            "{line} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 0\r\nContent-Length: 0\r\n\r\n"
        ));
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD, PUT, OPTIONS")),
            "{line}"
        );
        assert_eq!(reply.header("tus-resumable"), None, "{line}");
    }
    let put = send("PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(put.status, 201);
}

/// The id is the right to an upload; where the app names an owner, that one alone has it, and to others it is unknown.
#[test]
fn an_upload_that_the_app_gave_an_owner_is_unknown_to_others() {
    let app = async |ask: Ask| {
        let user = ask
            .headers
            .get("x-user")
            .and_then(|user| user.to_str().ok());
        let owner = user.map(|user| Owner::Named(user.into()));
        Ok(Grant {
            owner,
            ..Grant::default()
        })
    };
    let server = Served::start(|lift| lift.allow(app), |serve| serve);
    let send = |line: &str, user: &str, fields: &str, body: &str| {
        let mut stream = server.connect();
        let user = if user.is_empty() {
            String::new()
        } else {
            format!("X-User: {user}\r\n")
        };
        let request = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nContent-Length: {}\r\n{user}{fields}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        match line.starts_with("HEAD") {
            true => Reply::read_head(&mut stream),
            false => Reply::read(&mut stream),
        }
    };
    let begin = |concat: &str| {
        let reply = send(
            "POST /files/",
            "cook",
            &format!("Upload-Length: 3\r\n{concat}"),
            "",
        );
        reply.header("location").unwrap().to_owned()
    };
    let bytes = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n";
    let (whole, part) = (begin(""), begin("Upload-Concat: partial\r\n"));
    let join = format!("Upload-Concat: final;{part}\r\n");
    // Under way, and once more when it is complete.
    for complete in [false, true] {
        for other in ["guest", ""] {
            for url in [&whole, &part] {
                for line in ["HEAD", "PATCH", "DELETE"] {
                    let reply = send(&format!("{line} {url}"), other, bytes, "");
                    assert_eq!(reply.status, 404, "{line} {other} {complete}");
                    assert_eq!(reply.header("upload-offset"), None);
                }
                let record = url.replace("/files/", "/uploads/");
                let reply = send(&format!("DELETE {record}"), other, "", "");
                assert_eq!(reply.status, 404, "{record} {other} {complete}");
            }
            assert_eq!(send("POST /files/", other, &join, "").status, 404);
        }
        if !complete {
            for url in [&whole, &part] {
                assert_eq!(
                    send(&format!("PATCH {url}"), "cook", bytes, "abc").status,
                    204
                );
            }
        }
    }
    assert_eq!(send("POST /files/", "cook", &join, "").status, 201);
    for url in [&whole, &part] {
        assert_eq!(send(&format!("HEAD {url}"), "cook", "", "").status, 204);
        assert_eq!(send(&format!("DELETE {url}"), "cook", "", "").status, 204);
    }
}

/// A telephone changes networks while it uploads, a browser its cookie.
#[test]
fn another_address_or_cookie_goes_on_with_the_upload() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let cookie = |last: char| format!("Cookie: dw={}{last}", "0".repeat(31));
    let begin = format!("Upload-Length: 6\n{}", cookie('1'));
    talk.says(&post(&begin), &created("id", 0));
    let other = patch("id", 0, "abc").replace("Host: a", &format!("Host: a\n{}", cookie('2')));
    talk.says(&other, &appended(3));
    let mut elsewhere = connect_from(server.address, 9);
    talk.says_on(
        &mut elsewhere,
        &patch("id", 3, "def"),
        &super::talk::completed(6),
    );
    assert_eq!(server.read(&server.files()[0]), b"abcdef");
}
