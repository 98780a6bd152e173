//! `POST /upload`, byte for byte.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::{Reply, Server, eventually, form, noise, part, post, stays_inside};

const ARTICLE: &[&str] = &["--name", "{form.id}", "--on-conflict", "replace"];

#[test]
fn the_articles_form_is_stored_under_the_id_that_comes_behind_the_file() {
    let server = Server::start(ARTICLE);
    let picture = noise(300_000);
    for content in [&picture[..], b"another dish"] {
        let body = form(&[
            part("picture", Some("paella.jpg"), content),
            part("X-Progress-ID", None, b"hidden"),
            part("id", None, b"12"),
        ]);
        let reply = server.post("/upload?X-Progress-ID=0.42", "", &body);
        assert_eq!(reply.status, 201, "{reply:?}");
        let record = reply.json();
        assert_eq!(
            record["progress_id"], "0.42",
            "the hidden field is data only"
        );
        assert_eq!(record["fields"]["X-Progress-ID"], "hidden");
        assert_eq!(record["state"], "done");
        assert_eq!(record["length"], body.len());
        assert_eq!(record["received"], body.len());
        assert_eq!(record["offset"], body.len());
        assert_eq!(record["files"][0]["length"], content.len());
        assert_eq!(server.read("12"), content);
        assert_eq!(
            server.files(),
            ["12"],
            "a second picture of the dish replaces the first"
        );
    }
    assert!(server.under_way().is_empty());
}

#[test]
fn any_number_of_files_under_any_names_come_in_one_form() {
    let server = Server::start(&[]);
    let parts = [
        part("a", Some("one.jpg"), b"1"),
        part("note", None, "grüße".as_bytes()),
        part("b", Some("料理.jpg"), b"2"),
        part("a", Some("one.jpg"), b"3"),
        part("none", Some(""), b""),
        part("empty", Some("empty.jpg"), b""),
    ];
    let record = server.post("/upload", "", &form(&parts)).json();
    let names: Vec<_> = record["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one.jpg", "料理.jpg", "one-1.jpg", "empty.jpg"]);
    assert_eq!(record["fields"]["note"], "grüße");
    assert!(record["url"].is_null(), "several files have no one URL");
    assert_eq!(server.read("one-1.jpg"), b"3");
    assert_eq!(server.read("empty.jpg"), b"");
    let url = record["files"][1]["url"].as_str().unwrap();
    assert_eq!(server.get(url).body, b"2");
}

#[test]
fn the_progress_id_comes_from_the_query_or_else_the_header() {
    let server = Server::start(&[]);
    let body = form(&[part("f", Some("a"), b"x")]);
    for (target, header, expected) in [
        ("/upload?X-Progress-ID=q", "X-Progress-ID: h\r\n", "q"),
        ("/upload", "X-Progress-ID: h\r\n", "h"),
        ("/upload?X-Progress-ID=a%20b", "", "a b"),
    ] {
        assert_eq!(
            server.post(target, header, &body).json()["progress_id"],
            expected
        );
    }
    let long = format!("/upload?X-Progress-ID={}", "x".repeat(201));
    let reply = server.post(&long, "", &body);
    assert_eq!(
        reply.status, 201,
        "a bad progress id never fails the upload"
    );
    assert!(reply.json()["progress_id"].is_null());
}

#[test]
fn a_form_without_enctype_hears_which_attribute_to_add() {
    let server = Server::start(&[]);
    for content_type in ["application/x-www-form-urlencoded", "text/plain"] {
        let request = format!(
            "POST /upload?X-Progress-ID=e HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: 3\r\n\r\na=b"
        );
        let reply = server.send(request.as_bytes());
        assert_eq!(reply.status, 415);
        assert_eq!(reply.json()["code"], "missing_enctype");
        assert!(reply.text().contains("enctype"), "{}", reply.text());
    }
    let poll = server.get("/get_upload_progress?X-Progress-ID=e").json();
    assert_eq!(
        poll["error"], "missing_enctype",
        "whoever watches hears of it too"
    );
}

#[test]
fn the_answer_comes_in_the_clients_language() {
    let server = Server::start(&[]);
    let body = form(&[part("id", None, b"<12>"), part("f", Some("a&b.jpg"), b"x")]);
    let answer = |accept: &str, target: &str, body: &[u8]| {
        server.post(target, &format!("Accept: {accept}\r\n"), body)
    };

    let xml = answer("application/xml, text/xml, */*; q=0.01", "/upload", &body);
    assert_eq!(xml.header("content-type"), Some("application/xml"));
    assert!(xml.text().contains("<state>done</state>"), "{}", xml.text());
    assert!(
        xml.text().contains("<field name=\"id\">&lt;12&gt;</field>"),
        "{}",
        xml.text()
    );
    assert!(
        xml.text().contains("<name>a&amp;b.jpg</name>"),
        "{}",
        xml.text()
    );

    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let html = answer(browser, "/upload", &body);
    assert!(
        html.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        html.text().contains("1 file has arrived"),
        "{}",
        html.text()
    );

    let next = answer(browser, "/upload?next=/thanks", &body);
    assert_eq!(
        (next.status, next.header("location")),
        (303, Some("/thanks"))
    );
    let evil = answer(browser, "/upload?next=//evil.example/", &body);
    assert_eq!(evil.status, 201, "an unsafe next is not followed");

    let refused = answer("application/xml", "/upload", b"no form");
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("<code>truncated_form</code>"),
        "{}",
        refused.text()
    );
}

