//! What the pages show: their commands, one by one, what they say of options, and their blocks.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Something on a page that a reader may copy.
#[derive(Debug)]
pub(super) struct Shown {
    page: String,
    line: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A line for a shell.
    Command(String),
    /// Flags of ours without the program: `--keep 30d`.
    Flags(String),
    /// `DUMBWAITER_MAX_FILES=10`
    Variable(String),
    /// `max-files = 10`
    Key(String),
    /// A block that is no commands.
    Block { language: String, text: String },
}

impl Shown {
    /// The name of the example in whose first lines it stands.
    pub(super) fn example(&self) -> Option<&str> {
        self.page.strip_prefix("examples/")?.strip_suffix(".rs")
    }

    /// The page's path below the repository.
    pub(super) fn page(&self) -> &str {
        &self.page
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {:?}", self.page, self.line, self.what)
    }
}

/// With these a command begins.
const PROGRAMS: [&str; 11] = [
    "cargo",
    "make",
    "curl",
    "dumbwaiter",
    "npm",
    "node",
    "setsid",
    "sudo",
    "openssl",
    "pip",
    "python3",
];

/// All that is shown on all pages. The changelog tells of the past and is not among them.
pub(super) fn pages() -> Vec<Shown> {
    let mut shown = Vec::new();
    for path in files() {
        let mut text = fs::read_to_string(root().join(&path)).unwrap();
        if path.extension().is_some_and(|end| end == "rs") {
            let first = text.lines().map_while(|line| line.strip_prefix("//!"));
            text = first
                .map(|line| format!("{}\n", line.trim_start()))
                .collect();
        }
        let page = path.display().to_string();
        read(&text, |line, what| {
            let page = page.clone();
            shown.push(Shown { page, line, what });
        });
    }
    shown
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Pages, and examples, which begin with the commands that run them.
fn files() -> Vec<PathBuf> {
    let examples = entries(Path::new("examples"));
    let mut folders = vec![PathBuf::new(), "client".into(), "docs".into()];
    folders.extend(
        examples
            .iter()
            .filter(|path| root().join(path).is_dir())
            .cloned(),
    );
    let pages = folders.iter().flat_map(|folder| entries(folder));
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let sources = examples
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let mut files: Vec<_> = pages.chain(sources.cloned()).collect();
    files.retain(|path| !path.ends_with("CHANGELOG.md"));
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.map(|name| folder.join(name)).collect()
}

/// Tells what `text` shows, each with its line.
fn read(text: &str, mut tell: impl FnMut(usize, What)) {
    let mut lines = (1..).zip(text.lines());
    let mut prose = String::new();
    let mut began = 1;
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            spans(&std::mem::take(&mut prose), began, &mut tell);
            let block = lines.by_ref().map(|(_, line)| line);
            let block: Vec<_> = block.take_while(|line| !line.starts_with("```")).collect();
            block_of(language, &block, number, &mut tell);
        } else if line.starts_with("    ") && prose.is_empty() {
            block_of("sh", &[line.trim_start()], number, &mut tell);
        } else if line.is_empty() || line.starts_with("- ") {
            spans(&std::mem::take(&mut prose), began, &mut tell);
            prose.push_str(line);
            began = number;
        } else {
            began = if prose.is_empty() { number } else { began };
            prose.push_str(line);
            prose.push('\n');
        }
    }
    spans(&prose, began, &mut tell);
}

fn block_of(language: &str, lines: &[&str], number: usize, tell: &mut impl FnMut(usize, What)) {
    if !["", "sh"].contains(&language) {
        let (language, text) = (language.to_owned(), lines.join("\n") + "\n");
        return tell(number, What::Block { language, text });
    }
    let joined = lines.join("\n").replace("\\\n", "");
    for line in joined.lines() {
        let command = line.split("  #").next().unwrap_or_default();
        let command = command.split(" # ").next().unwrap_or_default().trim();
        if !command.is_empty() && !command.starts_with('#') {
            tell(number, What::Command(command.to_owned()));
        }
    }
}

/// What stands between back-ticks in a paragraph, a row or a list's entry.
fn spans(prose: &str, began: usize, tell: &mut impl FnMut(usize, What)) {
    let mut line = began;
    for (index, text) in prose.split('`').enumerate() {
        if index % 2 == 1 {
            let words: Vec<_> = text.split_whitespace().collect();
            if let Some(what) = what_is(&words.join(" ")) {
                tell(line, what);
            }
        }
        line += text.matches('\n').count();
    }
}

fn what_is(span: &str) -> Option<What> {
    let text = span.to_owned();
    let is_assignment = |word: &&str| word.contains('=') && word.starts_with(char::is_uppercase);
    let mut words = span.split(' ').skip_while(is_assignment);
    let (first, more) = (words.next().unwrap_or_default(), words.next().is_some());
    if PROGRAMS.contains(&first) && more {
        return Some(What::Command(text));
    }
    if span.starts_with("--") {
        return Some(What::Flags(text));
    }
    if span.starts_with("DUMBWAITER_") && span.contains('=') {
        return Some(What::Variable(text));
    }
    let (key, value) = span.split_once(" = ")?;
    let is_key = key
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    // Other languages write a name or a quote here.
    let is_value = value.starts_with(|c: char| c.is_ascii_digit() || "[\"".contains(c));
    (is_key && is_value).then_some(What::Key(text))
}

#[test]
fn a_page_is_read_as_its_reader_reads_it() {
    let page = "Say `make test` or\n`dumbwaiter\n--help`, not `make`.\n\n```sh\n# one\ncurl -T a \\\n  b  # and so on\n```\n\n    \
                make bench  # long\n\n`--keep 30d` `DUMBWAITER_KEEP=1s` `keep = \"1d\"` `a = b` is `A`\n```json\n{}\n```\n";
    let mut told = Vec::new();
    read(page, |line, what| told.push(format!("{line} {what:?}")));
    assert_eq!(
        told,
        [
            "1 Command(\"make test\")",
            "2 Command(\"dumbwaiter --help\")",
            "5 Command(\"curl -T a   b\")",
            "11 Command(\"make bench\")",
            "13 Flags(\"--keep 30d\")",
            "13 Variable(\"DUMBWAITER_KEEP=1s\")",
            "13 Key(\"keep = \\\"1d\\\"\")",
            "14 Block { language: \"json\", text: \"{}\\n\" }",
        ]
    );
}
