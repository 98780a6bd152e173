//! Who may do what with which name: each test stands beside a sentence of `SECURITY.md`, which names it.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::ended::ended;
use crate::support::logged::Logged;
use crate::support::{Reply, Server, eventually, form, part, post};

const TOKEN: &str = "a-token-of-some-length";
const COOKIE: &str = "dw=00112233445566778899aabbccddeeff";
const OTHER_COOKIE: &str = "dw=ffeeddccbbaa99887766554433221100";

fn token_file(text: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

/// The binary's own words when it does not start.
fn refuses(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.args(args);
    let output = ended(&mut command);
    assert!(!output.status.success(), "{args:?} was taken");
    String::from_utf8(output.stderr).unwrap()
}

fn picture() -> Vec<u8> {
    form(&[part("f", Some("a.jpg"), b"12345")])
}

fn upload(server: &Server, headers: &str) -> Reply {
    server.post("/upload", headers, &picture())
}

fn put(server: &Server, headers: &str) -> Reply {
    let request =
        format!("PUT /files/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{headers}\r\nx");
    server.send(request.as_bytes())
}

fn code(reply: &Reply) -> String {
    reply.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_server_that_others_reach_says_who_may_upload_or_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let words = refuses(&["--listen", address, "--dir", dir.to_str().unwrap()]);
        for rule in ["--token", "--allow-from", "--secret-link", "--allow-anyone"] {
            assert!(words.contains(rule), "{address}: {words}");
        }
        assert!(!dir.exists());
    }
    let words = refuses(&["--allow-anyone", "--allow-from", "10.0.0.0/8"]);
    assert!(words.contains("choose"), "{words}");
}

#[test]
fn with_a_token_file_only_who_sends_a_token_uploads() {
    let (_folder, path) = token_file(&format!("# people\n{TOKEN}\n"), 0o600);
    let server = Server::start(&["--token", path.to_str().unwrap()]);
    // dXNlcjphLXRva2VuLW9mLXNvbWUtbGVuZ3Ro is user:a-token-of-some-length.
    for (header, status) in [
        ("", 401),
        ("Authorization: Bearer wrong-token-of-length\r\n", 401),
        ("Authorization: Basic dXNlcjp3cm9uZw==\r\n", 401),
        ("Authorization: Bearer a-token-of-some-length\r\n", 201),
        (
            "Authorization: Basic dXNlcjphLXRva2VuLW9mLXNvbWUtbGVuZ3Ro\r\n",
            201,
        ),
    ] {
        assert_eq!(upload(&server, header).status, status, "{header}");
        assert_eq!(put(&server, header).status, status, "{header}");
    }
    assert_eq!(server.files().len(), 4);
    let refused = upload(&server, "");
    let ways = refused
        .head
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("www-authenticate: "));
    assert_eq!(ways.count(), 2, "{}", refused.head);
    assert_eq!(code(&refused), "unauthorized");
}

#[test]
fn the_page_asks_for_the_token_and_progress_and_files_do_not() {
    let (_folder, path) = token_file(TOKEN, 0o600);
    let server = Server::start(&["--token", path.to_str().unwrap()]);
    let with = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(server.get("/").status, 401);
    assert_eq!(server.get_with("/", &with).status, 200);
    assert_eq!(server.get("/dumbwaiter.js").status, 200);
    let record = server
        .post("/upload?X-Progress-ID=1", &with, &picture())
        .json();
    for target in [
        format!("/uploads/{}", record["watch"].as_str().unwrap()),
        format!("/uploads/{}", record["id"].as_str().unwrap()),
        "/get_upload_progress?X-Progress-ID=1".to_owned(),
        record["url"].as_str().unwrap().to_owned(),
    ] {
        assert_eq!(server.get(&target).status, 200, "{target}");
    }
}

#[test]
fn a_refusal_of_rights_comes_before_the_body_and_leaves_no_record() {
    let server = Server::start(&["--allow-from", "10.0.0.0/8"]);
    let mut stream = server.connect();
    let head = "POST /upload?X-Progress-ID=7 HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let reply = Reply::read(&mut stream);
    assert_eq!((reply.status, code(&reply)), (403, "forbidden".to_owned()));
    assert_eq!(
        server.get("/get_upload_progress?X-Progress-ID=7").text(),
        "null"
    );
    assert!(server.files().is_empty() && server.under_way().is_empty());
}