#[test]
fn what_breaks_off_ends_in_an_error_and_leaves_nothing() {
    let server = Server::start(&[]);
    let whole = form(&[part("f", Some("a.jpg"), &noise(200_000))]);
    let truncated = &whole[..whole.len() - 9];

    let reply = server.post("/upload?X-Progress-ID=truncated", "", truncated);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (400, Some("truncated_form"))
    );

    // A Content-Length that promises more than comes.
    let request = post("/upload?X-Progress-ID=gone", "", &whole);
    let mut client = server.connect();
    client.write_all(&request[..request.len() / 2]).unwrap();
    eventually(
        || server.get("/get_upload_progress?X-Progress-ID=gone").json(),
        |poll| poll["uploaded"] != 0,
    );
    drop(client);

    for (id, code) in [("truncated", "truncated_form"), ("gone", "client_gone")] {
        let poll = eventually(
            || {
                server
                    .get(&format!("/get_upload_progress?X-Progress-ID={id}"))
                    .json()
            },
            |poll| poll["state"] == "error",
        );
        assert_eq!(poll["error"], code, "{poll}");
        assert!(
            poll["length"].as_u64().unwrap() > poll["uploaded"].as_u64().unwrap(),
            "never 100 %: {poll}"
        );
    }
    assert!(server.files().is_empty(), "{:?}", server.files());
    assert!(server.under_way().is_empty(), "{:?}", server.under_way());
}

