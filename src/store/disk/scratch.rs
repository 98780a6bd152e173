//! The temporary files of one session, removed when nobody needs them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::reserve::Writing;
use super::root::Root;

/// The files of a session, and those that its checkpoint needs.
#[derive(Debug)]
pub(super) struct Scratch {
    root: Arc<Root>,
    /// The files begun and not discarded, in order.
    pub(super) files: Vec<Writing>,
    /// The temporary files that a checkpoint speaks of, or may speak of.
    kept: Vec<String>,
}

impl Scratch {
    pub(super) fn new(root: Arc<Root>) -> Self {
        Self {
            root,
            files: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The names of the temporary files, in the order of the files.
    pub(super) fn temps(&self) -> Vec<String> {
        self.files.iter().map(|file| file.temp.clone()).collect()
    }

    /// The files whose data is not known to be durable.
    pub(super) fn unsynced(&self) -> Vec<Arc<OwnedFd>> {
        let dirty = self.files.iter().filter(|file| file.dirty);
        dirty.filter_map(|file| file.file.clone()).collect()
    }

    /// Those of them that have bytes. One that has none a checkpoint need not find.
    pub(super) fn unsynced_bytes(&self) -> Vec<Arc<OwnedFd>> {
        let dirty = self
            .files
            .iter()
            .filter(|file| file.dirty && file.written > 0);
        dirty.filter_map(|file| file.file.clone()).collect()
    }

    /// Whether a file that has bytes may lose its name.
    pub(super) fn unnamed_bytes(&self) -> bool {
        self.files
            .iter()
            .any(|file| !file.named && file.written > 0)
    }

    /// Whether none of the files may lose its name.
    pub(super) fn are_named(&self) -> bool {
        self.files.iter().all(|file| file.named)
    }

    /// Forgets the file begun last; its bytes go, unless a checkpoint needs them.
    pub(super) fn discard_last(&mut self) {
        if let Some(file) = self.files.pop()
            && !file.lent
            && !self.kept.contains(&file.temp)
        {
            self.remove(&file.temp);
        }
    }

    /// A checkpoint of all files may stand from now on, beside the one before. Returns what was kept so far.
    pub(super) fn keep_also_all(&mut self) -> Vec<String> {
        let before = self.kept.clone();
        let temps = self.temps();
        self.kept
            .extend(temps.into_iter().filter(|temp| !before.contains(temp)));
        before
    }

    /// The new checkpoint does not stand: what was kept before is kept.
    pub(super) fn keep_only(&mut self, before: Vec<String>) {
        self.kept = before;
    }

    /// The new checkpoint stands: what only the older one needed goes.
    pub(super) fn keep_all(&mut self) {
        for file in &mut self.files {
            file.saved = file.written;
        }
        let temps = self.temps();
        for old in std::mem::replace(&mut self.kept, temps) {
            if !self.kept.contains(&old) {
                self.remove(&old);
            }
        }
    }

    /// There is no checkpoint any more: files that only it needed go, the others when this is dropped.
    pub(super) fn keep_nothing(&mut self) {
        self.keep_all();
        self.kept.clear();
    }

    /// Cuts the files of the checkpoint to what it speaks of. Only whoever has the upload may.
    pub(super) fn revert(&mut self) {
        let kept = |file: &&mut Writing| self.kept.contains(&file.temp);
        for file in self.files.iter_mut().filter(kept) {
            if let Err(e) = file.revert() {
                // It takes more room than it needs until it is taken again.
                tracing::warn!(cause = %e, "a temporary file could not be cut");
            }
        }
    }

    /// Takes out file `index`, to be moved by itself; `None` when it is not there or was taken out before. What a
    /// checkpoint needs it still needs.
    pub(super) fn lend(&mut self, index: usize) -> Option<Self> {
        let place = self.files.get_mut(index).filter(|file| !file.lent)?;
        let husk = Writing::lent(place.temp.clone());
        let file = std::mem::replace(place, husk);
        let kept = self.kept.iter().filter(|temp| **temp == file.temp);
        Some(Self {
            root: Arc::clone(&self.root),
            kept: kept.cloned().collect(),
            files: vec![file],
        })
    }

    /// Takes back a file that could not be moved.
    pub(super) fn take_back(&mut self, index: usize, mut lent: Self) {
        if let (Some(place), Some(file)) = (self.files.get_mut(index), lent.files.pop()) {
            *place = file;
        }
    }

    /// Whether a file has been taken out to be moved by itself.
    pub(super) fn has_lent(&self) -> bool {
        self.files.iter().any(|file| file.lent)
    }

    /// The files have got their names, nothing is left to remove.
    pub(super) fn all_moved(&mut self) {
        self.files.clear();
    }

    fn remove(&self, temp: &str) {
        match rustix::fs::unlinkat(self.root.tmp(), temp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => tracing::warn!(cause = %e, "a temporary file could not be removed"),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for file in &self.files {
            if !file.lent && !self.kept.contains(&file.temp) {
                self.remove(&file.temp);
            }
        }
    }
}