#[test]
fn a_token_file_that_all_may_read_is_refused_at_start() {
    let (_folder, path) = token_file(TOKEN, 0o644);
    let words = refuses(&["--token", path.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(
        words.contains("chmod o-rwx") && words.contains(path.to_str().unwrap()),
        "{words}"
    );
}

#[test]
fn tokens_cookies_and_names_that_open_are_in_no_log_line() {
    let (_folder, path) = token_file(TOKEN, 0o600);
    let logged = Logged::start(&[
        "--token",
        path.to_str().unwrap(),
        "--log",
        "trace",
        "--secret-link",
    ]);
    let server = &logged.server;
    let secret = std::fs::read_to_string(server.dir.join(".dumbwaiter/secret-link")).unwrap();
    let target = format!("/{secret}/upload");
    let with = format!("Authorization: Bearer {TOKEN}\r\nCookie: {COOKIE}\r\n");
    let record = server.post(&target, &with, &picture()).json();
    let wrong = "Authorization: Bearer wrong-token-of-length\r\n";
    assert_eq!(server.post(&target, wrong, &picture()).status, 401);
    let foreign = format!("{with}Origin: http://evil.example\r\n");
    assert_eq!(server.post(&target, &foreign, &picture()).status, 403);
    logged.logs("evil.example");
    let (log, id) = (logged.log(), record["id"].as_str().unwrap());
    for unsaid in [TOKEN, "wrong-token-of-length", &COOKIE[3..], id, &*secret] {
        assert!(!log.contains(unsaid), "{unsaid} is in: {log}");
    }
}

#[test]
fn only_the_named_networks_upload_and_a_name_is_enough_to_look() {
    let here = Server::start(&["--allow-from", "127.0.0.0/8,10.0.0.0/8"]);
    assert_eq!(upload(&here, "").status, 201);
    let elsewhere = Server::start(&["--allow-from", "10.0.0.0/8"]);
    for reply in [
        upload(&elsewhere, ""),
        put(&elsewhere, ""),
        upload(&elsewhere, "X-Forwarded-For: 10.0.0.1\r\n"),
    ] {
        assert_eq!((reply.status, code(&reply)), (403, "forbidden".to_owned()));
    }
    assert_eq!(elsewhere.get("/").status, 403);
    assert_eq!(
        elsewhere.get("/get_upload_progress?X-Progress-ID=1").text(),
        "null"
    );
}

#[test]
fn several_rules_must_all_agree() {
    let (_folder, path) = token_file(TOKEN, 0o600);
    let with = format!("Authorization: Bearer {TOKEN}\r\n");
    for (network, with, status) in [
        ("10.0.0.0/8", &*with, 403),
        ("127.0.0.1", "", 401),
        ("127.0.0.1", &*with, 201),
    ] {
        let server = Server::start(&["--token", path.to_str().unwrap(), "--allow-from", network]);
        assert_eq!(upload(&server, with).status, status, "{network} {with}");
    }
}

#[test]
fn outside_a_secret_link_there_is_nothing_and_it_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("uploads");
    let mut server = Server::start_in(&dir, &["--secret-link"]);
    let file = dir.join(".dumbwaiter/secret-link");
    let secret = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        (
            secret.len(),
            file.metadata().unwrap().permissions().mode() & 0o777
        ),
        (32, 0o600)
    );
    let record = server
        .post(&format!("/{secret}/upload"), "", &picture())
        .json();
    let url = record["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("/{secret}/files/")), "{url}");
    assert!(server.get(&format!("/{secret}/")).text().contains("<form"));
    let wrong = "0".repeat(32);
    for target in [
        "/",
        "/dumbwaiter.js",
        "/uploads",
        "/get_upload_progress?X-Progress-ID=1",
        &format!("/{wrong}/"),
        &format!("/{}", &secret[..31]),
        &format!("/{secret}x"),
        &format!("/{}/", secret.to_uppercase()),
        &format!("//{secret}/"),
        &url[33..],
    ] {
        let reply = server.get(target);
        assert_eq!(
            (reply.status, code(&reply)),
            (404, "not_found".to_owned()),
            "{target}"
        );
    }
    assert_eq!(upload(&server, "").status, 404);
    assert_eq!(put(&server, "").status, 404);
    // A refusal that is a page or XML does not give the link away either.
    for (host, accept, status) in [
        ("a", "text/html", 404),
        ("a", "application/xml", 404),
        ("evil.example", "text/html", 421),
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let request = format!(
                "{method} /nothing HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
            );
            let reply = server.send(request.as_bytes());
            assert_eq!(reply.status, status, "{request}");
            assert!(!reply.text().contains(&secret), "{}", reply.text());
        }
    }
    server.kill();
    let server = Server::start_in(&dir, &["--secret-link"]);
    assert_eq!(server.get(url).body, b"12345");
}

