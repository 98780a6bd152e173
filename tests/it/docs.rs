//! What the docs name exists.

use std::path::Path;

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
            for link in text.split("](").skip(1) {
                let (link, _) = link.split_once(')').unwrap();
                let (file, _) = link.split_once('#').unwrap_or((link, ""));
                if !file.contains("://") {
                    assert!(folder.join(file).exists(), "{}: {link}", page.display());
                    links += 1;
                }
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
