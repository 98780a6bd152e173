//! Where uploads under way are, so that the same command goes on after it was killed, or the machine was.
//!
//! ```text
//! $XDG_STATE_HOME/dumbwaiter/sends/KEY.json    KEY follows from the server and the file: path, length, time, inode
//! ```
//!
//! A note holds the right to its upload, so nobody else may read it. It is on the disk before the first byte is sent, and
//! goes with the last. Those that are left behind go by age, the oldest first where there are too many.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::url::Url;

/// How long a note is kept that nobody has touched; servers keep uploads for less.
const MOST_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most notes kept.
const MOST: usize = 1000;

/// The most bytes of one that is read.
const MOST_BYTES: u64 = 64 * 1024;

/// The folder of notes.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    folder: PathBuf,
}

/// What one says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Where the upload is.
    pub(crate) upload: String,
    /// The protocol in which it was begun.
    pub(crate) way: String,
    /// The file's name, for people who look.
    pub(crate) file: String,
    /// By which it is known that it has not changed.
    pub(crate) shape: Shape,
    /// The digest that was promised of it, if one was.
    pub(crate) digest: Option<String>,
}

/// By which a file is known to be what it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Its length in bytes.
    pub(crate) length: u64,
    inode: u64,
    /// When it was written to, in seconds and nanoseconds.
    modified: (i64, i64),
}

impl Shape {
    pub(crate) fn of(file: &fs::Metadata) -> Self {
        Self {
            length: file.len(),
            inode: file.ino(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// The one place of a file's note. While it is held, no other process sends that file to that server.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    lock: PathBuf,
    _locked: File,
}

impl Notes {
    /// Opens the folder, which is made if it is not there.
    ///
    /// # Errors
    /// When there is no place for it.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let folder = folder().context("there is no place for notes: set XDG_STATE_HOME or HOME")?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let notes = Self { folder };
        notes.sweep();
        Ok(notes)
    }

    /// Takes the place of a file that goes to a server under this name; `None` when another process has it.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn hold(
        &self,
        server: &Url,
        path: &Path,
        name: &str,
    ) -> anyhow::Result<Option<Held>> {
        let key = key(server, path, name);
        let lock = self.folder.join(format!("{key}.lock"));
        loop {
            let locked = private().open(&lock);
            let locked = locked.with_context(|| format!("cannot write {}", lock.display()))?;
            match flock(&locked, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            // Whoever had it may just have taken it away.
            let is_same = |now: fs::Metadata| {
                Some(now.ino()) == locked.metadata().ok().map(|held| held.ino())
            };
            if fs::metadata(&lock).is_ok_and(is_same) {
                return Ok(Some(Held {
                    path: self.folder.join(format!("{key}.json")),
                    lock,
                    _locked: locked,
                }));
            }
        }
    }

    /// Takes away what is too old, or too much. What cannot be looked at stays.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let aged =
            |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
        let mut notes: Vec<_> = entries.flatten().filter_map(aged).collect();
        notes.sort_by(|one, other| other.cmp(one));
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > MOST_AGE);
        // Each has a lock beside it.
        let gone = notes
            .iter()
            .enumerate()
            .filter(|(n, (at, _))| *n >= 2 * MOST || is_old(*at));
        for (_, (_, path)) in gone {
            let _ = fs::remove_file(path);
        }
    }
}

impl Held {
    /// What was noted before; nothing where that cannot be read.
    pub(crate) fn read(&self) -> Option<Note> {
        let mut text = String::new();
        let file = File::open(&self.path).ok()?;
        file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Notes it for good: a crash leaves the one before, or this.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, note: &Note) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(serde_json::to_string(note)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Forgets it: the upload has ended.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // With a note there is something to come back to, and its lock is looked for then.
        let _ = fs::remove_file(&self.lock);
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// By which a file is found again, whatever has become of it.
fn key(server: &Url, path: &Path, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(server.to_string());
    hash.update([0]);
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(name);
    let digest = hash.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// As the XDG base directories have it.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("dumbwaiter/sends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> (tempfile::TempDir, Notes, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("sends");
        fs::create_dir(&folder).unwrap();
        let file = home.path().join("paella.jpg");
        fs::write(&file, "paella").unwrap();
        (home, Notes { folder }, file)
    }

    fn hold(notes: &Notes, server: &str, path: &Path) -> Option<Held> {
        let server = server.parse().unwrap();
        notes.hold(&server, path, "paella.jpg").unwrap()
    }

    fn note(file: &Path) -> Note {
        Note {
            shape: Shape::of(&fs::metadata(file).unwrap()),
            upload: "http://a/files/1".to_owned(),
            way: "ietf".to_owned(),
            file: "paella.jpg".to_owned(),
            digest: None,
        }
    }

    #[test]
    fn a_note_is_found_again_until_it_is_forgotten() {
        let (_home, notes, file) = notes();
        let held = hold(&notes, "http://a/", &file).unwrap();
        assert_eq!(held.read(), None);
        held.write(&note(&file)).unwrap();
        drop(held);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let names: Vec<_> = fs::read_dir(&notes.folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(mode(&names[0]), 0o600);
        assert_eq!(hold(&notes, "http://b/", &file).unwrap().read(), None);
        let held = hold(&notes, "http://a/", &file).unwrap();
        assert_eq!(held.read(), Some(note(&file)));
        held.forget();
        assert_eq!(held.read(), None);
    }

    #[test]
    fn a_file_that_has_changed_has_another_shape() {
        let (_home, _notes, file) = notes();
        let shape = || Shape::of(&fs::metadata(&file).unwrap());
        let before = shape();
        assert_eq!(shape(), before);
        fs::write(&file, "paella with saffron").unwrap();
        assert_ne!(shape(), before);
        // As long, but later; and another file in its place.
        let before = shape();
        let later = SystemTime::now() + Duration::from_secs(1);
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_ne!(shape(), before);
        let (before, other) = (shape(), file.with_extension("new"));
        fs::write(&other, "paella with saffron").unwrap();
        File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(later)
            .unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(shape(), before);
    }

    #[test]
    fn another_name_there_is_another_upload() {
        let (_home, notes, file) = notes();
        let server = "http://a/".parse().unwrap();
        let held = hold(&notes, "http://a/", &file).unwrap();
        held.write(&note(&file)).unwrap();
        let other = notes.hold(&server, &file, "other.jpg").unwrap().unwrap();
        assert_eq!(other.read(), None);
    }

    #[test]
    fn one_process_alone_sends_a_file_to_a_server() {
        let (_home, notes, file) = notes();
        let held = hold(&notes, "http://a/", &file).unwrap();
        assert!(hold(&notes, "http://a/", &file).is_none());
        assert!(hold(&notes, "http://b/", &file).is_some());
        drop(held);
        assert!(hold(&notes, "http://a/", &file).is_some());
    }

    #[test]
    fn what_nobody_has_touched_for_long_goes() {
        let (_home, notes, file) = notes();
        hold(&notes, "http://a/", &file)
            .unwrap()
            .write(&note(&file))
            .unwrap();
        hold(&notes, "http://b/", &file)
            .unwrap()
            .write(&note(&file))
            .unwrap();
        let old = fs::read_dir(&notes.folder)
            .unwrap()
            .flatten()
            .next()
            .unwrap();
        let long_ago = SystemTime::now() - MOST_AGE - Duration::from_secs(60);
        File::options()
            .write(true)
            .open(old.path())
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        notes.sweep();
        assert!(!old.path().exists());
        assert_eq!(fs::read_dir(&notes.folder).unwrap().count(), 1);
    }
}