#[test]
fn the_secret_link_is_printed_with_a_code_for_a_camera() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let dir = folder.path().join("uploads");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command
        .args(["--listen", "127.0.0.1:0", "--secret-link", "--dir"])
        .arg(&dir)
        .stdout(Stdio::from(std::fs::File::create(&said).unwrap()));
    let mut child = command.spawn().unwrap();
    let words = eventually(
        || std::fs::read_to_string(&said).unwrap(),
        |said| said.contains('█') && said.ends_with('\n'),
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let secret = std::fs::read_to_string(dir.join(".dumbwaiter/secret-link")).unwrap();
    let first = words.lines().next().unwrap();
    assert!(
        first.contains("http://127.0.0.1:") && first.ends_with(&format!("/{secret}/")),
        "{first}"
    );
}

#[test]
fn only_names_of_this_server_are_answered() {
    let logged = Logged::start(&["--host", "files.example"]);
    let ask = |line: &str, hosts: &str| {
        logged
            .server
            .send(format!("GET {line}\r\n{hosts}Connection: close\r\n\r\n").as_bytes())
            .status
    };
    const PAGE: &str = "/dumbwaiter.js HTTP/1.1";
    for (line, hosts, status) in [
        (PAGE, "Host: localhost:7070\r\n", 200),
        (PAGE, "Host: LocalHost.\r\n", 200),
        (PAGE, "Host: app.localhost\r\n", 200),
        (PAGE, "Host: 127.0.0.1\r\n", 200),
        (PAGE, "Host: 192.0.2.7:99\r\n", 200),
        (PAGE, "Host: [2001:db8::1]:99\r\n", 200),
        (PAGE, "Host: files.example:8080\r\n", 200),
        (PAGE, "Host: FILES.example\r\n", 200),
        ("/dumbwaiter.js HTTP/1.0", "", 200),
        (PAGE, "Host: evil.example\r\n", 421),
        (PAGE, "Host: files.example.evil.example\r\n", 421),
        (PAGE, "Host: x.files.example\r\n", 421),
        (PAGE, "Host: localhost.evil.example\r\n", 421),
        (PAGE, "Host: evil.example@localhost\r\n", 400),
        (PAGE, "Host: 127.0.0.1.evil.example\r\n", 421),
        (
            "http://evil.example/dumbwaiter.js HTTP/1.1",
            "Host: evil.example\r\n",
            421,
        ),
        (
            "http://localhost/dumbwaiter.js HTTP/1.1",
            "Host: evil.example\r\n",
            400,
        ),
    ] {
        assert_eq!(ask(line, hosts), status, "{line} {hosts}");
    }
    logged.logs("--host");
    let reply = logged
        .server
        .send(b"POST /upload HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        (reply.status, code(&reply)),
        (421, "host_not_allowed".to_owned())
    );
}

