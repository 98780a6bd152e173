//! A folder as it was at any moment of a trace: rebuilt from the system calls that changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::change::{What, what};
use super::random::Random;
use crate::support::traced::{Call, parse};

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

impl World {
    /// What strace saw of a server whose folder lies below `root`, which is as the server has left it.
    ///
    /// # Panics
    /// When the calls do not make the folder that is there.
    pub(super) fn new(root: &Path, calls: &[Call], random: &mut Random) -> Self {
        let mut world = Self::of(root, calls);
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

    fn of(root: &Path, calls: &[Call]) -> Self {
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
        Self {
            root: root.to_owned(),
            steps: steps.collect(),
            modified: BTreeMap::new(),
        }
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

#[test]
fn a_power_cut_leaves_what_a_sync_covers_and_of_the_rest_some() {
    let hex =
        |text: &str| -> String { text.bytes().map(|byte| format!("\\x{byte:02x}")).collect() };
    let (root, folder, a, b) = (hex("/r"), hex("/r/d"), hex("/r/d/a"), hex("/r/d/b"));
    let log = [
        format!("mkdir(\"{folder}\", 0777) = 0"),
        format!("fsync(3<{root}>) = 0"),
        format!(
            "openat(4<{folder}>, \"{}\", O_RDWR|O_CREAT, 0666) = 5<{a}>",
            hex("a")
        ),
        format!("pwrite64(5<{a}>, \"{}\", 3, 0) = 3", hex("one")),
        format!("fdatasync(5<{a}>) = 0"),
        format!("fsync(4<{folder}>) = 0"),
        format!(
            "pwritev(5<{a}>, [{{iov_base=\"{}\", iov_len=3}}], 1, 3) = 3",
            hex("two")
        ),
        format!(
            "renameat2(4<{folder}>, \"{}\", 4<{folder}>, \"{}\", RENAME_NOREPLACE) = 0",
            hex("a"),
            hex("b")
        ),
        format!("fdatasync(5<{b}>) = 0"),
        format!(
            "write(6<{}>, \"{}\", 15) = 15",
            hex("TCP"),
            hex("HTTP/1.1 200 OK")
        ),
    ];
    let text: String = log.iter().map(|line| format!("7 {line}\n")).collect();
    let world = World::of(Path::new("/r"), &parse(&text));
    let mut random = Random::new();
    let mut at = |moment, left| {
        let state = world.at(moment, left, &mut random);
        let files = state
            .names
            .iter()
            .map(|(name, file)| (name, &state.files[*file]));
        files
            .map(|(name, bytes)| {
                (
                    name.to_str().unwrap().to_owned(),
                    String::from_utf8_lossy(bytes).into_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let file = |name: &str, content: &str| vec![(name.to_owned(), content.to_owned())];
    for (moment, all, synced) in [
        (2, vec![], vec![]),
        (4, file("/r/d/a", "one"), vec![]),
        (5, file("/r/d/a", "one"), vec![]),
        (6, file("/r/d/a", "one"), file("/r/d/a", "one")),
        (8, file("/r/d/b", "onetwo"), file("/r/d/a", "one")),
        (9, file("/r/d/b", "onetwo"), file("/r/d/a", "onetwo")),
    ] {
        assert_eq!(at(moment, Left::All), all, "{moment}");
        assert_eq!(at(moment, Left::Synced), synced, "{moment}");
    }
    let some: BTreeSet<_> = (0..100).map(|_| at(8, Left::Some)).collect();
    let expected = [("a", "one"), ("a", "onetwo"), ("b", "one"), ("b", "onetwo")];
    let expected = expected.map(|(name, content)| file(&format!("/r/d/{name}"), content));
    assert_eq!(some, BTreeSet::from(expected));
    assert_eq!((world.answers(9), world.answers(10)), (0, 1));
}
