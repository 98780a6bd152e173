//! Names below the root, found and made without ever following a link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use super::STATE;
use crate::error::Error;
use crate::store::Space;
use crate::store::records::{Identity, Kept};

/// The store's folder and the one for files under way, on the same file system.
#[derive(Debug)]
pub(super) struct Root {
    folder: Arc<OwnedFd>,
    tmp: Arc<OwnedFd>,
}

/// Below the root, with no link on the way: whatever others do to the folders meanwhile, the kernel checks each step.
const BELOW: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn open(dir: &Path, tmp: &Path) -> io::Result<Self> {
        let open = |path: &Path, flags| rustix::fs::open(path, FOLDER | flags, Mode::empty());
        // What is in the second is swept: it must not be somebody's folder elsewhere.
        let (folder, tmp) = (open(dir, OFlags::empty())?, open(tmp, OFlags::NOFOLLOW)?);
        if rustix::fs::fstat(&folder)?.st_dev != rustix::fs::fstat(&tmp)?.st_dev {
            return Err(io::Error::other(format!(
                "{STATE} is on another file system, where finished files cannot be moved from"
            )));
        }
        let probe = rustix::fs::openat2(&folder, ".", FOLDER, Mode::empty(), BELOW);
        probe.map_err(|e| io::Error::other(format!("openat2 fails; Linux 5.6 has it ({e})")))?;
        Ok(Self {
            folder: Arc::new(folder),
            tmp: Arc::new(tmp),
        })
    }

    /// The folder of files under way.
    pub(super) fn tmp(&self) -> BorrowedFd<'_> {
        self.tmp.as_fd()
    }

    /// Opens a temporary file for reading; `None` when it is gone.
    pub(super) fn open_temp(&self, temp: &str) -> Result<Option<OwnedFd>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&*self.tmp, temp, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(io_error(e)),
        }
    }

    /// The folder of files under way, to be synced.
    pub(super) fn tmp_folder(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.tmp)
    }

    /// The folder in which `place` is, and its last component; `None` while there is no such folder.
    pub(super) fn find<'p>(
        &self,
        place: &'p str,
    ) -> Result<Option<(Arc<OwnedFd>, &'p str)>, Error> {
        let Some((path, name)) = place.rsplit_once('/') else {
            return Ok(Some((Arc::clone(&self.folder), place)));
        };
        match rustix::fs::openat2(&*self.folder, path, FOLDER, Mode::empty(), BELOW) {
            Ok(folder) => Ok(Some((Arc::new(folder), name))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(in_the_way(path, e)),
        }
    }

    /// Like [`Root::find`], but makes the folders that are missing. Every folder that got a new entry by this is added
    /// to `touched`.
    pub(super) fn make<'p>(
        &self,
        place: &'p str,
        touched: &mut Vec<Arc<OwnedFd>>,
    ) -> Result<(Arc<OwnedFd>, &'p str), Error> {
        if let Some(found) = self.find(place)? {
            return Ok(found);
        }
        let (path, name) = place.rsplit_once('/').unwrap_or(("", place));
        let mut folder = Arc::clone(&self.folder);
        for component in path.split('/') {
            match rustix::fs::mkdirat(&*folder, component, Mode::from_raw_mode(0o777)) {
                Ok(()) => touched.push(Arc::clone(&folder)),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(in_the_way(path, e)),
            }
            let next = rustix::fs::openat2(&*folder, component, FOLDER, Mode::empty(), BELOW);
            folder = Arc::new(next.map_err(|e| in_the_way(path, e))?);
        }
        Ok((folder, name))
    }

    /// Whether something stands at `place`, be it a link that leads nowhere.
    pub(super) fn is_taken(&self, place: &str) -> Result<bool, Error> {
        let Some((folder, name)) = self.find(place)? else {
            return Ok(false);
        };
        match rustix::fs::statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(io_error(e)),
        }
    }

    /// Opens a file that a record speaks of; `None` when it is gone or another one has its name now.
    pub(super) fn open_kept(&self, kept: &Kept) -> Result<Option<(OwnedFd, Statx)>, Error> {
        let place = kept.facts.name.as_deref().unwrap_or_default();
        // Without O_NONBLOCK a pipe that somebody put there would hold the thread.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat2(&*self.folder, place, flags, Mode::empty(), BELOW) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NXIO) => {
                return Ok(None);
            }
            Err(e) => return Err(io_error(e)),
        };
        let stat = stat(file.as_fd())?;
        let ours = is_file(&stat) && is_same(&stat, kept);
        Ok(ours.then_some((file, stat)))
    }

    /// What the file system has left for such as us: what it keeps for root is not counted.
    pub(super) fn space(&self) -> Result<Space, Error> {
        let stat = rustix::fs::fstatvfs(&self.folder).map_err(io_error)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            // Btrfs makes inodes as it needs them and says 0 of 0.
            inodes: (stat.f_files > 0).then_some(stat.f_favail),
        })
    }
}

impl Identity {
    pub(super) fn of(stat: &Statx) -> Self {
        let has_born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        Self {
            inode: stat.stx_ino,
            born: has_born.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)),
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        }
    }
}

/// The same inode (which the app may have changed since), or a copy that kept its time and length (as from a backup).
///
/// Time and length alone are not enough: clocks of file systems tick some hundred times a second, so that an upload
/// which replaced this one may share both. But only of a copy the time of change lies before the inode was made.
fn is_same(stat: &Statx, kept: &Kept) -> bool {
    let (now, then) = (Identity::of(stat), kept.identity);
    let same_inode = now.inode == then.inode && now.born == then.born;
    let is_copy = now.born.is_some_and(|born| born > now.modified);
    let same_facts = now.modified == then.modified && stat.stx_size == kept.facts.length;
    same_inode || (is_copy && same_facts)
}

/// What is known of an open file.
pub(super) fn stat(file: BorrowedFd<'_>) -> Result<Statx, Error> {
    let what = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, what).map_err(io_error)
}

fn is_file(stat: &Statx) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_file()
}

/// An error of the system, as one of the store.
pub(super) fn io_error(e: Errno) -> Error {
    Error::store(io::Error::from(e))
}

fn in_the_way(path: &str, e: Errno) -> Error {
    match e {
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Error::UnusableName {
            reason: format!("a link or a file is in the way of the folder {path:?}"),
        },
        Errno::NAMETOOLONG => Error::UnusableName {
            reason: "the path is too long".into(),
        },
        e => io_error(e),
    }
}
