//! Each command of the docs, and how it is proved.

use std::fs;

use super::stage::Stage;
use super::{may, uploads, whole};
use crate::support::app::App;
use crate::support::needs::needs;
use crate::support::{Server, ask_for, form, part, post, write_for_us_alone};

/// A command as a page shows it; one that ends in `…` stands for all that begin like it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) command: &'static str,
    pub(super) proof: fn(&str),
}

pub(super) const TABLE: &[Row] = &[
    row_of("cargo run", serves_the_page_and_stores_in_uploads),
    row_of("cargo run --release", serves_the_page_and_stores_in_uploads),
    row_of("cd examples/article", is_a_folder),
    row_of("cd examples/widgets", is_a_folder),
    row_of("npm ci", whole::packages_are_named),
    row_of("npm run vendor", whole::the_script_is_there),
    row_of("npm start --", whole::the_script_is_there),
    row_of("npm start", whole::the_script_is_there),
    row_of(
        "cargo run --release -- --page examples/article/page …",
        serves_the_articles_page,
    ),
    row_of(
        "cargo run --release -- --page examples/widgets/page",
        serves_the_widgets_pages,
    ),
    row_of("cargo add dumbwaiter…", is_added_as_it_says),
    row_of("dumbwaiter --help", lists_every_option),
    row_of("dumbwaiter --max-files 10", takes_ten_files_and_no_more),
    row_of(
        "dumbwaiter --trusted-proxy …",
        serves_the_page_and_stores_in_uploads,
    ),
    row_of(
        "dumbwaiter --app http://127.0.0.1:8000 --upload-path /upload --poll-path /get_upload_progress",
        stands_before_an_app,
    ),
    row_of(
        "dumbwaiter --app http://127.0.0.1:8000 --upload-path /upload --give reference --app-key-file app.key",
        refers_an_app,
    ),
    row_of("openssl rand -hex 16", makes_a_token),
    row_of(
        "dumbwaiter --app http://127.0.0.1:8000 --upload-path /upload --upload-path '/dishes/**'",
        names_an_app,
    ),
    row_of(
        "python3 examples/django/start.py",
        whole::the_example_for_django_can_start,
    ),
    row_of(
        "pip install ./integrations/django",
        whole::the_package_for_django_is_named,
    ),
    row_of("openssl rand -hex 32", may::makes_a_key),
    row_of(
        "openssl rand -hex 32 > app.key && chmod 600 app.key",
        may::makes_a_key,
    ),
    row_of(
        "dumbwaiter --app-key-file app.key --tickets",
        may::takes_tickets,
    ),
    row_of("dumbwaiter ticket …", may::signs_a_ticket),
    row_of(
        "curl -T paella.jpg -H \"Authorization: Bearer $(dumbwaiter ticket …",
        may::uploads_with_a_ticket,
    ),
    row_of("dumbwaiter --ask …", may::asks_the_app),
    row_of("dumbwaiter --token FILE", may::asks_for_a_token),
    row_of("dumbwaiter config", prints_the_configuration),
    row_of("dumbwaiter man", prints_a_man_page),
    row_of("dumbwaiter completions bash", prints_completions),
    row_of("dumbwaiter --dir uploads --app-key-file …", tells_an_app),
    row_of("dumbwaiter send …", uploads::files_are_sent),
    row_of(
        "tar c . | dumbwaiter send …",
        uploads::standard_input_is_sent,
    ),
    row_of("dumbwaiter watch …", uploads::an_upload_is_watched),
    row_of("dumbwaiter adopt …", takes_over_what_a_tusd_has_left),
    row_of(
        "curl -F picture=@paella.jpg -F id=12 …",
        uploads::a_form_is_stored,
    ),
    row_of("curl -T paella.jpg …", uploads::a_file_is_stored),
    row_of("curl -si -X POST …", uploads::one_that_can_resume_is_begun),
    row_of(
        "curl -si -X PATCH …",
        uploads::one_that_can_resume_is_filled,
    ),
    row_of(
        "curl -si -X PATCH -H 'Upload-Offset: 0' -H 'Upload-Complete: ?1' …",
        uploads::one_that_can_resume_is_completed,
    ),
    row_of(
        "curl -sI …",
        uploads::one_that_can_resume_says_how_far_it_is,
    ),
    row_of(
        "curl 'http://127.0.0.1:7070/get_upload_progress?X-Progress-ID=42'",
        uploads::the_poll_tells_how_far_it_is,
    ),
    row_of(
        "curl -N -H 'Accept: text/event-stream' …",
        uploads::the_stream_follows_to_the_end,
    ),
    row_of(
        "curl -sf http://127.0.0.1:7071/uploads",
        uploads::the_operator_sees_it,
    ),
    row_of("curl -sf -N -m 1 …", uploads::the_operator_sees_it),
    row_of(
        "curl -sf http://127.0.0.1:7071/uploads/WATCH",
        uploads::the_operator_sees_it,
    ),
    row_of("curl -sf -X DELETE …", uploads::the_operator_deletes_it),
    row_of("curl -sf http://127.0.0.1:7072/…", uploads::a_probe_answers),
    row_of("make", whole::tasks_are_listed),
    row_of("make …", whole::recipes_can_run),
    row_of("BENCH_QUICK=1 make …", whole::recipes_can_run),
    // Beside other work, with a share of the processors of its own.
    row_of("setsid …", whole::recipes_can_run),
    row_of("cargo test", whole::is_what_runs_this),
    row_of(
        "cargo bench --bench throughput -- …",
        whole::the_benchmark_takes_its_arguments,
    ),
];

