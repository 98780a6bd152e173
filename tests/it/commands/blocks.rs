//! The blocks in the docs that are no commands: each is given to what it is for, or laid beside what it shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::config_says;
use super::shown::{Shown, root};
use super::stage::{Stage, picture};
use crate::support::needs::{leave_out, needs};
use crate::support::nginx;
use crate::support::{Server, eventually, form, part, post};

/// What a block may be in, besides `sh`. `text` is for drawings, which nothing can hold to anything.
pub(super) const LANGUAGES: &[&str] = &[
    "css", "html", "ini", "js", "json", "jsx", "nginx", "php", "python", "rust", "text", "toml",
    "ts", "vue", "xml",
];

/// Pages whose blocks are run as they stand by tests in a browser, which hold that none is left out.
const BROWSERS: [&str; 4] = [
    "README.md",
    "client/README.md",
    "docs/browser.md",
    "docs/clients.md",
];

pub(super) fn check(shown: &Shown, language: &str, text: &str) {
    // What follows a comma is for rustdoc.
    match language.split(',').next().unwrap_or_default() {
        "css" | "html" | "js" | "jsx" | "ts" | "vue" if BROWSERS.contains(&shown.page()) => {
            the_browsers_run_it(shown);
        }
        "html" | "python" => stands_in_the_project(shown, language, text),
        "ini" => the_unit_starts_a_server(text),
        "js" | "php" if shown.page() == "docs/apps.md" => it_stands_there_as_it_runs(shown),
        "js" => the_script_uploads(text),
        "json" => is_shaped_like_an_answer(shown, text),
        "nginx" => nginx_takes_it(shown, text),
        "rust" => is_a_doc_test(shown),
        "text" => {}
        "toml" => is_a_configuration(shown, text),
        "xml" => stands_in_an_answer(shown, text),
        _ => panic!("{shown} is in a language that this test does not know"),
    }
}

/// Each line of it stands in the example for Django, or in the package, which the tests of both run.
fn stands_in_the_project(shown: &Shown, language: &str, text: &str) {
    let end = if language == "python" { "py" } else { language };
    let mut files = Vec::new();
    for folder in ["examples/django", "integrations/django/src"] {
        below(&root().join(folder), end, &mut files);
    }
    let lines: BTreeSet<_> = files
        .iter()
        .flat_map(|file| file.lines().map(str::trim))
        .collect();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let there = lines.iter().any(|there| there.starts_with(line));
        assert!(there, "{shown}: {line} stands in no file of the project");
    }
}

/// The texts of all files whose names end so, in the folder and below it.
fn below(folder: &Path, end: &str, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, end, texts);
        } else if path.extension().is_some_and(|found| found == end) {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
}

fn is_a_configuration(shown: &Shown, text: &str) {
    let stage = Stage::new();
    stage.write("block.toml", text);
    let shell = "unset DUMBWAITER_LISTEN; dumbwaiter --config block.toml config";
    let said = config_says(&stage, shell);
    for line in text.lines().filter(|line| line.contains(" = ")) {
        let taken = format!("{line}  # file block.toml");
        assert!(said.contains(&taken), "{shown}: {taken} is not in {said}");
    }
}

