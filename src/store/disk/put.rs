//! Finished files, moved to their names, and back again when one of them fails.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::root::{Root, io_error};
use crate::error::Error;

/// Moves the files of one upload and remembers how to undo it.
#[derive(Debug)]
pub(super) struct Put {
    root: Arc<Root>,
    how: How,
    done: Vec<Done>,
    /// The folders in use, by path.
    folders: Vec<(String, Arc<OwnedFd>)>,
    /// Folders that got a new folder.
    touched: Vec<Arc<OwnedFd>>,
}

/// What may happen to a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It stays.
    Beside,
    /// It goes.
    Over,
    /// It goes, but comes back if a later file of the same upload fails.
    OverAll,
}

#[derive(Debug)]
struct Done {
    temp: String,
    folder: Arc<OwnedFd>,
    name: String,
    /// The old file waits in the folder of files under way.
    aside: bool,
}

/// Why a file is not in its place.
#[derive(Debug)]
pub(super) enum NotPut {
    /// Something has the name.
    Taken,
    Failed(Error),
}

impl From<Error> for NotPut {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl From<Errno> for NotPut {
    fn from(e: Errno) -> Self {
        Self::Failed(io_error(e))
    }
}

impl Put {
    pub(super) fn new(root: Arc<Root>, how: How) -> Self {
        Self {
            root,
            how,
            done: Vec::new(),
            folders: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Makes the folders of these places.
    pub(super) fn make_folders(&mut self, places: &[String]) -> Result<(), Error> {
        for place in places {
            self.folder(place)?;
        }
        Ok(())
    }

    /// Moves `temp` to `place`.
    pub(super) fn file(&mut self, temp: &str, place: &str) -> Result<(), NotPut> {
        let (folder, name) = self.folder(place)?;
        let aside = match self.how {
            How::Beside => {
                self.beside(temp, &folder, &name)?;
                false
            }
            How::Over => {
                self.over(temp, &folder, &name)?;
                false
            }
            How::OverAll => {
                let aside = self.set_aside(temp, &folder, &name)?;
                if let Err(e) = self.over(temp, &folder, &name) {
                    self.leave(temp, &folder, &name);
                    return Err(e);
                }
                aside
            }
        };
        self.remember(temp, folder, name, aside);
        Ok(())
    }

    /// Counts a file as moved that was moved before a crash.
    pub(super) fn already(&mut self, temp: &str, place: &str) -> Result<(), Error> {
        if let Some((folder, name)) = self.root.find(place)? {
            let old =
                rustix::fs::statat(self.root.tmp(), old_name(temp), AtFlags::SYMLINK_NOFOLLOW);
            self.remember(temp, folder, name.to_owned(), old.is_ok());
        }
        Ok(())
    }

    /// Every folder whose entries have changed.
    pub(super) fn changed_folders(&self) -> impl Iterator<Item = Arc<OwnedFd>> {
        let used = self.folders.iter().map(|(_, folder)| folder);
        used.chain(&self.touched).map(Arc::clone)
    }

    /// Removes the old files for good.
    pub(super) fn finish(self) {
        for done in self.done.iter().filter(|done| done.aside) {
            let old = old_name(&done.temp);
            if let Err(e) = rustix::fs::unlinkat(self.root.tmp(), old, AtFlags::empty()) {
                tracing::warn!(cause = %e, "a replaced file could not be removed");
            }
        }
    }

    /// Brings everything back to where it was.
    pub(super) fn undo(self) {
        for done in self.done.iter().rev() {
            if let Err(e) = self.bring_back(done) {
                tracing::error!(cause = %e, name = done.name, "a file could not be taken back");
            }
        }
    }

    fn folder(&mut self, place: &str) -> Result<(Arc<OwnedFd>, String), Error> {
        let (path, name) = place.rsplit_once('/').unwrap_or(("", place));
        if let Some((_, folder)) = self.folders.iter().find(|(known, _)| known == path) {
            return Ok((Arc::clone(folder), name.to_owned()));
        }
        let (folder, name) = self.root.make(place, &mut self.touched)?;
        self.folders.push((path.to_owned(), Arc::clone(&folder)));
        Ok((folder, name.to_owned()))
    }

    fn remember(&mut self, temp: &str, folder: Arc<OwnedFd>, name: String, aside: bool) {
        self.done.push(Done {
            temp: temp.to_owned(),
            folder,
            name,
            aside,
        });
    }

    fn beside(&self, temp: &str, folder: &OwnedFd, name: &str) -> Result<(), NotPut> {
        let tmp = self.root.tmp();
        match rustix::fs::renameat_with(tmp, temp, folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => self.taken(temp, folder, name),
            // NFS and some FUSE file systems know no such flag; a link never replaces anything either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                match rustix::fs::linkat(tmp, temp, folder, name, AtFlags::empty()) {
                    Ok(()) => Ok(rustix::fs::unlinkat(tmp, temp, AtFlags::empty())?),
                    Err(Errno::EXIST) => self.taken(temp, folder, name),
                    Err(e) => Err(e.into()),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The name is taken, unless it is by this very file: a crash came between its link and the removal of `temp`.
    fn taken(&self, temp: &str, folder: &OwnedFd, name: &str) -> Result<(), NotPut> {
        let tmp = self.root.tmp();
        let ours = rustix::fs::statat(tmp, temp, AtFlags::SYMLINK_NOFOLLOW)?;
        let there = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(NotPut::Taken),
            there => there?,
        };
        match (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino) {
            true => Ok(rustix::fs::unlinkat(tmp, temp, AtFlags::empty())?),
            false => Err(NotPut::Taken),
        }
    }

    fn over(&self, temp: &str, folder: &OwnedFd, name: &str) -> Result<(), NotPut> {
        match rustix::fs::renameat(self.root.tmp(), temp, folder, name) {
            Ok(()) => Ok(()),
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => Err(a_folder(name).into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Keeps what has the name now, without taking it away for even a moment where the file system has links.
    fn set_aside(&self, temp: &str, folder: &OwnedFd, name: &str) -> Result<bool, NotPut> {
        let there = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            there => there?,
        };
        if rustix::fs::FileType::from_raw_mode(there.st_mode).is_dir() {
            return Err(a_folder(name).into());
        }
        let (tmp, old) = (self.root.tmp(), old_name(temp));
        // Left by a crash: what it kept still has its name, or its successor has.
        let _ = rustix::fs::unlinkat(tmp, &*old, AtFlags::empty());
        match rustix::fs::linkat(folder, name, tmp, &*old, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(_) => {
                rustix::fs::renameat(folder, name, tmp, &*old)?;
                Ok(true)
            }
        }
    }

    fn bring_back(&self, done: &Done) -> rustix::io::Result<()> {
        let tmp = self.root.tmp();
        let taken = rustix::fs::renameat(&*done.folder, &*done.name, tmp, &*done.temp);
        if done.aside {
            rustix::fs::renameat(tmp, old_name(&done.temp), &*done.folder, &*done.name)?;
        }
        taken
    }

    /// Gives what was set aside its name back, or lets go of its second name where it still has the first.
    fn leave(&self, temp: &str, folder: &OwnedFd, name: &str) {
        let (tmp, old) = (self.root.tmp(), old_name(temp));
        let left = match rustix::fs::renameat_with(tmp, &*old, folder, name, RenameFlags::NOREPLACE)
        {
            Err(Errno::EXIST) => rustix::fs::unlinkat(tmp, &*old, AtFlags::empty()),
            left => left,
        };
        if let Err(e) = left {
            tracing::error!(cause = %e, name, "a file that was to be replaced could not be left as it was");
        }
    }
}

fn old_name(temp: &str) -> String {
    format!("{temp}.old")
}

fn a_folder(name: &str) -> Error {
    Error::UnusableName {
        reason: format!("a folder has the name {name:?}"),
    }
}
