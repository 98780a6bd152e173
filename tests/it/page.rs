//! A page of one's own in place of ours: `--page FOLDER`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::ended::ended;
use crate::support::{Reply, Server, eventually, form, part, write_for_us_alone};

/// A folder with these files in it.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn start(page: &TempDir, args: &[&str]) -> Server {
    let page = page.path().to_str().unwrap();
    Server::start(&[&["--page", page], args].concat())
}

/// What the server says when it does not start with this page.
fn refusal(page: &Path, args: &[&str]) -> String {
    let uploads = tempfile::tempdir().unwrap();
    let dir = uploads.path().join("uploads");
    let said = refusal_with(page, &dir, args);
    assert!(!dir.exists(), "something was made before it was looked at");
    said
}

fn refusal_with(page: &Path, dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    command.args(["--listen", "127.0.0.1:0", "--dir"]).arg(dir);
    let output = ended(command.arg("--page").arg(page).args(args));
    assert!(!output.status.success(), "{page:?} was taken");
    String::from_utf8(output.stderr).unwrap()
}

fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.header(name).unwrap_or_default()
}

const HOME: (&str, &[u8]) = ("index.html", b"<!doctype html><title>Dishes</title>");

#[test]
fn a_folder_stands_in_place_of_our_page_with_types_that_browsers_keep_to() {
    let page = folder(&[
        HOME,
        ("app.js", b"run()"),
        ("img/dish.png", b"\x89PNG"),
        ("menu", b"<script>"),
        ("help/index.html", b"help"),
        (".git/config", b"hidden"),
    ]);
    let server = start(&page, &[]);
    for (path, content_type, body) in [
        ("/", "text/html; charset=utf-8", HOME.1),
        ("/index.html", "text/html; charset=utf-8", HOME.1),
        ("/?id=12", "text/html; charset=utf-8", HOME.1),
        ("/app.js", "text/javascript; charset=utf-8", b"run()"),
        ("/img/dish.png", "image/png", b"\x89PNG"),
        ("/img%2fdish%2Epng", "image/png", b"\x89PNG"),
        ("/menu", "application/octet-stream", b"<script>"),
        ("/help/", "text/html; charset=utf-8", b"help"),
    ] {
        let reply = server.get(path);
        assert_eq!((reply.status, &*reply.body), (200, body), "{path}");
        assert_eq!(header(&reply, "content-type"), content_type, "{path}");
        assert_eq!(header(&reply, "x-content-type-options"), "nosniff");
    }
    assert_eq!(header(&server.get("/app.js"), "cache-control"), "no-cache");
    let leads = server.get("/help");
    assert_eq!((leads.status, header(&leads, "location")), (308, "/help/"));
    let leads = server.get("/help?dish=12&a=%20b");
    assert_eq!(header(&leads, "location"), "/help/?dish=12&a=%20b");
    let icon = server.get("/favicon.ico");
    assert_eq!(
        (icon.status, header(&icon, "content-type")),
        (200, "image/svg+xml")
    );
    for path in [
        "/img",
        "/img/",
        "/.git/config",
        "/page.js",
        "/../index.html",
        "/%2e%2e/index.html",
        "//index.html",
        "/%ff",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_folder_is_read_once_and_a_change_waits_for_the_next_start() {
    let (page, secrets) = (folder(&[HOME]), tempfile::tempdir().unwrap());
    let tokens = secrets.path().join("tokens");
    write_for_us_alone(&tokens, "the-token-at-the-start\n");
    let server = start(&page, &["--token", tokens.to_str().unwrap()]);
    fs::write(page.path().join("index.html"), "changed").unwrap();
    fs::write(page.path().join("new.html"), "new").unwrap();
    write_for_us_alone(&tokens, "the-token-after-sighup\n");
    server.signal(rustix::process::Signal::HUP);
    let login = "Authorization: Bearer the-token-after-sighup\r\n";
    let reply = eventually(|| server.get_with("/", login), |reply| reply.status == 200);
    assert_eq!(reply.body, HOME.1);
    drop(page);
    assert_eq!(server.get_with("/", login).body, HOME.1);
    assert_eq!(server.get_with("/new.html", login).status, 404);
}

#[test]
fn head_of_a_page_of_ones_own_has_the_headers_of_get_and_other_methods_are_refused() {
    let page = folder(&[HOME, ("app.js", b"run()")]);
    let server = start(&page, &[]);
    for (path, length) in [("/", HOME.1.len()), ("/app.js", 5)] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut stream = server.connect();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let said = format!("content-length: {length}\r\n");
        assert!(
            answer.contains(&said) && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
    for (request, allow) in [
        ("PUT /", "GET, HEAD, POST"),
        ("POST /app.js", "GET, HEAD"),
        ("POST /dumbwaiter.js", "GET, HEAD"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let reply = server.send(request.as_bytes());
        assert_eq!((reply.status, header(&reply, "allow")), (405, allow));
    }
}

#[test]
fn uploads_polls_and_files_go_on_under_a_page_of_ones_own() {
    let server = start(&folder(&[HOME]), &["--name", "{form.id}"]);
    let body = form(&[
        part("id", None, b"12"),
        part("picture", Some("a.jpg"), b"dish"),
    ]);
    let done = server.post("/upload?X-Progress-ID=1", "", &body);
    assert_eq!(done.status, 201);
    assert_eq!(server.read("12"), b"dish");
    let poll = server.get("/get_upload_progress?X-Progress-ID=1");
    assert_eq!(poll.text(), "null");
    assert_eq!(
        server.get(done.json()["url"].as_str().unwrap()).body,
        b"dish"
    );
    // Without script a form's answer is a page of ours, with our style.
    assert_eq!(server.get("/dumbwaiter.css").status, 200);
}

#[test]
fn every_page_gives_a_browser_its_cookie_and_nothing_else_does() {
    let page = folder(&[HOME, ("help/send.htm", b"more"), ("app.js", b"run()")]);
    let server = start(&page, &["--base", "/up"]);
    let mut given = Vec::new();
    for path in ["/up/", "/up/index.html", "/up/help/send.htm"] {
        let reply = server.get(path);
        let cookie = header(&reply, "set-cookie").to_owned();
        assert!(cookie.starts_with("dw=") && cookie.contains("; Path=/up/;"));
        assert_eq!(header(&reply, "cache-control"), "no-store");
        given.push(cookie[..35].to_owned());
    }
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 3, "two visitors got the same");
    let known = server.get_with("/up/", &format!("Cookie: {}\r\n", given[0]));
    assert_eq!(known.header("set-cookie"), None);
    assert_eq!(header(&known, "cache-control"), "no-cache");
    assert_eq!(server.get("/up/app.js").header("set-cookie"), None);
    assert_eq!(header(&server.get("/up"), "location"), "/up/");
    assert_eq!(server.get("/up").header("set-cookie"), None);
}

#[test]
fn our_strict_policy_is_for_our_page_alone_and_no_foreign_page_frames_either() {
    let ours = Server::start(&["--page", "on"]).get("/");
    let strict = header(&ours, "content-security-policy");
    assert!(strict.contains("default-src 'none'") && strict.contains("frame-ancestors 'none'"));
    let server = start(&folder(&[HOME, ("app.js", b"run()")]), &[]);
    for path in ["/", "/app.js"] {
        let reply = server.get(path);
        assert_eq!(
            header(&reply, "content-security-policy"),
            "frame-ancestors 'self'"
        );
        assert_eq!(header(&reply, "referrer-policy"), "same-origin");
    }
}

/// The module and its languages.
const MODULE: [&str; 6] = [
    "/dumbwaiter.js",
    "/dumbwaiter.de.js",
    "/dumbwaiter.en.js",
    "/dumbwaiter.es.js",
    "/dumbwaiter.fr.js",
    "/dumbwaiter.words.js",
];

#[test]
fn pages_of_every_origin_may_load_the_module_and_nothing_else_of_the_page() {
    let shared = |reply: &Reply| {
        let allowed = header(reply, "access-control-allow-origin").to_owned();
        (
            allowed,
            header(reply, "cross-origin-resource-policy").to_owned(),
        )
    };
    let secrets = tempfile::tempdir().unwrap();
    let tokens = secrets.path().join("tokens");
    write_for_us_alone(&tokens, "a-token-of-some-length\n");
    let page = folder(&[HOME, ("app.js", b"run()")]);
    for server in [
        Server::start(&["--allow-origin", "https://b.example"]),
        start(&page, &["--token", tokens.to_str().unwrap()]),
    ] {
        for path in MODULE {
            let reply = server.get_with(path, "Origin: https://a.example\r\n");
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(
                header(&reply, "content-type"),
                "text/javascript; charset=utf-8"
            );
            assert_eq!(
                shared(&reply),
                ("*".into(), "cross-origin".into()),
                "{path}"
            );
        }
        for path in ["/", "/page.js", "/app.js", "/dumbwaiter.css", "/nowhere.js"] {
            let reply = server.get_with(path, "Origin: https://a.example\r\n");
            assert_eq!(shared(&reply), Default::default(), "{path}");
        }
    }
}

#[test]
fn the_module_stays_unless_the_folder_has_one_of_its_name() {
    let (ours, beside) = (Server::start(&[]), start(&folder(&[HOME]), &[]));
    for path in MODULE {
        assert_eq!(beside.get(path).body, ours.get(path).body, "{path}");
    }
    let page = folder(&[HOME, ("dumbwaiter.js", b"mine")]);
    let mine = start(&page, &[]).get("/dumbwaiter.js");
    assert_eq!(mine.body, b"mine");
    // Who may read it is for its author to say.
    assert_eq!(mine.header("access-control-allow-origin"), None);
}

#[test]
fn whom_the_token_keeps_from_our_page_it_keeps_from_every_file_of_another() {
    let secrets = tempfile::tempdir().unwrap();
    let tokens = secrets.path().join("tokens");
    write_for_us_alone(&tokens, "a-token-of-some-length\n");
    let page = folder(&[HOME, ("help/index.html", b"help"), ("app.js", b"run()")]);
    let server = start(&page, &["--token", tokens.to_str().unwrap()]);
    let login = "Authorization: Bearer a-token-of-some-length\r\n";
    for path in ["/", "/index.html", "/help/", "/app.js"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.head.contains("www-authenticate: Basic"), "{path}");
        assert_eq!(server.get_with(path, login).status, 200, "{path}");
    }
    assert_eq!(server.get("/help").status, 401);
    assert_eq!(server.get("/dumbwaiter.js").status, 200);
    assert_eq!(server.get("/nowhere").status, 404);
}

#[test]
fn under_a_secret_link_there_is_nothing_of_the_page_outside() {
    let server = start(&folder(&[HOME, ("app.js", b"run()")]), &["--secret-link"]);
    let secret = fs::read_to_string(server.dir.join(".dumbwaiter/secret-link")).unwrap();
    let base = format!("/{}", secret.trim());
    assert_eq!(server.get(&format!("{base}/")).body, HOME.1);
    assert_eq!(server.get(&format!("{base}/app.js")).body, b"run()");
    for path in ["/", "/app.js", "/index.html"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn with_page_off_there_is_none_and_uploads_go_on() {
    let server = Server::start(&["--page", "off"]);
    assert_eq!(header(&server.get("/"), "allow"), "POST");
    assert_eq!(server.get("/dumbwaiter.js").status, 404);
    let body = form(&[part("f", Some("a.txt"), b"x")]);
    assert_eq!(server.post("/upload", "", &body).status, 201);
}

#[test]
fn a_folder_that_cannot_be_a_page_is_refused_at_start_in_words() {
    let elsewhere = folder(&[("secret", b"x")]);
    let page = |broken: &dyn Fn(&Path)| {
        let page = folder(&[HOME, ("a/b.txt", b"")]);
        broken(page.path());
        page
    };
    let link = |at: &Path, to: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    for (page, words) in [
        (
            page(&|p| fs::remove_file(p.join("index.html")).unwrap()),
            "it has no index.html",
        ),
        (
            page(&|p| link(&p.join("a/c"), &elsewhere.path().join("secret"))),
            "a/c is a link",
        ),
        (
            page(&|p| link(&p.join("c"), elsewhere.path())),
            "c is a link",
        ),
        (
            page(&|p| {
                let pipe = rustix::fs::mknodat(
                    rustix::fs::CWD,
                    p.join("a/pipe"),
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR,
                    0,
                );
                pipe.unwrap();
            }),
            "a/pipe is neither a file nor a folder",
        ),
        (
            page(&|p| {
                let name = std::ffi::OsStr::from_bytes(b"\xff.txt");
                fs::write(p.join(name), "").unwrap();
            }),
            "is not UTF-8",
        ),
        (
            page(&|p| fs::create_dir(p.join("uploads")).unwrap()),
            "uploads would stand at /uploads, which is the server's own path",
        ),
        (
            page(&|p| fs::write(p.join("get_upload_progress"), "").unwrap()),
            "get_upload_progress would stand at /get_upload_progress",
        ),
    ] {
        let said = refusal(page.path(), &[]);
        let named = format!("--page {}", page.path().display());
        assert!(said.contains(words) && said.contains(&named), "{said}");
    }
    let said = refusal(Path::new("/nowhere/at/all"), &[]);
    assert!(said.contains("it cannot be read: No such file"), "{said}");
    let said = refusal(&elsewhere.path().join("secret"), &[]);
    assert!(
        said.contains("it cannot be read: Not a directory"),
        "{said}"
    );
}

#[test]
fn what_is_sent_never_becomes_a_part_of_the_page() {
    let page = folder(&[HOME, ("sub/a.txt", b"")]);
    let absent = refusal_with(page.path(), &page.path().join("sub/in/it"), &[]);
    let itself = refusal_with(page.path(), &page.path().join("sub/.."), &[]);
    for said in [absent, itself] {
        assert!(said.contains("would be part of the page"), "{said}");
    }
}

#[test]
fn how_much_a_page_may_hold_is_bounded_and_at_the_bound_it_is_served() {
    let page = folder(&[("index.html", b"12345"), ("a/b.js", b"678")]);
    for args in [["--max-page-files", "3"], ["--max-page-size", "8"]] {
        let server = start(&page, &args);
        assert_eq!(server.get("/a/b.js").body, b"678");
    }
    for (args, words) in [
        (
            ["--max-page-files", "2"],
            "it has more than 2 files and folders; --max-page-files allows more",
        ),
        (
            ["--max-page-size", "7"],
            "its files have more than 7 bytes together; --max-page-size allows more",
        ),
    ] {
        let said = refusal(page.path(), &args);
        assert!(said.contains(words), "{said}");
    }
}