fn the_unit_starts_a_server(text: &str) {
    let stage = Stage::new();
    let start = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let (program, flags) = start.unwrap().split_once(' ').unwrap();
    config_says(&stage, &format!("dumbwaiter config {flags}"));
    // It is on most machines, in no test's list of needs: the flags were the larger part.
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_ok()
    {
        stage.write(
            "dumbwaiter.service",
            &text.replace(program, env!("CARGO_BIN_EXE_dumbwaiter")),
        );
        let output = stage.run("systemd-analyze verify ./dumbwaiter.service 2>&1");
        // Of an unknown key it only says so.
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}

/// In Node, with the packages of the browser tests; what a page would show is printed.
fn the_script_uploads(text: &str) {
    let packages = root().join("client/node_modules");
    if !needs("node") {
        return;
    }
    if !packages.join("tus-js-client").is_dir() {
        return leave_out("client/node_modules/tus-js-client");
    }
    let (stage, server) = (Stage::new(), Server::start(&[]));
    let here = text.replace("127.0.0.1:7070", &server.address.to_string());
    let file = "Object.assign(fs.readFileSync(\"paella.jpg\"), { name: \"paella.jpg\", type: \"image/jpeg\" })";
    let script = format!(
        "import fs from \"node:fs\";\nimport {{ createRequire }} from \"node:module\";\n\
         const tus = createRequire({:?})(\"tus-js-client\");\nconst file = {file};\nconst show = console.log;\n{here}",
        packages.join("x.js")
    );
    stage.write("block.mjs", &script);
    let said = config_says(&stage, "node block.mjs");
    assert!(said.ends_with("100\ndone\n"), "{said}");
    assert!(server.read("paella.jpg") == picture());
}

/// Clients that need a browser have one in the tests of the page.
fn the_browsers_run_it(shown: &Shown) {
    let mut run = Vec::new();
    below(&root().join("client/test"), "js", &mut run);
    let named = format!("../../{}\"", shown.page());
    assert!(run.iter().any(|test| test.contains(&named)), "{shown}");
}

/// The apps of that page are started, and asked, by a test of their own.
fn it_stands_there_as_it_runs(shown: &Shown) {
    let run = std::fs::read_to_string(root().join("tests/it/apps.rs")).unwrap();
    assert!(run.contains(shown.page()), "{shown}");
}

fn nginx_takes_it(shown: &Shown, text: &str) {
    if needs("nginx") {
        let said = nginx::refusal(&format!("server {{ listen unix:a; {text} }}"));
        assert_eq!(said, None, "{shown}");
    }
}

/// rustdoc compiles the blocks of the pages that a module of the crate includes in its documentation.
fn is_a_doc_test(shown: &Shown) {
    let included = format!("doc = include_str!(\"../{}\")", shown.page());
    let modules = std::fs::read_dir(root().join("src")).unwrap();
    let mut modules = modules.map(|entry| entry.unwrap().path());
    let found = modules
        .any(|path| path.is_file() && std::fs::read_to_string(path).unwrap().contains(&included));
    assert!(found, "{shown}: no {included} in src/");
}

fn is_shaped_like_an_answer(shown: &Shown, text: &str) {
    let sample: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{shown}: {e}"));
    let real = match shown.page() {
        "docs/errors.md" => a_refusal_of_what_is_too_large(),
        "docs/progress.md" => a_record_under_way(),
        _ => panic!("{shown} is an answer to what?"),
    };
    same_shape(&sample, &real, &shown.to_string());
}

/// The same keys in the same order, and the same values where they are words. A number, a time and what stands for
/// something left out differ from one upload to the next, and what is `null` may be known.
fn same_shape(sample: &Value, real: &Value, place: &str) {
    match (sample, real) {
        (Value::Object(some), Value::Object(all)) => {
            let keys = |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(some), keys(all), "{place}");
            for (key, sample) in some {
                same_shape(sample, &all[key], &format!("{place}: {key}"));
            }
        }
        (Value::Array(some), Value::Array(all)) => {
            assert_eq!(some.len(), all.len(), "{place}");
            some.iter()
                .zip(all)
                .for_each(|(sample, real)| same_shape(sample, real, place));
        }
        (Value::String(sample), Value::String(real)) => {
            let varies = sample.contains('…') || sample.ends_with('Z') && real.ends_with('Z');
            assert!(varies || sample == real, "{place}: {real}");
        }
        (Value::Null, _) | (Value::Number(_), Value::Number(_) | Value::Null) => {}
        _ => panic!("{place}: {real}"),
    }
}

fn a_refusal_of_what_is_too_large() -> Value {
    let server = Server::start(&["--max-upload-size", "1MB"]);
    let head = "PUT /files/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n";
    server.send(head.as_bytes()).json()
}

fn a_record_under_way() -> Value {
    let server = Server::start(&[]);
    let body = form(&[
        part("id", None, b"12"),
        part("picture", Some("paella.jpg"), &picture()),
    ]);
    let cookie = "Cookie: dw=0123456789abcdef0123456789abcdef\r\n";
    let request = post("/upload?X-Progress-ID=42", cookie, &body);
    let mut client = server.connect();
    std::io::Write::write_all(&mut client, &request[..request.len() - 1000]).unwrap();
    let records = eventually(
        || server.get_with("/uploads?X-Progress-ID=42", cookie).json(),
        |records| records[0]["received"] == body.len() - 1000,
    );
    records[0].clone()
}

/// The tags of the sample stand in the answer in that order, each with its text; `…` is for what is left out.
fn stands_in_an_answer(shown: &Shown, text: &str) {
    let server = Server::start(&[]);
    let accept = "Accept: application/xml\r\n";
    let answer = match text.contains("missing_enctype") {
        false => {
            let body = form(&[part("id", None, b"12"), part("picture", Some("paella.jpg"), b"x")]);
            server.post("/upload?X-Progress-ID=42", accept, &body)
        }
        true => server.send(
            format!("POST /upload HTTP/1.1\r\nHost: a\r\n{accept}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        ),
    };
    let mut rest = answer.text();
    for piece in text.split('<').skip(1) {
        let piece = piece.trim_end_matches(['\n', '…']);
        // How long it was differs, an error's status does not.
        let sought = match piece.strip_prefix("length>") {
            Some(_) => "<length>".to_owned(),
            None => format!("<{piece}"),
        };
        let (_, after) = rest
            .split_once(&sought)
            .unwrap_or_else(|| panic!("{shown}: no {sought} in {rest} of {}", answer.text()));
        rest = after;
    }
}