#[test]
fn a_foreign_page_cannot_make_a_browser_upload() {
    let logged = Logged::start(&[]);
    let server = &logged.server;
    for (headers, status) in [
        ("", 201),
        ("Sec-Fetch-Site: none\r\n", 201),
        ("Sec-Fetch-Site: same-origin\r\n", 201),
        ("Origin: http://a\r\n", 201),
        ("Origin: HTTP://A:80\r\n", 201),
        // A proxy put its own name into Host; the browser knows better, and no page can say it in its place.
        (
            "Origin: https://up.example\r\nSec-Fetch-Site: same-origin\r\n",
            201,
        ),
        ("Origin: null\r\n", 403),
        ("Origin: null\r\nSec-Fetch-Site: same-origin\r\n", 403),
        ("Origin: \r\n", 403),
        ("Origin: http://evil.example\r\n", 403),
        (
            "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
            403,
        ),
        ("Origin: http://a.evil.example\r\n", 403),
        ("Origin: http://a:81\r\n", 403),
        ("Origin: http://a\r\nOrigin: http://evil.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
    ] {
        let (posted, sent) = (upload(server, headers), put(server, headers));
        assert_eq!((posted.status, sent.status), (status, status), "{headers}");
        assert_eq!(posted.header("access-control-allow-origin"), None);
        if status == 403 {
            assert_eq!(code(&posted), "origin_not_allowed");
        }
    }
    logged.logs("--allow-origin");
    assert_eq!(
        server
            .get_with("/dumbwaiter.js", "Origin: http://evil.example\r\n")
            .status,
        200
    );
    let delete = server
        .send(b"DELETE /uploads/x HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\n\r\n");
    assert_eq!(delete.status, 403);
}

fn preflight(server: &Server, headers: &str) -> Reply {
    let request = format!(
        "OPTIONS /upload HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type, x-progress-id\r\n{headers}\r\n"
    );
    server.send(request.as_bytes())
}

#[test]
fn pages_of_this_machine_may_upload_while_the_server_is_for_it_alone() {
    let server = Server::start(&[]);
    let local =
        |origin: &str, more: &str| preflight(&server, &format!("Origin: {origin}\r\n{more}"));
    for (origin, more, status) in [
        ("http://localhost:3000", "", 204),
        ("https://127.0.0.1:8443", "", 204),
        ("http://[::1]:5173", "", 204),
        ("http://app.localhost", "", 204),
        ("http://localhost.evil.example", "", 403),
        ("http://192.0.2.1", "", 403),
        ("null", "", 403),
        // Behind a proxy the visitor's own localhost is meant.
        (
            "http://localhost:3000",
            "X-Forwarded-For: 203.0.113.9\r\n",
            403,
        ),
        ("http://localhost:3000", "Via: 1.1 proxy\r\n", 403),
    ] {
        let reply = local(origin, more);
        let allowed = reply.header("access-control-allow-origin");
        assert_eq!(
            (reply.status, allowed),
            (status, (status == 204).then_some(origin)),
            "{origin} {more}"
        );
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    let by_name = upload(&server, "Origin: http://localhost:3000\r\n");
    assert_eq!(by_name.status, 403, "it was asked for as a");
    assert_eq!(
        preflight(
            &Server::start(&["--allow-origin", "https://app.example"]),
            "Origin: http://localhost:3000\r\n"
        )
        .status,
        403
    );
}

#[test]
fn a_named_origin_may_upload_and_read_every_answer_refusals_too() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let origin = "Origin: https://app.example\r\n";
    let asked = preflight(&server, origin);
    assert_eq!(asked.status, 204);
    for (name, words) in [
        (
            "access-control-allow-methods",
            &["POST", "PUT", "PATCH", "DELETE"][..],
        ),
        (
            "access-control-allow-headers",
            &[
                "Content-Type",
                "X-Progress-ID",
                "Authorization",
                "Tus-Resumable",
                "Upload-Complete",
            ],
        ),
        ("access-control-max-age", &["7200"]),
    ] {
        let value = asked.header(name).unwrap_or_default();
        assert!(
            words.iter().all(|word| value.contains(word)),
            "{name}: {value}"
        );
    }
    let stream = server.send(
        format!(
            "GET /uploads?id=x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n{origin}\r\n"
        )
        .as_bytes(),
    );
    let replies = [
        asked,
        upload(&server, origin),
        server.post(
            "/upload",
            &format!("{origin}Content-Type: text/plain\r\n"),
            b"x",
        ),
        server.get_with("/uploads/nothing", origin),
        server.get_with("/nowhere", origin),
        server.get_with("/upload", origin),
        server.get_with("/get_upload_progress?X-Progress-ID=1", origin),
        stream,
    ];
    for reply in replies {
        let head = &reply.head;
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("https://app.example"),
            "{head}"
        );
        assert_eq!(
            reply.header("access-control-allow-credentials"),
            Some("true"),
            "{head}"
        );
        assert!(
            reply
                .header("access-control-expose-headers")
                .is_some_and(|names| names.contains("Location")),
            "{head}"
        );
        assert!(
            head.to_ascii_lowercase()
                .lines()
                .any(|line| line == "vary: origin"),
            "{head}"
        );
    }
    let stranger = preflight(&server, "Origin: http://app.example\r\n");
    assert_eq!(
        (
            stranger.status,
            stranger.header("access-control-allow-origin")
        ),
        (403, None)
    );
    let unsaid = server.get("/nowhere");
    assert!(
        unsaid.head.to_ascii_lowercase().contains("vary: origin"),
        "{}",
        unsaid.head
    );
}

