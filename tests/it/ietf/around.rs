//! "Security Considerations", and what the protocol leaves to us: who may, foreign origins, bases, places, the end of a
//! server.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dumbwaiter::Refusal;
use dumbwaiter::rights::{Ask, Grant};
use dumbwaiter::upload::Owner;
use rustix::process::Signal;

use super::talk::{ALL, NEWEST, NONE, Talk, not_found, refused};
use crate::serve::Served;
use crate::support::{Reply, Server, connect_from, eventually, write_for_us_alone};

/// What is sent to a server in this process.
fn send(server: &Served, line: &str, fields: &str, body: &str) -> Reply {
    let request = format!(
        "{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    match line.starts_with("HEAD") {
        true => Reply::read_head(&mut stream),
        false => Reply::read(&mut stream),
    }
}

/// Rights may go between the first request and the last: they are asked again before anything becomes visible.
#[test]
fn rights_are_asked_again_by_the_request_that_completes() {
    let may = Arc::new(AtomicBool::new(true));
    let asked = may.clone();
    let app = move |_: Ask| {
        let may = asked.load(Ordering::SeqCst);
        async move {
            match may {
                true => Ok(Grant::default()),
                false => Err(Refusal {
                    status: 403,
                    ..Refusal::new("no longer")
                }),
            }
        }
    };
    let server = Served::start(|lift| lift.allow(app), |serve| serve);
    let append =
        "Upload-Offset: 2\r\nUpload-Complete: ?1\r\nContent-Type: application/partial-upload";
    for line in ["POST /files/", "PUT /files/dish"] {
        may.store(true, Ordering::SeqCst);
        let reply = send(&server, line, "Upload-Complete: ?0", "he");
        let url = reply.header("location").unwrap().to_owned();
        may.store(false, Ordering::SeqCst);
        for method in ["PATCH", "HEAD", "DELETE"] {
            let reply = send(&server, &format!("{method} {url}"), append, "llo");
            assert_eq!(reply.status, 403, "{method}: {reply:?}");
            assert_eq!(reply.header("upload-offset"), None);
        }
        assert!(server.names().is_empty(), "nothing is visible");
        may.store(true, Ordering::SeqCst);
        assert_eq!(
            send(&server, &format!("PATCH {url}"), append, "llo").status,
            201
        );
        assert_eq!(send(&server, &format!("DELETE {url}"), "", "").status, 204);
    }
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
    let by = |user: &str, line: &str, fields: &str, body: &str| {
        let user = if user.is_empty() {
            String::new()
        } else {
            format!("\r\nX-User: {user}")
        };
        send(&server, line, &format!("{fields}{user}"), body)
    };
    for line in ["POST /files/", "PUT /files/dish"] {
        let reply = by("cook", line, "Upload-Complete: ?0", "he");
        let url = reply.header("location").unwrap().to_owned();
        let append =
            "Upload-Offset: 2\r\nUpload-Complete: ?1\r\nContent-Type: application/partial-upload";
        // Under way, and once more when it is complete.
        for body in ["llo", ""] {
            for other in ["guest", ""] {
                for method in ["PATCH", "HEAD", "DELETE"] {
                    let reply = by(other, &format!("{method} {url}"), append, "");
                    let is_file = body.is_empty() && method == "HEAD";
                    let expected = if is_file { 200 } else { 404 };
                    assert_eq!(reply.status, expected, "{method} by {other:?}");
                    assert_eq!(reply.header("upload-offset"), None);
                }
            }
            if !body.is_empty() {
                assert_eq!(
                    by("cook", &format!("PATCH {url}"), append, body).status,
                    201
                );
            }
        }
        assert_eq!(by("cook", &format!("DELETE {url}"), "X: y", "").status, 204);
    }
}

