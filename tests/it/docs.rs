//! What the docs name exists.

use std::path::Path;

use crate::support::Server;

#[test]
fn every_trap_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "tests/it", "client/test"] {
        read(&root.join(folder), &mut code);
    }
    let mut rows = 0;
    for row in include_str!("../../docs/traps.md").lines() {
        let Some(tests) = row
            .strip_suffix(" |")
            .and_then(|row| row.rsplit(" | ").next())
        else {
            continue;
        };
        for name in tests.split('`').skip(1).step_by(2) {
            let exists = [format!("fn {name}("), format!("test(\"{name}\"")];
            assert!(
                exists.iter().any(|text| code.contains(text)),
                "no test {name}"
            );
            rows += 1;
        }
    }
    assert!(rows > 40, "the table is read no more");
}

#[test]
fn every_link_within_the_docs_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for folder in [root.to_owned(), root.join("docs")] {
        for page in std::fs::read_dir(&folder).unwrap() {
            let page = page.unwrap().path();
            if page.extension().is_none_or(|end| end != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&page).unwrap();
            let inline = text.split("](").skip(1);
            let inline = inline.map(|link| link.split_once(')').unwrap().0);
            for link in inline.chain(defined(&text).map(|(_, link)| link)) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                if file.contains("://") {
                    continue;
                }
                let target = if file.is_empty() {
                    page.clone()
                } else {
                    folder.join(file)
                };
                assert!(target.exists(), "{}: {link}", page.display());
                let is_there = anchor.is_empty() || anchors(&target).contains(&anchor.to_owned());
                assert!(is_there, "{}: {link}", page.display());
                links += 1;
            }
        }
    }
    assert!(links > 20, "{links}");
}

#[test]
fn the_code_that_the_readme_shows_is_compiled_with_the_docs() {
    let compiled = include_str!("../../docs/library.md");
    let blocks = include_str!("../../README.md").split("```rust\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    for block in blocks {
        assert!(compiled.contains(block), "not in docs/library.md: {block}");
    }
}

/// rustdoc shows that page too, where the others are not beside it.
#[test]
fn the_guides_links_lead_somewhere_in_rustdoc_as_well() {
    let page = include_str!("../../docs/library.md");
    assert!(
        !page.contains("]("),
        "such a link can only lead to one place"
    );
    let guide = include_str!("../../src/guide.rs");
    let (before, _) = guide.split_once("include_str!").unwrap();
    let mut links = 0;
    for (name, _) in defined(page) {
        let first = format!("//! [{name}]: crate::");
        assert!(before.contains(&first), "{name} leads to no item");
        links += 1;
    }
    assert!(links > 0, "the page's links are read no more");
}

/// The names and targets of a page's links that it writes down apart: `[errors]: errors.md`.
fn defined(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('['));
    lines.filter_map(|line| line.split_once("]: "))
}

/// What a heading is called in a link to it.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let plain = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let name = |heading: &str| {
        let words = heading.trim_start_matches('#').trim();
        let words: String = words.chars().filter(plain).collect();
        words.to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// `413 \`limit_exceeded\`` on any page is what the table of errors says, which is held to the code.
#[test]
fn every_status_that_stands_before_a_code_is_that_codes() {
    let table = include_str!("../../docs/errors.md");
    let mut pairs = 0;
    for (page, text) in pages() {
        for (before, after) in text.match_indices(" `").map(|(at, _)| text.split_at(at)) {
            let status = before
                .get(before.len().saturating_sub(3)..)
                .unwrap_or_default();
            let code = after[2..].split('`').next().unwrap();
            let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
            let is_code = code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_status && is_code {
                let row = format!("| `{code}` | {status} | ");
                assert!(table.contains(&row), "{page}: {status} `{code}`");
                pairs += 1;
            }
        }
    }
    assert!(pairs > 20, "{pairs}");
}

/// The pages at the root and below `docs/`, each with its text.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs")];
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let pages = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    };
    pages.map(read).collect()
}

/// Codes of our own errors are held to the table by their enum; those of the handlers are known from what they answer.
#[test]
fn the_table_of_the_handlers_codes_says_what_they_answer() {
    let page = include_str!("../../docs/errors.md");
    let (_, table) = page.split_once("Codes of the handlers").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let server = Server::start(&["--max-file-size", "10", "--allow-type", "image/png"]);
    let put = |body: &str| {
        let length = body.len();
        format!("PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let answers = ["more than ten", "text"].map(|body| {
        let reply = server.send(put(body).as_bytes());
        let code = reply.json()["code"].as_str().unwrap().to_owned();
        format!("| `{code}` | {} | ", reply.status)
    });
    let told: Vec<_> = rows.collect();
    assert_eq!(told.len(), answers.len(), "{told:?}");
    for answer in answers {
        let is_told = told.iter().any(|row| row.starts_with(&answer));
        assert!(is_told, "docs/errors.md lacks {answer}");
    }
}

fn read(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, code);
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "js")
        {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