#[test]
fn any_origin_is_allowed_without_the_visitors_cookie_or_password() {
    let server = Server::start(&["--allow-origin", "*"]);
    let reply = upload(&server, "Origin: https://anywhere.example\r\n");
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert_eq!(upload(&server, "Origin: null\r\n").status, 403);
}

#[test]
fn the_page_gives_a_browser_a_cookie_of_its_own_and_keeps_one_it_has() {
    let server = Server::start(&["--base", "/up"]);
    let set = |headers: &str| {
        server
            .get_with("/up/", headers)
            .header("set-cookie")
            .map(str::to_owned)
    };
    let fresh = server.get("/up/");
    assert_eq!(fresh.header("cache-control"), Some("no-store"));
    let (first, second) = (set("").unwrap(), set("").unwrap());
    assert_ne!(first, second);
    let (pair, rest) = first.split_once("; ").unwrap();
    assert_eq!((pair.len(), &pair[..3]), (35, "dw="));
    assert_eq!(rest, "Path=/up/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_eq!(set(&format!("Cookie: {pair}\r\n")), None);
    assert!(set("Cookie: dw=garbage\r\n").is_some());
    assert_eq!(server.get("/up/dumbwaiter.js").header("set-cookie"), None);
}

#[test]
fn a_progress_id_under_a_cookie_opens_everything_to_that_cookie_and_nothing_to_others() {
    let server = Server::start(&[]);
    let record = server
        .post(
            "/upload?X-Progress-ID=1",
            &format!("Cookie: x=y; {COOKIE}\r\n"),
            &picture(),
        )
        .json();
    let look = |target: &str, cookie: &str| {
        server
            .get_with(target, &format!("Cookie: {cookie}\r\n"))
            .json()
    };
    let poll = "/uploads?X-Progress-ID=1";
    let mine = look(poll, COOKIE);
    assert_eq!(
        (&mine[0]["id"], &mine[0]["url"]),
        (&record["id"], &record["url"])
    );
    for cookie in [OTHER_COOKIE, "dw=garbage", "x=y", ""] {
        assert_eq!(look(poll, cookie), serde_json::json!([null]), "{cookie}");
        assert_eq!(
            look("/get_upload_progress?X-Progress-ID=1", cookie),
            serde_json::json!(null)
        );
        assert_eq!(
            look("/progress?X-Progress-ID=1", cookie)["state"],
            "starting"
        );
    }
    assert_eq!(look("/progress?X-Progress-ID=1", COOKIE)["state"], "done");
}

#[test]
fn a_progress_id_under_an_address_shows_that_address_the_numbers_alone() {
    let server = Server::start(&[]);
    let body = form(&[
        part("id", None, b"12"),
        part("f", Some("secret-plan.jpg"), b"12345"),
    ]);
    assert_eq!(
        server
            .post("/upload?X-Progress-ID=1", "Cookie: dw=broken\r\n", &body)
            .status,
        201
    );
    for cookie in ["", &format!("Cookie: {COOKIE}\r\n")] {
        let reply = server.get_with("/uploads?X-Progress-ID=1", cookie);
        let record = &reply.json()[0];
        assert_eq!(
            (&record["state"], &record["received"]),
            (&"done".into(), &body.len().into())
        );
        for hidden in ["id", "watch", "url", "fields"] {
            assert_eq!(record.get(hidden), None, "{hidden}");
        }
        assert!(!reply.text().contains("secret-plan"), "{}", reply.text());
    }
}

#[test]
fn the_same_progress_id_of_two_browsers_names_two_uploads() {
    let server = Server::start(&[]);
    for (cookie, length) in [(COOKIE, 10), (OTHER_COOKIE, 20)] {
        let body = form(&[part("f", Some("a"), &vec![b'x'; length])]);
        assert_eq!(
            server
                .post(
                    "/upload?X-Progress-ID=1",
                    &format!("Cookie: {cookie}\r\n"),
                    &body
                )
                .status,
            201
        );
    }
    let length = |cookie| {
        let reply = server.get_with("/uploads?X-Progress-ID=1", &format!("Cookie: {cookie}\r\n"));
        reply.json()[0]["files"][0]["length"].as_u64()
    };
    assert_eq!((length(COOKIE), length(OTHER_COOKIE)), (Some(10), Some(20)));
}

#[test]
fn a_watch_name_shows_an_upload_and_opens_nothing() {
    let server = Server::start(&[]);
    let body = form(&[part("id", None, b"12"), part("f", Some("a.jpg"), b"12345")]);
    let record = server.post("/upload", "", &body).json();
    let (id, watch) = (
        record["id"].as_str().unwrap(),
        record["watch"].as_str().unwrap(),
    );
    let seen = server.get(&format!("/uploads/{watch}"));
    assert_eq!(seen.json()["files"][0]["name"], "a.jpg");
    for hidden in ["id", "url", "fields"] {
        assert_eq!(seen.json().get(hidden), None, "{hidden}");
    }
    assert!(!seen.text().contains(id), "{}", seen.text());
    assert_eq!(server.get(&format!("/files/{watch}")).status, 404);
    assert_eq!(server.get(&format!("/files/{id}")).body, b"12345");
}

#[test]
fn unknown_and_forbidden_answer_alike() {
    let server = Server::start(&[]);
    let cookie = format!("Cookie: {COOKIE}\r\n");
    let record = server
        .post("/upload?X-Progress-ID=mine", &cookie, &picture())
        .json();
    let watch = record["watch"].as_str().unwrap();
    let unknown = "0".repeat(32);
    let same = |of: &str, unknown: &str| {
        let (of, unknown) = (server.get(of), server.get(unknown));
        let plain = |reply: &Reply| {
            let lines = reply.head.lines().filter(|line| !line.starts_with("date:"));
            (
                lines.map(str::to_owned).collect::<Vec<_>>(),
                reply.body.clone(),
            )
        };
        assert_eq!(plain(&of), plain(&unknown));
    };
    same(&format!("/files/{watch}"), &format!("/files/{unknown}"));
    same("/uploads?X-Progress-ID=mine", "/uploads?X-Progress-ID=none");
    same(
        "/get_upload_progress?X-Progress-ID=mine",
        "/get_upload_progress?X-Progress-ID=none",
    );
    same(
        "/progress?X-Progress-ID=mine",
        "/progress?X-Progress-ID=none",
    );
}

#[test]
fn a_progress_id_outside_the_rule_fails_no_upload() {
    let logged = Logged::start(&[]);
    let long = "x".repeat(201);
    for given in ["", "%00", "%0a", "%ff", &long] {
        let record = logged
            .server
            .post(&format!("/upload?X-Progress-ID={given}"), "", &picture())
            .json();
        assert_eq!(record["state"], "done", "{given}");
        assert_eq!(record["progress_id"], serde_json::Value::Null, "{given}");
    }
    logged.logs("the progress id is outside the rule");
    let most = "x".repeat(200);
    let record = logged
        .server
        .post(&format!("/upload?X-Progress-ID={most}"), "", &picture())
        .json();
    assert_eq!(record["progress_id"], most.as_str());
}

#[test]
fn the_secret_and_the_records_are_not_among_the_files() {
    let server = Server::start(&["--secret-link"]);
    let secret = std::fs::read_to_string(server.dir.join(".dumbwaiter/secret-link")).unwrap();
    for path in [
        "files/.dumbwaiter/secret-link",
        "files/..%2f.dumbwaiter%2fsecret-link",
        ".dumbwaiter/secret-link",
    ] {
        assert_eq!(
            server.get(&format!("/{secret}/{path}")).status,
            404,
            "{path}"
        );
    }
    let body = form(&[part("f", Some(".dumbwaiter/secret-link"), b"0")]);
    server.post(&format!("/{secret}/upload"), "", &body);
    assert_eq!(
        std::fs::read_to_string(Path::new(&server.dir).join(".dumbwaiter/secret-link")).unwrap(),
        secret
    );
}

#[test]
fn every_test_that_the_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut named = 0;
    for words in model.split('`').skip(1).step_by(2) {
        let (file, function) = match words.split_once("::") {
            Some((file @ ("rights" | "proxy" | "admin" | "signals"), path)) => {
                (format!("tests/it/{file}.rs"), path.rsplit("::").next())
            }
            Some(("tus", path)) => {
                let (file, name) = path.split_once("::").unwrap();
                (format!("tests/it/tus/{file}.rs"), Some(name))
            }
            None if words.ends_with(".rs") || words.ends_with(".js") => (words.to_owned(), None),
            _ => continue,
        };
        let text =
            std::fs::read_to_string(root.join(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let test = function.map_or("test".to_owned(), |name| format!("fn {name}("));
        assert!(text.contains(&test), "{words} is not there");
        named += 1;
    }
    assert!(named > 40, "{named}");
}

mod app {
    //! The app's word, where the service stands in somebody else's server.

    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use dumbwaiter::rights::{Act, Ask, Grant};
    use dumbwaiter::store::Memory;
    use dumbwaiter::upload::Owner;
    use dumbwaiter::{Dumbwaiter, Refusal, Service};
    use http::Request;
    use http_body_util::{BodyExt as _, Full};
    use tower_service::Service as _;

    async fn send(
        service: &Service,
        request: http::request::Builder,
        body: &'static [u8],
    ) -> (u16, String) {
        let request: Request<Full<Bytes>> =
            request.body(Full::new(Bytes::from_static(body))).unwrap();
        let answer = service.clone().call(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_app_is_asked_before_everything_and_says_whose_an_upload_is() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let service = Dumbwaiter::new(Memory::default())
            .allow(move |ask: Ask| {
                heard.lock().unwrap().push(ask.act);
                let user = ask
                    .headers
                    .get("x-user")
                    .map(|user| user.to_str().unwrap().into());
                let granted = user.map(|user| Grant {
                    owner: Some(Owner::Named(user)),
                    ..Grant::default()
                });
                async move {
                    granted.ok_or(Refusal {
                        code: "log_in",
                        status: 401,
                        ..Refusal::new("log in first")
                    })
                }
            })
            .into_service();
        let put = || Request::put("/files/a.txt?X-Progress-ID=1");
        let poll = || Request::get("/uploads?X-Progress-ID=1");
        let (status, words) = send(&service, put(), b"x").await;
        assert_eq!((status, words.contains("log_in")), (401, true), "{words}");
        assert_eq!(
            send(&service, put().header("x-user", "ann"), b"x").await.0,
            201
        );
        assert_eq!(send(&service, poll(), b"").await.0, 401);
        let (_, hers) = send(&service, poll().header("x-user", "ann"), b"").await;
        assert!(
            hers.contains("\"done\"") && hers.contains("/files/"),
            "{hers}"
        );
        assert_eq!(
            send(&service, poll().header("x-user", "bob"), b"").await,
            (200, "[null]".to_owned())
        );
        assert_eq!(send(&service, Request::get("/"), b"").await.0, 401);
        assert_eq!(
            send(&service, Request::get("/dumbwaiter.js"), b"").await.0,
            200
        );
        assert_eq!(send(&service, Request::get("/files/0"), b"").await.0, 401);
        let records: serde_json::Value = serde_json::from_str(&hers).unwrap();
        let id = records[0]["id"].as_str().unwrap();
        let remove = || Request::delete(format!("/uploads/{id}"));
        assert_eq!(send(&service, remove(), b"").await.0, 401);
        assert_eq!(
            send(&service, remove().header("x-user", "ann"), b"")
                .await
                .0,
            204
        );
        use Act::{Page, Read, Remove, Upload, Watch};
        assert_eq!(
            *asked.lock().unwrap(),
            [
                Upload, Upload, Watch, Watch, Watch, Page, Read, Remove, Remove
            ]
        );
    }
}

#[test]
fn a_form_posted_with_the_cookie_can_be_followed_by_that_browser_alone_while_it_runs() {
    let server = Server::start(&[]);
    let body = picture();
    let request = post(
        "/upload?X-Progress-ID=1",
        &format!("Cookie: {COOKIE}\r\n"),
        &body,
    );
    let mut stream = server.connect();
    stream.write_all(&request[..request.len() - 4]).unwrap();
    let poll = |headers: &str| {
        server
            .get_with("/get_upload_progress?X-Progress-ID=1", headers)
            .text()
            .to_owned()
    };
    let mine = format!("Cookie: {COOKIE}\r\n");
    eventually(|| poll(&mine), |numbers| numbers.contains("\"uploaded\""));
    assert_eq!(poll(""), "null");
    stream.write_all(&request[request.len() - 4..]).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 201);
}