/// A telephone changes networks while it uploads, a browser its cookie.
#[test]
fn another_address_or_cookie_goes_on_with_the_upload() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    let cookie = |last: char| format!("Cookie: dw={}{last}", "0".repeat(31));
    talk.says(
        &NONE.create(&cookie('1'), false, "he"),
        &NONE.created("id", 2),
    );
    let other = NONE.append_with("id", 2, false, &cookie('2'), "l");
    talk.says(&other, &NONE.appended(3));
    let mut elsewhere = connect_from(server.address, 9);
    talk.says_on(
        &mut elsewhere,
        &NONE.append("id", 3, true, "lo"),
        &NONE.completed("id", 5),
    );
}

/// Who may not is told so before any byte, whatever is asked for.
#[test]
fn a_token_is_wanted_with_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    write_for_us_alone(&tokens, "secret-of-the-kitchen\n");
    let server = Server::start(&["--token", tokens.to_str().unwrap()]);
    let mut talk = Talk::with(&server);
    let bearer = "Authorization: Bearer secret-of-the-kitchen";
    talk.says(&NONE.create(bearer, false, "he"), &NONE.created("id", 2));
    for version in [&ALL[..], &[NONE]].concat() {
        // What shows no sign of the protocol is a look at what is stored, and the id is the right to that.
        let asks = NEWEST.ask("HEAD", "id");
        for request in [
            version.create("", false, "he"),
            version.create("", true, "he"),
            version.append("id", 2, true, "y"),
            asks,
            version.request("PUT /files/x", &version.complete(false), "he"),
        ] {
            let reply = talk.answer(&request);
            assert_eq!(
                (reply.status, reply.header("upload-offset")),
                (401, None),
                "{request}"
            );
        }
    }
    assert_eq!(server.under_way().len(), 1);
    talk.says(
        &NONE.append_with("id", 2, true, bearer, "y"),
        &NONE.completed("id", 3),
    );
}

/// The script of a page elsewhere gets all that it needs, on refusals too.
#[test]
fn a_page_of_an_allowed_origin_can_send_and_read_all_of_it() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let talk = Talk::with(&server);
    let list = |reply: &Reply, field: &str| -> Vec<String> {
        let list = reply.header(field).unwrap_or_default().to_ascii_lowercase();
        list.split(", ").map(str::to_owned).collect()
    };
    let sends = "upload-offset, upload-length, upload-complete, upload-incomplete, upload-draft-interop-version, \
        content-type, content-disposition, repr-digest, content-digest, want-repr-digest, want-content-digest, incremental";
    let reads = "upload-offset, upload-length, upload-complete, upload-incomplete, upload-limit, \
        upload-draft-interop-version, location, accept-patch, repr-digest, want-repr-digest, want-content-digest";
    let from = "Origin: https://app.example";
    for path in [
        "/files/",
        "/upload",
        "/files/00112233445566778899aabbccddeeff",
    ] {
        let fields = format!(
            "{from}\nAccess-Control-Request-Method: PATCH\nAccess-Control-Request-Headers: upload-complete"
        );
        let reply = talk.answer(&NONE.request(&format!("OPTIONS {path}"), &fields, ""));
        assert_eq!(reply.status, 204);
        let allowed = list(&reply, "access-control-allow-headers");
        for field in sends.split(", ") {
            assert!(allowed.contains(&field.to_owned()), "{path}: {field}");
        }
        let methods = list(&reply, "access-control-allow-methods");
        for method in ["post", "put", "head", "patch", "delete"] {
            assert!(methods.contains(&method.to_owned()), "{path}: {method}");
        }
    }
    let unknown = "PATCH /files/00112233445566778899aabbccddeeff";
    let kind = "Content-Type: application/partial-upload\nUpload-Offset: 0\nUpload-Complete: ?1";
    for (request, status) in [
        (NEWEST.create(from, false, "he"), 201),
        (NEWEST.create(from, true, "he"), 201),
        (NEWEST.request("POST /files/", from, ""), 400),
        (
            NEWEST.request(unknown, &format!("{kind}\n{from}"), "x"),
            404,
        ),
        (NEWEST.request("OPTIONS /files/", from, ""), 204),
    ] {
        let reply = talk.answer(&request);
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("https://app.example")
        );
        let exposed = list(&reply, "access-control-expose-headers");
        for field in reads.split(", ") {
            assert!(exposed.contains(&field.to_owned()), "{request}: {field}");
        }
    }
}