const fn row_of(command: &'static str, proof: fn(&str)) -> Row {
    Row { command, proof }
}

/// The row for `command`: its own, else the longest that it begins like.
pub(super) fn row(command: &str) -> Option<&'static Row> {
    let fits = |row: &&Row| match row.command.strip_suffix('…') {
        Some(begin) => command.starts_with(begin),
        None => row.command == command,
    };
    let rows = TABLE.iter().filter(fits);
    rows.max_by_key(|row| (!row.command.ends_with('…'), row.command.len()))
}

fn serves_the_page_and_stores_in_uploads(command: &str) {
    let stage = Stage::new();
    let server = stage.start(command);
    let page = ask_for(server.address, "GET", "/", None);
    assert!(page.text().contains("<form"), "{}", page.text());
    assert!(stage.path().join("uploads").is_dir());
    let reply = send_files(&server, 1);
    assert_eq!((reply, server.read("0")), (201, b"x".to_vec()));
}

fn stands_before_an_app(command: &str) {
    let app = App::start();
    let stage = Stage::new();
    let server = stage.start(&command.replace("http://127.0.0.1:8000", &app.url()));
    let answer = |path| ask_for(server.address, "GET", path, None);
    assert_eq!(answer("/").text(), "ok");
    assert!(answer("/_dumbwaiter/").text().contains("<form"));
    let poll = answer("/get_upload_progress?X-Progress-ID=1");
    assert_eq!(poll.text().trim(), "null");
    let body = form(&[part("f", Some("a"), b"x")]);
    assert_eq!(send(&server, &body), 200);
    assert!(app.asked(2)[1].body == body);
}

fn refers_an_app(command: &str) {
    let (stage, app) = (Stage::new(), App::start());
    write_for_us_alone(&stage.path().join("app.key"), &"k".repeat(32));
    let server = stage.start(&command.replace("http://127.0.0.1:8000", &app.url()));
    assert_eq!(send(&server, &form(&[part("f", Some("a"), b"x")])), 200);
    let body = String::from_utf8(app.only().body).unwrap();
    for name in ["dumbwaiter.statement", "f.name", "f.path"] {
        assert!(body.contains(&format!("name=\"{name}\"")), "{body}");
    }
}