/// A connection on which the next request is read by the control thread: what came first on it was a poll.
fn polled(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client
        .write_all(b"GET /progress?X-Progress-ID=x HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut client).status, 200);
    client
}

#[test]
fn a_client_that_closes_its_side_behind_the_last_byte_gets_its_answer() {
    let server = Server::start(&[]);
    let form = form(&[part("f", Some("a.jpg"), &noise(300_000))]);
    for mut client in [server.connect(), polled(&server)] {
        client.write_all(&post("/upload", "", &form)).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(Reply::read(&mut client).status, 201);
    }
}

#[test]
fn an_upload_whose_client_leaves_behind_the_last_byte_is_done() {
    let server = Server::start(&[]);
    for (number, length) in [0, 10, 1_000, 100_000, 1_000_000].into_iter().enumerate() {
        let form = form(&[part("f", Some("a.jpg"), &noise(length))]);
        for (plane, mut client) in [("data", server.connect()), ("control", polled(&server))] {
            let id = format!("{plane}{number}");
            let target = format!("/upload?X-Progress-ID={id}");
            client.write_all(&post(&target, "", &form)).unwrap();
            drop(client);
            eventually(
                || server.get(&format!("/uploads?X-Progress-ID={id}")).json(),
                |records| records[0]["state"] == "done",
            );
        }
    }
    assert_eq!(server.files().len(), 10);
}

#[test]
fn a_refusal_reaches_a_client_that_writes_all_before_it_reads() {
    let server = Server::start(&["--max-file-size", "1MB"]);
    let body = form(&[part("f", Some("large.jpg"), &noise(64 * 1024 * 1024))]);
    for (target, content_type, code) in [
        (
            "/upload",
            "multipart/form-data; boundary=b",
            "file_too_large",
        ),
        (
            "/upload",
            "application/x-www-form-urlencoded",
            "missing_enctype",
        ),
        ("/nowhere", "text/plain", "not_found"),
    ] {
        let mut client = server.connect();
        client
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client
            .write_all(&body)
            .unwrap_or_else(|e| panic!("{code}: the server stopped reading: {e}"));
        let reply = Reply::read(&mut client);
        assert_eq!(reply.json()["code"], code);
    }
    assert!(server.files().is_empty());
    assert!(server.under_way().is_empty());
}

#[test]
fn two_uploads_of_one_name_at_once_are_not_mixed() {
    let server = Server::start(ARTICLE);
    let bodies: Vec<_> = [b'x', b'y'].map(|c| vec![c; 3_000_000]).to_vec();
    std::thread::scope(|scope| {
        for content in &bodies {
            let body = form(&[
                part("picture", Some("p.jpg"), content),
                part("id", None, b"7"),
            ]);
            let server = &server;
            scope.spawn(move || {
                assert_eq!(
                    server.post("/upload?X-Progress-ID=same", "", &body).status,
                    201
                )
            });
        }
    });
    assert!(
        bodies.contains(&server.read("7")),
        "the file is one of the two, whole"
    );
    assert_eq!(server.files(), ["7"]);
}

#[test]
fn names_stay_inside_the_folder() {
    let server = Server::start(&[]);
    for hostile in [
        "../../etc/passwd",
        "..",
        "/etc/passwd",
        "C:\\\\Windows\\\\win.ini",
        ".dumbwaiter/records.redb",
        "CON",
        "\u{202e}gpj.exe",
    ] {
        let reply = server.post("/upload", "", &form(&[part("f", Some(hostile), b"x")]));
        stays_inside(&server, &reply, hostile);
    }
}

#[test]
fn a_template_that_names_nothing_is_a_clear_error() {
    let server = Server::start(ARTICLE);
    let reply = server.post(
        "/upload",
        "",
        &form(&[part("picture", Some("p.jpg"), b"x")]),
    );
    assert_eq!(reply.status, 422);
    assert_eq!(reply.json()["code"], "unusable_name");
    assert!(reply.text().contains("id"), "{}", reply.text());
    assert!(server.files().is_empty());
}

#[test]
fn a_taken_name_is_refused_when_told_to() {
    let server = Server::start(&["--on-conflict", "reject"]);
    let body = |parts: &[&str]| {
        form(
            &parts
                .iter()
                .map(|name| part("f", Some(name), b"x"))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(server.post("/upload", "", &body(&["a"])).status, 201);
    let reply = server.post("/upload", "", &body(&["b", "a", "c"]));
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (409, Some("name_taken"))
    );
    assert_eq!(server.files(), ["a"], "all of a form or nothing");
}

#[test]
fn what_a_handler_is_told_to_do_is_done() {
    let server = Server::start(&["--digest", "sha256", "--allow-type", "image/*"]);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let reply = server
        .post("/upload", "", &form(&[part("f", Some("a.png"), png)]))
        .json();
    assert_eq!(
        reply["files"][0]["type"], "image/png",
        "what was found, not what was said"
    );
    assert!(
        reply["files"][0]["digest"]
            .as_str()
            .unwrap()
            .starts_with("sha256:"),
        "{reply}"
    );
    let refused = server.post(
        "/upload",
        "",
        &form(&[part("f", Some("a.png"), b"MZ no picture at all")]),
    );
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (415, Some("type_not_allowed"))
    );
    assert_eq!(server.files(), ["a.png"]);
}

#[test]
fn a_form_beyond_a_limit_is_refused_whole() {
    for (option, what, parts) in [
        (
            ["--max-files", "2"],
            "files",
            vec![part("f", Some("a"), b"x"); 3],
        ),
        (
            ["--max-fields", "2"],
            "fields",
            vec![part("f", None, b"x"); 3],
        ),
        (
            ["--max-field-bytes", "9"],
            "bytes in fields and in what is said of files",
            vec![part("f", None, b"1234"); 2],
        ),
        (
            ["--max-part-head", "100"],
            "bytes in a part's head",
            vec![part("f", Some(&"a".repeat(99)), b"x")],
        ),
    ] {
        let server = Server::start(&option);
        let first = [part("kept", Some("first"), &noise(300_000))];
        let reply = server.post("/upload", "", &form(&[&first[..], &parts].concat()));
        let problem = reply.json();
        assert_eq!(
            (reply.status, problem["code"].as_str()),
            (413, Some("limit_exceeded")),
            "{option:?}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(what),
            "{problem}"
        );
        assert!(server.files().is_empty(), "{option:?}");
        assert!(server.under_way().is_empty(), "{option:?}");
    }
}

#[test]
fn what_a_thousand_files_say_of_themselves_is_bounded() {
    let server = Server::start(&[]);
    let part = |number: usize| {
        let words = "x".repeat(7_000);
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{number}\"\r\nContent-Type: a/{words}\r\n\r\n\r\n"
        )
        .into_bytes()
    };
    let parts: Vec<_> = (0..1_000).map(part).collect();
    let reply = server.post("/upload", "", &form(&parts));
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(reply.json()["code"], "limit_exceeded");
    assert!(server.files().is_empty() && server.under_way().is_empty());
}

#[test]
fn an_answer_of_many_large_records_is_bounded() {
    let server = Server::start(&[]);
    let parts: Vec<_> = (0..900)
        .map(|number| part("f", Some(&format!("{number}.jpg")), b""))
        .collect();
    let id = server.post("/upload", "", &form(&parts)).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = |times: usize| {
        server.get(&format!(
            "/uploads?{}",
            vec![format!("id={id}"); times].join("&")
        ))
    };
    assert_eq!(ask(2).json().as_array().unwrap().len(), 2);
    let reply = ask(100);
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (413, Some("limit_exceeded"))
    );
}