/// A foreign page begins, goes on with and ends nothing.
#[test]
fn a_foreign_page_is_refused() {
    let server = Server::start(&[]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    let from = "Origin: https://evil.example";
    for request in [
        NONE.create(from, false, "he"),
        NONE.create(from, true, "he"),
        NONE.append_with("id", 2, true, from, "y"),
        NONE.request("DELETE /files/{id}", from, ""),
        NONE.request(
            "PUT /files/x",
            &format!("Upload-Complete: ?0\n{from}"),
            "he",
        ),
    ] {
        let reply = talk.answer(&request);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (403, &"origin_not_allowed".into())
        );
    }
    talk.says(&NONE.append("id", 2, true, "y"), &NONE.completed("id", 3));
    assert_eq!(server.files().len(), 1);
}

/// `Location` is a path, below the base and a trusted proxy's prefix; a whole URL when that is asked for.
#[test]
fn location_is_a_path_or_on_demand_a_whole_url() {
    let location = |args: &[&str], fields: &str| {
        let server = Server::start(&[&["--base", "/up"], args].concat());
        let request = NONE.request(
            "PUT /up/files/x",
            &format!("Upload-Complete: ?0\n{fields}"),
            "he",
        );
        let reply = Talk::with(&server).answer(&request);
        let location = reply.header("location").unwrap().to_owned();
        location.rsplit_once('/').unwrap().0.to_owned()
    };
    let proxied = "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: files.example\n\
        X-Forwarded-Prefix: /in";
    let trust = ["--trusted-proxy", "127.0.0.1", "--host", "files.example"];
    let absolute = ["--location", "absolute"];
    assert_eq!(location(&[], ""), "/up/files");
    assert_eq!(location(&trust, proxied), "/in/up/files");
    assert_eq!(location(&absolute, ""), "http://a/up/files");
    assert_eq!(
        location(&[&trust[..], &absolute].concat(), proxied),
        "https://files.example/in/up/files"
    );
}

/// How far it is a client hears also where every place is taken: others are told to come again with their bytes.
#[test]
fn head_is_answered_where_every_place_is_taken() {
    let server = Server::start(&["--max-uploads", "1"]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("id", 2));
    talk.says(&NONE.create("", false, ""), &NONE.created("other", 0));
    let mut running = talk.begins("other", &NONE.append("other", 0, true, "hello world"), 5, 5);
    let full = |fields: &str| {
        refused(
            "503 Service Unavailable",
            &format!("connection: close\nretry-after: 5\n{fields}"),
            "too_many_uploads",
            "too many uploads are under way; try again in a moment",
        )
    };
    talk.says(&NONE.create("", false, "he"), &full(""));
    let stands = NONE.stands(2);
    let stands = stands.strip_prefix("connection: close\n").unwrap();
    talk.says(&NONE.append("id", 2, true, "y"), &full(stands));
    talk.says(&NONE.ask("HEAD", "id"), &NONE.told(2, None));
    running.write_all(b" world").unwrap();
    assert_eq!(Reply::read(&mut running).status, 201);
    talk.says(&NONE.append("id", 2, true, "y"), &NONE.completed("id", 3));
}

/// Unfinished uploads are bounded by owner, whatever they were begun by.
#[test]
fn unfinished_uploads_are_bounded() {
    let server = Server::start(&["--max-unfinished", "2"]);
    let mut talk = Talk::with(&server);
    talk.says(&NONE.create("", false, "he"), &NONE.created("a", 2));
    let put = NONE.request("PUT /files/x", "Upload-Complete: ?0", "he");
    talk.says(&put, &NONE.created("b", 2));
    let reply = talk.answer(&put);
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (429, &"too_many_unfinished".into())
    );
    talk.says(&NONE.append("a", 2, true, "y"), &NONE.completed("a", 3));
    talk.says(&put, &NONE.created("c", 2));
}

