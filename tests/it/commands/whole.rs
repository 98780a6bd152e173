//! Commands that run whole suites: hours of them, or what this very test is a part of. They are not run here but shown to
//! be able to: make resolves their recipes, each program in these is there, and each target of cargo's.

use std::fs;
use std::path::Path;

use super::shown::root;
use super::stage::Stage;
use crate::support::needs::needs;

/// `make` alone is short and runs.
pub(super) fn tasks_are_listed(command: &str) {
    if !needs("make") {
        return;
    }
    let said = in_root(command);
    let makefile = include_str!("../../../Makefile");
    let tasks = makefile
        .lines()
        .filter(|line| line.contains(": ") && line.contains("## "));
    let tasks = tasks.filter_map(|line| line.split_once(':'));
    let mut seen = 0;
    for (task, _) in tasks.filter(|(task, _)| !task.starts_with('\t')) {
        assert!(
            said.lines().any(|line| line.starts_with(task)),
            "{task}: {said}"
        );
        seen += 1;
    }
    assert!(seen > 5, "{said}");
}

/// With `make`: the recipes are resolved, and what they call is there.
pub(super) fn recipes_can_run(command: &str) {
    if !needs("make") {
        return;
    }
    let dry = command.replacen("make ", "make -n ", 1);
    assert_ne!(dry, command);
    let said = in_root(&dry);
    assert!(!said.trim().is_empty(), "{command} does nothing");
    let lines = said
        .lines()
        .filter(|line| !line.starts_with(char::is_whitespace));
    // A line with another way out says itself what happens where a program is missing.
    lines
        .filter(|line| !line.contains(" || "))
        .for_each(can_run);
}

/// `npm ci` loads packages and `npm start` builds for release; the page's own test in the browser needs what both make.
pub(super) fn packages_are_named(_: &str) {
    let example = root().join("examples/article");
    for file in ["package.json", "package-lock.json"] {
        assert!(example.join(file).is_file(), "{file}");
    }
}

/// The tests in the browser run it; here it is where the command says, and Python can read it.
pub(super) fn the_example_for_django_can_start(command: &str) {
    let (python, file) = command.split_once(' ').unwrap();
    if needs(python) {
        let read = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
        in_root(&format!("{python} -c '{read}' {file}"));
    }
}

/// pip would load what builds the package; the folder that it is told is a package with what it is built from.
pub(super) fn the_package_for_django_is_named(command: &str) {
    let folder = root().join(command.rsplit_once(' ').unwrap().1);
    let project = fs::read_to_string(folder.join("pyproject.toml")).unwrap();
    let project: toml::Table = project.parse().unwrap();
    let readme = project["project"]["readme"].as_str().unwrap();
    assert!(folder.join(readme).is_file(), "{readme}");
    assert!(folder.join("src/dumbwaiter_django/py.typed").is_file());
}

/// `npm run NAME` and `npm start`: the script is there, and so is the file that it runs.
pub(super) fn the_script_is_there(command: &str) {
    let example = root().join("examples/article");
    let package = fs::read_to_string(example.join("package.json")).unwrap();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap();
    let words = command.split(' ').skip(1);
    let mut names = words.filter(|word| !["run", "--"].contains(word));
    let script = package["scripts"][names.next().unwrap()].as_str().unwrap();
    let (program, file) = script.split_once(' ').unwrap();
    assert!(
        program == "node" && example.join(file).is_file(),
        "{script}"
    );
}

/// `cargo test` runs this test, so it is not run within it.
pub(super) fn is_what_runs_this(command: &str) {
    can_run(command);
}

/// The benchmark takes minutes, and is built for release. Each word behind `--` is one that its sources know, but for
/// numbers, files and words in capitals that stand for them.
pub(super) fn the_benchmark_takes_its_arguments(command: &str) {
    can_run(command);
    let sources = fs::read_dir(root().join("benches/throughput")).unwrap();
    let sources = sources.map(|entry| entry.unwrap().path());
    let sources = sources.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let code: String = sources
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let (_, arguments) = command.split_once(" -- ").unwrap();
    for word in arguments.split(' ') {
        let is_value = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let open = word.contains('.') || word.bytes().all(is_value);
        assert!(
            open || code.contains(&format!("{word:?}")),
            "{command}: {word}"
        );
    }
}

/// The program of a command is there, and so is the target that cargo is to build for it.
fn can_run(command: &str) {
    let program = without_assignments(command).split(' ').next().unwrap();
    assert_ne!(in_root(&format!("command -v {program}")), "", "{command}");
    let words: Vec<_> = command.split(' ').collect();
    for pair in words.windows(2).filter(|_| program == "cargo") {
        let folder = match pair[0] {
            "--bench" => "benches",
            "--test" => "tests",
            _ => continue,
        };
        let main = Path::new(folder).join(pair[1]).join("main.rs");
        assert!(root().join(&main).is_file(), "{command}: {main:?}");
    }
}

/// `A=1 B='2 3' program` from the program on.
fn without_assignments(command: &str) -> &str {
    let name_ends = command.find(|c: char| !c.is_ascii_uppercase() && c != '_');
    let Some((at, "=")) = name_ends.and_then(|at| Some((at, command.get(at..=at)?))) else {
        return command;
    };
    let value = &command[at + 1..];
    let rest = match value.strip_prefix('\'') {
        Some(quoted) => quoted.split_once('\'').map(|(_, rest)| rest.trim_start()),
        None => value.split_once(' ').map(|(_, rest)| rest),
    };
    rest.map_or("", without_assignments)
}

/// What `command` says at the root of the repository.
fn in_root(command: &str) -> String {
    let stage = Stage::new();
    let output = stage.shell(command).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn assignments_before_a_program_are_passed_over() {
    for command in ["make", "A=1 make", "A='1 2' B_C=3 make"] {
        assert_eq!(without_assignments(command), "make");
    }
}
