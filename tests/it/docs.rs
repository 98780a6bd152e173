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