/// "Lifetime": one that nobody goes on with is gone, and nothing of it is left.
#[test]
fn an_unfinished_upload_expires() {
    let server = Server::start(&["--expire-after", "1s"]);
    let mut talk = Talk::with(&server);
    let reply = talk.answer(&NONE.request("PUT /files/x", "Upload-Complete: ?0", "he"));
    assert!(
        reply
            .header("upload-limit")
            .unwrap()
            .starts_with("max-age=")
    );
    let id = reply
        .header("location")
        .unwrap()
        .strip_prefix("/files/")
        .unwrap();
    talk.knows("id", id);
    let record = eventually(|| talk.record("id"), |record| record["state"] == "error");
    assert_eq!(record["error"]["code"], "expired");
    assert!(server.under_way().is_empty());
    talk.says(
        &NONE.append("id", 2, true, "y"),
        &not_found("connection: close"),
    );
}

/// A server that stops keeps what has come, and tells the client where it stands and when to come again.
#[test]
fn a_server_that_stops_keeps_all_and_the_next_one_goes_on() {
    for version in [&ALL[..], &[NONE]].concat() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("uploads");
        let mut server = Server::start_in(&dir, &["--shutdown-grace", "0s"]);
        let mut talk = Talk::with(&server);
        let put = version.request("PUT /files/dish", &version.complete(false), "");
        talk.says(&put, &version.created("id", 0));
        let id = talk.name("id").to_owned();
        let mut running = talk.begins("id", &version.append("id", 0, true, "hello world"), 5, 5);
        server.signal(Signal::TERM);
        let reply = Reply::last(&mut running);
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (503, &"shutting_down".into())
        );
        assert_eq!(reply.header("retry-after"), Some("5"));
        assert_eq!(reply.header("upload-offset"), Some("5"));
        assert!(server.ends().success());

        let server = Server::start_in(&dir, &[]);
        let mut talk = Talk::with(&server);
        talk.knows("id", &id);
        let record = talk.record("id");
        assert_eq!(
            (&record["state"], &record["offset"]),
            (&"interrupted".into(), &5.into())
        );
        assert_eq!(
            (&record["protocol"], &record["length"]),
            (&"put".into(), &11.into())
        );
        talk.says(&version.ask("HEAD", "id"), &version.told(5, Some(11)));
        let end = version.append("id", 5, true, " world");
        talk.says(&end, &version.completed("id", 11))
            .stored(&[("dish", b"hello world")]);
    }
}

/// A part of what tus puts together takes bytes in any language. It is no file, so where it ends none is told of.
#[test]
fn a_part_of_what_tus_puts_together_says_that_it_is_complete() {
    let server = Server::start(&[]);
    let send = |line: &str, fields: &str, body: &str| {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}");
        server.send(head.as_bytes())
    };
    let fields = "Tus-Resumable: 1.0.0\r\nUpload-Concat: partial\r\nUpload-Length: 5\r\n";
    let begun = send("POST /files/", fields, "");
    let line = format!("PATCH {}", begun.header("location").unwrap());
    for (offset, body) in [(0, "hello"), (5, "")] {
        let fields = format!(
            "Content-Type: application/partial-upload\r\nUpload-Offset: {offset}\r\nUpload-Complete: ?1\r\n"
        );
        let reply = send(&line, &fields, body);
        assert_eq!(
            (reply.status, reply.header("upload-offset")),
            (204, Some("5")),
            "{reply:?}"
        );
        assert_eq!(reply.header("upload-complete"), Some("?1"));
    }
    assert!(server.files().is_empty());
}
