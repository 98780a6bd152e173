//! What one system call has changed, read from the line that strace writes about it with `-y -xx`.

use std::path::{Path, PathBuf};

/// A change, or an answer.
#[derive(Debug)]
pub(super) enum What {
    Create(PathBuf),
    Folder(PathBuf),
    /// Bytes, and where.
    Write(PathBuf, usize, Vec<u8>),
    /// To this length, shorter or longer.
    Cut(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    Sync(PathBuf),
    Answer,
}

impl What {
    /// The folders whose entries it changes.
    pub(super) fn folders(&self) -> [Option<&Path>; 2] {
        match self {
            Self::Create(name) | Self::Folder(name) | Self::Remove(name) | Self::Link(_, name) => {
                [name.parent(), None]
            }
            Self::Rename(from, to) => [from.parent(), to.parent()],
            Self::Write(..) | Self::Cut(..) | Self::Sync(_) | Self::Answer => [None; 2],
        }
    }
}

/// What a call has changed below `root`; `None` where that is nothing.
///
/// # Panics
/// When it changes something there in a way that is not known here.
pub(super) fn what(root: &Path, text: &str) -> Option<What> {
    let (name, rest) = text.split_once('(')?;
    // One that never ended was under way when the tracing did.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let result: i64 = result.split([' ', '<']).next()?.parse().ok()?;
    if result < 0 {
        return None;
    }
    let arguments = split(arguments);
    let path = |fd: usize, name: Option<usize>| {
        let mut path = PathBuf::from(text_of(arguments.get(fd)?));
        if let Some(name) = name {
            path.push(text_of(arguments.get(name)?));
        }
        let is_gone = arguments[fd].ends_with("(deleted)");
        (path.starts_with(root) && path != root && !is_gone).then_some(path)
    };
    let number = |index: usize| arguments[index].parse::<usize>().unwrap();
    match name {
        "open" => made(path(0, None)?, arguments[1]),
        "openat" | "openat2" => made(path(0, Some(1))?, arguments[2]),
        "mkdir" => Some(What::Folder(path(0, None)?)),
        "mkdirat" => Some(What::Folder(path(0, Some(1))?)),
        "pwrite64" | "pwritev" | "pwritev2" => {
            let bytes = bytes(arguments[1]);
            assert_eq!(i64::try_from(bytes.len()), Ok(result), "cut short: {name}");
            Some(What::Write(path(0, None)?, number(3), bytes))
        }
        "ftruncate" => Some(What::Cut(path(0, None)?, number(1))),
        "rename" => Some(What::Rename(path(0, None)?, path(1, None)?)),
        "renameat" | "renameat2" => Some(What::Rename(path(0, Some(1))?, path(2, Some(3))?)),
        "linkat" => Some(What::Link(path(0, Some(1))?, path(2, Some(3))?)),
        "unlinkat" => Some(What::Remove(path(0, Some(1))?)),
        "fsync" | "fdatasync" => Some(What::Sync(text_of(arguments[0]).into()))
            .filter(|_| path(0, None).is_some() || is_root(root, arguments[0])),
        "fallocate" if arguments[1].contains("KEEP_SIZE") => None,
        "write" | "writev" | "sendto" | "sendmsg" if path(0, None).is_none() => {
            let said = bytes(arguments[1]);
            let is_answer = said.starts_with(b"HTTP/1.1 ") && !said.starts_with(b"HTTP/1.1 100");
            is_answer.then_some(What::Answer)
        }
        _ => {
            let touches = (0..arguments.len()).any(|index| path(index, None).is_some());
            assert!(!touches, "a change that is not known here: {name}");
            None
        }
    }
}

/// Whether the opening made the file.
fn made(file: PathBuf, flags: &str) -> Option<What> {
    assert!(!flags.contains("O_TRUNC"), "{}", file.display());
    flags.contains("O_CREAT").then_some(What::Create(file))
}

fn is_root(root: &Path, argument: &str) -> bool {
    Path::new(&text_of(argument)) == root
}

/// Arguments, one by one. With `-xx` no string holds a character that means something here.
fn split(arguments: &str) -> Vec<&str> {
    let (mut found, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                found.push(arguments[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(arguments[from..].trim());
    found
}

/// All that stands in hexadecimal.
fn bytes(argument: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    let codes = argument.as_bytes().split(|byte| *byte == b'\\').skip(1);
    codes
        .map(|code| u8::try_from(digit(code[1]) << 4 | digit(code[2])).unwrap())
        .collect()
}

fn text_of(argument: &str) -> String {
    String::from_utf8(bytes(argument)).unwrap_or_default()
}
