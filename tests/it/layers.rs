//! Who may import whom: a module imports only from rows above its own, so that the path of a byte stays one way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules of the crate by rows, the first row at the top. `ARCHITECTURE.md` says what each is for.
const ROWS: [&[&str]; 15] = [
    &["error", "interim", "sizes", "upload"],
    &["name", "net", "signed", "threads"],
    &["handlers", "lock", "progress", "store"],
    &["admission", "sweep"],
    &["receive"],
    &["unfinished"],
    &["accept", "head", "problem", "query"],
    &["rights"],
    &["page", "protocol", "watch"],
    &["operator", "outbound"],
    &["app", "arrival", "limits", "mirror"],
    &["ask", "hand_off"],
    &["guide", "lib", "service"],
    &["terminal"],
    &["main", "server"],
];

#[test]
fn no_module_imports_from_its_own_row_or_one_below() {
    let mut upward = Vec::new();
    for (module, file) in sources() {
        let source = std::fs::read_to_string(&file).unwrap();
        let row = row(&module).unwrap_or_else(|| panic!("{module} stands in no row of this table"));
        for imported in imports(&source) {
            let from = row_of_import(&imported);
            if imported != module && from.is_none_or(|from| from >= row) {
                upward.push(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// What lies at the crate's root itself is the public face that `lib` gives to rows below it.
fn row_of_import(name: &str) -> Option<usize> {
    let reexported = name.starts_with(char::is_uppercase);
    row(if reexported { "lib" } else { name })
}

/// Every file of `src/` with the module of the crate's root that it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let module = path
                    .strip_prefix(&root)
                    .unwrap()
                    .components()
                    .next()
                    .unwrap();
                let module = Path::new(&module).file_stem().unwrap().to_str().unwrap();
                found.push((module.to_owned(), path));
            }
        }
    }
    found
}

/// The names right behind `crate::`, in `use` lines and in code, up to the tests at the file's end.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let code: String = code
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .collect();
    let behind = code.split("crate::").skip(1);
    behind.flat_map(names).collect()
}

/// `name::…` gives one name, `{name::…, other::{…}}` gives one for each entry of the outer braces.
fn names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_name(path)];
    };
    let mut depth = 1;
    let mut names = vec![first_name(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(first_name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(path: &str) -> String {
    let end = |c: char| !(c.is_alphanumeric() || c == '_');
    path.trim().split(end).next().unwrap_or_default().to_owned()
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let source = "use crate::error::Error;\nuse crate::{\n    name,\n    store::{self, Store},\n    handlers,\n};\n// crate::service\n\
        fn f(c: crate::upload::Upload) {}\n#[cfg(test)]\nmod tests { use crate::server; }\n";
    let found: Vec<_> = imports(source).into_iter().collect();
    assert_eq!(found, ["error", "handlers", "name", "store", "upload"]);
}