fn tells_an_app(command: &str) {
    let (stage, app) = (Stage::new(), App::start());
    write_for_us_alone(&stage.path().join("app.key"), &"k".repeat(32));
    let server = stage.start(&command.replace("http://127.0.0.1:8000", &app.url()));
    let reply =
        server.send(b"PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!((reply.status, reply.text()), (200, "ok"));
    assert_eq!(app.only().target(), "/uploaded");
}

fn takes_ten_files_and_no_more(command: &str) {
    let stage = Stage::new();
    let server = stage.start(command);
    assert_eq!(send_files(&server, 11), 413);
    assert_eq!(send_files(&server, 10), 201);
    assert_eq!(server.files().len(), 10);
}

/// The status of a form with so many files, which are named by their numbers.
fn send_files(server: &Server, count: usize) -> u16 {
    let files = (0..count).map(|n| part("f", Some(&n.to_string()), b"x"));
    send(server, &form(&files.collect::<Vec<_>>()))
}

/// The status of a form, sent to a name that every server answers to.
fn send(server: &Server, body: &[u8]) -> u16 {
    let request = post("/upload", "", body);
    let request = String::from_utf8(request).unwrap();
    let local = request.replacen("Host: a", "Host: localhost", 1);
    server.send(local.as_bytes()).status
}

fn is_a_folder(command: &str) {
    super::config_says(&Stage::new(), command);
}

fn serves_the_articles_page(command: &str) {
    let stage = Stage::new();
    let server = stage.start(command);
    let page = ask_for(server.address, "GET", "/", None);
    assert!(page.text().contains("form_upload"), "{}", page.text());
    for content in [b"one", b"two"] {
        let body = form(&[
            part("id", None, b"12"),
            part("picture", Some("a.jpg"), content),
        ]);
        assert_eq!(send(&server, &body), 201);
        let stored = (server.files(), server.read("12"));
        assert_eq!(stored, (vec!["12".to_owned()], content.to_vec()));
    }
}

fn serves_the_widgets_pages(command: &str) {
    let stage = Stage::new();
    let server = stage.start(command);
    for (path, holds) in [
        ("/", "filepond.html"),
        ("/filepond.html", "chunked"),
        ("/dropzone.html", "chunked"),
        ("/uppy.html", "xhr"),
        ("/tus.html", "pause"),
    ] {
        let page = ask_for(server.address, "GET", path, None);
        assert!(page.text().contains(holds), "{path}: {}", page.text());
    }
}

fn is_added_as_it_says(command: &str) {
    let stage = Stage::new();
    for command in ["cargo init --quiet --vcs none --name host", command] {
        let output = stage.run(command);
        assert!(output.status.success(), "{command}: {output:?}");
    }
    let manifest = std::fs::read_to_string(stage.path().join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("dumbwaiter"));
    let line = line.unwrap_or_default();
    let without = line.contains("default-features = false");
    let says = command.contains("--no-default-features");
    assert_eq!((line.is_empty(), without), (false, says), "{manifest}");
    let (has, asks) = (
        line.contains("features = [\"server\"]"),
        command.contains("--features server"),
    );
    assert_eq!(has, asks, "{manifest}");
}

fn makes_a_token(command: &str) {
    if !needs("openssl") {
        return;
    }
    let stage = Stage::new();
    let token = super::config_says(&stage, command);
    write_for_us_alone(&stage.path().join("FILE"), &token);
    let server = stage.start("dumbwaiter --token FILE");
    let put = |token| ask_for(server.address, "PUT", "/files/", token).status;
    assert_eq!((put(None), put(Some(token.trim()))), (401, 201));
}

fn names_an_app(command: &str) {
    let said = says(&command.replacen("dumbwaiter ", "dumbwaiter config ", 1));
    for line in ["app = ", "upload-path = "] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

fn says(command: &str) -> String {
    super::config_says(&Stage::new(), command)
}

fn lists_every_option(command: &str) {
    let help = says(command);
    let docs = include_str!("../../../docs/configuration.md");
    let keys = docs.lines().filter_map(|line| {
        let (key, _) = line.strip_prefix("| `")?.split_once("` | ")?;
        (!key.starts_with('{')).then_some(key)
    });
    for key in keys {
        assert!(help.contains(&format!("--{key}")), "{key}: {help}");
    }
}

fn prints_the_configuration(command: &str) {
    let stage = Stage::new();
    stage.write("again.toml", &super::config_says(&stage, command));
    // Read back it says the same, which is what it is printed for.
    super::config_says(&stage, "dumbwaiter --config again.toml config");
}

fn prints_a_man_page(command: &str) {
    let page = says(command);
    assert!(page.contains(".TH dumbwaiter 1"), "{page}");
}

fn takes_over_what_a_tusd_has_left(command: &str) {
    let stage = Stage::new();
    let id = "5d89b2a3c4e5f60718293a4b5c6d7e8f";
    fs::create_dir(stage.path().join("data")).unwrap();
    stage.write(&format!("data/{id}"), "abc");
    let info = format!(r#"{{"ID": "{id}", "Size": 3, "MetaData": {{"filename": "notes"}}}}"#);
    stage.write(&format!("data/{id}.info"), &info);
    let done = stage.run(command);
    assert!(done.status.success(), "{done:?}");
    let notes = fs::read_to_string(stage.path().join("uploads/notes"));
    assert_eq!(notes.unwrap(), "abc");
}

fn prints_completions(command: &str) {
    let script = says(command);
    if needs("bash") {
        let stage = Stage::new();
        stage.write("completions", &script);
        let asked = "bash -c '. ./completions && complete -p dumbwaiter'";
        let known = super::config_says(&stage, asked);
        assert!(known.contains("_dumbwaiter"), "{known}");
    }
}
