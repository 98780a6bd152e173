//! A folder as it was at any moment of a trace: rebuilt from the system calls that changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::random::Random;
use crate::support::traced::Call;

/// What a device writes as one: the rest of a write may be missing after a power cut.
const SECTOR: usize = 512;

/// What of the changes is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// All that had ended, as after the death of the process; and by chance what was under way.
    All,
    /// What a sync had made durable, and nothing else: the least that a power cut leaves.
    Synced,
    /// That, and of everything else sectors and names by chance.
    Some,
}

/// All that happened in a folder.
#[derive(Debug)]
pub(super) struct World {
    root: PathBuf,
    steps: Vec<Step>,
    /// When each file that was there at the end was last changed: a record knows a copied file by it.
    modified: BTreeMap<usize, SystemTime>,
}

/// A change, or an answer, and the lines of the trace where it began and ended.
#[derive(Debug)]
struct Step {
    began: usize,
    ended: usize,
    what: What,
    /// Which file it means, whatever that was called by then: files are counted as they are made.
    file: Option<usize>,
}

#[derive(Debug)]
enum What {
    Create(PathBuf),
    Folder(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Cut(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    Sync(PathBuf),
    Answer,
}

impl World {
    /// What strace saw of a server whose folder lies below `root`, which is as the server has left it.
    pub(super) fn new(root: &Path, calls: &[Call], random: &mut Random) -> Self {
        let mut names = Names::default();
        let steps = calls.iter().filter_map(|call| {
            let what = what(root, &call.text)?;
            Some(Step {
                began: call.began,
                ended: call.ended,
                file: names.file(&what),
                what,
            })
        });
        let mut world = Self {
            root: root.to_owned(),
            steps: steps.collect(),
            modified: BTreeMap::new(),
        };
        let end = world.at(usize::MAX, Left::All, random);
        for (name, file) in &end.names {
            let there = std::fs::read(name).unwrap_or_else(|e| panic!("{}: {e}", name.display()));
            assert!(
                there == end.files[*file],
                "the trace makes another {}",
                name.display()
            );
            let modified = std::fs::metadata(name).unwrap().modified().unwrap();
            world.modified.insert(*file, modified);
        }
        world
    }

    /// The moments between any two changes, and within those that another thread saw begun.
    pub(super) fn moments(&self) -> Vec<usize> {
        let moments = self.steps.iter().flat_map(|step| {
            let after = step.ended.saturating_add(1);
            [step.began, step.began + 1, after]
        });
        moments.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// How many answers had been begun.
    pub(super) fn answers(&self, moment: usize) -> usize {
        let is_answer = |step: &&Step| matches!(step.what, What::Answer) && step.began < moment;
        self.steps.iter().filter(is_answer).count()
    }

    /// Lays the folder out below `root` as it was at a moment.
    pub(super) fn lay_out(&self, root: &Path, moment: usize, left: Left, random: &mut Random) {
        let state = self.at(moment, left, random);
        let place = |path: &Path| root.join(path.strip_prefix(&self.root).unwrap());
        for folder in &state.folders {
            std::fs::create_dir(place(folder)).unwrap();
        }
        for (name, file) in &state.names {
            let to = std::fs::File::create(place(name)).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&to, &state.files[*file], 0).unwrap();
            if let Some(modified) = self.modified.get(file) {
                to.set_modified(*modified).unwrap();
            }
        }
    }

    fn at(&self, moment: usize, left: Left, random: &mut Random) -> State {
        let mut state = State::default();
        for step in self.steps.iter().filter(|step| step.began < moment) {
            if let (What::Write(_, at, bytes), Left::Some) = (&step.what, left)
                && !self.is_durable(step, moment)
            {
                state.write_some(step.file.unwrap(), *at, bytes, random);
            } else if self.kept(step, moment, left, random) {
                state.change(step, &self.root);
            }
        }
        state
    }

    fn kept(&self, step: &Step, moment: usize, left: Left, random: &mut Random) -> bool {
        match left {
            Left::All => step.ended < moment || random.one_in(2),
            Left::Synced => self.is_durable(step, moment),
            Left::Some => self.is_durable(step, moment) || random.one_in(2),
        }
    }

    /// Whether a sync that began after the change and ended before the moment was of this file, or of the folder of this
    /// name. A rename is one entry in a file system's journal: a sync of either folder keeps both its halves.
    fn is_durable(&self, step: &Step, moment: usize) -> bool {
        let folders = step.what.folders();
        self.steps.iter().any(|sync| {
            let What::Sync(synced) = &sync.what else {
                return false;
            };
            let of_this = match step.what {
                What::Write(..) | What::Cut(..) => sync.file == step.file,
                _ => folders.contains(&Some(&**synced)),
            };
            sync.began > step.ended && sync.ended < moment && of_this
        })
    }
}

impl What {
    /// The folders whose entries it changes.
    fn folders(&self) -> [Option<&Path>; 2] {
        match self {
            Self::Create(name) | Self::Folder(name) | Self::Remove(name) | Self::Link(_, name) => {
                [name.parent(), None]
            }
            Self::Rename(from, to) => [from.parent(), to.parent()],
            Self::Write(..) | Self::Cut(..) | Self::Sync(_) | Self::Answer => [None; 2],
        }
    }
}

/// Which file has which name, as the process sees it.
#[derive(Default)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    made: usize,
}

impl Names {
    /// The file that a change means, if it is about one.
    fn file(&mut self, what: &What) -> Option<usize> {
        let known = |name: &Path| *self.files.get(name).unwrap_or_else(|| panic!("{name:?}"));
        match what {
            What::Create(name) => {
                let new = self.made;
                let file = *self.files.entry(name.clone()).or_insert(new);
                self.made += usize::from(file == new);
                Some(file)
            }
            What::Write(name, ..) | What::Cut(name, _) => Some(known(name)),
            What::Rename(from, to) => {
                let file = known(from);
                self.files.remove(from);
                self.files.insert(to.clone(), file);
                Some(file)
            }
            What::Link(from, to) => {
                let file = known(from);
                self.files.insert(to.clone(), file);
                Some(file)
            }
            What::Remove(name) => self.files.remove(name),
            What::Sync(name) => self.files.get(name).copied(),
            What::Folder(_) | What::Answer => None,
        }
    }
}

/// What lies in the folder.
#[derive(Default, Debug)]
struct State {
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
}

impl State {
    fn change(&mut self, step: &Step, root: &Path) {
        let file = step.file.unwrap_or_default();
        match &step.what {
            What::Folder(name) => {
                if name.parent().is_some_and(|parent| parent == root) || self.has_folder_of(name) {
                    self.folders.insert(name.clone());
                }
            }
            What::Create(name) | What::Link(_, name) => self.name(name, file),
            What::Rename(from, to) => {
                self.names.remove(from);
                self.name(to, file);
            }
            What::Remove(name) => {
                self.names.remove(name);
            }
            What::Write(_, at, bytes) => self.write(file, *at, bytes),
            What::Cut(_, length) => self.file(file).resize(*length, 0),
            What::Sync(_) | What::Answer => {}
        }
    }

    fn has_folder_of(&self, name: &Path) -> bool {
        name.parent()
            .is_some_and(|parent| self.folders.contains(parent))
    }

    fn name(&mut self, name: &Path, file: usize) {
        if self.has_folder_of(name) {
            self.file(file);
            self.names.insert(name.to_owned(), file);
        }
    }

    fn file(&mut self, file: usize) -> &mut Vec<u8> {
        let files = self.files.len().max(file + 1);
        self.files.resize(files, Vec::new());
        &mut self.files[file]
    }

    fn write(&mut self, file: usize, at: usize, bytes: &[u8]) {
        let content = self.file(file);
        content.resize(content.len().max(at + bytes.len()), 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn write_some(&mut self, file: usize, at: usize, bytes: &[u8], random: &mut Random) {
        let mut from = 0;
        while from < bytes.len() {
            let to = ((at + from) / SECTOR + 1) * SECTOR - at;
            let to = to.min(bytes.len());
            if random.one_in(2) {
                self.write(file, at + from, &bytes[from..to]);
            }
            from = to;
        }
    }
}

/// What a call has changed below `root`; `None` where that is nothing.
///
/// # Panics
/// When it changes something there in a way that is not known here.
fn what(root: &Path, text: &str) -> Option<What> {
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
